"""share.cuh, rows.cuh and philox.cuh against NumPy; every access to memory is checked for a barrier that orders it."""

from __future__ import annotations

import ctypes
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from emulated import Kernels, needs_compiler, needs_gcc
from header_kernels import FLOATS, INDICES, NUMBERS, REDUCTIONS, TILE_TEXT, philox_text, rows_text

from nnc.compiler.ops import philox

pytestmark = [needs_compiler, needs_gcc]

LANES = 32
DTYPES: dict[str, Any] = {"f32": np.float32, "f64": np.float64, "i32": np.int32, "i64": np.int64, "u8": np.uint8}
CTYPES: dict[str, Any] = {"f32": ctypes.c_float, "f64": ctypes.c_double, "i32": ctypes.c_int32, "i64": ctypes.c_int64}
LENGTHS = (*range(1, LANES + 2), 64, 65, 100, 1000)

Array = npt.NDArray[Any]


@cache
def kernels() -> Kernels:
    return Kernels(rows_text(), finds_races=True)


def launch(name: str, *arguments: Any, blocks: int = 1, warps: int = 1) -> None:
    kernels().launch(name, blocks, warps * LANES, 0, arguments)


def numbers(kind: str, count: int, seed: int) -> Array:
    random = np.random.default_rng(seed)
    return (random.normal(size=count) * 100).astype(DTYPES[kind])


# --- shares ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("count", [0, 1, 7, 31, 32, 33, 1000, 2**31 + 5, 2**40])
@pytest.mark.parametrize(("blocks", "warps"), [(1, 1), (1, 8), (3, 2), (37, 8)])
def test_shares_are_even_and_cover_the_work(count: int, blocks: int, warps: int) -> None:
    threads = blocks * warps
    of_each, of_lanes = np.zeros((threads, 2), np.int64), np.zeros((threads, 2), np.int64)
    launch("shares", count, of_each, of_lanes, blocks=blocks, warps=warps)
    cuts = [count * k // threads for k in range(threads + 1)]
    np.testing.assert_array_equal(of_each, list(pairwise(cuts)))
    vectors = -(-count // LANES)
    lanes = [min(vectors * k // threads * LANES, count) for k in range(threads + 1)]
    assert [row[1] for row in of_lanes] == lanes[1:]
    np.testing.assert_array_equal(of_lanes[:, 0], [vectors * k // threads * LANES for k in range(threads)])


def test_parts_whole_and_within() -> None:
    out = np.zeros((5, 2), np.int64)
    launch("parts", 100, 2, 7, 35, out)
    first, last = 100 * 2 // 7, 100 * 3 // 7
    expected = [[first, last], [max(first - 35, 0), min(last - 35, 100)], [0, 100], [0, 100], [35, 100]]
    np.testing.assert_array_equal(out, expected)


def test_each_warp_has_scratch_of_its_own() -> None:
    out = np.zeros(12, np.int64)
    launch("scratches", np.zeros(12 * 96, np.uint8), 96, out, blocks=3, warps=4)
    np.testing.assert_array_equal(out, np.arange(12) * 96)


# --- one number ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", [*DTYPES, "bool"])
def test_a_number_is_put_after_all_lanes_have_read_the_one_before(kind: str) -> None:
    dtype = DTYPES.get(kind, np.bool_)
    number, before, after = (np.full(n, k, dtype) for n, k in ((2, 1), (LANES, 0), (LANES, 1)))
    launch(f"put_{kind}_after", number, CTYPES.get(kind, ctypes.c_uint8)(0), before, after)
    np.testing.assert_array_equal(number, np.array([0, 1], dtype))
    assert before.all()
    assert not after.any()


# --- rows -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", NUMBERS)
def test_fill_reaches_every_lane(kind: str) -> None:
    for n in LENGTHS:
        filled, out = np.zeros(n + 1, DTYPES[kind]), np.zeros(n, DTYPES[kind])
        launch(f"fill_{kind}_then_turn", filled, n, CTYPES[kind](7), out)
        np.testing.assert_array_equal(out, np.full(n, 7))
        assert filled[n] == 0


@pytest.mark.parametrize("kind", NUMBERS)
def test_argmax_of_a_row_is_numpys(kind: str) -> None:
    for n in LENGTHS:
        few = np.random.default_rng(n).integers(0, 3, n).astype(DTYPES[kind])
        cases = [numbers(kind, n, n), few, np.zeros(n, DTYPES[kind])]
        if kind in FLOATS:
            with_nan, low = numbers(kind, n, n), np.full(n, -np.inf, DTYPES[kind])
            with_nan[np.random.default_rng(n).integers(0, n, 2)] = np.nan
            cases += [with_nan, low]
        for a in cases:
            out, row = np.zeros(LANES, np.int64), np.zeros(n, DTYPES[kind])
            launch(f"argmax_of_{kind}", a, row, n, out)
            np.testing.assert_array_equal(out, np.full(LANES, np.argmax(a)))


@pytest.mark.parametrize("kind", NUMBERS)
def test_taking_the_larger_finds_the_first_of_the_largest(kind: str) -> None:
    columns = np.random.default_rng(1).integers(-3, 3, (9, LANES)).astype(DTYPES[kind])
    if kind in FLOATS:
        columns[4, ::5] = columns[6, ::3] = np.nan
    least = -np.inf if kind in FLOATS else np.iinfo(DTYPES[kind]).min
    largest, where = np.full(LANES, least, DTYPES[kind]), np.zeros(LANES, DTYPES[kind])
    for place, column in enumerate(columns):
        launch(f"take_larger_of_{kind}", largest, where, column.copy(), place)
    np.testing.assert_array_equal(where, np.argmax(columns, axis=0))
    np.testing.assert_array_equal(largest, np.max(columns, axis=0))


@pytest.mark.parametrize(("operator", "kind"), REDUCTIONS)
def test_rows_and_all_numbers_are_reduced(operator: str, kind: str) -> None:
    function = {"sum": np.sum, "max": np.max, "min": np.min}[operator]
    tolerance = {"f32": 1e-4, "f64": 1e-12}.get(kind, 0)
    for n in range(1, LANES + 1):
        for count in (1, 2, 5, 16, 37):
            stride = n + count
            table = numbers(kind, count * stride, n)
            out = np.zeros(n, DTYPES[kind])
            launch(f"{operator}_rows_of_{kind}", table, stride, count, n, out)
            expected = function(table.reshape(count, stride)[:, :n], axis=0)
            np.testing.assert_allclose(out, expected, tolerance, atol=tolerance)
    for count in LENGTHS:
        a, total = numbers(kind, count, count), np.zeros(LANES, DTYPES[kind])
        launch(f"{operator}_all_of_{kind}", a, count, total)
        np.testing.assert_allclose(total, np.full(LANES, function(a)), tolerance, atol=tolerance)
        assert len(np.unique(total)) == 1


@pytest.mark.parametrize("width", [1, 10, 32])
def test_columns_are_rows_turned(width: int) -> None:
    stride, tiles = width + 3, Kernels(TILE_TEXT, (f"WIDTH={width}",), finds_races=True)
    for n in range(1, LANES + 1):
        table = numbers("f32", LANES * stride, n)
        columns, back = np.zeros((width, LANES), np.float32), np.zeros((LANES, stride), np.float32)
        tiles.launch("tile", 1, LANES, 0, (table, stride, n, columns, back))
        rows = table.reshape(LANES, stride)[:, :width]
        np.testing.assert_array_equal(columns[:, :n], rows.T[:, :n])
        for beyond in (columns[:, n:], back[n:], back[:, width:]):
            assert not beyond.any()
        np.testing.assert_array_equal(back[:n, :width], rows[:n])


@pytest.mark.parametrize("size", [1, 3, 4, 8, 12, 16, 28, 48, 196, 784 * 4, 1000])
@pytest.mark.parametrize(("blocks", "warps"), [(1, 1), (2, 4)])
def test_rows_are_taken_by_number(size: int, blocks: int, warps: int) -> None:
    random = np.random.default_rng(size)
    for shift, apart in ((0, size), (0, size + 4), (1, size), (4, size)):
        store = random.integers(0, 256, 50 * apart + 16, dtype=np.uint8)
        table = store[shift:]
        wanted = random.integers(0, 50, 37)
        out, turned = np.zeros((37, size), np.uint8), np.zeros(37 * size, np.uint8)
        launch("taken", out, table, apart, size, wanted, 37, turned, blocks=blocks, warps=warps)
        expected = np.stack([table[k * apart : k * apart + size] for k in wanted])
        np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("index", INDICES)
def test_rows_are_added_by_number_in_their_order(kind: str, index: str) -> None:
    for count, width, blocks in ((1, 1, 1), (5, 3, 1), (70, 33, 1), (70, 10, 2), (200, 64, 3)):
        rows, stride = 11, width + 2
        indices = np.random.default_rng(count).integers(0, rows, (count, 2)).astype(DTYPES[index])
        added = numbers(kind, count * stride, width)
        table, turned = np.full(rows * width, np.nan, DTYPES[kind]), np.zeros(rows * width, DTYPES[kind])
        launch(
            f"scatter_add_{index}_of_{kind}", table, rows, width, indices, 2, count, added, stride, turned,
            blocks=blocks, warps=2,
        )  # fmt: skip
        expected = np.zeros((rows, width), DTYPES[kind])
        np.add.at(expected, indices[:, 0], added.reshape(count, stride)[:, :width])
        np.testing.assert_array_equal(table.reshape(rows, width), expected)


# --- random numbers -------------------------------------------------------------------------------------------------
SEED, STEP, STREAM = 0x0123456789ABCDEF, 7, 0xFFFFFFF0
RANGES = [(0, 1), (0, 4096), (3, 1), (5, 777), (64, 64), (1, 63), (62, 3), (2**34 - 100, 200)]


@cache
def random_kernels() -> Kernels:
    return Kernels(philox_text(), finds_races=True)


def fill(name: str, first: int, count: int) -> Array:
    made, out = np.zeros(count, np.float32), np.empty(count, np.float32)
    key = (ctypes.c_uint64(SEED), ctypes.c_uint32(STEP), ctypes.c_uint32(STREAM))
    random_kernels().launch(name, 1, LANES, 0, (*key, ctypes.c_uint64(first), count, made, out))
    return out


def words(first: int, count: int) -> npt.NDArray[np.uint64]:
    """The words of elements first // 4 * 4 and on."""
    block = np.arange(first // 4, (first + count) // 4 + 1, dtype=np.uint64)
    counter = (block & np.uint64(0xFFFFFFFF), block >> np.uint64(32), STEP, STREAM)
    return np.stack(philox.philox4x32(counter, (SEED & 0xFFFFFFFF, SEED >> 32)), axis=-1).reshape(-1)[first % 4 :]


@pytest.mark.parametrize(("first", "count"), RANGES)
def test_uniforms_are_bit_for_bit_the_same(first: int, count: int) -> None:
    wanted = (words(first, count)[:count] >> np.uint64(8)).astype(np.float32) * np.float32(2.0**-24)
    np.testing.assert_array_equal(fill("uniform", first, count), wanted)


@pytest.mark.parametrize(("first", "count"), RANGES[:-1])
def test_normals_are_the_same_to_a_millionth(first: int, count: int) -> None:
    wanted = philox.normal(first + count, SEED, STEP, STREAM)[first:]
    np.testing.assert_allclose(fill("normal", first, count), wanted, rtol=1e-6, atol=1e-7)
