"""Whether the bytes a program reads are those that were meant: written before they are read, and still there.

Every buffer has a root, itself or the buffer it is a view of. Walking through the steps, a root is live from its first
store until another root's store touches its bytes. What a step reads must be live and stored to in full.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Final

from .plan import Body, Buffer, Program, Step
from .types import BATCH, ITEM_SIZE, TensorType
from .verify_steps import require
from .views import row_major

MOST_RUNS: Final = 2**20       # pieces a view may have within one row
Runs = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Region:
    """The elements of its root that a buffer shows: runs (start, end) within one row of the batch, if there is one."""

    root: int
    runs: Runs


@dataclass(slots=True)
class _Live:
    """A live root and what of it is written: runs, sorted and joined."""

    written: list[tuple[int, int]] = field(default_factory=list)


def row_elements(type: TensorType) -> int:
    return prod(dim for dim in type.shape if dim != BATCH)


def region(buffers: Sequence[Buffer], id: int) -> Region:
    """Where a buffer lies in its root. Raises Unsound unless it lies inside, row in row."""
    buffer = buffers[id]
    if buffer.root < 0:
        return Region(id, ((0, row_elements(buffer.type)),))
    root = buffers[buffer.root]
    item = ITEM_SIZE[buffer.type.dtype]
    is_root = root.root < 0 and root.kind == buffer.kind and root.type.dtype == buffer.type.dtype
    require(is_root, "a view has a root of another kind")
    start, rest = divmod(buffer.offset - root.offset, item)
    require(rest == 0 and start >= 0, "a view begins before its root")
    shape, strides, row = buffer.type.shape, buffer.strides, row_elements(root.type)
    require(buffer.type.has_batch == root.type.has_batch, "a view and its root differ in the batch")
    if buffer.type.has_batch:
        require(strides[0] == row, "the rows of a view are not those of its root")
        shape, strides = shape[1:], strides[1:]
    runs = _runs(tuple(int(dim) for dim in shape), strides, start)
    require(runs[-1][1] <= row, "a view ends after its root")
    return Region(buffer.root, runs)


def _runs(shape: tuple[int, ...], strides: tuple[int, ...], start: int) -> Runs:
    """Sorted and joined pieces without gaps."""
    length, axis = 1, len(shape)
    while axis and (shape[axis - 1] == 1 or strides[axis - 1] == length):
        length *= shape[axis - 1]
        axis -= 1
    outer = [(dim, stride) for dim, stride in zip(shape[:axis], strides[:axis], strict=True) if dim != 1]
    require(prod(dim for dim, _ in outer) <= MOST_RUNS, "a view has too many pieces")
    offsets = [range(0, dim * stride, stride) if stride else range(1) for dim, stride in outer]
    pieces = sorted(start + sum(parts) for parts in product(*offsets))
    return tuple(_joined([(piece, piece + length) for piece in pieces]))


def _joined(runs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    result: list[tuple[int, int]] = []
    for start, end in runs:
        if result and start <= result[-1][1]:
            result[-1] = result[-1][0], max(end, result[-1][1])
        else:
            result.append((start, end))
    return result


def covers(outer: Sequence[tuple[int, int]], inner: Runs) -> bool:
    """Whether every run of `inner` lies within one of `outer`."""
    for start, end in inner:
        index = bisect_left(outer, (start + 1,)) - 1
        if index < 0 or outer[index][1] < end:
            return False
    return True


def disjoint(a: Runs, b: Runs) -> bool:
    """Whether no run of `a` overlaps one of `b`."""
    i = j = 0
    while i < len(a) and j < len(b):
        if a[i][1] <= b[j][0]:
            i += 1
        elif b[j][1] <= a[i][0]:
            j += 1
        else:
            return False
    return True


class MemoryCheck:
    """Follows one program. `fixed`: variables and constants, which are always live; constants are never written."""

    def __init__(self, buffers: Sequence[Buffer], regions: Sequence[Region], batch_size: int) -> None:
        self.buffers, self.regions, self.batch_size = buffers, regions, batch_size
        self.fixed = {
            id for id, buffer in enumerate(buffers) if buffer.root < 0 and buffer.kind in ("variable", "constant")
        }
        self.fixed_bytes = [self._extent(id) for id in sorted(self.fixed, key=lambda id: buffers[id].offset)]
        self.live: dict[int, _Live] = {}
        self.occupied: list[tuple[int, int, int]] = []     # (offset, end, root) of live roots, sorted

    def _extent(self, root: int) -> tuple[int, int, int]:
        buffer = self.buffers[root]
        return buffer.offset, buffer.offset + buffer.type.size_bytes(self.batch_size), root

    def run(self, program: Program) -> None:
        """Raises Unsound at the first step that reads or overwrites what it must not."""
        for _, id in program.feeds:
            self._begin_feed(id)
        for number, step in enumerate(program.steps):
            try:
                self._step(step)
            except Exception as problem:
                problem.args = (f"step {number}: {problem}",)
                raise
        for name, id in program.fetches:
            self._check_read(id, f"the result `{name[:60]}`")

    def _begin_feed(self, id: int) -> None:
        require(self.buffers[id].kind == "input" and self.buffers[id].root < 0, "what is fed is no input")
        require(id not in self.live and not self._overlapping(id), "two inputs share bytes")
        self._write(id)

    def _step(self, step: Step) -> None:
        read = set(step.operands)
        for body in (step.body, *(reduction.body for reduction in step.reductions)):
            read.update(id for _, id in body.operands)
        for id in sorted(read):
            self._check_read(id, f"`{self.buffers[id].name[:60]}`")
        stored = [(id, level) for level, body in _leveled(step) for id, _ in body.stores]
        for id, level in stored:
            self._check_store(step, id, level)
        for position, (id, _) in enumerate(stored):
            for other, _ in stored[:position]:
                require(not self._share_bytes(id, other), "two values are stored in one place")
        for id, _ in stored:
            self._write(id)

    def _check_read(self, id: int, what: str) -> None:
        region = self.regions[id]
        if region.root in self.fixed:
            return
        live = self.live.get(region.root)
        require(live is not None and covers(live.written, region.runs), f"{what} is read before it is written")

    # --- stores -------------------------------------------------------------------------------------------------
    def _check_store(self, step: Step, id: int, level: int) -> None:
        buffer = self.buffers[id]
        require(buffer.kind in ("variable", "temporary"), f"a {buffer.kind[:20]} is written")
        for other_level, name, other in _reads_by_level(step):
            if not self._share_bytes(id, other):
                continue
            if other_level is None or other_level < level:
                # done before a reduction's body runs; the main body runs beside its root
                require(level > -1, "an operand of the kernel is overwritten")
            else:
                same = self._same_place(id, other)
                require(other_level == level and same, f"`{name}` is overwritten before it is read everywhere")
        if level == -1 and step.reductions:
            names = {str(reduction.expr.value) for reduction in step.reductions}
            for name, other in step.body.operands:
                is_safe = name not in names or not self._share_bytes(id, other)
                require(is_safe, f"`{name}` is overwritten and then reduced")

    def _same_place(self, a: int, b: int) -> bool:
        one, two = self.buffers[a], self.buffers[b]
        return (one.offset, one.type, one.strides) == (two.offset, two.type, two.strides)

    def _share_bytes(self, a: int, b: int) -> bool:
        one, two = self.regions[a], self.regions[b]
        if one.root == two.root:
            return not disjoint(one.runs, two.runs)
        first, second = self._extent(one.root), self._extent(two.root)
        return first[0] < second[1] and second[0] < first[1]

    def _write(self, id: int) -> None:
        region = self.regions[id]
        if region.root in self.fixed:
            require(self.buffers[region.root].kind == "variable", "a constant is written")
            return
        live = self.live.get(region.root)
        if live is None:
            for other in self._overlapping(region.root):
                self._end(other)
            live = self.live[region.root] = _Live()
            insort(self.occupied, self._extent(region.root))
        elif live.written == [(0, row_elements(self.buffers[region.root].type))]:
            return
        live.written = _joined(sorted([*live.written, *region.runs]))

    def _overlapping(self, root: int) -> list[int]:
        """Live roots whose bytes a root takes. Raises Unsound if a variable or constant is among them."""
        start, end, _ = self._extent(root)
        if start == end:
            return []
        index = bisect_left(self.fixed_bytes, (end,)) - 1
        require(index < 0 or self.fixed_bytes[index][1] <= start, "a variable or constant would be overwritten")
        found = []
        index = bisect_left(self.occupied, (end,)) - 1
        while index >= 0 and self.occupied[index][1] > start:
            found.append(self.occupied[index][2])
            index -= 1
        return found

    def _end(self, root: int) -> None:
        del self.live[root]
        del self.occupied[bisect_left(self.occupied, self._extent(root))]


def _leveled(step: Step) -> list[tuple[int, Body]]:
    return [(-1, step.body), *enumerate([reduction.body for reduction in step.reductions])]


def _reads_by_level(step: Step) -> list[tuple[int | None, str, int]]:
    """What a step reads: level None for the kernel's own operands, -1 for the body's, then the reductions'."""
    found: list[tuple[int | None, str, int]] = [(None, f"operand {k}", id) for k, id in enumerate(step.operands)]
    for level, body in _leveled(step):
        found += [(level, name, id) for name, id in body.operands]
    return found


def has_gaps_or_overlaps(buffer: Buffer) -> bool:
    """Whether a root's elements do not lie one after the other."""
    return buffer.strides != row_major(buffer.type.shape)
