"""Simplification of scalar expressions.

Takes and gives `Expr`; pure, memoised on the interned terms and iterative over the DAG. Formulas are read as statements
about real numbers: `x - x` becomes 0, `0 * x` becomes 0, `log(exp(x))` becomes x, and constants are gathered, although
NaN, infinity or the last bit may say otherwise. Comparisons of a term with itself are left alone, so `x != x` still
finds a NaN; constants are folded in float64, and only to finite numbers.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Final

from .expr import Expr, Operand, apply, const, walk
from .memo import table

ZERO: Final = const(0.0)
ONE: Final = const(1.0)

_simplified: dict[Expr, Expr] = table({})


def simplify(expr: Expr) -> Expr:
    """An equal expression (over the real numbers), constants gathered; simplifying again changes nothing."""
    if expr not in _simplified:
        for term in walk(expr):
            if term not in _simplified:
                _simplified[term] = build(term.op, *(_simplified[a] for a in term.args)) if term.args else term
        _simplified[_simplified[expr]] = _simplified[expr]
    return _simplified[expr]


def build(op: str, *operands: Operand) -> Expr:
    """`apply(op, *operands)`, simplified; the operands must be simplified already."""
    args = tuple(a if isinstance(a, Expr) else const(a) for a in operands)
    folded = _fold(op, args)
    if folded is None and op in _RULES:
        folded = _RULES[op](*args)
    return apply(op, *args) if folded is None else folded


def number(term: Expr) -> float:
    """The value of a constant."""
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
    factor = number(c)
    if factor == 0:
        return ZERO
    if factor == 1:
        return x
    if factor == -1:
        return build("neg", x)
    if x.op == "neg":
        return build("mul", -factor, x.args[0])
    if x.op in ("mul", "div") and x.args[0].op == "const":
        return build(x.op, factor * number(x.args[0]), x.args[1])
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
    if b.op == "const" and number(b) != 0:
        if math.frexp(abs(number(b)))[0] == 0.5:  # a power of two: the reciprocal is exact
            return build("mul", 1 / number(b), a)
        if a.op == "mul" and a.args[0].op == "const":
            return build("mul", number(a.args[0]) / number(b), a.args[1])
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
        return build(a.op, -number(a.args[0]), a.args[1])
    if a.op == "where" and a.args[1].op == a.args[2].op == "const":
        return build("where", a.args[0], build("neg", a.args[1]), build("neg", a.args[2]))
    return None


def _pow(a: Expr, b: Expr) -> Expr | None:
    if _is(a, 1) or _is(b, 0):
        return ONE
    if b.op != "const":
        return None
    match number(b):
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
