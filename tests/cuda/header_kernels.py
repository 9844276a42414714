"""Kernels that call each function of runtime/cuda/*.cuh once, for the tests to compare with NumPy."""

from __future__ import annotations

from typing import Final

ELEMENT: Final = {
    "f32": "float", "f64": "double", "i32": "int32_t", "i64": "int64_t", "u8": "uint8_t", "bool": "uint8_t",
}  # fmt: skip
NUMBERS: Final = ("f32", "f64", "i32", "i64")
FLOATS: Final = ("f32", "f64")
UNARY: Final = ("neg", "abs", "sign", "square")
UNARY_OF_FLOATS: Final = ("floor", "sqrt", "rsqrt")
BINARY: Final = ("maximum", "minimum")
COMPARISONS: Final = ("lt", "le", "gt", "ge", "eq", "ne")
ELEMENTARY: Final = ("exp", "expm1", "log", "log1p", "sin", "cos", "tanh", "sigmoid", "softplus", "erf")
INDICES: Final = ("u8", "i32", "i64")
REDUCTIONS: Final = (*(("sum", kind) for kind in NUMBERS), *((op, kind) for op in ("max", "min") for kind in FLOATS))


def kernel(name: str, parameters: str, body: str) -> str:
    return f'extern "C" __global__ void {name}({parameters}) {{ {body} }}\n'


def _of(function: str, arguments: tuple[str, ...], result: str) -> str:
    """A kernel that applies a function to whole vectors: FUNCTION_KIND becomes FUNCTION_of_KIND."""
    name = f"{function.rsplit('_', 1)[0]}_of_{function.rsplit('_', 1)[1]}"
    pointers = [f"const {ELEMENT[kind]} *p{k}" for k, kind in enumerate(arguments)]
    loads = ", ".join(f"load_{kind}(p{k}, LANES)" for k, kind in enumerate(arguments))
    parameters = ", ".join((*pointers, f"{ELEMENT[result]} *out"))
    return kernel(name, parameters, f"store_{result}(out, {function}({loads}), LANES);")


def _memory(kind: str) -> str:
    element = ELEMENT[kind]
    pair, strided = (
        f"const {element} *from, {element} *to",
        f"const {element} *from, long stride, {element} *to, long n",
    )
    return "".join((
        kernel(f"copy_{kind}", f"{pair}, long n", f"store_{kind}(to, load_{kind}(from, n), n);"),
        kernel(f"beyond_{kind}", f"{pair}, long n", f"store_{kind}(to, load_{kind}(from, n), LANES);"),
        kernel(f"gather_{kind}", strided, f"store_{kind}(to, stride_{kind}(from, stride, n), n);"),
        kernel(f"scatter_{kind}", strided, f"store_stride_{kind}(to, stride, load_{kind}(from, n), n);"),
    ))  # fmt: skip


def _across(kind: str) -> str:
    """What the lanes of a warp make of all their numbers; every lane stores what it got."""
    element = ELEMENT[kind]
    parameters = f"const {element} *from, {element} *to"
    reductions = "".join(
        kernel(f"{op}_of_{kind}", parameters, f"to[lane_numbers()] = {op}_lanes_{kind}(load_{kind}(from, LANES));")
        for op in ("sum", "max", "min")
    )
    places = f"const {element} *from, long n, int64_t *to"
    return reductions + "".join((
        kernel(f"all_of_{kind}", parameters, f"store_{kind}(to, all_{kind}(from[0]), LANES);"),
        kernel(f"argmax_lanes_{kind}_of", places,
               f"to[lane_numbers()] = argmax_lanes_{kind}(load_{kind}(from, n), n);"),
    ))  # fmt: skip


def vector_text() -> str:
    """warp.cuh."""
    parts = ['#include "rows.cuh"\n', *(_memory(kind) for kind in ELEMENT), *(_across(kind) for kind in NUMBERS)]
    for kind in NUMBERS:
        functions = UNARY + (UNARY_OF_FLOATS if kind in FLOATS else ())
        parts += [_of(f"{function}_{kind}", (kind,), kind) for function in functions]
        parts += [_of(f"{function}_{kind}", (kind, kind), kind) for function in BINARY]
        parts += [_of(f"{function}_{kind}", (kind, kind), "bool") for function in COMPARISONS]
        parts.append(_of(f"select_{kind}", ("bool", kind, kind), kind))
    parts += [_of(f"copysign_{kind}", (kind, kind), kind) for kind in FLOATS]
    parts += [_of(f"to_{to}_from_{source}", (source,), to) for to in ELEMENT for source in ELEMENT]
    parts += [
        kernel(f"wrapped_of_{kind}", f"const {ELEMENT[kind]} *from, int32_t *to",
               f"store_i32(to, to_i32_from_u8(to_u8_from_{kind}(load_{kind}(from, LANES))), LANES);")
        for kind in NUMBERS
    ]  # fmt: skip
    parts += [_of("and_mask", ("bool", "bool"), "bool"), _of("or_mask", ("bool", "bool"), "bool")]
    parts.append(_of("not_mask", ("bool",), "bool"))
    mask = "and_mask(lanes_below(n), all_bool((int)wanted))"
    parts.append(kernel("lanes_below_n", "uint8_t *to, long n, long wanted", f"store_bool(to, {mask}, LANES);"))
    return "".join(parts)


def math_text() -> str:
    """warp_math.cuh."""
    parts = ['#include "warp_math.cuh"\n']
    parts += [_of(f"{function}_{kind}", (kind,), kind) for kind in FLOATS for function in ELEMENTARY]
    parts += [_of(f"pow_{kind}", (kind, kind), kind) for kind in FLOATS]
    parts += [_of("quotient_f32", ("f32", "f32"), "f32")]
    parts += [_of(f"{function}_f32", ("f32",), "f32") for function in ("root", "inverse_root")]
    return "".join(parts)


def philox_text() -> str:
    """philox.cuh. Each lane first and last copies what another lane has."""
    filled = "uint64_t seed, uint32_t step, uint32_t stream, uint64_t first, long count, float *made, float *to"
    copied = "for (long k = count - 1 - lane_numbers(); k >= 0; k -= LANES) to[k] = made[k];"
    return '#include "philox.cuh"\n' + "".join(
        kernel(name, filled, f"{copied} fill_{name}(random_key_of(seed, step, stream), first, count, made); {copied}")
        for name in ("uniform", "normal")
    )


_SHARES: Final = """
INLINE void put(int64_t *to, struct share share) { to[0] = share.first, to[1] = share.last; }
extern "C" __global__ void shares(long count, int64_t *of_each, int64_t *of_lanes) {
    const struct worker worker = this_warp(nullptr, 0);
    if (lane_numbers() == 0) {
        put(of_each + 2 * worker.thread, share_of(count, worker));
        put(of_lanes + 2 * worker.thread, lanes_of(count, worker));
    }
}
extern "C" __global__ void parts(long count, long part, long parts, long first, int64_t *to) {
    if (lane_numbers() == 0) {
        put(to, share_of(count, part_of(part, parts)));
        put(to + 2, within(share_of(count, part_of(part, parts)), first, count));
        put(to + 4, share_of(count, alone(part_of(part, parts))));
        put(to + 6, whole_of(count));
        put(to + 8, share_between(first, count));
    }
}
extern "C" __global__ void scratches(char *scratch, long bytes, int64_t *to) {
    const struct worker worker = this_warp(scratch, bytes);
    if (lane_numbers() == 0) to[worker.thread] = worker.scratch - scratch;
}
"""


def _rows_of(kind: str) -> str:
    """Where lanes read what other lanes of the warp have stored just before, the function has to settle."""
    element = ELEMENT[kind]
    every = "for (long k = lane_numbers(); k < n; k += LANES)"
    vectors = f"{element} *largest, {element} *where, const {element} *next, long place"
    return "".join((
        kernel(f"fill_{kind}_then_turn", f"{element} *filled, long n, {element} number, {element} *to",
               f"{every} filled[n - 1 - k] = 0; fill_{kind}(filled, n, number); {every} to[k] = filled[n - 1 - k];"),
        kernel(f"argmax_of_{kind}", f"const {element} *from, {element} *row, long n, int64_t *to",
               f"{every} row[k] = from[k];"
               f"to[lane_numbers()] = argmax_{kind}(row, n);"
               f"{every} row[n - 1 - k] = 0;"),
        kernel(f"take_larger_of_{kind}", vectors,
               f"{kind}v a = load_{kind}(largest, LANES), b = load_{kind}(where, LANES);"
               f"take_larger_{kind}(&a, &b, load_{kind}(next, LANES), (int)place);"
               f"store_{kind}(largest, a, LANES); store_{kind}(where, b, LANES);"),
    ))  # fmt: skip


def _reduction(operator: str, kind: str) -> str:
    element = ELEMENT[kind]
    rows = f"const {element} *from, long stride, long count, long n, {element} *to"
    return kernel(
        f"{operator}_rows_of_{kind}", rows, f"store_{kind}(to, {operator}_rows_{kind}(from, stride, count, n), n);"
    ) + kernel(
        f"{operator}_all_of_{kind}", f"const {element} *from, long count, {element} *to",
        f"to[lane_numbers()] = {operator}_all_{kind}(from, count);",
    )  # fmt: skip


TILE_TEXT: Final = """
/* WIDTH: columns of a row. */
#include "rows.cuh"
extern "C" __global__ void tile(const float *from, long stride, long n, float *columns, float *to) {
    f32v column[WIDTH];
    columns_f32(from, stride, n, WIDTH, column);
    for (long j = 0; j < WIDTH; j++) store_f32(columns + j * LANES, column[j], LANES);
    rows_f32(to, stride, n, WIDTH, column);
}
"""


def _put(kind: str) -> str:
    """All lanes read the number, one writes another, all read that."""
    element, lanes = ELEMENT[kind], {"u8": "i32", "bool": "bool"}.get(kind, kind)
    return kernel(
        f"put_{kind}_after", f"{element} *number, {element} next, {element} *before, {element} *after",
        f"store_{kind}(before, all_{lanes}(number[0]), LANES); put_{kind}(number, all_{lanes}(next)); settle();"
        f"store_{kind}(after, all_{lanes}(number[0]), LANES);",
    )  # fmt: skip


_TAKEN: Final = """
extern "C" __global__ void taken(char *to, const char *from, long stride, long bytes, const int64_t *numbers, long rows,
                                 char *turned) {
    const struct share part = share_of(rows, this_warp(nullptr, 0));
    const long first = part.first * bytes, count = (part.last - part.first) * bytes;
    for (long k = lane_numbers(); k < count; k += LANES) turned[first + k] = to[first + count - 1 - k];
    take_rows(to, from, stride, bytes, numbers, part);
    for (long k = lane_numbers(); k < count; k += LANES) turned[first + k] = to[first + count - 1 - k];
}
"""


def _scatter(kind: str, index: str) -> str:
    """Every warp has a part of the table, which it clears first and reads last."""
    element = ELEMENT[kind]
    return kernel(
        f"scatter_add_{index}_of_{kind}",
        f"{element} *table, long rows, long width, const {ELEMENT[index]} *indices, long index_stride, long count,"
        f"const {element} *from, long stride, {element} *turned",
        f"const struct share part = share_of(rows, this_warp(nullptr, 0));"
        f"const long first = part.first * width, cells = (part.last - part.first) * width;"
        f"for (long k = lane_numbers(); k < cells; k += LANES) table[first + cells - 1 - k] = 0;"
        f"scatter_add_{kind}_{index}(table, part, width, indices, index_stride, count, from, stride);"
        f"for (long k = lane_numbers(); k < cells; k += LANES) turned[first + k] = table[first + cells - 1 - k];",
    )


def rows_text() -> str:
    """share.cuh and rows.cuh, but for tiles."""
    return "".join((
        '#include "rows.cuh"\n', _SHARES, _TAKEN,
        *(_put(kind) for kind in ELEMENT),
        *(_rows_of(kind) for kind in NUMBERS),
        *(_reduction(operator, kind) for operator, kind in REDUCTIONS),
        *(_scatter(kind, index) for kind in FLOATS for index in INDICES),
    ))  # fmt: skip


TEAM_TEXT: Final = """
#include "team.cuh"
/* Every warp adds 1 to what the next one has, again and again. */
extern "C" __global__ void turns(unsigned int *barrier, float *numbers, long times) {
    const struct team team = {barrier};
    const struct worker worker = this_warp(nullptr, 0);
    const long next = (worker.thread + 1) % worker.threads;
    for (long k = 0; k < times; k++) {
        const f32v number = load_f32(numbers + next * LANES, LANES);
        meet(&team);
        store_f32(numbers + worker.thread * LANES, number + 1, LANES);
        meet(&team);
    }
}
"""
