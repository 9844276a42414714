/* Every function of vector_math.h over arrays, for ctypes: name_f32(x, out, n), name_f64(x, out, n), and pow of two. */
#include "vector_math.h"

#define UNARY_F32(name)                                                                                \
    void apply_##name##_f32(const float *x, float *out, long n) {                                      \
        long k = 0;                                                                                    \
        for (; k + LANES <= n; k += LANES) store_f32(out + k, name##_f32(load_f32(x + k, LANES)), LANES); \
        if (k < n) store_f32(out + k, name##_f32(load_f32(x + k, n - k)), n - k);                      \
    }
#define UNARY_F64(name)                                                                                \
    void apply_##name##_f64(const double *x, double *out, long n) {                                    \
        long k = 0;                                                                                    \
        for (; k + LANES <= n; k += LANES) store_f64(out + k, name##_f64(load_f64(x + k, LANES)), LANES); \
        if (k < n) store_f64(out + k, name##_f64(load_f64(x + k, n - k)), n - k);                      \
    }
#define UNARY(name) UNARY_F32(name) UNARY_F64(name)
UNARY(exp)
UNARY(expm1)
UNARY(log)
UNARY(log1p)
UNARY(sin)
UNARY(cos)
UNARY(tanh)
UNARY(sigmoid)
UNARY(softplus)
UNARY(erf)
UNARY(floor)
UNARY(sqrt)
UNARY(rsqrt)
UNARY(sign)

void apply_pow_f32(const float *x, const float *y, float *out, long n) {
    for (long k = 0; k < n; k += LANES) {
        long lanes = n - k < LANES ? n - k : LANES;
        store_f32(out + k, pow_f32(load_f32(x + k, lanes), load_f32(y + k, lanes)), lanes);
    }
}
void apply_pow_f64(const double *x, const double *y, double *out, long n) {
    for (long k = 0; k < n; k += LANES) {
        long lanes = n - k < LANES ? n - k : LANES;
        store_f64(out + k, pow_f64(load_f64(x + k, lanes), load_f64(y + k, lanes)), lanes);
    }
}
