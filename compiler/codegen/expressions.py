"""Scalar expressions as C over vectors: arithmetic is infix, all else a function of one of the headers.

A value is a C name (or expression) and a dtype; bool is a mask, 0 or -1 in each lane.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf, isnan
from typing import Final

from ..expr import OPERATORS, PREDICATES, Expr, apply, walk
from ..memo import memo
from ..types import ITEM_SIZE

SUFFIX: Final = {"float32": "f32", "float64": "f64", "int32": "i32", "int64": "i64", "uint8": "u8", "bool": "bool"}
VECTOR: Final = {
    "float32": "f32v", "float64": "f64v", "int32": "i32v", "int64": "i64v", "uint8": "i32v", "bool": "maskv",
}  # fmt: skip
ELEMENT: Final = {
    "float32": "float", "float64": "double", "int32": "int32_t", "int64": "int64_t", "uint8": "uint8_t",
    "bool": "uint8_t",
}  # fmt: skip

_INFIX: Final = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_ESTIMATED: Final = {"div": "quotient_f32", "sqrt": "root_f32", "rsqrt": "inverse_root_f32"}    # of `quotients.h`
_LEAST_ADDED, _MOST_ADDED = 1e-9, 1e9     # to a root that is divided by
_TRUTH: Final = {"and": "and_mask", "or": "or_mask", "not": "not_mask"}
# Functions of `vector.h` and `vector_math.h`, each called as the operator and the lanes it takes: `exp_f32`.
_FUNCTIONS: Final = frozenset({
    "pow", "maximum", "minimum", "lt", "le", "gt", "ge", "eq", "ne", "neg", "abs", "sign", "floor", "sqrt", "rsqrt",
    "square", "exp", "expm1", "log", "log1p", "sin", "cos", "tanh", "sigmoid", "softplus", "erf",
})  # fmt: skip
assert OPERATORS.keys() == _INFIX.keys() | _TRUTH.keys() | _FUNCTIONS | {"where"}, "an operator has no spelling in C"
assert ITEM_SIZE.keys() == SUFFIX.keys() == VECTOR.keys() == ELEMENT.keys(), "a dtype has no type in C"


@dataclass(frozen=True, slots=True)
class Typed:
    """C text with the dtype of its lanes. `is_atom`: needs no parentheses anywhere."""

    text: str
    dtype: str
    is_atom: bool = True

    @property
    def inner(self) -> str:
        return self.text if self.is_atom else f"({self.text})"


def literal(value: float, dtype: str) -> str:
    """A number as C writes it in `dtype`, exact."""
    if dtype == "bool":
        return "1" if value else "0"
    if dtype not in ("float32", "float64"):
        return str(int(value)) if abs(value) < 2**31 else f"{int(value)}LL"
    end = "f" if dtype == "float32" else ""
    if isnan(value):
        return f'__builtin_nan{end}("")'
    if abs(value) == inf:
        return f"{'-' if value < 0 else ''}__builtin_inf{end}()"
    text = repr(float(value))
    return f"{text}{end}"


def splat(value: float, dtype: str) -> Typed:
    """A vector with the number in every lane."""
    if dtype == "bool":
        return Typed("all_bool(1)" if value else "all_bool(0)", dtype)
    name = "i32" if dtype == "uint8" else SUFFIX[dtype]
    return Typed(f"all_{name}({literal(value, dtype)})", dtype)


def converted(value: Typed, dtype: str) -> Typed:
    """`value` in another dtype."""
    if value.dtype == dtype:
        return value
    return Typed(f"to_{SUFFIX[dtype]}_from_{SUFFIX[value.dtype]}({value.text})", dtype)


class ExpressionPrinter:
    """Prints the expressions of one body; `define` gives a line of its own to what is used twice."""

    def __init__(self, define: Callable[[str, str, str], None]) -> None:
        self._define = define   # (name, dtype, text) -> a constant of that name
        self._count = 0

    def value(self, expr: Expr, dtype: str, names: Mapping[str, Typed]) -> Typed:
        """`expr` with its variables converted to `dtype`; a predicate stays bool."""
        expr = _without_exact_roots(expr)
        uses = Counter(arg for term in walk(expr) for arg in term.args)
        done: dict[Expr, Typed] = {}
        for term in walk(expr):
            result = self._term(term, dtype, names, done)
            if term.args and uses[term] > 1:
                result = self._named(result)
            done[term] = result
        result = done[expr]
        return result if expr.op in PREDICATES else converted(result, dtype)

    def _named(self, value: Typed) -> Typed:
        name = f"e{self._count}"
        self._count += 1
        self._define(name, value.dtype, value.text)
        return Typed(name, value.dtype)

    def _term(self, term: Expr, dtype: str, names: Mapping[str, Typed], done: Mapping[Expr, Typed]) -> Typed:
        if term.op == "const":
            assert isinstance(term.value, float)
            return splat(term.value, dtype)
        if term.op == "var":
            return names[str(term.value)]
        args = [done[arg] for arg in term.args]
        if dtype == "float32" and (found := _sum_with_root(term)) is not None:
            x, c = found
            a, root_of = (converted(done[arg], dtype).text for arg in (term.args[0], x))
            return Typed(f"quotient_by_root_f32({a}, {root_of}, {splat(c, dtype).text})", dtype)
        if term.op == "where":
            chosen = converted(args[0], "bool").text
            a, b = (converted(arg, dtype).text for arg in args[1:])
            return Typed(f"select_{lane_suffix(dtype)}({chosen}, {a}, {b})", dtype)
        if term.op in _TRUTH:
            return Typed(f"{_TRUTH[term.op]}({', '.join(converted(arg, 'bool').text for arg in args)})", "bool")
        operands = [converted(arg, dtype) for arg in args]
        if dtype == "bool":     # truths are compared as 0 and 1: a mask is 0 or -1
            dtype, operands = "int32", [converted(operand, "int32") for operand in operands]
        if dtype == "float32" and term.op in _ESTIMATED:
            call = f"{_ESTIMATED[term.op]}({', '.join(operand.text for operand in operands)})"
            return Typed(call, dtype)
        if term.op in _INFIX:
            left, right = operands
            return self._wrapped(Typed(f"{left.inner} {_INFIX[term.op]} {right.inner}", dtype, is_atom=False))
        assert term.op in _FUNCTIONS, term.op
        call = f"{term.op}_{lane_suffix(dtype)}({', '.join(operand.text for operand in operands)})"
        return Typed(call, "bool") if term.op in PREDICATES else self._wrapped(Typed(call, dtype))

    def _wrapped(self, value: Typed) -> Typed:
        """uint8 has lanes of 32 bits, but its arithmetic wraps at 8."""
        return Typed(f"{value.inner} & 255", "uint8", is_atom=False) if value.dtype == "uint8" else value


def _sum_with_root(term: Expr) -> tuple[Expr, float] | None:
    """x and c of a quotient a / (sqrt(x) + c), for a number c that `quotients.h` serves."""
    if term.op != "div" or term.args[1].op != "add":
        return None
    root, added = sorted(term.args[1].args, key=lambda arg: arg.op == "const")
    number = added.value
    if root.op != "sqrt" or not isinstance(number, float) or not _LEAST_ADDED <= number <= _MOST_ADDED:
        return None
    return root.args[0], number


@memo
def _without_exact_roots(expr: Expr) -> Expr:
    """`expr` with a / sqrt(b) written as a * rsqrt(b), which is quicker."""
    done: dict[Expr, Expr] = {}
    for term in walk(expr):
        args = tuple(done[arg] for arg in term.args)
        if term.op == "div" and args[1].op == "sqrt":
            done[term] = apply("mul", args[0], apply("rsqrt", *args[1].args))
        else:
            done[term] = apply(term.op, *args) if args else term
    return done[expr]


def lane_suffix(dtype: str) -> str:
    """What the functions of `vector.h` call the lanes that hold a dtype."""
    return "i32" if dtype in ("uint8", "bool") else SUFFIX[dtype]
