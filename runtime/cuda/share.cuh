/* Which part of some work is a warp's. Parts depend on how much there is and on the number of warps alone. */
#ifndef NNC_SHARE_CUH
#define NNC_SHARE_CUH

#include "warp.cuh"

/* One warp of those that run a program together, with scratch memory of its own. */
struct worker { long thread, threads; char *scratch; };

/* From `first` on, before `last`. */
struct share { long first, last; };

/* The warp that calls this, of all that were launched; `scratch` holds scratch_bytes for each. */
INLINE struct worker this_warp(char *scratch, long scratch_bytes) {
    const long warps = blockDim.x / LANES, warp = blockIdx.x * warps + threadIdx.x / LANES;
    return {warp, gridDim.x * warps, scratch + warp * scratch_bytes};
}

INLINE struct share share_between(long first, long last) { return {first, last}; }

/* All of `count` pieces. */
INLINE struct share whole_of(long count) { return {0, count}; }

/* `part` of `parts` instead of a warp of a team: for work whose cut must not depend on the warps. */
INLINE struct worker part_of(long part, long parts) { return {part, parts, nullptr}; }

/* The whole of the work. */
INLINE struct worker alone(struct worker worker) { return {0, 1, worker.scratch}; }

/* a b / c for numbers that are not negative. A GPU divides 32 bits several times faster than 64. */
INLINE long scaled(long a, long b, long c) {
    const uint64_t product = (uint64_t)a * (uint64_t)b;
    return product >> 32 ? (long)(product / (uint64_t)c) : (long)((uint32_t)product / (uint32_t)c);
}

/* An even share of `count` pieces. */
INLINE struct share share_of(long count, struct worker worker) {
    return {scaled(count, worker.thread, worker.threads), scaled(count, worker.thread + 1, worker.threads)};
}

/* As share_of, cut at whole vectors. */
INLINE struct share lanes_of(long count, struct worker worker) {
    const struct share vectors = share_of((count + LANES - 1) / LANES, worker);
    const long last = vectors.last * LANES;
    return {vectors.first * LANES, last < count ? last : count};
}

/* What of a share lies in the `count` pieces from `first` on, counted from there. */
INLINE struct share within(struct share share, long first, long count) {
    const long low = share.first - first, high = share.last - first;
    return {low < 0 ? 0 : low, high > count ? count : high};
}

#endif
