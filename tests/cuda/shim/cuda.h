/* The words of CUDA C++ that printed kernels use, for a compiler of C++ on the processor. Included before the kernels. */
#ifndef NNC_EMULATED_CUDA_H
#define NNC_EMULATED_CUDA_H

#include <math.h>
#include <string.h>

#include <type_traits>
#include <utility>

#include "fibers.h"

#define EMULATED

#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __shared__ static SHARED_SECTION
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(...)
#define __cluster_dims__(...)

struct __align__(8) uint2 { unsigned x, y; };
struct __align__(16) uint4 { unsigned x, y, z, w; };
struct __align__(8) int2 { int x, y; };
struct __align__(16) int4 { int x, y, z, w; };
struct __align__(8) float2 { float x, y; };
struct __align__(16) float4 { float x, y, z, w; };
struct __align__(16) double2 { double x, y; };
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static inline double2 make_double2(double x, double y) { return {x, y}; }

/* ---- barriers, and what lanes tell each other; line and file are the caller's ------------------------------------- */

#define CALLER const char *file = __builtin_FILE(), int line = __builtin_LINE()

static inline void __syncwarp(unsigned mask = 0xFFFFFFFFu, CALLER) {
    emulated::meet_warp(mask, "__syncwarp", file, line);
}
static inline void __syncthreads(CALLER) {
    emulated::meet_block("__syncthreads", file, line);
}
static inline void __nanosleep(unsigned, CALLER) { emulated::sleep_a_little(file, line); }

template <class T> static inline uint64_t bits_of(T value) {
    static_assert(sizeof(T) <= 8, "lanes exchange at most 8 bytes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    return bits;
}
template <class T> static inline T value_of(uint64_t bits) {
    T value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
/* The lane that a lane of `width` neighbours reads: `other` if it is one of them, else itself. */
static inline unsigned neighbour(unsigned lane, unsigned other, unsigned width) {
    return lane / width == other / width ? other : lane;
}
#define SHUFFLE(name, other)                                                                           \
    template <class T> static inline T name(unsigned mask, T value, unsigned by, unsigned width = 32, CALLER) { \
        const unsigned lane = threadIdx.x % 32;                                                        \
        const uint64_t *given = emulated::exchange(mask, bits_of(value), #name, file, line);           \
        return value_of<T>(given[neighbour(lane, other, width)]);                                      \
    }
SHUFFLE(__shfl_sync, lane / width * width + by % width)
SHUFFLE(__shfl_xor_sync, lane ^ by)
SHUFFLE(__shfl_up_sync, lane < by ? lane : lane - by)
SHUFFLE(__shfl_down_sync, lane + by)
#undef SHUFFLE

static inline unsigned __ballot_sync(unsigned mask, int truth, CALLER) {
    const uint64_t *given = emulated::exchange(mask, truth != 0, "__ballot_sync", file, line);
    unsigned bits = 0;
    for (unsigned k = 0; k < 32; k++) bits |= (unsigned)given[k] << k;
    return bits;
}
static inline int __any_sync(unsigned mask, int truth, CALLER) { return __ballot_sync(mask, truth, file, line) != 0; }
static inline int __all_sync(unsigned mask, int truth, CALLER) { return __ballot_sync(mask, truth, file, line) == ~0u; }

/* ---- memory: one fiber runs at a time, so whatever it does is whole and seen by all -------------------------------- */

#define ATOMIC template <class T> static inline __attribute__((no_sanitize("thread"), noinline)) T
static inline void __threadfence() {}
static inline void __threadfence_block() {}
ATOMIC atomicAdd(T *place, std::common_type_t<T> number) {
    const T before = *place;
    *place = before + number;
    return before;
}
ATOMIC atomicExch(T *place, std::common_type_t<T> number) {
    const T before = *place;
    *place = number;
    return before;
}
#undef ATOMIC
template <class T> static inline T __ldg(const T *place) { return *place; }
template <class T> static inline T __ldcg(const T *place) { return *place; }
#define DYNAMIC_SHARED(name) char *const name = emulated::current->block->dynamic

/* ---- arithmetic -------------------------------------------------------------------------------------------------- */

static inline int __ffs(int bits) { return __builtin_ffs(bits); }
static inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
static inline int __clz(int bits) { return bits ? __builtin_clz((unsigned)bits) : 32; }
static inline float __int_as_float(int bits) { return value_of<float>((uint32_t)bits); }
static inline float __uint_as_float(unsigned bits) { return value_of<float>(bits); }
static inline int __float_as_int(float value) { return (int)bits_of(value); }
static inline unsigned __float_as_uint(float value) { return (unsigned)bits_of(value); }
static inline float rsqrtf(float x) { return (float)(1 / sqrt((double)x)); }
static inline void sincospi(double x, double *sine, double *cosine) {
    const double angle = M_PI * fmod(x, 2);
    *sine = sin(angle), *cosine = cos(angle);
}

/* ---- kernels, called by an array of pointers to their arguments ----------------------------------------------------- */

namespace emulated {
template <class... A, size_t... K> void call(void (*kernel)(A...), void **arguments, std::index_sequence<K...>) {
    kernel(*(std::remove_const_t<A> *)arguments[K]...);
}
template <class... A> void call(void (*kernel)(A...), void **arguments) {
    call(kernel, arguments, std::index_sequence_for<A...>());
}
} // namespace emulated

#endif
