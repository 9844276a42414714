/* Philox4x32-10 random numbers, the same as compiler/ops/philox.py gives: a pure function of seed, step, stream, element.
 *
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), section 4.2.
 * Element e is made of the block whose counter is (e / 4 low, e / 4 high, step, stream): word e % 4 for uniforms, the
 * pair (e % 4) / 2 for normals. LANES blocks are worked out at once, a lane each.
 */
#ifndef NNC_PHILOX_H
#define NNC_PHILOX_H

#include "trigonometry.h"
#include "vector.h"

#define PHILOX_ROUNDS 10
#define PHILOX_MULTIPLIER_0 0xD2511F53
#define PHILOX_MULTIPLIER_1 0xCD9E8D57
#define PHILOX_KEY_STEP_0 0x9E3779B9
#define PHILOX_KEY_STEP_1 0xBB67AE85
#define WORDS_PER_BLOCK 4

/* Which numbers: the same for a whole tensor. */
typedef struct { uint64_t seed; uint32_t step, stream; } random_key;

INLINE random_key random_key_of(uint64_t seed, uint32_t step, uint32_t stream) {
    return (random_key){seed, step, stream};
}

/* The 64-bit products of a and m, as upper and lower words. */
INLINE u32v multiply_wide(u32v a, uint32_t m, u32v *low) {
    u64h even = ((u64h)a & 0xFFFFFFFF) * m, odd = ((u64h)a >> 32) * m;
    *low = a * m;
    return (u32v)((even >> 32) | (odd & 0xFFFFFFFF00000000));
}

/* word[w] lane k: word w of block `block + k`. */
INLINE void philox_blocks(random_key key, uint64_t block, u32v word[WORDS_PER_BLOCK]) {
    u32v lane = (u32v)lane_numbers(), low = (uint32_t)block + lane;
    u32v c0 = low, c1 = (uint32_t)(block >> 32) + ((u32v)(low < lane) & 1); /* the carry */
    u32v c2 = all_u32(key.step), c3 = all_u32(key.stream);
    uint32_t k0 = (uint32_t)key.seed, k1 = (uint32_t)(key.seed >> 32);
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        u32v low0, low1;
        u32v high0 = multiply_wide(c0, PHILOX_MULTIPLIER_0, &low0), high1 = multiply_wide(c2, PHILOX_MULTIPLIER_1, &low1);
        c0 = high1 ^ c1 ^ k0, c1 = low1;
        c2 = high0 ^ c3 ^ k1, c3 = low0;
        k0 += PHILOX_KEY_STEP_0, k1 += PHILOX_KEY_STEP_1;
    }
    word[0] = c0, word[1] = c1, word[2] = c2, word[3] = c3;
}

/* [0, 1): the upper 24 bits, all that a float32 holds. */
INLINE f32v uniform_of(u32v word) { return to_f32_from_i32((i32v)(word >> 8)) * 0x1p-24f; }

/* The unsigned words of one half of the lanes, as float64. */
INLINE f64h f64_of_words(u32v word, int half) {
    u64h wide;
    UNROLL for (int k = 0; k < HALF_LANES; k++) wide[k] = word[half * HALF_LANES + k];
    return (f64h)(wide | F64_TWO_52_BITS) - F64_INTEGERS;
}

/* Two normals (Box and Muller, Ann. Math. Stat. 29, 1958): radius sqrt(-2 log u1) and angle 2 pi u2, with u1 in (0, 1]. */
INLINE void normals_of(u32v first, u32v second, f32v *cosine, f32v *sine) {
    f64_halves even, odd;
    UNROLL for (int h = 0; h < 2; h++) {
        f64h u1 = (f64_of_words(first, h) + 1) * 0x1p-32, turns = f64_of_words(second, h) * 0x1p-32;
        f64h radius = sqrt_f64_half(-2 * log_f64_half(u1));
        f64h quarters = 4 * turns + F64_ROUNDING; /* the nearest quarter turn, exactly */
        f64h angle = (4 * turns - (quarters - F64_ROUNDING)) * HALF_PI;
        even.half[h] = radius * sin_reduced_f64(angle, (i64h)quarters + 1);
        odd.half[h] = radius * sin_reduced_f64(angle, (i64h)quarters);
    }
    *cosine = to_f32_from_f64(even.whole);
    *sine = to_f32_from_f64(odd.whole);
}

/* Elements WORDS_PER_BLOCK * block onwards, WORDS_PER_BLOCK * LANES of them, in order. */
INLINE void uniform_blocks(random_key key, uint64_t block, float *out) {
    u32v word[WORDS_PER_BLOCK];
    philox_blocks(key, block, word);
    for (int w = 0; w < WORDS_PER_BLOCK; w++)
        store_stride_f32(out + w, WORDS_PER_BLOCK, uniform_of(word[w]), LANES);
}
INLINE void normal_blocks(random_key key, uint64_t block, float *out) {
    u32v word[WORDS_PER_BLOCK];
    philox_blocks(key, block, word);
    for (int w = 0; w < WORDS_PER_BLOCK; w += 2) {
        f32v cosine, sine;
        normals_of(word[w], word[w + 1], &cosine, &sine);
        store_stride_f32(out + w, WORDS_PER_BLOCK, cosine, LANES);
        store_stride_f32(out + w + 1, WORDS_PER_BLOCK, sine, LANES);
    }
}

/* out[0 .. count): elements [first, first + count). Whole groups of blocks are written in place, the ends by way of
 * a buffer. */
#define FILL(name, blocks)                                                                             \
    static __attribute__((unused)) void name(random_key key, uint64_t first, long count, float *out) { \
        const long group = WORDS_PER_BLOCK * LANES;                                                    \
        float buffer[WORDS_PER_BLOCK * LANES];                                                         \
        long skip = (long)(first % WORDS_PER_BLOCK);                                                   \
        uint64_t block = first / WORDS_PER_BLOCK;                                                      \
        for (long done = 0; done < count; block += LANES, skip = 0) {                                  \
            long wanted = count - done < group - skip ? count - done : group - skip;                   \
            float *target = wanted == group ? out + done : buffer;                                     \
            blocks(key, block, target);                                                                \
            if (target == buffer) for (long k = 0; k < wanted; k++) out[done + k] = buffer[skip + k];  \
            done += wanted;                                                                            \
        }                                                                                              \
    }
FILL(fill_uniform, uniform_blocks)
FILL(fill_normal, normal_blocks)
#undef FILL

#endif
