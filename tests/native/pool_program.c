/* Exercises pool.h: `pool_program TEST [NUMBER ...]`. Prints what was measured; ends with 1 and a line if all is not well. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pool.h"

#define CHECK(claim) \
  do { \
    if (!(claim)) { \
      fprintf(stderr, "line %d: not so: %s\n", __LINE__, #claim); \
      exit(1); \
    } \
  } while (0)

static double now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e9 + time.tv_nsec;
}

/* Each round every thread writes its own cell, and after the barrier reads all: plain memory, so that a barrier which
 * orders nothing is a data race that ThreadSanitizer sees, and a wrong sum that anyone sees. */
struct rounds {
  long count, cells[64], errors[64];
};

static void add_rounds(struct team *team, int thread, void *argument) {
  struct rounds *rounds = argument;
  for (long round = 1; round <= rounds->count; round++) {
    rounds->cells[thread] = round * (thread + 1);
    barrier(team, thread);
    long sum = 0, expected = 0;
    for (int other = 0; other < team->threads; other++) sum += rounds->cells[other], expected += round * (other + 1);
    rounds->errors[thread] += sum != expected;
    barrier(team, thread);
  }
}

static void check_rounds(struct pool *pool, long count) {
  struct rounds *rounds = calloc(1, sizeof *rounds);
  rounds->count = count;
  CHECK(pool_run(pool, add_rounds, rounds) == 0);
  for (int thread = 0; thread < pool->team.threads; thread++) {
    CHECK(rounds->errors[thread] == 0);
    CHECK(rounds->cells[thread] == count * (thread + 1));
  }
  free(rounds);
}

static void count_one(struct team *team, int thread, void *argument) {
  (void)team;
  ((long *)argument)[8 * thread]++;
}

/* Jobs one after the other: `threads`, `jobs`, and how long to let the threads sleep in between, in microseconds. */
static void test_jobs(int threads, int jobs, int pause_us) {
  long counts[8 * 64] = {0};
  struct pool *pool = pool_create(threads);
  CHECK(pool);
  for (int job = 1; job <= jobs; job++) {
    CHECK(pool_run(pool, count_one, counts) == 0);
    for (int thread = 0; thread < threads; thread++) CHECK(counts[8 * thread] == job);
    if (pause_us) usleep(pause_us);
  }
  pool_destroy(pool);
}

static void test_barriers(int threads, long count) {
  struct pool *pool = pool_create(threads);
  CHECK(pool);
  double begin = now_ns();
  check_rounds(pool, count / 2);
  printf("%d threads: %.0f ns per barrier\n", threads, (now_ns() - begin) / count);
  pool_destroy(pool);
}

static void run_own_pool(struct team *team, int thread, void *argument) {
  (void)team;
  struct pool *pool = pool_create(((int *)argument)[thread]);
  CHECK(pool);
  for (int job = 0; job < 100; job++) check_rounds(pool, 20);
  pool_destroy(pool);
}

/* Two at once, of so many threads each; those of a third pool, which are their callers, are at work meanwhile. */
static void test_two_pools(int first, int second) {
  int threads[2] = {first, second};
  struct pool *callers = pool_create(2);
  CHECK(callers);
  CHECK(pool_run(callers, run_own_pool, threads) == 0);
  pool_destroy(callers);
}

static void test_churn(int threads, int times) {
  for (int i = 0; i < times; i++) {
    struct pool *pool = pool_create(threads);
    CHECK(pool);
    if (i % 2) check_rounds(pool, 3); /* else it never has a job */
    pool_destroy(pool);
  }
}

static int child_of(struct pool *pool, int runs) {
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    for (int run = 0; run < runs; run++) check_rounds(pool, 100);
    pool_destroy(pool);
    _exit(0);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child);
  return status;
}

static void test_fork(int threads) {
  struct pool *pool = pool_create(threads);
  CHECK(pool);
  for (int time = 0; time < 20; time++) {
    CHECK(child_of(pool, time % 3) == 0);
    check_rounds(pool, 100); /* the parent's threads are still there */
    if (time % 2) usleep(3000); /* asleep when the next fork comes */
  }
  pool_destroy(pool);
}

static volatile float tiny = 1e-39f, ten = 10;

static void see_denormals(struct team *team, int thread, void *argument) {
  (void)team;
  ((float *)argument)[thread] = tiny * ten;
}

static void test_denormals(int threads) {
  float seen[64];
  struct pool *pool = pool_create(threads);
  CHECK(pool);
  CHECK(tiny * ten != 0);
  CHECK(pool_run(pool, see_denormals, seen) == 0);
  CHECK(tiny * ten != 0);
#if defined(__x86_64__) || defined(__aarch64__)
  for (int thread = 0; thread < threads; thread++) CHECK(seen[thread] == 0);
#endif
  pool_destroy(pool);
}

/* A number that a line of a file in /proc has after `name`. */
static long from_proc(const char *path, const char *name) {
  char line[200];
  long number = -1;
  FILE *file = fopen(path, "r");
  CHECK(file);
  while (fgets(line, sizeof line, file))
    if (!strncmp(line, name, strlen(name))) number = atol(line + strlen(name));
  fclose(file);
  return number;
}

/* With address space for two stacks or so, five threads cannot start. */
static void test_refused(void) {
  struct rlimit limit;
  CHECK(getrlimit(RLIMIT_AS, &limit) == 0);
  struct rlimit tight = limit;
  tight.rlim_cur = from_proc("/proc/self/status", "VmSize:") * 1024 + (20 << 20);
  CHECK(setrlimit(RLIMIT_AS, &tight) == 0);
  CHECK(pool_create(6) == 0);
  CHECK(from_proc("/proc/self/status", "Threads:") == 1);
  CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
  struct pool *pool = pool_create(6);
  CHECK(pool);
  check_rounds(pool, 10);
  pool_destroy(pool);
}

static int by_size(const void *a, const void *b) { return (*(double *)a > *(double *)b) - (*(double *)a < *(double *)b); }

static void print_times(const char *what, double *ns, int count) {
  qsort(ns, count, sizeof *ns, by_size);
  printf("%s: median %.0f ns, 10%% %.0f, 90%% %.0f\n", what, ns[count / 2], ns[count / 10], ns[count * 9 / 10]);
}

static void only_barriers(struct team *team, int thread, void *argument) {
  for (int i = 0; i < *(int *)argument; i++) barrier(team, thread);
}

static void nothing(struct team *team, int thread, void *argument) { (void)team, (void)thread, (void)argument; }

/* What waiting costs: a barrier, a job for threads that spin, a job for threads that sleep. */
static void measure(int threads) {
  enum { BATCHES = 400 };
  static double ns[BATCHES];
  int barriers = 1000;
  struct pool *pool = pool_create(threads);
  CHECK(pool);
  for (int batch = 0; batch < BATCHES; batch++) {
    double begin = now_ns();
    pool_run(pool, only_barriers, &barriers);
    ns[batch] = (now_ns() - begin) / barriers;
  }
  print_times("barrier", ns, BATCHES);
  for (int batch = 0; batch < BATCHES; batch++) {
    double begin = now_ns();
    for (int job = 0; job < 100; job++) pool_run(pool, nothing, 0);
    ns[batch] = (now_ns() - begin) / 100;
  }
  print_times("job, threads spin", ns, BATCHES);
  for (int batch = 0; batch < BATCHES; batch++) {
    usleep(5000);
    double begin = now_ns();
    pool_run(pool, nothing, 0);
    ns[batch] = now_ns() - begin;
  }
  print_times("job, threads sleep", ns, BATCHES);
  pool_destroy(pool);
}

int main(int count, char **words) {
  CHECK(count >= 2);
  const char *test = words[1];
  int numbers[3] = {0};
  for (int i = 2; i < count && i < 5; i++) numbers[i - 2] = atoi(words[i]);
  if (!strcmp(test, "jobs")) test_jobs(numbers[0], numbers[1], numbers[2]);
  else if (!strcmp(test, "barriers")) test_barriers(numbers[0], numbers[1]);
  else if (!strcmp(test, "two_pools")) test_two_pools(numbers[0], numbers[1]);
  else if (!strcmp(test, "churn")) test_churn(numbers[0], numbers[1]);
  else if (!strcmp(test, "fork")) test_fork(numbers[0]);
  else if (!strcmp(test, "denormals")) test_denormals(numbers[0]);
  else if (!strcmp(test, "refused")) test_refused();
  else if (!strcmp(test, "measure")) measure(numbers[0]);
  else CHECK(!"a test of this name");
  return 0;
}
