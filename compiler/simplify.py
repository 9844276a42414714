"""Op graphs made smaller before anything is fused: the same results and updates from fewer nodes.

Every live node is rebuilt once, in order, its operands simplified already; the builder joins equal nodes as it goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from math import prod
from typing import TypeVar

import numpy as np

from .derivative import simplify as simplify_expr
from .expr import Expr, const, substitute, var, variables
from .graph import Builder, Graph, Node, Programs, Update, Variable
from .ops.elementwise import OPERAND_NAMES, broadcast_shapes, rename_operands

_X0 = var("x0")
Operand = int | Expr  # a node (or its place among a map's operands), or a constant's value


def simplify(programs: Programs) -> Programs:
    """Simplify every graph; drop variables' reads, conversions, views and constants that nothing needs.

    Requires: `verify_graph` passes for every graph.
    Ensures: same results and updates by name, their values equal up to what `derivative.simplify` reads as real
    numbers; every node is live; no two are equal; no `stop_gradient`, no identity map, no view of a view's own shape,
    no concat of one is left; a map reads no constant scalar, no operand twice and none that it ignores.
    """
    by_name = {variable.name: variable for variable in programs.variables}
    return replace(programs, graphs=tuple(simplify_graph(graph, by_name) for graph in programs.graphs))


def simplify_graph(graph: Graph, by_name: Mapping[str, Variable]) -> Graph:
    """One program of `simplify`."""
    builder = Builder(graph.program, by_name)
    place: dict[int, int] = {}
    live = _live(graph)
    for id, node in enumerate(graph.nodes):
        if live[id]:
            builder.origin = node.origin
            inputs = tuple([place[i] for i in node.inputs])
            rule = _RULES.get(node.op)
            place[id] = builder.copy(node, inputs) if rule is None else rule(builder, node, inputs)
    for name, id in graph.results:
        builder.result(name, place[id])
    builder.updates = [replace(u, operands=tuple([place[i] for i in u.operands])) for u in graph.updates]
    return remove_dead_nodes(builder.build())


def remove_dead_nodes(graph: Graph) -> Graph:
    """Drop nodes that no result and no update reaches.

    Ensures: same results and updates, every node left is live, relative order kept.
    """
    live = _live(graph)
    if all(live):
        return graph
    place: dict[int, int] = {}
    nodes: list[Node] = []
    for id, node in enumerate(graph.nodes):
        if live[id]:
            place[id] = len(nodes)
            nodes.append(Node(node.op, tuple([place[i] for i in node.inputs]), node.attrs, node.type, node.origin))
    results = tuple((name, place[id]) for name, id in graph.results)
    updates = tuple(Update(u.targets, tuple([place[i] for i in u.operands]), u.exprs, u.origin) for u in graph.updates)
    return Graph(graph.program, tuple(nodes), results, updates)


def _live(graph: Graph) -> list[bool]:
    live = [False] * len(graph.nodes)
    for _, id in graph.results:
        live[id] = True
    for update in graph.updates:
        for id in update.operands:
            live[id] = True
    for id in range(len(live) - 1, -1, -1):
        if live[id]:
            for operand in graph.nodes[id].inputs:
                live[operand] = True
    return live


# --- views and reductions -------------------------------------------------------------------------------------------
def _stop_gradient(builder: Builder, node: Node, inputs: tuple[int, ...]) -> int:
    return inputs[0]


def _reshape(builder: Builder, node: Node, inputs: tuple[int, ...]) -> int:
    (source,) = inputs
    while builder.nodes[source].op == "reshape":
        source = builder.nodes[source].inputs[0]
    return builder.reshape(source, node.type.shape)


def _slice(builder: Builder, node: Node, inputs: tuple[int, ...]) -> int:
    (source,) = inputs
    axis, start, stop = (_attr(node, name, int) for name in ("axis", "start", "stop"))
    if builder.type(source).shape[axis] == stop - start:
        return source
    inner = builder.nodes[source]
    if inner.op == "slice" and inner.attr("axis") == axis:
        offset = _attr(inner, "start", int)
        return builder.slice(inner.inputs[0], axis, start + offset, stop + offset)
    return builder.slice(source, axis, start, stop)


def _concat(builder: Builder, node: Node, inputs: tuple[int, ...]) -> int:
    return inputs[0] if len(inputs) == 1 else builder.copy(node, inputs)


def _reduce(builder: Builder, node: Node, inputs: tuple[int, ...]) -> int:
    (source,) = inputs
    axes, operator = _attr(node, "axes", tuple), _attr(node, "operator", str)
    if operator == "argmax":
        return builder.copy(node, inputs)
    shape = builder.type(source).shape
    longer = tuple([axis for axis in axes if shape[axis] != 1])
    if not longer:
        return builder.identity(source, node.type.dtype)
    dtype = node.type.dtype
    return builder.reduce(operator, source, longer, None if dtype == builder.type(source).dtype else dtype)


# --- maps -----------------------------------------------------------------------------------------------------------
def _map(builder: Builder, node: Node, inputs: tuple[int, ...]) -> int:
    written, compute, dtype = _attr(node, "expr", Expr), _attr(node, "compute", str), node.type.dtype
    readable = tuple([_operand(builder, i, compute) for i in inputs])
    first: dict[Operand, int] = {}
    pattern = tuple([r if isinstance(r, Expr) else first.setdefault(r, k) for k, r in enumerate(readable)])
    expr, used = _narrowed(written, pattern)
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


@cache
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


def _operand(builder: Builder, id: int, compute: str) -> Operand:
    """What a map that computes in `compute` may read in the place of node `id`."""
    node = builder.nodes[id]
    match node.op:
        case "constant" if prod(node.type.concrete(1)) == 1:
            (value,) = _attr(node, "value", tuple)
            return _constant(value, node.type.dtype, compute)
        case "reshape":  # leading axes of 1 are there for every reader
            (source,) = node.inputs
            shape, inner = node.type.shape, builder.type(source).shape
            added = len(shape) - len(inner)
            return source if added > 0 and shape[added:] == inner and set(shape[:added]) == {1} else id
        case "map":
            expr = _attr(node, "expr", Expr)
            if isinstance(expr.value, float):
                return _constant(expr.value, node.type.dtype, compute)
            if expr is _X0 and builder.type(node.inputs[0]).dtype == node.type.dtype == _attr(node, "compute", str):
                return _operand(builder, node.inputs[0], compute)  # a broadcast: the reader repeats it for itself
    return id


_T = TypeVar("_T")


def _attr(node: Node, name: str, kind: type[_T]) -> _T:
    value = node.attr(name)
    assert isinstance(value, kind), (name, value)
    return value


def _constant(value: float, dtype: str, compute: str) -> Expr:
    """A stored `value` as the formula sees it; left as written where storing and computing round it alike."""
    return const(value if dtype == compute else _rounded(value, dtype))


def _rounded(value: float, dtype: str) -> float:
    return float(np.array(value).astype(dtype))


_RULES: dict[str, Callable[[Builder, Node, tuple[int, ...]], int]] = {
    "stop_gradient": _stop_gradient,
    "reshape": _reshape,
    "slice": _slice,
    "concat": _concat,
    "reduce": _reduce,
    "map": _map,
}
