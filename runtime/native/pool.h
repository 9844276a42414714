/* A pool of threads that run one function together, and the barrier at which they meet inside it.
 *
 *     struct pool *pool = pool_create(4);          0 if the threads cannot be had
 *     pool_run(pool, work, argument);              work(team, 0..3, argument) on four threads; back when all are done
 *     pool_destroy(pool);
 *
 * The caller is thread 0, so a pool of one thread starts none. Waiting threads spin for about a millisecond, then sleep.
 * All state is in the pool: several pools work at once. One pool serves one caller at a time. After fork(), the child's
 * first pool_run starts threads of its own. Inside `work`, denormal numbers count as zero, read and written; the caller's
 * own setting comes back.
 *
 * Every thread of `work` must pass the same number of barriers.
 */
#ifndef POOL_H
#define POOL_H

/* What is needed of the C library; its headers would take longer to compile than this file. */
int posix_memalign(void **memory, unsigned long alignment, unsigned long size);
void free(void *memory);
int getpid(void);
int sched_yield(void);
int pthread_create(unsigned long *id, const void *attributes, void *(*start)(void *), void *argument);
int pthread_join(unsigned long id, void **result);

enum {
  LINE_BYTES = 128,        /* two cache lines: some processors fetch them in pairs */
  BARRIER_SPINS = 4000,    /* before a waiting thread offers its core to others */
  IDLE_SPINS = 20000,      /* before a thread without work sleeps */
  CROWDED_SPINS = 50       /* both, where there are more threads than cores */
};

/* Done once in a pool's life: small rather than fast, and compiled once though it is called twice. */
#define ONCE static __attribute__((noinline, cold, unused))

/* What one thread shows to the others. Each has a line of its own, which it alone writes while it runs. */
struct seat {
  unsigned long epoch;     /* how many barriers and jobs this thread has reached */
  struct pool *pool;
  unsigned long id;
  int thread;
} __attribute__((aligned(LINE_BYTES)));

/* The threads that run a function together: what `work` sees of the pool. */
struct team {
  int threads;
  int barrier_spins;
  struct seat seats[];
};

typedef void work_function(struct team *team, int thread, void *argument);

/* ------------------------------------------------------------------------------------------------ sleeping */

#if defined(__linux__) && !defined(POOL_WITHOUT_FUTEX) && (defined(__x86_64__) || defined(__aarch64__))
#define POOL_FUTEX 1
long syscall(long number, ...);

enum {
#ifdef __x86_64__
  FUTEX_CALL = 202,
#else
  FUTEX_CALL = 98,
#endif
  FUTEX_WAIT_PRIVATE = 128,
  FUTEX_WAKE_PRIVATE = 129
};
#else
#define POOL_FUTEX 0
int pthread_mutex_init(void *mutex, const void *attributes);
int pthread_mutex_lock(void *mutex);
int pthread_mutex_unlock(void *mutex);
int pthread_cond_init(void *condition, const void *attributes);
int pthread_cond_wait(void *condition, void *mutex);
int pthread_cond_broadcast(void *condition);
#endif

struct pool {
  /* The job: one line, which travels whole to each thread that waits for it. */
  unsigned jobs __attribute__((aligned(LINE_BYTES))); /* how many have been given out */
  work_function *work;                                /* 0: go home */
  void *argument;

  int sleepers __attribute__((aligned(LINE_BYTES)));  /* threads that must be woken */
  int idle_spins;
  int process;                                        /* whose threads these are; a fork has none of them */
#if !POOL_FUTEX
  long mutex[16], condition[16];                      /* as large as any system's */
#endif
  struct team team;
};

ONCE void sleep_until_next_job(struct pool *pool, unsigned seen) {
#if POOL_FUTEX
  __atomic_fetch_add(&pool->sleepers, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(&pool->jobs, __ATOMIC_ACQUIRE) == seen)
    syscall(FUTEX_CALL, &pool->jobs, FUTEX_WAIT_PRIVATE, seen, 0L, 0L, 0L);
  __atomic_fetch_sub(&pool->sleepers, 1, __ATOMIC_SEQ_CST);
#else
  pthread_mutex_lock(pool->mutex);
  __atomic_fetch_add(&pool->sleepers, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(&pool->jobs, __ATOMIC_SEQ_CST) == seen) pthread_cond_wait(pool->condition, pool->mutex);
  __atomic_fetch_sub(&pool->sleepers, 1, __ATOMIC_SEQ_CST);
  pthread_mutex_unlock(pool->mutex);
#endif
}

/* A thread counts itself among the sleepers before it looks at `jobs` for the last time, and `jobs` changes before the
 * sleepers are counted: one of the two sees the other. */
static inline void give_out_job(struct pool *pool) {
  __atomic_fetch_add(&pool->jobs, 1, __ATOMIC_SEQ_CST);
  if (__atomic_load_n(&pool->sleepers, __ATOMIC_SEQ_CST) == 0) return;
#if POOL_FUTEX
  syscall(FUTEX_CALL, &pool->jobs, FUTEX_WAKE_PRIVATE, pool->team.threads, 0L, 0L, 0L);
#else
  pthread_mutex_lock(pool->mutex);
  pthread_cond_broadcast(pool->condition);
  pthread_mutex_unlock(pool->mutex);
#endif
}

/* ------------------------------------------------------------------------------------- meeting, while running */

static inline void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb" ::: "memory");
#else
  __asm__ volatile("" ::: "memory");
#endif
}

static inline unsigned long reach_next_epoch(struct team *team, int thread) {
  unsigned long epoch = team->seats[thread].epoch + 1;
  __atomic_store_n(&team->seats[thread].epoch, epoch, __ATOMIC_RELEASE);
  return epoch;
}

static inline void wait_for_others(struct team *team, unsigned long epoch) {
  for (int other = 0; other < team->threads; other++)
    for (int spins = 0; __atomic_load_n(&team->seats[other].epoch, __ATOMIC_ACQUIRE) < epoch; spins++)
      if (spins < team->barrier_spins) pause_briefly();
      else sched_yield();
}

/* No thread leaves before all have come; what each wrote before is seen by all after. */
static inline void barrier(struct team *team, int thread) {
  if (team->threads > 1) wait_for_others(team, reach_next_epoch(team, thread));
}

/* ---------------------------------------------------------------------------------- the processor's arithmetic */

/* Denormals as zero: they cost a hundred cycles each and no network needs them. Gives the setting before. */
static inline unsigned long flush_denormals(void) {
#if defined(__x86_64__)
  unsigned before = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(before | 0x8040); /* results (FTZ), operands (DAZ) */
  return before;
#elif defined(__aarch64__)
  unsigned long before;
  __asm__ volatile("mrs %0, fpcr" : "=r"(before));
  __asm__ volatile("msr fpcr, %0" : : "r"(before | 1ul << 24)); /* both (FZ) */
  return before;
#else
  return 0;
#endif
}

static inline void restore_arithmetic(unsigned long before) {
#if defined(__x86_64__)
  __builtin_ia32_ldmxcsr((unsigned)before);
#elif defined(__aarch64__)
  __asm__ volatile("msr fpcr, %0" : : "r"(before));
#else
  (void)before;
#endif
}

/* ------------------------------------------------------------------------------------------------- the pool */

/* Processors this process may run on. */
#if defined(__linux__)
int sched_getaffinity(int process, unsigned long size, void *mask);

ONCE int usable_cores(void) {
  unsigned long mask[128] = {0};
  int cores = 0;
  if (sched_getaffinity(0, sizeof mask, mask) != 0) return 1;
  for (int i = 0; i < 128; i++) cores += __builtin_popcountl(mask[i]);
  return cores;
}
#else
int sysctlbyname(const char *name, void *value, unsigned long *size, void *wanted, unsigned long wanted_size);

ONCE int usable_cores(void) {
  int cores = 1;
  unsigned long size = sizeof cores;
  return sysctlbyname("hw.logicalcpu", &cores, &size, 0, 0) == 0 ? cores : 1;
}
#endif

ONCE void *take_jobs(void *place) {
  struct seat *seat = place;
  struct pool *pool = seat->pool;
  flush_denormals();
  for (unsigned seen = 0;; seen++) { /* jobs are given out one by one, each after the last is done */
    for (int spins = 0; __atomic_load_n(&pool->jobs, __ATOMIC_ACQUIRE) == seen; spins++)
      if (spins < pool->idle_spins) pause_briefly();
      else sleep_until_next_job(pool, seen);
    if (!pool->work) return 0;
    pool->work(&pool->team, seat->thread, pool->argument);
    reach_next_epoch(&pool->team, seat->thread);
  }
}

ONCE void end_threads(struct pool *pool, int started) {
  pool->work = 0;
  give_out_job(pool);
  for (int thread = 1; thread < started; thread++) pthread_join(pool->team.seats[thread].id, 0);
}

/* For a new pool, or one that a fork left without threads. 0 if all have started. */
ONCE int start_threads(struct pool *pool) {
  pool->process = getpid();
  pool->jobs = 0;
  pool->sleepers = 0;
#if !POOL_FUTEX
  pthread_mutex_init(pool->mutex, 0);
  pthread_cond_init(pool->condition, 0);
#endif
  for (int thread = 0; thread < pool->team.threads; thread++) {
    struct seat *seat = &pool->team.seats[thread];
    *seat = (struct seat){.pool = pool, .thread = thread};
    if (thread > 0 && pthread_create(&seat->id, 0, take_jobs, seat) != 0) {
      end_threads(pool, thread);
      pool->process = 0; /* tried again by the next pool_run */
      return -1;
    }
  }
  return 0;
}

/* A pool of `threads` threads, the caller's among them. 0 if memory or threads cannot be had. */
ONCE struct pool *pool_create(int threads) {
  struct pool *pool;
  void *memory;
  if (posix_memalign(&memory, LINE_BYTES, sizeof *pool + (unsigned long)threads * sizeof(struct seat)) != 0) return 0;
  pool = memory;
  int crowded = threads > usable_cores();
  pool->idle_spins = crowded ? CROWDED_SPINS : IDLE_SPINS;
  pool->team.barrier_spins = crowded ? CROWDED_SPINS : BARRIER_SPINS;
  pool->team.threads = threads;
  if (start_threads(pool) == 0) return pool;
  free(pool);
  return 0;
}

/* Run `work` on every thread and wait for all. 0; or -1, and nothing was run, if a forked child cannot have threads. */
static inline int pool_run(struct pool *pool, work_function *work, void *argument) {
  struct team *team = &pool->team;
  if (team->threads > 1 && pool->process != getpid() && start_threads(pool) != 0) return -1;
  unsigned long before = flush_denormals();
  if (team->threads > 1) {
    pool->work = work;
    pool->argument = argument;
    give_out_job(pool);
  }
  work(team, 0, argument);
  if (team->threads > 1) wait_for_others(team, reach_next_epoch(team, 0));
  restore_arithmetic(before);
  return 0;
}

/* End the threads and free the pool. A forked child that never ran a job has none to end. */
ONCE void pool_destroy(struct pool *pool) {
  if (pool->team.threads > 1 && pool->process == getpid()) end_threads(pool, pool->team.threads);
  free(pool);
}

#endif
