/* Numbers rounded to bfloat16, two in each lane: neighbours along the index that a product sums over.
 *
 * A product of bfloat16 multiplies a pair of the left operand by a pair of the right one in every lane. So both are
 * rounded (to nearest, of two to the even one) and put in pairs before: the left operand by blocks of rows, the right
 * one panel by panel. "Along" is for a matrix whose rows run along the summed index, where two numbers of a pair lie
 * side by side; "across" for one whose rows lie across it, where they stand one below the other. What is missing is
 * zero. The instructions for this have other names in every compiler, so they stand here as assembler.
 */
#ifndef NNC_PAIRS_H
#define NNC_PAIRS_H

#include "share.h"

#if LANES != 16
#error "products of bfloat16 need registers of 512 bits"
#endif

typedef uint16_t u16_pairs __attribute__((vector_size(64), may_alias));

/* The bfloat16 of `first` in the lower half of the result, of `second` in the upper half. */
INLINE u16_pairs rounded(f32v first, f32v second) {
    u16_pairs both;
    __asm__("vcvtne2ps2bf16 %2, %1, %0" : "=v"(both) : "v"(second), "v"(first));
    return both;
}

/* The numbers of two vectors, alternating. */
INLINE u16_pairs alternating(u16_pairs halves) {
    const u16_pairs order = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23,
                             8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    u16_pairs result;
    __asm__("vpermw %2, %1, %0" : "=v"(result) : "v"(order), "v"(halves));
    return result;
}

/* Up to n numbers from p on, 0 beyond; n may be 0 or less. */
INLINE f32v numbers_at(const float *p, long n) {
    return n >= LANES ? load_f32(p, LANES) : n > 0 ? load_f32(p, n) : (f32v){0};
}

/* LANES pairs of the numbers from p on, of which there are `left`. */
INLINE f32v pairs_along(const float *p, long left) {
    return (f32v)rounded(numbers_at(p, left), numbers_at(p + LANES, left - LANES));
}

/* Pairs of n numbers from p on with those a `step` further, if `left`, the number of such rows, is more than 1. */
INLINE f32v pairs_across(const float *p, long step, long left, long n) {
    const f32v even = left > 0 ? numbers_at(p, n) : (f32v){0};
    const f32v odd = left > 1 ? numbers_at(p + step, n) : (f32v){0};
    return (f32v)alternating(rounded(even, odd));
}

/* ---- the left operand: blocks of 16 rows, in each 16 pairs of every row, then the next 16 ----------------------- */

/* Pairs of a row, filled up with zeros.
 * Pair r of row i is at (i / 16 * 16) * pairs + r / 16 * 256 + i % 16 * 16 + r % 16. */
#define PAIRS(length) (((length) + 2 * LANES - 1) / (2 * LANES) * LANES)

INLINE uint32_t *row_of(const uint32_t *left, long row, long pairs) {
    return (uint32_t *)left + row / LANES * LANES * pairs + row % LANES * LANES;
}

/* Rows `length` long, of a matrix whose rows are from_step apart. */
SHARED void pack_left_along(const float *from, long from_step, long length, uint32_t *to, long pairs,
                            struct share rows) {
    for (long row = rows.first; row < rows.last; row++) {
        float *place = (float *)row_of(to, row, pairs);
        for (long q = 0; q < pairs; q += LANES)
            store_f32(place + q * LANES, pairs_along(from + row * from_step + 2 * q, length - 2 * q), LANES);
    }
}

/* Columns `length` long of a matrix with `columns` of them, LANES at a time; each becomes a row. */
SHARED void pack_left_across(const float *from, long from_step, long length, long columns, uint32_t *to,
                             long pairs, struct share blocks) {
    for (long block = blocks.first; block < blocks.last; block++) {
        const long column = block * LANES, n = columns - column < LANES ? columns - column : LANES;
        for (long q = 0; q < pairs; q += LANES) {
            f32v tile[LANES];
            const float *place = from + 2 * q * from_step + column;
            float *own = (float *)row_of(to, column, pairs) + q * LANES;
            UNROLL for (int k = 0; k < LANES; k++)
                tile[k] = pairs_across(place + 2 * k * from_step, from_step, length - 2 * (q + k), n);
            transpose_f32(tile);
            UNROLL for (int k = 0; k < LANES; k++) store_f32(own + k * LANES, tile[k], LANES);
        }
    }
}

/* ---- a panel of the right operand: whole vectors, `wide` pairs for each step along the summed index -------------- */

/* Columns of `length` rows that are from_step apart; `pairs` in all. */
SHARED void pack_right_across(const float *from, long from_step, long length, long columns, uint32_t *to,
                              long pairs) {
    const long wide = (columns + LANES - 1) / LANES * LANES;
    for (long q = 0; q < pairs; q++) {
        for (long c = 0; c < columns; c += LANES) {
            const f32v pair = pairs_across(from + 2 * q * from_step + c, from_step, length - 2 * q, columns - c);
            store_f32((float *)(to + q * wide + c), pair, LANES);
        }
    }
}

/* Columns that lie in rows from_step apart: `length` numbers of each, which give (length + 1) / 2 pairs. */
SHARED void pack_right_along(const float *from, long from_step, long length, long columns, uint32_t *to) {
    const long wide = (columns + LANES - 1) / LANES * LANES, pairs = (length + 1) / 2;
    for (long c = 0; c < columns; c += LANES) {
        for (long q = 0; q < pairs; q += LANES) {
            f32v tile[LANES];
            const float *place = from + c * from_step + 2 * q;
            UNROLL for (int k = 0; k < LANES; k++)
                tile[k] = c + k < columns ? pairs_along(place + k * from_step, length - 2 * q) : (f32v){0};
            transpose_f32(tile);
            const long n = pairs - q < LANES ? pairs - q : LANES;
            for (long k = 0; k < n; k++) store_f32((float *)(to + (q + k) * wide + c), tile[k], LANES);
        }
    }
}

/* Pairs of zeros from `first` on, before `last`. */
SHARED void pad_right(uint32_t *to, long columns, long first, long last) {
    const long wide = (columns + LANES - 1) / LANES * LANES;
    for (long k = first * wide; k < last * wide; k += LANES) store_f32((float *)(to + k), (f32v){0}, LANES);
}

#endif
