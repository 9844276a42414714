/* Elementary functions of float64, over f64v; NumPy's values at zeros, infinities and NaN.
 *
 * Each works on a half, one register of lanes, by the same plan as its float32 twin in elementary_f32.h: reduce the
 * argument with constants in two parts, evaluate a polynomial, put the exponent back. The polynomials are minimax ones
 * found by Sollya (S. Chevillard, M. Joldes, C. Lauter, ICMS 2010); benchmarks/native/coefficients.sollya prints them.
 * The errors that were measured are in vector_math.h.
 */
#ifndef NNC_ELEMENTARY_F64_H
#define NNC_ELEMENTARY_F64_H

#include "vector.h"

#define NAN_F32 __builtin_nanf("")
#define NAN_F64 __builtin_nan("")
#define INFINITY_F32 __builtin_inff()
#define INFINITY_F64 __builtin_inf()

/* c[0] + c[1] x + c[2] x^2 + ... */
#define POLYNOMIAL(name, vector, element)                                                              \
    INLINE vector name(vector x, const element *c, int count) {                                        \
        vector sum = c[count - 1] - (vector){0};                                                       \
        UNROLL for (int k = count - 2; k >= 0; k--) sum = sum * x + c[k];                              \
        return sum;                                                                                    \
    }
POLYNOMIAL(polynomial_f32, f32v, float)
POLYNOMIAL(polynomial_f64, f64h, double)
#undef POLYNOMIAL
#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* A function of halves as a function of f64v. */
#define BY_HALF(name)                                                                                  \
    INLINE f64v name(f64v x) {                                                                         \
        f64_halves in = {x}, out;                                                                      \
        UNROLL for (int h = 0; h < 2; h++) out.half[h] = name##_half(in.half[h]);                      \
        return out.whole;                                                                              \
    }

INLINE f64h all_f64_half(double x) { return x - (f64h){0}; }
INLINE f64h abs_f64_half(f64h x) { return (f64h)((i64h)x & F64_MAGNITUDE); }
INLINE f64h copysign_f64_half(f64h size, f64h sign) {
    return (f64h)(((i64h)size & F64_MAGNITUDE) | ((i64h)sign & ~F64_MAGNITUDE));
}

/* ---- numbers as exponent and fraction ---------------------------------------------------------------------------- */

#define F64_BIAS 1023
#define F64_FRACTION_BITS 52
#define F64_ROUNDING 0x1.8p52 /* added to |x| < 2^51, it leaves the nearest integer in the low bits */
#define F64_ROUNDING_BITS 0x4338000000000000
#define F64_ONE_BITS 0x3FF0000000000000
#define F64_TWO_52_BITS 0x4330000000000000
#define F64_SQRT_HALF_BITS 0x3FE6A09E667F3BCD
#define F64_LEAST_NORMAL 0x1p-1022

/* 2^i for integers -1022 <= i <= 1023. */
INLINE f64h power_of_two_f64(i64h i) { return (f64h)((u64h)(i + F64_BIAS) << F64_FRACTION_BITS); }

/* x 2^i, -2046 <= i <= 2046, in two multiplications since 2^i itself may overflow; denormal results are right. */
INLINE f64h scale_f64(f64h x, i64h i) {
    u64h both = (u64h)(i + 2 * F64_BIAS), first = both >> 1, second = both - first;
    return x * (f64h)(first << F64_FRACTION_BITS) * (f64h)(second << F64_FRACTION_BITS);
}

/* x > 0 as m 2^e with m in [sqrt(1/2), sqrt(2)); e as a float64. */
INLINE f64h split_f64(f64h x, f64h *e) {
    i64h denormal = x < F64_LEAST_NORMAL;
    u64h bits = (u64h)select_f64_half(denormal, x * 0x1p54, x);
    u64h exponent = ((bits + (F64_ONE_BITS - F64_SQRT_HALF_BITS)) >> F64_FRACTION_BITS) - F64_BIAS;
    *e = (f64h)(exponent + F64_ROUNDING_BITS) - F64_ROUNDING - (f64h)(denormal & (i64h)all_f64_half(54));
    return (f64h)(bits - (exponent << F64_FRACTION_BITS));
}

/* ---- exp and expm1 ----------------------------------------------------------------------------------------------- */

#define LOG2_E 0x1.71547652b82fep0
#define F64_LN2_HIGH 0x1.62e42fefa4p-1 /* 40 bits, so that its product with an exponent is exact */
#define F64_LN2_LOW -0x1.8432a1b0e2634p-43

/* (exp(r) - 1 - r) / r^2 for |r| <= ln(2) / 2. */
static const double EXP_F64[] = {
    0x1p-1, 0x1.5555555555557p-3, 0x1.5555555555557p-5, 0x1.1111111110052p-7, 0x1.6c16c16c156a5p-10,
    0x1.a01a01ac1d225p-13, 0x1.a01a01ab9877ep-16, 0x1.71de01afce41fp-19, 0x1.27e4cfaf49e82p-22, 0x1.af4ec44e54553p-26,
    0x1.1f86f01131676p-29,
};

/* exp(r) - 1 and i for x = r + i ln 2, |r| <= ln(2) / 2; `low` is added to r. */
INLINE f64h expm1_reduced_f64(f64h x, f64h low, i64h *i) {
    f64h rounded = x * LOG2_E + F64_ROUNDING, n = rounded - F64_ROUNDING;
    *i = (i64h)rounded - F64_ROUNDING_BITS;
    f64h r = x - n * F64_LN2_HIGH - n * F64_LN2_LOW + low;
    return r + r * r * polynomial_f64(r, EXP_F64, COUNT(EXP_F64));
}
/* exp(x + low) for a small low. */
INLINE f64h exp_sum_f64(f64h x, f64h low) {
    i64h i;
    f64h bounded = larger_f64_half(all_f64_half(-746), smaller_f64_half(all_f64_half(710), x)); /* 0 and inf */
    f64h fraction = expm1_reduced_f64(bounded, low, &i);
    return scale_f64(1 + fraction, i);
}
INLINE f64h exp_f64_half(f64h x) { return exp_sum_f64(x, (f64h){0}); }

/* 2 (2^(i-1) expm1(r) + (2^(i-1) - 1/2)), half of it since 2^i overflows first. */
INLINE f64h expm1_f64_half(f64h x) {
    i64h i;
    f64h bounded = larger_f64_half(all_f64_half(-40), smaller_f64_half(all_f64_half(710), x)); /* -1 and inf */
    f64h fraction = expm1_reduced_f64(bounded, (f64h){0}, &i);
    f64h half_power = power_of_two_f64(i - 1);
    return copysign_f64_half(2 * (half_power * fraction + (half_power - 0.5)), x);
}

/* ---- log and log1p ----------------------------------------------------------------------------------------------- */

/* log((1 + s) / (1 - s)) = 2 s + s^3 P(s^2) for |s| <= (sqrt(2) - 1) / (sqrt(2) + 1). */
static const double LOG_F64[] = {
    0x1.5555555555558p-1, 0x1.99999999952d8p-2, 0x1.2492492df77b7p-2, 0x1.c71c62dbecf3p-3,
    0x1.7462b77c3818fp-3, 0x1.39fe043e95008p-3, 0x1.2b5c966db895ep-3,
};

/* log(2^e (1 + f)), with s = f / (2 + f) and 2 s = f - s f: the square keeps the error of s small. */
INLINE f64h log_reduced_f64(f64h f, f64h e) {
    f64h s = f / (2 + f), z = s * s, half_square = 0.5 * f * f;
    f64h tail = s * (half_square + z * polynomial_f64(z, LOG_F64, COUNT(LOG_F64))) + e * F64_LN2_LOW;
    return e * F64_LN2_HIGH - ((half_square - tail) - f);
}
/* `result` where x is positive and finite; log(x) elsewhere. */
INLINE f64h log_special_f64(f64h x, f64h result) {
    f64h zero = select_f64_half(x == 0, all_f64_half(-INFINITY_F64), x); /* infinity and NaN stay */
    zero = select_f64_half(x < 0, all_f64_half(NAN_F64), zero);
    return select_f64_half((x > 0) & (x < INFINITY_F64), result, zero);
}
INLINE f64h log_f64_half(f64h x) {
    f64h e, m = split_f64(x, &e);
    return log_special_f64(x, log_reduced_f64(m - 1, e));
}
/* log(y + low) for y = 1 + x rounded, low what rounding lost (D. Knuth's sum of two numbers, TAOCP 4.2.2). */
INLINE f64h log1p_f64_half(f64h x) {
    f64h y = 1 + x, of_x = y - 1, low = (1 - (y - of_x)) + (x - of_x);
    f64h e, m = split_f64(y, &e);
    i64h matters = y < 0x1p60; /* and 2^-e is in range */
    i64h exponent = (i64h)(e + F64_ROUNDING) - F64_ROUNDING_BITS;
    f64h scaled = (f64h)(matters & (i64h)low) * power_of_two_f64(matters & -exponent);
    f64h result = log_special_f64(y, log_reduced_f64((m - 1) + scaled, e));
    return select_f64_half(x == 0, x, result);
}

/* ---- tanh, sigmoid, softplus, erf -------------------------------------------------------------------------------- */

INLINE f64h tanh_f64_half(f64h x) {
    f64h t = expm1_f64_half(-2 * abs_f64_half(x));
    return copysign_f64_half(-t / (t + 2), x);
}
/* exp(-x) overflows only where the sigmoid is below the least normal number. */
INLINE f64h sigmoid_f64_half(f64h x) { return 1 / (1 + exp_f64_half(-x)); }
INLINE f64h softplus_f64_half(f64h x) {
    f64h above = select_f64_half(x < 0, (f64h){0}, x);
    return above + log1p_f64_half(exp_f64_half(-abs_f64_half(x)));
}

/* W. J. Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23 (1969), lowest power first:
 * erf(x) / x in x^2 up to ERF_SPLIT, and erfc(x) exp(x^2) in x from there to 4. Up to 6, where erf is 1, the latter is
 * still exact enough: erfc(4) is 1.5e-8. */
#define ERF_SPLIT 0.5 /* Cody has 0.46875; his form is good to 2^-60 up to here */
static const double ERF_SMALL_TOP[] = {
    3.20937758913846947e3, 3.77485237685302021e2, 1.13864154151050156e2, 3.16112374387056560e0, 1.85777706184603153e-1,
};
static const double ERF_SMALL_BOTTOM[] = {
    2.84423683343917062e3, 1.28261652607737228e3, 2.44024637934444173e2, 2.36012909523441209e1, 1.0,
};
static const double ERF_LARGE_TOP[] = {
    1.23033935479799725e3, 2.05107837782607147e3, 1.71204761263407058e3, 8.81952221241769090e2, 2.98635138197400131e2,
    6.61191906371416295e1, 8.88314979438837594e0, 5.64188496988670089e-1, 2.15311535474403846e-8,
};
static const double ERF_LARGE_BOTTOM[] = {
    1.23033935480374942e3, 3.43936767414372164e3, 4.36261909014324716e3, 3.29079923573345963e3, 1.62138957456669019e3,
    5.37181101862009858e2, 1.17693950891312499e2, 1.57449261107098347e1, 1.0,
};
INLINE f64h erf_f64_half(f64h x) {
    f64h size = smaller_f64_half(all_f64_half(6), abs_f64_half(x)), square = size * size;
    f64h small = size * polynomial_f64(square, ERF_SMALL_TOP, COUNT(ERF_SMALL_TOP)) /
                 polynomial_f64(square, ERF_SMALL_BOTTOM, COUNT(ERF_SMALL_BOTTOM));
    f64h large = 1 - exp_f64_half(-square) * polynomial_f64(size, ERF_LARGE_TOP, COUNT(ERF_LARGE_TOP)) /
                         polynomial_f64(size, ERF_LARGE_BOTTOM, COUNT(ERF_LARGE_BOTTOM));
    return copysign_f64_half(select_f64_half(size <= ERF_SPLIT, small, large), x);
}

BY_HALF(exp_f64)
BY_HALF(expm1_f64)
BY_HALF(log_f64)
BY_HALF(log1p_f64)
BY_HALF(tanh_f64)
BY_HALF(sigmoid_f64)
BY_HALF(softplus_f64)
BY_HALF(erf_f64)

#endif
