"""How one map is simplified: operands put in, joined, dropped, or computed once where they repeat."""

from __future__ import annotations

from math import prod
from typing import TypeVar

import numpy as np

from .builder import Builder
from .derivative import simplify as simplify_expr
from .expr import PREDICATES, Expr, const, substitute, var, variables, walk
from .graph import Node
from .memo import memo
from .ops.elementwise import OPERAND_NAMES, broadcast_shapes, rename_operands
from .types import Shape

# worth a map of their own where they depend on fewer values than the map has
SLOW = frozenset(
    {"div", "pow", "sqrt", "rsqrt", "exp", "expm1", "log", "log1p", "sin", "cos", "tanh", "sigmoid", "softplus", "erf"}
)
_X0 = var("x0")
Operand = int | Expr  # a node (or its place among a map's operands), or a constant's value


def simplify_map(builder: Builder, node: Node, inputs: tuple[int, ...]) -> int:
    """The node of `builder` that stands for the map `node`, whose operands are now `inputs`."""
    written, compute, dtype = attr_of(node, "expr", Expr), attr_of(node, "compute", str), node.type.dtype
    readable = tuple([_operand(builder, i, compute) for i in inputs])
    first: dict[Operand, int] = {}
    pattern = tuple([r if isinstance(r, Expr) else first.setdefault(r, k) for k, r in enumerate(readable)])
    expr, used = _narrowed(written, pattern)
    if expr is not _X0:
        expr, used, readable = _without_repetition(builder, expr, used, readable, compute)
    if expr is written and readable == inputs and used == pattern and expr is not _X0 and len(node.attrs) == 3:
        return builder.copy(node, inputs)
    operands = tuple([i for k in used if isinstance(i := readable[k], int)])
    if not operands and expr.op == "const" and node.type.shape == ():
        assert isinstance(expr.value, float)
        return builder.constant(expr.value if dtype == compute else _rounded(expr.value, compute), dtype)
    if expr is _X0 and compute == dtype and builder.type(operands[0]) == node.type:
        return operands[0]
    if not operands or broadcast_shapes(tuple([builder.type(i).shape for i in operands])) == node.type.shape:
        return builder.map(expr, *operands, dtype=dtype, compute=compute, shape=None if operands else node.type.shape)
    if expr is not _X0 or compute != dtype:  # few values, repeated: computed once each, repeated by the reader
        operands = (builder.map(expr, *operands, dtype=dtype, compute=compute),)
    return builder.broadcast(operands[0], node.type.shape, dtype)


@memo
def _narrowed(expr: Expr, pattern: tuple[Operand, ...]) -> tuple[Expr, tuple[int, ...]]:
    """`expr` simplified with constants put in and equal operands joined; and the places of the operands it still reads.

    `pattern` has for each operand a constant, or the first place where the same node stands.
    """
    replacements = {
        var(OPERAND_NAMES[k]): p if isinstance(p, Expr) else var(OPERAND_NAMES[p]) for k, p in enumerate(pattern)
    }
    expr = simplify_expr(substitute(expr, replacements))
    names = variables(expr)
    return rename_operands(expr, names), tuple([OPERAND_NAMES.index(name) for name in names])


def _without_repetition(
    builder: Builder, expr: Expr, used: tuple[int, ...], readable: tuple[Operand, ...], compute: str
) -> tuple[Expr, tuple[int, ...], tuple[Operand, ...]]:
    """Terms that are slow and depend only on operands that repeat become maps of their own, of fewer values.

    Not where all those operands are leaves: such a map could join no other work, and a kernel call of its own costs
    more than the few roots it saves.
    """
    nodes = [builder.nodes[i] for k in used if isinstance(i := readable[k], int)]
    shapes = tuple([node.type.shape for node in nodes])
    if len(shapes) < 2 or shapes.count(shapes[0]) == len(shapes):
        return expr, used, readable
    rest, parts = _repeated(expr, shapes, tuple([bool(node.inputs) for node in nodes]))
    if not parts:
        return expr, used, readable
    operands: list[Operand] = [readable[k] for k in used]
    for part, places in parts:
        own = tuple([operands[k] for k in places])
        part, order, own = _without_repetition(builder, part, tuple(range(len(own))), own, compute)
        ids = [i for k in order if isinstance(i := own[k], int)]
        operands.append(builder.map(part, *ids, dtype=compute, compute=compute))
    names = variables(rest)
    places = tuple([OPERAND_NAMES.index(name) for name in names])
    return rename_operands(rest, names), places, tuple(operands)


@memo
def _repeated(
    expr: Expr, shapes: tuple[Shape, ...], computed: tuple[bool, ...]
) -> tuple[Expr, tuple[tuple[Expr, tuple[int, ...]], ...]]:
    """The largest slow terms of `expr` over operands of `shapes` that have fewer values than it; and what is left.

    `computed`: which operands are no leaves; a term must read one of them.

    Each term has its variables renumbered, and the places of its operands; in what is left, it is the operand after
    the last one, and so on.
    """
    full = _repetition(expr, shapes)
    replacements: dict[Expr, Expr] = {}
    parts: list[tuple[Expr, tuple[int, ...]]] = []
    stack = [expr]
    while stack:
        term = stack.pop()
        if not term.args or term in replacements:
            continue
        names = variables(term)
        places = tuple([OPERAND_NAMES.index(name) for name in names])
        small = term.op not in PREDICATES and _repetition(term, shapes) != full
        if small and any(computed[k] for k in places) and any(inner.op in SLOW for inner in walk(term)):
            replacements[term] = var(OPERAND_NAMES[len(shapes) + len(parts)])
            parts.append((rename_operands(term, names), places))
        else:
            stack.extend(reversed(term.args))
    return substitute(expr, replacements), tuple(parts)


def _repetition(term: Expr, shapes: tuple[Shape, ...]) -> Shape:
    """The shape of a term's value, leading axes of 1 taken off."""
    shape = broadcast_shapes(tuple([shapes[OPERAND_NAMES.index(name)] for name in variables(term)]))
    while shape and shape[0] == 1:
        shape = shape[1:]
    return shape


def _operand(builder: Builder, id: int, compute: str) -> Operand:
    """What a map that computes in `compute` may read in the place of node `id`."""
    node = builder.nodes[id]
    match node.op:
        case "constant" if prod(node.type.concrete(1)) == 1:
            (value,) = attr_of(node, "value", tuple)
            return _constant(value, node.type.dtype, compute)
        case "reshape":  # leading axes of 1 are there for every reader
            (source,) = node.inputs
            shape, inner = node.type.shape, builder.type(source).shape
            added = len(shape) - len(inner)
            return source if added > 0 and shape[added:] == inner and set(shape[:added]) == {1} else id
        case "map":
            expr = attr_of(node, "expr", Expr)
            if isinstance(expr.value, float):
                return _constant(expr.value, node.type.dtype, compute)
            if expr is _X0 and builder.type(node.inputs[0]).dtype == node.type.dtype == attr_of(node, "compute", str):
                return _operand(builder, node.inputs[0], compute)  # a broadcast: the reader repeats it for itself
    return id


def _constant(value: float, dtype: str, compute: str) -> Expr:
    """A stored `value` as the formula sees it; left as written where storing and computing round it alike."""
    return const(value if dtype == compute else _rounded(value, dtype))


def _rounded(value: float, dtype: str) -> float:
    return float(np.array(value).astype(dtype))


_T = TypeVar("_T")


def attr_of(node: Node, name: str, kind: type[_T]) -> _T:
    """The attribute `name`, known to be a `kind`."""
    value = node.attr(name)
    assert isinstance(value, kind), (name, value)
    return value
