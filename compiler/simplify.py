"""Op graphs made smaller before anything is fused: the same results and updates from fewer nodes.

Every live node is rebuilt once, in order, its operands simplified already; the builder joins equal nodes as it goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from .builder import Builder
from .derivative import simplify as simplify_expr
from .expr import Expr, apply, const, var
from .graph import Graph, Node, Programs, Update, Variable
from .simplify_map import attr_of, simplify_map

_X0 = var("x0")


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
    axis, start, stop = (attr_of(node, name, int) for name in ("axis", "start", "stop"))
    if builder.type(source).shape[axis] == stop - start:
        return source
    inner = builder.nodes[source]
    if inner.op == "slice" and inner.attr("axis") == axis:
        offset = attr_of(inner, "start", int)
        return builder.slice(inner.inputs[0], axis, start + offset, stop + offset)
    return builder.slice(source, axis, start, stop)


def _concat(builder: Builder, node: Node, inputs: tuple[int, ...]) -> int:
    return inputs[0] if len(inputs) == 1 else builder.copy(node, inputs)


def _reduce(builder: Builder, node: Node, inputs: tuple[int, ...]) -> int:
    (source,) = inputs
    axes, operator = attr_of(node, "axes", tuple), attr_of(node, "operator", str)
    shape = builder.type(source).shape
    if operator == "argmax":
        if all(shape[axis] == 1 for axis in axes):
            return builder.map(const(0), dtype=node.type.dtype, compute=node.type.dtype, shape=node.type.shape)
        return builder.copy(node, inputs)
    longer = tuple([axis for axis in axes if shape[axis] != 1])
    if not longer:
        return builder.identity(source, node.type.dtype)
    dtype = None if node.type.dtype == builder.type(source).dtype else node.type.dtype
    if operator != "sum" or not node.type.is_float:
        return builder.reduce(operator, source, longer, dtype)
    factor = 1.0
    while (multiple := _multiple_of_another(builder, builder.nodes[source])) is not None:
        source, factor = multiple[0], factor * multiple[1]
    total = builder.reduce("sum", source, longer, dtype)
    return total if factor == 1 else builder.map(simplify_expr(factor * _X0), total)


def _multiple_of_another(builder: Builder, node: Node) -> tuple[int, float] | None:
    """A node that is there already, and the constant that `node` is times it; else None.

    The sum of `node` is then that often the other's sum, and the map over all elements need not be made.
    """
    if node.op != "map":
        return None
    expr = attr_of(node, "expr", Expr)
    candidates: list[tuple[Expr, float]] = []
    if expr.op == "neg":
        candidates.append((expr.args[0], -1.0))
    elif expr.op == "mul" and isinstance(factor := expr.args[0].value, float):
        candidates.append((expr.args[1], factor))
        if factor < 0:
            candidates.append((apply("mul", const(-factor), expr.args[1]), -1.0))
    for other, times in candidates:
        found = builder.existing_map(other, node)
        if found is not None:
            return found, times
    return None


_RULES: dict[str, Callable[[Builder, Node, tuple[int, ...]], int]] = {
    "stop_gradient": _stop_gradient,
    "reshape": _reshape,
    "slice": _slice,
    "concat": _concat,
    "reduce": _reduce,
    "map": simplify_map,
}
