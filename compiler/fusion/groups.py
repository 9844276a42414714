"""Records of fusion: kernels in the making, and what is known of reads and places while they grow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ..graph import Update
from ..types import Shape
from ..views import Strides

MAIN: Final = -1                 # level of what runs over a kernel's space; reductions' bodies are levels 0, 1, ...
BODY_LIMIT: Final = 192          # items in one kernel, so that a long chain of maps stays a list of steps
LAZY_DEPTH: Final = 8
LEAF: Final = -(2**40)           # order of what is there before the first step
LEAVES_ONLY: Final = -(2**30)    # orders of kernels that read nothing but leaves: before all others

ROOTS: Final = frozenset({"matmul", "gather", "scatter_add", "random"})
VIEWS: Final = frozenset({"reshape", "slice", "permute"})


@dataclass(slots=True)
class ReductionGroup:
    """A reduction at the end of a kernel, and what runs on its result. `of`: what is reduced; None for a matmul's b."""

    item: int
    of: int | None
    shape: Shape
    members: list[int] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Copy:
    """`source` stored unchanged in the bytes of `target`, at an offset and with strides of its own."""

    source: int
    target: int
    offset: int
    strides: Strides


@dataclass(slots=True)
class Kernel:
    """A step in the making. `members`: the maps and row reductions of its body, in order."""

    order: int
    root: int | None
    shape: Shape
    dtype: str
    origin: str
    members: list[int] = field(default_factory=list)
    reductions: list[ReductionGroup] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)
    copy: Copy | None = None
    size: int = 0


@dataclass(frozen=True, slots=True)
class Layout:
    """Where an item lies: in the bytes of item `root`, at an offset, with strides, counted in elements."""

    root: int
    offset: int
    strides: Strides


@dataclass(slots=True)
class VariableRead:
    """A read of a variable's old value. `level` is None for a kernel's root, which reads all of it."""

    order: int
    level: int | None
    elementwise: bool


def is_row(shape: Shape, space: Shape) -> bool:
    """`[batch, 1]` in `[batch, 10]`: one value per row."""
    return len(shape) == len(space) >= 2 and shape[-1] == 1 and space[-1] != 1 and shape[:-1] == space[:-1]


def fits(shape: Shape, space: Shape) -> bool:
    """Whether a value of `shape` can be made and stored by a body over `space`."""
    return shape == space or is_row(shape, space)
