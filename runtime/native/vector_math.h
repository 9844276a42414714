/* exp expm1 log log1p sin cos tanh sigmoid softplus erf pow, each as name_f32 over f32v and name_f64 over f64v.
 *
 * Largest errors in units in the last place, with AVX-512 and GCC 12 (benchmarks/native/accuracy.py measures them). Of
 * float32, over every value; of float64, over 4,000,000 random arguments each, and as many pairs for pow of either.
 * NaN, infinities and zeros are NumPy's; results below the least normal number may be 0.
 *
 *            exp  expm1   log  log1p   sin   cos  tanh  sigmoid  softplus   erf   pow
 *   float32  1.10  1.63  1.11   1.47  1.59  1.59  2.50     2.49      1.83  1.19  0.51
 *   float64  0.97  1.79  0.75   1.13  2.45  2.41  2.50     2.22      1.59  3.18  1.15
 */
#ifndef NNC_VECTOR_MATH_H
#define NNC_VECTOR_MATH_H

#include "elementary_f32.h"
#include "elementary_f64.h"
#include "power.h"
#include "trigonometry.h"
#include "vector.h"

#endif
