/* What a program may do with the header, and what it may do wrong: compiled by
 * every standard of C and C++ that is supported. The page has three slots. */
#include "vigil_heartbeat.h"

#include <stdio.h>

static void must(int ok, const char *what)
{
	if (!ok) {
		printf("not so: %s\n", what);
		exit(1);
	}
}

int main(void)
{
	vigil_page page;
	vigil_activity first, second, third, more;
	int error = vigil_attach(&page);

	if (error) {
		printf("%s\n", vigil_text(error));
		return 3;
	}
	must(getenv("VIGIL_HEARTBEAT_FD") == NULL, "the variable is gone");
	must(vigil_claim(&page, &first, "", 0) == VIGIL_ERROR_NAME, "an empty name is refused");
	must(vigil_claim(&page, &first, "first-\xc3\xa4", 2 * VIGIL_SECOND) == VIGIL_OK, "first");
	must(vigil_claim(&page, &second, "0123456789012345678901234567890\xc3\xa4", 0) == VIGIL_OK, "second");
	must(vigil_claim(&page, &third, "third", 0) == VIGIL_OK, "third");
	if (page.count > 0) {
		must(page.count == 3, "three slots");
		must(vigil_claim(&page, &more, "more", 0) == VIGIL_ERROR_FULL, "a full page is full");
		must(strstr(vigil_text(VIGIL_ERROR_FULL), "every slot") != NULL, "it says so");
		vigil_busy(&more);
	}
	vigil_busy(&first);
	vigil_idle(&first);
	vigil_busy(&first);
	vigil_beat(&first);
	vigil_idle(&second);
	vigil_stopping(&second);
	vigil_here(&second);
	vigil_release(&third);
	vigil_release(&third);
	must(vigil_claim(&page, &more, "fourth", 0) == VIGIL_OK, "a slot that is free again");
	vigil_beat(&third);
	vigil_busy(&third);
	vigil_here(&third);
	vigil_release(&third);
	printf("%ld\n", (long)syscall(SYS_gettid));
	return 0;
}
