/* Prints how many nanoseconds argv[1] beats take in all. */
#include "vigil_heartbeat.h"

#include <stdio.h>
#include <time.h>

int main(int argc, char **argv)
{
	vigil_page page;
	vigil_activity activity;
	struct timespec begin, end;
	long i, n = argc > 1 ? atol(argv[1]) : 0;
	int error = vigil_attach(&page);

	if (error == VIGIL_OK)
		error = vigil_claim(&page, &activity, "beat", 0);
	if (error != VIGIL_OK || page.count == 0) {
		fprintf(stderr, "%s\n", vigil_text(error));
		return 1;
	}
	vigil_busy(&activity);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (i = 0; i < n; i++)
		vigil_beat(&activity);
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%lld\n", (long long)(end.tv_sec - begin.tv_sec) * 1000000000 + end.tv_nsec - begin.tv_nsec);
	vigil_release(&activity);
	return 0;
}
