"""runtime/cuda/warp_math.cuh against NumPy in float64.

The shim's functions are the C library's, CUDA's are its own: tested are formulas, special values, and every name.
"""

from __future__ import annotations

from functools import cache
from math import erf
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from emulated import Kernels, needs_compiler
from header_kernels import ELEMENTARY, FLOATS, math_text

pytestmark = needs_compiler

LANES = 32
DTYPES: dict[str, Any] = {"f32": np.float32, "f64": np.float64}
SPECIAL = (0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 100.0, -100.0, 1e-30, -1e-30, 1e30)

Array = npt.NDArray[Any]
EXACT: dict[str, Any] = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "softplus": lambda x: np.logaddexp(0, x),
    "erf": np.vectorize(erf, otypes=[np.float64]),
}  # fmt: skip


@cache
def kernels() -> Kernels:
    return Kernels(math_text())


def apply(name: str, *arrays: Array) -> Array:
    out = np.zeros_like(arrays[0])
    kernels().launch(name, 1, LANES, 0, (*arrays, out))
    return out


def arguments(kind: str, seed: int) -> Array:
    random = np.random.default_rng(seed)
    return np.concatenate([SPECIAL, random.normal(size=LANES - len(SPECIAL)) * 3 ** (seed % 4)]).astype(DTYPES[kind])


def close(kind: str, got: Array, expected: Array) -> None:
    tolerance = 1e-6 if kind == "f32" else 1e-14
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=1e-37)
    zeros = expected == 0
    np.testing.assert_array_equal(np.signbit(got)[zeros], np.signbit(expected)[zeros])


@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("name", ELEMENTARY)
def test_functions_are_numpys(name: str, kind: str) -> None:
    with np.errstate(all="ignore"):
        for seed in range(8):
            x = arguments(kind, seed)
            function = EXACT.get(name) or getattr(np, name)
            close(kind, apply(f"{name}_of_{kind}", x), function(x.astype(np.float64)).astype(x.dtype))


@pytest.mark.parametrize("kind", FLOATS)
def test_powers_are_numpys(kind: str) -> None:
    with np.errstate(all="ignore"):
        for seed in range(16):
            x = arguments(kind, seed)
            y = np.random.default_rng(seed).permutation(np.concatenate([[2, 3, -1, 0.5, 0], arguments(kind, seed)[5:]]))
            y = y.astype(x.dtype)
            expected = np.power(x.astype(np.float64), y.astype(np.float64)).astype(x.dtype)
            close(kind, apply(f"pow_of_{kind}", x, y), expected)


def test_quotients_and_roots_are_exact_or_nearly() -> None:
    with np.errstate(all="ignore"):
        for seed in range(8):
            a, b = arguments("f32", seed), arguments("f32", seed + 1)[::-1].copy()
            np.testing.assert_array_equal(apply("quotient_of_f32", a, b), a / b)
            np.testing.assert_array_equal(apply("root_of_f32", a), np.sqrt(a))
            close("f32", apply("inverse_root_of_f32", a), 1 / np.sqrt(a))
