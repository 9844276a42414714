"""A body bound to memory: the code of `code.py` as calls over views, tile by tile."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .arena import Arena, Array, Scratch
from .bodies import BITS
from .code import Code, Instruction, Varies
from .elementary import UFUNCS
from .registers import assign_registers
from .tiles import Tile, tile_shape

Call = Callable[[], Any]
Root = Callable[[Tile, Array], Call]     # the call that computes a tile of `acc`

_ROW_UFUNCS = {"row_sum": np.add, "row_max": np.maximum, "row_min": np.minimum}
_BIT_UFUNCS = {"bit_and": np.bitwise_and, "bit_xor": np.bitwise_xor}


class Frame:
    """The values of one body as arrays, for a batch of `rows`."""

    def __init__(self, code: Code, tiles: list[Tile], arena: Arena, scratch: Scratch, rows: int) -> None:
        self.code, self.arena, self.rows = code, arena, rows
        self._rank = len(tiles[0])
        largest = [max(shape) for shape in zip(*map(tile_shape, tiles), strict=True)]
        registers = assign_registers(code)
        self._place = registers.place
        self._registers = [
            scratch.take([dim if extends else 1 for dim, extends in zip(largest, varies, strict=True)], f"V{item}")
            for item, varies in registers.kinds
        ]
        self._constants = {
            i: np.array(value.number, np.float64).astype(value.dtype)
            for i, value in enumerate(code.values)
            if value.source == "constant"
        }
        self._whole: dict[int, Array] = {}

    def array(self, value: int, tile: Tile, ranked: bool = False) -> Array:
        """A value on a tile. A scalar is 0-dimensional, which ufuncs like best, unless `ranked`."""
        found = self.code.values[value]
        if value in self._constants:
            result = self._constants[value]
        elif value in self._place:
            shape = _shape_on(tile, found.varies)
            flat = self._registers[self._place[value]].reshape(-1)
            result = flat[: int(np.prod(shape))].view(found.dtype).reshape(shape)
        else:
            result = self.buffer(self.code.in_place.get(value, found.buffer), tile)
        if found.is_scalar:
            return result.reshape((1,) * self._rank if ranked else ())
        return result

    def buffer(self, buffer: int, tile: Tile) -> Array:
        """A buffer on a tile, with as many axes as the space."""
        if buffer not in self._whole:
            view = self.arena.view(buffer, self.rows)
            self._whole[buffer] = view[(np.newaxis,) * (self._rank - view.ndim) + (...,)]
        whole = self._whole[buffer]
        index: list[Any] = [slice(None) if dim == 1 else piece for dim, piece in zip(whole.shape, tile, strict=True)]
        return whole[(*index, ...)]    # the ellipsis keeps a 0-dimensional array an array

    # --- calls --------------------------------------------------------------------------------------------------
    def prologue(self, tile: Tile) -> tuple[list[Call], set[int]]:
        """Calls that compute what depends on scalars alone, once for all tiles; the positions of their instructions."""
        made = {instruction.output for instruction in self.code.instructions}
        ready = {i for i, value in enumerate(self.code.values) if value.is_scalar and i not in made}
        hoisted = []
        for position, instruction in enumerate(self.code.instructions):
            if instruction.inputs and ready.issuperset(instruction.inputs):
                ready.add(instruction.output)
                hoisted.append(position)
        return [self.call(self.code.instructions[position], tile, None) for position in hoisted], set(hoisted)

    def body(self, tile: Tile, root: Root | None, hoisted: set[int]) -> list[Call]:
        """Calls that run the instructions on one tile."""
        return [
            self.call(instruction, tile, root)
            for position, instruction in enumerate(self.code.instructions)
            if position not in hoisted
        ]

    def stores(self, tile: Tile) -> list[Call]:
        return [
            partial(np.copyto, self.buffer(buffer, tile), self.array(value, tile)) for buffer, value in self.code.stores
        ]

    def call(self, instruction: Instruction, tile: Tile, root: Root | None) -> Call:
        op, output = instruction.op, instruction.output
        if op == "root":
            assert root is not None
            return root(tile, self.array(output, tile, ranked=True))
        if op.startswith("row_"):
            return self._row_call(instruction, tile)
        out, inputs = self.array(output, tile), [self.array(i, tile) for i in instruction.inputs]
        if op == "copy":
            return partial(np.copyto, out, inputs[0], casting="unsafe")
        if op in _BIT_UFUNCS:
            bits = [a.view(BITS[a.itemsize]) for a in inputs]
            return partial(_BIT_UFUNCS[op], *bits, out=out.view(BITS[out.itemsize]))
        return partial(UFUNCS[op], *inputs, out=out)

    def _row_call(self, instruction: Instruction, tile: Tile) -> Call:
        operand = self.array(instruction.inputs[0], tile, ranked=True)
        out = self.array(instruction.output, tile, ranked=True)
        if instruction.op == "row_argmax":
            return partial(operand.argmax, axis=-1, out=out[..., 0])
        ufunc = _ROW_UFUNCS[instruction.op]
        return partial(ufunc.reduce, operand, axis=-1, keepdims=True, out=out)


def _shape_on(tile: Tile, varies: Varies) -> tuple[int, ...]:
    return tuple([dim if extends else 1 for dim, extends in zip(tile_shape(tile), varies, strict=True)])
