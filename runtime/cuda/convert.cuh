/* Matrices of float32 rounded to bfloat16 for a library that multiplies them: to the nearest, of two to the even one.
 * A bfloat16 is the upper half of a float32; NaN stays NaN, and what is beyond the largest becomes infinite.
 *
 * Complete as it stands: NVRTC compiles it without a header. */

__device__ static unsigned short bfloat16_of(float value) {
    const unsigned bits = __float_as_uint(value);
    if (value != value) return 0x7fc0;
    return (unsigned short)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

/* `rows` of `columns` numbers, from one row to the next `from_stride` and `to_stride` numbers. What pads a row of the
 * result is left as it is: the library does not read it. Any grid; neighbouring threads take neighbouring numbers. */
extern "C" __global__ void round_to_bfloat16(
    const float *from, long long from_stride, unsigned short *to, long long to_stride, long long rows, long long columns
) {
    const long long threads = (long long)gridDim.x * blockDim.x, all = rows * columns;
    for (long long k = (long long)blockIdx.x * blockDim.x + threadIdx.x; k < all; k += threads) {
        const long long row = k / columns, column = k % columns;
        to[row * to_stride + column] = bfloat16_of(from[row * from_stride + column]);
    }
}
