"""Scalar operators in terms of those that are NumPy ufuncs: the formulas of `compiler/ops/scalar.py` as expressions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from nnc.compiler.expr import Expr, absolute, apply, const, exp, log1p, maximum, minimum, sqrt, walk, where
from nnc.compiler.ops.scalar import ERF_LARGE, ERF_MIDDLE, ERF_SMALL, ERF_SPLITS, INVERSE_SQRT_PI, SCALAR

UFUNCS: Final[dict[str, np.ufunc]] = {name: f for name, f in SCALAR.items() if isinstance(f, np.ufunc)}


def _sigmoid(x: Expr) -> Expr:
    small = exp(-absolute(x))
    return where(x >= 0, 1, small) / (1 + small)


def _softplus(x: Expr) -> Expr:
    return maximum(x, 0) + log1p(exp(-absolute(x)))


def _rational(coefficients: tuple[Sequence[float], Sequence[float]], x: Expr) -> Expr:
    parts = []
    for polynomial in coefficients:
        value = const(polynomial[0])
        for coefficient in polynomial[1:]:
            value = value * x + coefficient
        parts.append(value)
    return parts[0] / parts[1]


def _erf(x: Expr) -> Expr:
    """Cody's three ranges, each evaluated with its argument bounded to it, as `compiler.ops.scalar.erf` does."""
    split, end = ERF_SPLITS
    size = absolute(x)
    inner = maximum(minimum(x, split), -split)
    small = inner * _rational(ERF_SMALL, inner * inner)
    mid = maximum(minimum(size, end), split)
    middle = _rational(ERF_MIDDLE, mid) * exp(-mid * mid)
    outer = maximum(minimum(size, 30), end)
    inverse = 1 / (outer * outer)
    large = (INVERSE_SQRT_PI - inverse * _rational(ERF_LARGE, inverse)) / outer * exp(-outer * outer)
    tail = 1 - where(size <= end, middle, large)
    return where(size <= split, small, where(x < 0, -tail, tail))


_EXPANSIONS: Final[dict[str, Callable[[Expr], Expr]]] = {
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "erf": _erf,
    "rsqrt": lambda x: 1 / sqrt(x),
}


def expand(expr: Expr) -> Expr:
    """`expr` with every operator that is no ufunc written out; `where` stays."""
    done: dict[Expr, Expr] = {}
    for term in walk(expr):
        args = tuple(done[arg] for arg in term.args)
        if term.op in _EXPANSIONS:
            done[term] = _EXPANSIONS[term.op](*args)
        else:
            done[term] = apply(term.op, *args) if args else term
    return done[expr]
