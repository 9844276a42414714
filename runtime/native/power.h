/* x^y over f64v and f32v, with the special values of C and NumPy.
 *
 * |x|^y = exp(y log|x|). An error in the logarithm grows with y, so for float64 it is carried as a sum of two numbers
 * (T. J. Dekker, "A floating-point technique for extending the available precision", Numer. Math. 18, 1971).
 */
#ifndef NNC_POWER_H
#define NNC_POWER_H

#include "elementary_f64.h"

/* The number high + low, |low| at most half a unit in the last place of high. */
typedef struct { f64h high, low; } f64_sum;

INLINE f64_sum sum_of(f64h a, f64h b) {
    f64h high = a + b, of_b = high - a;
    return (f64_sum){high, (a - (high - of_b)) + (b - of_b)};
}
/* a b exactly, by halves of 26 bits, so that nothing hangs on a fused multiply-add. */
#define F64_UPPER_HALF 0xFFFFFFFFF8000000
INLINE f64_sum product_of(f64h a, f64h b) {
    f64h a_high = (f64h)((u64h)a & F64_UPPER_HALF), b_high = (f64h)((u64h)b & F64_UPPER_HALF);
    f64h a_low = a - a_high, b_low = b - b_high, high = a * b;
    return (f64_sum){high, ((a_high * b_high - high) + a_high * b_low + a_low * b_high) + a_low * b_low};
}

#define TWO_THIRDS_HIGH 0x1.5555555555555p-1 /* the first coefficient of log((1+s)/(1-s)) / s^3 */
#define TWO_THIRDS_LOW 0x1.5555555555555p-55

/* log((1 + s) / (1 - s)) = 2 s + 2/3 s^3 + s^5 P(s^2), to 2^-69. */
static const double LOG_TAIL_F64[] = {
    0x1.999999999999ap-2, 0x1.24924924922fdp-2, 0x1.c71c71c74cc6dp-3, 0x1.745d173c9fadap-3,
    0x1.3b13a9e77d015p-3, 0x1.11154b5493a06p-3, 0x1.e01a9f61e0336p-4, 0x1.da993f63ed24fp-4,
};

/* log(x) for 0 < x < infinity, to about 2^-62. */
INLINE f64_sum log_sum_f64(f64h x) {
    f64h e, m = split_f64(x, &e), f = m - 1;
    f64_sum bottom = sum_of(all_f64_half(1), m);
    f64_sum s = {f / bottom.high, {0}};
    f64_sum back = product_of(s.high, bottom.high);
    s.low = (((f - back.high) - back.low) - s.high * bottom.low) / bottom.high;

    f64_sum z = product_of(s.high, s.high);
    z.low += 2 * s.high * s.low;
    /* The rest of the polynomial is small beside 2/3: what was rounded off the latter joins it. */
    f64h rest = z.high * polynomial_f64(z.high, LOG_TAIL_F64, COUNT(LOG_TAIL_F64)) + TWO_THIRDS_LOW;
    f64_sum factor = sum_of(all_f64_half(TWO_THIRDS_HIGH), rest);
    f64_sum square = product_of(z.high, factor.high);
    square.low += z.high * factor.low + z.low * factor.high;
    f64_sum cube = product_of(s.high, square.high);
    cube.low += s.high * square.low + s.low * square.high;

    f64_sum first = sum_of(e * F64_LN2_HIGH, 2 * s.high), second = sum_of(first.high, cube.high);
    f64h low = first.low + second.low + (2 * s.low + cube.low + e * F64_LN2_LOW);
    return sum_of(second.high, low);
}

/* y within 2^70: beyond, a power is 0, 1 or infinity, and infinity times the logarithm of 1 would be NaN. */
INLINE f64h bounded_exponent(f64h y) {
    f64h limit = all_f64_half(0x1p70);
    return larger_f64_half(-limit, smaller_f64_half(limit, y));
}

/* x^y for a finite x > 0 and a bounded y. */
INLINE f64h power_exact(f64h x, f64h y) {
    f64_sum log = log_sum_f64(x), product = product_of(y, log.high);
    f64h low = product.low + y * log.low;
    return exp_sum_f64(product.high, (f64h)((abs_f64_half(product.high) < 800) & (i64h)low));
}

/* Adding 2^52 to a smaller number leaves an integer; what is larger is one. */
INLINE i64h is_integer(f64h size) {
    return (size >= F64_INTEGERS) | ((size + F64_INTEGERS) - F64_INTEGERS == size);
}
/* x^y from |x|^y, which need not be right for x = 0 and infinity, nor for NaN. */
INLINE f64h power_special(f64h x, f64h y, f64h result) {
    f64h size = abs_f64_half(x), exponent = abs_f64_half(y);
    i64h integer = is_integer(exponent), odd = integer & ~is_integer(0.5 * exponent);
    f64h at_zero = select_f64_half(y > 0, (f64h){0}, all_f64_half(INFINITY_F64));
    f64h at_infinity = select_f64_half(y > 0, all_f64_half(INFINITY_F64), (f64h){0});
    result = select_f64_half(size == 0, at_zero, result);
    result = select_f64_half(size == INFINITY_F64, at_infinity, result);
    i64h negative = (i64h)x < 0; /* -0 too */
    result = (f64h)((u64h)result ^ ((u64h)(negative & odd) << 63));
    result = select_f64_half((x < 0) & ~integer & (size != INFINITY_F64), all_f64_half(NAN_F64), result);
    result = select_f64_half((x != x) | (y != y), x + y, result);
    return select_f64_half((x == 1) | (y == 0), all_f64_half(1), result);
}

INLINE f64v pow_f64(f64v x, f64v y) {
    f64_halves base = {x}, exponent = {y}, out;
    UNROLL for (int h = 0; h < 2; h++) {
        f64h b = base.half[h], e = exponent.half[h];
        out.half[h] = power_special(b, e, power_exact(abs_f64_half(b), bounded_exponent(e)));
    }
    return out.whole;
}
/* In float64, where a plain logarithm is exact enough: y log|x| is below 2^7 for any result that is not 0 or infinity. */
INLINE f32v pow_f32(f32v x, f32v y) {
    f64_halves base = {to_f64_from_f32(x)}, exponent = {to_f64_from_f32(y)}, out;
    UNROLL for (int h = 0; h < 2; h++) {
        f64h b = base.half[h], e = exponent.half[h], fraction, power;
        fraction = split_f64(abs_f64_half(b), &power) - 1;
        out.half[h] = power_special(b, e, exp_f64_half(bounded_exponent(e) * log_reduced_f64(fraction, power)));
    }
    return to_f32_from_f64(out.whole);
}

#endif
