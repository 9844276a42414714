"""Products whose operands are rounded to bfloat16: the left one before the product, the right one panel by panel in it.

A small left operand is rounded by each thread for itself, which takes less time than to wait for each other.
Sums, bodies and updates are those of float32 products; see `runtime/native/product_bf16.h`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ..plan import Plan, Step
from .bodies import BodyPrinter
from .calls import SMALL_WORK, Arguments, Call, head
from .layouts import Run, panel_runs
from .operands import Left, Product, Right
from .places import Length
from .products import _ProductPrinter
from .source import Source
from .target import Target

_ROWS: Final = 16  # memory is there for so many of the left operand, or a multiple
_PAIRS: Final = 16  # and for so many pairs in each row


def matmul_bf16_calls(plan: Plan, step: Step, number: int, target: Target, panels: frozenset[int]) -> list[Call]:
    """The functions of a product, in the order to call them."""
    return _RoundedPrinter(Product(plan, step, number, target, panels)).calls()


class _RoundedPrinter(_ProductPrinter):
    def _body(self) -> BodyPrinter:
        body = super()._body()
        pointer = self.arguments.pointer(self.step.operands[0])
        is_together = self.is_shared and _is_worth_sharing(self.product)
        self.left = _rounded_left(self.product) if is_together else Left(pointer, 0, 0, "")
        self.right = Right(self.arguments.pointer(self.step.operands[1]), "", 0)
        return body

    def _product(self) -> Call:
        left_bytes = 0 if self.left.piece is not None else _left_cells(self.product) * 4
        return replace(super()._product(), scratch_bytes=self._right_bytes() + left_bytes)

    def _right_bytes(self) -> int:
        """Of the widest panel in pairs."""
        run = max(self.product.runs, key=lambda run: run.columns)
        return _most_pairs(self.product) * _vectors(run, self.product) * 64

    def _struct_and_body(self, source: Source, parameters: list[str]) -> None:
        super()._struct_and_body(source, parameters)
        where = "const void *of, const long rows, const long column, const long columns, uint32_t *to"
        with source.block(f"INLINE void NAME_pack({where})"):
            source.line("const struct NAME *const s = of;")
            source.line("(void)rows;")
            self._pack_right(source)
        source.line()

    def _pack_right(self, source: Source) -> None:
        """Lines that put the panel at `column` in pairs."""
        product, pointer = self.product, f"s->{self.right.pointer}"
        summed = product.summed
        is_panelled = product.step.operands[1] in product.panels
        if not product.turned_b:
            row, column = product.b.strides
            assert is_panelled or column == 1 or product.columns == 1, "columns of operand b lie side by side"
            start, step = (f"column * {summed}", "columns") if is_panelled else ("column", str(row))
            source.line(f"pack_right_across({pointer} + {start}, {step}, {summed}, columns, to, PAIRS({summed}));")
            return
        assert isinstance(summed, int), "what is turned is a weight"
        lying = panel_runs(summed, product.target.lanes, product.width) if is_panelled else (Run(0, 1, summed),)
        source.line("const long wide = (columns + LANES - 1) / LANES * LANES;")
        for run in lying:
            stride = run.columns if is_panelled else product.b.strides[0]
            start = f"({run.column} + q * {run.columns})"
            place = f"{start} * {product.columns}" if is_panelled else start
            with source.block(f"for (long q = 0; q < {run.count}; q++)"):
                source.line(f"const float *place = {pointer} + {place} + column * {stride};")
                source.line(f"pack_right_along(place, {stride}, {run.columns}, columns, to + {start} / 2 * wide);")
        source.line(f"pad_right(to, columns, {-(-summed // 2)}, PAIRS({summed}));")

    def _tiles(self, source: Source) -> None:
        """The thread's share of all tiles, panel after panel."""
        product = self.product
        tile = product.tile_rows
        if self.left.piece is None:
            source.line(f"uint32_t *const left = (uint32_t *)(worker.scratch + {self._right_bytes()});")
            source.line(_pack_left(product, self.left.pointer, "alone(worker)"))
        source.line(f"const long blocks = ({product.rows} + {tile - 1}) / {tile};")
        source.line(f"const struct share vectors = share_of({product.vectors} * blocks, worker);")
        finish, update = ("0", "NAME_update") if self.is_update else ("NAME_body", "0")
        done = 0
        for run in product.runs:
            with source.block():
                source.line("const struct product_bf16 product = {")
                source.line("    .left = (const uint32_t *)left, .right = (uint32_t *)worker.scratch,")
                source.line(
                    f"    .pairs = PAIRS({product.summed}), .batch = rows, .rows = {product.rows}, "
                    f".column = {run.column},"
                )
                source.line("};")
                part = f"tiles_of(vectors, {done} * blocks, {run.count} * blocks, {_vectors(run, product)})"
                source.line(
                    f"products_bf16({_vectors(run, product)}, {run.columns}, &product, {part}, NAME_pack, "
                    f"{finish}, {update}, &s);"
                )
            done += run.count * _vectors(run, product)


def _vectors(run: Run, product: Product) -> int:
    return -(-run.columns // product.target.lanes)


def _most_pairs(product: Product) -> int:
    """Of a row with a full batch, filled up."""
    return -(-product.at(product.summed) // (2 * _PAIRS)) * _PAIRS


def _left_cells(product: Product) -> int:
    """Pairs of the left operand, rows and all filled up."""
    return -(-product.at(product.rows) // _ROWS) * _ROWS * _most_pairs(product)


def _is_worth_sharing(product: Product) -> bool:
    return _left_cells(product) // product.target.lanes * 2 > SMALL_WORK


def _pack_left(product: Product, pointer: str, worker: str) -> str:
    """A line that puts the worker's share of the left operand in pairs, row by row, at `left`."""
    outer, inner = product.a.strides
    if product.turned_a:
        outer, inner = inner, outer
    rows, summed = product.rows, product.summed
    if inner == 1 or _is_one(summed):
        how, part = f"pack_left_along({pointer}, {outer}, {summed}", f"share_of({rows}, {worker})"
    else:
        assert outer == 1 or _is_one(rows), "a matrix has its rows or its columns in one piece"
        how = f"pack_left_across({pointer}, {inner}, {summed}, {rows}"
        part = f"share_of(({rows} + LANES - 1) / LANES, {worker})"
    return f"{how}, (uint32_t *)left, PAIRS({summed}), {part});"


def _rounded_left(product: Product) -> Left:
    """The left operand in pairs, by a function of its own."""
    piece = product.piece("left", _left_cells(product))
    arguments, source = Arguments(product.plan), Source()
    pointer = arguments.pointer(product.step.operands[0])
    arguments.piece(piece, product.dtype)
    with source.block("HEAD"):
        source.line(_pack_left(product, pointer, "worker"))
    pointers = arguments.all()
    text = str(source).replace("HEAD", head(pointers), 1)
    reads = arguments.spans([product.step.operands[0]])
    call = Call("round", text, pointers, reads, (piece.span,), _is_worth_sharing(product))
    return Left("left", 0, 0, "", prepare=call, piece=piece)


def _is_one(length: Length) -> bool:
    return length == 1
