"""Constant expressions: `28*28`, `1/255`, `2**10`, of numbers and params.

Whole numbers stay whole; `/` gives a float.
"""

from __future__ import annotations

from math import isfinite
from typing import Final

from nnc.grammar import syntax
from nnc.grammar.diagnostics import NncError
from nnc.grammar.source import Span

from ..report import fault
from .scope import Constant, Deferred, Scope, undefined, what

Scalar = bool | int | float | str | None

LARGEST: Final = 2**63 - 1
DEEPEST: Final = 100  # brackets within brackets
_WORDS: Final[dict[str, Scalar]] = {"true": True, "false": False, "none": None}


def evaluate(expression: syntax.Expression, scope: Scope, depth: int = 0) -> Scalar:
    """The value of a constant expression.

    Raises: E0301 for an unknown name, E0410 for what is no constant, E0411 for arithmetic that has no result,
    E0314 for too many brackets.
    """
    if depth > DEEPEST:
        raise too_deep(expression.span)
    chain: list[syntax.Binary] = []
    while isinstance(expression, syntax.Binary):
        chain.append(expression)
        expression = expression.left
    value = _single(expression, scope, depth)
    for binary in reversed(chain):
        value = _combine(binary, value, evaluate(binary.right, scope, depth + 1))
    return value


def too_deep(span: Span) -> NncError:
    """The fault of brackets nested too deeply, E0314."""
    return fault(
        "E0314",
        f"brackets are nested more than {DEEPEST} deep here",
        span,
        helps=["give an inner part a name of its own"],
    )


def _single(expression: syntax.Expression, scope: Scope, depth: int) -> Scalar:
    match expression:
        case syntax.Number():
            return _checked(expression.value, expression.span)
        case syntax.String():
            return expression.value
        case syntax.Name():
            return _named(expression, scope, depth)
        case syntax.Unary():
            value = _number(evaluate(expression.operand, scope, depth + 1), expression.operand.span)
            return -value if expression.operator == "-" else value
        case _:
            raise fault("E0410", "this is no constant", expression.span, "expects a number or a param")


def _named(name: syntax.Name, scope: Scope, depth: int) -> Scalar:
    if name.name in _WORDS:
        return _WORDS[name.name]
    match scope.use(name.name):
        case Constant(value=value):
            assert value is None or isinstance(value, bool | int | float | str)
            return value
        case Deferred(expression=expression, scope=outer):
            return evaluate(expression, outer, depth + 1)
        case None:
            raise undefined(name, scope, "param", scope.candidates(Constant, Deferred))
        case entity:
            raise fault(
                "E0410",
                f"`{name.name}` is a {what(entity)}, not a constant",
                name.span,
                "expects a number or a param",
                labels=[(entity.span, "defined here")],
            )


def _number(value: Scalar, span: Span) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise fault("E0410", f"{text_of(value)} is no number", span, "expects a number")
    return value


def _combine(binary: syntax.Binary, left: Scalar, right: Scalar) -> int | float:
    a, b = _number(left, binary.left.span), _number(right, binary.right.span)
    try:
        match binary.operator:
            case "+":
                value = a + b
            case "-":
                value = a - b
            case "*":
                value = a * b
            case "/":
                value = a / b
            case "//":
                value = a // b
            case _:
                value = _power(a, b)
    except ZeroDivisionError:
        raise fault("E0411", "division by zero", binary.span, f"{text_of(a)} {binary.operator} {text_of(b)}") from None
    except OverflowError:
        raise fault("E0411", "this number is too large", binary.span) from None
    return _checked(value, binary.span)


def _power(base: int | float, exponent: int | float) -> int | float:
    if isinstance(base, int) and isinstance(exponent, int) and exponent >= 0:
        if base.bit_length() > 1 and base.bit_length() * exponent > 128:  # never computed, only refused
            raise OverflowError
        return int(base**exponent) if abs(base) > 1 else int(base ** (2 - exponent % 2) if exponent else 1)
    value = pow(float(base), float(exponent))
    if isinstance(value, complex):
        raise OverflowError
    return float(value)


def _checked(value: int | float, span: Span) -> int | float:
    if isinstance(value, int) and abs(value) > LARGEST:
        raise fault("E0411", "this number is too large", span, f"expects at most {LARGEST}")
    if isinstance(value, float) and not isfinite(value):
        raise fault("E0411", "this number is too large", span, "expects a finite number")
    return value


def text_of(value: object) -> str:
    """A value as the user would write it."""
    match value:
        case None:
            return "`none`"
        case bool():
            return "`true`" if value else "`false`"
        case str():
            return f'"{value}"'
        case tuple():
            return f"({', '.join(map(text_of, value))})"
        case _:
            return str(value)
