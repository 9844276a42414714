"""compiler/derivative.py against finite differences, and its simplifications against plain evaluation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnc.compiler import expr as e
from nnc.compiler.derivative import differentiate, in_terms_of_output, simplify
from nnc.compiler.expr import OPERATORS, PREDICATES, Expr, apply, const, var, variables, walk, where
from nnc.compiler.ops.scalar import SCALAR, erf, evaluate

X, Y, G = var("x0"), var("x1"), var("g")

# where a formula is smooth enough to be compared with differences
DOMAIN = {"sqrt": (0.2, 3), "rsqrt": (0.2, 3), "log": (0.2, 3), "log1p": (-0.7, 3), "pow": (0.2, 3), "div": (0.3, 3)}


def value(expr: Expr, **bindings: object) -> np.ndarray:
    return evaluate(expr, {name: np.asarray(v, np.float64) for name, v in bindings.items()}, np.float64)


def difference(expr: Expr, name: str, bindings: dict[str, np.ndarray], step: float = 1e-6) -> np.ndarray:
    up, down = ({**bindings, name: bindings[name] + h} for h in (step, -step))
    return np.asarray(value(expr, **up) * 1.0 - value(expr, **down) * 1.0) / (2 * step)


@pytest.mark.parametrize("op", sorted(OPERATORS))
def test_derivative_of_every_operator_follows_finite_differences(op: str) -> None:
    random = np.random.default_rng(1)
    low, high = DOMAIN.get(op, (-2.5, 2.5))
    names = [f"x{k}" for k in range(OPERATORS[op])]
    bindings = {name: random.uniform(low, high, 200) for name in names}
    args = [var(name) for name in names]
    if op == "where":
        args[0] = var("x0") > 0
    expr = apply(op, *args)
    for name in names:
        slope = np.broadcast_to(value(differentiate(expr, name), **bindings), 200)
        if op in PREDICATES or op in ("floor", "sign"):
            assert not slope.any()
            continue
        away_from_kinks = np.abs(bindings[name]) > 1e-3
        expected = difference(expr, name, bindings)
        np.testing.assert_allclose(slope[away_from_kinks], expected[away_from_kinks], rtol=1e-6, atol=1e-7)


SMOOTH = ("neg", "square", "sin", "cos", "tanh", "sigmoid", "softplus", "erf", "abs")
LEAVES = st.one_of(st.sampled_from([X, Y]), st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0]).map(const))


def _grown(terms: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    return st.one_of(
        st.builds(apply, st.sampled_from(SMOOTH), terms),
        st.builds(apply, st.sampled_from(("add", "sub", "mul", "maximum", "minimum")), terms, terms),
        st.builds(lambda a, b: a / (1 + e.square(b)), terms, terms),
        st.builds(lambda a: e.exp(e.minimum(a, 2)), terms),
        st.builds(lambda a: e.log(1 + e.square(a)), terms),
        st.builds(lambda a, n: a ** const(n), terms, st.sampled_from([0, 1, 2, 3])),
        st.builds(lambda p, a, b: where(p > 0.3, a, b), terms, terms, terms),
        st.builds(lambda p, a, b: where(p <= 0.3, a, b), terms, terms, terms),
    )


EXPRESSIONS = st.recursive(LEAVES, _grown, max_leaves=12)
POINTS = {"x0": np.array([-1.7, -0.61, 0.13, 0.77, 1.9]), "x1": np.array([0.87, -1.31, 0.41, -0.23, 1.1])}


def _kinks_nearby(expr: Expr) -> np.ndarray:
    """Where some branch or kink of `expr` lies within reach of the differences: nothing can be said there."""
    near = np.zeros(5, bool)
    for term in walk(expr):
        if term.op in ("maximum", "minimum", "gt", "le", "abs"):
            gap = value(term.args[0], **POINTS) - (value(term.args[1], **POINTS) if len(term.args) > 1 else 0)
            near |= np.abs(np.broadcast_to(gap, 5)) < 1e-3
    return near


@given(EXPRESSIONS)
@settings(max_examples=300, deadline=None)
def test_derivative_of_random_expressions_follows_finite_differences(expr: Expr) -> None:
    usable = ~_kinks_nearby(expr)
    for name in POINTS:
        slope = np.broadcast_to(value(differentiate(expr, name), **POINTS), 5)[usable]
        expected = np.broadcast_to(difference(expr, name, POINTS), 5)[usable]
        scale = 1 + np.abs(np.broadcast_to(value(expr, **POINTS), 5)[usable]) + np.abs(expected)
        np.testing.assert_array_less(np.abs(slope - expected), 1e-4 * scale)


@given(EXPRESSIONS)
@settings(max_examples=300, deadline=None)
def test_simplify_keeps_values_and_is_idempotent(expr: Expr) -> None:
    simple = simplify(expr)
    assert simplify(simple) is simple
    assert set(variables(simple)) <= set(variables(expr))
    before, after = (np.broadcast_to(value(term, **POINTS) * 1.0, 5) for term in (expr, simple))
    scale = 1 + max((np.abs(value(t, **POINTS) * 1.0).max() for t in walk(expr)), default=0)
    np.testing.assert_allclose(after, before, rtol=1e-9, atol=1e-12 * scale)


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (X + 0, "x0"),
        (X - X, "0"),
        (0 * X, "0"),
        (1 * X, "x0"),
        (X / 1, "x0"),
        (apply("neg", -X), "x0"),
        (X * X, "(square x0)"),
        (X**2, "(square x0)"),
        (X**0.5, "(sqrt x0)"),
        (X**-1, "(div 1 x0)"),
        (2 * (3 * X), "(mul 6 x0)"),
        (X / 4, "(mul 0.25 x0)"),
        (X + -Y, "(sub x0 x1)"),
        (e.log(e.exp(X)), "x0"),
        (where(X > 0, Y, Y), "x1"),
        (where(const(1) > 0, X, Y), "x0"),
        (where(e.logical_not(X > 0), X, Y), "(where (gt x0 0) x1 x0)"),
        (where(X > 0, 1, 0) * G, "(where (gt x0 0) g 0)"),
        (e.sqrt(e.square(X)), "(abs x0)"),
        (const(2) * 3 + 4, "10"),
        (const(1) / 0, "(div 1 0)"),
        (e.not_equal(X, X), "(ne x0 x0)"),
    ],
)
def test_simplify(expr: Expr, text: str) -> None:
    assert str(simplify(expr)) == text


@pytest.mark.parametrize(
    ("expr", "at", "slope"),
    [
        (where(X > 0, X, 0), 0, 0),
        (e.absolute(X), 0, 0),
        (e.maximum(X, 0), 0, 0),
        (e.minimum(6, X), 6, 0),
        (e.maximum(X, Y), 1, 0.5),
        (e.softplus(X), 0, 0.5),
        (e.softplus(X), 1e4, 1),
        (e.softplus(X), -1e4, 0),
        (e.sigmoid(X), -1e4, 0),
        (X**Y, 0, 1),
    ],
)
def test_derivative_at_kinks_and_extremes(expr: Expr, at: float, slope: float) -> None:
    assert value(differentiate(expr, "x0"), x0=at, x1=1) == slope


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (where(X > 0, X, 0), "(where (gt y 0) 1 0)"),
        (where(X > 0, X, 0.2 * X), "(where (gt y 0) 1 0.2)"),
        (where(X >= 0, X, 0.2 * X), "(where (ge y 0) 1 0.2)"),
        (where(X >= 0, X, 0), "(where (ge x0 0) 1 0)"),
        (where(X > 0, X, 2.0 * e.expm1(X)), "(where (gt y 0) 1 (add y 2))"),
        (e.maximum(X, 3), "(where (gt y 3) 1 0)"),
        (e.sigmoid(X), "(mul y (sub 1 y))"),
        (e.tanh(X), "(sub 1 (square y))"),
        (e.exp(X), "y"),
        (e.softplus(X), "(neg (expm1 (neg y)))"),
        (where(X > 0, -X, X), "(where (gt x0 0) -1 1)"),
    ],
)
def test_derivative_in_terms_of_the_output(expr: Expr, text: str) -> None:
    derivative = in_terms_of_output(differentiate(expr, "x0"), expr, "y")
    assert str(derivative) == text
    points = np.linspace(-4, 4, 81)
    direct = value(differentiate(expr, "x0"), x0=points)
    np.testing.assert_allclose(value(derivative, x0=points, y=value(expr, x0=points)), direct, atol=1e-12)


def test_a_deep_expression_is_differentiated_without_recursion() -> None:
    expr: Expr = X
    for _ in range(5000):
        expr = e.sin(expr)
    simplify(expr)
    points = np.array([0.3])
    expected = difference(expr, "x0", {"x0": points})
    np.testing.assert_allclose(value(differentiate(expr, "x0"), x0=points), expected, rtol=1e-5)


# --- ops/scalar.py ----------------------------------------------------------------------------------------------


def test_every_operator_has_a_meaning() -> None:
    assert set(SCALAR) == set(OPERATORS)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 3e-16), (np.float32, 2e-7)])
def test_erf(dtype: type, tolerance: float) -> None:
    points = np.concatenate([np.linspace(-7, 7, 20001), [0.46875, -4.0, 1e-300, 40, np.inf, -np.inf]]).astype(dtype)
    expected = np.array([math.erf(x) for x in points])
    found = erf(points)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=2 * tolerance, atol=0)
    assert np.isnan(erf(np.array([np.nan], dtype)))


@pytest.mark.parametrize("x", [-1e4, -800.0, -30.0, -1.0, 0.0, 1.0, 30.0, 800.0, 1e4])
def test_sigmoid_and_softplus_are_stable(x: float) -> None:
    sigmoid, softplus = float(value(e.sigmoid(X), x0=x)), float(value(e.softplus(X), x0=x))
    assert sigmoid == pytest.approx(math.exp(x) / (1 + math.exp(x)) if x < 700 else 1, rel=1e-14)
    assert softplus == pytest.approx(math.log1p(math.exp(x)) if x < 700 else x, rel=1e-14)


def test_truths_count_as_numbers_in_arithmetic() -> None:
    assert value((X > 0) + (Y > 0), x0=[1, 1, -1], x1=[1, -1, -1]).tolist() == [2, 1, 0]
    assert value(e.logical_and(X > 0, Y > 0), x0=[1, 1], x1=[1, -1]).dtype == bool
