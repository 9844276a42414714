/* The 32 lanes of a warp as a vector: loads, stores, conversions, comparisons, reductions.
 *
 * The contract of runtime/native/vector.h, so that one printed text serves a processor's vectors and a GPU's warps: a
 * vector type is here the one element that a lane holds, and a function works on all lanes at once because all 32 call
 * it together. Control flow is therefore the same in every lane; lanes differ in loads and stores alone, which touch the
 * first n. Truth is a maskv, 0 or -1. uint8 elements live in an i32v.
 *
 * What one lane has stored, another may read after `settle`, or after any function whose comment says that it settles.
 */
#ifndef NNC_WARP_CUH
#define NNC_WARP_CUH

#define INLINE static __device__ __forceinline__
#define SHARED static __device__ __noinline__ /* compiled once, however many places call it */

#define LANES 32
#define ALL_LANES 0xFFFFFFFFu

#ifndef EMULATED /* NVRTC has no system headers, and not these functions of GCC and Clang */
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long int64_t;
typedef unsigned long uint64_t;
static_assert(sizeof(int64_t) == 8, "printed for systems whose long has 64 bits");
#define __builtin_inff() __int_as_float(0x7F800000)
#define __builtin_inf() __longlong_as_double(0x7FF0000000000000)
#define __builtin_nanf(text) __int_as_float(0x7FC00000)
#define __builtin_nan(text) __longlong_as_double(0x7FF8000000000000)
#define UNROLL _Pragma("unroll")
/* The memory that a launch gives each of its blocks. */
#define DYNAMIC_SHARED(name) extern __shared__ __align__(16) char name[]
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

typedef float f32v;
typedef double f64v;
typedef int32_t i32v;
typedef int64_t i64v;
typedef uint32_t u32v;
typedef uint64_t u64v;
typedef i32v maskv;

/* ---- constants and lane numbers ---------------------------------------------------------------------------------- */

INLINE i32v lane_numbers(void) { return (i32v)(threadIdx.x % LANES); }

/* From here on, every lane sees what the others have stored before. */
INLINE void settle(void) { __syncwarp(ALL_LANES); }

INLINE f32v all_f32(float x) { return x; }
INLINE f64v all_f64(double x) { return x; }
INLINE i32v all_i32(int32_t x) { return x; }
INLINE i64v all_i64(int64_t x) { return x; }
INLINE u32v all_u32(uint32_t x) { return x; }
INLINE u64v all_u64(uint64_t x) { return x; }
INLINE maskv all_bool(int truth) { return truth ? -1 : 0; }

/* True in the first n lanes. */
INLINE maskv lanes_below(long n) { return -(lane_numbers() < (i32v)n); }

/* ---- loads and stores of the first n lanes, 0 < n <= LANES; what is not loaded is 0 ------------------------------- */

/* Lane k of the strided forms is p[k * stride]: a column of a matrix, or one element for all (stride 0). */
#define MEMORY(kind, element, vector)                                                                  \
    INLINE vector load_##kind(const element *p, long n) {                                              \
        const i32v lane = lane_numbers();                                                              \
        return lane < (i32v)n ? (vector)p[lane] : (vector)0;                                           \
    }                                                                                                  \
    INLINE void store_##kind(element *p, vector v, long n) {                                           \
        const i32v lane = lane_numbers();                                                              \
        if (lane < (i32v)n) p[lane] = (element)v;                                                      \
    }                                                                                                  \
    INLINE vector stride_##kind(const element *p, long stride, long n) {                               \
        const i32v lane = lane_numbers();                                                              \
        return lane < (i32v)n ? (vector)p[lane * stride] : (vector)0;                                  \
    }                                                                                                  \
    INLINE void store_stride_##kind(element *p, long stride, vector v, long n) {                       \
        const i32v lane = lane_numbers();                                                              \
        if (lane < (i32v)n) p[lane * stride] = (element)v;                                             \
    }
MEMORY(f32, float, f32v)
MEMORY(f64, double, f64v)
MEMORY(i32, int32_t, i32v)
MEMORY(i64, int64_t, i64v)
MEMORY(u8, uint8_t, i32v)
#undef MEMORY

/* The first lane alone, after all lanes have read the number before. */
#define PUT(kind, element, vector)                                                                     \
    INLINE void put_##kind(element *p, vector v) {                                                     \
        settle();                                                                                      \
        store_##kind(p, v, 1);                                                                         \
    }
INLINE void store_bool(uint8_t *p, maskv m, long n) { store_u8(p, m & 1, n); }
PUT(f32, float, f32v)
PUT(f64, double, f64v)
PUT(i32, int32_t, i32v)
PUT(i64, int64_t, i64v)
PUT(u8, uint8_t, i32v)
PUT(bool, uint8_t, maskv)
#undef PUT

INLINE maskv load_bool(const uint8_t *p, long n) { return -(load_u8(p, n) != 0); }
INLINE maskv stride_bool(const uint8_t *p, long stride, long n) { return -(stride_u8(p, stride, n) != 0); }
INLINE void store_stride_bool(uint8_t *p, long stride, maskv m, long n) { store_stride_u8(p, stride, m & 1, n); }

INLINE void prefetch(const void *p) { (void)p; }

/* ---- truth ------------------------------------------------------------------------------------------------------- */

INLINE maskv and_mask(maskv a, maskv b) { return a & b; }
INLINE maskv or_mask(maskv a, maskv b) { return a | b; }
INLINE maskv not_mask(maskv a) { return ~a; }

/* select: a where m, else b. */
#define EVERY_NUMBER(f) f(f32, float, f32v) f(f64, double, f64v) f(i32, int32_t, i32v) f(i64, int64_t, i64v)
#define COMPARISONS(kind, element, vector)                                                             \
    INLINE maskv lt_##kind(vector a, vector b) { return -(a < b); }                                    \
    INLINE maskv le_##kind(vector a, vector b) { return -(a <= b); }                                   \
    INLINE maskv gt_##kind(vector a, vector b) { return -(a > b); }                                    \
    INLINE maskv ge_##kind(vector a, vector b) { return -(a >= b); }                                   \
    INLINE maskv eq_##kind(vector a, vector b) { return -(a == b); }                                   \
    INLINE maskv ne_##kind(vector a, vector b) { return -(a != b); }                                   \
    INLINE vector select_##kind(maskv m, vector a, vector b) { return m ? a : b; }
EVERY_NUMBER(COMPARISONS)
#undef COMPARISONS

/* ---- conversions: C's, toward zero; a truth is 0 or 1, and what is not 0 is true ---------------------------------- */

#define CONVERSION(to, from, result, source)                                                           \
    INLINE result to_##to##_from_##from(source v) { return (result)v; }
CONVERSION(f32, f32, f32v, f32v)
CONVERSION(f32, f64, f32v, f64v)
CONVERSION(f32, i32, f32v, i32v)
CONVERSION(f32, i64, f32v, i64v)
CONVERSION(f32, u8, f32v, i32v)
CONVERSION(f64, f32, f64v, f32v)
CONVERSION(f64, f64, f64v, f64v)
CONVERSION(f64, i32, f64v, i32v)
CONVERSION(f64, i64, f64v, i64v)
CONVERSION(f64, u8, f64v, i32v)
CONVERSION(i32, f32, i32v, f32v)
CONVERSION(i32, f64, i32v, f64v)
CONVERSION(i32, i32, i32v, i32v)
CONVERSION(i32, i64, i32v, i64v)
CONVERSION(i32, u8, i32v, i32v)
CONVERSION(i64, f32, i64v, f32v)
CONVERSION(i64, f64, i64v, f64v)
CONVERSION(i64, i32, i64v, i32v)
CONVERSION(i64, i64, i64v, i64v)
CONVERSION(i64, u8, i64v, i32v)
#undef CONVERSION
INLINE i32v to_u8_from_f32(f32v v) { return (i32v)v & 255; }
INLINE i32v to_u8_from_f64(f64v v) { return (i32v)v & 255; }
INLINE i32v to_u8_from_i32(i32v v) { return v & 255; }
INLINE i32v to_u8_from_i64(i64v v) { return (i32v)v & 255; }
INLINE i32v to_u8_from_u8(i32v v) { return v; }
INLINE i32v to_u8_from_bool(maskv m) { return m & 1; }
INLINE i32v to_i32_from_bool(maskv m) { return m & 1; }
INLINE i64v to_i64_from_bool(maskv m) { return m & 1; }
INLINE f32v to_f32_from_bool(maskv m) { return (f32v)(m & 1); }
INLINE f64v to_f64_from_bool(maskv m) { return (f64v)(m & 1); }
INLINE maskv to_bool_from_bool(maskv m) { return m; }
INLINE maskv to_bool_from_f32(f32v v) { return -(v != 0); }
INLINE maskv to_bool_from_f64(f64v v) { return -(v != 0); }
INLINE maskv to_bool_from_i32(i32v v) { return -(v != 0); }
INLINE maskv to_bool_from_i64(i64v v) { return -(v != 0); }
INLINE maskv to_bool_from_u8(i32v v) { return -(v != 0); }

/* ---- elementwise ------------------------------------------------------------------------------------------------- */

INLINE f32v neg_f32(f32v x) { return -x; }
INLINE f64v neg_f64(f64v x) { return -x; }
INLINE i32v neg_i32(i32v x) { return (i32v)(0 - (u32v)x); } /* unsigned: the least integer is its own negative */
INLINE i64v neg_i64(i64v x) { return (i64v)(0 - (u64v)x); }
INLINE f32v abs_f32(f32v x) { return fabsf(x); }
INLINE f64v abs_f64(f64v x) { return fabs(x); }
INLINE i32v abs_i32(i32v x) { return x < 0 ? neg_i32(x) : x; }
INLINE i64v abs_i64(i64v x) { return x < 0 ? neg_i64(x) : x; }
INLINE f32v square_f32(f32v x) { return x * x; }
INLINE f64v square_f64(f64v x) { return x * x; }
INLINE i32v square_i32(i32v x) { return (i32v)((u32v)x * (u32v)x); }
INLINE i64v square_i64(i64v x) { return (i64v)((u64v)x * (u64v)x); }

/* The magnitude of `size` with the sign of `sign`. */
INLINE f32v copysign_f32(f32v size, f32v sign) { return copysignf(size, sign); }
INLINE f64v copysign_f64(f64v size, f64v sign) { return copysign(size, sign); }

/* -1, 0 (of either zero) or 1; NaN stays. */
INLINE f32v sign_f32(f32v x) { return x > 0 ? 1.0f : x < 0 ? -1.0f : x == 0 ? 0.0f : x; }
INLINE f64v sign_f64(f64v x) { return x > 0 ? 1.0 : x < 0 ? -1.0 : x == 0 ? 0.0 : x; }
INLINE i32v sign_i32(i32v x) { return (x > 0) - (x < 0); }
INLINE i64v sign_i64(i64v x) { return (x > 0) - (x < 0); }

INLINE f32v floor_f32(f32v x) { return floorf(x); }
INLINE f64v floor_f64(f64v x) { return floor(x); }

/* Square roots, correctly rounded. */
INLINE f32v sqrt_f32(f32v x) { return sqrtf(x); }
INLINE f64v sqrt_f64(f64v x) { return sqrt(x); }
INLINE f32v rsqrt_f32(f32v x) { return 1 / sqrtf(x); }
INLINE f64v rsqrt_f64(f64v x) { return 1 / sqrt(x); }

/* NaN in either operand gives NaN. */
#define EXTREMES(kind, element, vector)                                                                \
    INLINE vector maximum_##kind(vector a, vector b) { return a != a || a > b ? a : b; }               \
    INLINE vector minimum_##kind(vector a, vector b) { return a != a || a < b ? a : b; }
EVERY_NUMBER(EXTREMES)
#undef EXTREMES

/* ---- across lanes ------------------------------------------------------------------------------------------------ */

/* Reductions combine lanes whose numbers differ in one bit, from the upper one down: the order never changes, and all
 * lanes get the result. Of two zeros, maximum and minimum take the second; so lanes may disagree, and the first decides. */
#define FOLD(name, element, vector, take, agreed)                                                      \
    INLINE element name(vector v) {                                                                    \
        UNROLL for (int h = LANES / 2; h > 0; h /= 2) v = take(v, __shfl_xor_sync(ALL_LANES, v, h));   \
        return agreed(v);                                                                              \
    }
#define SUM(a, b) ((a) + (b))
#define WRAPPING_SUM_32(a, b) ((int32_t)((uint32_t)(a) + (uint32_t)(b)))
#define WRAPPING_SUM_64(a, b) ((int64_t)((uint64_t)(a) + (uint64_t)(b)))
#define ITSELF(v) (v)
#define OF_FIRST_LANE(v) __shfl_sync(ALL_LANES, v, 0)
FOLD(sum_lanes_f32, float, f32v, SUM, ITSELF)
FOLD(sum_lanes_f64, double, f64v, SUM, ITSELF)
FOLD(sum_lanes_i32, int32_t, i32v, WRAPPING_SUM_32, ITSELF)
FOLD(sum_lanes_i64, int64_t, i64v, WRAPPING_SUM_64, ITSELF)
FOLD(max_lanes_f32, float, f32v, maximum_f32, OF_FIRST_LANE)
FOLD(max_lanes_f64, double, f64v, maximum_f64, OF_FIRST_LANE)
FOLD(max_lanes_i32, int32_t, i32v, maximum_i32, ITSELF)
FOLD(max_lanes_i64, int64_t, i64v, maximum_i64, ITSELF)
FOLD(min_lanes_f32, float, f32v, minimum_f32, OF_FIRST_LANE)
FOLD(min_lanes_f64, double, f64v, minimum_f64, OF_FIRST_LANE)
FOLD(min_lanes_i32, int32_t, i32v, minimum_i32, ITSELF)
FOLD(min_lanes_i64, int64_t, i64v, minimum_i64, ITSELF)
#undef FOLD
#undef SUM
#undef WRAPPING_SUM_32
#undef WRAPPING_SUM_64
#undef ITSELF
#undef OF_FIRST_LANE

#endif
