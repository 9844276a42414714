"""Scalar expressions: the one place where elementwise mathematics is written.

An `Expr` is an interned, immutable DAG node: equal expressions are the same object as long as one of them lives, so
equality is identity and shared subterms are shared. Formulas are ordinary Python functions over `Expr`; operators are
overloaded. Differentiation and simplification live in `derivative.py`, evaluation with NumPy in `ops/`, printing in
`emit/`. Text form, used in printed stages and plan files: `(maximum (add acc b0) 0)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Lock
from typing import Final
from weakref import WeakValueDictionary

# operator -> number of arguments
OPERATORS: Final[dict[str, int]] = {
    "add": 2, "sub": 2, "mul": 2, "div": 2, "pow": 2, "maximum": 2, "minimum": 2,
    "lt": 2, "le": 2, "gt": 2, "ge": 2, "eq": 2, "ne": 2, "and": 2, "or": 2,
    "neg": 1, "not": 1, "abs": 1, "sign": 1, "floor": 1, "sqrt": 1, "rsqrt": 1, "square": 1,
    "exp": 1, "expm1": 1, "log": 1, "log1p": 1, "sin": 1, "cos": 1,
    "tanh": 1, "sigmoid": 1, "softplus": 1, "erf": 1,
    "where": 3,
}  # fmt: skip
PREDICATES: Final = frozenset({"lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not"})


class Expr:
    """One node: `op` is "const" (value: float), "var" (value: str) or a key of OPERATORS (args)."""

    __slots__ = ("__weakref__", "args", "op", "value")
    op: str
    args: tuple[Expr, ...]
    value: float | str | None

    def __add__(self, other: Operand) -> Expr:
        return apply("add", self, other)

    def __radd__(self, other: Operand) -> Expr:
        return apply("add", other, self)

    def __sub__(self, other: Operand) -> Expr:
        return apply("sub", self, other)

    def __rsub__(self, other: Operand) -> Expr:
        return apply("sub", other, self)

    def __mul__(self, other: Operand) -> Expr:
        return apply("mul", self, other)

    def __rmul__(self, other: Operand) -> Expr:
        return apply("mul", other, self)

    def __truediv__(self, other: Operand) -> Expr:
        return apply("div", self, other)

    def __rtruediv__(self, other: Operand) -> Expr:
        return apply("div", other, self)

    def __pow__(self, other: Operand) -> Expr:
        return apply("pow", self, other)

    def __rpow__(self, other: Operand) -> Expr:
        return apply("pow", other, self)

    def __neg__(self) -> Expr:
        return apply("neg", self)

    def __lt__(self, other: Operand) -> Expr:
        return apply("lt", self, other)

    def __le__(self, other: Operand) -> Expr:
        return apply("le", self, other)

    def __gt__(self, other: Operand) -> Expr:
        return apply("gt", self, other)

    def __ge__(self, other: Operand) -> Expr:
        return apply("ge", self, other)

    def __bool__(self) -> bool:
        raise AssertionError("an expression has no truth value; use `where`")

    def __str__(self) -> str:
        return to_text(self)

    __repr__ = __str__


Operand = Expr | float | int

_interned: WeakValueDictionary[tuple[object, ...], Expr] = WeakValueDictionary()
_interning = Lock()


def _intern(op: str, args: tuple[Expr, ...], value: float | str | None) -> Expr:
    # repr tells 0.0 from -0.0 and 1 from 1.0 apart, which `==` does not
    key = (op, args, repr(value))
    found = _interned.get(key)
    if found is not None:
        return found
    with _interning:    # another thread may have made it by now
        found = _interned.get(key)
        if found is None:
            found = Expr()
            found.op, found.args, found.value = op, args, value
            _interned[key] = found
    return found


def term_count() -> int:
    """How many different terms are alive."""
    return len(_interned)


def const(value: float) -> Expr:
    return _intern("const", (), float(value))


def var(name: str) -> Expr:
    return _intern("var", (), name)


def apply(op: str, *args: Operand) -> Expr:
    """The expression `op(args)`, unsimplified. Numbers become constants."""
    assert OPERATORS[op] == len(args), (op, args)
    return _intern(op, tuple(a if isinstance(a, Expr) else const(a) for a in args), None)


def _function(op: str) -> Callable[..., Expr]:
    def build(*args: Operand) -> Expr:
        return apply(op, *args)

    build.__name__ = op
    return build


maximum, minimum, where = _function("maximum"), _function("minimum"), _function("where")
exp, expm1, log, log1p = _function("exp"), _function("expm1"), _function("log"), _function("log1p")
sqrt, rsqrt, square = _function("sqrt"), _function("rsqrt"), _function("square")
sin, cos, tanh, erf = _function("sin"), _function("cos"), _function("tanh"), _function("erf")
sigmoid, softplus, absolute, sign, floor = (_function(o) for o in ("sigmoid", "softplus", "abs", "sign", "floor"))
equal, not_equal = _function("eq"), _function("ne")
logical_and, logical_or, logical_not = _function("and"), _function("or"), _function("not")


def variables(expr: Expr) -> tuple[str, ...]:
    """Names of the variables in `expr`, each once, in order of first appearance."""
    return tuple(dict.fromkeys(str(e.value) for e in walk(expr) if e.op == "var"))


def walk(expr: Expr) -> Iterator[Expr]:
    """Every distinct subterm, arguments before the terms that use them."""
    seen: set[Expr] = set()
    stack = [(expr, False)]
    while stack:
        term, expanded = stack.pop()
        if term in seen:
            continue
        if expanded or not term.args:
            seen.add(term)
            yield term
        else:
            stack.append((term, True))
            stack.extend((arg, False) for arg in reversed(term.args))


def substitute(expr: Expr, replacements: dict[Expr, Expr]) -> Expr:
    """`expr` with every occurrence of a key, outermost first, replaced by its value."""
    done: dict[Expr, Expr] = {}

    def visit(term: Expr) -> Expr:
        if term in replacements:
            return replacements[term]
        if not term.args:
            return term
        if term not in done:
            args = tuple(visit(a) for a in term.args)
            done[term] = term if args == term.args else _intern(term.op, args, None)
        return done[term]

    return visit(expr)


def rename(expr: Expr, names: dict[str, str]) -> Expr:
    """`expr` with its variables renamed."""
    return substitute(expr, {var(old): var(new) for old, new in names.items()})


def number_text(value: float) -> str:
    """Shortest text that reads back to the same float64: `2`, `0.1`, `1e-07`, `inf`."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 and str(value) != "-0.0" else repr(value)


def to_text(expr: Expr) -> str:
    """`(maximum (add acc b0) 0)`; `from_text` reads it back."""
    if expr.op == "const":
        assert isinstance(expr.value, float)
        return number_text(expr.value) if abs(expr.value) != float("inf") else repr(expr.value)
    if expr.op == "var":
        return str(expr.value)
    return f"({expr.op} {' '.join(map(to_text, expr.args))})"


def from_text(text: str) -> Expr:
    """Inverse of `to_text`. Raises ValueError on anything else; never executes anything."""
    tokens = iter(text.replace("(", " ( ").replace(")", " ) ").split())

    def read(token: str, depth: int) -> Expr:
        if depth > 200:
            raise ValueError("expression nested too deeply")
        if token == "(":
            op = next(tokens)
            if op not in OPERATORS:
                raise ValueError(f"unknown operator {op!r}")
            args = []
            while (token := next(tokens)) != ")":
                args.append(read(token, depth + 1))
            if len(args) != OPERATORS[op]:
                raise ValueError(f"{op} takes {OPERATORS[op]} arguments, not {len(args)}")
            return apply(op, *args)
        if token.isidentifier() and token not in ("inf", "nan"):
            return var(token)
        return const(float(token))

    try:
        result = read(next(tokens), 0)
    except StopIteration:
        raise ValueError("expression ends too early") from None
    if next(tokens, None) is not None:
        raise ValueError("text after the expression")
    return result
