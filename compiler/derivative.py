"""Symbolic differentiation of scalar expressions.

Takes and gives `Expr`; every function is pure, memoised on the interned terms and iterative over the DAG. What it gives
is simplified, which reads formulas as statements about real numbers: see `algebra`.

At a kink the derivative is one that Keras uses: 0 for `sign` and so for `abs` at 0; 0 for a comparison everywhere (so
relu, written with `where(x > 0, ...)`, has 0 at 0, and leaky_relu, written with `x >= 0`, has 1); the mean of both
where `maximum` or `minimum` of two terms tie, as on JAX; the constant's 0 where a term and a constant tie, as in JAX's
relu6 (its clip takes half there, TensorFlow's all).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from .algebra import ONE, ZERO, build, number, simplify
from .expr import PREDICATES, Expr, apply, const, substitute, var, walk
from .memo import table

__all__ = ["differentiate", "in_terms_of_output", "simplify"]

_derivatives: dict[tuple[Expr, str], Expr] = table({})


def differentiate(expr: Expr, name: str) -> Expr:
    """The simplified derivative of `expr` with respect to its variable `name`."""
    if (expr, name) not in _derivatives:
        for term in walk(expr):
            if (term, name) not in _derivatives:
                _derivatives[term, name] = _derivative(term, name)
    return _derivatives[expr, name]


def in_terms_of_output(derivative: Expr, expr: Expr, output_name: str) -> Expr:
    """`derivative` (of `expr`) with what can be read off the value of `expr` written with the variable `output_name`.

    Beside `expr` itself that is: which side of a constant `maximum` or `minimum` took, the branch taken by
    `where(x > 0, ...)` whose two values have the signs of their branches (relu, leaky_relu, elu, selu), the exponential
    of elu's lower branch, and softplus's sigmoid.
    Ensures: equal to `derivative` wherever `output_name` is the value of `expr`. Variables may be left over.
    """
    output, expr = var(output_name), simplify(expr)
    if expr.op == "const":
        return derivative
    replacements = {expr: output, **_readable_from_output(expr, output)}
    return simplify(substitute(simplify(derivative), replacements))


def _readable_from_output(expr: Expr, output: Expr) -> dict[Expr, Expr]:
    match expr.op:
        case "maximum" | "minimum":
            a, b = expr.args
            comparison = "gt" if expr.op == "maximum" else "lt"
            return {apply(comparison, a, b): apply(comparison, output, b)} if b.op == "const" else {}
        case "softplus":
            return {build("sigmoid", expr.args[0]): build("neg", build("expm1", build("neg", output)))}
        case "where":
            condition, upper, lower = expr.args
            if condition.op not in ("gt", "ge") or condition.args[1] is not ZERO:
                return {}
            x = condition.args[0]
            lower_slope = _positive_multiple(lower, apply("expm1", x))
            lower_fits = (condition.op == "gt" and lower is ZERO) or lower_slope or _positive_multiple(lower, x)
            if not (_positive_multiple(upper, x) and lower_fits):
                return {}
            found = {condition: apply(condition.op, output, ZERO)}
            if lower_slope:
                found[build("mul", const(lower_slope), build("exp", x))] = build("add", output, const(lower_slope))
            return found
    return {}


def _positive_multiple(term: Expr, of: Expr) -> float:
    """c where `term` is c times `of` and c > 0, else 0."""
    if term is of:
        return 1.0
    if term.op == "mul" and term.args[1] is of and term.args[0].op == "const":
        return max(number(term.args[0]), 0.0)
    return 0.0


# --- derivative rules: one level, given the derivatives of the arguments ----------------------------------------


def _derivative(term: Expr, name: str) -> Expr:
    if term.op == "var":
        return ONE if term.value == name else ZERO
    if term.op in PREDICATES:
        return ZERO
    inner = tuple(_derivatives[a, name] for a in term.args)
    if all(d is ZERO for d in inner):
        return ZERO
    y = simplify(term)
    args = tuple(simplify(a) for a in term.args)
    match len(args):
        case 1:
            return build("mul", inner[0], _UNARY[term.op](args[0], y))
        case 2:
            return _BINARY[term.op](args[0], args[1], inner[0], inner[1], y)
        case _:
            return build("where", args[0], inner[1], inner[2])


_UNARY: Final[dict[str, Callable[[Expr, Expr], Expr]]] = {
    "neg": lambda a, y: const(-1),
    "abs": lambda a, y: build("sign", a),
    "sign": lambda a, y: ZERO,
    "floor": lambda a, y: ZERO,
    "sqrt": lambda a, y: build("div", 0.5, y),
    "rsqrt": lambda a, y: build("mul", -0.5, build("mul", y, build("square", y))),
    "square": lambda a, y: build("mul", 2, a),
    "exp": lambda a, y: y,
    "expm1": lambda a, y: build("exp", a),
    "log": lambda a, y: build("div", 1, a),
    "log1p": lambda a, y: build("div", 1, build("add", 1, a)),
    "sin": lambda a, y: build("cos", a),
    "cos": lambda a, y: build("neg", build("sin", a)),
    "tanh": lambda a, y: build("sub", 1, build("square", y)),
    "sigmoid": lambda a, y: build("mul", y, build("sub", 1, y)),
    "softplus": lambda a, y: build("sigmoid", a),
    "erf": lambda a, y: build("mul", 2 / math.sqrt(math.pi), build("exp", build("neg", build("square", a)))),
}


def _extremum(comparison: str) -> Callable[[Expr, Expr, Expr, Expr, Expr], Expr]:
    def rule(a: Expr, b: Expr, da: Expr, db: Expr, y: Expr) -> Expr:
        if "const" in (a.op, b.op):
            return build("where", build(comparison, a, b), da, db) if b.op == "const" else rule(b, a, db, da, y)
        tie = build("mul", 0.5, build("add", da, db))
        return build("where", build(comparison, a, b), da, build("where", build("eq", a, b), tie, db))

    return rule


def _power(a: Expr, b: Expr, da: Expr, db: Expr, y: Expr) -> Expr:
    by_base = build("mul", build("mul", b, build("pow", a, build("sub", b, 1))), da)
    if db is ZERO:
        return by_base
    logarithm = build("log", a if a.op == "const" else build("where", build("eq", a, 0), ONE, a))
    return build("add", by_base, build("mul", build("mul", y, logarithm), db))


_BINARY: Final[dict[str, Callable[[Expr, Expr, Expr, Expr, Expr], Expr]]] = {
    "add": lambda a, b, da, db, y: build("add", da, db),
    "sub": lambda a, b, da, db, y: build("sub", da, db),
    "mul": lambda a, b, da, db, y: build("add", build("mul", da, b), build("mul", a, db)),
    "div": lambda a, b, da, db, y: build("div", build("sub", da, build("mul", y, db)), b),
    "pow": _power,
    "maximum": _extremum("gt"),
    "minimum": _extremum("lt"),
}
