"""runtime/native/vector.h: each function against NumPy, for each compiler and instruction set of this machine."""

from __future__ import annotations

import ctypes
import mmap
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from compiled import Target, each_target, library, needs_compiler

pytestmark = [needs_compiler, each_target]

DTYPES = {"f32": np.float32, "f64": np.float64, "i32": np.int32, "i64": np.int64, "u8": np.uint8, "bool": np.bool_}
NUMBERS = ("f32", "f64", "i32", "i64")
SPECIAL = (
    0.0,
    -0.0,
    1.0,
    -1.0,
    np.inf,
    -np.inf,
    np.nan,
    0.5,
    -0.5,
    2.5,
    -2.5,
    1e30,
    -1e30,
    8388609.0,
    -4194304.5,
    1e-40,
)

Array = npt.NDArray[Any]


def width(target: Target) -> int:
    return library("vectors.c", target).call("lanes")


def values(name: str, count: int, seed: int = 0) -> Array:
    """Special values first, in another order for each seed, then random ones."""
    random = np.random.default_rng(seed)
    if name in ("f32", "f64"):
        special = random.permutation(np.array(SPECIAL))
        return np.concatenate([special, random.normal(size=count) * 100])[:count].astype(DTYPES[name])
    if name == "bool":
        return random.integers(0, 2, count).astype(np.bool_)
    info = np.iinfo(DTYPES[name])
    special = random.permutation(np.array([info.min, info.max, 0, 1], DTYPES[name]))
    return np.concatenate([special, random.integers(-9 if info.min else 0, 9, count).astype(DTYPES[name])])[:count]


def same(got: Array, expected: Array) -> None:
    """Equal, with NaN where NaN is expected, and zeros of the same sign."""
    np.testing.assert_array_equal(got, expected)
    if got.dtype.kind == "f":
        numbers = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(got)[numbers], np.signbit(expected)[numbers])


def at_the_end_of_a_page(array: Array) -> tuple[Array, mmap.mmap]:
    """A copy whose next byte may neither be read nor written."""
    size = mmap.PAGESIZE
    pages = mmap.mmap(-1, 2 * size)
    start = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(start + size), ctypes.c_size_t(size), 0) == 0
    copy = np.frombuffer(pages, array.dtype, array.size, size - array.nbytes)
    copy[:] = array
    return copy, pages


@pytest.mark.parametrize("name", DTYPES)
def test_loads_and_stores_touch_the_first_lanes_alone(target: Target, name: str) -> None:
    harness, lanes = library("vectors.c", target), width(target)
    for n in range(1, lanes + 1):
        source, kept = at_the_end_of_a_page(values(name, n, n))
        out, kept_too = at_the_end_of_a_page(np.zeros(n, DTYPES[name]))
        harness.call(f"copy_{name}", source, out, n)
        same(out, source)
        beyond: Array = np.full(lanes, 1, DTYPES[name])
        harness.call(f"copy_{name}", source, beyond, n)
        same(beyond[n:], np.full(lanes - n, 1, DTYPES[name]))
        del kept, kept_too
    source, out = values(name, lanes), np.zeros(lanes, DTYPES[name])
    harness.call(f"copy_whole_{name}", source, out)
    same(out, source)


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("stride", [0, 1, 3, -2])
def test_strides_gather_and_scatter(target: Target, name: str, stride: int) -> None:
    harness, lanes = library("vectors.c", target), width(target)
    for n in (1, lanes - 1, lanes):
        matrix = values(name, abs(stride) * lanes + 1)
        column = matrix[::-1] if stride < 0 else matrix
        expected = column[:: abs(stride)][:n] if stride else np.full(n, matrix[0])
        out = np.zeros(n, DTYPES[name])
        harness.call(f"gather_{name}", matrix[-1:] if stride < 0 else matrix, stride, out, n)
        same(out, expected)
        if stride > 0:
            spread, written = np.zeros_like(matrix), np.zeros_like(matrix)
            written[: stride * n : stride] = expected
            harness.call(f"scatter_{name}", expected.copy(), stride, spread, n)
            same(spread, written)


def apply(target: Target, name: str, *arrays: Array, like: Array) -> Array:
    out = np.zeros_like(like)
    library("vectors.c", target).call(name, *arrays, out)
    return out


@pytest.mark.parametrize("name", NUMBERS)
def test_operations_are_numpys(target: Target, name: str) -> None:
    lanes = width(target)
    unary: dict[str, Any] = {"neg": np.negative, "abs": np.abs, "sign": np.sign, "square": np.square}
    binary: dict[str, Any] = {"maximum": np.maximum, "minimum": np.minimum}
    if name in ("f32", "f64"):
        unary |= {"floor": np.floor, "sqrt": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x)}
        binary["copysign"] = np.copysign
    compare: dict[str, Any] = {
        "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal,
        "ne": np.not_equal,
    }  # fmt: skip
    with np.errstate(all="ignore"):
        for seed in range(24):
            a, b = values(name, lanes, seed), values(name, lanes, seed + 100)
            m = np.random.default_rng(seed).integers(0, 2, lanes).astype(np.bool_)
            for operation, function in unary.items():
                same(apply(target, f"{operation}_of_{name}", a, like=a), function(a))
            for operation, function in binary.items():
                got, expected = apply(target, f"{operation}_of_{name}", a, b, like=a), function(a, b)
                if operation in ("maximum", "minimum"):  # either zero will do
                    np.testing.assert_array_equal(got, expected)
                else:
                    same(got, expected)
            for operation, function in compare.items():
                same(apply(target, f"{operation}_of_{name}", a, b, like=m), function(a, b))
            same(apply(target, f"select_of_{name}", m, a, b, like=a), np.where(m, a, b))
            same(apply(target, f"all_of_{name}", a[:1], like=a), np.full(lanes, a[0]))


def test_truths_combine(target: Target) -> None:
    lanes = width(target)
    for seed in range(8):
        a, b = values("bool", lanes, seed), values("bool", lanes, seed + 50)
        same(apply(target, "and_of_bool", a, b, like=a), a & b)
        same(apply(target, "or_of_bool", a, b, like=a), a | b)
        same(apply(target, "not_of_bool", a, like=a), ~a)


@pytest.mark.parametrize("name", NUMBERS)
def test_lanes_reduce_to_one(target: Target, name: str) -> None:
    lanes = width(target)
    for seed in range(24):
        a = values(name, lanes, seed) if seed % 3 == 0 else values(name, 40 + lanes, seed)[-lanes:]
        with np.errstate(all="ignore"):
            folded = a.copy()
            while folded.size > 1:
                folded = folded[: folded.size // 2] + folded[folded.size // 2 :]
        same(apply(target, f"sum_of_{name}", a, like=a[:1]), folded)
        np.testing.assert_array_equal(apply(target, f"max_of_{name}", a, like=a[:1]), [a.max()])
        np.testing.assert_array_equal(apply(target, f"min_of_{name}", a, like=a[:1]), [a.min()])


@pytest.mark.parametrize("source", DTYPES)
@pytest.mark.parametrize("to", DTYPES)
def test_conversions_are_cs(target: Target, to: str, source: str) -> None:
    lanes = width(target)
    for seed in range(8):
        a = values(source, lanes, seed)
        if source in ("f32", "f64") and to in ("i32", "i64", "u8"):  # C leaves the rest undefined
            a = np.random.default_rng(seed).uniform(0 if to == "u8" else -1e6, 255 if to == "u8" else 1e6, lanes)
            a = a.astype(DTYPES[source])
        expected = a != 0 if to == "bool" else a.astype(DTYPES[to])
        same(apply(target, f"to_{to}_of_{source}", a, like=expected), expected)


@pytest.mark.parametrize("name", ["f32", "f64"])
def test_a_tile_transposes(target: Target, name: str) -> None:
    lanes = width(target)
    tile: Array = np.arange(lanes * lanes, dtype=DTYPES[name]).reshape(lanes, lanes)
    same(apply(target, f"transpose_of_{name}", tile, like=tile), tile.T)
