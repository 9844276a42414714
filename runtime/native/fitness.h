/* Whether numbers that a caller gives are ones that a network can take: finite, or indices into a table.
 * `n` numbers from `from` on, one after another. */
#ifndef NNC_FITNESS_H
#define NNC_FITNESS_H

#include "rows.h"

/* No NaN, no infinity: only of those x - x is not 0. */
#define FINITE(kind, element, vector)                                                                  \
    INLINE int all_finite_##kind(const element *from, long n) {                                        \
        vector sum[4] = {{0}};                                                                         \
        long k = 0;                                                                                    \
        for (; k + 4 * LANES <= n; k += 4 * LANES) {                                                   \
            UNROLL for (int j = 0; j < 4; j++) {                                                       \
                const vector x = load_##kind(from + k + j * LANES, LANES);                             \
                sum[j] += x - x;                                                                       \
            }                                                                                          \
        }                                                                                              \
        for (; k < n; k += LANES) {                                                                    \
            const vector x = load_##kind(from + k, n - k < LANES ? n - k : LANES);                     \
            sum[0] += x - x;                                                                           \
        }                                                                                              \
        return sum_lanes_##kind((sum[0] + sum[1]) + (sum[2] + sum[3])) == 0;                           \
    }
FINITE(f32, float, f32v)
FINITE(f64, double, f64v)
#undef FINITE

/* From 0 to limit - 1. */
#define BELOW(kind, element)                                                                           \
    INLINE int all_below_##kind(const element *from, long n, int64_t limit) {                          \
        int is_beyond = 0;                                                                             \
        for (long k = 0; k < n; k++) is_beyond |= (from[k] < 0) | ((int64_t)from[k] >= limit);         \
        return !is_beyond;                                                                             \
    }
BELOW(i32, int32_t)
BELOW(i64, int64_t)
INLINE int all_below_u8(const uint8_t *from, long n, int64_t limit) {
    int is_beyond = 0;
    for (long k = 0; k < n; k++) is_beyond |= from[k] >= limit;
    return !is_beyond;
}
#undef BELOW

#endif
