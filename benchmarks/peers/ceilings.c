// What this machine can do at most: fused multiply-adds from registers, and bytes to and from memory.
//
//     ceilings fma THREADS SECONDS               prints float32 operations per second (an FMA is two)
//     ceilings read THREADS SECONDS BYTES        prints bytes per second, of an array of BYTES shared out among the threads
//     ceilings update THREADS SECONDS BYTES      as read, but each element is read and written back
//
// Every thread works on its own until the time is over; the figure is the sum of theirs.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX2__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif
#define LANES (VECTOR_BYTES / 4)
#define ACCUMULATORS (VECTOR_BYTES == 64 ? 24 : 12)

typedef float vector __attribute__((vector_size(VECTOR_BYTES)));

typedef struct {
    int number;
    double seconds, amount;   // amount: operations or bytes per second
    size_t bytes;
    void (*work)(void *);
    pthread_barrier_t *start;
} Thread;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + 1e-9 * time.tv_nsec;
}

static vector everywhere(float value) {
    vector result;
    for (int lane = 0; lane < LANES; lane++) result[lane] = value;
    return result;
}

// Keeps a value from being computed for nothing; costs no instruction.
#define KEEP(value) __asm__ volatile("" : : "m"(value))

static void fma_work(void *argument) {
    Thread *thread = argument;
    vector sum[ACCUMULATORS], factor = everywhere(0.999f), term = everywhere(1e-3f);
    for (int k = 0; k < ACCUMULATORS; k++) sum[k] = everywhere((float)k);
    double began = now(), elapsed, count = 0;
    do {
        for (int repeat = 0; repeat < 100000; repeat++) {
#pragma GCC unroll 24
            for (int k = 0; k < ACCUMULATORS; k++) sum[k] = sum[k] * factor + term;
        }
        count += 100000.0 * ACCUMULATORS * LANES * 2;
        elapsed = now() - began;
    } while (elapsed < thread->seconds);
    KEEP(sum);
    thread->amount = count / elapsed;
}

static vector *array_of(Thread *thread, size_t *length) {
    *length = thread->bytes / VECTOR_BYTES / 8 * 8;
    if (*length == 0) *length = 8;
    vector *array = aligned_alloc(4096, (*length * VECTOR_BYTES + 4095) / 4096 * 4096);
    if (!array) abort();
    for (size_t k = 0; k < *length; k++) array[k] = everywhere(1);
    return array;
}

// Times `pass`, which goes over `array` once, until the time is over; small arrays many times between looks at the clock.
#define TIME(factor, pass)                                                        \
    size_t length, repeats;                                                       \
    vector *array = array_of(thread, &length);                                    \
    repeats = 1 + (1 << 20) / (length * VECTOR_BYTES);                            \
    pthread_barrier_wait(thread->start);                                          \
    double began = now(), elapsed, bytes = 0;                                     \
    do {                                                                          \
        for (size_t repeat = 0; repeat < repeats; repeat++) { pass; }             \
        bytes += (double)(factor) * repeats * length * VECTOR_BYTES;              \
        elapsed = now() - began;                                                  \
    } while (elapsed < thread->seconds);                                          \
    KEEP(*array);                                                                 \
    free(array);                                                                  \
    thread->amount = bytes / elapsed;

static __attribute__((noinline)) vector read_pass(const vector *array, size_t length) {
    vector sum[8];
    memset(sum, 0, sizeof sum);
    for (size_t k = 0; k < length; k += 8) {
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) sum[j] += array[k + j];
    }
    for (int j = 1; j < 8; j++) sum[0] += sum[j];
    return sum[0];
}

static __attribute__((noinline)) void update_pass(vector *array, size_t length) {
    vector factor = everywhere(0.999f), term = everywhere(1e-3f);
    for (size_t k = 0; k < length; k += 8) {
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) array[k + j] = array[k + j] * factor + term;
    }
}

static void read_work(void *argument) {
    Thread *thread = argument;
    TIME(1, vector sum = read_pass(array, length); KEEP(sum))
}

static void update_work(void *argument) {
    Thread *thread = argument;
    TIME(2, update_pass(array, length))
}

static void *started(void *argument) {
    Thread *thread = argument;
    cpu_set_t allowed, own;
    sched_getaffinity(0, sizeof allowed, &allowed);
    CPU_ZERO(&own);
    for (int cpu = 0, seen = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &allowed) && seen++ == thread->number) CPU_SET(cpu, &own);
    if (CPU_COUNT(&own)) pthread_setaffinity_np(pthread_self(), sizeof own, &own);
    if (thread->work == fma_work) pthread_barrier_wait(thread->start);
    thread->work(thread);
    return NULL;
}

int main(int count, char **words) {
    int reads = count == 5 && !strcmp(words[1], "read"), updates = count == 5 && !strcmp(words[1], "update");
    if (!reads && !updates && !(count == 4 && !strcmp(words[1], "fma"))) {
        fprintf(stderr, "usage: %s fma THREADS SECONDS | read|update THREADS SECONDS BYTES\n", words[0]);
        return 2;
    }
    int threads = atoi(words[2]);
    if (threads < 1 || threads > 1024) return 2;
    pthread_t *handles = calloc(threads, sizeof *handles);
    Thread *all = calloc(threads, sizeof *all);
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, threads);
    for (int k = 0; k < threads; k++) {
        size_t bytes = count == 5 ? strtoull(words[4], NULL, 10) / threads : 0;
        void (*work)(void *) = reads ? read_work : updates ? update_work : fma_work;
        all[k] = (Thread){k, atof(words[3]), 0, bytes, work, &start};
        pthread_create(&handles[k], NULL, started, &all[k]);
    }
    double total = 0;
    for (int k = 0; k < threads; k++) {
        pthread_join(handles[k], NULL);
        total += all[k].amount;
    }
    printf("%.6e\n", total);
    return 0;
}
