/* Philox4x32-10 random numbers, the same as compiler/ops/philox.py gives: a pure function of seed, step, stream, element.
 *
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), section 4.2.
 * Element e is made of the block whose counter is (e / 4 low, e / 4 high, step, stream): word e % 4 for uniforms, the
 * pair (e % 4) / 2 for normals. Each lane works out blocks of its own.
 */
#ifndef NNC_PHILOX_CUH
#define NNC_PHILOX_CUH

#include "warp.cuh"

#define PHILOX_ROUNDS 10
#define PHILOX_MULTIPLIER_0 0xD2511F53u
#define PHILOX_MULTIPLIER_1 0xCD9E8D57u
#define PHILOX_KEY_STEP_0 0x9E3779B9u
#define PHILOX_KEY_STEP_1 0xBB67AE85u
#define WORDS_PER_BLOCK 4

/* Which numbers: the same for a whole tensor. */
struct random_key { uint64_t seed; uint32_t step, stream; };

INLINE struct random_key random_key_of(uint64_t seed, uint32_t step, uint32_t stream) { return {seed, step, stream}; }

/* The words of a block. */
INLINE void philox_block(struct random_key key, uint64_t block, uint32_t word[WORDS_PER_BLOCK]) {
    uint32_t c0 = (uint32_t)block, c1 = (uint32_t)(block >> 32), c2 = key.step, c3 = key.stream;
    uint32_t k0 = (uint32_t)key.seed, k1 = (uint32_t)(key.seed >> 32);
    UNROLL for (int round = 0; round < PHILOX_ROUNDS; round++) {
        const uint64_t product0 = (uint64_t)PHILOX_MULTIPLIER_0 * c0, product1 = (uint64_t)PHILOX_MULTIPLIER_1 * c2;
        c0 = (uint32_t)(product1 >> 32) ^ c1 ^ k0, c1 = (uint32_t)product1;
        c2 = (uint32_t)(product0 >> 32) ^ c3 ^ k1, c3 = (uint32_t)product0;
        k0 += PHILOX_KEY_STEP_0, k1 += PHILOX_KEY_STEP_1;
    }
    word[0] = c0, word[1] = c1, word[2] = c2, word[3] = c3;
}

/* The elements of a block: uniform in [0, 1), from the upper 24 bits, all that a float32 holds. */
INLINE void uniform_block(struct random_key key, uint64_t block, float number[WORDS_PER_BLOCK]) {
    uint32_t word[WORDS_PER_BLOCK];
    philox_block(key, block, word);
    UNROLL for (int w = 0; w < WORDS_PER_BLOCK; w++) number[w] = (float)(word[w] >> 8) * (1.0f / 16777216);
}

/* Normal (Box and Muller, Ann. Math. Stat. 29, 1958): radius sqrt(-2 log u1) and angle 2 pi u2, with u1 in (0, 1]. */
INLINE void normal_block(struct random_key key, uint64_t block, float number[WORDS_PER_BLOCK]) {
    const double unit = 1.0 / 4294967296;
    uint32_t word[WORDS_PER_BLOCK];
    philox_block(key, block, word);
    UNROLL for (int w = 0; w < WORDS_PER_BLOCK; w += 2) {
        double sine, cosine;
        const double radius = sqrt(-2 * log((word[w] + 1.0) * unit));
        sincospi(2 * (word[w + 1] * unit), &sine, &cosine);
        number[w] = (float)(radius * cosine), number[w + 1] = (float)(radius * sine);
    }
}

/* out[0 .. count): elements [first, first + count). Settles. */
#define FILL(name, numbers_of_block)                                                                   \
    SHARED void name(struct random_key key, uint64_t first, long count, float *out) {                  \
        const uint64_t end = first + (uint64_t)count;                                                  \
        settle();                                                                                      \
        for (uint64_t block = first / WORDS_PER_BLOCK + (uint64_t)lane_numbers(); block * WORDS_PER_BLOCK < end; \
             block += LANES) {                                                                         \
            float number[WORDS_PER_BLOCK];                                                             \
            numbers_of_block(key, block, number);                                                      \
            UNROLL for (int w = 0; w < WORDS_PER_BLOCK; w++) {                                         \
                const uint64_t element = block * WORDS_PER_BLOCK + w;                                  \
                if (element >= first && element < end) out[element - first] = number[w];               \
            }                                                                                          \
        }                                                                                              \
        settle();                                                                                      \
    }
FILL(fill_uniform, uniform_block)
FILL(fill_normal, normal_block)
#undef FILL

#endif
