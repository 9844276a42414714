"""runtime/native/quotients.h against float64: a dense sample of positive float32, and what is no ordinary number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from compiled import Target, each_target, library, needs_compiler

pytestmark = [needs_compiler, each_target]

Floats = npt.NDArray[np.float32]
NORMAL = np.arange(0x00800000, 0x7F800000, 1009, dtype=np.uint32)
NORMAL = NORMAL[: len(NORMAL) // 16 * 16].view(np.float32)  # from 2**-126 to the largest
STRANGE = np.array([0, -0.0, np.inf, -np.inf, np.nan, 3e38, -3e38, 2e-38, 1, -1, 4, 9, 0.25, 2, 3, 5], np.float32)


def called(target: Target, name: str, *operands: Floats) -> Floats:
    out = np.empty_like(operands[0])
    library("quotients.c", target).call(name, *operands, len(out), out)
    return out


def largest_error(found: Floats, exact: npt.NDArray[np.float64]) -> float:
    """In units of the last place of the exact result."""
    unit = np.spacing(np.abs(exact.astype(np.float32))).astype(np.float64)
    return float(np.max(np.abs(found - exact) / unit))


@pytest.mark.parametrize(
    ("name", "exact", "bound"),
    [("root", np.sqrt, 0.9), ("inverse_root", lambda x: 1 / np.sqrt(x), 2.1)],
)
def test_roots(
    target: Target, name: str, exact: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]], bound: float
) -> None:
    assert largest_error(called(target, name, NORMAL), exact(NORMAL.astype(np.float64))) <= bound


def test_quotients(target: Target) -> None:
    bits = np.random.default_rng(0).integers(0, 2**32, (2, 1 << 20), np.uint32)
    exponents = 64 + (bits >> 23) % 120  # so that no quotient leaves the normal numbers
    a, b = ((bits & 0x807FFFFF) | (exponents << 23).astype(np.uint32)).view(np.float32)
    assert largest_error(called(target, "quotient", a, b), a.astype(np.float64) / b) <= 1.6


def test_quotients_by_a_root_and_a_number(target: Target) -> None:
    a = np.resize(np.float32([1, -3, 0.7, 1e-3, 5e4]), NORMAL.shape)
    exact = a.astype(np.float64) / (np.sqrt(NORMAL.astype(np.float64)) + np.float64(np.float32(1e-7)))
    assert largest_error(called(target, "quotient_by_root", a, NORMAL), exact) <= 3.5


def test_what_the_estimates_cannot_serve_is_exact(target: Target) -> None:
    ones = np.ones_like(STRANGE)
    with np.errstate(all="ignore"):
        normal = np.abs(1 / STRANGE) > 2.0**-126
        keep = normal | ~np.isfinite(STRANGE) | (STRANGE == 0)
        np.testing.assert_allclose(called(target, "quotient", ones, STRANGE)[keep], (1 / STRANGE)[keep], rtol=2e-7)
        np.testing.assert_allclose(called(target, "root", STRANGE), np.sqrt(STRANGE), rtol=2e-7)
        np.testing.assert_allclose(called(target, "inverse_root", STRANGE), 1 / np.sqrt(STRANGE), rtol=3e-7)
        sums = np.sqrt(STRANGE) + np.float32(1e-7)
        np.testing.assert_allclose(called(target, "quotient_by_root", ones, STRANGE), ones / sums, rtol=5e-7)
