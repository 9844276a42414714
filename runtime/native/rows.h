/* Rows of memory: sums of many rows, the place of the largest element, rows by index, batches gathered. */
#ifndef NNC_ROWS_H
#define NNC_ROWS_H

#include "share.h"

void *memcpy(void *, const void *, unsigned long);

/* True in the first n lanes. */
INLINE maskv lanes_below(long n) { return lane_numbers() < all_i32((int32_t)n); }

#define EVERY_NUMBER(f) f(f32, float, f32v) f(f64, double, f64v) f(i32, int32_t, i32v) f(i64, int64_t, i64v)

/* The same number n times. */
#define FILL(kind, element, vector)                                                                    \
    INLINE void fill_##kind(element *to, long n, element number) {                                     \
        for (long k = 0; k < n; k++) to[k] = number;                                                   \
    }
EVERY_NUMBER(FILL)
#undef FILL

/* <operator>_rows: n lanes of `count` rows `stride` apart, combined. Four at a time, in an order that never changes.
 * <operator>_all: all of `count` numbers, combined. */
#define ROWS(operator, kind, element, vector, combine, start)                                          \
    INLINE vector operator##_rows_##kind(const element *from, long stride, long count, long n) {       \
        vector total[4];                                                                               \
        UNROLL for (int k = 0; k < 4; k++) total[k] = all_##kind(start);                               \
        long row = 0;                                                                                  \
        for (; row + 4 <= count; row += 4) {                                                           \
            UNROLL for (int k = 0; k < 4; k++)                                                         \
                total[k] = combine(total[k], load_##kind(from + (row + k) * stride, n));               \
        }                                                                                              \
        for (; row < count; row++) total[0] = combine(total[0], load_##kind(from + row * stride, n));  \
        return combine(combine(total[0], total[1]), combine(total[2], total[3]));                      \
    }                                                                                                  \
    INLINE element operator##_all_##kind(const element *from, long count) {                            \
        vector total = all_##kind(start);                                                              \
        long k = 0;                                                                                    \
        for (; k + LANES <= count; k += LANES) total = combine(total, load_##kind(from + k, LANES));   \
        if (k < count) {                                                                               \
            const vector last = load_##kind(from + k, count - k);                                      \
            total = combine(total, select_##kind(lanes_below(count - k), last, all_##kind(start)));    \
        }                                                                                              \
        return operator##_lanes_##kind(total);                                                         \
    }
#define PLUS(a, b) ((a) + (b))
ROWS(sum, f32, float, f32v, PLUS, 0)
ROWS(sum, f64, double, f64v, PLUS, 0)
ROWS(sum, i32, int32_t, i32v, PLUS, 0)
ROWS(sum, i64, int64_t, i64v, PLUS, 0)
ROWS(max, f32, float, f32v, maximum_f32, -__builtin_inff())
ROWS(max, f64, double, f64v, maximum_f64, -__builtin_inf())
ROWS(min, f32, float, f32v, minimum_f32, __builtin_inff())
ROWS(min, f64, double, f64v, minimum_f64, __builtin_inf())
#undef ROWS
#undef PLUS

/* argmax: the first of the largest among n elements; a NaN is larger than any number, as in NumPy. */
#define ARGMAX(kind, element, vector)                                                                  \
    INLINE long argmax_##kind(const element *from, long n) {                                           \
        long best = 0;                                                                                 \
        for (long k = 1; k < n; k++) {                                                                 \
            if (from[best] != from[best]) break;                                                       \
            if (from[k] > from[best] || from[k] != from[k]) best = k;                                  \
        }                                                                                              \
        return best;                                                                                   \
    }                                                                                                  \
    INLINE long argmax_lanes_##kind(vector v, long n) {                                                \
        const vector inside = select_##kind(lanes_below(n), v, all_##kind(v[0]));                      \
        const element largest = max_lanes_##kind(inside);                                              \
        const maskv found = largest == largest ? eq_##kind(inside, all_##kind(largest)) : ne_##kind(inside, inside); \
        return min_lanes_i32(select_i32(found, lane_numbers(), all_i32(LANES)));                       \
    }
EVERY_NUMBER(ARGMAX)
#undef ARGMAX

/* argmax, a candidate at a time: lanes where `next`, number `place`, is the first that is larger than all before. */
#define TAKE_LARGER(kind, element, vector)                                                             \
    INLINE void take_larger_##kind(vector *largest, vector *where, vector next, int place) {           \
        const maskv is_first_nan = and_mask(ne_##kind(next, next), eq_##kind(*largest, *largest));      \
        const maskv is_larger = or_mask(gt_##kind(next, *largest), is_first_nan);                      \
        *largest = select_##kind(is_larger, next, *largest);                                           \
        *where = select_##kind(is_larger, all_##kind((element)place), *where);                         \
    }
EVERY_NUMBER(TAKE_LARGER)
#undef TAKE_LARGER

/* LANES rows of `width` numbers, `stride` apart, of which n are there: lane k of to[j] is column j of row k. */
SHARED void columns_f32(const float *from, long stride, long n, long width, f32v *to) {
    f32v block[LANES];
    UNROLL for (int k = 0; k < LANES; k++) block[k] = k < n ? load_f32(from + k * stride, width) : all_f32(0);
    transpose_f32(block);
    UNROLL for (int k = 0; k < LANES; k++) if (k < width) to[k] = block[k];
}

/* The way back. */
SHARED void rows_f32(float *to, long stride, long n, long width, const f32v *from) {
    f32v block[LANES];
    UNROLL for (int k = 0; k < LANES; k++) block[k] = k < width ? from[k] : all_f32(0);
    transpose_f32(block);
    UNROLL for (int k = 0; k < LANES; k++) if (k < n) store_f32(to + k * stride, block[k], width);
}

/* to: rows part.first up to part.last of a table of `width` columns. Each of the `count` rows of `from`, `stride` apart,
 * is added to the row that its index names, if it is one of these. In the order of `from`, so always the same sum. */
#define SCATTER_ADD(kind, element, vector, index_kind, index_element)                                  \
    INLINE void scatter_add_##kind##_##index_kind(element *to, struct share part, long width,          \
                                                  const index_element *indices, long index_stride, long count, \
                                                  const element *from, long stride) {                  \
        for (long row = 0; row < count; row++) {                                                       \
            const long index = (long)indices[row * index_stride];                                      \
            if (index < part.first || index >= part.last) continue;                                    \
            element *sum = to + index * width;                                                         \
            for (long k = 0; k < width; k += LANES) {                                                  \
                const long n = width - k < LANES ? width - k : LANES;                                  \
                store_##kind(sum + k, load_##kind(sum + k, n) + load_##kind(from + row * stride + k, n), n); \
            }                                                                                          \
        }                                                                                              \
    }
#define EVERY_INDEX(f, kind, element, vector)                                                          \
    f(kind, element, vector, u8, uint8_t) f(kind, element, vector, i32, int32_t) f(kind, element, vector, i64, int64_t)
EVERY_INDEX(SCATTER_ADD, f32, float, f32v)
EVERY_INDEX(SCATTER_ADD, f64, double, f64v)
#undef SCATTER_ADD

/* One sample after another, `stride` bytes apart. */
struct feed { const char *data; int64_t stride; };

INLINE const char *sample_of(struct feed feed, int64_t number) { return feed.data + number * feed.stride; }

/* Rows of `bytes` bytes, `stride` apart, in the order of `numbers`: a thread's part of a batch. */
INLINE void take_rows(char *to, const char *from, long stride, long bytes, const int64_t *numbers, struct share part) {
    for (long row = part.first; row < part.last; row++) memcpy(to + row * bytes, from + numbers[row] * stride, (unsigned long)bytes);
}

#endif
