/* The service of bench/restart: as its first act it tells the clock and its
 * pid, then it waits to be killed. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	int64_t word[2] = { (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec, getpid() };
	/* s6 restarts at once only what had told that it was ready. */
	if (getenv("BENCH_RESTART_READY") && write(3, "\n", 1) != 1)
		return 110;
	const char *path = getenv("BENCH_RESTART_FIFO");
	int fd = path ? open(path, O_WRONLY) : -1;
	if (fd < 0 || write(fd, word, sizeof word) != sizeof word)
		return 111;
	for (;;)
		pause();
}
