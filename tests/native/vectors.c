/* Every function of vector.h over arrays, for ctypes. Arrays are LANES long unless a count is given. */
#include "vector.h"

long lanes(void) { return LANES; }

/* load and store of the first n lanes, in order and at a stride; `whole` has a count the compiler knows. */
#define COPY(name, element, vector)                                                                    \
    void copy_##name(const element *p, element *q, long n) { store_##name(q, load_##name(p, n), n); }  \
    void copy_whole_##name(const element *p, element *q) { store_##name(q, load_##name(p, LANES), LANES); } \
    void gather_##name(const element *p, long stride, element *q, long n) {                            \
        store_##name(q, stride_##name(p, stride, n), n);                                               \
    }                                                                                                  \
    void scatter_##name(const element *p, long stride, element *q, long n) {                           \
        store_stride_##name(q, stride, load_##name(p, n), n);                                          \
    }
COPY(f32, float, f32v)
COPY(f64, double, f64v)
COPY(i32, int32_t, i32v)
COPY(i64, int64_t, i64v)
COPY(u8, uint8_t, i32v)
COPY(bool, uint8_t, maskv)

#define PREDICATE(name, type, element)                                                                 \
    void name##_of_##type(const element *a, const element *b, uint8_t *q) {                            \
        store_bool(q, name##_##type(load_##type(a, LANES), load_##type(b, LANES)), LANES);             \
    }
#define BINARY(name, type, element)                                                                    \
    void name##_of_##type(const element *a, const element *b, element *q) {                            \
        store_##type(q, name##_##type(load_##type(a, LANES), load_##type(b, LANES)), LANES);           \
    }
#define UNARY(name, type, element)                                                                     \
    void name##_of_##type(const element *a, element *q) {                                              \
        store_##type(q, name##_##type(load_##type(a, LANES)), LANES);                                  \
    }
#define REDUCTION(name, type, element)                                                                 \
    void name##_of_##type(const element *a, element *q) { *q = name##_lanes_##type(load_##type(a, LANES)); }
#define NUMBER(type, element)                                                                          \
    PREDICATE(lt, type, element) PREDICATE(le, type, element) PREDICATE(gt, type, element)             \
    PREDICATE(ge, type, element) PREDICATE(eq, type, element) PREDICATE(ne, type, element)             \
    BINARY(maximum, type, element) BINARY(minimum, type, element)                                      \
    UNARY(neg, type, element) UNARY(abs, type, element) UNARY(sign, type, element)                     \
    UNARY(square, type, element)                                                                       \
    REDUCTION(sum, type, element) REDUCTION(max, type, element) REDUCTION(min, type, element)          \
    void select_of_##type(const uint8_t *m, const element *a, const element *b, element *q) {          \
        store_##type(q, select_##type(load_bool(m, LANES), load_##type(a, LANES), load_##type(b, LANES)), LANES); \
    }                                                                                                  \
    void all_of_##type(const element *a, element *q) { store_##type(q, all_##type(*a), LANES); }
NUMBER(f32, float)
NUMBER(f64, double)
NUMBER(i32, int32_t)
NUMBER(i64, int64_t)
UNARY(floor, f32, float)
UNARY(floor, f64, double)
UNARY(sqrt, f32, float)
UNARY(sqrt, f64, double)
UNARY(rsqrt, f32, float)
UNARY(rsqrt, f64, double)
BINARY(copysign, f32, float)
BINARY(copysign, f64, double)

void and_of_bool(const uint8_t *a, const uint8_t *b, uint8_t *q) {
    store_bool(q, and_mask(load_bool(a, LANES), load_bool(b, LANES)), LANES);
}
void or_of_bool(const uint8_t *a, const uint8_t *b, uint8_t *q) {
    store_bool(q, or_mask(load_bool(a, LANES), load_bool(b, LANES)), LANES);
}
void not_of_bool(const uint8_t *a, uint8_t *q) { store_bool(q, not_mask(load_bool(a, LANES)), LANES); }

#define CONVERT(to, from, result, source)                                                              \
    void to_##to##_of_##from(const source *a, result *q) {                                             \
        store_##to(q, to_##to##_from_##from(load_##from(a, LANES)), LANES);                            \
    }
#define FROM(from, source)                                                                             \
    CONVERT(f32, from, float, source) CONVERT(f64, from, double, source)                               \
    CONVERT(i32, from, int32_t, source) CONVERT(i64, from, int64_t, source)
FROM(f32, float)
FROM(f64, double)
FROM(i32, int32_t)
FROM(i64, int64_t)
FROM(u8, uint8_t)
FROM(bool, uint8_t)
CONVERT(u8, f32, uint8_t, float)
CONVERT(u8, f64, uint8_t, double)
CONVERT(u8, i32, uint8_t, int32_t)
CONVERT(u8, i64, uint8_t, int64_t)
CONVERT(u8, u8, uint8_t, uint8_t)
CONVERT(u8, bool, uint8_t, uint8_t)
CONVERT(bool, bool, uint8_t, uint8_t)
CONVERT(bool, f32, uint8_t, float)
CONVERT(bool, f64, uint8_t, double)
CONVERT(bool, i32, uint8_t, int32_t)
CONVERT(bool, i64, uint8_t, int64_t)
CONVERT(bool, u8, uint8_t, uint8_t)

#define TRANSPOSE(type, element, vector)                                                               \
    void transpose_of_##type(const element *a, element *q) {                                           \
        vector r[LANES];                                                                               \
        UNROLL for (int i = 0; i < LANES; i++) r[i] = load_##type(a + i * LANES, LANES);               \
        transpose_##type(r);                                                                           \
        UNROLL for (int i = 0; i < LANES; i++) store_##type(q + i * LANES, r[i], LANES);               \
    }
TRANSPOSE(f32, float, f32v)
TRANSPOSE(f64, double, f64v)
