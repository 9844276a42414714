"""runtime/native/philox.h against compiler/ops/philox.py, whose docstring defines the numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from compiled import Target, each_target, library, needs_compiler

from nnc.compiler.ops import philox

pytestmark = [needs_compiler, each_target]

SEED, STEP, STREAM = 0x0123456789ABCDEF, 7, 0xFFFFFFF0
RANGES = [(0, 1), (0, 4096), (3, 1), (5, 777), (64, 64), (1, 63), (62, 3)]


def fill(target: Target, name: str, first: int, count: int) -> npt.NDArray[np.float32]:
    out = np.empty(count, np.float32)
    library("random_numbers.c", target).call(name, SEED, STEP, STREAM, first, count, out)
    return out


@pytest.mark.parametrize(("first", "count"), RANGES)
def test_uniforms_are_bit_for_bit_the_same(target: Target, first: int, count: int) -> None:
    wanted = philox.uniform(first + count, SEED, STEP, STREAM)[first:]
    np.testing.assert_array_equal(fill(target, "uniform", first, count), wanted)


@pytest.mark.parametrize(("first", "count"), RANGES)
def test_normals_are_the_same_to_a_millionth(target: Target, first: int, count: int) -> None:
    wanted = philox.normal(first + count, SEED, STEP, STREAM)[first:]
    np.testing.assert_allclose(fill(target, "normal", first, count), wanted, rtol=1e-6, atol=1e-7)


def test_the_block_counter_carries_into_its_upper_word(target: Target) -> None:
    first, count = 4 * 2**32 - 100, 200
    block = np.arange(first // 4, (first + count) // 4, dtype=np.uint64)
    counter = (block & np.uint64(0xFFFFFFFF), block >> np.uint64(32), STEP, STREAM)
    words = np.stack(philox.philox4x32(counter, (SEED & 0xFFFFFFFF, SEED >> 32)), axis=-1).reshape(-1)
    wanted = (words >> np.uint64(8)).astype(np.float32) * np.float32(2.0**-24)
    np.testing.assert_array_equal(fill(target, "uniform", first, count), wanted)
