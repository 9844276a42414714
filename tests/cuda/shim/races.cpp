/* Which accesses to memory no barrier puts in order: two threads, one of them writes, and nothing says who comes first.
 *
 * Linked where kernels are compiled with -fsanitize=thread, whose calls for each read and write come here instead of to
 * its own library, which knows nothing of warps. Accesses are in order if they are one thread's; or if between them lie
 * a __syncwarp of the warp of both, a __syncthreads of the block of both, a meeting of all blocks, or another launch.
 * Shuffles put nothing in order, as on a GPU. Remembered is the last write of each byte, and its last two readers.
 */
#include "fibers.h"

#include <dlfcn.h>
#include <stdio.h>

#include <memory>
#include <unordered_map>

namespace emulated {

struct access {
    uint64_t thread = 0; /* of all of a launch, from 1; 0: there was none */
    struct passed passed = {};
    uint32_t launch = 0;
    const char *place = nullptr; /* in the machine's code */
};
struct history { access write, reads[2]; };

enum { PAGE_BYTES = 1 << 12 };
struct page { history of[PAGE_BYTES]; };

static std::unordered_map<uintptr_t, std::unique_ptr<page>> pages;
static uintptr_t last_number = ~(uintptr_t)0;
static page *last_page;
static uint32_t launches;
extern "C" void emulated_new_launch() { launches++; }

static bool in_order(const access &before, const access &after) {
    if (before.thread == 0 || before.thread == after.thread || before.launch != after.launch) return true;
    if (before.passed.team != after.passed.team) return true;
    const uint64_t a = before.thread - 1, b = after.thread - 1;
    if (a / blockDim.x != b / blockDim.x) return false;
    if (before.passed.block != after.passed.block) return true;
    return a / WARP_SIZE == b / WARP_SIZE && before.passed.warp != after.passed.warp;
}

/* Where in the library's code, for addr2line: the call lies before the address that it returns to. */
static unsigned long offset_of(const char *place) {
    Dl_info info;
    return dladdr(place, &info) ? (unsigned long)(place - 1 - (const char *)info.dli_fbase) : 0;
}

[[noreturn]] static void report(const access &before, const access &after, const char *what) {
    static char text[300];
    const uint64_t a = before.thread - 1, b = after.thread - 1;
    snprintf(text, sizeof text, "%s in no order: block %u thread %u at {0x%lx}, block %u thread %u at {0x%lx}", what,
             (unsigned)(a / blockDim.x), (unsigned)(a % blockDim.x), offset_of(before.place),
             (unsigned)(b / blockDim.x), (unsigned)(b % blockDim.x), offset_of(after.place));
    fail(text);
}

static page &page_of(uintptr_t number) {
    if (number != last_number) {
        std::unique_ptr<page> &found = pages[number];
        if (!found) found.reset(new page);
        last_number = number, last_page = found.get();
    }
    return *last_page;
}

static bool is_own(const char *p) {
    const char *const mine[] = {(char *)&threadIdx, (char *)&blockIdx, (char *)&blockDim, (char *)&gridDim};
    for (const char *from : mine)
        if (p >= from && p < from + sizeof(dim3)) return true;
    if (p >= (char *)&current && p < (char *)(&current + 1)) return true;
    return p >= current->stack && p < current->stack + STACK_BYTES;
}

/* The address that tells bytes apart: every block has shared memory of its own, though at the same place. */
static uintptr_t address_of(const char *p) {
    const block &b = *current->block;
    const size_t statics = (size_t)(__stop_shared_of_block - __start_shared_of_block);
    const uintptr_t own = (uintptr_t)1 << 63 | (uintptr_t)b.number << 32;
    if (p >= __start_shared_of_block && p < __stop_shared_of_block) return own + (uintptr_t)(p - __start_shared_of_block);
    if (p >= b.dynamic && p < b.dynamic + b.dynamic_bytes) return own + statics + (uintptr_t)(p - b.dynamic);
    return (uintptr_t)p;
}

static void touch(const void *where, size_t bytes, bool writes, const void *place) {
    const char *p = (const char *)where;
    if (!current || is_own(p)) return;
    const uintptr_t address = address_of(p);
    const uint64_t thread = blockIdx.x * (uint64_t)blockDim.x + threadIdx.x + 1;
    const access mine = {thread, current->passed, launches, (const char *)place};
    for (size_t k = 0; k < bytes; k++) {
        history &h = page_of((address + k) / PAGE_BYTES).of[(address + k) % PAGE_BYTES];
        if (!in_order(h.write, mine)) report(h.write, mine, writes ? "two writes" : "a write and a read");
        if (!writes) {
            if (h.reads[0].thread != mine.thread) h.reads[1] = h.reads[0];
            h.reads[0] = mine;
            continue;
        }
        for (const access &read : h.reads)
            if (!in_order(read, mine)) report(read, mine, "a read and a write");
        h.write = mine;
    }
}

} // namespace emulated

#define CALLER_OF_THIS __builtin_return_address(0)
#define ACCESSES(name, writes)                                                                         \
    extern "C" void __tsan_##name##1(void *p) { emulated::touch(p, 1, writes, CALLER_OF_THIS); }       \
    extern "C" void __tsan_##name##2(void *p) { emulated::touch(p, 2, writes, CALLER_OF_THIS); }       \
    extern "C" void __tsan_##name##4(void *p) { emulated::touch(p, 4, writes, CALLER_OF_THIS); }       \
    extern "C" void __tsan_##name##8(void *p) { emulated::touch(p, 8, writes, CALLER_OF_THIS); }       \
    extern "C" void __tsan_##name##16(void *p) { emulated::touch(p, 16, writes, CALLER_OF_THIS); }     \
    extern "C" void __tsan_##name##_range(void *p, unsigned long n) { emulated::touch(p, n, writes, CALLER_OF_THIS); }
ACCESSES(read, false)
ACCESSES(write, true)
ACCESSES(unaligned_read, false)
ACCESSES(unaligned_write, true)

/* Volatile words are what threads wait for: they have no order, and need none. */
#define VOLATILE(bytes)                                                                                \
    extern "C" void __tsan_volatile_read##bytes(void *) {}                                             \
    extern "C" void __tsan_volatile_write##bytes(void *) {}
VOLATILE(1)
VOLATILE(2)
VOLATILE(4)
VOLATILE(8)
VOLATILE(16)
extern "C" void __tsan_init() {}
extern "C" void __tsan_func_entry(void *) {}
extern "C" void __tsan_func_exit() {}
