"""Op graphs -> steps: maps, reductions, matrix products and updates joined into as few kernels as can run them.

`grouping.py` decides which work goes together, `assignments.py` where variables are overwritten, `bodies.py` writes
the steps down. Reshapes, slices and concatenations become places in memory.
"""

from __future__ import annotations

from .expr import var
from .fusion.assignments import place_updates
from .fusion.bodies import emit_program
from .fusion.fusible import Item, make_fusible
from .fusion.grouping import Grouping
from .fusion.groups import LAZY_DEPTH, LEAF, ROOTS, VIEWS, Layout
from .graph import Graph, Programs, Variable
from .kernels import FusedProgram, FusedPrograms
from .types import Shape
from .views import elements, reshape_strides, row_major

_X0 = var("x0")
# dtypes that another holds without loss: reading the wider is reading the narrower
_WIDENS = {
    ("bool", "uint8"), ("bool", "int32"), ("bool", "int64"), ("bool", "float32"), ("bool", "float64"),
    ("uint8", "int32"), ("uint8", "int64"), ("uint8", "float32"), ("uint8", "float64"),
    ("int32", "int64"), ("int32", "float64"), ("float32", "float64"),
}  # fmt: skip


def fuse(programs: Programs) -> FusedPrograms:
    """Steps for every program.

    Requires: verified graphs without dead nodes, in which no updates read each other's targets in a circle.
    Ensures: the steps of a program, run in order, compute its results and updates; every variable is read before it is
    overwritten.
    """
    variables = {variable.name: variable for variable in programs.variables}
    fused = tuple(_fuse_graph(graph, variables) for graph in programs.graphs)
    return FusedPrograms(fused, programs.variables, programs.terms, programs.adaptations)


def _fuse_graph(graph: Graph, variables: dict[str, Variable]) -> FusedProgram:
    fusible = make_fusible(graph)
    grouping = Grouping(fusible, graph, variables)
    _place_concat_members(grouping)
    for id in _processing_order(grouping):
        _place(grouping, fusible.items[id])
    for _, id in fusible.results:
        grouping.fetch(id)
    place_updates(grouping)
    return emit_program(grouping)


def _place(grouping: Grouping, item: Item) -> None:
    kind = item.kind
    if kind == "map":
        _classify(grouping, item)
        if not grouping.lazy[item.id]:
            grouping.place(item.id)
    elif kind == "row":
        grouping.place(item.id)
    elif kind == "total":
        grouping.place_total(item)
    elif kind in ROOTS:
        grouping.place_root(item)
        if kind == "matmul" and item.attrs["transpose_a"] and not item.attrs["transpose_b"]:
            grouping.products.setdefault(item.inputs[1], item.id)
    elif kind in VIEWS:
        grouping.place_view(item)
    elif kind == "concat":
        grouping.place_concat(item)


def _classify(grouping: Grouping, item: Item) -> None:
    """Mark maps that had better wait for a reader.

    Those that merely repeat or widen an operand; those of leaves alone; those that only the backward pass asks for but
    that could be computed in the forward pass, from which on they would take up memory.
    """
    items, id = grouping.items, item.id
    if item.expr is _X0 and len(item.inputs) == 1:
        dtype = items[item.inputs[0]].type.dtype
        if item.compute == item.type.dtype and (dtype == item.compute or (dtype, item.compute) in _WIDENS):
            grouping.transparent[id] = grouping.lazy[id] = True
            return
    lazy, ready = grouping.lazy, grouping.ready
    waits = True
    for operand in item.inputs:
        if lazy[operand] and grouping.home[operand] is None:
            grouping.depth[id] = max(grouping.depth[id], grouping.depth[operand] + 1)
        elif ready[operand] != LEAF and (item.forward or not items[operand].forward):
            waits = False
    grouping.lazy[id] = waits and grouping.depth[id] <= LAZY_DEPTH


# --- concatenations written in place --------------------------------------------------------------------------------
def _place_concat_members(grouping: Grouping) -> None:
    """Let what makes an operand of a concatenation write it where it belongs; outermost concatenations first.

    An operand can lie in one concatenation only; what is fed or constant, a slice and a sum over the batch cannot.
    """
    items = grouping.items
    for item in reversed(items):
        if item.kind != "concat":
            continue
        layout, axis, start = grouping.layout(item.id), item.attrs["axis"], 0
        for operand in item.inputs:
            offset = layout.offset + start * layout.strides[axis]
            _place_member(grouping, items[operand], Layout(layout.root, offset, layout.strides))
            start += items[operand].shape[axis]


def _place_member(grouping: Grouping, operand: Item, layout: Layout) -> None:
    items, root = grouping.items, operand
    while root.kind == "reshape":
        root = items[root.inputs[0]]
    if root.kind in ("leaf", "total", "slice", "permute") or root.id in grouping.layouts:
        return
    strides = reshape_strides(operand.shape, layout.strides, root.shape)
    if strides is not None and (root.shape == operand.shape or row_major(root.shape)[-1:] == strides[-1:]):
        grouping.layouts[root.id] = Layout(layout.root, layout.offset, strides)


# --- order ----------------------------------------------------------------------------------------------------------
def _processing_order(grouping: Grouping) -> list[int]:
    """Items in topological order, gradients of variables not before the last reader of the old value.

    So the kernel that makes such a gradient can also update the variable.
    """
    items = grouping.items
    if not grouping.graph.updates:
        return list(range(len(items)))
    wait = _waiting(grouping)
    products = {
        item.inputs[1]: item.id
        for item in reversed(items)
        if item.kind == "matmul" and item.attrs["transpose_a"] and not item.attrs["transpose_b"]
    }
    rank = [0.0] * len(items)
    for item in items:
        own = float(max(item.id, wait[item.id]))
        if item.kind == "total" and wait[item.id] and item.inputs[0] in products:
            product = products[item.inputs[0]]
            own = max(own, product + 0.5, wait[product] + 0.5)
        for operand in item.inputs:
            if rank[operand] > own:
                own = rank[operand]
        rank[item.id] = own
    return sorted(range(len(items)), key=lambda id: (rank[id], id))


def _waiting(grouping: Grouping) -> list[int]:
    """For each item read by updates alone, through maps and reshapes at most: the last item they wait for; else 0."""
    items, count = grouping.items, len(grouping.items)
    last_reader = [0] * count
    readers: list[int] = [0] * count
    for item in items:
        for operand in item.inputs:
            last_reader[operand] = item.id
            readers[operand] += 1
    leaf_of = {item.attrs["name"]: item.id for item in items if item.kind == "leaf" and item.attrs["op"] == "variable"}
    wait, counted, size = [0] * count, [0] * count, [-1] * count
    for _, id in grouping.fetches:
        readers[id] += 1
    for update in grouping.graph.updates:
        operands = [grouping.item_of[i] for i in update.operands]
        key = max((*operands, *(last_reader[leaf_of[t]] for t in update.targets if t in leaf_of)), default=0)
        target_size = elements(grouping.variables[update.targets[0]].type.shape)
        for operand in operands:
            wait[operand] = max(wait[operand], key)
            size[operand] = target_size
    for item in reversed(items):
        id = item.id
        if not wait[id] or counted[id] != readers[id] or not _is_gradient(item.shape, size[id]):
            wait[id] = 0
            continue
        if item.kind in ("map", "reshape"):
            for operand in item.inputs:
                counted[operand] += 1
                wait[operand] = max(wait[operand], wait[id])
                size[operand] = size[id]
    return wait


def _is_gradient(shape: Shape, size: int) -> bool:
    return shape != () and size > 1 and elements(shape) == size


