/* sin and cos of float64 and float32: the argument is reduced in float64 for both.
 *
 * Up to TRIGONOMETRIC_LIMIT, pi/2 in three parts (Cody and Waite, "Software manual for the elementary functions",
 * 1980, chapter 8); beyond it, lane by lane with as many bits of 2/pi as matter (Payne and Hanek, "Radian reduction
 * for trigonometric functions", SIGNUM 18, 1983).
 */
#ifndef NNC_TRIGONOMETRY_H
#define NNC_TRIGONOMETRY_H

#include "elementary_f64.h"

#define TRIGONOMETRIC_LIMIT 0x1p20
#define TWO_OVER_PI 0x1.45f306dc9c883p-1
#define HALF_PI 0x1.921fb54442d18p0
#define HALF_PI_HIGH 0x1.921fb544p0 /* 33 bits: exact in a product with a quadrant */
#define HALF_PI_MIDDLE 0x1.0b4611a6p-34
#define HALF_PI_LOW 0x1.3198a2e037073p-69

/* One word of zeros, then the binary fraction of 2/pi. */
static const uint64_t TWO_OVER_PI_BITS[] = {
    0, 0xA2F9836E4E441529, 0xFC2757D1F534DDC0, 0xDB6295993C439041, 0xFE5163ABDEBBC561,
    0xB7246E3A424DD2E0, 0x06492EEA09D1921C, 0xFE1DEB1CB129A73E, 0xE88235F52EBB4484, 0xE99C7026B45F7E41,
    0x3991D639835339F4, 0x9C845F8BBDF9283B, 0x1FF897FFDE05980F, 0xEF2F118B5A0A6D1F, 0x6D367ECF27CB09B7,
    0x4F463F669E5FEA2D, 0x7527BAC7EBE5F17B, 0x3D0739F78A5292EA, 0x6BFB5FB11F8D5D08, 0x56033046FC7B6BAB,
};
#define TWO_OVER_PI_LEAD 64

/* x - quadrant pi/2, at most pi/4 in size, for a finite |x| >= TRIGONOMETRIC_LIMIT; the quadrant counts modulo 4. With
 * x = m 2^e, the bits of 2/pi whose products with x are multiples of 4 are skipped, and the next 192 make a quarter of
 * x 2/pi, modulo 1. */
static __attribute__((noinline, unused)) double reduce_large(double x, int64_t *quadrant) {
    uint64_t bits = ((u64h)all_f64_half(x))[0];
    uint64_t m = (bits & 0xFFFFFFFFFFFFF) | 0x10000000000000;
    int skip = (int)(bits >> F64_FRACTION_BITS & 0x7FF) - F64_BIAS - F64_FRACTION_BITS - 2 + TWO_OVER_PI_LEAD;
    const uint64_t *word = TWO_OVER_PI_BITS + skip / 64;
    uint64_t part[3];
    for (int k = 0; k < 3; k++)
        part[k] = skip % 64 ? word[k] << skip % 64 | word[k + 1] >> (64 - skip % 64) : word[k];
    unsigned __int128 lower = (unsigned __int128)m * part[1] + (uint64_t)((unsigned __int128)m * part[2] >> 64);
    unsigned __int128 turns = ((unsigned __int128)(m * part[0]) << 64) + lower;
    uint64_t nearest = (uint64_t)((turns + ((unsigned __int128)1 << 125)) >> 126);
    double rest = (double)(__int128)(turns - ((unsigned __int128)nearest << 126)) * 0x1p-126 * HALF_PI;
    *quadrant = x < 0 ? -(int64_t)nearest : (int64_t)nearest;
    return x < 0 ? -rest : rest;
}

INLINE f64h reduce_f64(f64h x, i64h *quadrant) {
    f64h rounded = x * TWO_OVER_PI + F64_ROUNDING, n = rounded - F64_ROUNDING;
    f64h rest = x - n * HALF_PI_HIGH - n * HALF_PI_MIDDLE - n * HALF_PI_LOW;
    *quadrant = (i64h)rounded; /* modulo 4 */
    i64h large = abs_f64_half(x) > TRIGONOMETRIC_LIMIT;
    int64_t any = 0;
    UNROLL for (int k = 0; k < HALF_LANES; k++) any |= large[k];
    if (__builtin_expect(any != 0, 0))
        for (int k = 0; k < HALF_LANES; k++)
            if (large[k]) {
                int64_t q = 0;
                rest[k] = __builtin_isinf(x[k]) ? NAN_F64 : reduce_large(x[k], &q);
                (*quadrant)[k] = q;
            }
    return rest;
}

/* (sin(x) - x) / x^3 and (cos(x) - 1 + x^2/2) / x^4 in x^2, |x| <= pi/4. */
static const double SIN_F64[] = {
    -0x1.5555555555555p-3, 0x1.1111111110c84p-7, -0x1.a01a019ea17c5p-13, 0x1.71de37b235b35p-19, -0x1.ae60217812a5bp-26,
    0x1.5e11ba5d38069p-33,
};
static const double COS_F64[] = {
    0x1.5555555555555p-5, -0x1.6c16c16c168ccp-10, 0x1.a01a019f38ba5p-16, -0x1.27e4fa03844e4p-22, 0x1.1eeb586f37843p-29,
    -0x1.9073edb1d6283p-37,
};
static const float SIN_F32[] = {-0x1.555552p-3, 0x1.110be6p-7, -0x1.9ab41ap-13};
static const float COS_F32[] = {0x1.555554p-5, -0x1.6c129ep-10, 0x1.9bc77ap-16};

/* sin(r + quadrant pi/2). */
INLINE f64h sin_reduced_f64(f64h r, i64h quadrant) {
    f64h z = r * r;
    f64h sine = r + r * z * polynomial_f64(z, SIN_F64, COUNT(SIN_F64));
    f64h cosine = 1 - 0.5 * z + z * z * polynomial_f64(z, COS_F64, COUNT(COS_F64));
    f64h size = select_f64_half((quadrant & 1) != 0, cosine, sine);
    return (f64h)((u64h)size ^ (u64h)(quadrant & 2) << 62);
}
INLINE f64h sin_f64_half(f64h x) {
    i64h quadrant;
    f64h r = reduce_f64(x, &quadrant);
    return select_f64_half(x == 0, x, sin_reduced_f64(r, quadrant));
}
INLINE f64h cos_f64_half(f64h x) {
    i64h quadrant;
    f64h r = reduce_f64(x, &quadrant);
    return sin_reduced_f64(r, quadrant + 1);
}
BY_HALF(sin_f64)
BY_HALF(cos_f64)

INLINE f32v reduce_f32(f32v x, i32v *quadrant) {
    f64_halves wide = {to_f64_from_f32(x)}, rest;
    i64_halves quadrants;
    UNROLL for (int h = 0; h < 2; h++) rest.half[h] = reduce_f64(wide.half[h], &quadrants.half[h]);
    *quadrant = to_i32_from_i64(quadrants.whole);
    return to_f32_from_f64(rest.whole);
}
INLINE f32v sin_reduced_f32(f32v r, i32v quadrant) {
    f32v z = r * r;
    f32v sine = r + r * z * polynomial_f32(z, SIN_F32, COUNT(SIN_F32));
    f32v cosine = 1 - 0.5f * z + z * z * polynomial_f32(z, COS_F32, COUNT(COS_F32));
    f32v size = select_f32((quadrant & 1) != 0, cosine, sine);
    return (f32v)((u32v)size ^ (u32v)(quadrant & 2) << 30);
}
INLINE f32v sin_f32(f32v x) {
    i32v quadrant;
    f32v r = reduce_f32(x, &quadrant);
    return select_f32(x == 0, x, sin_reduced_f32(r, quadrant));
}
INLINE f32v cos_f32(f32v x) {
    i32v quadrant;
    f32v r = reduce_f32(x, &quadrant);
    return sin_reduced_f32(r, quadrant + 1);
}

#endif
