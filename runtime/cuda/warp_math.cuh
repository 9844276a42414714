/* exp expm1 log log1p sin cos tanh sigmoid softplus erf pow, each as name_f32 over f32v and name_f64 over f64v, and
 * quotient_f32 root_f32 inverse_root_f32 quotient_by_root_f32 (a / (sqrt(x) + c)): the names of vector_math.h and
 * quotients.h.
 *
 * They are CUDA's own accurate functions, never its fast intrinsics; the CUDA C++ Programming Guide, "Mathematical
 * functions", lists their largest errors. NaN, infinities and zeros are NumPy's.
 */
#ifndef NNC_WARP_MATH_CUH
#define NNC_WARP_MATH_CUH

#include "warp.cuh"

#define FUNCTION(name)                                                                                 \
    INLINE f32v name##_f32(f32v x) { return name##f(x); }                                              \
    INLINE f64v name##_f64(f64v x) { return name(x); }
FUNCTION(exp)
FUNCTION(expm1)
FUNCTION(log)
FUNCTION(log1p)
FUNCTION(sin)
FUNCTION(cos)
FUNCTION(tanh)
FUNCTION(erf)
#undef FUNCTION
INLINE f32v pow_f32(f32v x, f32v y) { return powf(x, y); }
INLINE f64v pow_f64(f64v x, f64v y) { return pow(x, y); }

INLINE f32v sigmoid_f32(f32v x) { return 1 / (1 + expf(-x)); }
INLINE f64v sigmoid_f64(f64v x) { return 1 / (1 + exp(-x)); }
INLINE f32v softplus_f32(f32v x) { return (x < 0 ? 0.0f : x) + log1pf(expf(-fabsf(x))); }
INLINE f64v softplus_f64(f64v x) { return (x < 0 ? 0.0 : x) + log1p(exp(-fabs(x))); }

INLINE f32v quotient_f32(f32v a, f32v b) { return a / b; }
INLINE f32v root_f32(f32v x) { return sqrtf(x); }
INLINE f32v inverse_root_f32(f32v x) { return rsqrtf(x); }
INLINE f32v quotient_by_root_f32(f32v a, f32v x, f32v c) { return a / (sqrtf(x) + c); }

#endif
