/* Products of matrices by squads of eight warps.
 *
 * A squad sums a tile of the result. Slice after slice of the summed index, it brings its part of both operands to the
 * block's shared memory, the left one turned so that a warp's rows lie side by side, the right one so that its columns
 * do; the next slice is on its way while one is summed. A warp holds `rows` rows of the tile by `vectors` vectors in
 * registers, a column in each lane: so `finish`, which runs on each row of sums as on any other vector, has coalesced
 * memory before it. Where a tile is small, `split` warps sum different parts of every slice for the same rows, and
 * their sums are added in their order.
 *
 * Every warp of a block calls the function, and all blocks of a launch with the same arguments: there are barriers in it.
 */
#ifndef NNC_PRODUCT_CUH
#define NNC_PRODUCT_CUH

#include "share.cuh"

#ifndef WARPS
#define WARPS 8     /* of a block, a multiple of SQUAD */
#endif
#define SQUAD 8     /* warps that sum a tile together */
#define SQUAD_THREADS (SQUAD * LANES)
static_assert(WARPS % SQUAD == 0, "a block consists of squads");

#ifndef DYNAMIC_SHARED
#define DYNAMIC_SHARED(name) extern __shared__ __align__(32) char name[]
#endif

/* Of `total` warps the `count` from `first` on, as a team: calls that need not wait for one another run side by side. Where
 * there are fewer warps, or more squads in a block than one, all of them share every call. `threads` is 0 outside. */
INLINE struct worker section_of(struct worker all, long first, long count, long total) {
    if (WARPS > SQUAD || all.threads < total) return all;
    const long thread = all.thread - first;
    return {thread, thread >= 0 && thread < count ? count : 0, all.scratch};
}

/* Element (x, r) of an operand is from[x * across + r * along]: x along the result, r along the summed index. */
template <typename element> struct operand {
    const element *from;
    long across, along;
};

template <typename element> struct alignas(4 * sizeof(element)) four { element number[4]; };

/* How a squad cuts a tile: `down` by `split` warps, `rows` by `vectors` vectors in each, `depth` of the summed index at
 * a time. The slices' rows are padded: writes that turn a slice meet fewer banks twice, and fours stay aligned. */
template <int rows_, int vectors_, int down_, int split_, int depth_> struct tile {
    static constexpr int rows = rows_, vectors = vectors_, down = down_, split = split_, depth = depth_;
    static constexpr int high = rows * down, wide = vectors * LANES;
    static constexpr int left_pitch = high + 4, right_pitch = wide + 1;
    static constexpr int left_cells = depth * left_pitch, cells = left_cells + depth * right_pitch;
    static constexpr int warp_cells = rows * wide, sums = SQUAD * warp_cells;
    static constexpr int shared = cells > sums ? cells : sums;  /* elements that a squad needs */
    static_assert(shared % 4 == 0, "the next squad's slices are aligned");
    static_assert(down * split == SQUAD && rows % 4 == 0 && rows % split == 0 && depth % split == 0, "no tile");
};

/* The nearest bfloat16, of two the even one, as a float32; NaN stays NaN. */
INLINE float bfloat16_of(float x) {
    const uint32_t bits = __float_as_uint(x);
    if (x != x) return __uint_as_float(0x7FC00000);
    return __uint_as_float((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000);
}
template <bool rounded> INLINE float taken(float x) { return rounded ? bfloat16_of(x) : x; }
template <bool rounded> INLINE double taken(double x) { return x; }

/* A thread's part of a slice of one operand, on its way from memory: `wide` of the result by `depth` of the summed index.
 * along: elements lie side by side along the summed index, else along the result. */
template <typename element, int wide, int depth, bool along, bool rounded> struct slice {
    static constexpr int count = (wide * depth + SQUAD_THREADS - 1) / SQUAD_THREADS;
    element held[count];

    __device__ __forceinline__ int place(int k) { return threadIdx.x % SQUAD_THREADS + k * SQUAD_THREADS; }
    __device__ __forceinline__ int x_of(int e) { return along ? e / depth : e % wide; }
    __device__ __forceinline__ int r_of(int e) { return along ? e % depth : e / wide; }

    /* From x and r on; what lies beyond the ends counts as 0. */
    __device__ __forceinline__ void fetch(const operand<element> &of, long x, long x_end, long r, long r_end) {
        UNROLL for (int k = 0; k < count; k++) {
            const int e = place(k);
            const long own_x = x + x_of(e), own_r = r + r_of(e);
            held[k] = own_x < x_end && own_r < r_end ? of.from[own_x * of.across + own_r * of.along] : (element)0;
        }
    }
    __device__ __forceinline__ void put(element *to, int pitch) {
        UNROLL for (int k = 0; k < count; k++) {
            const int e = place(k);
            if (wide * depth % SQUAD_THREADS == 0 || e < wide * depth) to[r_of(e) * pitch + x_of(e)] = taken<rounded>(held[k]);
        }
    }
};

/* The sums of a warp's rows over its part of a slice, added to. */
template <typename shape, typename element>
INLINE void add_slice(const element *slices, int down, int part, element (&sum)[shape::rows][shape::vectors]) {
    constexpr int own = shape::depth / shape::split;
    const element *left = slices + part * own * shape::left_pitch + down * shape::rows;
    const element *right = slices + shape::left_cells + part * own * shape::right_pitch + lane_numbers();
    UNROLL for (int r = 0; r < own; r++, left += shape::left_pitch, right += shape::right_pitch) {
        element row[shape::rows], column[shape::vectors];
        UNROLL for (int i = 0; i < shape::rows; i += 4) {
            const four<element> some = *(const four<element> *)(left + i);
            UNROLL for (int k = 0; k < 4; k++) row[i + k] = some.number[k];
        }
        UNROLL for (int j = 0; j < shape::vectors; j++) column[j] = right[j * LANES];
        UNROLL for (int i = 0; i < shape::rows; i++)
            UNROLL for (int j = 0; j < shape::vectors; j++) sum[i][j] += row[i] * column[j];
    }
}

/* The sums of the tile whose first row is `top` and whose first column is `side`, in shared memory: those of a warp's
 * rows side by side, part after part. Compiled once for all products that have this kind of tile. */
template <typename shape, typename element, bool a_along, bool b_along, bool rounded>
SHARED void sum_tile(element *slices, const operand<element> a, const operand<element> b, long top, long rows, long side,
                     long columns, long length) {
    const int warp = threadIdx.x / LANES % SQUAD, down = warp % shape::down, part = warp / shape::down;
    slice<element, shape::high, shape::depth, a_along, rounded> left;
    slice<element, shape::wide, shape::depth, b_along, rounded> right;
    element sum[shape::rows][shape::vectors] = {};
    left.fetch(a, top, rows, 0, length);
    right.fetch(b, side, columns, 0, length);
    for (long r = 0; r < length; r += shape::depth) {
        __syncthreads();    /* nobody reads the slices before any more */
        left.put(slices, shape::left_pitch);
        right.put(slices + shape::left_cells, shape::right_pitch);
        __syncthreads();
        left.fetch(a, top, rows, r + shape::depth, length);
        right.fetch(b, side, columns, r + shape::depth, length);
        add_slice<shape>(slices, down, part, sum);
    }
    __syncthreads();
    element *const own = slices + warp * shape::warp_cells + lane_numbers();
    UNROLL for (int i = 0; i < shape::rows; i++)
        UNROLL for (int j = 0; j < shape::vectors; j++) own[(i * shape::vectors + j) * LANES] = sum[i][j];
    __syncthreads();
}

/* What happens to the n elements from `column` on in `row`. */
template <typename element>
using finish = void (*)(const void *of, long row, long column, long at, long n, element sums);

/* finish(of, ...) on every row of a b, `rows` by `columns`, summed over `length`. The warps that sum the same rows finish
 * a part of them each; together: one finishes all, from the first to the last, as partial sums need it. */
template <typename shape, typename element, bool a_along, bool b_along, bool rounded, bool together, finish<element> body>
INLINE void product(const operand<element> a, const operand<element> b, long rows, long columns, long length,
                    struct worker worker, const void *of) {
    DYNAMIC_SHARED(block_memory);
    element *const slices = (element *)block_memory + threadIdx.x / SQUAD_THREADS * shape::shared;
    const int warp = threadIdx.x / LANES % SQUAD, down = warp % shape::down, part = warp / shape::down;
    const int each = together ? (part ? 0 : shape::rows) : shape::rows / shape::split, from = together ? 0 : part * each;
    const long blocks = (rows + shape::high - 1) / shape::high, panels = (columns + shape::wide - 1) / shape::wide;
    const long squads = worker.threads / SQUAD, squad = worker.thread / SQUAD, of_block = threadIdx.x / SQUAD_THREADS;
    for (long first = 0; first + squad - of_block < blocks * panels; first += squads) {
        const bool is_there = first + squad < blocks * panels;  /* all squads of a block come to the same barriers */
        const long top = is_there ? (first + squad) % blocks * shape::high : rows;
        const long side = is_there ? (first + squad) / blocks * shape::wide : columns;
        sum_tile<shape, element, a_along, b_along, rounded>(slices, a, b, top, rows, side, columns, length);
        const element *const sums = slices + down * shape::warp_cells + lane_numbers();
        for (int i = from; i < from + each && top + down * shape::rows + i < rows; i++) {
            for (int j = 0; j < shape::vectors && side + j * LANES < columns; j++) {
                const element *const own = sums + (i * shape::vectors + j) * LANES;
                element sum = own[0];
                UNROLL for (int k = 1; k < shape::split; k++) sum += own[k * shape::down * shape::warp_cells];
                const long column = side + j * LANES, left = columns - column;
                body(of, top + down * shape::rows + i, column, 0, left < LANES ? left : LANES, sum);
            }
        }
    }
    __syncthreads();    /* nobody reads this product's sums when the next one writes */
}

#endif
