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

void *memcpy(void *, const void *, unsigned long);

#define MOST_ROWS 8     /* of a tile */
#define MOST_VECTORS 4  /* across a tile */
#define SIDE_BY_SIDE 4  /* panels of three vectors, for one row alone */

/* What happens to the n elements from `column` on in `row`; `at` is their place in a result that lies in panels. */
typedef void finish_f32(const void *of, long row, long column, long at, long n, f32v acc);
typedef void finish_f64(const void *of, long row, long column, long at, long n, f64v acc);

/* What happens to `high` rows from `row` on of the `columns` columns from `column` on, whose sums lie side by side. */
typedef void finish_rows_f32(const void *of, long row, long high, long column, long columns, long at, const float *sums);
typedef void finish_rows_f64(const void *of, long row, long high, long column, long columns, long at, const double *sums);

/* Panels of one width, one after another: the first column, how many panels, columns of each. */
struct run { long column, count, columns; };

#define PRODUCT(kind, element, vector)                                                                 \
    struct product_##kind {                                                                            \
        const element *a;       /* element (i, r) of a block of rows is at i * a_row + r * a_step */   \
        long a_row, a_step;     /* in the block, which begins a_block elements for each row that is */ \
        long a_block;           /* computed before its first */                                        \
        const element *b;       /* a panel begins b_column elements for each column before it; row r */ \
        long b_column, b_step;  /* of it begins at r * b_step (0: as many as it has columns) */        \
        long length;            /* of the inner index r */                                             \
        long rows;              /* of the result */                                                    \
        long top, high;         /* which of them, from `top` on, are to be computed */                 \
        long column, columns;   /* where the first panel begins, and columns in each */                \
        long is_back;           /* whether one row alone goes through the panels from the last to the first */\
    };                                                                                                 \
                                                                                                       \
    struct sums_##kind { element *to; long columns; };                                                 \
                                                                                                       \
    /* Sums put side by side, as whole vectors: what one writes beyond its row, the next row overwrites. */ \
    INLINE void keep_##kind(const void *of, long row, long column, long at, long n, vector acc) {      \
        const struct sums_##kind *sums = of;                                                           \
        (void)at, (void)n;                                                                             \
        store_##kind(sums->to + row * sums->columns + column, acc, LANES);                             \
    }                                                                                                  \
                                                                                                       \
    INLINE void tile_##kind(const int rows, const int vectors, const long columns,                     \
                            const struct product_##kind *p, const element *a, const element *b,        \
                            long row, long column, finish_##kind *finish, const void *of,              \
                            const element *before, element *kept) {                                    \
        vector sum[MOST_ROWS][MOST_VECTORS] = {{{0}}};                                                 \
        if (before) UNROLL for (int i = 0; i < rows; i++)                                              \
            UNROLL for (int j = 0; j < vectors; j++) sum[i][j] = load_##kind(before + (i * vectors + j) * LANES, LANES); \
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
        if (kept) {                                                                                    \
            UNROLL for (int i = 0; i < rows; i++)                                                      \
                UNROLL for (int j = 0; j < vectors; j++) store_##kind(kept + (i * vectors + j) * LANES, sum[i][j], LANES); \
            return;                                                                                    \
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
    /* The sums of a tile, row after row `pitch` elements apart. Compiled once for all products of a kind: whole tiles of \
     * whole vectors, and whatever else there is (a last few rows, one sample alone, a last few columns). */           \
    INLINE void tile_sums_##kind(const int rows, const int vectors, const long columns,                 \
                                const struct product_##kind *p, const element *a, const element *b, long row, \
                                element *sums, long pitch) {                                           \
        const struct sums_##kind kept = {sums, pitch};                                                 \
        tile_##kind(rows, vectors, columns, p, a + row * p->a_row, b, row, 0, keep_##kind, &kept, 0, 0); \
    }                                                                                                  \
    INLINE void tile_rows_##kind(const int vectors, const long columns, long rows, const struct product_##kind *p, \
                                const element *a, const element *b, element *sums, long pitch) {       \
        if (rows & 8) tile_sums_##kind(8, vectors, columns, p, a, b, 0, sums, pitch);                   \
        if (rows & 4) tile_sums_##kind(4, vectors, columns, p, a, b, 0, sums, pitch);                   \
        if (rows & 2) tile_sums_##kind(2, vectors, columns, p, a, b, rows & 4, sums, pitch);            \
        if (rows & 1) tile_sums_##kind(1, vectors, columns, p, a, b, rows & 6, sums, pitch);            \
    }                                                                                                  \
    SHARED void sums_of_##kind(long rows, long vectors, const struct product_##kind *p,                \
                               const element *a, const element *b, element *sums, long pitch) {        \
        if (p->columns == 3 * LANES && rows == 8) tile_sums_##kind(8, 3, 3 * LANES, p, a, b, 0, sums, pitch); \
        else if (p->columns == 2 * LANES && rows == 8) tile_sums_##kind(8, 2, 2 * LANES, p, a, b, 0, sums, pitch); \
        else if (vectors == 1) tile_rows_##kind(1, p->columns, rows, p, a, b, sums, pitch);             \
        else if (vectors == 2) tile_rows_##kind(2, p->columns, rows, p, a, b, sums, pitch);             \
        else tile_rows_##kind(3, p->columns, rows, p, a, b, sums, pitch);                               \
    }                                                                                                  \
                                                                                                       \
    /* One row's sums with a few whole panels: with one alone, each addition would wait for the one before. */\
    INLINE void side_by_side_##kind(const int panels, const struct product_##kind *p, const element *b, element *sums) {\
        const element *a = p->a;                                                                       \
        const long a_step = p->a_step, b_step = p->b_step, next = p->columns * p->b_column;            \
        vector sum[SIDE_BY_SIDE][3] = {{{0}}};                                                         \
        for (long r = p->length; r > 0; r--, a += a_step, b += b_step) {                               \
            UNROLL for (int i = 0; i < panels; i++)                                                    \
                UNROLL for (int j = 0; j < 3; j++) sum[i][j] += load_##kind(b + i * next + j * LANES, LANES) * *a;\
        }                                                                                              \
        UNROLL for (int i = 0; i < panels; i++)                                                        \
            UNROLL for (int j = 0; j < 3; j++) store_##kind(sums + (i * 3 + j) * LANES, sum[i][j], LANES);\
    }                                                                                                  \
    SHARED void row_sums_##kind(long panels, const struct product_##kind *p, const element *b, element *sums) {\
        if (panels == 4) side_by_side_##kind(4, p, b, sums);                                           \
        else if (panels == 3) side_by_side_##kind(3, p, b, sums);                                      \
        else if (panels == 2) side_by_side_##kind(2, p, b, sums);                                      \
        else side_by_side_##kind(1, p, b, sums);                                                       \
    }                                                                                                  \
                                                                                                       \
    /* Panels of three vectors for the only row of a result: a few at once, from the first on or from the last. What\
     * happens to the sums is said by one of the two functions. */                                     \
    INLINE void row_panels_##kind(const struct product_##kind *p, struct share tiles, finish_##kind *finish,\
                                  finish_rows_##kind *finish_rows, const void *of) {                   \
        while (tiles.first < tiles.last) {                                                             \
            const long left = tiles.last - tiles.first, panels = left < SIDE_BY_SIDE ? left : SIDE_BY_SIDE;\
            const long panel = p->is_back ? tiles.last - panels : tiles.first, columns = panels * p->columns;\
            const long column = p->column + panel * p->columns;                                        \
            if (p->is_back) tiles.last -= panels;                                                      \
            else tiles.first += panels;                                                                \
            element sums[SIDE_BY_SIDE * 3 * LANES] __attribute__((aligned(64)));                       \
            row_sums_##kind(panels, p, p->b + panel * p->columns * p->b_column, sums);                 \
            if (finish_rows) finish_rows(of, 0, 1, column, columns, column, sums);                     \
            else for (long k = 0; k < columns; k += LANES)                                             \
                finish(of, 0, column + k, column + k, LANES, load_##kind(sums + k, LANES));            \
        }                                                                                              \
    }                                                                                                  \
                                                                                                       \
    /* The tiles of `tiles`, counted along the first panel, then the next; each has `tall` rows or what is left. Whole    \
     * tiles are compiled for this product alone, so that their sums never leave the registers. */                      \
    INLINE void panels_##kind(const int tall, const int vectors, const long columns,                   \
                              const struct product_##kind *p, struct share tiles, finish_##kind *finish, \
                              const void *of) {                                                        \
        if (columns == 3 * LANES && p->rows == 1) {                                                    \
            row_panels_##kind(p, tiles, finish, 0, of);                                                \
            return;                                                                                    \
        }                                                                                              \
        const long blocks = (p->high + tall - 1) / tall;                                               \
        for (long k = tiles.first; k < tiles.last; k++) {                                              \
            const long tile = p->is_back ? tiles.first + tiles.last - 1 - k : k;                       \
            const long panel = tile / blocks, top = tile % blocks * tall, row = p->top + top;          \
            const element *a = p->a + top * p->a_block, *b = p->b + panel * columns * p->b_column;     \
            const long column = p->column + panel * columns, left = p->high - top;                     \
            if (left >= tall) {                                                                        \
                tile_##kind(tall, vectors, columns, p, a, b, row, column, finish, of, 0, 0);           \
                continue;                                                                              \
            }                                                                                          \
            element sums[(MOST_ROWS * MOST_VECTORS + 1) * LANES] __attribute__((aligned(64)));         \
            sums_of_##kind(left, vectors, p, a, b, sums, vectors * LANES);                             \
            for (long i = 0; i < left; i++) {                                                          \
                UNROLL for (int j = 0; j < vectors; j++) {                                             \
                    finish(of, row + i, column + j * LANES, p->rows * column + (row + i) * columns + j * LANES, \
                           LANES_FROM(columns, j), load_##kind(sums + (i * vectors + j) * LANES, LANES)); \
                }                                                                                      \
            }                                                                                          \
        }                                                                                              \
    }                                                                                                  \
                                                                                                       \
    /* The same, but a tile's sums are put side by side before anything happens to them: what is long stands once. */\
    INLINE void row_tiles_##kind(const int tall, const int vectors, const long columns,                \
                                 const struct product_##kind *p, struct share tiles, finish_rows_##kind *finish,\
                                 const void *of) {                                                     \
        if (columns == 3 * LANES && p->rows == 1) {                                                    \
            row_panels_##kind(p, tiles, 0, finish, of);                                                \
            return;                                                                                    \
        }                                                                                              \
        const long blocks = (p->high + tall - 1) / tall;                                               \
        for (long k = tiles.first; k < tiles.last; k++) {                                              \
            const long tile = p->is_back ? tiles.first + tiles.last - 1 - k : k;                       \
            const long panel = tile / blocks, top = tile % blocks * tall, row = p->top + top;          \
            const element *a = p->a + top * p->a_block, *b = p->b + panel * columns * p->b_column;     \
            const long column = p->column + panel * columns, left = p->high - top, high = left < tall ? left : tall;\
            element sums[(MOST_ROWS * MOST_VECTORS + 1) * LANES] __attribute__((aligned(64)));         \
            if (high == tall) tile_sums_##kind(tall, vectors, columns, p, a, b, 0, sums, columns);     \
            else sums_of_##kind(high, vectors, p, a, b, sums, columns);                                \
            finish(of, row, high, column, columns, p->rows * column + row * columns, sums);            \
        }                                                                                              \
    }                                                                                                  \
                                                                                                       \
    /* The same where a panel and the rows that it meets do not stay near: `depth` of the inner index at a time. What     \
     * the tiles have summed so far lies in `partial`. */                                                                \
    INLINE void far_panels_##kind(const int tall, const int vectors, const long columns,               \
                                  const struct product_##kind *p, struct share tiles, finish_##kind *finish, \
                                  const void *of, const long depth, element *partial) {                \
        const long blocks = (p->high + tall - 1) / tall;                                               \
        struct product_##kind q = *p;                                                                  \
        for (long start = 0; start < p->length; start += depth) {                                      \
            const int is_first = start == 0, is_last = start + depth >= p->length;                     \
            q.length = is_last ? p->length - start : depth;                                            \
            for (long tile = tiles.first; tile < tiles.last; tile++) {                                 \
                const long panel = tile / blocks, top = tile % blocks * tall, row = p->top + top;      \
                const element *a = p->a + top * p->a_block + start * p->a_step;                        \
                const element *b = p->b + panel * columns * p->b_column + start * p->b_step;           \
                const long column = p->column + panel * columns, left = p->high - top;                 \
                element *kept = partial + tile * tall * vectors * LANES;                               \
                if (left >= tall) {                                                                    \
                    tile_##kind(tall, vectors, columns, &q, a, b, row, column, finish, of,             \
                                is_first ? 0 : kept, is_last ? 0 : kept);                              \
                    continue;                                                                          \
                }                                                                                      \
                element sums[(MOST_ROWS * MOST_VECTORS + 1) * LANES] __attribute__((aligned(64)));     \
                sums_of_##kind(left, vectors, &q, a, b, sums, vectors * LANES);                        \
                for (long k = 0; k < left * vectors; k++) {                                            \
                    vector sum = load_##kind(sums + k * LANES, LANES);                                 \
                    if (!is_first) sum += load_##kind(kept + k * LANES, LANES);                        \
                    const long i = k / vectors, j = k % vectors;                                       \
                    if (is_last) finish(of, row + i, column + j * LANES, p->rows * column + (row + i) * columns + j * LANES, \
                                        LANES_FROM(columns, j), sum);                                  \
                    else store_##kind(kept + k * LANES, sum, LANES);                                   \
                }                                                                                      \
            }                                                                                          \
        }                                                                                              \
    }                                                                                                  \
                                                                                                       \
    /* The same for all panels, run after run, compiled once for all products: where many products differ, tiles of     \
     * their own would take long to compile. `share`: of the vectors across the result, for each block of rows. */      \
    SHARED void all_panels_##kind(long tall, struct product_##kind p, const struct run *runs, long count, \
                                  struct share share, finish_rows_##kind *finish, const void *of) {    \
        const long blocks = (p.high + tall - 1) / tall, step = p.b_step;                               \
        long before = 0;                                                                               \
        for (long k = 0; k < count; k++) {                                                             \
            const long columns = p.columns = runs[k].columns, vectors = (columns + LANES - 1) / LANES; \
            const struct share part = tiles_of(share, before, runs[k].count * blocks, vectors);        \
            before += runs[k].count * blocks * vectors;                                                \
            p.b_step = step ? step : columns;                                                          \
            for (long tile = part.first; tile < part.last; tile++) {                                   \
                const long column = runs[k].column + tile / blocks * columns;                          \
                const long top = tile % blocks * tall, left = p.high - top, row = p.top + top;         \
                const long high = left < tall ? left : tall;                                           \
                element sums[(MOST_ROWS * MOST_VECTORS + 1) * LANES] __attribute__((aligned(64)));     \
                sums_of_##kind(high, vectors, &p, p.a + top * p.a_block, p.b + column * p.b_column, sums, columns); \
                finish(of, row, high, column, columns, p.rows * column + row * columns, sums);         \
            }                                                                                          \
        }                                                                                              \
    }

/* How many of a panel's columns are in its vector j. */
#define LANES_FROM(columns, j) ((columns) - (long)(j) * LANES < LANES ? (columns) - (long)(j) * LANES : LANES)

PRODUCT(f32, float, f32v)
PRODUCT(f64, double, f64v)
#undef PRODUCT

/* to[c * to_step + r] = from[r * from_step + c] for r below rows and c below columns. */
SHARED void turn_f32(const float *from, long from_step, long rows, long columns, float *to, long to_step) {
    for (long r = 0; r < rows; r += LANES) {
        const long high = rows - r < LANES ? rows - r : LANES;
        for (long c = 0; c < columns; c += LANES) {
            const long wide = columns - c < LANES ? columns - c : LANES;
            f32v block[LANES];
            if (high == LANES && wide == LANES) {
                UNROLL for (int k = 0; k < LANES; k++) block[k] = load_f32(from + (r + k) * from_step + c, LANES);
                transpose_f32(block);
                UNROLL for (int k = 0; k < LANES; k++) store_f32(to + (c + k) * to_step + r, block[k], LANES);
                continue;
            }
            for (int k = 0; k < LANES; k++) block[k] = k < high ? load_f32(from + (r + k) * from_step + c, wide) : all_f32(0);
            transpose_f32(block);
            for (int k = 0; k < wide; k++) store_f32(to + (c + k) * to_step + r, block[k], high);
        }
    }
}
SHARED void turn_f64(const double *from, long from_step, long rows, long columns, double *to, long to_step) {
    for (long r = 0; r < rows; r++)
        for (long c = 0; c < columns; c++) to[c * to_step + r] = from[r * from_step + c];
}

/* pack_panels: the panels of `part`, each of `columns` columns, of `rows` rows `from_step` apart, one after another.
 * pack_rows: columns of `from` become rows: `tall` at a time, each block with its `length` rows of `from` side by side;
 * the last block may have fewer than `tall`, and is not filled up. */
#define PACK(kind, element)                                                                            \
    SHARED void pack_panels_##kind(const element *from, long from_step, long rows, long columns,       \
                                   element *to, struct share part) {                                   \
        for (long panel = part.first; panel < part.last; panel++) {                                    \
            for (long r = 0; r < rows; r++) {                                                          \
                const element *row = from + r * from_step + panel * columns;                           \
                element *place = to + (panel * rows + r) * columns;                                    \
                for (long c = 0; c < columns; c += LANES) {                                            \
                    const long n = columns - c < LANES ? columns - c : LANES;                          \
                    store_##kind(place + c, load_##kind(row + c, n), n);                               \
                }                                                                                      \
            }                                                                                          \
        }                                                                                              \
    }                                                                                                  \
    INLINE void pack_rows_##kind(const int tall, const element *from, long from_step, long length, long rows, element *to) { \
        for (long row = 0; row < rows; row += tall, to += tall * length) {                             \
            const long n = rows - row < tall ? rows - row : tall;                                      \
            for (long r = 0; r < length; r++) {                                                        \
                const element *place = from + r * from_step + row;                                     \
                if (n == tall) memcpy(to + r * tall, place, tall * sizeof(element));                   \
                else memcpy(to + r * tall, place, (unsigned long)n * sizeof(element));                 \
            }                                                                                          \
        }                                                                                              \
    }
PACK(f32, float)
PACK(f64, double)
#undef PACK

#endif
