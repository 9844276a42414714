"""Products of matrices: tiles of the result in registers, the step's body on each tile as it is done."""

from __future__ import annotations

from contextlib import AbstractContextManager
from math import prod

from ..plan import Plan, Reduction, Step
from ..types import ITEM_SIZE
from .bodies import BodyPrinter, Known, combined
from .calls import SMALL_WORK, Arguments, Call, Piece, body_cycles, head
from .expressions import ELEMENT, SUFFIX, Typed
from .operands import FEW_PANELS, Left, Product, Right, left_operand, right_operand
from .places import Level, Place, linear, vector_type
from .reductions import Partials, finish_call, piece_spans
from .source import Source
from .target import Target

DEPTH = 1024            # of the inner index that is summed at a time where it is long
TURNING_BYTES = 1 << 18 # of a right operand, from which on part of it may be gone before it is read again
STAYING_BYTES = 1 << 22 # of a weight with its slots, which two cores keep from step to step
LIGHT_BODY = 8          # instructions: a longer one is not printed into a tile for each of its vectors
FAR_CELLS = 1 << 18     # of a left operand, from which on it does not stay near while all panels go by


def matmul_calls(
    plan: Plan, step: Step, number: int, target: Target, panels: frozenset[int], has_own_tiles: bool
) -> list[Call]:
    """The functions of a product, in the order to call them. has_own_tiles: tiles compiled for it alone."""
    return _ProductPrinter(Product(plan, step, number, target, panels, has_own_tiles)).calls()


class _ProductPrinter:
    def __init__(self, product: Product) -> None:
        self.product, self.plan, self.step = product, product.plan, product.step
        plan, step = product.plan, product.step
        self.arguments = Arguments(plan)
        cells = prod(step.space.concrete(plan.batch_size)) * product.at(product.summed)
        self.is_shared = cells // (product.target.lanes * 2) > SMALL_WORK
        self.summing = [r for r in step.reductions if str(r.expr.value) != "b"]
        self.sums: list[Piece] = []
        self.partial: Piece | None = None
        self.strides: dict[str, int] = {}   # of rows, where bodies serve products of several shapes
        self.body = self._body()
        touched = {id for _, id in step.body.operands} | {id for id, _ in step.body.stores}
        self.is_update = not self.summing and all(
            id in product.panels or plan.buffers[id].type.concrete(1) == () for id in touched
        )
        if self._is_deep():
            rows = self._blocks_at() * product.tile_rows
            self.partial = product.piece("partial", product.vectors * rows * product.target.lanes)
            self.arguments.piece(self.partial, product.dtype)
        is_light = body_cycles(step.body) + 3 * len(self.summing) <= LIGHT_BODY or self.partial is not None
        has_rows = not (product.target.is_warp or product.target.rounding)
        self.is_by_rows = has_rows and not self.is_update and not (product.has_own_tiles and is_light)

    def _is_deep(self) -> bool:
        """Whether to sum a part of the inner index at a time, so that what many panels read of the left operand stays
        near."""
        product = self.product
        summed, panels = product.at(product.summed), sum(run.count for run in product.runs)
        is_far = summed >= 2 * DEPTH and product.at(product.rows) * summed >= FAR_CELLS and panels > FEW_PANELS
        is_tiled = product.has_own_tiles and product.width > 1 and not product.target.rounding
        return is_far and is_tiled and not self.is_update and not self.left.near

    def _blocks_at(self) -> int:
        """Tiles along a panel, with a full batch."""
        return -(-self.product.at(self.product.rows) // self.product.tile_rows)

    # --- the body, run on every vector of a tile ---------------------------------------------------------------------
    def _body(self) -> BodyPrinter:
        step, arguments, product = self.step, self.arguments, self.product
        stores = {id for id, _ in step.body.stores}
        ids = dict.fromkeys([id for _, id in step.body.operands] + [id for id, _ in step.body.stores])
        self.left, self.right = self._operands()
        places = {id: self._place(id, arguments.pointer(id, id in stores)) for id in ids}
        blocks = -(-product.at(product.rows) // product.tile_rows)
        for number, reduction in enumerate(self.summing):
            size = blocks * product.columns * ITEM_SIZE[reduction.dtype]
            piece = Piece(f"sums{number}", product.number, size)
            arguments.piece(piece, reduction.dtype)
            self.sums.append(piece)
        acc = Known(Level.ELEMENT, 0, product.dtype)
        return BodyPrinter(step.body, places, product.target.lanes, 0, (None, acc), self.summing, self._accumulate)

    def _operands(self) -> tuple[Left, Right]:
        a, b = (self.arguments.pointer(id) for id in self.step.operands)
        return left_operand(self.product, a), right_operand(self.product, b)

    def _place(self, id: int, pointer: str) -> Place:
        buffer = self.plan.buffers[id]
        if id in self.product.panels:
            return Place(f"s->{pointer}", buffer.type.dtype, Level.ELEMENT, "at")
        shape = (1,) * (2 - len(buffer.type.shape)) + buffer.type.shape
        row, column = (0,) * (2 - len(buffer.strides)) + buffer.strides
        row, column = (0 if shape[0] == 1 else row), (0 if shape[1] == 1 else column)
        is_whole = buffer.type.shape == self.step.space.shape     # though perhaps of one row, or of one column
        level = Level.ELEMENT if column or is_whole else Level.ROW if row else Level.CALL
        if row and not self.product.has_own_tiles:
            self.strides[f"{pointer}_row"] = row
            column_text = linear(("column",), (column,))
            offset = f"row * s->{pointer}_row" + ("" if column_text == "0" else f" + {column_text}")
        else:
            offset = linear(("row", "column"), (row, column))
        return Place(f"s->{pointer}", buffer.type.dtype, level, offset, column or 1)

    def _accumulate(self, number: int, value: Typed, level: Level, n: str) -> list[str]:
        """A partial result for each block of rows: one tile after another adds to it, always on one thread."""
        assert level == Level.ELEMENT, "what a product sums is made of what it computes"
        reduction, tile = self.summing[number], self.product.tile_rows
        kind = SUFFIX[reduction.dtype]
        place = f"s->sums{number} + row / {tile} * {self.product.columns} + column"
        total = combined(reduction.operator, f"load_{kind}({place}, {n})", value.inner, reduction.dtype)
        first = f"if (row % {tile} == 0) store_{kind}({place}, {value.text}, {n});"
        return [first, f"else store_{kind}({place}, {total}, {n});"]

    # --- functions --------------------------------------------------------------------------------------------------
    def calls(self) -> list[Call]:
        calls = [operand.prepare for operand in (self.left, self.right) if operand.prepare is not None]
        calls.append(self._product())
        numbers = {id(reduction): k for k, reduction in enumerate(self.summing)}
        for number, reduction in enumerate(self.step.reductions):
            place = numbers.get(id(reduction))
            partials = self._operand_rows() if place is None else self._blocks(reduction, place)
            calls.append(finish_call(self.plan, reduction, number, partials, self.product.target))
        return calls

    def _blocks(self, reduction: Reduction, place: int) -> Partials:
        rows, tile, columns = self.product.rows, self.product.tile_rows, self.product.columns
        count = -(-rows // tile) if isinstance(rows, int) else f"(({rows} + {tile - 1}) / {tile})"
        return Partials(count, columns, columns, reduction.dtype, self.sums[place])

    def _operand_rows(self) -> Partials:
        product = self.product
        row, column = reversed(product.b.strides) if product.turned_b else product.b.strides
        return Partials(
            product.summed, row, product.columns, product.dtype, None, self.step.operands[1], column
        )

    def _product(self) -> Call:
        pieces = self.left.piece, self.right.piece
        copied = [piece for piece in pieces if piece is not None]
        for piece in copied:
            self.arguments.piece(piece, self.product.dtype)
        source = Source()
        pointers = self.arguments.all()
        before = Source()
        self._struct_and_body(before, [a.parameter for a in pointers])
        with source.block(head(pointers)):
            source.all([line.replace("s->", "") for line in self.body.call_lines()])
            names = [parameter.split("*")[-1] for parameter in (a.parameter for a in pointers)]
            hoisted = [name for name, _ in self._hoisted()]
            strides = [f"{stride}" for stride in self.strides.values()]
            source.line(f"const struct NAME s = {{{', '.join((*names, *strides, *hoisted))}}};")
            self._tiles(source)
        body = self.step.body
        operands = zip(self.step.operands, pieces, strict=True)
        read = [id for id, piece in operands if piece is None] + [id for _, id in body.operands]
        reads = (*self.arguments.spans(read), *piece_spans(copied))
        made = [*self.sums, *([self.partial] if self.partial is not None else [])]
        writes = (*self.arguments.spans(id for id, _ in body.stores), *piece_spans(made))
        text = str(source).replace("struct NAME", "struct BODY").replace("NAME_", "BODY_")
        near = self.left.near * self.product.at(self.product.summed) * ITEM_SIZE[self.product.dtype]
        return Call("matmul", text, pointers, reads, writes, self.is_shared, near, body=str(before))

    def _hoisted(self) -> list[tuple[str, str]]:
        """Names of what is computed once per call, with their types."""
        found = [(name, known) for name, known in self.body.known.items() if known.level == Level.CALL]
        return [(name, vector_type(known.dtype)) for name, known in found]

    def _struct_and_body(self, source: Source, parameters: list[str]) -> None:
        """What a tile's body needs, and the body: on `n` columns from `column` on in row `row`."""
        with source.block("struct NAME"):
            source.all([f"{parameter};" for parameter in parameters])
            source.all([f"long {name};" for name in self.strides])
            source.all([f"{type} {name};" for name, type in self._hoisted()])
        source.lines[-1] += ";"
        source.line()
        self.body.call_lines()      # for the texts of what is hoisted
        if self.is_update:
            self._update(source)
            return
        where = "const long row, const long column, const long at, const long n"
        vector = vector_type(self.product.dtype)
        with source.block(f"INLINE void NAME_body(const void *of, {where}, const {vector} acc)"):
            source.line("const struct NAME *const s = (const struct NAME *)of;")
            source.line("(void)s, (void)row, (void)column, (void)at, (void)n, (void)acc;")
            source.all([f"const {type} {name} = s->{name};" for name, type in self._hoisted()])
            source.all([*self.body.row_lines(0), *self.body.element_lines(0, "n"), *self.body.row_end_lines()])
        source.line()
        if self.is_by_rows:
            self._rows_function(source)

    def _rows_function(self, source: Source) -> None:
        """The body on a tile whose sums lie side by side."""
        kind = self.product.kind
        rows = "for (long i = 0; i < high; i++, at += columns, sums += columns)"
        with self._rows_head(source), source.block(rows):
            source.line("long k = 0;")
            source.line("for (; k + LANES <= columns; k += LANES)")
            source.line(f"    NAME_body(of, row + i, column + k, at + k, LANES, load_{kind}(sums + k, LANES));")
            source.line("if (k < columns)")
            source.line(
                f"    NAME_body(of, row + i, column + k, at + k, columns - k, load_{kind}(sums + k, columns - k));"
            )
        source.line()

    def _rows_head(self, source: Source) -> AbstractContextManager[None]:
        where = "const void *of, long row, long high, long column, long columns, long at"
        return source.block(f"static void NAME_rows({where}, const {ELEMENT[self.product.dtype]} *sums)")

    def _update(self, source: Source) -> None:
        """The body on a piece of memory that a tile covers."""
        dtype, kind = self.product.dtype, self.product.kind
        parameters = f"const void *of, const long first, const long count, const {ELEMENT[dtype]} *sums"
        with source.block(f"static void NAME_update({parameters})"):
            source.line("const struct NAME *const s = of;")
            source.all([f"const {type} {name} = s->{name};" for name, type in self._hoisted()])
            acc = f"const {vector_type(dtype)} acc = load_{kind}(sums + k, "
            source.line("long k = 0;")
            with source.block("for (; k + LANES <= count; k += LANES)"):
                source.all(["const long at = first + k;", f"{acc}LANES);"])
                source.all([*self.body.row_lines(0), *self.body.element_lines(0, "LANES")])
            with source.block("if (k < count)"):
                source.all(["const long at = first + k, n = count - k;", f"{acc}n);"])
                source.all([*self.body.row_lines(0), *self.body.element_lines(0, "n")])
        source.line()
        if not self.product.has_own_tiles:
            with self._rows_head(source):
                source.line("(void)row, (void)column;")
                source.line("NAME_update(of, at, high * columns, sums);")
            source.line()

    # --- tiles ------------------------------------------------------------------------------------------------------
    def _tiles(self, source: Source) -> None:
        """The thread's share of all tiles: panel after panel, or, of a large result, a group of rows after another.

        A group is one thread's, or, of a weight that stays near, two threads': each has the columns that are its share
        of other products with this weight too, and copies the rows for itself.
        """
        product, left = self.product, self.left
        if not left.near:
            self._panels(source, "0", str(product.rows), "worker")
            return
        rows, tile, kind = product.rows, product.tile_rows, product.kind
        source.line(f"{ELEMENT[product.dtype]} *const left = ({ELEMENT[product.dtype]} *)worker.scratch;")
        keeps_columns = self._touched_bytes() <= STAYING_BYTES
        whose = "across_rows(worker)" if keeps_columns else "worker"
        source.line(f"const struct share mine = blocks_of({rows}, {tile}, {whose});")
        with source.block(f"for (long top = mine.first; top < mine.last; top += {left.near})"):
            source.line(f"const long high = mine.last - top < {left.near} ? mine.last - top : {left.near};")
            source.line(
                f"pack_rows_{kind}({tile}, {left.source} + top, {left.source_step}, {product.summed}, high, left);"
            )
            self._panels(source, "top", "high", "across_columns(worker)" if keeps_columns else "alone(worker)")

    def _touched_bytes(self) -> int:
        """Of the matrices that the body reads and writes."""
        buffers = self.plan.buffers
        touched = {id for _, id in self.step.body.operands} | {id for id, _ in self.step.body.stores}
        return sum(prod(buffers[id].type.concrete(1)) * ITEM_SIZE[buffers[id].type.dtype] for id in touched)

    def _panels(self, source: Source, top: str, high: str, worker: str) -> None:
        """Tiles of `high` rows from row `top` on."""
        product = self.product
        tile = product.tile_rows
        source.line(f"const long blocks = ({high} + {tile - 1}) / {tile};")
        source.line(f"const struct share vectors = share_of({product.vectors} * blocks, {worker});")
        if not product.has_own_tiles:
            self._all_panels(source, top, high)
            return
        done = 0
        for run in product.runs:
            vectors = -(-run.columns // product.target.lanes)
            part = f"tiles_of(vectors, {done} * blocks, {run.count} * blocks, {vectors})"
            with source.block():
                start = f"{self.right.pointer} + {run.column}L * {self.right.column}"
                step = str(self.right.step or run.columns)
                self._description(source, top, high, start, step, f".column = {run.column}, .columns = {run.columns}")
                tall = product.target.tile_rows[vectors if product.width > 1 else 1]
                shape = f"{tall}, {vectors}, {run.columns}"
                if self.is_update:
                    call = f"updates_{product.kind}({shape}, {self._known_rows()}, &product, {part}, NAME_update, &s);"
                elif self.partial is not None:
                    place = f"partial + {done * self._blocks_at() * tall * product.target.lanes}"
                    call = f"far_panels_{product.kind}({shape}, &product, {part}, NAME_body, &s, {DEPTH}, {place});"
                elif self.is_by_rows:
                    call = f"row_tiles_{product.kind}({shape}, &product, {part}, NAME_rows, &s);"
                else:
                    call = f"panels_{product.kind}({shape}, &product, {part}, NAME_body, &s);"
                source.line(call)
            done += run.count * vectors

    def _description(self, source: Source, top: str, high: str, start: str, step: str, columns: str) -> None:
        """The product as the header's functions read it."""
        product, left = self.product, self.left
        source.line(f"const struct product_{product.kind} product = {{")
        source.line(f"    .a = {left.pointer}, .a_row = {left.row}, .a_step = {left.step}, .a_block = {left.block},")
        source.line(f"    .b = {start}, .b_column = {self.right.column}, .b_step = {step},")
        source.line(f"    .length = {product.summed}, .rows = {product.rows}, .top = {top}, .high = {high}, {columns},")
        right = product.at(product.summed) * product.columns * ITEM_SIZE[product.dtype]
        if product.rows == "rows" and right >= TURNING_BYTES:
            source.line("    .is_back = worker.is_back,")
        source.line("};")

    def _all_panels(self, source: Source, top: str, high: str) -> None:
        """All runs of panels by the one function that serves all products."""
        product = self.product
        runs = ", ".join(f"{{{run.column}, {run.count}, {run.columns}}}" for run in product.runs)
        source.line(f"static const struct run runs[] = {{{runs}}};")
        self._description(source, top, high, self.right.pointer, str(self.right.step), ".column = 0")
        arguments = f"{product.tile_rows}, product, runs, {len(product.runs)}, vectors, NAME_rows, &s"
        source.line(f"all_panels_{product.kind}({arguments});")

    def _known_rows(self) -> int:
        rows = self.product.rows
        assert isinstance(rows, int), "a weight's shape is fixed"
        return rows
