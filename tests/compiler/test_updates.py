"""What a step does to weights: multipliers of the learning rate, accumulated gradients, moving averages."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from nnc.compiler.options import CompileOptions
from nnc.compiler.pipeline import compile_source
from nnc.grammar.source import SourceFile
from nnc.runtime.reference import ReferenceRuntime

OPTIMIZERS = [
    "sgd(0.1, momentum = 0.9)", "adam(0.01)", "adamw(0.01, weight_decay = 0.1)", "rmsprop(0.01)", "lion(0.01)",
]  # fmt: skip
RANDOM = np.random.default_rng(7)
X = RANDOM.normal(size=(8, 4)).astype("float32")
Y = RANDOM.normal(size=(8, 1)).astype("float32")
Values = dict[str, np.ndarray]


def trained(train: str, hidden: str = "", steps: int = 1, rows: int = 8) -> list[Values]:
    """The variables before the first step and after each; every step sees the next `rows` rows, over and over."""
    text = f"""
input x: float32[4]
h = x -> Dense(3, tanh{hidden})
output y = h -> Dense(1) {{ loss = mse }}
train {{ {train}, batch_size = {rows}, seed = 3 }}
"""
    plan = compile_source(SourceFile("updates.nn", text), CompileOptions(), verify=True).plan
    session = ReferenceRuntime().prepare(plan)
    session.bind("train_step", {"x": X, "target.y": Y})
    found = [{v.name: session.read(v.name) for v, _ in plan.variables}]
    for step in range(steps):
        session.run("train_step", np.arange(rows, dtype=np.int64) + step * rows % len(X))
        found.append({v.name: session.read(v.name) for v, _ in plan.variables})
    return found


@cache
def plainly(train: str, steps: int = 1, rows: int = 8) -> list[Values]:
    return trained(train, "", steps, rows)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_multiplier_changes_the_learning_rate_of_its_layer_alone(optimizer: str) -> None:
    rate = optimizer.partition("(")[2].rstrip(")").partition(",")[0]
    tenfold = optimizer.replace(rate, str(float(rate) * 10), 1)
    found = trained(f"optimizer = {optimizer}", ", learning_rate_multiplier = 10")[1]
    for name, expected in (("h.kernel", tenfold), ("h.bias", tenfold), ("y.kernel", optimizer)):
        np.testing.assert_allclose(found[name], plainly(f"optimizer = {expected}")[1][name], rtol=1e-6, err_msg=name)


def test_a_multiplier_of_zero_keeps_the_weights() -> None:
    before, after = trained("optimizer = sgd(0.1)", ", learning_rate_multiplier = 0")
    np.testing.assert_array_equal(before["h.kernel"], after["h.kernel"])
    assert (before["y.kernel"] != after["y.kernel"]).any()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_accumulated_steps_of_two_rows_are_one_step_of_eight(optimizer: str) -> None:
    whole = plainly(f"optimizer = {optimizer}", steps=3)
    parts = trained(f"optimizer = {optimizer}, accumulate = 4", steps=12, rows=2)
    for k, values in enumerate(parts):
        for name in ("h.kernel", "y.kernel", "y.bias"):
            np.testing.assert_allclose(values[name], whole[k // 4][name], rtol=2e-3, atol=1e-5, err_msg=f"{k} {name}")
    assert not parts[4]["h.kernel.gradient_sum"].any()
    assert parts[6]["h.kernel.gradient_sum"].any()
    assert parts[12]["step"] == 12


def test_averages_follow_the_weights() -> None:
    found = plainly("optimizer = sgd(0.1), ema = 0.75", steps=5)
    average = found[1]["h.kernel"]
    for values in found[1:]:
        average = 0.75 * average + 0.25 * values["h.kernel"]
        np.testing.assert_allclose(values["h.kernel.average"], average, rtol=1e-5)
    np.testing.assert_allclose(found[5]["h.kernel"], plainly("optimizer = sgd(0.1)", steps=5)[5]["h.kernel"], rtol=1e-6)
