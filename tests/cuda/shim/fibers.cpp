/* See fibers.h. */
#include "fibers.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulated {

enum { GUARD_BYTES = 1 << 12, MOST_FIBERS = 1 << 14, PATIENCE = 64 };

/* ---- switching from one stack to another ------------------------------------------------------------------------- */

#ifdef PLAIN_CONTEXTS
static void start_at(context *made, char *stack, void (*entry)()) {
    getcontext(made);
    made->uc_stack.ss_sp = stack, made->uc_stack.ss_size = STACK_BYTES;
    makecontext(made, entry, 0);
}
static void switch_to(context *from, context *to) { swapcontext(from, to); }
#else
/* The registers that a call keeps lie on the stack, above them where to go on. */
asm(R"(
    .text
    .hidden emulated_switch
    .type emulated_switch, @function
emulated_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq (%rsi), %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size emulated_switch, . - emulated_switch
)");
extern "C" HIDDEN void emulated_switch(context *from, context *to);

static void start_at(context *made, char *stack, void (*entry)()) {
    void **top = (void **)(stack + STACK_BYTES) - 2; /* after the return, as after a call: 8 below a multiple of 16 */
    top[0] = (void *)entry, top[1] = nullptr;
    *made = memset(top - 6, 0, 6 * sizeof(void *));
}
static void switch_to(context *from, context *to) { emulated_switch(from, to); }
#endif

/* ---- who runs, and who waits for what ---------------------------------------------------------------------------- */

struct launch {
    void (*kernel)(void **);
    void **arguments;
    unsigned blocks, threads, alive, idle; /* blocks that are alive; idle: how often fibers slept since another ran */
    gate cluster;
    context caller;
    char message[4096];
};

static fiber fibers[MOST_FIBERS];
static warp warps[MOST_FIBERS / WARP_SIZE];
static block blocks[MOST_FIBERS / WARP_SIZE];
static launch now;
static uint64_t order; /* 0: fibers run as hand_over chooses; else the state of a random generator that chooses */
fiber *current;

extern "C" void emulated_order(uint64_t seed) { order = seed; }

static char keeps_the_section[16] __attribute__((section("shared_of_block"), used, aligned(16)));
static size_t static_bytes() { return (size_t)(__stop_shared_of_block - __start_shared_of_block); }

static bool can_run(const fiber &f) { return f.is == RUNNING || (f.is == WAITING && f.at->opened != f.opened); }

static void run(fiber *next) {
    fiber *self = current;
    if (next->block != self->block) {
        memcpy(self->block->statics, __start_shared_of_block, static_bytes());
        memcpy(__start_shared_of_block, next->block->statics, static_bytes());
    }
    if (next->is != SLEEPING) now.idle = 0;
    next->is = RUNNING;
    current = next, threadIdx.x = next->thread, blockIdx.x = next->block->number;
    switch_to(&self->registers, &next->registers);
}

/* ---- failures ---------------------------------------------------------------------------------------------------- */

static bool same_place(const fiber &a, const fiber &b) {
    return a.block == b.block && a.is == b.is && (a.is == RETURNED || (a.what == b.what && a.line == b.line));
}

/* One line for each group of neighbouring threads that wait at the same place. */
static void describe(size_t length) {
    const unsigned all = now.blocks * now.threads;
    for (unsigned k = 0, end; k < all && length < sizeof now.message - 300; k = end) {
        const fiber &f = fibers[k];
        for (end = k + 1; end < all && same_place(fibers[end], f); end++) {}
        char place[200] = "not yet at a barrier";
        const char *name = f.file && strrchr(f.file, '/') ? strrchr(f.file, '/') + 1 : f.file;
        if (f.is == RETURNED) strcpy(place, "returned");
        else if (f.what) snprintf(place, sizeof place, "at %s (%s:%d)", f.what, name, f.line);
        length += (size_t)snprintf(now.message + length, 280, "\n  block %u, threads %u to %u: %s", f.block->number,
                                   f.thread, fibers[end - 1].thread, place);
    }
}

void fail(const char *text) {
    describe((size_t)snprintf(now.message, sizeof now.message, "%s", text));
    switch_to(&current->registers, &now.caller);
    __builtin_unreachable();
}

/* ---- waiting ----------------------------------------------------------------------------------------------------- */

/* Any fiber that can run, or that sleeps: what is right in one order alone is not right. */
static void hand_over_to_any() {
    const unsigned all = now.blocks * now.threads;
    order = order * 6364136223846793005u + 1442695040888963407u; /* D. Knuth's MMIX */
    const unsigned start = (unsigned)(order >> 33) % all;
    bool all_sleep = true;
    for (unsigned k = 0; k < all; k++) all_sleep &= !can_run(fibers[k]);
    if (all_sleep && now.idle++ >= PATIENCE * all) fail("no thread can go on");
    for (unsigned k = 0; k < all; k++) {
        fiber &f = fibers[(start + k) % all];
        if (f.is == SLEEPING && &f == current) return (void)(f.is = RUNNING);
        if (f.is == SLEEPING || can_run(f)) return run(&f);
    }
    fail("no thread can go on");
}

/* Let another fiber run; comes back when this one can. */
static void hand_over() {
    if (order) return hand_over_to_any();
    const unsigned lane = current->thread % WARP_SIZE;
    for (unsigned k = 1; k < WARP_SIZE; k++) {
        fiber &f = current[(int)((lane + k) % WARP_SIZE - lane)];
        if (can_run(f)) return run(&f);
    }
    const unsigned self = (unsigned)(current - fibers), all = now.blocks * now.threads;
    const unsigned warp = self - lane, block = self - current->thread;
    for (unsigned k = 0; k < now.threads; k++) {
        fiber &f = fibers[block + (warp - block + WARP_SIZE + k) % now.threads];
        if (can_run(f)) return run(&f);
    }
    for (unsigned k = 0; k < all; k++) {
        fiber &f = fibers[(block + now.threads + k) % all];
        if (can_run(f)) return run(&f);
    }
    if (now.idle++ < PATIENCE * all)
        for (unsigned k = 1; k <= all; k++) {
            fiber &f = fibers[(self + k) % all];
            if (f.is == SLEEPING && &f == current) return (void)(f.is = RUNNING);
            if (f.is == SLEEPING) return run(&f);
        }
    fail("no thread can go on");
}

static void wait_at(gate &g, const char *what, const char *file, int line) {
    fiber *self = current;
    self->what = what, self->file = file, self->line = line;
    if (++g.arrived == g.all) {
        g.arrived = 0, g.opened++;
        return;
    }
    self->is = WAITING, self->at = &g, self->opened = g.opened;
    hand_over();
}

void meet_block(const char *what, const char *file, int line) {
    wait_at(current->block->threads, what, file, line);
    current->passed.block++;
}

void meet_cluster(const char *what, const char *file, int line) {
    wait_at(now.cluster, what, file, line);
    current->passed.team++;
}

const uint64_t *exchange(unsigned mask, uint64_t given, const char *what, const char *file, int line) {
    warp &w = *current->warp;
    current->what = what, current->file = file, current->line = line;
    if (mask != 0xFFFFFFFFu) fail("a mask leaves out lanes of a warp");
    if (w.lanes.arrived == 0) w.what = what, w.file = file, w.line = line;
    else if (w.what != what || w.file != file || w.line != line) fail("lanes of a warp meet at different places");
    uint64_t *all = w.given[w.lanes.opened % 2];
    all[current->thread % WARP_SIZE] = given;
    wait_at(w.lanes, what, file, line);
    return all;
}

void meet_warp(unsigned mask, const char *what, const char *file, int line) {
    exchange(mask, 0, what, file, line);
    current->passed.warp++;
}

void has_met_the_grid() { current->passed.team++; }

void sleep_a_little(const char *file, int line) {
    current->what = "__nanosleep", current->file = file, current->line = line;
    current->is = SLEEPING;
    hand_over();
}

/* ---- launching --------------------------------------------------------------------------------------------------- */

static void thread_of_kernel() {
    now.kernel(now.arguments);
    current->is = RETURNED;
    now.idle = 0;
    if (--now.alive) hand_over();
    switch_to(&current->registers, &now.caller);
}

static char *mapped(size_t bytes) {
    void *memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? nullptr : (char *)memory;
}

/* Where fibers have their stacks, below each a page that is not to be touched. One serves all libraries of a process,
 * since there is a limit to the mappings that a process may have. */
struct stack_memory { char *memory; unsigned guarded; };
static stack_memory *stacks;
extern "C" stack_memory *emulated_stacks() {
    static stack_memory own;
    if (!own.memory) own.memory = mapped((size_t)MOST_FIBERS * (STACK_BYTES + GUARD_BYTES));
    return own.memory ? &own : nullptr;
}
extern "C" void emulated_use_stacks(stack_memory *given) { stacks = given; }

/* Fibers for the blocks from `first` on. False where memory is lacking. */
static bool prepare(unsigned first, size_t shared_bytes) {
    for (unsigned b = 0; b < now.blocks; b++) {
        const size_t statics = (static_bytes() + 127) / 128 * 128;
        char *memory = mapped(statics + shared_bytes);
        if (!memory) return false;
        blocks[b] = {{0, 0, now.threads}, first + b, memory, memory + statics, shared_bytes};
        memset(memory, 0xFF, statics + shared_bytes); /* what nobody has written is not a number */
    }
    for (unsigned k = 0; k < now.blocks * now.threads; k++) {
        fiber &f = fibers[k];
        f.stack = stacks->memory + k * (size_t)(STACK_BYTES + GUARD_BYTES) + GUARD_BYTES;
        if (k >= stacks->guarded && mprotect(f.stack - GUARD_BYTES, GUARD_BYTES, PROT_NONE)) return false;
        if (k >= stacks->guarded) stacks->guarded = k + 1;
        warps[k / WARP_SIZE].lanes = {0, 0, WARP_SIZE};
        f.is = RUNNING, f.what = f.file = nullptr, f.passed = {0, 0, 0};
        f.warp = &warps[k / WARP_SIZE], f.block = &blocks[k / now.threads], f.thread = k % now.threads;
        start_at(&f.registers, f.stack, thread_of_kernel);
    }
    return true;
}

static void give_back(size_t shared_bytes) {
    for (unsigned b = 0; b < now.blocks; b++)
        munmap(blocks[b].statics, (static_bytes() + 127) / 128 * 128 + shared_bytes);
}

/* All blocks of a launch, `together` of them alive at once. nullptr, or what went wrong. */
extern "C" const char *emulated_launch(void (*kernel)(void **), void **arguments, unsigned grid, unsigned threads,
                                       size_t shared_bytes, unsigned together) {
    now.message[0] = 0;
    if (grid == 0 || threads == 0 || threads % WARP_SIZE || threads > 1024) return "no blocks, or no whole warps";
    if ((uint64_t)together * threads > MOST_FIBERS) return "more blocks together than the emulation holds";
    gridDim.x = grid, blockDim.x = threads;
    for (unsigned first = 0; first < grid && !now.message[0]; first += together) {
        now.kernel = kernel, now.arguments = arguments, now.threads = threads, now.idle = 0;
        now.blocks = grid - first < together ? grid - first : together;
        now.alive = now.blocks * threads, now.cluster = {0, 0, now.alive};
        if (!prepare(first, shared_bytes)) return "no memory for the threads of a launch";
        current = fibers, threadIdx.x = 0, blockIdx.x = first;
        memcpy(__start_shared_of_block, blocks[0].statics, static_bytes());
        switch_to(&now.caller, &fibers[0].registers);
        give_back(shared_bytes);
    }
    return now.message[0] ? now.message : nullptr;
}

} // namespace emulated
