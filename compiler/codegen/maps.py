"""Steps that run through a space: maps, rows by index, sums by index, random numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from math import prod
from typing import Final

from ..plan import Buffer, Plan, Step
from ..types import ITEM_SIZE, TensorType
from ..views import row_major
from .across import AcrossPrinter, fits_across
from .bodies import BodyPrinter, Known
from .calls import SMALL_WORK, Arguments, Call, Piece, body_cycles, head
from .expressions import SUFFIX
from .nest import Nest
from .places import Level, Place, linear, longest, times
from .reductions import Partials, Sums, finish_call, piece_spans
from .source import Source
from .target import Target

_ACC: Final = -1        # stands for the root's result among the buffers of a nest
_INDEX: Final = -2
_ROOT_CYCLES: Final = {"map": 0, "gather": 2, "scatter_add": 8, "random": 60}    # for each vector, roughly


_NONE: Final[Mapping[int, int]] = {}
KERNELS_OF_MAPS: Final = frozenset(_ROOT_CYCLES)


def map_calls(
    plan: Plan,
    step: Step,
    number: int,
    target: Target,
    result: Piece | None = None,
    gathered: Mapping[int, int] = _NONE,
) -> list[Call]:
    """The functions of a step that runs through its space, in the order to call them.

    result: where the root's result already lies, row by row, of a kernel that is none of these. gathered: buffers whose
    samples are read in the data set -> number of the feed.
    """
    return _MapPrinter(plan, step, number, target, result, gathered).calls()


class _MapPrinter:
    def __init__(
        self, plan: Plan, step: Step, number: int, target: Target, result: Piece | None, gathered: Mapping[int, int]
    ) -> None:
        self.plan, self.step, self.number, self.target, self.result = plan, step, number, target, result
        self.gathered = gathered
        self.arguments = Arguments(plan)
        body = step.body
        ids = [id for _, id in body.operands] + [id for id, _ in body.stores]
        self.keeps_rows = (
            step.kernel in ("gather", "scatter_add")
            or any(s.kind != "map" for s in body.statements)
            or any(r.axes == "leading" for r in step.reductions)
        )
        buffers: dict[int, Buffer] = {id: self._lying(id) for id in ids} | self._root_buffers()
        space = step.space.shape if step.space.shape or not self.keeps_rows else (1,)
        self.nest = Nest.over(space, buffers, list(buffers), self.keeps_rows)
        row = self.nest.lengths[-1] if self.nest.lengths else 1
        self.row = row
        work = self._vectors() * _cycles(step)
        self.is_shared = work > target.small(SMALL_WORK) and len(self.nest.lengths) > self.keeps_rows
        self.sums = Sums(
            step.reductions, number, target.chunks if self.is_shared else 1, row, target, self.arguments
        )
        stores = {id for id, _ in body.stores}
        places = {
            id: self.nest.place(id, plan.buffers[id], self._pointer(id, id in stores)) for id in dict.fromkeys(ids)
        }
        self.pieces: list[Piece] = []
        self.is_by_vectors = False
        self.is_across = step.kernel == "map" and self.keeps_rows and fits_across(
            body, self.nest, places, step.reductions, target
        )
        if self.is_across:
            self.body: BodyPrinter = AcrossPrinter(
                body, places, target.lanes, self.nest, step.reductions, self.sums.accumulate
            )
            return
        self.body = BodyPrinter(
            body, places, target.lanes, row if self.keeps_rows and isinstance(row, int) else 0,
            self._acc(), step.reductions, self.sums.accumulate,
        )  # fmt: skip
        self.is_by_vectors = target.is_warp and self._fits_by_vectors()
        self.sums.by_columns = self.is_by_vectors

    def _fits_by_vectors(self) -> bool:
        """Whether workers can share rows and the vectors in them alike: all that is done is done element by element."""
        levels = [self.body.places[id].level for id, _ in self.step.body.stores]
        values = [self.body.known.get(str(r.expr.value)) for r in self.step.reductions]
        return (
            len(self.nest.lengths) > 1
            and self.step.kernel not in ("random", "scatter_add")
            and all(statement.kind == "map" for statement in self.step.body.statements)
            and all(level == Level.ELEMENT for level in levels)
            and all(reduction.axes == "leading" for reduction in self.step.reductions)
            and all(value is not None and value.level == Level.ELEMENT for value in values)
        )

    def _vectors(self) -> int:
        """How many vectors the loops run through, with a full batch."""
        cells = prod(self.step.space.concrete(self.plan.batch_size))
        if not self.keeps_rows or not isinstance(self.row, int):
            return -(-cells // self.target.lanes)
        return cells // self.row * -(-self.row // self.target.lanes)

    def _lying(self, id: int) -> Buffer:
        """A buffer as the loops step through it: the pointer to a gathered sample already says which one it is."""
        buffer = self.plan.buffers[id]
        return replace(buffer, strides=(0, *buffer.strides[1:])) if id in self.gathered else buffer

    def _pointer(self, id: int, is_written: bool) -> str:
        if id in self.gathered:
            return self.arguments.sample(id, self.gathered[id])
        return self.arguments.pointer(id, is_written)

    # --- the root ---------------------------------------------------------------------------------------------------
    def _root_buffers(self) -> dict[int, Buffer]:
        """What a root reads or makes, as the loops have to step through it."""
        step, space = self.step, self.step.space
        if step.kernel == "gather":
            indices = self.plan.buffers[step.operands[1]]
            shape = (*indices.type.shape, 1)
            return {_INDEX: replace(indices, type=indices.type.with_shape(shape), strides=(*indices.strides, 0))}
        if step.kernel in ("scatter_add", "random") or self.result is not None:
            return {_ACC: Buffer("acc", "temporary", space, row_major(space.shape), 0, "")}
        return {}

    def _acc(self) -> tuple[Place | None, Known] | None:
        step, dtype = self.step, self.step.space.dtype
        if step.kernel == "map":
            return None
        if step.kernel == "gather":
            level = Level.ELEMENT if self.row != 1 else Level.ROW
            return Place("row", dtype, level, "j" if self.row != 1 else "0"), Known(level, 0, dtype)
        piece = self.result
        if piece is None:
            size = prod(step.space.concrete(self.plan.batch_size)) * ITEM_SIZE[dtype]
            piece = Piece("result", self.number, size)
            self.pieces.append(piece)
        pointer = self.arguments.piece(piece, dtype)
        made = Buffer("acc", "temporary", TensorType(dtype, ()), (), 0, "")
        place = self.nest.place(_ACC, made, pointer)
        return place, Known(place.level, 0, dtype)

    def _fill(self, source: Source) -> None:
        """What the root computes before the loops, for the thread's own part of the space."""
        step, plan = self.step, self.plan
        stride = self.nest.strides[_ACC][0] if self.nest.lengths else 1
        if step.kernel == "random":
            attrs = dict(step.attrs)
            counter = f"(uint32_t)(int64_t)*{self.arguments.pointer(step.operands[0])}"
            key = f"random_key_of(0x{plan.seed % 2**64:x}u, {counter}, {attrs['stream']}u)"
            start, count = ("0", "1")
            if self.nest.lengths:
                start, count = f"part.first * {stride}", f"(part.last - part.first) * {stride}"
            source.line(f"fill_{attrs['distribution']}({key}, {start}, {count}, result + {start});")
        elif step.kernel == "scatter_add":
            self._scatter(source)

    def _scatter(self, source: Source) -> None:
        """Zero the rows of the thread's part, then add to them. Both operands may lie in slices of larger tensors."""
        step, plan = self.step, self.plan
        indices, rows = (plan.buffers[id] for id in step.operands)
        p_indices, p_rows = (self.arguments.pointer(id) for id in step.operands)
        size, width = step.space.concrete(plan.batch_size)
        part = "part" if len(self.nest.lengths) == 2 else f"whole_of({size})"
        kind = SUFFIX[rows.type.dtype]
        source.line(f"fill_{kind}(result + ({part}).first * {width}, (({part}).last - ({part}).first) * {width}, 0);")
        assert rows.strides[-1] == 1 or width == 1, "a row's elements lie side by side"
        shape = indices.type.shape
        of_rows = replace(rows, type=rows.type.with_shape(shape), strides=rows.strides[:-1])
        nest = Nest.over(shape, {0: indices, 1: of_rows}, [0, 1], keeps_rows=False)
        names = [f"r{k}" for k in range(len(nest.lengths) - 1)]
        places = [
            f"{pointer} + {linear(names, nest.strides[k][:-1])}" if names else pointer
            for k, pointer in enumerate((p_indices, p_rows))
        ]
        count = nest.lengths[-1] if nest.lengths else 1
        apart = [nest.strides[k][-1] if nest.lengths else 0 for k in (0, 1)]
        with ExitStack() as stack:
            for name, length in zip(names, nest.lengths, strict=False):
                stack.enter_context(source.block(f"for (long {name} = 0; {name} < {length}; {name}++)"))
            source.line(
                f"scatter_add_{kind}_{SUFFIX[indices.type.dtype]}(result, {part}, {width}, {places[0]}, {apart[0]}, "
                f"{count}, {places[1]}, {apart[1]});"
            )

    def _row_start(self) -> list[str]:
        if self.step.kernel != "gather":
            return []
        table, indices = self.step.operands
        type = self.plan.buffers[table].type
        width = self.plan.buffers[table].strides[0]
        index = linear(self.nest.indices, self.nest.strides[_INDEX])
        kind = "double" if type.dtype == "float64" else "float"
        line = f"const {kind} *row = {self.arguments.pointer(table)} + (long){self.arguments.pointer(indices)}[{index}]"
        return [f"{line} * {width};"]

    # --- the function -----------------------------------------------------------------------------------------------
    def calls(self) -> list[Call]:
        source = Source()
        with source.block("HEAD"):
            source.all(self.body.call_lines())
            if self.is_by_vectors:
                self._each_vector(source)
            else:
                self._each_part(source)
        return [self._call(source), *self._finishes()]

    def _each_part(self, source: Source) -> None:
        """The worker's part of the outermost loop; of each of its chunks, if there are sums."""
        with ExitStack() as stack:
            if self.step.reductions:
                source.line(f"const struct share chunks = share_of({self.sums.chunks}, worker);")
                stack.enter_context(source.block("for (long chunk = chunks.first; chunk < chunks.last; chunk++)"))
            self._part(source)
            if self.step.kernel in ("random", "scatter_add"):
                self._fill(source)
            self.sums.begin(source)
            if self.is_across:
                self._groups(source)
            elif self.nest.lengths:
                self._loops(source)
            else:
                source.all([*self._row_start(), *self.body.row_lines(0)])
            source.all(self.body.call_end_lines())
            self.sums.end(source)

    def _part(self, source: Source) -> None:
        """Which part of the outermost loop is the thread's, or the chunk's."""
        if not self.nest.lengths:
            return
        cut = "lanes" if len(self.nest.lengths) == 1 or self.is_across else "share"
        whom = f"part_of(chunk, {self.sums.chunks})" if self.step.reductions else "worker"
        source.line(f"const struct share part = {cut}_of({self.nest.lengths[0]}, {whom});")

    def _call(self, source: Source) -> Call:
        step, body = self.step, self.step.body
        arguments = self.arguments.all()
        read = [*step.operands, *(id for _, id in body.operands if id not in self.gathered)]
        made = piece_spans((*self.sums.pieces, *self.pieces))
        reads = (*self.arguments.spans(read), *piece_spans([self.result] if self.result else []))
        writes = (*self.arguments.spans(id for id, _ in body.stores), *made)
        text = str(source).replace("HEAD", head(arguments), 1)
        return Call(
            step.kernel, text, arguments, reads, writes, self.is_shared,
            self.body.scratch.size_bytes, parts=self._parts(),
        )  # fmt: skip

    def _parts(self) -> int:
        """How many workers the loops can keep busy."""
        if not self.is_shared:
            return 1
        outermost = self.sums.chunks if self.step.reductions else longest(self.nest.lengths[0], self.plan.batch_size)
        if self.is_by_vectors:
            return outermost * -(-longest(self.row, self.plan.batch_size) // self.target.lanes)
        if self.step.reductions:
            return outermost
        is_in_vectors = len(self.nest.lengths) == 1 or self.is_across
        return -(-outermost // self.target.lanes) if is_in_vectors else outermost

    def _finishes(self) -> Iterator[Call]:
        for number, (reduction, piece) in enumerate(zip(self.step.reductions, self.sums.pieces, strict=True)):
            length = self.sums.length(reduction)
            partials = Partials(self.sums.chunks, length, length, reduction.dtype, piece)
            yield finish_call(self.plan, reduction, number, partials, self.target)

    def _loops(self, source: Source) -> None:
        with ExitStack() as stack:
            for number, length in enumerate(self.nest.lengths[:-1]):
                start, end = ("part.first", "part.last") if number == 0 else ("0", str(length))
                index = f"i{number}"
                stack.enter_context(source.block(f"for (long {index} = {start}; {index} < {end}; {index}++)"))
            source.all(self._row_start())
            for number in range(self.body.passes):
                source.all(self.body.row_lines(number))
                self._row(source, number)
                source.all(self.body.after_lines(number))
            for number in range(self.body.passes, self.body.last_ready + 1):
                source.all(self.body.row_lines(number))
            source.all(self.body.row_end_lines())

    def _each_vector(self, source: Source) -> None:
        """The worker's share of all vectors: of each row, or of each chunk, down whose rows sums are taken."""
        length, lanes = self.row, self.target.lanes
        assert isinstance(length, int), "only the outermost loop runs over the batch"
        vectors, outermost, reductions = -(-length // lanes), self.nest.lengths[0], self.step.reductions
        outer = "chunk" if reductions else "i0"
        count = times(self.sums.chunks if reductions else outermost, vectors)
        source.line(f"const struct share all = share_of({count}, worker);")
        with source.block("for (long item = all.first; item < all.last; item++)"):
            source.line(f"const long {outer} = item / {vectors}, j = item % {vectors} * LANES;")
            source.line(f"const long n = {length} - j < LANES ? {length} - j : LANES;")
            loops = list(enumerate(self.nest.lengths[:-1]))[0 if reductions else 1 :]
            if reductions:
                whom = f"part_of(chunk, {self.sums.chunks})"
                source.line(f"const struct share part = share_of({outermost}, {whom});")
                self.sums.begin(source)
            with ExitStack() as stack:
                for number, end in loops:
                    first, last = ("part.first", "part.last") if number == 0 else ("0", str(end))
                    i = f"i{number}"
                    stack.enter_context(source.block(f"for (long {i} = {first}; {i} < {last}; {i}++)"))
                source.all([*self._row_start(), *self.body.row_lines(0), *self.body.element_lines(0, "n")])
            self.sums.end(source)

    def _groups(self, source: Source) -> None:
        """LANES rows at a time, a row in each lane."""
        assert isinstance(self.body, AcrossPrinter)
        with source.block("for (long i0 = part.first; i0 < part.last; i0 += LANES)"):
            source.line("const long n = part.last - i0 < LANES ? part.last - i0 : LANES;")
            self.body.print(source)

    def _row(self, source: Source, number: int) -> None:
        """The elements of a row, in one pass."""
        body, length = self.body, self.row
        if len(self.nest.lengths) == 1:
            self._lanes(source, number)
            return
        assert isinstance(length, int), "only the outermost loop runs over the batch"
        if self.keeps_rows and body.is_single:
            if number == 0:
                source.line("const long j = 0;")
            source.all(body.element_lines(number, self._n(length)))
            return
        whole = length // self.target.lanes * self.target.lanes
        if whole:
            with source.block(f"for (long j = 0; j < {whole}; j += LANES)"):
                source.all(body.element_lines(number, "LANES"))
        if length > whole:
            with source.block():
                source.line(f"const long j = {whole};")
                source.all(body.element_lines(number, str(length - whole)))

    def _lanes(self, source: Source, number: int) -> None:
        """The one loop that there is: the thread's part of it."""
        body = self.body
        if self.keeps_rows and body.is_single:
            if number == 0:
                source.line("const long j = 0;")
            source.all(body.element_lines(number, self._n(int(self.row))))
            return
        with source.block():
            source.line("long j = part.first;")
            with source.block("for (; j + LANES <= part.last; j += LANES)"):
                source.all(body.element_lines(number, "LANES"))
            if not isinstance(self.row, int) or self.row % self.target.lanes:
                with source.block("if (j < part.last)"):
                    source.line("const long n = part.last - j;")
                    source.all(body.element_lines(number, "n"))

    def _n(self, length: int) -> str:
        return "LANES" if length == self.target.lanes else str(length)


def _cycles(step: Step) -> int:
    """Instructions for each vector of the space, roughly."""
    return body_cycles(step.body) + _ROOT_CYCLES.get(step.kernel, 0)
