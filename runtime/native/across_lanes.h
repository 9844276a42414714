/* What mixes the lanes of vectors: reductions to one number and transposes. Included by vector.h, whose types it uses. */
#ifndef NNC_ACROSS_LANES_H
#define NNC_ACROSS_LANES_H

/* SHUFFLE(a, b, k, ...): lane numbers below LANES take from a, the others from b. */
#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (i32v){__VA_ARGS__})
#endif
#if LANES == 16
#define EVERY_LANE(f, h)                                                                               \
    f(0, h), f(1, h), f(2, h), f(3, h), f(4, h), f(5, h), f(6, h), f(7, h), f(8, h), f(9, h),          \
        f(10, h), f(11, h), f(12, h), f(13, h), f(14, h), f(15, h)
#elif LANES == 8
#define EVERY_LANE(f, h) f(0, h), f(1, h), f(2, h), f(3, h), f(4, h), f(5, h), f(6, h), f(7, h)
#else
#define EVERY_LANE(f, h) f(0, h), f(1, h), f(2, h), f(3, h)
#endif

/* Lanes that differ in bit h change places. */
#define PARTNER(k, h) ((k) ^ (h))
#define PARTNERS(v, h) SHUFFLE(v, v, EVERY_LANE(PARTNER, h))

/* Reductions fold the upper half onto the lower one until one lane is left: the order never changes. */
#if LANES == 16
#define FOLD(v, f) v = f(v, PARTNERS(v, 8)), v = f(v, PARTNERS(v, 4)), v = f(v, PARTNERS(v, 2)), v = f(v, PARTNERS(v, 1))
#elif LANES == 8
#define FOLD(v, f) v = f(v, PARTNERS(v, 4)), v = f(v, PARTNERS(v, 2)), v = f(v, PARTNERS(v, 1))
#else
#define FOLD(v, f) v = f(v, PARTNERS(v, 2)), v = f(v, PARTNERS(v, 1))
#endif
INLINE f32v add_f32(f32v a, f32v b) { return a + b; }
INLINE i32v add_i32(i32v a, i32v b) { return (i32v)((u32v)a + (u32v)b); }
INLINE float sum_lanes_f32(f32v v) { return FOLD(v, add_f32), v[0]; }
INLINE float max_lanes_f32(f32v v) { return FOLD(v, maximum_f32), v[0]; }
INLINE float min_lanes_f32(f32v v) { return FOLD(v, minimum_f32), v[0]; }
INLINE int32_t sum_lanes_i32(i32v v) { return FOLD(v, add_i32), v[0]; }
INLINE int32_t max_lanes_i32(i32v v) { return FOLD(v, maximum_i32), v[0]; }
INLINE int32_t min_lanes_i32(i32v v) { return FOLD(v, minimum_i32), v[0]; }

/* The same order for 64-bit elements, each step on the lanes that are left. */
#define LANE_REDUCTION(name, element, vector, take)                                                    \
    INLINE element name(vector v) {                                                                    \
        element left[LANES];                                                                           \
        UNROLL for (int k = 0; k < LANES; k++) left[k] = v[k];                                         \
        UNROLL for (int h = LANES / 2; h > 0; h /= 2)                                                  \
            UNROLL for (int k = 0; k < h; k++) left[k] = take(left[k], left[k + h]);                   \
        return left[0];                                                                                \
    }
#define SUM(a, b) ((a) + (b))
#define WRAPPING_SUM(a, b) ((int64_t)((uint64_t)(a) + (uint64_t)(b)))
#define LARGER(a, b) ((a) > (b) || (a) != (a) ? (a) : (b))
#define SMALLER(a, b) ((a) < (b) || (a) != (a) ? (a) : (b))
LANE_REDUCTION(sum_lanes_f64, double, f64v, SUM)
LANE_REDUCTION(max_lanes_f64, double, f64v, LARGER)
LANE_REDUCTION(min_lanes_f64, double, f64v, SMALLER)
LANE_REDUCTION(sum_lanes_i64, int64_t, i64v, WRAPPING_SUM)
LANE_REDUCTION(max_lanes_i64, int64_t, i64v, LARGER)
LANE_REDUCTION(min_lanes_i64, int64_t, i64v, SMALLER)
#undef LANE_REDUCTION
#undef SUM
#undef WRAPPING_SUM
#undef LARGER
#undef SMALLER

/* Rows to columns: lane j of r[i] and lane i of r[j] change places. Step h exchanges the blocks of h x h elements that
 * stand off the diagonal of each block of 2h x 2h (Eklundh, "A fast computer method for matrix transposing", 1972). */
#define UPPER(k, h) ((k) & (h) ? LANES + (k) - (h) : (k))
#define LOWER(k, h) ((k) & (h) ? LANES + (k) : (k) + (h))
#define EXCHANGE(r, h)                                                                                 \
    UNROLL for (int i = 0; i < LANES; i++) if (!(i & (h))) {                                           \
        f32v upper = r[i], lower = r[i + (h)];                                                         \
        r[i] = SHUFFLE(upper, lower, EVERY_LANE(UPPER, h));                                            \
        r[i + (h)] = SHUFFLE(upper, lower, EVERY_LANE(LOWER, h));                                      \
    }
INLINE void transpose_f32(f32v r[LANES]) {
#if LANES == 16
    EXCHANGE(r, 8)
#endif
#if LANES >= 8
    EXCHANGE(r, 4)
#endif
    EXCHANGE(r, 2)
    EXCHANGE(r, 1)
}
INLINE void transpose_f64(f64v r[LANES]) {
    UNROLL for (int i = 0; i < LANES; i++) UNROLL for (int j = 0; j < i; j++) {
        double upper = r[j][i];
        r[j][i] = r[i][j];
        r[i][j] = upper;
    }
}

#endif
