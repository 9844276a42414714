"""Symbolic differentiation and simplification of scalar expressions.

Takes and gives `Expr`; every function is pure, memoised on the interned terms and iterative over the DAG.

Formulas are read as statements about real numbers: `x - x` becomes 0, `0 * x` becomes 0, `log(exp(x))` becomes x, and
constants are gathered, although NaN, infinity or the last bit may say otherwise. Comparisons of a term with itself are
left alone, so `x != x` still finds a NaN.

At a kink the derivative is one that Keras uses: 0 for `sign` and so for `abs` at 0; 0 for a comparison everywhere (so
relu, written with `where(x > 0, ...)`, has 0 at 0, and leaky_relu, written with `x >= 0`, has 1); the mean of both
where `maximum` or `minimum` of two terms tie, as on JAX; the constant's 0 where a term and a constant tie, as in JAX's
relu6 (its clip takes half there, TensorFlow's all).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Final

from .expr import PREDICATES, Expr, Operand, apply, const, substitute, var, walk

ZERO: Final = const(0.0)
ONE: Final = const(1.0)

_derivatives: dict[tuple[Expr, str], Expr] = {}
_simplified: dict[Expr, Expr] = {}


def differentiate(expr: Expr, name: str) -> Expr:
    """The simplified derivative of `expr` with respect to its variable `name`."""
    if (expr, name) not in _derivatives:
        for term in walk(expr):
            if (term, name) not in _derivatives:
                _derivatives[term, name] = _derivative(term, name)
    return _derivatives[expr, name]


def simplify(expr: Expr) -> Expr:
    """An equal expression (over the real numbers), constants gathered; simplifying again changes nothing."""
    if expr not in _simplified:
        for term in walk(expr):
            if term not in _simplified:
                _simplified[term] = build(term.op, *(_simplified[a] for a in term.args)) if term.args else term
        _simplified[_simplified[expr]] = _simplified[expr]
    return _simplified[expr]


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
        return max(_number(term.args[0]), 0.0)
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


# --- simplification: one level, given simplified arguments -------------------------------------------------------


def build(op: str, *operands: Operand) -> Expr:
    """`apply(op, *operands)`, simplified; the operands must be simplified already."""
    args = tuple(a if isinstance(a, Expr) else const(a) for a in operands)
    folded = _fold(op, args)
    if folded is None and op in _RULES:
        folded = _RULES[op](*args)
    return apply(op, *args) if folded is None else folded


def _number(term: Expr) -> float:
    assert isinstance(term.value, float)
    return term.value


def _is(term: Expr, value: float) -> bool:
    return term.op == "const" and term.value == value


def _rsqrt(x: float) -> float:
    return 1 / math.sqrt(x)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


_FOLD: Final[dict[str, Callable[..., float]]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv, "pow": math.pow,
    "maximum": max, "minimum": min,
    "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge, "eq": operator.eq, "ne": operator.ne,
    "and": lambda a, b: bool(a) and bool(b), "or": lambda a, b: bool(a) or bool(b), "not": operator.not_,
    "neg": operator.neg, "abs": abs, "sign": lambda a: (a > 0) - (a < 0), "floor": math.floor,
    "sqrt": math.sqrt, "rsqrt": _rsqrt, "square": lambda a: a * a,
    "exp": math.exp, "expm1": math.expm1, "log": math.log, "log1p": math.log1p, "sin": math.sin, "cos": math.cos,
    "tanh": math.tanh, "sigmoid": _sigmoid, "softplus": _softplus, "erf": math.erf,
}  # fmt: skip


def _fold(op: str, args: tuple[Expr, ...]) -> Expr | None:
    """The constant that `op` makes of constants, where it is a finite number."""
    if op == "where" or any(a.op != "const" for a in args):
        return None
    try:
        value = float(_FOLD[op](*(a.value for a in args)))
    except (ValueError, OverflowError, ZeroDivisionError):
        return None
    return const(value) if math.isfinite(value) else None


def _add(a: Expr, b: Expr) -> Expr | None:
    if _is(a, 0):
        return b
    if _is(b, 0):
        return a
    if b.op == "neg":
        return build("sub", a, b.args[0])
    if a.op == "neg":
        return build("sub", b, a.args[0])
    return build("mul", 2, a) if a is b else None


def _sub(a: Expr, b: Expr) -> Expr | None:
    if a is b:
        return ZERO
    if _is(b, 0):
        return a
    if _is(a, 0):
        return build("neg", b)
    return build("add", a, b.args[0]) if b.op == "neg" else None


def _mul(a: Expr, b: Expr) -> Expr | None:
    if b.op == "const" and a.op != "const":
        return build("mul", b, a)
    if a.op == "const":
        return _scale(a, b)
    if a is b:
        return build("square", a)
    if a.op == "neg":
        return build("neg", build("mul", a.args[0], b))
    if b.op == "neg":
        return build("neg", build("mul", a, b.args[0]))
    if b.op == "mul" and b.args[0].op == "const":
        return build("mul", b.args[0], build("mul", a, b.args[1]))
    if a.op == "mul" and a.args[0].op == "const":
        return build("mul", a.args[0], build("mul", a.args[1], b))
    if b.op == "div" and _is(b.args[0], 1):
        return build("div", a, b.args[1])
    if a.op == "div" and _is(a.args[0], 1):
        return build("div", b, a.args[1])
    masked = _masked(a, b)
    return _masked(b, a) if masked is None else masked


def _scale(c: Expr, x: Expr) -> Expr | None:
    factor = _number(c)
    if factor == 0:
        return ZERO
    if factor == 1:
        return x
    if factor == -1:
        return build("neg", x)
    if x.op == "neg":
        return build("mul", -factor, x.args[0])
    if x.op in ("mul", "div") and x.args[0].op == "const":
        return build(x.op, factor * _number(x.args[0]), x.args[1])
    if x.op == "where" and x.args[1].op == x.args[2].op == "const":
        return build("where", x.args[0], *(build("mul", c, branch) for branch in x.args[1:]))
    return None


def _masked(mask: Expr, x: Expr) -> Expr | None:
    """`where(p, 1, 0) * x` as `where(p, x, 0)`: a choice, not a product."""
    if mask.op != "where" or not any(_is(m, 0) or _is(m, 1) for m in mask.args[1:]):
        return None
    return build("where", mask.args[0], build("mul", mask.args[1], x), build("mul", mask.args[2], x))


def _div(a: Expr, b: Expr) -> Expr | None:
    if _is(a, 0):
        return ZERO
    if b.op == "const" and _number(b) != 0:
        if math.frexp(abs(_number(b)))[0] == 0.5:  # a power of two: the reciprocal is exact
            return build("mul", 1 / _number(b), a)
        if a.op == "mul" and a.args[0].op == "const":
            return build("mul", _number(a.args[0]) / _number(b), a.args[1])
    if a.op == "neg":
        return build("neg", build("div", a.args[0], b))
    if b.op == "neg":
        return build("neg", build("div", a, b.args[0]))
    if a.op == "where" and (_is(a.args[1], 0) or _is(a.args[2], 0)):
        return build("where", a.args[0], build("div", a.args[1], b), build("div", a.args[2], b))
    return None


def _neg(a: Expr) -> Expr | None:
    if a.op == "neg":
        return a.args[0]
    if a.op == "sub":
        return build("sub", a.args[1], a.args[0])
    if a.op in ("mul", "div") and a.args[0].op == "const":
        return build(a.op, -_number(a.args[0]), a.args[1])
    if a.op == "where" and a.args[1].op == a.args[2].op == "const":
        return build("where", a.args[0], build("neg", a.args[1]), build("neg", a.args[2]))
    return None


def _pow(a: Expr, b: Expr) -> Expr | None:
    if _is(a, 1) or _is(b, 0):
        return ONE
    if b.op != "const":
        return None
    match _number(b):
        case 1.0:
            return a
        case 2.0:
            return build("square", a)
        case 3.0:
            return build("mul", a, build("square", a))
        case 0.5:
            return build("sqrt", a)
        case -0.5:
            return build("rsqrt", a)
        case -1.0:
            return build("div", 1, a)
    return None


def _where(p: Expr, a: Expr, b: Expr) -> Expr | None:
    if p.op == "const":
        return a if p.value else b
    if a is b:
        return a
    if p.op == "not":
        return build("where", p.args[0], b, a)
    if a.op == "where" and a.args[0] is p:
        return build("where", p, a.args[1], b)
    if b.op == "where" and b.args[0] is p:
        return build("where", p, a, b.args[2])
    return None


def _bounded(op: str) -> Callable[[Expr, Expr], Expr | None]:
    def rule(a: Expr, b: Expr) -> Expr | None:
        if a is b:
            return a
        if a.op == op and a.args[1].op == b.op == "const":
            return build(op, a.args[0], build(op, a.args[1], b))
        return None

    return rule


def _logical(neutral: bool) -> Callable[[Expr, Expr], Expr | None]:
    def rule(a: Expr, b: Expr) -> Expr | None:
        for one, other in ((a, b), (b, a)):
            if one.op == "const":
                return other if bool(one.value) is neutral else const(not neutral)
        return a if a is b else None

    return rule


def _inverse(*inverses: str) -> Callable[[Expr], Expr | None]:
    return lambda a: a.args[0] if a.op in inverses else None


_RULES: Final[dict[str, Callable[..., Expr | None]]] = {
    "add": _add, "sub": _sub, "mul": _mul, "div": _div, "neg": _neg, "pow": _pow, "where": _where,
    "maximum": _bounded("maximum"), "minimum": _bounded("minimum"),
    "and": _logical(True), "or": _logical(False), "not": _inverse("not"),
    "exp": _inverse("log"), "log": _inverse("exp"), "expm1": _inverse("log1p"), "log1p": _inverse("expm1"),
    "abs": lambda a: build("abs", a.args[0]) if a.op == "neg" else a if a.op in ("abs", "square") else None,
    "square": lambda a: build("square", a.args[0]) if a.op in ("neg", "abs") else a.args[0] if a.op == "sqrt" else None,
    "sqrt": lambda a: build("abs", a.args[0]) if a.op == "square" else None,
    "cos": lambda a: build("cos", a.args[0]) if a.op == "neg" else None,
}  # fmt: skip
