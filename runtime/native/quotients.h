/* Quotients and square roots from the processor's estimates and Newton's iteration, where that is quicker than dividing.
 *
 * An optimizer divides and takes a root for every weight. Exact, the two keep the divider of a core busy for some 35
 * cycles a vector of 16 on Intel's AVX-512 processors; these need 5 to 10 multiplications. Errors, over all normal
 * float32: root 0.81 ulp, inverse_root 2.02 ulp, quotient_by_root 2.9 ulp; quotient 1.51 ulp over 64 million random
 * pairs. What the estimates cannot serve is put right: 0, infinity and NaN in the result, for the largest and the
 * smallest divisors by dividing.
 *
 * quotient_by_root is a / (sqrt(x) + c), as of an Adam, for a number c from 1e-9 to 1e9: then every divisor has an
 * estimate.
 */
#ifndef NNC_QUOTIENTS_H
#define NNC_QUOTIENTS_H

#include "vector.h"

#if VECTOR_BYTES == 64
#define RECIPROCAL_14(x) (f32v) __builtin_ia32_rcp14ps512_mask((x86_f32)(x), (x86_f32){0}, 0xFFFF)
#define RSQRT_14(x) (f32v) __builtin_ia32_rsqrt14ps512_mask((x86_f32)(x), (x86_f32){0}, 0xFFFF)
#define LEAST_NORMAL 0x00800000u    /* 2^-126, as bits */
#define RECIPROCAL_NORMAL 0x7E000000u   /* how far above it numbers have a normal reciprocal: up to 2^126 */

#if defined(__clang__)
#define LARGER_OR_SECOND(a, b) (f32v) __builtin_ia32_maxps512((x86_f32)(a), (x86_f32)(b), 4)
#else
#define LARGER_OR_SECOND(a, b) (f32v) __builtin_ia32_maxps512_mask((x86_f32)(a), (x86_f32)(b), (x86_f32){0}, 0xFFFF, 4)
#endif
#define NOT_BELOW 5     /* among the comparisons that the processor knows */
typedef int quotient_bits __attribute__((vector_size(64)));

/* Whether the bits of any number, as an unsigned integer, are `limit` or more. */
INLINE int any_from(u32v bits, uint32_t limit) {
    return __builtin_ia32_ucmpd512_mask((quotient_bits)bits, (quotient_bits)all_u32(limit), NOT_BELOW, 0xFFFF) != 0;
}

INLINE f32v quotient_f32(f32v a, f32v b) {
    const u32v size = (u32v)b & F32_MAGNITUDE;
    if (__builtin_expect(any_from(size - LEAST_NORMAL, RECIPROCAL_NORMAL), 0)) return a / b;
    const f32v r = RECIPROCAL_14(b);
    return a * (r + r * (1 - b * r));
}

/* `result`, except where x is no ordinary number: `answers` has a digit for each of NaN, NaN, 0, 1, -inf, inf, x < 0 and
 * x > 0, from the lowest. 0: the result, 1: x, 2: NaN as x, 3: NaN, 6: infinity with x's sign, 8: 0. */
INLINE f32v unless_special(f32v result, f32v x, uint32_t answers) {
    return (f32v)__builtin_ia32_fixupimmps512_mask((x86_f32)result, (x86_f32)x, (quotient_bits)all_u32(answers), 0, 0xFFFF, 4);
}
#define ANSWERS_OF_ROOT 0x03130122u
#define ANSWERS_OF_INVERSE_ROOT 0x03830622u
#define ANSWERS_OF_INVERSE_SUM 0x03830022u  /* of a number and sqrt(x) */

INLINE f32v root_f32(f32v x) {
    const f32v y = RSQRT_14(x), g = x * y;
    return unless_special(g + g * (0.5f - g * (0.5f * y)), x, ANSWERS_OF_ROOT);
}
INLINE f32v inverse_root_f32(f32v x) {
    const f32v y = RSQRT_14(x);
    return unless_special(y + y * (0.5f - (0.5f * x * y) * y), x, ANSWERS_OF_INVERSE_ROOT);
}
/* What is smaller is as good as 0 to the sum, but has an estimate. NaN stays NaN: it is the second operand. */
INLINE f32v quotient_by_root_f32(f32v a, f32v x, f32v c) {
    const f32v inside = LARGER_OR_SECOND(all_f32(0x1p-120f), x), y = RSQRT_14(inside), g = inside * y;
    const f32v b = g + g * (0.5f - g * (0.5f * y)) + c, r = RECIPROCAL_14(b);
    return a * unless_special(r + r * (1 - b * r), x, ANSWERS_OF_INVERSE_SUM);
}
#else
INLINE f32v quotient_f32(f32v a, f32v b) { return a / b; }
INLINE f32v root_f32(f32v x) { return sqrt_f32(x); }
INLINE f32v inverse_root_f32(f32v x) { return 1 / sqrt_f32(x); }
INLINE f32v quotient_by_root_f32(f32v a, f32v x, f32v c) { return a / (sqrt_f32(x) + c); }
#endif

#endif
