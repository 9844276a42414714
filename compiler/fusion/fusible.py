"""A graph made ready for fusion: reductions in the few forms a step can run, everything else as it was.

A step reduces along its last axis (one value per row), over all axes but the last, or over all. Any other reduction is
one of these seen through a permuted view.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..expr import Expr, const, var
from ..graph import Graph, Node
from ..ops import OPS
from ..types import BATCH, FLOAT_DTYPES, Shape, TensorType
from ..views import permuted, without_leading_ones

_X0 = var("x0")


@dataclass(slots=True)
class Item:
    """One thing to fuse.

    kind: "leaf", "map", "row" (reduce along the last axis), "total" (reduce over `axes` "all" or "leading"), "matmul",
    "gather", "scatter_add", "random", "reshape", "slice", "permute", "concat", "dropped". `expr` and `compute`: of a
    map; `operator`: of a reduction, done in `compute`. `forward`: some result of the program depends on it.
    """

    id: int
    kind: str
    inputs: tuple[int, ...]
    type: TensorType
    shape: Shape
    origin: str
    attrs: dict[str, Any]
    expr: Expr = _X0
    compute: str = "float32"
    operator: str = ""
    axes: str = ""
    forward: bool = False


@dataclass(slots=True)
class Fusible:
    """Items in topological order; where each node of the graph went; the results by name."""

    items: list[Item]
    item_of: list[int]
    results: list[tuple[str, int]]
    readers: list[int] = field(default_factory=list)      # of each node of the graph


def make_fusible(graph: Graph) -> Fusible:
    """Items for a graph's nodes.

    Requires: a graph without dead nodes. Ensures: operands come before those that read them.
    """
    result = Fusible([], [], [])
    forward = _forward(graph)
    result.readers = _reader_counts(graph)
    for id, node in enumerate(graph.nodes):
        first = len(result.items)
        result.item_of.append(_add_node(result, node))
        for item in result.items[first:]:
            item.forward = forward[id]
    updated = {target for update in graph.updates for target in update.targets}
    result.results = [(name, _kept_result(result, result.item_of[id], updated)) for name, id in graph.results]
    return result


def _kept_result(result: Fusible, id: int, updated: set[str]) -> int:
    """A result that is a variable's old value needs a copy if the program changes the variable."""
    base = result.items[id]
    while base.kind in ("reshape", "slice", "permute"):
        base = result.items[base.inputs[0]]
    if base.kind != "leaf" or base.attrs.get("name") not in updated or base.attrs["op"] != "variable":
        return id
    item = result.items[id]
    copy = _add(result, "map", (id,), item.type, item.origin, {})
    copy.compute, copy.forward = item.type.dtype, True
    return copy.id


def _forward(graph: Graph) -> list[bool]:
    """Which nodes the results depend on; the others exist for the updates alone."""
    needed = [False] * len(graph.nodes)
    for _, id in graph.results:
        needed[id] = True
    for id in range(len(graph.nodes) - 1, -1, -1):
        if needed[id]:
            for operand in graph.nodes[id].inputs:
                needed[operand] = True
    return needed


def _reader_counts(graph: Graph) -> list[int]:
    counts = [0] * len(graph.nodes)
    read = [node.inputs for node in graph.nodes] + [update.operands for update in graph.updates]
    for operands in read:
        for operand in operands:
            counts[operand] += 1
    for _, id in graph.results:
        counts[id] += 1
    return counts


def _add_node(result: Fusible, node: Node) -> int:
    inputs = tuple([result.item_of[i] for i in node.inputs])
    if node.op == "stop_gradient":
        return inputs[0]
    attrs: dict[str, Any] = dict(node.attrs)
    if node.op == "reduce":
        return _add_reduce(result, node, inputs[0], attrs)
    kind = OPS[node.op].kernel
    item = _add(result, node.op if kind == "view" else kind, inputs, node.type, node.origin, attrs)
    if kind == "map":
        item.expr, item.compute = attrs["expr"], attrs["compute"]
    elif kind == "leaf":
        attrs["op"] = node.op
    return item.id


def _add(
    result: Fusible, kind: str, inputs: tuple[int, ...], type: TensorType, origin: str, attrs: dict[str, Any]
) -> Item:
    item = Item(len(result.items), kind, inputs, type, type.shape, origin, attrs)
    result.items.append(item)
    return item


# --- reductions -----------------------------------------------------------------------------------------------------
def _add_reduce(result: Fusible, node: Node, operand: int, attrs: dict[str, Any]) -> int:
    """The reduction itself where it has one of the three forms, else views around one that has."""
    shape = result.items[operand].shape
    axes = tuple(axis for axis in attrs["axes"] if shape[axis] != 1)
    kept = tuple(axis for axis, dim in enumerate(shape) if axis not in axes and dim != 1)
    if not axes:
        return _add_copy(result, node, operand, attrs["operator"])
    if not kept:
        if attrs["operator"] == "sum":
            operand = _without_row_sum(result, node, operand)
        return _add_simple(result, node, operand, attrs, "all", node.type)
    last = len(shape) - 1
    if axes == (last,):
        return _add_simple(result, node, operand, attrs, "row", node.type)
    if kept == (last,):
        return _add_simple(result, node, operand, attrs, "leading", node.type)
    return _add_permuted(result, node, operand, attrs, axes, kept)


def _without_row_sum(result: Fusible, node: Node, operand: int) -> int:
    """A sum of row sums is the sum of all: what is summed by rows, if nothing else reads the row sums."""
    row = result.items[operand]
    if row.kind != "row" or row.operator != "sum" or result.readers[node.inputs[0]] != 1:
        return operand
    (operand,) = row.inputs
    row.kind, row.inputs = "dropped", ()
    return operand


def _add_copy(result: Fusible, node: Node, operand: int, operator: str) -> int:
    """A reduction over axes of length 1: its operand converted, or 0 for an argmax."""
    item = _add(result, "map", (operand,), node.type, node.origin, {})
    item.expr, item.compute = (const(0) if operator == "argmax" else _X0), node.type.dtype
    return item.id


def _add_simple(
    result: Fusible, node: Node, operand: int, attrs: dict[str, Any], axes: str, type: TensorType
) -> int:
    kind = "row" if axes == "row" else "total"
    if axes == "all" and attrs["operator"] == "argmax":
        kind, axes = "row", "row"      # an argmax has one axis: the only one longer than 1
        shape = result.items[operand].shape
        operand = _view(result, operand, "reshape", _one_row(shape), node.origin)
        row = _reduction(result, kind, operand, node, attrs, axes, type.with_shape((*_one_row(shape)[:-1], 1)))
        return _view(result, row, "reshape", type.shape, node.origin)
    return _reduction(result, kind, operand, node, attrs, axes, type)


def _one_row(shape: Shape) -> Shape:
    """`[1, 10, 1]` -> `[1, 10]`; an argmax over the batch itself has no place in a network."""
    assert BATCH not in shape, shape
    long = [dim for dim in shape if dim != 1]
    return (1, *long)


def _reduction(
    result: Fusible, kind: str, operand: int, node: Node, attrs: dict[str, Any], axes: str, type: TensorType
) -> int:
    item = _add(result, kind, (operand,), type, node.origin, attrs)
    item.operator, item.axes = attrs["operator"], axes
    item.compute = compare_dtype(result.items[operand].type.dtype) if item.operator == "argmax" else type.dtype
    return item.id


def compare_dtype(dtype: str) -> str:
    """The float dtype in which an argmax compares and gives its whole number."""
    if dtype in FLOAT_DTYPES:
        return dtype
    return "float32" if dtype in ("bool", "uint8") else "float64"


def _add_permuted(
    result: Fusible, node: Node, operand: int, attrs: dict[str, Any], axes: tuple[int, ...], kept: tuple[int, ...]
) -> int:
    """Bring the kept axes to the front, or to the back where the batch is summed away, then reduce one run of axes."""
    shape = result.items[operand].shape
    if 0 in kept:
        # one axis at a time: several need not lie next to each other
        for axis in reversed(axes):
            order = (*(a for a in range(len(shape)) if a != axis), axis)
            view = _view(result, operand, "permute", permuted(shape, order), node.origin, order)
            rows = (*permuted(shape, order)[:-1], 1)
            type = result.items[operand].type.with_dtype(node.type.dtype).with_shape(rows)
            row = _reduction(result, "row", view, node, attrs, "row", type)
            shape = (*shape[:axis], 1, *shape[axis + 1 :])
            operand = _view(result, row, "reshape", shape, node.origin)
        return operand
    order = (*axes, *(axis for axis in range(len(shape)) if axis not in axes))
    turned = permuted(shape, order)
    flat = (*turned[: len(axes)], _product(turned[len(axes) :]))
    view = _view(result, operand, "permute", turned, node.origin, order) if turned != shape else operand
    view = _view(result, view, "reshape", flat, node.origin)
    total = _reduction(result, "total", view, node, attrs, "leading", node.type.with_shape((flat[-1],)))
    return _view(result, total, "reshape", node.type.shape, node.origin)


def _product(shape: Shape) -> int:
    size = 1
    for dim in shape:
        assert isinstance(dim, int)
        size *= dim
    return size


def _view(
    result: Fusible, operand: int, kind: str, shape: Shape, origin: str, order: tuple[int, ...] | None = None
) -> int:
    """A view of an item, unless it has the shape already."""
    source = result.items[operand]
    if source.shape == shape and order is None:
        return operand
    attrs: dict[str, Any] = {"shape": shape} if order is None else {"order": order}
    return _add(result, kind, (operand,), source.type.with_shape(shape), origin, attrs).id


def canonical(item: Item) -> Shape:
    """The shape in which a "total" reduction gives its result: `[]` or `[last]`."""
    return () if item.axes == "all" else without_leading_ones(item.shape)
