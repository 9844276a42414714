"""How the elements of a weight matrix lie: row by row, or in panels.

A panel is a block of columns as wide as a tile of a product; its rows lie one after another, so that a product reads
it as one stream, and the tile that an update writes is one piece of memory. The elements of a panelled matrix fill the
bytes that the plan gave it: only their order is another. A matrix K x N with panels of 48 columns:

    element (k, n) of the panel that begins at column c and has w columns: c * K + k * w + (n - c)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ..plan import Buffer, Plan, Step
from ..types import BATCH, FLOAT_DTYPES
from ..views import row_major
from .target import Target

_ELEMENTWISE: Final = "elementwise"


@dataclass(frozen=True, slots=True)
class Run:
    """Panels of one width, one after another: the first column, how many panels, columns of each."""

    column: int
    count: int
    columns: int


def panel_runs(columns: int, lanes: int, width: int) -> tuple[Run, ...]:
    """Panels of `width` vectors that cover `columns`, the last as narrow as need be."""
    vectors = -(-columns // lanes)
    widths = [min(width, vectors - start) for start in range(0, vectors, width)]
    runs: list[Run] = []
    start = 0
    for vectors_wide in widths:
        taken = min(vectors_wide * lanes, columns - start)
        last = runs[-1] if runs else None
        if last is not None and last.columns == taken:
            runs[-1] = Run(last.column, last.count + 1, taken)
        else:
            runs.append(Run(start, 1, taken))
        start += taken
    return tuple(runs)


def panelled(plan: Plan, target: Target) -> frozenset[int]:
    """The buffers that lie in panels: weights that products read, and what is combined with them element by element.

    A buffer has rows wherever a use needs them; buffers of one shape that meet element by element lie alike.
    """
    return _Uses(plan).panelled()


class _Uses:
    """Collects how each matrix is used: which go together, and which must keep their rows."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._parent = list(range(len(plan.buffers)))
        self._needs_rows = [not _may_be_panelled(buffer) for buffer in plan.buffers]
        self._is_streamed = [False] * len(plan.buffers)
        self._shown: dict[tuple[int, str], list[int]] = {}
        for program in plan.programs:
            for _, id in (*program.feeds, *program.fetches):
                self._needs_rows[id] = True
            for step in program.steps:
                self._look(step)
        for id, buffer in enumerate(plan.buffers):
            if buffer.root >= 0:
                self._needs_rows[buffer.root] = self._needs_rows[id] = True

    def panelled(self) -> frozenset[int]:
        rows, streamed = set[int](), set[int]()
        for id in range(len(self.plan.buffers)):
            root = self._find(id)
            if self._needs_rows[id]:
                rows.add(root)
            if self._is_streamed[id]:
                streamed.add(root)
        return frozenset(
            id for id in range(len(self.plan.buffers)) if self._find(id) in streamed and self._find(id) not in rows
        )

    def _look(self, step: Step) -> None:
        buffers = self.plan.buffers
        used = [id for _, id in step.body.operands] + [id for id, _ in step.body.stores]
        if step.kernel == "matmul":
            self._needs_rows[step.operands[0]] = True
            is_summed = any(str(r.expr.value) == "b" for r in step.reductions)
            if buffers[step.operands[1]].type.has_batch or is_summed:
                self._needs_rows[step.operands[1]] = True
            else:
                self._is_streamed[step.operands[1]] = True
        else:
            for id in step.operands:
                self._needs_rows[id] = True
        for reduction in step.reductions:
            for id in (*(i for _, i in reduction.body.operands), *(i for i, _ in reduction.body.stores)):
                self._needs_rows[id] = True
        whole = [id for id in used if buffers[id].type.shape == step.space.shape]
        if self._is_elementwise(step, used):
            self._join(whole)
        else:
            for id in used:
                self._needs_rows[id] = True

    def _is_elementwise(self, step: Step, used: Iterable[int]) -> bool:
        """Whether the order of elements makes no difference to a step, or it knows both orders."""
        if len(step.space.shape) != 2 or BATCH in step.space.shape:
            return False
        if step.kernel == "matmul":
            return all(r.expr.value == "b" for r in step.reductions)
        buffers, space = self.plan.buffers, step.space.shape
        return (
            step.kernel == "map"
            and all(s.kind == "map" for s in step.body.statements)
            and all(r.axes == "all" for r in step.reductions)
            and all(buffers[id].type.shape == space or not any(d != 1 for d in buffers[id].type.shape) for id in used)
        )

    def _join(self, ids: list[int]) -> None:
        for id in ids[1:]:
            self._parent[self._find(id)] = self._find(ids[0])

    def _find(self, id: int) -> int:
        while self._parent[id] != id:
            self._parent[id] = self._parent[self._parent[id]]
            id = self._parent[id]
        return id


def _may_be_panelled(buffer: Buffer) -> bool:
    """A matrix of its own, with rows one after another."""
    type = buffer.type
    return (
        buffer.kind in ("variable", "temporary")
        and len(type.shape) == 2
        and not type.has_batch
        and type.dtype in FLOAT_DTYPES
        and min(d for d in type.shape if isinstance(d, int)) > 1
        and buffer.strides == row_major(type.shape)
    )
