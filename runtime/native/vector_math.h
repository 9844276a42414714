/* exp expm1 log log1p sin cos tanh sigmoid softplus erf pow, each as name_f32 over f32v and name_f64 over f64v. */
#ifndef NNC_VECTOR_MATH_H
#define NNC_VECTOR_MATH_H

#include "elementary_f32.h"
#include "elementary_f64.h"
#include "power.h"
#include "trigonometry.h"
#include "vector.h"

#endif
