"""Products of matrices on a GPU: tiles summed by squads of warps, the step's body on each row of sums.

A product's body, its struct and its partial sums are those of a processor; both operands are read where they lie.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...plan import Buffer, Plan, Step
from ..calls import Arguments, Call
from ..expressions import ELEMENT
from ..maps import map_calls
from ..names import plainly_named
from ..operands import Left, Product, Right
from ..products import _ProductPrinter
from ..reductions import Partials, finish_call
from ..source import Source
from ..target import Target
from .records import LibraryProduct
from .tiles import SQUAD, tile_for


def matmul_cuda_calls(plan: Plan, step: Step, number: int, target: Target) -> list[Call]:
    """The functions of a product, in the order to call them. Every warp calls them: there are barriers in them."""
    return _SquadPrinter(Product(plan, step, number, target, frozenset())).calls()


@dataclass(frozen=True, slots=True)
class ByLibrary(Call):
    """A product that a library does: the call that stands for it, of no function."""

    product: LibraryProduct | None = None


def library_calls(plan: Plan, step: Step, product: LibraryProduct, target: Target) -> list[Call]:
    """What stands for a library's product, and the functions of what is left of its step's body."""
    own = Product(plan, step, product.number, target, frozenset())
    piece = None if product.result >= 0 else own.piece("product", own.at(own.rows) * own.columns)
    arguments = Arguments(plan)
    if piece is not None:
        arguments.piece(piece, own.dtype)
    read = [id for id in (product.a, product.b, product.bias, product.aux) if id >= 0]
    written = [id for id in (product.result, product.bias_gradient) if id >= 0]
    made = () if piece is None else (piece.span,)
    calls: list[Call] = [
        ByLibrary(
            "library", "", arguments.all(), arguments.spans(read), (*arguments.spans(written), *made), is_shared=True,
            product=product,
        )
    ]  # fmt: skip
    if product.rest is None:
        return calls
    rest = plainly_named(product.rest)
    of_operand = [r for r in rest.reductions if str(r.expr.value) == "b"]
    others = tuple([r for r in rest.reductions if r not in of_operand])
    if rest.body.stores or others:
        calls += map_calls(plan, replace(rest, operands=(), reductions=others), product.number, target, piece)
    row, column = reversed(own.b.strides) if own.turned_b else own.b.strides
    rows = Partials(own.summed, row, own.columns, own.dtype, None, step.operands[1], column)
    return calls + [finish_call(plan, reduction, number, rows, target) for number, reduction in enumerate(of_operand)]


class _SquadPrinter(_ProductPrinter):
    def __init__(self, product: Product) -> None:
        super().__init__(product)
        self.is_update = False  # nothing lies in panels
        self.tile = tile_for(product.at(product.rows), product.columns, product.dtype)

    def _operands(self) -> tuple[Left, Right]:
        a, b = (self.arguments.pointer(id) for id in self.step.operands)
        return Left(a, 0, 0, ""), Right(b, "", 0)

    def _product(self) -> Call:
        product, tile = self.product, self.tile
        tiles = tile.count(product.at(product.rows), product.columns)
        return replace(
            super()._product(), is_shared=True, parts=tiles * SQUAD, shared_bytes=tile.shared_bytes(product.dtype)
        )

    def _tiles(self, source: Source) -> None:
        product = self.product
        across_a, along_a = _strides(product.a, not product.turned_a)
        across_b, along_b = _strides(product.b, product.turned_b)
        rounded = self.plan.precision == "bfloat16" and product.dtype == "float32"
        flags = [_truth(flag) for flag in (along_a == 1, along_b == 1, rounded, bool(self.summing))]
        source.line(f"product<{self.tile.text()}, {ELEMENT[product.dtype]}, {', '.join(flags)}, NAME_body>(")
        left, right = self.left.pointer, self.right.pointer
        source.line(f"    {{{left}, {across_a}, {along_a}}}, {{{right}, {across_b}, {along_b}}},")
        source.line(f"    {product.rows}, {product.columns}, {product.summed}, worker, &s);")


def _strides(matrix: Buffer, is_summed_along_rows: bool) -> tuple[int, int]:
    """Elements from one row or column of the result to the next, and from one term of a sum to the next."""
    row, column = matrix.strides
    return (row, column) if is_summed_along_rows else (column, row)


def _truth(flag: bool) -> str:
    return "true" if flag else "false"
