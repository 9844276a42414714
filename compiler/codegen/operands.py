"""How a product reads its two matrices: where they lie, or from a copy in the order that it needs.

The right operand is read in panels of columns, the left one a few rows at a time. A weight lies in panels already; the
same weight transposed is turned first. What a batch made lies in rows: if there is little of it, it is read there, else
its rows are too far apart for the processor to keep up, and it is copied: the right operand before the product, the
left one by each thread, as many of its rows at a time as stay near while all panels go by.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..plan import Buffer, Plan, Step
from ..types import BATCH, ITEM_SIZE
from .calls import SMALL_WORK, Arguments, Call, Piece, head
from .expressions import SUFFIX
from .layouts import Run, panel_runs
from .places import Length, length_of
from .source import Source
from .target import Target

FAR_BYTES: Final = 1 << 17      # of a right operand whose rows are too far apart to be read in panels
WIDE_BYTES: Final = 1 << 16     # of a left operand that is not read where it lies, a few elements of each row
FEW_PANELS: Final = 3           # that read a copy do not pay for it
NEAR_ROWS: Final = 128          # of a left operand that are copied at a time, at most
NEAR_BYTES: Final = 1 << 18     # and their bytes


@dataclass(frozen=True, slots=True)
class Left:
    """Element (i, r) of a block of rows is pointer[i * row + r * step]; blocks are `block` elements a row apart.

    near: how many rows each thread copies at a time to where `pointer` says, from `source`, whose rows are columns
    `source_step` elements apart; 0 if they are read where they lie.
    """

    pointer: str
    row: int
    step: int
    block: str
    near: int = 0
    source: str = ""
    source_step: int = 0
    prepare: Call | None = None
    piece: Piece | None = None


@dataclass(frozen=True, slots=True)
class Right:
    """A panel from column c on begins at pointer + c * column; its rows are `step` elements apart, or (0) as many as it
    has columns."""

    pointer: str
    column: str
    step: int
    prepare: Call | None = None
    piece: Piece | None = None


@dataclass(frozen=True, slots=True)
class Product:
    """A matmul step, with what its printers ask for again and again."""

    plan: Plan
    step: Step
    number: int
    target: Target
    panels: frozenset[int]
    has_own_tiles: bool = True

    @property
    def a(self) -> Buffer:
        return self.plan.buffers[self.step.operands[0]]

    @property
    def b(self) -> Buffer:
        return self.plan.buffers[self.step.operands[1]]

    @property
    def turned_a(self) -> bool:
        return bool(dict(self.step.attrs)["transpose_a"])

    @property
    def turned_b(self) -> bool:
        return bool(dict(self.step.attrs)["transpose_b"])

    @property
    def dtype(self) -> str:
        return self.step.space.dtype

    @property
    def kind(self) -> str:
        return SUFFIX[self.dtype]

    @property
    def rows(self) -> Length:
        return length_of(self.step.space.shape[0])

    @property
    def columns(self) -> int:
        columns = self.step.space.shape[1]
        assert columns != BATCH, "a product has a fixed number of columns"
        return columns

    @property
    def summed(self) -> Length:
        return length_of(self.a.type.shape[0 if self.turned_a else 1])

    @property
    def width(self) -> int:
        """Vectors across a tile; one of float64 takes two registers."""
        return self.target.width if self.dtype == "float32" else 1

    @property
    def tile_rows(self) -> int:
        return self.target.tile_rows[self.width]

    @property
    def runs(self) -> tuple[Run, ...]:
        return panel_runs(self.columns, self.target.lanes, self.width)

    @property
    def vectors(self) -> int:
        """Vectors across the result."""
        return sum(run.count * -(-run.columns // self.target.lanes) for run in self.runs)

    def at(self, length: Length) -> int:
        """A length with a full batch."""
        return length if isinstance(length, int) else self.plan.batch_size

    def is_far(self, rows: Length, columns: Length) -> bool:
        return self.at(rows) * self.at(columns) * ITEM_SIZE[self.dtype] >= FAR_BYTES

    def piece(self, name: str, cells: int) -> Piece:
        return Piece(name, self.number, cells * ITEM_SIZE[self.dtype])


def left_operand(product: Product, pointer: str) -> Left:
    """The left operand; copied if its rows are columns of a matrix that is not small."""
    outer, inner = product.a.strides
    if product.turned_a:
        outer, inner = inner, outer
        if outer == 1 and (near := _near_rows(product)):
            block = str(product.summed)
            return Left("left", 1, product.tile_rows, block, near=near, source=pointer, source_step=inner)
    return Left(pointer, outer, inner, str(outer))


def _near_rows(product: Product) -> int:
    """How many rows of the left operand to copy at a time, whole tiles; 0 where that does not pay."""
    rows, tile = product.rows, product.tile_rows
    row_bytes = product.at(product.summed) * ITEM_SIZE[product.dtype]
    panels = sum(run.count for run in product.runs)
    if not isinstance(rows, int) or rows < NEAR_ROWS or panels < FEW_PANELS or rows * row_bytes < WIDE_BYTES:
        return 0
    return max(min(NEAR_ROWS, NEAR_BYTES // row_bytes) // tile, 1) * tile


def right_operand(product: Product, pointer: str) -> Right:
    """The right operand: panels as they lie, or turned, or copied, or rows of a small matrix."""
    summed = product.summed
    if product.turned_b:
        return _turned(product)
    if product.step.operands[1] in product.panels:
        return Right(pointer, str(summed), 0)
    row, column = product.b.strides
    assert column == 1 or product.columns == 1, "columns of operand b lie side by side"
    if product.is_far(summed, product.columns):
        return _packed_right(product, row)
    return Right(pointer, "1", row)


def _packed_right(product: Product, row: int) -> Right:
    cells = product.at(product.summed) * product.columns
    piece = product.piece("right", cells)
    arguments, source = Arguments(product.plan), Source()
    pointer = arguments.pointer(product.step.operands[1])
    arguments.piece(piece, product.dtype)
    with source.block("HEAD"):
        for run in product.runs:
            source.line(
                f"pack_panels_{product.kind}({pointer} + {run.column}, {row}, {product.summed}, {run.columns}, "
                f"right + {run.column}L * {product.summed}, share_of({run.count}, worker));"
            )
    return Right(
        "right", str(product.summed), 0, _call(product, 1, "pack", arguments, source, piece, cells), piece
    )


def _turned(product: Product) -> Right:
    """Panels of operand b transposed, whose rows run along the summed index."""
    inner, columns = product.summed, product.columns
    assert isinstance(inner, int), "what is turned is a weight"
    piece = product.piece("turned", inner * columns)
    arguments, source = Arguments(product.plan), Source()
    pointer = arguments.pointer(product.step.operands[1])
    arguments.piece(piece, product.dtype)
    is_panelled = product.step.operands[1] in product.panels
    runs = panel_runs(inner, product.target.lanes, product.width) if is_panelled else (Run(0, 1, inner),)
    with source.block("HEAD"):
        for into in product.runs:
            source.line(f"const struct share part{into.column} = share_of({into.count}, worker);")
            with source.block(f"for (long p = part{into.column}.first; p < part{into.column}.last; p++)"):
                source.line(f"const long column = {into.column} + p * {into.columns};")
                for run in runs:
                    _turn_run(source, product, pointer, into, run, is_panelled)
    return Right(
        "turned", str(inner), 0, _call(product, 1, "turn", arguments, source, piece, inner * columns * 2), piece
    )


def _turn_run(source: Source, product: Product, pointer: str, into: Run, run: Run, is_panelled: bool) -> None:
    """The panels of one width, each turned into its rows of the panel at `column`."""
    stride = run.columns if is_panelled else product.b.strides[0]
    start = f"{run.column}L * {product.columns}" if is_panelled else f"{run.column}"
    whole = f"{run.columns}L * {product.columns}" if is_panelled else f"{run.columns}"
    with source.block(f"for (long q = 0; q < {run.count}; q++)"):
        source.line(
            f"turn_{product.kind}({pointer} + {start} + q * {whole} + column * {stride}, {stride}, {into.columns}, "
            f"{run.columns}, turned + column * {product.summed} + ({run.column} + q * {run.columns}) * {into.columns}, "
            f"{into.columns});"
        )


def _call(
    product: Product, operand: int, kind: str, arguments: Arguments, source: Source, piece: Piece, cells: int
) -> Call:
    pointers = arguments.all()
    text = str(source).replace("HEAD", head(pointers), 1)
    reads = arguments.spans([product.step.operands[operand]])
    return Call(kind, text, pointers, reads, (piece.span,), cells // product.target.lanes * 2 > SMALL_WORK)
