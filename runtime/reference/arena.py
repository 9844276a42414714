"""The arena: one block of bytes, and every buffer of a plan as a strided view into it.

Also the scratch beside it: the registers in which bodies are evaluated, taken when a program is bound and never later.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from nnc.compiler.plan import Buffer, Plan
from nnc.compiler.types import BATCH, ITEM_SIZE

Array = npt.NDArray[Any]

ALIGNMENT: Final = 64  # bytes: a cache line, and the widest vector register


def aligned_bytes(size_bytes: int) -> Array:
    """Zeroed bytes whose address is a multiple of ALIGNMENT."""
    block = np.zeros(size_bytes + ALIGNMENT, np.uint8)
    start = -block.ctypes.data % ALIGNMENT
    return block[start : start + size_bytes]


class Arena:
    """The bytes of one session. `view(buffer, rows)` is a buffer's first `rows` rows, always the same memory."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._bytes = aligned_bytes(plan.arena_bytes)
        for id, buffer in enumerate(plan.buffers):
            if buffer.kind == "constant":
                view = self.view(id, plan.batch_size)
                view[...] = np.array(buffer.value, np.float64).reshape(view.shape)

    @property
    def address(self) -> int:
        """Of the first byte."""
        return int(self._bytes.ctypes.data)

    def view(self, id: int, rows: int) -> Array:
        buffer = self.plan.buffers[id]
        item = ITEM_SIZE[buffer.type.dtype]
        return np.ndarray(
            buffer.type.concrete(rows),
            np.dtype(buffer.type.dtype),
            buffer=self._bytes.data,
            offset=buffer.offset,
            strides=tuple(stride * item for stride in buffer.strides),
        )


class Scratch:
    """Memory for registers. Steps run one after another, so each step takes its registers from the start again."""

    def __init__(self) -> None:
        self._block = aligned_bytes(1 << 16)
        self._used = 0

    def restart(self) -> None:
        self._used = 0

    def take(self, shape: Sequence[int], dtype: npt.DTypeLike) -> Array:
        """Uninitialised and contiguous; valid until the step that took it has run."""
        kind = np.dtype(dtype)
        size = prod(shape) * kind.itemsize
        if self._used + size > len(self._block):
            # views into the old block keep it alive, so nothing that was bound before has to move
            self._block, self._used = aligned_bytes(max(2 * len(self._block), size)), 0
        place = self._block[self._used : self._used + size]
        self._used += -(-size // ALIGNMENT) * ALIGNMENT
        return place.view(kind).reshape(shape)


def extent(buffer: Buffer, batch_size: int) -> tuple[int, int]:
    """First byte of a full batch of `buffer`, and the byte after its last."""
    item = ITEM_SIZE[buffer.type.dtype]
    shape = buffer.type.concrete(batch_size)
    last = sum((dim - 1) * stride for dim, stride in zip(shape, buffer.strides, strict=True))
    return buffer.offset, buffer.offset + (last + 1) * item


def may_overlap(a: Buffer, b: Buffer, batch_size: int) -> bool:
    """Whether the byte ranges of two buffers meet; interleaved slices of one tensor count as meeting."""
    (start_a, end_a), (start_b, end_b) = extent(a, batch_size), extent(b, batch_size)
    return start_a < end_b and start_b < end_a


def is_same_view(a: Buffer, b: Buffer) -> bool:
    """Whether two buffers are the same elements, each at the same index of a common space."""
    moves_a = [(dim, stride) for dim, stride in zip(a.type.shape, a.strides, strict=True) if dim != 1]
    moves_b = [(dim, stride) for dim, stride in zip(b.type.shape, b.strides, strict=True) if dim != 1]
    return a.offset == b.offset and a.type.dtype == b.type.dtype and moves_a == moves_b


def is_contiguous(buffer: Buffer) -> bool:
    """Whether the elements lie one after another in row-major order, whatever the batch."""
    expected = 1
    for dim, stride in zip(reversed(buffer.type.shape), reversed(buffer.strides), strict=True):
        if dim != 1 and stride != expected:
            return False
        expected *= 1 if dim == BATCH else dim
    return True
