/* Products of matrices whose operands are rounded to bfloat16 and whose sums are float32.
 *
 * The left operand has been put in pairs (pairs.h) by all threads together. A thread puts a panel of the right one in
 * pairs when it comes to the panel's first tile, in memory of its own that stays in its cache. A header included before
 * (tile_amx.h or tile_avx512bf16.h) sums a tile; then, as in product.h, `finish` is called on each of its vectors, or,
 * as in update.h, `update` on all of it.
 */
#ifndef NNC_PRODUCT_BF16_H
#define NNC_PRODUCT_BF16_H

#include "update.h"

struct product_bf16 {
    const uint32_t *left;   /* as in pairs.h */
    uint32_t *right;        /* for one panel */
    long pairs;             /* along the summed index */
    long batch;             /* rows of the batch */
    long rows, column;      /* of the result, and where the first panel begins */
};

/* Puts the panel of `columns` columns from `column` on in pairs. */
typedef void pack_bf16(const void *of, const long batch, const long column, const long columns, uint32_t *to);

/* The sums of a tile by sum_tile of the header before; compiled once for all products. */
SHARED void tile_bf16(long vectors, long high, const struct product_bf16 *p, long row, float *sums) {
    const uint32_t *left = row_of(p->left, row, p->pairs);
    if (vectors == 1) sum_tile(1, high, left, p->right, p->pairs, sums);
    else if (vectors == 2) sum_tile(2, high, left, p->right, p->pairs, sums);
    else sum_tile(3, high, left, p->right, p->pairs, sums);
}

/* Rows of sums moved to where they lie without gaps: each goes to where no later one is read from. */
SHARED void close_up(float *sums, long high, long vectors, long columns) {
    for (long i = 1; i < high; i++) {
        for (long j = 0; j < vectors; j++)
            store_f32(sums + i * columns + j * LANES, load_f32(sums + (i * vectors + j) * LANES, LANES), LANES);
    }
}

/* The tiles of `tiles`, counted along the first panel, then the next. Either `finish` or `update` is 0. */
INLINE void products_bf16(const int vectors, const long columns, const struct product_bf16 *p, struct share tiles,
                          pack_bf16 *pack, finish_f32 *finish, update_f32 *update, const void *of) {
    const long blocks = (p->rows + TALL - 1) / TALL;
    long packed = -1;
    if (tiles.first >= tiles.last) return;
    begin_tiles();
    for (long tile = tiles.first; tile < tiles.last; tile++) {
        const long panel = tile / blocks, row = tile % blocks * TALL, column = p->column + panel * columns;
        const long high = p->rows - row < TALL ? p->rows - row : TALL;
        const long at = p->rows * column + row * columns;
        float sums[TALL * MOST_VECTORS * LANES] __attribute__((aligned(64)));
        if (panel != packed) pack(of, p->batch, column, columns, p->right);
        packed = panel;
        tile_bf16(vectors, high, p, row, sums);
        if (update) {
            if (columns < vectors * LANES) close_up(sums, high, vectors, columns);
            update(of, at, high * columns, sums);
            continue;
        }
        for (long i = 0; i < high; i++) {
            const float *own = sums + i * vectors * LANES;
            const long place = at + i * columns;
            long c = 0;
            for (; c + LANES <= columns; c += LANES)
                finish(of, row + i, column + c, place + c, LANES, load_f32(own + c, LANES));
            if (c < columns) finish(of, row + i, column + c, place + c, columns - c, load_f32(own + c, LANES));
        }
    }
    end_tiles();
}

#endif
