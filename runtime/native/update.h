/* Products whose result only changes what lies in panels, element by element: the update of weights by their gradient.
 *
 * A tile of such a result is one piece of memory in every panelled matrix, whatever its rows are. So its sums are put
 * side by side first, and the update runs over the piece in whole vectors: narrow panels leave no lane empty, and the
 * update's code stands once, not once for each vector of a tile.
 */
#ifndef NNC_UPDATE_H
#define NNC_UPDATE_H

#include "product.h"

/* What happens to the `count` elements of a tile from `at` on, whose sums these are. */
typedef void update_f32(const void *of, long at, long count, const float *sums);
typedef void update_f64(const void *of, long at, long count, const double *sums);

#define UPDATE(kind, element, vector)                                                                  \
    INLINE void update_tile_##kind(const int rows, const int vectors, const long columns,              \
                                   const struct product_##kind *p, const element *a, long row, long panel, \
                                   update_##kind *update, const void *of) {                            \
        element sums[MOST_ROWS * MOST_VECTORS * LANES + LANES] __attribute__((aligned(64)));           \
        const struct sums_##kind kept = {sums, columns};                                               \
        const long at = p->rows * (p->column + panel * columns) + row * columns;                       \
        const element *b = p->b + panel * p->b_panel;                                                  \
        tile_##kind(rows, vectors, columns, p, a, b, 0, 0, keep_##kind, &kept);                        \
        update(of, at, rows * columns, sums);                                                          \
    }                                                                                                  \
                                                                                                       \
    /* As panels, of matrices with `rows` rows. */                                                     \
    INLINE void updates_##kind(const int tall, const int vectors, const long columns, const long rows, \
                               const struct product_##kind *p, struct share tiles,                     \
                               update_##kind *update, const void *of) {                                \
        const long blocks = (p->high + tall - 1) / tall, left = rows % tall;                           \
        for (long tile = tiles.first; tile < tiles.last; tile++) {                                     \
            const long panel = tile / blocks;                                                          \
            const long row = p->top + tile % blocks * tall;                                            \
            const element *a = p->a + row * p->a_block;                                                \
            if (row + tall <= rows) {                                                                  \
                update_tile_##kind(tall, vectors, columns, p, a, row, panel, update, of);              \
                continue;                                                                              \
            }                                                                                          \
            element sums[MOST_ROWS * MOST_VECTORS * LANES] __attribute__((aligned(64)));               \
            rest_##kind(left, vectors, p, a, p->b + panel * p->b_panel, sums);                         \
            for (long i = 0; i < left; i++)                                                            \
                update(of, p->rows * (p->column + panel * columns) + (row + i) * columns, columns,     \
                       sums + i * MOST_VECTORS * LANES);                                               \
        }                                                                                              \
    }
UPDATE(f32, float, f32v)
UPDATE(f64, double, f64v)
#undef UPDATE

#endif
