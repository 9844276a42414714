"""Which work is done together: every item and every update finds its kernel.

Kernels stand in one total order; a kernel reads nothing that a later one writes, so no choice can make a cycle. An item
joins the kernel of its latest operand where that can hold it, else one that reads the same operand, else it starts
a kernel of its own at the end. Items that would only keep memory busy if they ran at once (`lazy` ones) wait until
something asks for them.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..graph import Graph, Variable
from ..kernels import Note
from ..ops.elementwise import broadcast_shapes
from ..types import BATCH, FLOAT_DTYPES, Shape, TensorType
from ..views import reshape_strides, row_major, without_leading_ones
from .fusible import Fusible, Item, canonical
from .groups import (
    BODY_LIMIT,
    LEAF,
    LEAVES_ONLY,
    MAIN,
    VIEWS,
    Copy,
    Kernel,
    Layout,
    ReductionGroup,
    VariableRead,
    fits,
    is_row,
)
from .words import describe


class Grouping:
    """The state of grouping one graph; `group` makes it."""

    def __init__(self, fusible: Fusible, graph: Graph, variables: Mapping[str, Variable]) -> None:
        self.items = fusible.items
        self.variables = variables
        self.fetches = fusible.results
        count = len(fusible.items)
        self.graph, self.item_of = graph, fusible.item_of
        self.kernels: dict[int, Kernel] = {}
        self.home: list[Kernel | None] = [None] * count
        self.level = [MAIN] * count
        self.ready = [LEAF] * count                 # order of the kernel that finishes it
        self.stored = [False] * count
        self.solid = [True] * count                 # read in its kernel, it has the shape it is declared with
        self.lazy = [False] * count
        self.depth = [0] * count
        self.transparent = [False] * count
        self.reader: dict[int, Kernel] = {}         # item -> latest kernel of maps that reads it whole
        self.products: dict[int, int] = {}          # operand b -> matmul that sums it over its rows
        self.variable_reads: dict[str, list[VariableRead]] = {}
        self.next_order, self.next_leaf_order = 0, LEAVES_ONLY
        self.scalars: dict[bool, Kernel] = {}       # latest kernel over a single number; True: of leaves only
        self.layouts: dict[int, Layout] = {}        # of views and of what is written into a concatenation
        self.notes: list[Note] = []
        self.copies: dict[int, list[Kernel]] = {}   # concat -> kernels that copy an operand into it

    # --- looking at operands ------------------------------------------------------------------------------------
    def seen_through(self, operand: int, compute: str, shape: Shape | None = None) -> int:
        """The operand, or what it merely broadcasts or widens, if reading that gives the same numbers."""
        items = self.items
        while self.transparent[operand]:
            source = items[operand].inputs[0]
            if shape is not None and items[source].shape != shape:
                break
            if items[source].type.dtype != items[operand].type.dtype and compute != items[operand].type.dtype:
                break
            operand = source
        return operand

    def operands(self, item: Item) -> list[int]:
        if item.kind == "map":
            return [self.seen_through(i, item.compute) for i in item.inputs]
        return [self.seen_through(i, item.compute, self.items[i].shape) for i in item.inputs]

    def body_alias(self, id: int, kernel: Kernel) -> int:
        """The member of a reduction's body that a reshape of its result shows, or the item itself."""
        items = self.items
        while items[id].kind == "reshape" and self.ready[id] == kernel.order:
            source = items[id].inputs[0]
            if without_leading_ones(items[source].shape) != without_leading_ones(items[id].shape):
                break
            id = source
        return id

    # --- kernels ------------------------------------------------------------------------------------------------
    def new_kernel(self, item: Item, shape: Shape, root: int | None = None, leaves_only: bool = False) -> Kernel:
        if leaves_only:
            order, self.next_leaf_order = self.next_leaf_order, self.next_leaf_order + 1
        else:
            order, self.next_order = self.next_order, self.next_order + 1
        dtype = item.compute if item.kind in ("map", "row", "total") else item.type.dtype
        kernel = Kernel(order, root, shape, dtype if dtype in FLOAT_DTYPES else item.type.dtype, item.origin)
        self.kernels[order] = kernel
        if shape == () and root is None:
            self.scalars[leaves_only] = kernel
        return kernel

    def store(self, id: int) -> None:
        """Something outside reads `id`: what it shows of must be in memory."""
        items, stored = self.items, self.stored
        while not stored[id]:
            stored[id] = True
            if items[id].kind not in VIEWS:
                return
            id = items[id].inputs[0]

    def read(self, kernel: Kernel, id: int, level: int | None, shape: Shape) -> None:
        """`kernel` reads `id`, which it does not hold itself."""
        item = self.items[id]
        if item.kind == "leaf":
            if item.attrs["op"] == "variable":
                self._read_variable(item, kernel, level, item.shape == shape)
            return
        self.store(id)
        if item.kind in VIEWS:
            base = item
            while base.kind in VIEWS:
                base = self.items[base.inputs[0]]
            if base.kind == "leaf" and base.attrs["op"] == "variable":
                self._read_variable(base, kernel, level, False)

    def _read_variable(self, item: Item, kernel: Kernel, level: int | None, elementwise: bool) -> None:
        reads = self.variable_reads.setdefault(item.attrs["name"], [])
        reads.append(VariableRead(kernel.order, level, elementwise and level is not None))

    # --- maps and row reductions --------------------------------------------------------------------------------
    def demand(self, id: int) -> None:
        """See to it that a lazy item is computed somewhere."""
        if self.lazy[id] and self.home[id] is None:
            self.place(id)

    def place(self, id: int) -> None:
        """Find a kernel for a map or row reduction, and for the lazy items it needs."""
        item = self.items[id]
        space = item.shape if item.kind == "map" else self.items[item.inputs[0]].shape
        pending: list[int] = []
        external: list[int] = []
        self.collect(item, space, pending, external)
        kernel, level = self._choose(item, space, pending, external)
        for member in pending:
            self._note_waited(self.items[member], kernel)
        for member in (*pending, id):
            self.join(kernel, level, member)

    def _note_waited(self, item: Item, kernel: Kernel) -> None:
        """Say so if an item runs later than it could, because only the backward pass reads it."""
        could = max((self.ready[i] for i in self.operands(item)), default=LEAF)
        if 0 <= could < kernel.order and item.shape[:1] == (BATCH,):
            words = describe(item, [self.items[i] for i in item.inputs])
            text = f"{words} waits for the backward pass, until which it would have to be kept in memory"
            self.notes.append(Note(item.origin, text, True))

    def collect(self, item: Item, space: Shape, pending: list[int], external: list[int]) -> None:
        """Lazy items that can be computed in the same body, and everything else that is read."""
        for operand in self.operands(item):
            if not self.lazy[operand] or self.home[operand] is not None:
                external.append(operand)
            elif self.items[operand].kind == "map" and fits(self.items[operand].shape, space) and item.kind == "map":
                if operand not in pending:
                    self.collect(self.items[operand], space, pending, external)
                    pending.append(operand)
            else:
                self.place(operand)
                external.append(operand)

    def _choose(self, item: Item, space: Shape, pending: list[int], external: list[int]) -> tuple[Kernel, int]:
        latest = max((self.ready[i] for i in external), default=LEAF)
        size = len(pending) + 1
        if latest != LEAF:
            kernel = self.kernels[latest]
            if self.accepts(kernel, item, space, external, size):
                return kernel, MAIN
            level = self.accepting_reduction(kernel, item, pending, external, size)
            if level is not None:
                return kernel, level
        for operand in external:
            sibling = self.reader.get(operand)
            if sibling is not None and sibling.order >= latest and self.accepts(sibling, item, space, external, size):
                return sibling, MAIN
        leaves_only = latest < 0
        if space == ():
            scalar = self.scalars.get(leaves_only)
            if scalar is not None and scalar.order >= latest and self.accepts(scalar, item, space, external, size):
                return scalar, MAIN
        if latest != LEAF:
            self._note_apart(item, space, self.kernels[latest], external, size)
        return self.new_kernel(item, space, leaves_only=leaves_only), MAIN

    def _note_apart(self, item: Item, space: Shape, kernel: Kernel, external: list[int], size: int) -> None:
        """Say why an item starts a kernel of its own and does not join that of its latest operand."""
        operands = [self.items[i] for i in external if self.ready[i] == kernel.order]
        if kernel.size + size > BODY_LIMIT:
            why = f"the step before it has {kernel.size} formulas already"
        elif any(operand.kind in VIEWS or operand.kind == "concat" for operand in operands):
            why = "it reads another shape of what the step before it makes"
        elif any(self.level[operand.id] != MAIN for operand in operands):
            why = "it waits for a sum over the batch"
        elif item.kind == "row" and kernel.root is not None:
            why = f"it needs whole rows, and a {self.items[kernel.root].kind} hands on single elements"
        else:
            why = "its shape is not that of the step before it"
        words = describe(item, [self.items[i] for i in item.inputs])
        self.notes.append(Note(item.origin, f"{words} starts a step of its own: {why}", False))

    def accepts(self, kernel: Kernel, item: Item, space: Shape, external: list[int], size: int) -> bool:
        if kernel.size + size > BODY_LIMIT:
            return False
        if item.kind == "row" and (kernel.root is not None or kernel.shape != space):
            return False
        if not (fits(space, kernel.shape) or self._can_widen(kernel, space)):
            return False
        order, home, level, ready = kernel.order, self.home, self.level, self.ready
        for operand in external:
            if ready[operand] == order:
                if home[operand] is not kernel or level[operand] != MAIN:
                    return False
                if item.kind == "row" and not self.solid[operand]:
                    return False
        return True

    def _can_widen(self, kernel: Kernel, space: Shape) -> bool:
        """A kernel over rows of one number may go on over whole rows."""
        return kernel.root is None and not kernel.updates and is_row(kernel.shape, space)

    def accepting_reduction(
        self, kernel: Kernel, item: Item, pending: list[int], external: list[int], size: int
    ) -> int | None:
        """Level of the one reduction of `kernel` in whose body the item can run, if there is such a one."""
        if item.kind != "map" or kernel.size + size > BODY_LIMIT:
            return None
        shape, level = without_leading_ones(item.shape), None
        for operand in external:
            if self.ready[operand] != kernel.order:
                continue
            member = self.body_alias(operand, kernel)
            if self.home[member] is not kernel or self.level[member] == MAIN or level not in (None, self.level[member]):
                return None
            level = self.level[member]
        if level is None or kernel.reductions[level].shape != shape:
            return None
        if any(without_leading_ones(self.items[i].shape) != shape for i in pending):
            return None
        return level

    def join(self, kernel: Kernel, level: int, id: int) -> None:
        item = self.items[id]
        if level == MAIN:
            kernel.members.append(id)
            if kernel.root is None and kernel.shape != item.shape and is_row(kernel.shape, item.shape):
                kernel.shape = item.shape
            space = kernel.shape
        else:
            kernel.reductions[level].members.append(id)
            space = kernel.reductions[level].shape
        kernel.size += 1
        self.home[id], self.level[id], self.ready[id] = kernel, level, kernel.order
        shapes = []
        for operand in self.operands(item):
            inside = operand if level == MAIN else self.body_alias(operand, kernel)
            if self.home[inside] is kernel and self.level[inside] == level:
                shapes.append(self._shape_inside(inside))
                continue
            self.read(kernel, operand, level, space)
            shapes.append(self.items[operand].shape)
            if level == MAIN and kernel.root is None and self.items[operand].shape == space:
                self.reader[operand] = kernel
        if item.kind == "map" and (not shapes or any(shape != item.shape for shape in shapes)):
            self.solid[id] = level == MAIN and broadcast_shapes(tuple(shapes)) == item.shape

    def _shape_inside(self, id: int) -> Shape:
        """An unsolid item counts as one number: no more is known of the shape it has in its body."""
        return self.items[id].shape if self.solid[id] else ()

    def fetch(self, id: int) -> None:
        """A result: it must be in memory after the last step."""
        self.demand(id)
        if self.items[id].kind != "leaf":
            self.store(id)

    # --- roots and reductions over all --------------------------------------------------------------------------
    def place_root(self, item: Item) -> None:
        for operand in item.inputs:
            self.demand(operand)
        kernel = self.new_kernel(item, item.shape, item.id)
        for operand in item.inputs:
            self.read(kernel, operand, None, ())
        self.home[item.id], self.ready[item.id] = kernel, kernel.order

    def place_total(self, item: Item) -> None:
        """Attach a reduction over all or all but the last axis to the kernel that has its operand."""
        operand = item.inputs[0]
        product = self.products.get(operand) if item.axes == "leading" and item.operator == "sum" else None
        if product is not None:
            self._add_reduction(self._home(product), item, None)
            return
        (seen,) = self.operands(item)
        space = self.items[seen].shape
        self.demand(seen)
        kernel = self.home[seen]
        if kernel is None or self.level[seen] != MAIN or not self.solid[seen] or not self._spans(kernel, space, item):
            kernel = self._kernel_reading(item, seen, space)
        if self.home[seen] is not kernel:
            self.read(kernel, seen, MAIN, space)
            self.reader[seen] = kernel
        self._add_reduction(kernel, item, seen)

    def _spans(self, kernel: Kernel, space: Shape, item: Item) -> bool:
        return kernel.shape == space or (item.axes == "all" and is_row(space, kernel.shape))

    def _kernel_reading(self, item: Item, operand: int, space: Shape) -> Kernel:
        """A kernel over `space` that reads the operand from memory."""
        sibling = self.reader.get(operand)
        if sibling is not None and sibling.shape == space and sibling.order > self.ready[operand]:
            return sibling
        kernel = self.new_kernel(item, space, leaves_only=self.ready[operand] < 0)
        kernel.dtype = self.items[operand].type.dtype
        return kernel

    def _add_reduction(self, kernel: Kernel, item: Item, of: int | None) -> None:
        self.level[item.id] = len(kernel.reductions)
        kernel.reductions.append(ReductionGroup(item.id, of, canonical(item)))
        self.home[item.id], self.ready[item.id] = kernel, kernel.order

    def _home(self, id: int) -> Kernel:
        kernel = self.home[id]
        assert kernel is not None, self.items[id]
        return kernel

    # --- views and concatenations -------------------------------------------------------------------------------
    def layout(self, id: int) -> Layout:
        found = self.layouts.get(id)
        return found if found is not None else Layout(id, 0, row_major(self.items[id].shape))

    def place_view(self, item: Item) -> None:
        """Show the operand where it lies, or copy it if no strides show it so."""
        source = item.inputs[0]
        self.demand(source)
        base, shape = self.layout(source), self.items[source].shape
        self.ready[item.id] = self.ready[source]
        if item.kind == "slice":
            axis, start = item.attrs["axis"], item.attrs["start"]
            self.layouts[item.id] = Layout(base.root, base.offset + start * base.strides[axis], base.strides)
        elif item.kind == "permute":
            strides = tuple(base.strides[axis] for axis in item.attrs["order"])
            self.layouts[item.id] = Layout(base.root, base.offset, strides)
        elif (reshaped := reshape_strides(shape, base.strides, item.shape)) is not None:
            self.layouts[item.id] = Layout(base.root, base.offset, reshaped)
        else:
            kernel = self._copy(item, Copy(source, item.id, 0, row_major(shape)))
            self.home[item.id] = kernel
            self.notes.append(Note(item.origin, "reshape copies: its operand lies with gaps", False))

    def place_concat(self, item: Item) -> None:
        """Copy the operands that are not written in place."""
        layout, axis, start = self.layout(item.id), item.attrs["axis"], 0
        for operand in item.inputs:
            self.demand(operand)
            root = self.root_item(operand)
            placed = self.layouts.get(root)
            offset = layout.offset + start * layout.strides[axis]
            if placed is not None and placed.root == layout.root and self.layout(operand).offset == offset:
                self.store(operand)
                self.ready[item.id] = max(self.ready[item.id], self.ready[operand])
            else:
                kernel = self._copy(item, Copy(operand, item.id, offset, layout.strides))
                self.copies.setdefault(item.id, []).append(kernel)
                self.notes.append(Note(item.origin, f"concatenation copies {self.items[root].origin}", False))
            start += self.items[operand].shape[axis]
        if item.id not in self.copies:
            self.notes.append(Note(item.origin, "concatenation is written in place by what makes its parts", True))

    def root_item(self, id: int) -> int:
        """What a reshape shows."""
        while self.items[id].kind == "reshape" and self.home[id] is None:
            id = self.items[id].inputs[0]
        return id

    def _copy(self, item: Item, copy: Copy) -> Kernel:
        source = self.items[copy.source]
        kernel = self.new_kernel(item, source.shape, leaves_only=self.ready[copy.source] < 0)
        kernel.dtype, kernel.copy = source.type.dtype, copy
        self.read(kernel, copy.source, MAIN, source.shape)
        self.ready[item.id] = max(self.ready[item.id], kernel.order)
        return kernel

    def space_type(self, kernel: Kernel) -> TensorType:
        return TensorType(kernel.dtype, kernel.shape)
