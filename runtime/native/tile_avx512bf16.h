/* A tile of a product of bfloat16 by AVX512_BF16: each instruction multiplies two pairs in every lane and adds both
 * products to a sum of float32. */
#ifndef NNC_TILE_H
#define NNC_TILE_H

#include "pairs.h"
#include "product.h"

#define TALL 8      /* rows of a tile */

INLINE void begin_tiles(void) {}
INLINE void end_tiles(void) {}

INLINE f32v add_products(f32v sum, u32v left, f32v right) {
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(left), "v"(right));
    return sum;
}

INLINE void some_rows(const int rows, const int vectors, const uint32_t *left, const uint32_t *right, long pairs,
                      float *sums) {
    f32v sum[TALL][MOST_VECTORS] = {{{0}}};
    for (long r = 0; r < pairs; r++) {
        const uint32_t *place = left + r / LANES * LANES * LANES + r % LANES;
        f32v pair[MOST_VECTORS];
        UNROLL for (int j = 0; j < vectors; j++)
            pair[j] = load_f32((const float *)(right + (r * vectors + j) * LANES), LANES);
        UNROLL for (int i = 0; i < rows; i++) {
            const u32v both = all_u32(place[i * LANES]);
            UNROLL for (int j = 0; j < vectors; j++) sum[i][j] = add_products(sum[i][j], both, pair[j]);
        }
    }
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int j = 0; j < vectors; j++) store_f32(sums + (i * vectors + j) * LANES, sum[i][j], LANES);
}

/* `high` rows of sums, `vectors` vectors in each. The left operand may be read up to row TALL. */
INLINE void sum_tile(const int vectors, long high, const uint32_t *left, const uint32_t *right, long pairs,
                     float *sums) {
    if (high > 4) some_rows(TALL, vectors, left, right, pairs, sums);
    else if (high > 1) some_rows(4, vectors, left, right, pairs, sums);
    else some_rows(1, vectors, left, right, pairs, sums);
}

#endif
