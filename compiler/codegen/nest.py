"""The loops over a step's space: axes that lie one after another in every tensor are run through as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from ..plan import Buffer
from ..types import BATCH, Dim, Shape
from .places import Length, Level, Place, aligned_strides, linear, times


@dataclass(frozen=True, slots=True)
class Nest:
    """Lengths of the loops, outermost first, and for each tensor its strides along them. The last one is vectorised."""

    lengths: tuple[Length, ...]
    strides: dict[int, tuple[int, ...]]     # buffer -> one per loop

    @classmethod
    def over(
        cls, space: Shape, buffers: Sequence[Buffer] | Mapping[int, Buffer], ids: Sequence[int], keeps_rows: bool
    ) -> Nest:
        """The loops over `space` for the buffers `ids`. keeps_rows: the last axis stays a loop of its own."""
        rank = len(space)
        strides = {id: aligned_strides(buffers[id].type.shape, buffers[id].strides, rank) for id in dict.fromkeys(ids)}
        axes = [axis for axis in range(rank) if space[axis] != 1 or (keeps_rows and axis == rank - 1)]
        groups: list[list[int]] = []
        for axis in axes:
            is_row = keeps_rows and axis == rank - 1
            if groups and not is_row and _continues(groups[-1][-1], axis, space, list(strides.values())):
                groups[-1].append(axis)
            else:
                groups.append([axis])
        lengths = tuple([_length([space[axis] for axis in group]) for group in groups])
        return cls(lengths, {id: tuple([own[group[-1]] for group in groups]) for id, own in strides.items()})

    @property
    def indices(self) -> tuple[str, ...]:
        outer = tuple([f"i{k}" for k in range(len(self.lengths) - 1)])
        return (*outer, "j") if self.lengths else ()

    def place(self, id: int, buffer: Buffer, pointer: str) -> Place:
        """The tensor as the body's loads and stores see it."""
        strides = self.strides[id]
        if not any(strides):
            return Place(pointer, buffer.type.dtype, Level.CALL, "0")
        if not strides[-1]:
            return Place(pointer, buffer.type.dtype, Level.ROW, linear(self.indices, strides))
        outer = linear(self.indices[:-1], strides[:-1])
        last = linear(("j",), strides[-1:])
        offset = last if outer == "0" else f"{outer} + {last}"
        return Place(pointer, buffer.type.dtype, Level.ELEMENT, offset, strides[-1])


def _continues(axis: int, following: int, space: Shape, strides: Sequence[Sequence[int]]) -> bool:
    """Whether `axis` goes on where `following` ends, in every tensor."""
    dim = space[following]
    return isinstance(dim, int) and all(own[axis] == own[following] * dim for own in strides)


def _length(dims: Sequence[Dim]) -> Length:
    length: Length = prod(dim for dim in dims if isinstance(dim, int))
    return times("rows", length) if BATCH in dims else length
