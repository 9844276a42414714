"""Simplification: each rule by itself, then random graphs, whose values must stay what they were."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_networks import in_float64, numeric_gradient

from nnc.compiler.autodiff import gradients_of
from nnc.compiler.builder import Builder
from nnc.compiler.evaluate import evaluate
from nnc.compiler.expr import Expr, const, maximum, rsqrt, sigmoid, square, tanh, var, where
from nnc.compiler.graph import Graph, Variable
from nnc.compiler.options import Choice
from nnc.compiler.simplify import remove_dead_nodes, simplify_graph
from nnc.compiler.types import BATCH, TensorType
from nnc.compiler.verify_graph import verify_graph

X0, X1, X2 = var("x0"), var("x1"), var("x2")
ROW = TensorType("float32", (BATCH, 4))
NAMES = {
    name: Variable(name, TensorType("float32", shape), "weight", Choice("zeros"), "", True)
    for name, shape in (("w", (4, 4)), ("v", (4,)), ("s", ()))
}


def simplified(make: Callable[[Builder], int]) -> list[str]:
    """The ops left, without leaves, as `op expr`, of the graph whose only result `make` gives."""
    builder = Builder("predict", NAMES)
    builder.result("y", make(builder))
    graph = simplify_graph(builder.build(), NAMES)
    verify_graph(graph, NAMES)
    leaves = ("input", "variable", "rows", "iota")
    return [f"{n.op} {n.attr('expr')}" if n.op == "map" else n.op for n in graph.nodes if n.op not in leaves]


def x(b: Builder) -> int:
    return b.input("x", ROW)


def scaled(b: Builder, factor: float) -> int:
    return b.map(X0 * X1, x(b), b.constant(factor))


# name -> (graph, what is left of it beside leaves)
RULES: dict[str, tuple[Callable[[Builder], int], list[str]]] = {
    "a constant operand becomes part of the formula": (lambda b: scaled(b, 0.1), ["map (mul 0.1 x0)"]),
    "multiplying by one is nothing": (lambda b: scaled(b, 1.0), []),
    "an identity map is nothing": (lambda b: b.map(X0, x(b)), []),
    "a conversion stays": (lambda b: b.identity(x(b), "float64"), ["map x0"]),
    "an operand given twice is read once": (lambda b: b.map(X0 * X1, x(b), x(b)), ["map (square x0)"]),
    "constants fold": (lambda b: b.map(X0 + X1, b.constant(2), b.constant(3)), ["constant"]),
    "folding passes through maps": (
        lambda b: b.map(X0 * X1, x(b), b.map(X0 + 1, b.constant(2))), ["map (mul 3 x0)"]
    ),
    "the largest of one is the first": (lambda b: b.reduce("argmax", b.reshape(x(b), (BATCH, 4, 1)), (2,)), ["map 0"]),
    "a broadcast is read at its source": (
        lambda b: b.map(X0 * X1, x(b), b.broadcast(b.variable("s"), ROW.shape)), ["map (mul x0 x1)"]
    ),
    "a broadcast of a constant is a constant": (
        lambda b: b.map(X0 * X1, x(b), b.broadcast(b.constant(2), ROW.shape)), ["map (mul 2 x0)"]
    ),
    "few values are computed before they are repeated": (
        lambda b: b.map(X0 * X1, x(b), b.map(tanh(X0), b.variable("s"), shape=ROW.shape)),
        ["map (tanh x0)", "map (mul x0 x1)"],
    ),
    "a column of ones is read at its source": (
        lambda b: b.map(X0 * X1, x(b), b.reshape(b.variable("v"), (1, 4))), ["map (mul x0 x1)"]
    ),
    "a slow term of few values is computed once for each": (
        lambda b: b.map(X0 * rsqrt(square(X1) + 1), x(b), b.reduce("sum", x(b), (0,))),
        ["reduce", "map (rsqrt (add (square x0) 1))", "map (mul x0 x1)"],
    ),
    "a slow term of leaves alone stays": (
        lambda b: b.map(X0 * rsqrt(X1), x(b), b.variable("v")), ["map (mul x0 (rsqrt x1))"]
    ),
    "a quick term of few values is not worth a map": (
        lambda b: b.map(X0 * (X1 + 1), x(b), b.reduce("sum", x(b), (0,))), ["reduce", "map (mul x0 (add x1 1))"]
    ),
    "a sum of multiples is a multiple of the sum": (
        lambda b: b.map(X0 + X1, b.reduce("sum", x(b), (1,)), b.reduce("sum", b.map(0.5 * X0, x(b)), (1,))),
        ["reduce", "map (mul 0.5 x0)", "map (add x0 x1)"],
    ),
    "stop_gradient is gone": (lambda b: b.add("stop_gradient", (x(b),)), []),
    "reshape of reshape": (
        lambda b: b.reshape(b.reshape(b.variable("w"), (16,)), (2, 8)), ["reshape"]
    ),
    "reshape there and back": (lambda b: b.reshape(b.reshape(b.variable("w"), (16,)), (4, 4)), []),
    "a slice of everything": (lambda b: b.slice(x(b), 1, 0, 4), []),
    "a slice of a slice": (lambda b: b.slice(b.slice(x(b), 1, 1, 4), 1, 1, 2), ["slice"]),
    "a concat of one": (lambda b: b.concat((x(b),), 1), []),
    "a sum over an axis of one": (lambda b: b.reduce("sum", b.slice(x(b), 1, 0, 1), (1,)), ["slice"]),
    "equal work is done once": (
        lambda b: b.map(X0 + X1, scaled(b, 2.0), b.map(2 * X0, x(b))), ["map (mul 2 x0)", "map (mul 2 x0)"]
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_rule(rule: str) -> None:
    make, expected = RULES[rule]
    assert simplified(make) == expected


def test_an_operand_that_the_formula_ignores_is_not_read() -> None:
    builder = Builder("predict", NAMES)
    builder.result("y", builder.map(X0 + 0 * X1, x(builder), builder.variable("v")))
    assert [node.op for node in simplify_graph(builder.build(), NAMES).nodes] == ["input"]


def test_axes_of_one_are_not_reduced() -> None:
    builder = Builder("predict", NAMES)
    builder.result("y", builder.reduce("max", builder.reshape(x(builder), (BATCH, 1, 4)), (1, 2)))
    (reduce,) = [n for n in simplify_graph(builder.build(), NAMES).nodes if n.op == "reduce"]
    assert reduce.attr("axes") == (2,)


def test_a_float32_constant_keeps_its_rounding_in_float64() -> None:
    builder = Builder("predict", NAMES)
    tenth = builder.constant(0.1, "float32")
    builder.result("y", builder.map(X0 + 0.0, tenth, dtype="float64"))
    results, _ = evaluate(simplify_graph(builder.build(), NAMES), {}, {}, 0, 1)
    assert results["y"] == np.float64(np.float32(0.1))


def test_dead_nodes_go_and_the_order_stays() -> None:
    builder = Builder("train_step", NAMES)
    builder.map(X0 + 1, x(builder))
    kept = builder.map(X0 + 2, x(builder))
    value = builder.variable("v")
    builder.result("y", kept)
    builder.update(("v",), (value,), (X0 * 2,))
    graph = remove_dead_nodes(builder.build())
    assert [node.op for node in graph.nodes] == ["input", "map", "variable"]
    verify_graph(graph, NAMES)


# --- random graphs --------------------------------------------------------------------------------------------------
FORMULAS: tuple[tuple[Expr, int], ...] = (
    (X0 + X1, 2), (X0 * X1, 2), (X0 - X1, 2), (tanh(X0), 1), (sigmoid(X0) * X1, 2), (0.5 * X0 + 0.25, 1),
    (where(X0 > 0, X0, 0.1 * X0), 1), (square(X0) * 0.1, 1), (maximum(X0, X1), 2), (X0 * 1, 1), (X0 + X1 * 0, 2),
    (const(0.5) * X0 + X1 * X2, 3), (X0 / (1 + square(X1)), 2), (-X0, 1), (X0 - tanh(X1) * sigmoid(X2), 3),
    (-0.5 * X0, 1), (0.5 * X0, 1),
)  # fmt: skip


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """A random program of float32[batch, 4] values with one scalar loss, which reads every kind of op."""
    b = Builder("train_step", NAMES)
    rows = [x(b), b.map(X0 * 1.5, x(b))]
    small = [b.variable("v"), b.variable("s"), b.constant(0.75), b.constant(1.0)]
    for _ in range(draw(st.integers(1, 12))):
        pick = lambda pool=rows: pool[draw(st.integers(0, len(pool) - 1))]  # noqa: E731
        match draw(st.integers(0, 8)):
            case 0:
                rows.append(b.matmul(pick(), b.variable("w"), transpose_b=draw(st.booleans())))
            case 1:
                formula, arity = FORMULAS[draw(st.integers(0, len(FORMULAS) - 1))]
                rows.append(b.map(formula, pick(), *(pick(rows + small) for _ in range(arity - 1))))
            case 2:
                cut = draw(st.integers(0, 4))
                source, other = pick(), pick()
                parts = [b.slice(n, 1, i, j) for n, i, j in ((source, 0, cut), (other, cut, 4)) if i < j]
                rows.append(b.concat(parts, 1))
            case 3:
                operator = draw(st.sampled_from(["sum", "max", "min"]))
                rows.append(b.map(X0 * 0.5 - X1 * 0.1, pick(), b.reduce(operator, pick(), (1,))))
            case 4:
                rows.append(b.reshape(b.reshape(pick(), (BATCH, 2, 2)), (BATCH, 4)))
            case 5:
                rows.append(b.broadcast(b.map(tanh(X0), pick(small)), ROW.shape))
            case 6:
                small.append(b.map(X0 * X1, pick(small), pick(small)))
            case 7:
                rows.append(b.add("stop_gradient", (pick(),)))
            case _:
                rows.append(b.map(X0 * 0.2, b.map(X0 * X1, pick(), b.reduce("sum", pick(), (0,)))))
    total = b.reduce("sum", b.map(square(X0) * 0.1, b.map(X0 + X1, rows[-1], rows[-2])), (0, 1), dtype="float64")
    b.result("loss", b.map(X0 / X1, b.reshape(total, ()), b.rows()))
    b.result("value", rows[-1])
    return b.build()


def values() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: np.array(0.5 * rng.normal(size=v.type.concrete(1)), v.type.dtype) for name, v in NAMES.items()}


FEEDS = {"x": np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)}


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_values_and_gradients_stay(graph: Graph) -> None:
    full = gradients_of(graph, NAMES, "loss", set(NAMES))
    simple = simplify_graph(full, NAMES)
    verify_graph(full, NAMES)
    verify_graph(simple, NAMES)
    expected, _ = evaluate(full, FEEDS, values(), 0, 3)
    found, _ = evaluate(simple, FEEDS, values(), 0, 3)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        scale = max(1.0, float(np.abs(value).max()))
        np.testing.assert_allclose(found[name], value, rtol=2e-4, atol=2e-5 * scale, err_msg=name)


@settings(max_examples=100, deadline=None)
@given(graphs())
def test_nothing_is_left_to_do(graph: Graph) -> None:
    simple = simplify_graph(graph, NAMES)
    assert remove_dead_nodes(simple) is simple
    assert len({(n.op, n.inputs, n.attrs) for n in simple.nodes}) == len(simple.nodes)
    assert len(simplify_graph(simple, NAMES).nodes) == len(simple.nodes)
    for node in simple.nodes:
        assert node.op != "stop_gradient"
        assert len(set(node.inputs)) == len(node.inputs) or node.op != "map"


@settings(max_examples=40, deadline=None)
@given(graphs())
def test_random_gradients_agree_with_finite_differences(graph: Graph) -> None:
    wide, by_name = in_float64(graph, tuple(NAMES.values()))
    full = simplify_graph(gradients_of(wide, by_name, "loss", {"v", "s"}), by_name)
    given_values = {name: value.astype(np.float64) for name, value in values().items()}
    feeds = {"x": FEEDS["x"].astype(np.float64)}
    results, _ = evaluate(full, feeds, given_values, 0, 3)
    for name in ("v", "s"):
        if f"gradient.{name}" in results and "stop_gradient" not in {node.op for node in graph.nodes}:
            expected = numeric_gradient(wide, "loss", name, feeds, given_values, 3)
            scale = max(1.0, float(np.abs(expected).max()))
            np.testing.assert_allclose(results[f"gradient.{name}"], expected, rtol=1e-4, atol=1e-5 * scale)
