"""Reductions beyond a row: each part of the work leaves a partial result, and a second function finishes them.

The parts do not depend on the number of threads, and the partial results are combined in their order, so neither does
the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..plan import Plan, Reduction
from ..types import ITEM_SIZE
from .bodies import BodyPrinter, Known, combined, identity, masked
from .calls import SMALL_WORK, Arguments, Call, Piece, Span, head
from .expressions import SUFFIX, Typed, converted, lane_suffix
from .nest import Nest
from .places import Length, Level, vector_type
from .source import Source
from .target import Target


class Sums:
    """The partial results of a step that runs through its space: a vector, or a row, for each chunk of it.

    On a GPU a vector is folded into one number before it is stored. by_columns: a worker goes down one vector of the
    columns of a chunk, whose partial results it keeps in registers.
    """

    def __init__(
        self, reductions: Sequence[Reduction], step: int, chunks: int, row: Length, target: Target, arguments: Arguments
    ) -> None:
        self.reductions, self.chunks, self.row, self.target = reductions, chunks, row, target
        self.by_columns = False
        self.pieces: list[Piece] = []
        for number, reduction in enumerate(reductions):
            length = self.length(reduction)
            piece = Piece(f"sums{number}", step, chunks * length * ITEM_SIZE[reduction.dtype])
            arguments.piece(piece, reduction.dtype)
            self.pieces.append(piece)

    def length(self, reduction: Reduction) -> int:
        """Numbers in each partial result."""
        if reduction.axes == "all":
            return 1 if self.target.is_warp else self.target.lanes
        assert isinstance(self.row, int)
        return self.row

    def begin(self, source: Source) -> None:
        """Lines at the start of a chunk."""
        for number, reduction in enumerate(self.reductions):
            kind, start = lane_suffix(reduction.dtype), identity(reduction.operator, reduction.dtype)
            if reduction.axes == "all" or self.by_columns:
                source.line(f"{vector_type(reduction.dtype)} sum{number} = all_{kind}({start});")
            else:
                source.line(f"fill_{kind}(sums{number} + chunk * {self.row}, {self.row}, {start});")

    def accumulate(self, number: int, value: Typed, level: Level, n: str) -> list[str]:
        """Lines that take in a value."""
        reduction = self.reductions[number]
        if reduction.axes == "all":
            lanes = n if level == Level.ELEMENT else "1"
            taken = masked(value, reduction.operator, lanes)
            return [f"sum{number} = {combined(reduction.operator, f'sum{number}', taken, reduction.dtype)};"]
        if self.by_columns:
            return [f"sum{number} = {combined(reduction.operator, f'sum{number}', value.inner, reduction.dtype)};"]
        kind = SUFFIX[reduction.dtype]
        place = f"sums{number} + chunk * {self.row}" + (" + j" if level == Level.ELEMENT else "")
        total = combined(reduction.operator, f"load_{kind}({place}, {n})", value.inner, reduction.dtype)
        return [f"store_{kind}({place}, {total}, {n});"]

    def end(self, source: Source) -> None:
        """Lines at the end of a chunk."""
        for number, reduction in enumerate(self.reductions):
            kind, place = SUFFIX[reduction.dtype], f"sums{number} + chunk"
            if self.by_columns:
                source.line(f"store_{kind}({place} * {self.row} + j, sum{number}, n);")
            elif reduction.axes == "all" and self.target.is_warp:
                folded = f"{reduction.operator}_lanes_{kind}(sum{number})"
                source.line(f"put_{kind}({place}, all_{kind}({folded}));")
            elif reduction.axes == "all":
                source.line(f"store_{kind}({place} * LANES, sum{number}, LANES);")


@dataclass(frozen=True, slots=True)
class Partials:
    """Rows of partial results: `count` of them, `stride` elements apart, in a piece or a buffer of the plan."""

    count: Length
    stride: int
    length: Length
    dtype: str
    piece: Piece | None = None
    buffer: int = -1
    lane_stride: int = 1


def finish_call(
    plan: Plan, reduction: Reduction, number: int, partials: Partials, target: Target, note: str = ""
) -> Call:
    """The function that combines partial results and runs the reduction's body on what they give."""
    arguments = Arguments(plan)
    body = reduction.body
    ids = [id for _, id in body.operands] + [id for id, _ in body.stores]
    source = Source()
    if partials.piece is not None:
        pointer = arguments.piece(partials.piece, partials.dtype)
    else:
        pointer = arguments.pointer(partials.buffer)
    is_total = reduction.axes == "all"
    shape = () if is_total or partials.length == 1 else (partials.length,)
    nest = Nest.over(shape, plan.buffers, ids, keeps_rows=False)  # type: ignore[arg-type]
    stores = {id for id, _ in body.stores}
    places = {id: nest.place(id, plan.buffers[id], arguments.pointer(id, id in stores)) for id in dict.fromkeys(ids)}
    level = Level.ELEMENT if nest.lengths else Level.CALL
    printer = BodyPrinter(body, places, target.lanes, 0, (None, Known(level, 0, reduction.dtype)))
    steps = partials.count if isinstance(partials.count, int) else plan.batch_size
    width = partials.length if isinstance(partials.length, int) else 1
    parts = -(-width // target.lanes)
    is_shared = level == Level.ELEMENT and steps * width // target.lanes * 2 > target.small(SMALL_WORK)
    function = _Finish(reduction, partials, pointer, printer, nest, is_shared)
    function.print(source)
    read = [id for _, id in body.operands] + ([partials.buffer] if partials.buffer >= 0 else [])
    reads = arguments.spans(read)
    if partials.piece is not None:
        reads = (*reads, partials.piece.span)
    pointers = arguments.all()
    text = str(source).replace("HEAD", head(pointers), 1)
    return Call("finish", text, pointers, reads, arguments.spans(stores), is_shared, 0, note, parts=parts)


class _Finish:
    """Prints one such function."""

    def __init__(
        self, reduction: Reduction, partials: Partials, parts: str, printer: BodyPrinter, nest: Nest, is_shared: bool
    ) -> None:
        self.reduction, self.partials, self.parts = reduction, partials, parts
        self.printer, self.nest, self.is_shared = printer, nest, is_shared

    def print(self, source: Source) -> None:
        with source.block("HEAD"):
            if not self.nest.lengths:
                is_piece = self.partials.piece is not None
                source.all(self._total() if self.reduction.axes == "all" and is_piece else self._single())
                source.all([*self.printer.call_lines(), *self.printer.row_lines(0), *self.printer.call_end_lines()])
                return
            source.all([*self.printer.call_lines(), *self.printer.row_lines(0)])
            source.line(f"const struct share columns = lanes_of({self.partials.length}, worker);")
            with source.block("for (long j = columns.first; j < columns.last; j += LANES)"):
                source.line("const long n = columns.last - j < LANES ? columns.last - j : LANES;")
                source.all([*self._column("n"), *self.printer.element_lines(0, "n")])

    def _define(self, text: str) -> list[str]:
        value = converted(Typed(text, self.partials.dtype), self.reduction.dtype)
        return [f"const {vector_type(self.reduction.dtype)} acc = {value.text};"]

    def _total(self) -> list[str]:
        """Every number of every partial result."""
        operator, kind = self.reduction.operator, SUFFIX[self.partials.dtype]
        count = f"(long){self.partials.count} * {self.partials.length}"
        return self._define(f"all_{kind}({operator}_all_{kind}({self.parts}, {count}))")

    def _single(self) -> list[str]:
        return self._rows(self.parts, "1")

    def _column(self, n: str) -> list[str]:
        step = f" * {self.partials.lane_stride}" if self.partials.lane_stride != 1 else ""
        return self._rows(f"{self.parts} + j{step}", n)

    def _rows(self, start: str, n: str) -> list[str]:
        """`n` lanes of every row, from `start` on."""
        operator, partials = self.reduction.operator, self.partials
        kind = SUFFIX[partials.dtype]
        if partials.lane_stride == 1 and partials.dtype == self.reduction.dtype:
            return self._define(f"{operator}_rows_{kind}({start}, {partials.stride}, {partials.count}, {n})")
        place = f"{start} + row * {partials.stride}"
        load = f"stride_{kind}({place}, {partials.lane_stride}, {n})"
        taken = converted(Typed(load, partials.dtype), self.reduction.dtype)
        type, wide = vector_type(self.reduction.dtype), lane_suffix(self.reduction.dtype)
        total = combined(operator, "acc", taken.inner, self.reduction.dtype)
        return [
            f"{type} acc = all_{wide}({identity(operator, self.reduction.dtype)});",
            f"for (long row = 0; row < {partials.count}; row++) acc = {total};",
        ]


def piece_spans(pieces: Sequence[Piece]) -> tuple[Span, ...]:
    return tuple(piece.span for piece in pieces)
