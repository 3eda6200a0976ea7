// Threads that wait for everything: two in a deadlock, one for a condition, one
// asleep, and as many workers in poll as the argument says.
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_mutex_t a = PTHREAD_MUTEX_INITIALIZER, b = PTHREAD_MUTEX_INITIALIZER, c = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t both, all;

__attribute__((noinline)) static void transfer(pthread_mutex_t *from, pthread_mutex_t *to) {
  pthread_mutex_lock(from);
  pthread_barrier_wait(&both);
  pthread_mutex_lock(to);
  pthread_mutex_unlock(to);
  pthread_mutex_unlock(from);
}

static void *payer(void *p) {
  pthread_setname_np(pthread_self(), "payer");
  pthread_barrier_wait(&all);
  transfer(&a, &b);
  return p;
}

static void *payee(void *p) {
  pthread_setname_np(pthread_self(), "payee");
  pthread_barrier_wait(&all);
  transfer(&b, &a);
  return p;
}

static void *consumer(void *p) {
  pthread_barrier_wait(&all);
  pthread_mutex_lock(&c);
  for (;;) pthread_cond_wait(&never, &c);
  return p;
}

static void *sleeper(void *p) {
  pthread_barrier_wait(&all);
  for (;;) sleep(1000);
  return p;
}

static void *worker(void *p) {
  pthread_barrier_wait(&all);
  struct pollfd f = {.fd = 0, .events = POLLIN};
  for (;;) poll(&f, 1, -1);
  return p;
}

int main(int argc, char **argv) {
  int workers = argc > 1 ? atoi(argv[1]) : 0;
  void *(*special[])(void *) = {payer, payee, consumer, sleeper};
  pthread_t t;
  pthread_barrier_init(&both, 0, 2);
  pthread_barrier_init(&all, 0, workers + 5);
  for (int i = 0; i < 4; i++) pthread_create(&t, 0, special[i], 0);
  for (int i = 0; i < workers; i++) pthread_create(&t, 0, worker, 0);
  pthread_barrier_wait(&all);
  puts("ready");
  fflush(stdout);
  char byte;
  read(0, &byte, 1);
  return 0;
}
