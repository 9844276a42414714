"""The device memory of a session: one allocation, in which everything has a place that is known beforehand.

The plan's arena at the plan's addresses; then what steps need beside it, the warps' scratch, a workspace for libraries,
the word at which warps meet, and the call: what kernels are told of the batches they are to run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from nnc.compiler.plan import Plan
from nnc.compiler.types import ITEM_SIZE
from nnc.runtime.protocol import Array, Rows
from nnc.runtime.reference.arena import extent, is_contiguous

from .device import Arguments, Device, Event

# as the printed module has them: struct memory, struct feed, struct job
MEMORY: Final = np.dtype([("fixed", "u8"), ("work", "u8"), ("pieces", "u8"), ("scratch", "u8")])
FEED: Final = np.dtype([("data", "u8"), ("stride", "i8")])
JOB: Final = np.dtype(
    [("feeds", "u8"), ("numbers", "u8"), ("first", "i8"), ("count", "i8"), ("batch", "i8"), ("barrier", "u8")]
)
MOST_NUMBERS: Final = 1 << 16  # rows of one call of the device
RESIDENT: Final = -1  # rows, for a kernel that runs batch after batch itself
_ALIGNMENT: Final = 256  # bytes: cuBLASLt is quickest so


@dataclass(frozen=True, slots=True)
class Needs:
    """Bytes beside the arena, as `CudaModule` counts them. warps: of the largest launch. feeds: of the program with the
    most."""

    piece_bytes: int
    scratch_bytes: int
    warps: int
    workspace_bytes: int
    feeds: int


class DeviceMemory:
    """One block of a device's memory. `call` tells the next kernels what to run; `read` and `write` are for buffers.

    warps: so many at most may run at the same time.
    """

    def __init__(self, device: Device, plan: Plan, needs: Needs) -> None:
        self.plan, self._device = plan, device
        self._most_feeds, self.warps = needs.feeds, needs.warps
        self.numbers = max(plan.batch_size, MOST_NUMBERS // plan.batch_size * plan.batch_size)
        self._call_bytes = JOB.itemsize + FEED.itemsize * max(needs.feeds, 1) + 8 * self.numbers
        sizes = {
            "arena": plan.arena_bytes,
            "pieces": needs.piece_bytes,
            "scratch": needs.scratch_bytes * needs.warps,
            "workspace": needs.workspace_bytes,
            "barrier": 4,
            "call": self._call_bytes,
        }
        self.size_bytes = sum(_rounded(size) for size in sizes.values())
        self.base = device.allocate(self.size_bytes)
        places, address = {}, self.base
        for name, size in sizes.items():
            places[name] = address
            address += _rounded(size)
        self.pieces, self.workspace, self._barrier = places["pieces"], places["workspace"], places["barrier"]
        self.call_address = places["call"]
        self._memory = np.array([(self.base, self.base, self.pieces, places["scratch"])], MEMORY)
        self._sent = [_Sent(device.pinned(self._call_bytes)) for _ in range(2)]
        self._write_constants()

    def free(self) -> None:
        """Give the block back; nothing may use it any more."""
        self._device.free(self.base)

    def _write_constants(self) -> None:
        for id, buffer in enumerate(self.plan.buffers):
            if buffer.kind == "constant":
                shape = buffer.type.concrete(self.plan.batch_size)
                value = np.array(buffer.value, np.float64).reshape(shape).astype(buffer.type.dtype)
                self.write(id, self.plan.batch_size, value)

    # --- kernels ---
    def arguments(self, rows: int) -> Arguments:
        """What every kernel is given: (struct memory, struct job *, long rows)."""
        return self._memory, np.array([self.call_address], np.uint64), np.array([rows], np.int64)

    def call(self, feeds: Sequence[tuple[int, int]], numbers: Rows) -> None:
        """Tell the next kernels to run the samples `numbers` of feeds that lie at (address, stride), from the first on.

        The host waits only if the call before the last is still on its way to the device.
        """
        assert len(feeds) <= self._most_feeds
        assert 0 < len(numbers) <= self.numbers, (len(numbers), self.numbers)
        sent = self._sent[0]
        self._sent.reverse()
        if sent.event is not None:
            self._device.wait(sent.event)
        feeds_at = JOB.itemsize
        numbers_at = feeds_at + FEED.itemsize * len(feeds)
        size = numbers_at + 8 * len(numbers)
        job = (self.call_address + feeds_at, self.call_address + numbers_at, 0, len(numbers), self.plan.batch_size,
               self._barrier)  # fmt: skip
        sent.bytes[:feeds_at].view(JOB)[0] = job
        for number, feed in enumerate(feeds):
            sent.bytes[feeds_at:numbers_at].view(FEED)[number] = feed
        sent.bytes[numbers_at:size].view(np.int64)[:] = numbers
        self._device.upload_soon(self.call_address, sent.bytes[:size])
        sent.event = self._device.mark()

    # --- buffers ---
    def address(self, id: int) -> int:
        """Of a buffer's first element."""
        return self.base + self.plan.buffers[id].offset

    def read(self, id: int, rows: int) -> Array:
        """A copy of a buffer's first `rows` rows, once all that was asked for is done."""
        buffer = self.plan.buffers[id]
        start, end = extent(buffer, rows)
        whole = np.empty(end - start, np.uint8)
        self._device.download(whole, self.base + start)
        return self._view(id, rows, whole)

    def write(self, id: int, rows: int, value: Array) -> None:
        """Set a buffer's first `rows` rows."""
        buffer = self.plan.buffers[id]
        start, end = extent(buffer, rows)
        whole = np.empty(end - start, np.uint8)
        if not is_contiguous(buffer):
            self._device.download(whole, self.base + start)  # what lies between its elements stays
        self._view(id, rows, whole)[...] = value
        self._device.upload(self.base + start, whole)

    def _view(self, id: int, rows: int, whole: Array) -> Array:
        buffer = self.plan.buffers[id]
        strides = tuple(stride * ITEM_SIZE[buffer.type.dtype] for stride in buffer.strides)
        return np.ndarray(buffer.type.concrete(rows), np.dtype(buffer.type.dtype), whole.data, 0, strides)


class _Sent:
    """Pinned bytes of a call, and when the device has read them."""

    def __init__(self, pinned: Array) -> None:
        self.bytes = pinned
        self.event: Event | None = None


def _rounded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
