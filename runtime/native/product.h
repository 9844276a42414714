/* Products of matrices by tiles held in registers.
 *
 * The right operand is read in panels: blocks of columns, a few vectors wide, whose rows lie `b_step` apart. A tile is
 * some rows of the result by one panel's width. It is summed in registers over the whole inner index, one row of the
 * panel at a time, each number of the left operand broadcast; then `finish` is called on each of its vectors, while
 * they are still in registers. So a bias, an activation or an optimizer's update costs no pass over memory.
 */
#ifndef NNC_PRODUCT_H
#define NNC_PRODUCT_H

#include "share.h"

#define MOST_ROWS 8     /* of a tile */
#define MOST_VECTORS 4  /* across a tile */

/* What happens to the n elements from `column` on in `row`; `at` is their place in a result that lies in panels. */
typedef void finish_f32(const void *of, long row, long column, long at, long n, f32v acc);
typedef void finish_f64(const void *of, long row, long column, long at, long n, f64v acc);

#define PRODUCT(kind, element, vector)                                                                 \
    struct product_##kind {                                                                            \
        const element *a;       /* element (i, r) is a[i * a_row + r * a_step] */                      \
        long a_row, a_step;                                                                            \
        const element *b;       /* row r of panel p begins at b[p * b_panel + r * b_step] */           \
        long b_panel, b_step;                                                                          \
        long length;            /* of the inner index r */                                             \
        long rows;              /* of the result */                                                    \
        long column, columns;   /* where the first panel begins, and columns in each */                \
    };                                                                                                 \
                                                                                                       \
    INLINE void tile_##kind(const int rows, const int vectors, const long columns,                     \
                            const struct product_##kind *p, const element *a, const element *b,        \
                            long row, long column, finish_##kind *finish, const void *of) {            \
        vector sum[MOST_ROWS][MOST_VECTORS] = {{{0}}};                                                 \
        const long a_row = p->a_row, a_step = p->a_step, b_step = p->b_step;                           \
        for (long r = p->length; r > 0; r--) {                                                         \
            vector right[MOST_VECTORS];                                                                \
            UNROLL for (int j = 0; j < vectors; j++) {                                                 \
                right[j] = load_##kind(b + j * LANES, LANES_FROM(columns, j));                         \
            }                                                                                          \
            UNROLL for (int i = 0; i < rows; i++) {                                                    \
                const element left = a[i * a_row];                                                     \
                UNROLL for (int j = 0; j < vectors; j++) sum[i][j] += right[j] * left;                 \
            }                                                                                          \
            a += a_step;                                                                               \
            b += b_step;                                                                               \
        }                                                                                              \
        const long at = p->rows * column + row * columns;                                              \
        UNROLL for (int i = 0; i < rows; i++) {                                                        \
            UNROLL for (int j = 0; j < vectors; j++) {                                                 \
                finish(of, row + i, column + j * LANES, at + i * columns + j * LANES,                  \
                       LANES_FROM(columns, j), sum[i][j]);                                             \
            }                                                                                          \
        }                                                                                              \
    }                                                                                                  \
                                                                                                       \
    /* The tiles of `tiles`, counted along the first panel, then the next; each has `tall` rows or what is left. */ \
    INLINE void panels_##kind(const int tall, const int vectors, const long columns,                   \
                              const struct product_##kind *p, struct share tiles, finish_##kind *finish, \
                              const void *of) {                                                        \
        const long blocks = (p->rows + tall - 1) / tall;                                               \
        for (long tile = tiles.first; tile < tiles.last;) {                                            \
            const long panel = tile / blocks, block = tile % blocks;                                   \
            const long end = block + tiles.last - tile < blocks ? block + tiles.last - tile : blocks;  \
            const long last = end * tall < p->rows ? end * tall : p->rows;                             \
            const element *b = p->b + panel * p->b_panel;                                              \
            const long column = p->column + panel * columns;                                           \
            long row = block * tall;                                                                   \
            for (; row + tall <= last; row += tall)                                                    \
                tile_##kind(tall, vectors, columns, p, p->a + row * p->a_row, b, row, column, finish, of); \
            if (tall > 4 && row + 4 <= last) {                                                         \
                tile_##kind(4, vectors, columns, p, p->a + row * p->a_row, b, row, column, finish, of); \
                row += 4;                                                                              \
            }                                                                                          \
            if (row + 2 <= last) {                                                                     \
                tile_##kind(2, vectors, columns, p, p->a + row * p->a_row, b, row, column, finish, of); \
                row += 2;                                                                              \
            }                                                                                          \
            if (row < last) tile_##kind(1, vectors, columns, p, p->a + row * p->a_row, b, row, column, finish, of); \
            tile += end - block;                                                                       \
        }                                                                                              \
    }

/* How many of a panel's columns are in its vector j. */
#define LANES_FROM(columns, j) ((columns) - (long)(j) * LANES < LANES ? (columns) - (long)(j) * LANES : LANES)

PRODUCT(f32, float, f32v)
PRODUCT(f64, double, f64v)
#undef PRODUCT

/* to[c * to_step + r] = from[r * from_step + c] for r below rows and c below columns. */
INLINE void turn_f32(const float *from, long from_step, long rows, long columns, float *to, long to_step) {
    for (long r = 0; r < rows; r += LANES) {
        const long high = rows - r < LANES ? rows - r : LANES;
        for (long c = 0; c < columns; c += LANES) {
            const long wide = columns - c < LANES ? columns - c : LANES;
            f32v block[LANES];
            if (high == LANES && wide == LANES) {
                UNROLL for (int k = 0; k < LANES; k++) block[k] = load_f32(from + (r + k) * from_step + c, LANES);
                transpose_f32(block);
                UNROLL for (int k = 0; k < LANES; k++) store_f32(to + (c + k) * to_step + r, block[k], LANES);
            } else {
                for (long i = 0; i < high; i++)
                    for (long k = 0; k < wide; k++) to[(c + k) * to_step + r + i] = from[(r + i) * from_step + c + k];
            }
        }
    }
}
INLINE void turn_f64(const double *from, long from_step, long rows, long columns, double *to, long to_step) {
    for (long r = 0; r < rows; r++)
        for (long c = 0; c < columns; c++) to[c * to_step + r] = from[r * from_step + c];
}

#endif
