/* Reads requests, and dies of the first one that it does not expect. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

struct request { int length; char *body; };

static int count(struct request *r)
{
	int n = 0;
	for (int i = 0; i < r->length; i++)
		n += r->body[i] == ' ';
	return n;
}

static int parse(struct request *r) { return count(r) + 1; }

static void *wait_for_work(void *unused)
{
	for (;;)
		pause();
	return unused;
}

int main(void)
{
	struct request r = { 4, NULL };
	pthread_t worker;
	sigset_t poison;
	int got;

	sigemptyset(&poison);
	sigaddset(&poison, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &poison, NULL);
	for (int i = 0; i < 2; i++)
		pthread_create(&worker, NULL, wait_for_work, NULL);
	puts("parser: serving");
	fflush(stdout);
	sigwait(&poison, &got);
	return parse(&r);
}
