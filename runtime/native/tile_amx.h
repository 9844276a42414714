/* A tile of a product of bfloat16 by AMX, whose registers hold 16 rows of 16 pairs: one instruction multiplies two such
 * and adds the products to 16 x 16 sums of float32. (Intel, Software Developer's Manual, volume 1, chapter 18.)
 *
 * Compilers do not allocate these registers, so they stand here by number: 0 to 2 sum the upper 16 rows, 3 to 5 the
 * lower ones, 6 holds the left operand and 7 the right one. The process must have asked the kernel for them.
 */
#ifndef NNC_TILE_H
#define NNC_TILE_H

#include "pairs.h"

#define HALF_TALL 16
#define TALL 32     /* rows of a tile */

struct tile_shapes { uint8_t palette, start_row, unused[14]; uint16_t row_bytes[16]; uint8_t rows[16]; };

INLINE void begin_tiles(void) {
    struct tile_shapes shapes = {1, 0, {0}, {0}, {0}};
    for (int k = 0; k < 8; k++) shapes.row_bytes[k] = 64, shapes.rows[k] = HALF_TALL;
    __asm__ volatile("ldtilecfg %0" : : "m"(shapes));
}
INLINE void end_tiles(void) { __asm__ volatile("tilerelease"); }

#define CLEAR(tile) __asm__ volatile("tilezero %%tmm" #tile ::)
#define LOAD(tile, from, step_bytes) \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #tile : : "r"(from), "r"(step_bytes) : "memory")
#define STORE(tile, to, step_bytes) \
    __asm__ volatile("tilestored %%tmm" #tile ", (%0,%1,1)" : : "r"(to), "r"(step_bytes) : "memory")
#define ADD_PRODUCTS(sum) __asm__ volatile("tdpbf16ps %%tmm7, %%tmm6, %%tmm" #sum ::)

/* `high` rows of sums, `vectors` vectors in each. The left operand may be read up to the next multiple of 16 rows.
 * From one column of registers to the next the half of the left operand that was multiplied last comes first. */
INLINE void sum_tile(const int vectors, long high, const uint32_t *left, const uint32_t *right, long pairs,
                     float *sums) {
    const long wide_bytes = vectors * 64;
    const uint32_t *lower = left + HALF_TALL * pairs;
    float *lower_sums = sums + HALF_TALL * vectors * LANES;
    CLEAR(0); CLEAR(1); CLEAR(2); CLEAR(3); CLEAR(4); CLEAR(5);
    if (high > HALF_TALL) {
        for (long r = 0; r < pairs; r += 16) {
            const uint32_t *place = right + r * vectors * LANES;
            LOAD(7, place, wide_bytes);
            LOAD(6, left + r * LANES, 64L);
            ADD_PRODUCTS(0);
            LOAD(6, lower + r * LANES, 64L);
            ADD_PRODUCTS(3);
            if (vectors > 1) {
                LOAD(7, place + LANES, wide_bytes);
                ADD_PRODUCTS(4);
                LOAD(6, left + r * LANES, 64L);
                ADD_PRODUCTS(1);
            }
            if (vectors > 2) {
                LOAD(7, place + 2 * LANES, wide_bytes);
                ADD_PRODUCTS(2);
                LOAD(6, lower + r * LANES, 64L);
                ADD_PRODUCTS(5);
            }
        }
        STORE(3, lower_sums, wide_bytes);
        if (vectors > 1) STORE(4, lower_sums + LANES, wide_bytes);
        if (vectors > 2) STORE(5, lower_sums + 2 * LANES, wide_bytes);
    } else {
        for (long r = 0; r < pairs; r += 16) {
            const uint32_t *place = right + r * vectors * LANES;
            LOAD(6, left + r * LANES, 64L);
            LOAD(7, place, wide_bytes);
            ADD_PRODUCTS(0);
            if (vectors > 1) {
                LOAD(7, place + LANES, wide_bytes);
                ADD_PRODUCTS(1);
            }
            if (vectors > 2) {
                LOAD(7, place + 2 * LANES, wide_bytes);
                ADD_PRODUCTS(2);
            }
        }
    }
    STORE(0, sums, wide_bytes);
    if (vectors > 1) STORE(1, sums + LANES, wide_bytes);
    if (vectors > 2) STORE(2, sums + 2 * LANES, wide_bytes);
}
#undef CLEAR
#undef LOAD
#undef STORE
#undef ADD_PRODUCTS

#endif
