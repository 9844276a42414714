"""runtime/cuda/warp.cuh: each function against NumPy, run by the lanes of one emulated warp."""

from __future__ import annotations

import ctypes
import mmap
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from emulated import Kernels, needs_compiler
from header_kernels import FLOATS, NUMBERS, vector_text

pytestmark = needs_compiler

LANES = 32
DTYPES = {"f32": np.float32, "f64": np.float64, "i32": np.int32, "i64": np.int64, "u8": np.uint8, "bool": np.bool_}
SPECIAL = (
    0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 0.5, -0.5, 2.5, -2.5, 1e30, -1e30, 8388609.0, -4194304.5, 1e-40,
)  # fmt: skip

Array = npt.NDArray[Any]


@cache
def kernels() -> Kernels:
    return Kernels(vector_text())


def launch(name: str, *arguments: Any) -> None:
    kernels().launch(name, 1, LANES, 0, arguments)


def values(name: str, count: int = LANES, seed: int = 0) -> Array:
    """Special values first, in another order for each seed, then random ones."""
    random = np.random.default_rng(seed)
    if name in FLOATS:
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
def test_loads_and_stores_touch_the_first_lanes_alone(name: str) -> None:
    for n in range(1, LANES + 1):
        source, kept = at_the_end_of_a_page(values(name, n, n))
        out, kept_too = at_the_end_of_a_page(np.zeros(n, DTYPES[name]))
        launch(f"copy_{name}", source, out, n)
        same(out, source)
        all_lanes: Array = np.ones(LANES, DTYPES[name])
        launch(f"beyond_{name}", source, all_lanes, n)
        same(all_lanes, np.concatenate([source, np.zeros(LANES - n, DTYPES[name])]))
        del kept, kept_too


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("stride", [0, 1, 3, -2])
def test_strides_gather_and_scatter(name: str, stride: int) -> None:
    for n in range(1, LANES + 1):
        matrix = values(name, abs(stride) * LANES + 1)
        column = matrix[::-1] if stride < 0 else matrix
        expected = column[:: abs(stride)][:n] if stride else np.full(n, matrix[0])
        out = np.zeros(n, DTYPES[name])
        launch(f"gather_{name}", matrix[-1:] if stride < 0 else matrix, stride, out, n)
        same(out, expected)
        if stride > 0:
            spread, written = np.zeros_like(matrix), np.zeros_like(matrix)
            written[: stride * n : stride] = expected
            launch(f"scatter_{name}", expected.copy(), stride, spread, n)
            same(spread, written)


def apply(name: str, *arrays: Array, like: Array) -> Array:
    out = np.zeros_like(like)
    launch(name, *arrays, out)
    return out


@pytest.mark.parametrize("name", NUMBERS)
def test_operations_are_numpys(name: str) -> None:
    unary: dict[str, Any] = {"neg": np.negative, "abs": np.abs, "sign": np.sign, "square": np.square}
    binary: dict[str, Any] = {"maximum": np.maximum, "minimum": np.minimum}
    if name in FLOATS:
        unary |= {"floor": np.floor, "sqrt": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x)}
        binary["copysign"] = np.copysign
    compare: dict[str, Any] = {
        "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal,
        "ne": np.not_equal,
    }  # fmt: skip
    with np.errstate(all="ignore"):
        for seed in range(12):
            a, b = values(name, seed=seed), values(name, seed=seed + 100)
            m = np.random.default_rng(seed).integers(0, 2, LANES).astype(np.bool_)
            for operation, function in unary.items():
                same(apply(f"{operation}_of_{name}", a, like=a), function(a))
            for operation, function in binary.items():
                got, expected = apply(f"{operation}_of_{name}", a, b, like=a), function(a, b)
                if operation in ("maximum", "minimum"):  # either zero will do
                    np.testing.assert_array_equal(got, expected)
                else:
                    same(got, expected)
            for operation, function in compare.items():
                same(apply(f"{operation}_of_{name}", a, b, like=m), function(a, b))
            same(apply(f"select_of_{name}", m, a, b, like=a), np.where(m, a, b))
            same(apply(f"all_of_{name}", a, like=a), np.full(LANES, a[0]))


def test_truths_combine() -> None:
    for seed in range(8):
        a, b = values("bool", seed=seed), values("bool", seed=seed + 50)
        same(apply("and_of_mask", a, b, like=a), a & b)
        same(apply("or_of_mask", a, b, like=a), a | b)
        same(apply("not_of_mask", a, like=a), ~a)
    for n in range(1, LANES + 1):
        for wanted in (0, 1):
            out: Array = np.ones(LANES, np.bool_)
            launch("lanes_below_n", out, n, wanted)
            same(out, (np.arange(LANES) < n) & bool(wanted))


def folded(a: Array) -> Array:
    """The sum of all lanes in the order of the butterfly, in every lane."""
    for distance in (16, 8, 4, 2, 1):
        a = a + a[np.arange(LANES) ^ distance]
    return a


@pytest.mark.parametrize("name", NUMBERS)
def test_lanes_reduce_to_one_number_that_all_get(name: str) -> None:
    for seed in range(24):
        a = values(name, seed=seed) if seed % 3 == 0 else values(name, 40 + LANES, seed)[-LANES:]
        with np.errstate(all="ignore"):
            same(apply(f"sum_of_{name}", a, like=a), folded(a))
        for operation, function in (("max", np.max), ("min", np.min)):
            got = apply(f"{operation}_of_{name}", a, like=a)
            np.testing.assert_array_equal(got, np.full(LANES, function(a)))
            assert len({lane.tobytes() for lane in got}) == 1  # of two zeros too


@pytest.mark.parametrize("name", FLOATS)
def test_all_lanes_get_the_same_zero(name: str) -> None:
    zeros = np.where(np.arange(LANES) % 2, 0.0, -0.0).astype(DTYPES[name])
    for operation in ("max", "min"):
        assert len(set(np.signbit(apply(f"{operation}_of_{name}", zeros, like=zeros)))) == 1


@pytest.mark.parametrize("name", NUMBERS)
def test_argmax_of_lanes_is_numpys(name: str) -> None:
    random = np.random.default_rng(5)
    for n in range(1, LANES + 1):
        cases = [values(name, n, n), values(name, 40 + n, n)[-n:], random.integers(0, 3, n).astype(DTYPES[name])]
        for a in cases:
            out = np.zeros(LANES, np.int64)
            launch(f"argmax_lanes_{name}_of", a, n, out)
            same(out, np.full(LANES, np.argmax(a)))


@pytest.mark.parametrize("source", DTYPES)
@pytest.mark.parametrize("to", DTYPES)
def test_conversions_are_cs(to: str, source: str) -> None:
    for seed in range(4):
        a = values(source, seed=seed)
        if source in FLOATS and to in ("i32", "i64", "u8"):  # C leaves the rest undefined
            a = np.random.default_rng(seed).uniform(0 if to == "u8" else -1e6, 255 if to == "u8" else 1e6, LANES)
            a = a.astype(DTYPES[source])
        expected = a != 0 if to == "bool" else a.astype(DTYPES[to])
        same(apply(f"to_{to}_from_of_{source}", a, like=expected), expected)


@pytest.mark.parametrize("name", NUMBERS)
def test_uint8_lanes_hold_what_fits_into_a_byte(name: str) -> None:
    a = np.random.default_rng(0).integers(0, 1000, LANES).astype(DTYPES[name])
    out: Array = np.zeros(LANES, np.int32)
    launch(f"wrapped_of_{name}", a, out)
    same(out, a.astype(np.int32) % 256)
