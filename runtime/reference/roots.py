"""The roots of steps, which compute `acc`: product, rows by index, sums by index, random numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any, Final

import numpy as np

from nnc.compiler.plan import Step

from .arena import Arena, Array, Scratch
from .frame import Call, Root
from .philox import Philox
from .rounding import rounded
from .rows import RowAdder, refuse_outside, take_rows
from .tiles import Tile

Binding = tuple[list[Call], Root]       # calls to run first, and the call for each tile


def matmul_operands(step: Step, arena: Arena, rows: int) -> tuple[Array, Array]:
    """The two matrices of a product, turned as it reads them."""
    a, b = (arena.view(id, rows) for id in step.operands)
    attrs = dict(step.attrs)
    return (a.T if attrs["transpose_a"] else a), (b.T if attrs["transpose_b"] else b)


def _bind_matmul(step: Step, arena: Arena, scratch: Scratch, rows: int) -> Binding:
    a, b = matmul_operands(step, arena, rows)
    first: list[Call] = []
    if arena.plan.precision == "bfloat16":
        (first_a, a), (first_b, b) = rounded(a, scratch), rounded(b, scratch)
        first = first_a + first_b
    return first, lambda tile, out: partial(np.matmul, a[tile[0]], b[:, tile[1]], out=out)


def _bind_gather(step: Step, arena: Arena, scratch: Scratch, rows: int) -> Binding:
    table, indices = (arena.view(id, rows) for id in step.operands)
    wide = scratch.take(indices.shape, np.intp)     # np.take converts indices of any other dtype in memory of its own

    def root(tile: Tile, out: Array) -> Call:
        return partial(take_rows, table, wide[tile[:-1]], out)

    first: list[Call] = [partial(np.copyto, wide, indices, casting="unsafe"), partial(refuse_outside, wide, len(table))]
    return first, root


def _bind_scatter_add(step: Step, arena: Arena, scratch: Scratch, rows: int) -> Binding:
    indices, values = (arena.view(id, rows) for id in step.operands)
    size, width = step.space.concrete(rows)
    count = prod(indices.shape)
    adder = RowAdder(count, width, size, values.dtype, scratch)
    matrix = _as_rows(values, width)
    first: list[Call] = [partial(adder.sort, indices)]
    if matrix is None:
        matrix = scratch.take((count, width), values.dtype)
        first.append(partial(np.copyto, matrix.reshape(values.shape), values))
    source = matrix
    return first, lambda tile, out: partial(adder.add, source, tile[0].start, out)


def _as_rows(values: Array, width: int) -> Array | None:
    """A tensor seen as a matrix of rows where it lies, or None if its rows have no even distance."""
    view = values.view()
    try:
        view.shape = (-1, width)
    except AttributeError:
        return None
    return view


def _bind_random(step: Step, arena: Arena, scratch: Scratch, rows: int) -> Binding:
    attrs: dict[str, Any] = dict(step.attrs)
    counter = arena.view(step.operands[0], rows)
    philox = Philox(arena.plan.seed, scratch)
    fill = philox.uniform if attrs["distribution"] == "uniform" else philox.normal
    space = step.space.concrete(rows)

    def root(tile: Tile, out: Array) -> Call:
        start = sum(piece.start * prod(space[axis + 1 :]) for axis, piece in enumerate(tile))
        return partial(fill, out.reshape(-1), start, counter, attrs["stream"])

    return [], root


ROOTS: Final[dict[str, Callable[[Step, Arena, Scratch, int], Binding]]] = {
    "matmul": _bind_matmul,
    "gather": _bind_gather,
    "scatter_add": _bind_scatter_add,
    "random": _bind_random,
}
WANTS_CONTIGUOUS: Final = frozenset({"gather", "scatter_add", "random"})  # write whole rows, to memory without gaps
