/*
 * A program that is linked with libgimli, as far as its monitor can tell: the
 * client side is written here from the description in docs/gimli.md.
 *
 *   app MODE    beat: beats until TERM; the file that is named below, in the
 *               working directory, makes it misbehave, once:
 *                 hang, segv, abort, fpe   in the state running
 *                 thread                   a fault of another thread
 *                 starting, stopping       no tick any more in that state
 *                 again                    a fault, and another one in the
 *                                          shutdown function
 *                 stuck                    a fault, and a shutdown function
 *                                          that does not return
 *               term-segv: a fault when it is asked to stop
 *               fork: beats, and has a child that attaches too and faults
 *                     when there is a file "child"
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NOT_SUPP, STARTING, RUNNING, STOPPING };

struct beat {
	int state;
	int ticks;
};

static volatile struct beat nobody, *beat = &nobody;
static const char *mode;

static void set(int state)
{
	beat->state = state;
	beat->ticks++;
}

/* line writes one line at once; it is called in handlers. */
static void line(const char *text, int number)
{
	char b[128];
	int n = 0, digits = 0;
	char d[12];
	while (text[n] && n < 100) {
		b[n] = text[n];
		n++;
	}
	b[n++] = ' ';
	do
		d[digits++] = '0' + number % 10;
	while ((number /= 10) > 0);
	while (digits > 0)
		b[n++] = d[--digits];
	b[n++] = '\n';
	if (write(1, b, n) < 0)
		_exit(99);
}

static void nap(void);

static void shutdown_function(int signo)
{
	line("shutdown function after signal", signo);
	/* SIGSTOP is delivered to the main thread; until it has been, the others run
	   on. So the end waits for the test, which has seen the stop. */
	if (access("thread", F_OK) == 0) {
		while (access("go-on", F_OK) != 0)
			nap();
		unlink("thread");
	}
	if (access("again", F_OK) == 0) {
		unlink("again");
		raise(SIGFPE);
	}
	if (access("stuck", F_OK) == 0) {
		unlink("stuck");
		for (;;)
			pause();
	}
}

static void on_fault(int signo, siginfo_t *si, void *context)
{
	struct sigaction standard;
	(void)si;
	(void)context;
	memset(&standard, 0, sizeof standard);
	standard.sa_handler = SIG_DFL;
	sigaction(signo, &standard, NULL);
	kill(getppid(), SIGUSR2);
	kill(getpid(), SIGSTOP);
	set(STOPPING);
	shutdown_function(signo);
	line("ends by signal", signo);
	kill(getpid(), signo);
}

static void establish_handlers(void)
{
	static const int faults[] = { SIGSEGV, SIGABRT, SIGBUS, SIGILL, SIGFPE };
	struct sigaction action;
	size_t i;
	memset(&action, 0, sizeof action);
	action.sa_sigaction = on_fault;
	action.sa_flags = SA_SIGINFO;
	for (i = 0; i < sizeof faults / sizeof *faults; i++)
		sigaction(faults[i], &action, NULL);
}

static void attach(void)
{
	const char *number = getenv("GIMLI_HB_FD");
	int fd;
	void *at;
	if (!number)
		return;
	fd = atoi(number);
	at = mmap(NULL, sizeof *beat, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED) {
		line("cannot map the segment: errno", errno);
		exit(3);
	}
	close(fd);
	beat = at;
	line("attached, ticks", beat->ticks);
	beat->state = STARTING;
	establish_handlers();
}

static void nap(void)
{
	struct timespec t = { 0, 5 * 1000 * 1000 };
	nanosleep(&t, NULL);
}

static int asked(const char *name)
{
	return access(name, F_OK) == 0 && unlink(name) == 0;
}

static void silent(int state)
{
	set(state);
	for (;;)
		pause();
}

static void *worker(void *none)
{
	sigset_t all;
	(void)none;
	/* As many programs do: signals are for the main thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	for (;;)
		pause();
	return NULL;
}

static void *faulting(void *none)
{
	(void)none;
	prctl(PR_SET_NAME, "app-faulting");
	*(volatile int *)8 = 1;
	return NULL;
}

static void misbehave(void)
{
	pthread_t t;
	if (asked("hang"))
		silent(RUNNING);
	if (asked("starting"))
		silent(STARTING);
	if (asked("stopping"))
		silent(STOPPING);
	if (asked("abort"))
		abort();
	if (asked("fpe"))
		raise(SIGFPE);
	if (asked("segv") || access("again", F_OK) == 0 || access("stuck", F_OK) == 0)
		*(volatile int *)8 = 1;
	if (access("thread", F_OK) == 0) {
		pthread_create(&t, NULL, faulting, NULL);
		for (;;)
			nap();
	}
}

static volatile sig_atomic_t term;

static void on_term(int signo)
{
	(void)signo;
	term = 1;
}

static void family(void)
{
	pid_t parent;
	if (fork() != 0)
		return;
	parent = getpid();
	if (fork() != 0)
		_exit(0); /* the grandchild is the keeper's */
	while (getppid() == parent)
		nap();
	establish_handlers();
	line("descendant", getpid());
	for (;;) {
		if (asked("child"))
			abort();
		nap();
	}
}

int main(int argc, char **argv)
{
	struct sigaction action;
	pthread_t t;
	mode = argc > 1 ? argv[1] : "beat";
	memset(&action, 0, sizeof action);
	action.sa_handler = on_term;
	sigaction(SIGTERM, &action, NULL);
	attach();
	pthread_create(&t, NULL, worker, NULL);
	pthread_setname_np(t, "app-worker");
	if (strcmp(mode, "fork") == 0)
		family();
	set(RUNNING);
	line("running, pid", getpid());
	while (!term) {
		misbehave();
		set(RUNNING);
		nap();
	}
	set(STOPPING);
	if (strcmp(mode, "term-segv") == 0)
		*(volatile int *)8 = 1;
	return 0;
}
