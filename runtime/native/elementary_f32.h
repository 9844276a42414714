/* Elementary functions of float32, over f32v; NumPy's values at zeros, infinities and NaN.
 *
 * Polynomials: benchmarks/native/coefficients.sollya. The error bound of each function, over every float32 value, is in
 * vector_math.h.
 */
#ifndef NNC_ELEMENTARY_F32_H
#define NNC_ELEMENTARY_F32_H

#include "elementary_f64.h"

/* ---- numbers as exponent and fraction ---------------------------------------------------------------------------- */

#define F32_BIAS 127
#define F32_FRACTION_BITS 23
#define F32_ROUNDING 0x1.8p23f /* added to |x| < 2^22, it leaves the nearest integer in the low bits */
#define F32_ROUNDING_BITS 0x4B400000
#define F32_ONE_BITS 0x3F800000
#define F32_SQRT_HALF_BITS 0x3F3504F3
#define F32_LEAST_NORMAL 0x1p-126f

/* 2^i for integers -126 <= i <= 127. */
INLINE f32v power_of_two_f32(i32v i) { return (f32v)((u32v)(i + F32_BIAS) << F32_FRACTION_BITS); }

/* x 2^n, n an integer (and i the same), -254 <= n <= 254; denormal results are right. */
INLINE f32v scale_f32(f32v x, f32v n, i32v i) {
#if VECTOR_BYTES == 64
    (void)i;
    return (f32v)__builtin_ia32_scalefps512_mask((x86_f32)x, (x86_f32)n, (x86_f32){0}, 0xFFFF, CURRENT_ROUNDING);
#else
    (void)n;
    u32v both = (u32v)(i + 2 * F32_BIAS), first = both >> 1, second = both - first; /* 2^i itself may overflow */
    return x * (f32v)(first << F32_FRACTION_BITS) * (f32v)(second << F32_FRACTION_BITS);
#endif
}

/* x > 0 as m 2^e with m in [sqrt(1/2), sqrt(2)). */
INLINE f32v split_f32(f32v x, i32v *e) {
    maskv denormal = x < F32_LEAST_NORMAL;
    u32v bits = (u32v)select_f32(denormal, x * 0x1p25f, x);
    u32v exponent = ((bits + (F32_ONE_BITS - F32_SQRT_HALF_BITS)) >> F32_FRACTION_BITS) - F32_BIAS;
    *e = (i32v)exponent - (denormal & 25);
    return (f32v)(bits - (exponent << F32_FRACTION_BITS));
}

/* ---- exp and expm1 ----------------------------------------------------------------------------------------------- */

#define F32_LN2_HIGH 0x1.62e4p-1f /* 15 bits, so that its product with an exponent is exact */
#define F32_LN2_LOW 0x1.7f7d1cp-20f

/* (exp(r) - 1 - r) / r^2 for |r| <= ln(2) / 2. */
static const float EXP_F32[] = {0x1p-1f, 0x1.5554dcp-3f, 0x1.5554eap-5f, 0x1.120c04p-7f, 0x1.6d4bfcp-10f};

/* exp(r) - 1 and n (also as i) for x = r + n ln 2, |r| <= ln(2) / 2. */
INLINE f32v expm1_reduced_f32(f32v x, f32v *n, i32v *i) {
    f32v rounded = x * (float)LOG2_E + F32_ROUNDING;
    *n = rounded - F32_ROUNDING;
    *i = (i32v)rounded - F32_ROUNDING_BITS;
    f32v r = x - *n * F32_LN2_HIGH - *n * F32_LN2_LOW;
    return r + r * r * polynomial_f32(r, EXP_F32, COUNT(EXP_F32));
}
INLINE f32v exp_f32(f32v x) {
    f32v n;
    i32v i;
    f32v bounded = larger_f32(all_f32(-104), smaller_f32(all_f32(89), x)); /* 0 and inf */
    f32v fraction = expm1_reduced_f32(bounded, &n, &i);
    return scale_f32(1 + fraction, n, i);
}
/* 2 (2^(i-1) expm1(r) + (2^(i-1) - 1/2)), half of it since 2^i overflows first. */
INLINE f32v expm1_f32(f32v x) {
    f32v n;
    i32v i;
    f32v bounded = larger_f32(all_f32(-20), smaller_f32(all_f32(89), x)); /* -1 and inf */
    f32v fraction = expm1_reduced_f32(bounded, &n, &i);
    f32v half_power = power_of_two_f32(i - 1);
    return copysign_f32(2 * (half_power * fraction + (half_power - 0.5f)), x);
}

/* ---- log and log1p ----------------------------------------------------------------------------------------------- */

/* (log(1 + f) - f + f^2 / 2) / f^3 for sqrt(1/2) <= 1 + f <= sqrt(2). */
static const float LOG_F32[] = {
    0x1.55555p-2f, -0x1.0000bcp-2f, 0x1.99a3f8p-3f, -0x1.54dc64p-3f,
    0x1.2292aep-3f, -0x1.0903a8p-3f, 0x1.066404p-3f, -0x1.553746p-4f,
};

/* log(2^e (1 + f)). */
INLINE f32v log_reduced_f32(f32v f, i32v exponent) {
    f32v e = to_f32_from_i32(exponent), square = f * f;
    f32v tail = f * square * polynomial_f32(f, LOG_F32, COUNT(LOG_F32)) + e * F32_LN2_LOW;
    return e * F32_LN2_HIGH + (f + (tail - 0.5f * square));
}
/* `result` where x is positive and finite; log(x) elsewhere. */
INLINE f32v log_special_f32(f32v x, f32v result) {
    f32v special = select_f32(x == 0, all_f32(-INFINITY_F32), x); /* infinity and NaN stay */
    special = select_f32(x < 0, all_f32(NAN_F32), special);
    return select_f32((x > 0) & (x < INFINITY_F32), result, special);
}
INLINE f32v log_f32(f32v x) {
    i32v e;
    f32v m = split_f32(x, &e);
    return log_special_f32(x, log_reduced_f32(m - 1, e));
}
/* What rounding lost in y = 1 + x (D. Knuth's sum of two numbers, TAOCP 4.2.2). */
INLINE f32v lost_in_one_plus_f32(f32v x, f32v y) {
    f32v of_x = y - 1;
    return (1 - (y - of_x)) + (x - of_x);
}
INLINE f32v log1p_f32(f32v x) {
    i32v e;
    f32v y = 1 + x, m = split_f32(y, &e);
    maskv matters = y < 0x1p60f; /* and 2^-e is in range */
    f32v low = (f32v)(matters & (i32v)lost_in_one_plus_f32(x, y)) * power_of_two_f32(matters & -e);
    f32v result = log_special_f32(y, log_reduced_f32((m - 1) + low, e));
    return select_f32(x == 0, x, result);
}

/* ---- tanh, sigmoid, softplus, erf -------------------------------------------------------------------------------- */

INLINE f32v tanh_f32(f32v x) {
    f32v t = expm1_f32(-2 * abs_f32(x));
    return copysign_f32(-t / (t + 2), x);
}
/* exp(-x) overflows only where the sigmoid is below the least normal number. */
INLINE f32v sigmoid_f32(f32v x) { return 1 / (1 + exp_f32(-x)); }
/* Here log1p is taken of 0 to 1, where nothing is special. */
INLINE f32v softplus_f32(f32v x) {
    i32v e;
    f32v t = exp_f32(-abs_f32(x)), y = 1 + t;
    f32v above = (f32v)(~(maskv)(x < 0) & (i32v)x);
    f32v m = split_f32(y, &e);
    f32v low = lost_in_one_plus_f32(t, y) * power_of_two_f32(-e);
    return above + log_reduced_f32((m - 1) + low, e);
}

/* (erf(x) - x) / x in x^2 below the split; log(erfc(x)) in x from there to ERF_F32_ONE, where erf rounds to 1. */
#define ERF_F32_SPLIT 0.875f
#define ERF_F32_ONE 4
static const float ERF_F32_SMALL[] = {
    0x1.06eba6p-3f, -0x1.812702p-2f, 0x1.ce2036p-4f, -0x1.b6ea32p-6f, 0x1.499f5cp-8f, -0x1.44aba8p-11f,
};
static const float ERF_F32_LARGE[] = {
    -0x1.2e6f8cp-13f, -0x1.20bd5cp0f, -0x1.460d5cp-1f, -0x1.ab024p-4f, 0x1.6eb0d2p-6f, -0x1.93f692p-9f, 0x1.a33924p-13f,
};
INLINE f32v erf_f32(f32v x) {
    f32v size = smaller_f32(all_f32(ERF_F32_ONE), abs_f32(x));
    f32v small = size + size * polynomial_f32(size * size, ERF_F32_SMALL, COUNT(ERF_F32_SMALL));
    f32v large = 1 - exp_f32(polynomial_f32(size, ERF_F32_LARGE, COUNT(ERF_F32_LARGE)));
    return copysign_f32(select_f32(size < ERF_F32_SPLIT, small, large), x);
}

#endif
