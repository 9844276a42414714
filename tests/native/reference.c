/* The C library's functions over arrays: what the vectors are held to. */
#include <math.h>

void erf_of_f64(const double *x, double *out, long n) {
    for (long k = 0; k < n; k++) out[k] = erf(x[k]);
}

#define OF_F64(name, value)                                                                            \
    void name##_of_f64l(const double *array, long double *out, long n) {                               \
        for (long k = 0; k < n; k++) {                                                                 \
            long double x = array[k];                                                                  \
            out[k] = value;                                                                            \
        }                                                                                              \
    }
OF_F64(exp, expl(x))
OF_F64(expm1, expm1l(x))
OF_F64(log, logl(x))
OF_F64(log1p, log1pl(x))
OF_F64(sin, sinl(x))
OF_F64(cos, cosl(x))
OF_F64(tanh, tanhl(x))
OF_F64(sigmoid, 1 / (1 + expl(-x)))
OF_F64(softplus, fmaxl(x, 0) + log1pl(expl(-fabsl(x))))
OF_F64(erf, erfl(x))

void pow_of_f64l(const double *x, const double *y, long double *out, long n) {
    for (long k = 0; k < n; k++) out[k] = powl(x[k], y[k]);
}

/* The largest |got - expected| in units in the last place of float32, and at which index; infinite where a special
 * value is wrong. Zero will do for a result below the least normal number. */
double worst_f32(const float *got, const double *expected, long n, long *index) {
    double worst = -1;
    for (long k = 0; k < n; k++) {
        double wanted = expected[k], size = fabs(wanted), error = fabs(got[k] - wanted);
        int exponent = -126;
        if (isnormal((float)wanted)) exponent = ilogb(size);
        if (isnan(wanted) ? isnan(got[k]) : isinf((float)wanted) && got[k] == (float)wanted) error = 0;
        else if (got[k] == 0 && size < 0x1p-126) error = 0;
        else if (!isfinite(got[k])) error = INFINITY;
        error *= exponent == -126 ? 0x1p149 : ldexp(1, 23 - exponent);
        if (error > worst) worst = error, *index = k;
    }
    return worst;
}
