"""Products of matrices: panels of the right operand, tiles in registers, the step's body on each tile as it is done."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from ..plan import Plan, Reduction, Step
from ..types import BATCH, ITEM_SIZE
from .bodies import BodyPrinter, Known, combined
from .calls import SMALL_WORK, Arguments, Call, Piece, head
from .expressions import ELEMENT, SUFFIX, Typed
from .layouts import Run, panel_runs
from .places import Length, Level, Place, length_of, linear, vector_type
from .reductions import Partials, finish_call, piece_spans
from .source import Source
from .target import Target


@dataclass(frozen=True, slots=True)
class Operand:
    """A matrix as a product reads it: C text for its first element, and its strides along rows and summed index."""

    pointer: str
    outer: int      # from one row of `a` (column of `b`) to the next
    inner: int      # from one summed element to the next


def matmul_calls(plan: Plan, step: Step, number: int, target: Target, panels: frozenset[int]) -> list[Call]:
    """The functions of a product, in the order to call them."""
    return _ProductPrinter(plan, step, number, target, panels).calls()


class _ProductPrinter:
    def __init__(self, plan: Plan, step: Step, number: int, target: Target, panels: frozenset[int]) -> None:
        self.plan, self.step, self.number, self.target, self.panels = plan, step, number, target, panels
        self.a, self.b = (plan.buffers[id] for id in step.operands)
        attrs = dict(step.attrs)
        self.turned_a, self.turned_b = bool(attrs["transpose_a"]), bool(attrs["transpose_b"])
        self.dtype = step.space.dtype
        self.kind = SUFFIX[self.dtype]
        self.rows: Length = length_of(step.space.shape[0])
        columns = step.space.shape[1]
        assert columns != BATCH, "a product has a fixed number of columns"
        self.columns = columns
        self.summed: Length = length_of(self.a.type.shape[0 if self.turned_a else 1])
        # a vector of float64 takes two registers
        self.width = target.width if self.dtype == "float32" else 1
        self.runs = panel_runs(self.columns, target.lanes, self.width)
        self.tile_rows = target.tile_rows[self.width]
        self.arguments = Arguments(plan)
        cells = prod(step.space.concrete(plan.batch_size)) * _at(self.summed, plan.batch_size)
        self.is_shared = cells // (target.lanes * 2) > SMALL_WORK
        self.summing = [r for r in step.reductions if str(r.expr.value) != "b"]
        self.sums: list[Piece] = []
        self.body = self._body()
        touched = {id for _, id in step.body.operands} | {id for id, _ in step.body.stores}
        self.is_update = not self.summing and all(
            id in panels or plan.buffers[id].type.concrete(1) == () for id in touched
        )

    # --- the body, run on every vector of a tile ---------------------------------------------------------------------
    def _body(self) -> BodyPrinter:
        step, arguments = self.step, self.arguments
        stores = {id for id, _ in step.body.stores}
        ids = dict.fromkeys([id for _, id in step.body.operands] + [id for id, _ in step.body.stores])
        self.pointer_a = arguments.pointer(step.operands[0])
        self.pointer_b = arguments.pointer(step.operands[1])
        places = {id: self._place(id, arguments.pointer(id, id in stores)) for id in ids}
        blocks = -(-_at(self.rows, self.plan.batch_size) // self.tile_rows)
        for number, reduction in enumerate(self.summing):
            size = blocks * self.columns * ITEM_SIZE[reduction.dtype]
            piece = Piece(f"sums{number}", self.number, size)
            arguments.piece(piece, reduction.dtype)
            self.sums.append(piece)
        acc = Known(Level.ELEMENT, 0, self.dtype)
        return BodyPrinter(
            step.body, places, self.target.lanes, 0, (None, acc), self.summing, self._accumulate
        )

    def _place(self, id: int, pointer: str) -> Place:
        buffer = self.plan.buffers[id]
        if id in self.panels:
            return Place(f"s->{pointer}", buffer.type.dtype, Level.ELEMENT, "at")
        shape = (1,) * (2 - len(buffer.type.shape)) + buffer.type.shape
        row, column = (0,) * (2 - len(buffer.strides)) + buffer.strides
        row, column = (0 if shape[0] == 1 else row), (0 if shape[1] == 1 else column)
        is_whole = buffer.type.shape == self.step.space.shape     # though perhaps of one row, or of one column
        level = Level.ELEMENT if column or is_whole else Level.ROW if row else Level.CALL
        offset = linear(("row", "column"), (row, column))
        return Place(f"s->{pointer}", buffer.type.dtype, level, offset, column or 1)

    def _accumulate(self, number: int, value: Typed, level: Level, n: str) -> list[str]:
        """A partial result for each block of rows: one tile after another adds to it, always on one thread."""
        assert level == Level.ELEMENT, "what a product sums is made of what it computes"
        reduction = self.summing[number]
        kind = SUFFIX[reduction.dtype]
        place = f"s->sums{number} + row / {self.tile_rows} * {self.columns} + column"
        total = combined(reduction.operator, f"load_{kind}({place}, {n})", value.inner, reduction.dtype)
        start = f"row % {self.tile_rows} == 0"
        first = f"if ({start}) store_{kind}({place}, {value.text}, {n});"
        return [first, f"else store_{kind}({place}, {total}, {n});"]

    # --- functions --------------------------------------------------------------------------------------------------
    def calls(self) -> list[Call]:
        calls = []
        if self.turned_b:
            calls.append(self._packing())
        calls.append(self._product())
        numbers = {id(reduction): k for k, reduction in enumerate(self.summing)}
        for number, reduction in enumerate(self.step.reductions):
            place = numbers.get(id(reduction))
            partials = self._operand_rows(reduction) if place is None else self._blocks(reduction, place)
            calls.append(finish_call(self.plan, reduction, number, partials, self.target.lanes))
        return calls

    def _blocks(self, reduction: Reduction, place: int) -> Partials:
        rows = self.rows
        tile = self.tile_rows
        count = -(-rows // tile) if isinstance(rows, int) else f"(({rows} + {tile - 1}) / {tile})"
        return Partials(count, self.columns, self.columns, reduction.dtype, self.sums[place])

    def _operand_rows(self, reduction: Reduction) -> Partials:
        row, column = reversed(self.b.strides) if self.turned_b else self.b.strides
        return Partials(self.summed, row, self.columns, self.dtype, None, self.step.operands[1], column)

    def _packing(self) -> Call:
        """Operand b turned into panels, whose rows run along the summed index."""
        arguments, source = Arguments(self.plan), Source()
        pointer = arguments.pointer(self.step.operands[1])
        piece = self._turned()
        target = arguments.piece(piece, self.dtype)
        inner = self.summed
        assert isinstance(inner, int), "what is turned is a weight"
        is_panelled = self.step.operands[1] in self.panels
        runs = panel_runs(inner, self.target.lanes, self.width) if is_panelled else (Run(0, 1, inner),)
        with source.block("HEAD"):
            for into in self.runs:
                source.line(f"const struct share part{into.column} = share_of({into.count}, worker);")
                with source.block(f"for (long p = part{into.column}.first; p < part{into.column}.last; p++)"):
                    source.line(f"const long column = {into.column} + p * {into.columns};")
                    for run in runs:
                        stride = run.columns if is_panelled else self.b.strides[0]
                        start = f"{run.column}L * {self.columns}" if is_panelled else f"{run.column}"
                        whole = f"{run.columns}L * {self.columns}" if is_panelled else f"{run.columns}"
                        with source.block(f"for (long q = 0; q < {run.count}; q++)"):
                            source.line(
                                f"turn_{self.kind}({pointer} + {start} + q * {whole} + column * {stride}, {stride}, "
                                f"{into.columns}, {run.columns}, "
                                f"{target} + column * {inner} + ({run.column} + q * {run.columns}) * {into.columns}, "
                                f"{into.columns});"
                            )
        pointers = arguments.all()
        text = str(source).replace("HEAD", head(pointers), 1)
        cells = inner * self.columns
        reads = arguments.spans([self.step.operands[1]])
        return Call("turn", text, pointers, reads, (piece.span,), cells // self.target.lanes * 4 > SMALL_WORK)

    def _turned(self) -> Piece:
        assert isinstance(self.summed, int)
        return Piece("turned", self.number, self.summed * self.columns * ITEM_SIZE[self.dtype])

    def _product(self) -> Call:
        pieces = list(self.sums)
        if self.turned_b:
            self.arguments.piece(self._turned(), self.dtype)
        source = Source()
        pointers = self.arguments.all()
        self._struct_and_body(source, [a.parameter for a in pointers])
        with source.block(head(pointers)):
            source.all([line.replace("s->", "") for line in self.body.call_lines()])
            names = [parameter.split("*")[-1] for parameter in (a.parameter for a in pointers)]
            hoisted = [name for name, _ in self._hoisted()]
            source.line(f"const struct NAME s = {{{', '.join((*names, *hoisted))}}};")
            self._panels(source)
        body = self.step.body
        read = [*self.step.operands[: 1 if self.turned_b else 2], *(id for _, id in body.operands)]
        reads = self.arguments.spans(read)
        if self.turned_b:
            reads = (*reads, self._turned().span)
        writes = (*self.arguments.spans(id for id, _ in body.stores), *piece_spans(pieces))
        return Call("matmul", str(source), pointers, reads, writes, self.is_shared)

    def _hoisted(self) -> list[tuple[str, str]]:
        """Names of what is computed once per call, with their types."""
        found = [(name, known) for name, known in self.body.known.items() if known.level == Level.CALL]
        return [(name, vector_type(known.dtype)) for name, known in found]

    def _struct_and_body(self, source: Source, parameters: list[str]) -> None:
        """What a tile's body needs, and the body: on `n` columns from `column` on in row `row`."""
        with source.block("struct NAME"):
            source.all([f"{parameter};" for parameter in parameters])
            source.all([f"{type} {name};" for name, type in self._hoisted()])
        source.lines[-1] += ";"
        source.line()
        if self.is_update:
            self._update(source)
            return
        where = "const long row, const long column, const long at, const long n"
        vector = vector_type(self.dtype)
        with source.block(f"INLINE void NAME_body(const void *of, {where}, const {vector} acc)"):
            source.line("const struct NAME *const s = of;")
            source.line("(void)s, (void)row, (void)column, (void)at, (void)n, (void)acc;")
            lines = self.body.call_lines()      # for the texts of what is hoisted
            del lines
            source.all([f"const {type} {name} = s->{name};" for name, type in self._hoisted()])
            source.all([*self.body.row_lines(0), *self.body.element_lines(0, "n"), *self.body.row_end_lines()])
        source.line()

    def _update(self, source: Source) -> None:
        """The body on a piece of memory that a tile covers."""
        element = ELEMENT[self.dtype]
        parameters = f"const void *of, const long first, const long count, const {element} *sums"
        with source.block(f"static void NAME_update({parameters})"):
            source.line("const struct NAME *const s = of;")
            self.body.call_lines()      # for the texts of what is hoisted
            source.all([f"const {type} {name} = s->{name};" for name, type in self._hoisted()])
            acc = f"const {vector_type(self.dtype)} acc = load_{self.kind}(sums + k, "
            source.line("long k = 0;")
            with source.block("for (; k + LANES <= count; k += LANES)"):
                source.all(["const long at = first + k;", f"{acc}LANES);"])
                source.all([*self.body.row_lines(0), *self.body.element_lines(0, "LANES")])
            with source.block("if (k < count)"):
                source.all(["const long at = first + k, n = count - k;", f"{acc}n);"])
                source.all([*self.body.row_lines(0), *self.body.element_lines(0, "n")])
        source.line()

    def _panels(self, source: Source) -> None:
        """The thread's share of all tiles, panel after panel."""
        a, b = self._operand_a(), self._operand_b()
        tile = self.tile_rows
        count = sum(run.count for run in self.runs)
        source.line(f"const long blocks = ({self.rows} + {tile - 1}) / {tile};")
        source.line(f"const struct share tiles = share_of({count} * blocks, worker);")
        done = 0
        for run in self.runs:
            vectors = -(-run.columns // self.target.lanes)
            begin = f"within(tiles, {done} * blocks, {run.count} * blocks)"
            with source.block():
                source.line(f"const struct product_{self.kind} product = {{")
                source.line(f"    .a = {a.pointer}, .a_row = {a.outer}, .a_step = {a.inner},")
                source.line(f"    .b = {b[0]} + {run.column}L * {b[1]}, .b_panel = {run.columns}L * {b[1]}, "
                            f".b_step = {b[2] or run.columns},")
                source.line(f"    .length = {self.summed}, .rows = {self.rows}, .column = {run.column}, "
                            f".columns = {run.columns},")
                source.line("};")
                tile = f"{self.target.tile_rows[vectors if self.width > 1 else 1]}, {vectors}, {run.columns}"
                if self.is_update:
                    call = f"updates_{self.kind}({tile}, {self.rows}, &product, {begin}, NAME_update, &s);"
                else:
                    call = f"panels_{self.kind}({tile}, &product, {begin}, NAME_body, &s);"
                source.line(call)
            done += run.count

    def _operand_a(self) -> Operand:
        outer, inner = self.a.strides
        if self.turned_a:
            outer, inner = inner, outer
        return Operand(self.pointer_a, outer, inner)

    def _operand_b(self) -> tuple[str, int, int]:
        """Pointer, elements from one column of panels to the next, elements from one summed row to the next (0: as
        many as a panel has columns)."""
        if self.turned_b:
            assert isinstance(self.summed, int)
            return "turned", self.summed, 0
        if self.step.operands[1] in self.panels:
            assert isinstance(self.summed, int)
            return self.pointer_b, self.summed, 0
        row, column = self.b.strides
        assert column == 1 or self.columns == 1, "columns of operand b lie side by side"
        return self.pointer_b, 1, row


def _at(length: Length, batch_size: int) -> int:
    return length if isinstance(length, int) else batch_size
