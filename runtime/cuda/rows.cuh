/* Rows of memory: sums of many rows, the place of the largest element, rows by index, batches gathered.
 *
 * Functions whose lanes read or write elements of other lanes settle first and last.
 */
#ifndef NNC_ROWS_CUH
#define NNC_ROWS_CUH

#include "share.cuh"

/* The same number n times. */
#define FILL(kind, element, vector)                                                                    \
    INLINE void fill_##kind(element *to, long n, element number) {                                     \
        settle();                                                                                      \
        for (long k = lane_numbers(); k < n; k += LANES) to[k] = number;                               \
        settle();                                                                                      \
    }
EVERY_NUMBER(FILL)
#undef FILL

/* <operator>_rows: n lanes of `count` rows `stride` apart, combined. <operator>_all: all of `count` numbers, combined.
 * So many at a time, in an order that never changes: memory is far away, and loads wait for it together. Beyond the end
 * the last number is loaded again, and left out. */
#define AT_ONCE 16
#define ROWS(operator, kind, element, vector, combine, start)                                          \
    INLINE vector operator##_total_##kind(vector (&total)[AT_ONCE]) {                                  \
        UNROLL for (int h = AT_ONCE / 2; h > 0; h /= 2)                                                \
            UNROLL for (int k = 0; k < h; k++) total[k] = combine(total[k], total[k + h]);             \
        return total[0];                                                                               \
    }                                                                                                  \
    INLINE vector operator##_rows_##kind(const element *from, long stride, long count, long n) {       \
        vector total[AT_ONCE], next[AT_ONCE];                                                          \
        UNROLL for (int k = 0; k < AT_ONCE; k++) total[k] = start;                                     \
        for (long row = 0; row < count; row += AT_ONCE) {                                              \
            UNROLL for (int k = 0; k < AT_ONCE; k++)                                                   \
                next[k] = load_##kind(from + (row + k < count ? row + k : count - 1) * stride, n);     \
            UNROLL for (int k = 0; k < AT_ONCE; k++)                                                   \
                total[k] = row + k < count ? combine(total[k], next[k]) : total[k];                    \
        }                                                                                              \
        return operator##_total_##kind(total);                                                         \
    }                                                                                                  \
    INLINE element operator##_all_##kind(const element *from, long count) {                            \
        vector total[AT_ONCE], next[AT_ONCE];                                                          \
        UNROLL for (int k = 0; k < AT_ONCE; k++) total[k] = start;                                     \
        for (long first = 0; first < count; first += AT_ONCE * LANES) {                                \
            const long own = first + lane_numbers();                                                   \
            UNROLL for (int k = 0; k < AT_ONCE; k++)                                                   \
                next[k] = from[own + k * LANES < count ? own + k * LANES : count - 1];                 \
            UNROLL for (int k = 0; k < AT_ONCE; k++)                                                   \
                total[k] = own + k * LANES < count ? combine(total[k], next[k]) : total[k];            \
        }                                                                                              \
        return operator##_lanes_##kind(operator##_total_##kind(total));                                \
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
#undef AT_ONCE
#undef PLUS

/* argmax: the first of the largest among n elements; a NaN is larger than any number, as in NumPy.
 * argmax_lanes: the same for the first n lanes.
 * take_larger: a candidate at a time; lanes where `next`, number `place`, is the first that is larger than all before. */
#define ARGMAX(kind, element, vector)                                                                  \
    /* Whether a, at i, comes before b, at k. */                                                       \
    INLINE bool is_before_##kind(element a, int32_t i, element b, int32_t k) {                         \
        if (a != a) return b == b || i < k;                                                            \
        return b == b && (a > b || (a == b && i < k));                                                 \
    }                                                                                                  \
    INLINE long argmax_##kind(const element *from, long n) {                                           \
        settle();                                                                                      \
        element best = from[0];                                                                        \
        int32_t where = 0;                                                                             \
        for (int32_t k = lane_numbers(); k < n; k += LANES)                                            \
            if (is_before_##kind(from[k], k, best, where)) best = from[k], where = k;                  \
        UNROLL for (int h = LANES / 2; h > 0; h /= 2) {                                                \
            const element other = __shfl_xor_sync(ALL_LANES, best, h);                                 \
            const int32_t place = __shfl_xor_sync(ALL_LANES, where, h);                                \
            if (is_before_##kind(other, place, best, where)) best = other, where = place;              \
        }                                                                                              \
        settle();                                                                                      \
        return where;                                                                                  \
    }                                                                                                  \
    INLINE long argmax_lanes_##kind(vector v, long n) {                                                \
        const vector first = __shfl_sync(ALL_LANES, v, 0);                                             \
        const vector inside = lane_numbers() < (i32v)n ? v : first;                                    \
        const element largest = max_lanes_##kind(inside);                                              \
        const bool found = largest == largest ? inside == largest : inside != inside;                  \
        return __ffs((int)__ballot_sync(ALL_LANES, found)) - 1;                                        \
    }                                                                                                  \
    INLINE void take_larger_##kind(vector *largest, vector *where, vector next, int place) {           \
        const bool is_first_nan = next != next && *largest == *largest;                                \
        if (next > *largest || is_first_nan) *largest = next, *where = (vector)place;                  \
    }
EVERY_NUMBER(ARGMAX)
#undef ARGMAX

/* LANES rows of `width` numbers, `stride` apart, of which n are there: lane k of to[j] is column j of row k. */
INLINE void columns_f32(const float *from, long stride, long n, long width, f32v *to) {
    UNROLL for (long j = 0; j < width; j++) to[j] = stride_f32(from + j, stride, n);
}

/* The way back. */
INLINE void rows_f32(float *to, long stride, long n, long width, const f32v *from) {
    UNROLL for (long j = 0; j < width; j++) store_stride_f32(to + j, stride, from[j], n);
}

/* to: rows part.first up to part.last of a table of `width` columns. Each of the `count` rows of `from`, `stride` apart,
 * is added to the row that its index names, if it is one of these. In the order of `from`, so always the same sum. The
 * lanes look at LANES indices at once, then add the rows found, one after another. */
#define SCATTER_ADD(kind, element, vector, index_kind, index_element)                                  \
    SHARED void scatter_add_##kind##_##index_kind(element *to, struct share part, long width,          \
                                                  const index_element *indices, long index_stride, long count, \
                                                  const element *from, long stride) {                  \
        settle();                                                                                      \
        for (long first = 0; first < count; first += LANES) {                                          \
            const long row = first + lane_numbers();                                                   \
            const long index = row < count ? (long)indices[row * index_stride] : part.last;            \
            uint32_t found = __ballot_sync(ALL_LANES, index >= part.first && index < part.last);       \
            for (; found; found &= found - 1) {                                                        \
                const int k = __ffs((int)found) - 1;                                                   \
                element *sum = to + __shfl_sync(ALL_LANES, index, k) * width;                          \
                const element *added = from + (first + k) * stride;                                    \
                for (long j = lane_numbers(); j < width; j += LANES) sum[j] += added[j];               \
            }                                                                                          \
        }                                                                                              \
        settle();                                                                                      \
    }
#define EVERY_INDEX(f, kind, element, vector)                                                          \
    f(kind, element, vector, u8, uint8_t) f(kind, element, vector, i32, int32_t) f(kind, element, vector, i64, int64_t)
EVERY_INDEX(SCATTER_ADD, f32, float, f32v)
EVERY_INDEX(SCATTER_ADD, f64, double, f64v)
#undef SCATTER_ADD

/* Rows as words of one size: a row for all lanes, or where rows are short, as many rows as lanes have words for. */
#define TAKE_WORDS(name, word)                                                                         \
    INLINE void name(char *to, const char *from, long stride, long bytes, const int64_t *numbers, struct share part) { \
        const long words = bytes / (long)sizeof(word);                                                 \
        const int wide = words < LANES ? (int)words : LANES, high = LANES / wide;                      \
        const int lane = lane_numbers(), first = lane % wide;                                          \
        if (lane < wide * high)                                                                        \
            for (long row = part.first + lane / wide; row < part.last; row += high) {                  \
                const word *source = (const word *)(from + numbers[row] * stride);                     \
                for (long k = first; k < words; k += wide) ((word *)(to + row * bytes))[k] = source[k]; \
            }                                                                                          \
    }
TAKE_WORDS(take_words_16, uint4)
TAKE_WORDS(take_words_4, uint32_t)
TAKE_WORDS(take_words_1, uint8_t)
#undef TAKE_WORDS

/* Rows of `bytes` bytes, `stride` apart, in the order of `numbers`: a warp's part of a batch. */
SHARED void take_rows(char *to, const char *from, long stride, long bytes, const int64_t *numbers, struct share part) {
    const uint64_t all = (uint64_t)to | (uint64_t)from | (uint64_t)stride | (uint64_t)bytes;
    settle();
    if (bytes <= 0) return;
    if (all % sizeof(uint4) == 0) take_words_16(to, from, stride, bytes, numbers, part);
    else if (all % sizeof(uint32_t) == 0) take_words_4(to, from, stride, bytes, numbers, part);
    else take_words_1(to, from, stride, bytes, numbers, part);
    settle();
}

#endif
