/*
 * A housekeeper with one thread and one activity for each of its jobs, any of
 * which can be wedged while the others go on; see ../README.md.
 *
 *	cc -O2 -pthread -I../../../heartbeat/c housekeeper.c -o housekeeper
 */
#define _GNU_SOURCE
#include "vigil_heartbeat.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

enum { MAX_JOBS = 64, PAUSE_MS = 20 };

struct job {
	char name[64];
	unsigned long timeout_ms;
	pthread_t thread;
	pthread_mutex_t lock; /* of the order */
	pthread_cond_t changed;
	char order[16];
	uint32_t sum;
	vigil_activity activity;
};

static vigil_page page;
static struct job jobs[MAX_JOBS];
static int job_count;
static sem_t claimed; /* raised by each job that has its activity */
static int stopping;  /* by atomic builtins */

/* main locks it and will not unlock it: the bug of the demonstration. */
static pthread_mutex_t broken = PTHREAD_MUTEX_INITIALIZER;

/* notify tells the supervisor, if there is one: sd_notify(3). */
static void notify(const char *message)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t length;
	int fd;

	if (path == NULL || (length = strlen(path)) == 0 || length >= sizeof to.sun_path)
		return;
	memcpy(to.sun_path, path, length);
	if (to.sun_path[0] == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, message, strlen(message), MSG_NOSIGNAL, (struct sockaddr *)&to,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
		perror("cannot notify the supervisor");
	if (fd >= 0)
		close(fd);
}

/* work is one round: some checksums, and a beat after each. */
static void work(struct job *job)
{
	int step, i;

	for (step = 0; step < 16; step++) {
		for (i = 0; i < 4096; i++)
			job->sum = job->sum * 16777619u ^ (uint32_t)i;
		vigil_beat(&job->activity);
	}
}

static void wedge(struct job *job)
{
	vigil_busy(&job->activity);
	printf("%s is wedged\n", job->name);
	pthread_mutex_lock(&broken); /* never returns */
}

/* next_order waits for an order, at most until the next round. */
static void next_order(struct job *job, char *order)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += PAUSE_MS * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	pthread_mutex_lock(&job->lock);
	while (job->order[0] == '\0' && !__atomic_load_n(&stopping, __ATOMIC_ACQUIRE))
		if (pthread_cond_timedwait(&job->changed, &job->lock, &until) != 0)
			break;
	memcpy(order, job->order, sizeof job->order);
	job->order[0] = '\0';
	pthread_mutex_unlock(&job->lock);
}

/* claim is done by the thread that does the work, so that the slot names it. */
static void claim(struct job *job)
{
	char comm[16] = "";
	int error;

	/* What /proc and the verdict call the thread; the kernel keeps 15 bytes. */
	memcpy(comm, job->name, strnlen(job->name, sizeof comm - 1));
	pthread_setname_np(pthread_self(), comm);
	error = vigil_claim(&page, &job->activity, job->name, job->timeout_ms * (VIGIL_SECOND / 1000));
	if (error)
		fprintf(stderr, "unwatched: %s: %s\n", job->name, vigil_text(error));
	sem_post(&claimed);
}

static void *run(void *argument)
{
	struct job *job = argument;
	char order[sizeof job->order];
	int resting = 0;

	claim(job);
	while (!__atomic_load_n(&stopping, __ATOMIC_ACQUIRE)) {
		if (!resting) {
			vigil_busy(&job->activity);
			work(job);
			vigil_idle(&job->activity);
		}
		next_order(job, order);
		if (strcmp(order, "wedge") == 0)
			wedge(job);
		if (strcmp(order, "rest") == 0 || strcmp(order, "work") == 0) {
			resting = order[0] == 'r';
			printf("%s has to %s\n", job->name, order);
		}
		if (strcmp(order, "leave") == 0) {
			vigil_release(&job->activity);
			printf("%s has left\n", job->name);
			return NULL;
		}
	}
	vigil_stopping(&job->activity);
	work(job);
	vigil_release(&job->activity);
	return NULL;
}

/* start makes the job NAME, or NAME=MILLISECONDS with a timeout of its own. */
static void start(const char *argument)
{
	struct job *job = &jobs[job_count++];
	pthread_condattr_t monotonic;

	sscanf(argument, "%63[^=]=%lu", job->name, &job->timeout_ms);
	pthread_mutex_init(&job->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&job->changed, &monotonic);
	if (pthread_create(&job->thread, NULL, run, job) != 0) {
		perror("cannot start a thread");
		exit(1);
	}
	sem_wait(&claimed);
}

/* obey reads orders, "VERB NAME" on a line each, from the FIFO that CONTROL
 * names or else from standard input. */
static void *obey(void *unused)
{
	const char *path = getenv("CONTROL");
	FILE *from = path ? fopen(path, "r+") : stdin; /* for writing too: so it never ends */
	char verb[16], name[64];
	int i;

	(void)unused;
	if (from == NULL) {
		perror(path);
		exit(1);
	}
	while (fscanf(from, "%15s %63s", verb, name) == 2) {
		for (i = 0; i < job_count && strcmp(jobs[i].name, name) != 0; i++)
			;
		if (i == job_count) {
			fprintf(stderr, "no job %s\n", name);
			continue;
		}
		pthread_mutex_lock(&jobs[i].lock);
		memcpy(jobs[i].order, verb, sizeof verb);
		pthread_cond_signal(&jobs[i].changed);
		pthread_mutex_unlock(&jobs[i].lock);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static const char *const usual[] = {"reader=2000", "indexer=2000", "flusher=2000", "sweeper"};
	pthread_t orders;
	sigset_t ends;
	int error, i, received;

	pthread_mutex_lock(&broken);
	sem_init(&claimed, 0, 0);
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	pthread_sigmask(SIG_BLOCK, &ends, NULL); /* in every thread: main waits for them */
	if ((error = vigil_attach(&page)) != 0)
		fprintf(stderr, "unwatched: %s\n", vigil_text(error));
	for (i = 1; i < argc && i <= MAX_JOBS; i++)
		start(argv[i]);
	for (i = 0; argc == 1 && i < 4; i++)
		start(usual[i]);
	if (pthread_create(&orders, NULL, obey, NULL) != 0) {
		perror("cannot start a thread");
		return 1;
	}
	notify("READY=1");
	puts("ready");

	sigwait(&ends, &received);
	notify("STOPPING=1");
	__atomic_store_n(&stopping, 1, __ATOMIC_RELEASE);
	for (i = 0; i < job_count; i++) {
		pthread_mutex_lock(&jobs[i].lock);
		pthread_cond_signal(&jobs[i].changed);
		pthread_mutex_unlock(&jobs[i].lock);
	}
	for (i = 0; i < job_count; i++)
		pthread_join(jobs[i].thread, NULL); /* for ever, if it is wedged: then only a KILL helps */
	return 0;
}
