"""Reductions beyond a row: accumulated over tiles in their order, then handed to a small body as its `acc`."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Final

import numpy as np

from nnc.compiler.plan import Reduction

from .arena import Arena, Array, Scratch
from .code import Code
from .frame import Call, Frame
from .tiles import Tile, cut, tile_shape

UFUNCS: Final = {"sum": np.add, "max": np.maximum, "min": np.minimum}
_ACC: Final = 0      # `acc` is the first value of a reduction's body


class Accumulator:
    """One reduction of a step, bound for a batch of `rows`: fed tile by tile, then its body runs on the result."""

    def __init__(
        self, reduction: Reduction, code: Code, space: tuple[int, ...], arena: Arena, scratch: Scratch, rows: int
    ) -> None:
        self._ufunc = UFUNCS[reduction.operator]
        rank = len(space)
        self._axes = tuple(range(rank if reduction.axes == "all" else rank - 1))
        result = () if reduction.axes == "all" else space[-1:]
        self._tile: Tile = tuple([slice(0, dim) for dim in result])
        self._body = Frame(code, [self._tile], arena, scratch, rows)
        self._total = self._body.array(_ACC, self._tile).reshape((1,) * (rank - len(result)) + result)
        self._part = scratch.take(self._total.shape, reduction.dtype)

    def add(self, piece: Array, is_first: bool) -> list[Call]:
        """Calls that take in one tile of the reduced value."""
        into = self._total if is_first else self._part
        calls: list[Call] = [partial(self._ufunc.reduce, piece, axis=self._axes, keepdims=True, out=into)]
        if not is_first:
            calls.append(partial(self._ufunc, self._total, self._part, out=self._total))
        return calls

    def add_matrix(self, matrix: Array, scratch: Scratch) -> list[Call]:
        """Calls that take in a whole matrix, converted piece by piece where its dtype is another."""
        if matrix.dtype == self._part.dtype:
            return self.add(matrix, is_first=True)
        calls: list[Call] = []
        tiles = cut(matrix.shape, whole_rows=True)
        register = scratch.take([max(prod(tile_shape(tile)) for tile in tiles)], self._part.dtype)
        for number, tile in enumerate(tiles):
            shape = tile_shape(tile)
            piece = register[: prod(shape)].reshape(shape)
            calls.append(partial(np.copyto, piece, matrix[tile], casting="unsafe"))
            calls += self.add(piece, is_first=number == 0)
        return calls

    def finish(self) -> list[Call]:
        """Calls that run the body on the result."""
        return self._body.body(self._tile, None, set()) + self._body.stores(self._tile)
