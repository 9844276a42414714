"""Activations, losses, metrics, schedules and initializers against what Keras computed; names and defaults too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from recording import arrays, cases, index

from nnc.compiler.autodiff import gradients_of
from nnc.compiler.builder import Builder
from nnc.compiler.evaluate import evaluate
from nnc.compiler.expr import var
from nnc.compiler.formulas.activations import ACTIVATIONS
from nnc.compiler.formulas.initializers import INITIALIZERS, draw
from nnc.compiler.formulas.losses import ALIASES, LOSSES, row_mean
from nnc.compiler.formulas.metrics import METRICS
from nnc.compiler.formulas.optimizers import OPTIMIZERS
from nnc.compiler.formulas.regularizers import REGULARIZERS
from nnc.compiler.formulas.schedules import SCHEDULES
from nnc.compiler.graph import Variable
from nnc.compiler.ops.scalar import evaluate as evaluate_scalar
from nnc.compiler.options import Choice
from nnc.compiler.types import TensorType

Case = dict[str, Any]


def table(builder: Builder, values: np.ndarray) -> int:
    flat = builder.table(tuple(float(v) for v in values.ravel()), str(values.dtype))
    return builder.reshape(flat, values.shape)


def graph_over(x: np.ndarray) -> tuple[Builder, int]:
    weight = Variable("x", TensorType(str(x.dtype), x.shape), "weight", Choice("zeros"), trainable=True)
    builder = Builder("test", {"x": weight})
    return builder, builder.variable("x")


def run(builder: Builder, values: int, total: int, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values, and the gradient of the sum of `total`'s elements."""
    axes = tuple(range(len(builder.type(total).shape)))
    builder.result("values", values)
    builder.result("total", builder.reshape(builder.reduce("sum", total, axes, dtype="float64"), ()))
    graph = gradients_of(builder.build(), builder.variables, "total", {"x"})
    results, _ = evaluate(graph, {}, {"x": x}, 0, len(x))
    return results["values"], results["gradient.x"]


@pytest.mark.parametrize("case", cases("activations"))
def test_activation(case: Case) -> None:
    entry, x = ACTIVATIONS[case["name"]], arrays()["activation.x"]
    builder, node = graph_over(x)
    if entry.rows is not None:
        value = entry.rows(builder, node)
    else:
        value = builder.map(entry.formula(var("x0"), **case["arguments"]), node)
    weighted = builder.map(var("x0") * var("x1"), value, table(builder, arrays()["activation.weights"]))
    values, gradient = run(builder, value, weighted, x)
    np.testing.assert_allclose(values, arrays()[case["value"]], rtol=3e-6, atol=3e-6)
    kinks = [case["arguments"].get(key) for key in ("threshold", "max_value")]  # there Keras's own backends differ
    usable = ~np.isin(x, [kink for kink in kinks if kink is not None])
    np.testing.assert_allclose(gradient[usable], arrays()[case["gradient"]][usable], rtol=1e-5, atol=3e-6)


@pytest.mark.parametrize("case", cases("losses"))
def test_loss(case: Case) -> None:
    loss, arguments = LOSSES[ALIASES.get(case["name"], case["name"])], case["arguments"]
    target, prediction = arrays()[case["target"]], arrays()[case["prediction"]]
    builder, node = graph_over(prediction)
    y = table(builder, target)
    if loss.from_logits is not None and arguments.get("from_logits"):
        rows = loss.from_logits(builder, y, node, arguments)
    elif loss.rows is not None:
        rows = loss.rows(builder, y, node, arguments)
    else:
        rows = row_mean(builder, loss.formula(var("x0"), var("x1"), **arguments), y, node)
    values, gradient = run(builder, rows, builder.map(var("x0") / len(target), rows), prediction)
    np.testing.assert_allclose(values[:, 0], arrays()[case["value"]], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradient, arrays()[case["gradient"]], rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("case", cases("metrics"))
def test_metric(case: Case) -> None:
    metric, target, prediction = METRICS[case["name"]], arrays()[case["target"]], arrays()[case["prediction"]]
    builder, node = graph_over(prediction)
    nodes = metric.rows(builder, table(builder, target), node, {**metric.defaults, **case["arguments"]})
    for k, accumulated in enumerate(nodes):
        builder.result(f"a{k}", builder.identity(accumulated, "float64"))
    sums, _ = evaluate(builder.build(), {}, {"x": prediction}, 0, len(target))
    bindings = {name: value if metric.is_summed else value.sum() for name, value in sums.items()}
    figure = evaluate_scalar(metric.finish, bindings | {"rows": np.asarray(len(target))}, "float64").mean()
    assert figure == pytest.approx(case["value"], rel=1e-5)


@pytest.mark.parametrize("case", cases("schedules"))
def test_schedule(case: Case) -> None:
    formula = SCHEDULES[case["name"]].formula(var("t"), **case["arguments"])
    expected = arrays()[case["value"]]
    found = evaluate_scalar(formula, {"t": np.arange(len(expected))}, "float64")
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("case", cases("initializers"))
def test_initializer(case: Case) -> None:
    distribution, numbers = draw(Choice(case["name"], tuple(case["arguments"].items())), tuple(case["shape"]))
    assert distribution == case["distribution"]
    assert numbers == pytest.approx(case["numbers"], rel=1e-14)


# what Keras has and this language leaves out, or has and Keras leaves out
BEYOND_KERAS = {"sparse_categorical_crossentropy": {"label_smoothing"}}


@pytest.mark.parametrize(
    ("kind", "entries"),
    [
        ("activation", ACTIVATIONS),
        ("loss", LOSSES),
        ("optimizer", OPTIMIZERS),
        ("schedule", SCHEDULES),
        ("regularizer", REGULARIZERS),
        ("initializer", INITIALIZERS),
    ],
)
def test_names_order_and_defaults_of_arguments_are_those_of_keras(kind: str, entries: Any) -> None:
    recorded = index()[f"{kind}_defaults"]
    assert len(recorded) >= 3
    for keras_name, expected in recorded.items():
        name = ALIASES.get(keras_name, keras_name) if kind == "loss" else keras_name
        own = [k for k in entries[name].defaults if k not in BEYOND_KERAS.get(name, ())]
        found = {k: entries[name].defaults[k] for k in own}
        assert {k: str(v) if str(v) == "<required>" else v for k, v in found.items()} == expected, name
        assert own == list(expected), name


def test_everything_recorded_is_everything_there_is() -> None:
    """A new activation, loss or optimizer is not done before Keras's values of it are recorded."""
    assert {case["name"] for case in index()["activations"]} == set(ACTIVATIONS)
    assert {ALIASES.get(case["name"], case["name"]) for case in index()["losses"]} == set(LOSSES)
    trained = index()["trajectories"]
    assert {case["optimizer"][0] for case in trained} == set(OPTIMIZERS)
    assert {case["loss"][0] for case in trained} == set(LOSSES)
    assert set(index()["initializer_defaults"]) == set(INITIALIZERS)
