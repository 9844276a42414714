/* Vectors of LANES elements: loads, stores, conversions, comparisons, reductions.
 *
 * Written with GCC's and Clang's vector extensions alone, so that one text serves AVX-512, AVX2, SSE2 and NEON, and
 * no system header is read. Arithmetic is the operators + - * / of C; everything else is a function here, named
 * <operation>_<element>. Every vector type has the same number of lanes, whatever its element, so an expression may
 * mix float32 and float64: 64-bit elements take two registers (type ..h is one of them, a half).
 *
 * Truth is a maskv, 0 or -1 in each lane. uint8 elements live in an i32v. The compiler flags that are assumed:
 * -fno-math-errno -fno-trapping-math -ffp-contract=fast, and never -ffast-math (NaN and -0 must keep their meaning).
 */
#ifndef NNC_VECTOR_H
#define NNC_VECTOR_H

#define INLINE static inline __attribute__((always_inline, unused))

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX2__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif
#define LANES (VECTOR_BYTES / 4)
#define HALF_LANES (LANES / 2)

typedef __UINT8_TYPE__ uint8_t;
typedef __UINT16_TYPE__ uint16_t;
typedef __INT32_TYPE__ int32_t;
typedef __UINT32_TYPE__ uint32_t;
typedef __INT64_TYPE__ int64_t;
typedef __UINT64_TYPE__ uint64_t;

#define VECTOR(bytes) __attribute__((vector_size(bytes), may_alias))
typedef float f32v VECTOR(VECTOR_BYTES);
typedef int32_t i32v VECTOR(VECTOR_BYTES);
typedef uint32_t u32v VECTOR(VECTOR_BYTES);
typedef double f64v VECTOR(2 * VECTOR_BYTES);
typedef int64_t i64v VECTOR(2 * VECTOR_BYTES);
typedef uint64_t u64v VECTOR(2 * VECTOR_BYTES);
typedef i32v maskv;
typedef double f64h VECTOR(VECTOR_BYTES);
typedef int64_t i64h VECTOR(VECTOR_BYTES);
typedef uint64_t u64h VECTOR(VECTOR_BYTES);

/* The same vectors where they may stand in memory: at any element. */
typedef f32v f32v_in_memory __attribute__((aligned(4)));
typedef i32v i32v_in_memory __attribute__((aligned(4)));
typedef f64v f64v_in_memory __attribute__((aligned(8)));
typedef i64v i64v_in_memory __attribute__((aligned(8)));
typedef f64h f64h_in_memory __attribute__((aligned(8)));
typedef i64h i64h_in_memory __attribute__((aligned(8)));
typedef uint8_t u8v_in_memory __attribute__((vector_size(LANES), may_alias, aligned(1)));
typedef uint8_t u8v __attribute__((vector_size(LANES), may_alias));
typedef uint16_t u16v __attribute__((vector_size(2 * LANES), may_alias));

/* The registers of a 64-bit vector. GCC compares vectors wider than a register lane by lane, so that is done by half. */
typedef union { f64v whole; f64h half[2]; } f64_halves;
typedef union { i64v whole; i64h half[2]; } i64_halves;

#ifdef __has_builtin
#define HAS_BUILTIN(name) __has_builtin(name)
#else
#define HAS_BUILTIN(name) 0
#endif
#define UNROLL _Pragma("GCC unroll 16")

/* ---- constants and lane numbers ---------------------------------------------------------------------------------- */

INLINE f32v all_f32(float x) { return x - (f32v){0}; }
INLINE f64v all_f64(double x) { return x - (f64v){0}; }
INLINE i32v all_i32(int32_t x) { return x | (i32v){0}; }
INLINE i64v all_i64(int64_t x) { return x | (i64v){0}; }
INLINE u32v all_u32(uint32_t x) { return x | (u32v){0}; }
INLINE u64v all_u64(uint64_t x) { return x | (u64v){0}; }
INLINE maskv all_bool(int truth) { return all_i32(truth ? -1 : 0); }

/* 0, 1, 2, ... */
INLINE i32v lane_numbers(void) {
    i32v lane;
    UNROLL for (int k = 0; k < LANES; k++) lane[k] = k;
    return lane;
}

/* ---- loads and stores of the first n lanes, 0 < n <= LANES ------------------------------------------------------ */

/* True where the compiler knows that every lane is meant; a plain load or store does then. */
#define WHOLE(n) (__builtin_constant_p(n) && (n) == LANES)

#if VECTOR_BYTES == 64
#define FIRST_LANES(n) ((uint16_t)(0xFFFFu >> (LANES - (n))))
typedef float x86_f32 __attribute__((vector_size(64)));
typedef double x86_f64 __attribute__((vector_size(64)));
INLINE f32v load_first_f32(const void *p, long n) {
    return (f32v)__builtin_ia32_loadups512_mask(p, (x86_f32){0}, FIRST_LANES(n));
}
INLINE void store_first_f32(void *p, f32v v, long n) {
    __builtin_ia32_storeups512_mask(p, (x86_f32)v, FIRST_LANES(n));
}
INLINE f64v load_first_f64(const void *p, long n) {
    f64_halves v;
    v.half[0] = (f64h)__builtin_ia32_loadupd512_mask(p, (x86_f64){0}, (uint8_t)FIRST_LANES(n));
    v.half[1] = (f64h)__builtin_ia32_loadupd512_mask((const void *)((const double *)p + HALF_LANES), (x86_f64){0},
                                                     (uint8_t)(FIRST_LANES(n) >> HALF_LANES));
    return v.whole;
}
INLINE void store_first_f64(void *p, f64v whole, long n) {
    f64_halves v = {whole};
    __builtin_ia32_storeupd512_mask(p, (x86_f64)v.half[0], (uint8_t)FIRST_LANES(n));
    __builtin_ia32_storeupd512_mask((void *)((double *)p + HALF_LANES), (x86_f64)v.half[1],
                                    (uint8_t)(FIRST_LANES(n) >> HALF_LANES));
}
#elif VECTOR_BYTES == 32
typedef float x86_f32 __attribute__((vector_size(32)));
typedef int x86_i32 __attribute__((vector_size(32)));
typedef double x86_f64 __attribute__((vector_size(32)));
typedef long long x86_i64 __attribute__((vector_size(32)));
INLINE x86_i32 first_lanes(long n) { return (x86_i32)(lane_numbers() < (int32_t)n); }
INLINE x86_i64 first_half_lanes(long n) { return (x86_i64)((i64h){0, 1, 2, 3} < n); }
INLINE f32v load_first_f32(const void *p, long n) { return (f32v)__builtin_ia32_maskloadps256(p, first_lanes(n)); }
INLINE void store_first_f32(void *p, f32v v, long n) {
    __builtin_ia32_maskstoreps256(p, first_lanes(n), (x86_f32)v);
}
INLINE f64v load_first_f64(const void *p, long n) {
    f64_halves v;
    v.half[0] = (f64h)__builtin_ia32_maskloadpd256(p, first_half_lanes(n));
    v.half[1] = (f64h)__builtin_ia32_maskloadpd256((const void *)((const double *)p + HALF_LANES),
                                                   first_half_lanes(n - HALF_LANES));
    return v.whole;
}
INLINE void store_first_f64(void *p, f64v whole, long n) {
    f64_halves v = {whole};
    __builtin_ia32_maskstorepd256(p, first_half_lanes(n), (x86_f64)v.half[0]);
    __builtin_ia32_maskstorepd256((void *)((double *)p + HALF_LANES), first_half_lanes(n - HALF_LANES),
                                  (x86_f64)v.half[1]);
}
#else
typedef float f32_in_memory __attribute__((may_alias));
typedef double f64_in_memory __attribute__((may_alias));
INLINE f32v load_first_f32(const void *p, long n) {
    f32v v = {0};
    UNROLL for (int k = 0; k < LANES; k++) if (k < n) v[k] = ((const f32_in_memory *)p)[k];
    return v;
}
INLINE void store_first_f32(void *p, f32v v, long n) {
    UNROLL for (int k = 0; k < LANES; k++) if (k < n) ((f32_in_memory *)p)[k] = v[k];
}
INLINE f64v load_first_f64(const void *p, long n) {
    f64v v = {0};
    UNROLL for (int k = 0; k < LANES; k++) if (k < n) v[k] = ((const f64_in_memory *)p)[k];
    return v;
}
INLINE void store_first_f64(void *p, f64v v, long n) {
    UNROLL for (int k = 0; k < LANES; k++) if (k < n) ((f64_in_memory *)p)[k] = v[k];
}
#endif

INLINE f32v load_f32(const float *p, long n) {
    return WHOLE(n) ? (f32v) * (const f32v_in_memory *)p : load_first_f32(p, n);
}
INLINE f64v load_f64(const double *p, long n) {
    return WHOLE(n) ? (f64v) * (const f64v_in_memory *)p : load_first_f64(p, n);
}
INLINE i32v load_i32(const int32_t *p, long n) {
    return WHOLE(n) ? (i32v) * (const i32v_in_memory *)p : (i32v)load_first_f32(p, n);
}
INLINE i64v load_i64(const int64_t *p, long n) {
    return WHOLE(n) ? (i64v) * (const i64v_in_memory *)p : (i64v)load_first_f64(p, n);
}
INLINE i32v load_u8(const uint8_t *p, long n) {
    u8v v = {0};
    if (WHOLE(n)) v = *(const u8v_in_memory *)p;
    else for (long k = 0; k < n; k++) v[k] = p[k];
    return __builtin_convertvector(__builtin_convertvector(v, u16v), i32v); /* GCC widens by two at a time */
}
INLINE maskv load_bool(const uint8_t *p, long n) { return load_u8(p, n) != 0; }

INLINE void store_f32(float *p, f32v v, long n) {
    if (WHOLE(n)) *(f32v_in_memory *)p = v;
    else store_first_f32(p, v, n);
}
INLINE void store_f64(double *p, f64v v, long n) {
    f64_halves halves = {v}; /* GCC moves what is wider than a register through the stack */
    if (WHOLE(n)) UNROLL for (int h = 0; h < 2; h++) ((f64h_in_memory *)p)[h] = halves.half[h];
    else store_first_f64(p, v, n);
}
INLINE void store_i32(int32_t *p, i32v v, long n) {
    if (WHOLE(n)) *(i32v_in_memory *)p = v;
    else store_first_f32(p, (f32v)v, n);
}
INLINE void store_i64(int64_t *p, i64v v, long n) {
    i64_halves halves = {v};
    if (WHOLE(n)) UNROLL for (int h = 0; h < 2; h++) ((i64h_in_memory *)p)[h] = halves.half[h];
    else store_first_f64(p, (f64v)v, n);
}
INLINE void store_u8(uint8_t *p, i32v v, long n) {
    u8v bytes = __builtin_convertvector(__builtin_convertvector(v, u16v), u8v);
    if (WHOLE(n)) *(u8v_in_memory *)p = bytes;
    else for (long k = 0; k < n; k++) p[k] = bytes[k];
}
INLINE void store_bool(uint8_t *p, maskv m, long n) { store_u8(p, m & 1, n); }

/* The first lane alone, after whoever reads the number before. */
#define PUT(name, element, vector) INLINE void put_##name(element *p, vector v) { store_##name(p, v, 1); }
PUT(f32, float, f32v)
PUT(f64, double, f64v)
PUT(i32, int32_t, i32v)
PUT(i64, int64_t, i64v)
PUT(u8, uint8_t, i32v)
PUT(bool, uint8_t, maskv)
#undef PUT

/* Lane k of the memory form is p[k * stride]: a column of a matrix, or one element for all (stride 0). */
#define STRIDED(name, element, vector)                                                                 \
    INLINE vector stride_##name(const element *p, long stride, long n) {                               \
        vector v = {0};                                                                                \
        UNROLL for (int k = 0; k < LANES; k++) if (k < n) v[k] = p[k * stride];                        \
        return v;                                                                                      \
    }                                                                                                  \
    INLINE void store_stride_##name(element *p, long stride, vector v, long n) {                       \
        UNROLL for (int k = 0; k < LANES; k++) if (k < n) p[k * stride] = (element)v[k];               \
    }
STRIDED(f32, float, f32v)
STRIDED(f64, double, f64v)
STRIDED(i32, int32_t, i32v)
STRIDED(i64, int64_t, i64v)
STRIDED(u8, uint8_t, i32v)
#undef STRIDED
INLINE maskv stride_bool(const uint8_t *p, long stride, long n) { return stride_u8(p, stride, n) != 0; }
INLINE void store_stride_bool(uint8_t *p, long stride, maskv m, long n) { store_stride_u8(p, stride, m & 1, n); }

INLINE void prefetch(const void *p) { __builtin_prefetch(p); }

/* ---- truth ------------------------------------------------------------------------------------------------------- */

INLINE maskv and_mask(maskv a, maskv b) { return a & b; }
INLINE maskv or_mask(maskv a, maskv b) { return a | b; }
INLINE maskv not_mask(maskv a) { return ~a; }

#define COMPARISON(name, operator)                                                                     \
    INLINE maskv name##_f32(f32v a, f32v b) { return a operator b; }                                   \
    INLINE maskv name##_i32(i32v a, i32v b) { return a operator b; }                                   \
    INLINE maskv name##_f64(f64v a, f64v b) {                                                          \
        f64_halves x = {a}, y = {b};                                                                   \
        i64_halves m;                                                                                  \
        UNROLL for (int h = 0; h < 2; h++) m.half[h] = x.half[h] operator y.half[h];                   \
        return __builtin_convertvector(m.whole, maskv);                                                \
    }                                                                                                  \
    INLINE maskv name##_i64(i64v a, i64v b) {                                                          \
        i64_halves x = {a}, y = {b}, m;                                                                \
        UNROLL for (int h = 0; h < 2; h++) m.half[h] = x.half[h] operator y.half[h];                   \
        return __builtin_convertvector(m.whole, maskv);                                                \
    }
COMPARISON(lt, <)
COMPARISON(le, <=)
COMPARISON(gt, >)
COMPARISON(ge, >=)
COMPARISON(eq, ==)
COMPARISON(ne, !=)
#undef COMPARISON

/* a where m, else b. */
INLINE i32v select_i32(maskv m, i32v a, i32v b) { return (m & a) | (~m & b); }
INLINE f32v select_f32(maskv m, f32v a, f32v b) { return (f32v)select_i32(m, (i32v)a, (i32v)b); }
INLINE f64h select_f64_half(i64h m, f64h a, f64h b) { return (f64h)((m & (i64h)a) | (~m & (i64h)b)); }
INLINE i64v select_i64(maskv m, i64v a, i64v b) {
    i64v wide = __builtin_convertvector(m, i64v);
    return (wide & a) | (~wide & b);
}
INLINE f64v select_f64(maskv m, f64v a, f64v b) { return (f64v)select_i64(m, (i64v)a, (i64v)b); }

/* ---- conversions: C's, toward zero; a truth is 0 or 1, and what is not 0 is true ---------------------------------- */

#define CONVERSION(to, from, result, source)                                                           \
    INLINE result to_##to##_from_##from(source v) { return __builtin_convertvector(v, result); }
CONVERSION(f32, f64, f32v, f64v)
CONVERSION(f32, i32, f32v, i32v)
CONVERSION(f32, i64, f32v, i64v)
CONVERSION(f32, u8, f32v, i32v)
CONVERSION(f64, f32, f64v, f32v)
CONVERSION(f64, i32, f64v, i32v)
CONVERSION(f64, i64, f64v, i64v)
CONVERSION(f64, u8, f64v, i32v)
CONVERSION(i32, f32, i32v, f32v)
CONVERSION(i32, f64, i32v, f64v)
CONVERSION(i32, i64, i32v, i64v)
CONVERSION(i64, f32, i64v, f32v)
CONVERSION(i64, f64, i64v, f64v)
CONVERSION(i64, i32, i64v, i32v)
CONVERSION(i64, u8, i64v, i32v)
#undef CONVERSION
INLINE f32v to_f32_from_f32(f32v v) { return v; }
INLINE f64v to_f64_from_f64(f64v v) { return v; }
INLINE i32v to_i32_from_i32(i32v v) { return v; }
INLINE i64v to_i64_from_i64(i64v v) { return v; }
INLINE i32v to_u8_from_u8(i32v v) { return v; }
INLINE maskv to_bool_from_bool(maskv m) { return m; }
INLINE i32v to_i32_from_u8(i32v v) { return v; }
INLINE i32v to_u8_from_i32(i32v v) { return v & 255; }
INLINE i32v to_u8_from_i64(i64v v) { return to_i32_from_i64(v) & 255; }
INLINE i32v to_u8_from_f32(f32v v) { return to_i32_from_f32(v) & 255; }
INLINE i32v to_u8_from_f64(f64v v) { return to_i32_from_f64(v) & 255; }
INLINE i32v to_u8_from_bool(maskv m) { return m & 1; }
INLINE i32v to_i32_from_bool(maskv m) { return m & 1; }
INLINE i64v to_i64_from_bool(maskv m) { return to_i64_from_i32(m & 1); }
INLINE f32v to_f32_from_bool(maskv m) { return (f32v)(m & (i32v)all_f32(1)); }
INLINE f64v to_f64_from_bool(maskv m) { return to_f64_from_f32(to_f32_from_bool(m)); }
INLINE maskv to_bool_from_f32(f32v v) { return v != 0; }
INLINE maskv to_bool_from_f64(f64v v) { return ne_f64(v, all_f64(0)); }
INLINE maskv to_bool_from_i32(i32v v) { return v != 0; }
INLINE maskv to_bool_from_i64(i64v v) { return ne_i64(v, all_i64(0)); }
INLINE maskv to_bool_from_u8(i32v v) { return v != 0; }

/* ---- elementwise ------------------------------------------------------------------------------------------------- */

#define F32_MAGNITUDE 0x7FFFFFFF          /* all bits but the sign */
#define F64_MAGNITUDE 0x7FFFFFFFFFFFFFFF

INLINE f32v neg_f32(f32v x) { return -x; }
INLINE f64v neg_f64(f64v x) { return -x; }
INLINE i32v neg_i32(i32v x) { return (i32v)(0 - (u32v)x); } /* unsigned: the least integer is its own negative */
INLINE i64v neg_i64(i64v x) { return (i64v)(0 - (u64v)x); }
INLINE f32v abs_f32(f32v x) { return (f32v)((i32v)x & F32_MAGNITUDE); }
INLINE f64v abs_f64(f64v x) { return (f64v)((i64v)x & F64_MAGNITUDE); }
INLINE i32v abs_i32(i32v x) { return select_i32(x < 0, neg_i32(x), x); }
INLINE i64v abs_i64(i64v x) { return select_i64(lt_i64(x, all_i64(0)), neg_i64(x), x); }
INLINE f32v square_f32(f32v x) { return x * x; }
INLINE f64v square_f64(f64v x) { return x * x; }
INLINE i32v square_i32(i32v x) { return (i32v)((u32v)x * (u32v)x); }
INLINE i64v square_i64(i64v x) { return (i64v)((u64v)x * (u64v)x); }

/* The magnitude of `size` with the sign of `sign`. */
INLINE f32v copysign_f32(f32v size, f32v sign) {
    return (f32v)(((i32v)size & F32_MAGNITUDE) | ((i32v)sign & ~F32_MAGNITUDE));
}
INLINE f64v copysign_f64(f64v size, f64v sign) {
    return (f64v)(((i64v)size & F64_MAGNITUDE) | ((i64v)sign & ~F64_MAGNITUDE));
}

/* -1, 0 (of either zero) or 1; NaN stays. */
INLINE f32v sign_f32(f32v x) {
    f32v unit = copysign_f32(all_f32(1), x);
    return select_f32((x < 0) | (x > 0), unit, select_f32(x == 0, all_f32(0), x));
}
INLINE f64v sign_f64(f64v x) {
    f64v zero = all_f64(0), unit = copysign_f64(all_f64(1), x);
    return select_f64(lt_f64(x, zero) | gt_f64(x, zero), unit, select_f64(eq_f64(x, zero), zero, x));
}
INLINE i32v sign_i32(i32v x) { return (x < 0) - (x > 0); }
INLINE i64v sign_i64(i64v x) { return to_i64_from_i32(lt_i64(x, all_i64(0)) - gt_i64(x, all_i64(0))); }

/* Square roots, correctly rounded. */
#define CURRENT_ROUNDING 4
#if VECTOR_BYTES == 64 && !defined(__clang__)
#define SQRT_F32(x) (f32v) __builtin_ia32_sqrtps512_mask((x86_f32)(x), (x86_f32){0}, 0xFFFF, CURRENT_ROUNDING)
#define SQRT_F64(x) (f64h) __builtin_ia32_sqrtpd512_mask((x86_f64)(x), (x86_f64){0}, 0xFF, CURRENT_ROUNDING)
#elif VECTOR_BYTES == 32 && HAS_BUILTIN(__builtin_ia32_sqrtps256)
#define SQRT_F32(x) (f32v) __builtin_ia32_sqrtps256((x86_f32)(x))
#define SQRT_F64(x) (f64h) __builtin_ia32_sqrtpd256((x86_f64)(x))
#elif HAS_BUILTIN(__builtin_elementwise_sqrt)
#define SQRT_F32(x) __builtin_elementwise_sqrt(x)
#define SQRT_F64(x) __builtin_elementwise_sqrt(x)
#endif
#ifdef SQRT_F32
INLINE f32v sqrt_f32(f32v x) { return SQRT_F32(x); }
INLINE f64h sqrt_f64_half(f64h x) { return SQRT_F64(x); }
#else
INLINE f32v sqrt_f32(f32v x) {
    UNROLL for (int k = 0; k < LANES; k++) x[k] = __builtin_sqrtf(x[k]);
    return x;
}
INLINE f64h sqrt_f64_half(f64h x) {
    UNROLL for (int k = 0; k < HALF_LANES; k++) x[k] = __builtin_sqrt(x[k]);
    return x;
}
#endif
INLINE f64v sqrt_f64(f64v x) {
    f64_halves v = {x}, root;
    UNROLL for (int h = 0; h < 2; h++) root.half[h] = sqrt_f64_half(v.half[h]);
    return root.whole;
}
INLINE f32v rsqrt_f32(f32v x) { return 1 / sqrt_f32(x); }
INLINE f64v rsqrt_f64(f64v x) { return 1 / sqrt_f64(x); }

/* From here up, a floating-point number has no fraction; adding it to a smaller one rounds that to an integer. */
#define F32_INTEGERS 0x1p23f
#define F64_INTEGERS 0x1p52

INLINE f32v floor_f32(f32v x) {
    f32v size = abs_f32(x);
    f32v nearest = copysign_f32((size + F32_INTEGERS) - F32_INTEGERS, x);
    f32v below = copysign_f32(nearest - to_f32_from_bool(nearest > x), x); /* floor(-0.0) is -0.0 */
    return select_f32(size < F32_INTEGERS, below, x);
}
INLINE f64v floor_f64(f64v x) {
    f64v size = abs_f64(x);
    f64v nearest = copysign_f64((size + F64_INTEGERS) - F64_INTEGERS, x);
    f64v below = copysign_f64(nearest - to_f64_from_bool(gt_f64(nearest, x)), x);
    return select_f64(lt_f64(size, all_f64(F64_INTEGERS)), below, x);
}

/* a > b ? a : b and a < b ? a : b: the second operand where either is NaN. One instruction on x86; Clang finds it. */
#if VECTOR_BYTES == 64 && !defined(__clang__)
#define EXTREME_F32(x86, a, b) (f32v) x86##ps512_mask((x86_f32)(a), (x86_f32)(b), (x86_f32){0}, 0xFFFF, CURRENT_ROUNDING)
#define EXTREME_F64(x86, a, b) (f64h) x86##pd512_mask((x86_f64)(a), (x86_f64)(b), (x86_f64){0}, 0xFF, CURRENT_ROUNDING)
#elif VECTOR_BYTES == 32 && !defined(__clang__)
#define EXTREME_F32(x86, a, b) (f32v) x86##ps256((x86_f32)(a), (x86_f32)(b))
#define EXTREME_F64(x86, a, b) (f64h) x86##pd256((x86_f64)(a), (x86_f64)(b))
#endif
#ifdef EXTREME_F32
INLINE f32v larger_f32(f32v a, f32v b) { return EXTREME_F32(__builtin_ia32_max, a, b); }
INLINE f32v smaller_f32(f32v a, f32v b) { return EXTREME_F32(__builtin_ia32_min, a, b); }
INLINE f64h larger_f64_half(f64h a, f64h b) { return EXTREME_F64(__builtin_ia32_max, a, b); }
INLINE f64h smaller_f64_half(f64h a, f64h b) { return EXTREME_F64(__builtin_ia32_min, a, b); }
#else
INLINE f32v larger_f32(f32v a, f32v b) { return select_f32(a > b, a, b); }
INLINE f32v smaller_f32(f32v a, f32v b) { return select_f32(a < b, a, b); }
INLINE f64h larger_f64_half(f64h a, f64h b) { return select_f64_half(a > b, a, b); }
INLINE f64h smaller_f64_half(f64h a, f64h b) { return select_f64_half(a < b, a, b); }
#endif

/* NaN in either operand gives NaN. */
INLINE f32v maximum_f32(f32v a, f32v b) { return select_f32(a != a, a, larger_f32(a, b)); }
INLINE f32v minimum_f32(f32v a, f32v b) { return select_f32(a != a, a, smaller_f32(a, b)); }
#define EXTREME_BY_HALF(name, take)                                                                    \
    INLINE f64v name(f64v a, f64v b) {                                                                 \
        f64_halves x = {a}, y = {b}, result;                                                           \
        UNROLL for (int h = 0; h < 2; h++)                                                             \
            result.half[h] = select_f64_half(x.half[h] != x.half[h], x.half[h], take(x.half[h], y.half[h])); \
        return result.whole;                                                                           \
    }
EXTREME_BY_HALF(maximum_f64, larger_f64_half)
EXTREME_BY_HALF(minimum_f64, smaller_f64_half)
#undef EXTREME_BY_HALF
INLINE i32v maximum_i32(i32v a, i32v b) { return select_i32(a > b, a, b); }
INLINE i32v minimum_i32(i32v a, i32v b) { return select_i32(a < b, a, b); }
INLINE i64v maximum_i64(i64v a, i64v b) { return select_i64(gt_i64(a, b), a, b); }
INLINE i64v minimum_i64(i64v a, i64v b) { return select_i64(lt_i64(a, b), a, b); }

#include "across_lanes.h"

#endif
