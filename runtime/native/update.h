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
    /* As panels, of matrices with `rows` rows. */                                                     \
    INLINE void updates_##kind(const int tall, const int vectors, const long columns, const long rows, \
                               const struct product_##kind *p, struct share tiles,                     \
                               update_##kind *update, const void *of) {                                \
        const long blocks = (p->high + tall - 1) / tall;                                               \
        for (long tile = tiles.first; tile < tiles.last; tile++) {                                     \
            const long panel = tile / blocks;                                                          \
            const long top = tile % blocks * tall, row = p->top + top, high = rows - row < tall ? rows - row : tall; \
            element sums[(MOST_ROWS * MOST_VECTORS + 1) * LANES] __attribute__((aligned(64)));         \
            const element *a = p->a + top * p->a_block, *b = p->b + panel * columns * p->b_column;     \
            if (high == tall) tile_sums_##kind(tall, vectors, columns, p, a, b, 0, sums, columns); \
            else sums_of_##kind(high, vectors, p, a, b, sums, columns);                                \
            update(of, p->rows * (p->column + panel * columns) + row * columns, high * columns, sums); \
        }                                                                                              \
    }
UPDATE(f32, float, f32v)
UPDATE(f64, double, f64v)
#undef UPDATE

#endif
