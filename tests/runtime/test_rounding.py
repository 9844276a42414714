"""What `precision = bfloat16` means: the reference runtime against products written out in NumPy."""

from __future__ import annotations

import tracemalloc
from functools import cache

import numpy as np
import numpy.typing as npt

from nnc.compiler.pipeline import compile_source
from nnc.compiler.plan import Plan
from nnc.grammar.source import SourceFile
from nnc.runtime.reference import ReferenceRuntime
from nnc.runtime.reference.arena import Scratch
from nnc.runtime.reference.rounding import rounded

Floats = npt.NDArray[np.float32]
SPEC = """
input x: float32[9]
hidden = x -> Dense(7, tanh)
output y = hidden -> Dense(3) { loss = mse }
train { optimizer = sgd(0.5), batch_size = 5, precision = bfloat16 }
"""


def nearest_bfloat16(values: npt.ArrayLike) -> Floats:
    """Eight significant binary digits, ties to even; by arithmetic on float64, where the product rounds by bits."""
    exact = np.asarray(values, np.float64)
    _, exponent = np.frexp(exact)
    digit = np.ldexp(1.0, np.maximum(exponent - 8, -133))
    with np.errstate(all="ignore"):
        return np.where(np.isfinite(exact), np.rint(exact / digit) * digit, exact).astype(np.float32)


def round_with_runtime(values: Floats) -> Floats:
    calls, result = rounded(values, Scratch())
    for call in calls:
        call()
    return result


@cache
def plan() -> Plan:
    return compile_source(SourceFile("rounded.nn", SPEC), verify=True).plan


def test_numbers_are_rounded_to_the_nearest_bfloat16_and_ties_to_even() -> None:
    generator = np.random.default_rng(0)
    bits = generator.integers(0, 2**32, 200_000, dtype=np.uint32)
    ties = (bits & np.uint32(0xFFFF0000)) | np.uint32(0x8000)
    values = np.concatenate([bits, ties]).view(np.float32)
    values = values[np.isfinite(values) & (np.abs(values) < 3.38e38)]
    np.testing.assert_array_equal(round_with_runtime(values), nearest_bfloat16(values))


def test_infinity_and_no_number_stay_and_the_largest_becomes_infinite() -> None:
    payload = np.array([0x7FFFFFFF, 0xFFFFFFFF, 0x7F800001], np.uint32).view(np.float32)
    values = np.concatenate([np.array([np.inf, -np.inf, 3.4028235e38, -0.0, 0.0], np.float32), payload])
    found = round_with_runtime(values)
    np.testing.assert_array_equal(found, np.array([np.inf, -np.inf, np.inf, 0, 0] + [np.nan] * 3, np.float32))
    assert np.signbit(found[3])


def test_a_view_of_any_strides_is_rounded() -> None:
    values = np.random.default_rng(1).standard_normal((12, 10)).astype(np.float32)
    np.testing.assert_array_equal(round_with_runtime(values.T[2:7:2, 1:]), nearest_bfloat16(values.T[2:7:2, 1:]))


def test_a_step_rounds_what_products_multiply_and_nothing_else() -> None:
    session = ReferenceRuntime().prepare(plan())
    generator = np.random.default_rng(2)
    x, y = (generator.standard_normal((5, width)).astype(np.float32) for width in (9, 3))
    for variable, _ in plan().variables:
        if variable.role == "weight":
            value = generator.standard_normal(session.read(variable.name).shape)
            session.write(variable.name, value.astype(np.float32))
    w1, b1, w2, b2 = (session.read(n) for n in ("hidden.kernel", "hidden.bias", "y.kernel", "y.bias"))
    session.bind("train_step", {"x": x, "target.y": y})
    session.run("train_step", np.arange(5))

    def product(a: Floats, b: Floats) -> Floats:
        return nearest_bfloat16(a) @ nearest_bfloat16(b)

    hidden = np.tanh(product(x, w1) + b1)
    error = product(hidden, w2) + b2 - y
    slope = (error * np.float32(2 / 15)).astype(np.float32)
    slope1 = product(slope, w2.T) * (1 - hidden * hidden)
    np.testing.assert_allclose(session.fetch("train_step", "loss"), np.mean(error**2), rtol=1e-6)
    wanted = {
        "y.kernel": w2 - 0.5 * product(hidden.T, slope), "y.bias": b2 - 0.5 * slope.sum(axis=0),
        "hidden.kernel": w1 - 0.5 * product(x.T, slope1), "hidden.bias": b1 - 0.5 * slope1.sum(axis=0),
    }  # fmt: skip
    for name, value in wanted.items():
        np.testing.assert_allclose(session.read(name), value, rtol=0, atol=2e-6, err_msg=name)
        assert np.any(session.read(name) != nearest_bfloat16(session.read(name))), f"{name} is a master copy"


def test_a_step_makes_no_array() -> None:
    session = ReferenceRuntime().prepare(plan())
    session.bind("train_step", {"x": np.ones((10, 9), np.float32), "target.y": np.ones((10, 3), np.float32)})
    rows = [np.arange(5), np.arange(3)]
    for batch in rows * 3:
        session.run("train_step", batch)
    tracemalloc.start()
    try:
        session.run("train_step", rows[0])
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        for batch in rows * 50:
            session.run("train_step", batch)
        after, _ = tracemalloc.get_traced_memory()
        arrays = tracemalloc.take_snapshot().filter_traces(
            [tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)]
        )
        assert after - before < 1024
        assert sum(line.size for line in arrays.statistics("lineno")) < 1024
    finally:
        tracemalloc.stop()
