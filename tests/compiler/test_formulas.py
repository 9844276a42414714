"""Walks every table of formulas: gradients, extremes, documentation. A new entry is covered by being there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nnc.compiler.autodiff import gradients_of
from nnc.compiler.builder import Builder
from nnc.compiler.derivative import differentiate
from nnc.compiler.evaluate import evaluate
from nnc.compiler.expr import Expr, const, var, variables
from nnc.compiler.formulas.activations import ACTIVATIONS
from nnc.compiler.formulas.definition import REQUIRED
from nnc.compiler.formulas.initializers import INITIALIZERS, draw, fans
from nnc.compiler.formulas.losses import LOSSES, row_mean
from nnc.compiler.formulas.metrics import METRICS
from nnc.compiler.formulas.optimizers import OPTIMIZERS
from nnc.compiler.formulas.regularizers import REGULARIZERS
from nnc.compiler.formulas.schedules import SCHEDULES
from nnc.compiler.graph import Variable
from nnc.compiler.ops.scalar import evaluate as evaluate_scalar
from nnc.compiler.options import Choice
from nnc.compiler.tables import TABLES
from nnc.compiler.types import TensorType

ROWS, WIDTH = 6, 4
RANDOM = np.random.default_rng(5)
POINTS = np.linspace(-4, 4, 161) + 0.0123  # no kink of any activation lies on it

ELEMENTWISE = [name for name, entry in ACTIVATIONS.items() if entry.formula is not None]
BY_ROWS = [name for name, entry in ACTIVATIONS.items() if entry.rows is not None]
FROM_OUTPUT = [name for name, entry in ACTIVATIONS.items() if entry.from_output is not None]

# beside the defaults, so that every argument is differentiated through
VARIANTS: dict[str, tuple[dict[str, Any], ...]] = {
    "relu": ({"negative_slope": 0.1, "max_value": 2.0, "threshold": 0.5},),
    "elu": ({"alpha": 0.5},),
    "gelu": ({"approximate": True},),
    "huber": ({"delta": 0.3},),
    "binary_crossentropy": ({"label_smoothing": 0.2}, {"from_logits": True}),
    "categorical_crossentropy": ({"label_smoothing": 0.2}, {"from_logits": True}),
    "sparse_categorical_crossentropy": ({"label_smoothing": 0.2}, {"from_logits": True}),
}


def variants(name: str, defaults: Any) -> list[dict[str, Any]]:
    return [dict(defaults), *({**defaults, **given} for given in VARIANTS.get(name, ()))]


def with_variants(table: Any, names: list[str]) -> list[Any]:
    return [
        pytest.param(name, arguments, id=f"{name}-{k}")
        for name in names
        for k, arguments in enumerate(variants(name, table[name].defaults))
    ]


def at(expr: Expr, dtype: str = "float64", **bindings: Any) -> np.ndarray:
    return evaluate_scalar(expr, {k: np.asarray(v) for k, v in bindings.items()}, dtype)


def slope_of(function: Callable[[np.ndarray], np.ndarray], x: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """Elementwise central differences of a scalar function of the array x."""
    slopes = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        moved = x.copy()
        moved[place] += step
        up = function(moved)
        moved[place] -= 2 * step
        slopes[place] = (up - function(moved)) / (2 * step)
    return slopes


# --- activations ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "arguments"), with_variants(ACTIVATIONS, ELEMENTWISE))
def test_gradient_of_an_activation(name: str, arguments: dict[str, Any]) -> None:
    expr = ACTIVATIONS[name].formula(var("x"), **arguments)
    slope = np.broadcast_to(at(differentiate(expr, "x"), x=POINTS), POINTS.shape)
    expected = (at(expr, x=POINTS + 1e-6) - at(expr, x=POINTS - 1e-6)) / 2e-6
    np.testing.assert_allclose(slope, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("name", "arguments"), with_variants(ACTIVATIONS, FROM_OUTPUT))
def test_derivative_from_the_output(name: str, arguments: dict[str, Any]) -> None:
    entry = ACTIVATIONS[name]
    expr = entry.formula(var("x"), **arguments)
    by_output = entry.from_output(var("y"), **arguments)
    assert set(variables(by_output)) <= {"y"}
    points = np.concatenate([POINTS, [-6.0, -3.0, -1.0, 0.0, 1.0, 3.0, 6.0]])
    expected = np.broadcast_to(at(differentiate(expr, "x"), x=points), points.shape)
    found = np.broadcast_to(at(by_output, y=at(expr, x=points)), points.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in ELEMENTWISE if name not in ("exponential",)])
@pytest.mark.parametrize("x", [-1e4, -100.0, 0.0, 100.0, 1e4])
def test_an_activation_is_finite_at_extremes(name: str, x: float) -> None:
    expr = ACTIVATIONS[name].formula(var("x"))
    assert np.isfinite(at(expr, "float32", x=x))
    assert np.isfinite(at(differentiate(expr, "x"), "float32", x=x))
    if ACTIVATIONS[name].from_output:
        assert np.isfinite(at(ACTIVATIONS[name].from_output(var("y")), "float32", y=at(expr, "float32", x=x)))


# --- constructions over rows: made into a little graph, whose gradient is the compiler's own -----------------------


class Small:
    """A graph over the variable `x`, whose result "value" is a scalar made by `construct(builder, node of x)`."""

    def __init__(self, x: np.ndarray, construct: Callable[[Builder, int], int]) -> None:
        self.x = Variable("x", TensorType("float64", x.shape), "weight", Choice("zeros"), trainable=True)
        builder = Builder("test", {"x": self.x})
        node = construct(builder, builder.variable("x"))
        total = builder.reduce("sum", node, tuple(range(len(builder.type(node).shape))), dtype="float64")
        builder.result("rows", node)
        builder.result("value", builder.reshape(total, ()))
        self.graph = builder.build()

    def run(self, x: np.ndarray) -> dict[str, np.ndarray]:
        return evaluate(self.graph, {}, {"x": x}, 0, len(x))[0]

    def value(self, x: np.ndarray) -> np.ndarray:
        return self.run(x)["value"]

    def gradient(self, x: np.ndarray) -> np.ndarray:
        graph = gradients_of(self.graph, {"x": self.x}, "value", {"x"})
        return evaluate(graph, {}, {"x": x}, 0, len(x))[0]["gradient.x"]


def constant(builder: Builder, values: np.ndarray) -> int:
    dtype = "int32" if values.dtype.kind == "i" else "float64"
    flat = builder.table(tuple(float(v) for v in values.ravel()), dtype)
    return builder.reshape(flat, values.shape)


@pytest.mark.parametrize("name", BY_ROWS)
def test_gradient_of_an_activation_over_rows(name: str) -> None:
    x, weights = RANDOM.normal(size=(2, ROWS, WIDTH))

    def weighted(builder: Builder, node: int) -> int:
        value = ACTIVATIONS[name].rows(builder, node)
        return builder.map(var("x0") * var("x1"), value, constant(builder, weights))

    small = Small(x, weighted)
    np.testing.assert_allclose(small.gradient(x), slope_of(small.value, x), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", BY_ROWS)
def test_an_activation_over_rows_is_finite_at_extremes(name: str) -> None:
    x = np.array([[1e4, -1e4, 0, 1], [-1e4, -1e4, -1e4, -1e4], [1e4, 1e4, 0, 0]])
    small = Small(x, ACTIVATIONS[name].rows)
    assert np.isfinite(small.run(x)["rows"]).all()
    assert np.isfinite(small.gradient(x)).all()


# --- losses -------------------------------------------------------------------------------------------------------


def loss_rows(name: str, arguments: dict[str, Any], target: np.ndarray) -> Callable[[Builder, int], int]:
    """One loss per row, the way the lowering asks for it."""
    loss = LOSSES[name]

    def construct(builder: Builder, prediction: int) -> int:
        y = constant(builder, target)
        if loss.from_logits is not None and arguments.get("from_logits"):
            return loss.from_logits(builder, y, prediction, arguments)
        if loss.rows is not None:
            return loss.rows(builder, y, prediction, arguments)
        return row_mean(builder, loss.formula(var("x0"), var("x1"), **arguments), y, prediction)

    return construct


def example(name: str, arguments: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """A target and a prediction such as the loss is meant for, away from kinks."""
    loss, real, other = LOSSES[name], *RANDOM.normal(size=(2, ROWS, WIDTH))
    positive = np.abs(other) + 0.1
    by_kind = {"positive": positive, "probability": positive / positive.sum(1, keepdims=True)}
    prediction = by_kind.get(loss.prediction, other)
    if arguments.get("from_logits"):
        prediction = other
    classes = RANDOM.integers(0, WIDTH, ROWS)
    if loss.target == "class":
        return classes, prediction
    if loss.target == "one_hot":
        return np.eye(WIDTH)[classes] * 0.7 + 0.3 / WIDTH, prediction
    if name == "binary_crossentropy":
        return (real > 0) * 1.0, prediction
    return {"positive": np.abs(real) + 0.5, "sign": np.sign(real)}.get(loss.prediction, real), prediction


@pytest.mark.parametrize(("name", "arguments"), with_variants(LOSSES, list(LOSSES)))
def test_gradient_of_a_loss(name: str, arguments: dict[str, Any]) -> None:
    target, prediction = example(name, arguments)
    small = Small(prediction, loss_rows(name, arguments, target))
    assert small.run(prediction)["rows"].shape == (ROWS, 1)
    np.testing.assert_allclose(small.gradient(prediction), slope_of(small.value, prediction), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", [name for name, loss in LOSSES.items() if loss.from_logits])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_a_loss_of_logits_is_the_loss_of_their_probabilities(name: str, smoothing: float) -> None:
    loss, arguments = LOSSES[name], {"from_logits": False, "label_smoothing": smoothing}
    target, logits = example(name, {"from_logits": True})
    exponentials = np.exp(logits)
    softmax, sigmoid = exponentials / exponentials.sum(1, keepdims=True), exponentials / (1 + exponentials)
    probabilities = {"softmax": softmax, "sigmoid": sigmoid}[loss.activation]
    of_logits = Small(logits, loss_rows(name, {**arguments, "from_logits": True}, target)).run(logits)["rows"]
    of_probabilities = Small(logits, loss_rows(name, arguments, target)).run(probabilities)["rows"]
    np.testing.assert_allclose(of_logits, of_probabilities, rtol=1e-6)


@pytest.mark.parametrize("name", [name for name, loss in LOSSES.items() if loss.from_logits])
def test_a_loss_of_extreme_logits_is_finite(name: str) -> None:
    logits = np.array([[1e4, -1e4, 0, 1], [-1e4, 1e4, -1e4, -1e4]])
    target = np.array([1, 1]) if LOSSES[name].target == "class" else np.eye(4)[[1, 1]]
    small = Small(logits, loss_rows(name, {"from_logits": True, "label_smoothing": 0.0}, target))
    rows = small.run(logits)["rows"][:, 0]
    assert rows[0] >= 1e4 / 4
    assert rows[1] == 0
    assert np.isfinite(small.gradient(logits)).all()


@pytest.mark.parametrize("name", [n for n, loss in LOSSES.items() if loss.prediction in ("probability", "positive")])
@pytest.mark.parametrize("extreme", [0.0, 1.0])
def test_a_loss_of_certain_probabilities_is_finite(name: str, extreme: float) -> None:
    prediction = np.full((2, 4), extreme)
    prediction[:, 0] = 1 - extreme
    target = np.array([1, 0]) if LOSSES[name].target == "class" else np.eye(4)[[1, 0]]
    small = Small(prediction, loss_rows(name, dict(LOSSES[name].defaults), target))
    assert np.isfinite(small.run(prediction)["rows"]).all()
    assert np.isfinite(small.gradient(prediction)).all()


def test_the_cosine_of_nothing_is_no_accident() -> None:
    zero = np.zeros((1, 4))
    small = Small(zero, loss_rows("cosine_similarity", {}, np.ones((1, 4))))
    assert small.value(zero) == 0
    assert np.isfinite(small.gradient(zero)).all()


# --- metrics --------------------------------------------------------------------------------------------------------


def measured(name: str, target: np.ndarray, prediction: np.ndarray, **arguments: Any) -> float:
    metric = METRICS[name]
    builder = Builder("test", {})
    nodes = [builder.input(key, TensorType("int32" if v.dtype.kind == "i" else "float32", ("batch", *v.shape[1:])))
             for key, v in (("y", target), ("p", prediction))]  # fmt: skip
    for k, node in enumerate(metric.rows(builder, *nodes, {**metric.defaults, **arguments})):
        builder.result(f"a{k}", builder.identity(node, "float64"))
    sums, _ = evaluate(builder.build(), {"y": target, "p": prediction.astype("float32")}, {}, 0, len(target))
    bindings = {key: np.float64(v if metric.is_summed else v.sum()) for key, v in sums.items()}
    bindings["rows"] = np.float64(len(target))
    assert set(variables(metric.finish)) <= set(bindings)
    return float(np.mean(at(metric.finish, **bindings)))


def test_confusion_metrics() -> None:
    target = np.array([[1.0], [1], [1], [0], [0], [0]])
    prediction = np.array([[0.9], [0.8], [0.1], [0.7], [0.2], [0.5]])
    assert measured("precision", target, prediction) == pytest.approx(2 / 3)
    assert measured("recall", target, prediction) == pytest.approx(2 / 3)
    assert measured("f1_score", target, prediction) == pytest.approx(2 / 3)
    assert measured("f1_score", np.zeros((2, 1)), np.zeros((2, 1))) == 0
    assert measured("accuracy", target, prediction) == pytest.approx(4 / 6)


def test_accuracy_is_chosen_by_the_target() -> None:
    prediction = np.array([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1], [0.2, 0.2, 0.6]])
    assert measured("accuracy", np.array([1, 0, 1]), prediction) == pytest.approx(2 / 3)
    assert measured("accuracy", np.eye(3, dtype="float32")[[1, 0, 1]], prediction) == pytest.approx(2 / 3)


def test_of_equal_units_the_later_is_among_the_largest() -> None:
    prediction = np.array([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1], [0.2, 0.2, 0.6]])
    assert measured("top_k_accuracy", np.array([2, 1, 1]), prediction, k=2) == 1
    assert measured("top_k_accuracy", np.array([2, 1, 0]), prediction, k=2) == pytest.approx(2 / 3)


@pytest.mark.parametrize("name", sorted(set(METRICS) & set(LOSSES)))
def test_every_loss_is_a_metric(name: str) -> None:
    target, prediction = example(name, {})
    expected = Small(prediction, loss_rows(name, dict(LOSSES[name].defaults), target)).run(prediction)["rows"].mean()
    typed = target.astype("int32" if target.dtype.kind == "i" else "float32")
    assert measured(name, typed, prediction) == pytest.approx(expected, rel=1e-5)


# --- optimizers, schedules, initializers, regularizers ---------------------------------------------------------------


def minimized(name: str, arguments: dict[str, Any], steps: int) -> float:
    """Where the optimizer gets on the parabola p^2 / 2 from p = 1, in float64."""
    optimizer = OPTIMIZERS[name]
    given = {k: v for k, v in {**optimizer.defaults, **arguments}.items() if k != "learning_rate"}
    p, slots = np.float64(1), {k: np.float64(v) for k, v in optimizer.slots(**given).items()}
    scalar_formulas = optimizer.scalars(var("t"), var("rate"), **given)
    new_p, new_slots = optimizer.update(
        var("p"), var("g"), {k: var(k) for k in slots}, {k: var(f"s.{k}") for k in scalar_formulas}, **given
    )
    assert set(new_slots) == set(slots)
    for t in range(1, steps + 1):
        scalars = {f"s.{k}": at(f, t=t, rate=arguments["learning_rate"]) for k, f in scalar_formulas.items()}
        bindings = {"p": p, "g": p, **slots, **scalars}
        p, slots = at(new_p, **bindings), {k: at(f, **bindings) for k, f in new_slots.items()}
    return float(p)


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_every_optimizer_goes_downhill(name: str) -> None:
    assert abs(minimized(name, {"learning_rate": 0.05}, 100)) < 0.6


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_weight_decay_shrinks_the_weight_first(name: str) -> None:
    plain = minimized(name, {"learning_rate": 0.1, "weight_decay": None}, 1)
    assert minimized(name, {"learning_rate": 0.1, "weight_decay": 0.2}, 1) == pytest.approx(plain - 0.1 * 0.2)


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_an_optimizer_stands_still_without_a_gradient(name: str) -> None:
    optimizer = OPTIMIZERS[name]
    given = {k: v for k, v in optimizer.defaults.items() if k not in ("learning_rate", "weight_decay")}
    slots = optimizer.slots(**given)
    scalars = optimizer.scalars(const(1), const(0.1), **given)
    new_p, _ = optimizer.update(const(1), const(0), {k: const(v) for k, v in slots.items()}, scalars, **given)
    assert at(new_p) == 1


@pytest.mark.parametrize("t", [1, 2, 10, 100, 1000])
def test_nadam_needs_no_running_product(t: int) -> None:
    schedule = 0.9 * (1 - 0.5 * 0.96 ** np.arange(1, t + 2))
    product = schedule[:t].prod()
    formulas = OPTIMIZERS["nadam"].scalars(var("t"), var("rate"), beta_1=0.9)
    found = {name: at(formula, t=t, rate=1) for name, formula in formulas.items()}
    assert found["gradient_weight"] == pytest.approx((1 - schedule[t - 1]) / (1 - product), rel=1e-10)
    assert found["momentum_weight"] == pytest.approx(schedule[t] / (1 - product * schedule[t]), rel=1e-10)


def test_schedules() -> None:
    def rate(name: str, step: float, **arguments: Any) -> float:
        return float(at(SCHEDULES[name].formula(var("t"), **arguments), t=step))

    assert rate("constant", 7, learning_rate=0.3) == 0.3
    step = {"initial_learning_rate": 1.0, "decay_steps": 10}
    assert [rate("step", t, **step) for t in (0, 9, 10, 25)] == pytest.approx([1, 1, 0.1, 0.01])
    assert rate("plateau", 99, **{**SCHEDULES["plateau"].defaults, "initial_learning_rate": 0.2}) == 0.2
    cosine = {"initial_learning_rate": 0.0, "decay_steps": 10, "warmup_target": 1.0, "warmup_steps": 4}
    assert [rate("cosine", t, **cosine) for t in (0, 2, 4, 9, 14, 99)] == pytest.approx([0, 0.5, 1, 0.5, 0, 0])


def test_fans() -> None:
    assert [fans(shape) for shape in ((), (5,), (3, 7), (2, 4, 3, 7))] == [(1, 1), (5, 5), (3, 7), (24, 56)]


@pytest.mark.parametrize("name", list(INITIALIZERS))
def test_an_initializer_says_what_to_draw(name: str) -> None:
    distribution, numbers = draw(Choice(name), (30, 20))
    count = {"uniform": 2, "normal": 2, "truncated_normal": 2}.get(distribution, 1)
    assert distribution in ("constant", "uniform", "normal", "truncated_normal", "orthogonal", "identity")
    assert len(numbers) == count
    assert np.isfinite(numbers).all()
    if distribution == "uniform":
        assert numbers[0] < numbers[1]


@pytest.mark.parametrize("name", list(REGULARIZERS))
def test_gradient_of_a_regularizer(name: str) -> None:
    for arguments in ({}, dict.fromkeys(REGULARIZERS[name].defaults, 0.3)):
        expr = REGULARIZERS[name].formula(var("w"), **arguments)
        slope = np.broadcast_to(at(differentiate(expr, "w"), w=POINTS), POINTS.shape)
        difference = (at(expr, w=POINTS + 1e-6) - at(expr, w=POINTS - 1e-6)) / 2e-6
        np.testing.assert_allclose(slope, np.broadcast_to(difference, POINTS.shape), atol=1e-8)


# --- every table ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(TABLES))
def test_every_entry_is_documented_and_every_alias_leads_somewhere(kind: str) -> None:
    table = TABLES[kind]
    for name, entry in table.entries.items():
        assert entry.doc, name
        assert getattr(entry, "source", "-"), name
    for alias, name in table.aliases.items():
        assert name in table.entries, alias
        assert alias not in table.entries, alias


def test_optimizers_begin_with_the_learning_rate_and_need_no_argument() -> None:
    for optimizer in OPTIMIZERS.values():
        assert next(iter(optimizer.defaults)) == "learning_rate"
        assert REQUIRED not in [default for default in optimizer.defaults.values() if default is not None]
