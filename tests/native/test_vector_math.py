"""runtime/native/vector_math.h: errors in ulp over dense samples, and NumPy's special values.

benchmarks/native/accuracy.py measures the same over every float32 value.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from compiled import OWN_TARGETS, Target, each_target, library, needs_compiler

from nnc.compiler.ops.scalar import SCALAR, erf

pytestmark = [needs_compiler, each_target]

# The largest errors in ulp that are allowed; what was measured is in vector_math.h.
BOUNDS_F32 = {
    "exp": 1.5, "expm1": 2, "log": 1.5, "log1p": 2, "sin": 2, "cos": 2, "tanh": 3, "sigmoid": 3,
    "softplus": 2.5, "erf": 1.5,
}  # fmt: skip
BOUND_F64 = 5  # 4, and 1 for NumPy's own error
SPECIAL = (0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-300, -1e-300, 1e-40, 1e300, -1e300, 1e38, -1e38)
STEP = 65537  # prime: over the bit patterns of float32, it meets every exponent with many fractions

Array = npt.NDArray[Any]


def apply(target: Target, name: str, *arrays: Array) -> Array:
    out = np.empty_like(arrays[0])
    library("elementary.c", target).call(name, *arrays, out, out.size)
    return out


def expected(name: str, x: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(erf(x) if name == "erf" else SCALAR[name](x))


def largest_error(got: Array, wanted: Array) -> float:
    """In ulp of `got`; below the least normal number 0 will do. NaN and infinities must be where they are wanted."""
    kind = np.finfo(got.dtype)
    with np.errstate(all="ignore"):
        rounded = wanted.astype(got.dtype)
    finite = np.isfinite(rounded) & np.isfinite(got)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
    np.testing.assert_array_equal(got[np.isinf(wanted)], rounded[np.isinf(wanted)])
    assert np.all(finite | ~np.isfinite(wanted) | (np.abs(wanted) > kind.max * (1 - kind.eps)))
    unit = np.spacing(np.maximum(np.abs(rounded[finite]), kind.smallest_normal)).astype(wanted.dtype)
    error = np.abs(got[finite].astype(wanted.dtype) - wanted[finite]) / unit
    flushed = (got[finite] == 0) & (np.abs(wanted[finite]) < kind.smallest_normal)
    return float(np.max(np.where(flushed, 0, error)))


@pytest.mark.parametrize("name", BOUNDS_F32)
def test_float32_is_within_its_bound(target: Target, name: str) -> None:
    x = np.arange(0, 1 << 32, STEP, dtype=np.uint64).astype(np.uint32).view(np.float32)
    near = np.random.default_rng(0).uniform(-20, 20, 100_001).astype(np.float32)
    for sample in (x, near):
        with np.errstate(all="ignore"):
            wide = sample.astype(np.float64)
        assert largest_error(apply(target, f"apply_{name}_f32", sample), expected(name, wide)) <= BOUNDS_F32[name]


@pytest.mark.parametrize("name", BOUNDS_F32)
def test_float64_is_within_its_bound(target: Target, name: str) -> None:
    random = np.random.default_rng(1)
    anything = np.frombuffer(random.bytes(8 * 50_000), np.float64)
    for sample in (random.uniform(-3, 3, 50_001), random.uniform(-760, 760, 50_001), anything):
        assert largest_error(apply(target, f"apply_{name}_f64", sample), expected(name, sample)) <= BOUND_F64


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", BOUNDS_F32)
def test_special_values_are_numpys(target: Target, name: str, dtype: type) -> None:
    with np.errstate(over="ignore"):
        x = np.array(SPECIAL).astype(dtype)
    got = apply(target, f"apply_{name}_{'f32' if dtype is np.float32 else 'f64'}", x)
    wanted = expected(name, x)
    np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=float(np.finfo(dtype).smallest_normal))
    zeros = x == 0
    np.testing.assert_array_equal(np.signbit(got[zeros]), np.signbit(wanted[zeros]))


@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 1.0), (np.float64, 3.0)])
def test_pow_is_within_its_bound(target: Target, dtype: type, bound: float) -> None:
    random = np.random.default_rng(2)
    range_of_log = 80 if dtype is np.float32 else 700
    x = np.exp(random.uniform(-range_of_log, range_of_log, 50_001)).astype(dtype)
    y: Array = (random.uniform(-range_of_log, range_of_log, x.size) / np.abs(np.log(x.astype(np.float64)))).astype(
        dtype
    )
    got = apply(target, f"apply_pow_{'f32' if dtype is np.float32 else 'f64'}", x, y)
    wide = np.longdouble if dtype is np.float64 else np.float64
    with np.errstate(all="ignore"):
        assert largest_error(got, np.power(x.astype(wide), y.astype(wide))) <= bound


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pow_of_special_values_is_numpys(target: Target, dtype: type) -> None:
    numbers = (0, -0.0, 1, -1, 2, -2, 3, -3, 0.5, -0.5, 2.5, np.inf, -np.inf, np.nan, 1e30, -1e30, 2.0**53 - 1)
    pairs: Array = np.array(np.meshgrid(numbers, numbers), dtype).reshape(2, -1).copy()
    got = apply(target, f"apply_pow_{'f32' if dtype is np.float32 else 'f64'}", pairs[0], pairs[1])
    with np.errstate(all="ignore"):
        wanted = np.power(pairs[0], pairs[1])
    np.testing.assert_allclose(got, wanted, rtol=1e-6)
    numbers_alone = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(got[numbers_alone]), np.signbit(wanted[numbers_alone]))


def test_every_length_gives_the_same_bits(target: Target) -> None:
    x = np.random.default_rng(3).normal(size=67).astype(np.float32)
    whole = apply(target, "apply_exp_f32", x)
    for n in range(1, 67):
        np.testing.assert_array_equal(apply(target, "apply_exp_f32", x[:n]), whole[:n])


def test_sine_of_a_huge_number(target: Target) -> None:
    """Reduced with the bits of 2/pi that matter: the hardest float64, and the largest."""
    x = np.array([6381956970095103 * 2.0**797, np.finfo(np.float64).max, 1e22, -1e22])
    out = np.empty(x.size, np.longdouble)  # this machine's, so only its own libraries compute with them
    library("reference.c", OWN_TARGETS[0], ("-lm",)).call("sin_of_f64l", x, out, x.size)
    assert largest_error(apply(target, "apply_sin_f64", x), out) <= BOUND_F64
