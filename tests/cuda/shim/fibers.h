/* CUDA's threads as fibers of one thread of the processor, so that a kernel runs where there is no GPU.
 *
 * A fiber runs until it has to wait for others, and then hands over to the next one that can run: lanes of its own warp
 * first, then warps of its block, then other blocks; or whichever chance names. Where none can run, the launch ends with
 * a message that says who waits where.
 */
#ifndef NNC_FIBERS_H
#define NNC_FIBERS_H

#include <stddef.h>
#include <stdint.h>

#if !defined(__x86_64__) && !defined(PLAIN_CONTEXTS)
#define PLAIN_CONTEXTS /* ucontext, which makes a system call for each switch */
#endif
#ifdef PLAIN_CONTEXTS
#include <ucontext.h>
typedef ucontext_t context;
#else
typedef void *context; /* the stack, on which the registers lie */
#endif

#define HIDDEN __attribute__((visibility("hidden")))
#define WARP_SIZE 32

struct dim3 { unsigned x = 1, y = 1, z = 1; };
extern HIDDEN dim3 threadIdx, blockIdx, blockDim, gridDim; /* of the fiber that runs; x counts alone */

namespace emulated {

/* A barrier: as many as `all` arrive, then all of them go on. */
struct gate { unsigned opened, arrived, all; };

struct warp {
    gate lanes;
    const char *what, *file; /* where the lanes that have arrived wait */
    int line;
    uint64_t given[2][WARP_SIZE]; /* what the lanes give each other, at even and at odd openings */
};

struct block {
    gate threads;
    unsigned number;
    char *statics, *dynamic; /* its shared memory: of variables, while another block runs; of the launch */
    size_t dynamic_bytes;
};

enum state { RUNNING, WAITING, SLEEPING, RETURNED };

/* Barriers that a fiber has passed: those of its warp, of its block, and of blocks that run together. */
struct passed { uint32_t warp, block, team; };

struct fiber {
    context registers;
    state is;
    gate *at; /* WAITING: for this gate to be opened once more than `opened` */
    unsigned opened;
    const char *what, *file;
    int line;
    struct warp *warp;
    struct block *block;
    unsigned thread;
    struct passed passed;
    char *stack;
};

enum { STACK_BYTES = 1 << 16 };

extern HIDDEN fiber *current;

HIDDEN void meet_warp(unsigned mask, const char *what, const char *file, int line);
HIDDEN void meet_block(const char *what, const char *file, int line);
HIDDEN void meet_cluster(const char *what, const char *file, int line);
HIDDEN void has_met_the_grid(); /* said by a barrier that is made of atomic words */
HIDDEN void sleep_a_little(const char *file, int line);

/* What each lane of the warp gives; all of them must call this from the same place. */
HIDDEN const uint64_t *exchange(unsigned mask, uint64_t given, const char *what, const char *file, int line);

/* End the launch with this message and a list of who waits where. */
[[noreturn]] HIDDEN void fail(const char *text);

/* Variables in shared memory lie in a section of their own, which is exchanged when another block runs. */
#define SHARED_SECTION __attribute__((section("shared_of_block")))
extern "C" HIDDEN char __start_shared_of_block[], __stop_shared_of_block[];

} // namespace emulated

#endif
