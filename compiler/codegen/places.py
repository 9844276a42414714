"""Where the numbers of a body lie: a pointer, an offset in terms of the loops, a distance from lane to lane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from ..types import BATCH, Dim, Shape
from .expressions import SUFFIX, VECTOR, Typed

Length = int | str      # of an axis: a number, or C text with `rows` in it


class Level(IntEnum):
    """How often a value changes: once per call, once per row (all axes but the last), with every element."""

    CALL = 0
    ROW = 1
    ELEMENT = 2


@dataclass(frozen=True, slots=True)
class Place:
    """A tensor as the loops of a function see it. `offset` counts elements, `stride` those between two lanes."""

    pointer: str
    dtype: str
    level: Level
    offset: str
    stride: int = 1

    @property
    def address(self) -> str:
        return self.pointer if self.offset == "0" else f"{self.pointer} + {self.offset}"

    def load(self, n: str) -> Typed:
        """The next `n` elements; below Level.ELEMENT one number in every lane."""
        kind = SUFFIX[self.dtype]
        if self.level < Level.ELEMENT:
            number = f"{self.pointer}[{self.offset}]"
            return Typed(f"all_{'i32' if kind == 'u8' else kind}({number})", self.dtype)
        if self.stride != 1:
            return Typed(f"stride_{kind}({self.address}, {self.stride}, {n})", self.dtype)
        return Typed(f"load_{kind}({self.address}, {n})", self.dtype)

    def store(self, value: str, n: str) -> str:
        """A statement that puts `n` lanes there; below Level.ELEMENT one."""
        kind = SUFFIX[self.dtype]
        if self.level < Level.ELEMENT:
            return f"put_{kind}({self.address}, {value});"
        if self.stride != 1:
            return f"store_stride_{kind}({self.address}, {self.stride}, {value}, {n});"
        return f"store_{kind}({self.address}, {value}, {n});"


def vector_type(dtype: str) -> str:
    return VECTOR[dtype]


def length_of(dim: Dim) -> Length:
    return "rows" if dim == BATCH else dim


def times(a: Length, b: Length) -> Length:
    """The product of two lengths, as a number where it is one."""
    if isinstance(a, int) and isinstance(b, int):
        return a * b
    return b if a == 1 else a if b == 1 else f"{a} * {b}"


def longest(length: Length, batch: int) -> int:
    """A length with a full batch."""
    return length if isinstance(length, int) else batch * int(length.partition(" * ")[2] or 1)


def linear(indices: Sequence[str], strides: Sequence[int]) -> str:
    """`i0 * 784 + j`; "0" where nothing varies."""
    parts = [i if s == 1 else f"{i} * {s}" for i, s in zip(indices, strides, strict=True) if s != 0]
    return " + ".join(parts) if parts else "0"


def aligned_strides(shape: Shape, strides: Sequence[int], rank: int) -> list[int]:
    """Strides along the axes of a space of `rank` axes, 0 where the tensor is repeated."""
    own = [0 if dim == 1 else stride for dim, stride in zip(shape, strides, strict=True)]
    return [0] * (rank - len(own)) + own
