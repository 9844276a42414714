"""The samples that programs read: on the device as a whole where they fit, else a piece at a time through two buffers.

While the device works on the samples in one buffer, the host puts the next ones into pinned memory, and a second stream
carries them to the other buffer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from nnc.compiler.codegen.module import Feed as FeedBytes
from nnc.runtime.data.stream import blocks
from nnc.runtime.protocol import Array, Feed, Rows
from nnc.runtime.reference.rows import take_rows

from .device import Device, Event

Places = Sequence[tuple[int, int]]  # for each feed the address of its first sample, and bytes to the next

STAGED_BYTES: Final = 32 << 20  # of samples in one of the two buffers
MARGIN_BYTES: Final = 256 << 20  # of the device's memory that samples leave free
COMES_BACK: Final = "train_step"  # the program that reads its samples again and again
_ALIGNMENT: Final = 256


class Feeds:
    """What is bound to the programs of a session. `place` says where a step finds its samples."""

    def __init__(self, device: Device, batch_size: int) -> None:
        self._device, self._batch_size = device, batch_size
        self._bound: dict[str, _Bound] = {}

    def bind(self, program: str, feeds: Sequence[FeedBytes], sources: Mapping[str, Feed]) -> None:
        """Take the place of what was bound before. Arrays go to the device if it has room for them, and what is read
        from a file too if the program comes back to it."""
        if program not in self._bound:
            self._bound[program] = _Bound()
        bound = self._bound[program]
        bound.feeds, bound.sources = tuple(feeds), tuple([sources[feed.name] for feed in feeds])
        bound.length = max((len(source) for source in bound.sources), default=0)
        bound.is_copied = False
        may_stay = program == COMES_BACK or all(isinstance(source, np.ndarray) for source in bound.sources)
        bound.stays = may_stay and self._has_room(bound)
        if bound.stays:
            self._copy(bound)
        else:
            self._give_back(bound)

    def length(self, program: str) -> int:
        """How many samples are bound."""
        return self._bound[program].length

    def sources(self, program: str) -> dict[str, Feed]:
        """What is bound, by the name of the feed."""
        bound = self._bound[program]
        return {feed.name: source for feed, source in zip(bound.feeds, bound.sources, strict=True)}

    def place(self, program: str, rows: Rows) -> tuple[Places, Rows]:
        """Where samples lie on the device, and their numbers there: of as many of `rows`, from the first on, as can be
        placed at once, whole batches of them. Work asked for from now on finds them."""
        bound = self._bound[program]
        if not bound.stays:
            return self._stage(bound, rows)
        if not bound.is_copied:  # had to make room for another program's
            if not self._has_room(bound):
                bound.stays = False
                return self._stage(bound, rows)
            self._copy(bound)
        return bound.places, rows

    def used(self, program: str, event: Event) -> None:
        """What was placed last is read until the event."""
        bound = self._bound[program]
        if bound.staged:
            bound.staged[-1].used = event

    def free(self) -> None:
        """Give all memory back."""
        for bound in self._bound.values():
            self._give_back(bound)
            self._give_back_buffers(bound)

    # --- samples that stay on the device ---
    def _has_room(self, bound: _Bound) -> bool:
        """Whether all samples fit, if need be without those of other programs, which come again when they are read."""
        size = bound.size_bytes
        if size <= bound.capacity:
            return True
        self._give_back(bound)
        room = self._device.free_bytes() + sum(buffer.size for buffer in bound.staged) - MARGIN_BYTES
        others = [other for other in self._bound.values() if other.capacity]
        if size > room + sum(other.capacity for other in others):
            return False
        self._give_back_buffers(bound)
        for other in others if size > room else ():
            self._give_back(other)
        return True

    def _give_back(self, bound: _Bound) -> None:
        if bound.capacity:
            self._device.free(bound.address)
        bound.address = bound.capacity = 0
        bound.is_copied = False

    def _give_back_buffers(self, bound: _Bound) -> None:
        for buffer in bound.staged:
            self._device.free(buffer.address)
        bound.staged = []

    def _copy(self, bound: _Bound) -> None:
        if not bound.capacity:
            bound.capacity = max(bound.size_bytes, _ALIGNMENT)
            bound.address = self._device.allocate(bound.capacity)
        address, places = bound.address, []
        for feed, source in zip(bound.feeds, bound.sources, strict=True):
            places.append((address, feed.row_bytes))
            for numbers, block in blocks(source):
                place = address + int(numbers[0]) * feed.row_bytes
                self._device.upload(place, np.ascontiguousarray(block))
            address += _rounded(bound.length * feed.row_bytes)
        bound.places, bound.is_copied = tuple(places), True

    # --- samples that pass by ---
    def _staged_rows(self, bound: _Bound) -> int:
        """Whole batches: as many as a buffer holds, but of no more samples than there are."""
        row = max(1, sum(feed.row_bytes for feed in bound.feeds))
        return max(1, min(STAGED_BYTES // row, bound.length) // self._batch_size) * self._batch_size

    def _stage(self, bound: _Bound, rows: Rows) -> tuple[Places, Rows]:
        """Put samples into the buffer that was not used last, in the order of `rows`."""
        device = self._device
        most = self._staged_rows(bound)
        size = sum(_rounded(feed.row_bytes * most) for feed in bound.feeds)
        rows = rows[:most]
        if not bound.staged or bound.staged[0].size < size:
            self._give_back_buffers(bound)
            bound.staged = [_Buffer(size, device.allocate(size), device.pinned(size)) for _ in range(2)]
        bound.staged.reverse()
        buffer = bound.staged[-1]
        if buffer.filled is not None:
            device.wait(buffer.filled)
        places, place = [], 0
        for feed, source in zip(bound.feeds, bound.sources, strict=True):
            places.append((buffer.address + place, feed.row_bytes))
            pinned = buffer.pinned[place : place + len(rows) * feed.row_bytes].view(source.dtype)
            _take(source, rows, pinned.reshape(len(rows), *source.shape[1:]))
            place += _rounded(len(rows) * feed.row_bytes)
        if buffer.used is not None:
            device.beside_after(buffer.used)
        buffer.filled = device.upload_beside(buffer.address, buffer.pinned[:place])
        device.work_after(buffer.filled)
        return tuple(places), np.arange(len(rows), dtype=np.int64)


@dataclass(slots=True)
class _Buffer:
    """One of two: pinned bytes, where they go, when they are there, and until when they are read."""

    size: int
    address: int
    pinned: Array
    filled: Event | None = None
    used: Event | None = None


@dataclass(slots=True)
class _Bound:
    """What is bound to a program. stays: on the device as a whole, `capacity` bytes at `address`, once `is_copied`."""

    feeds: tuple[FeedBytes, ...] = ()
    sources: tuple[Feed, ...] = ()
    length: int = 0
    stays: bool = False
    is_copied: bool = False
    address: int = 0
    capacity: int = 0
    places: Places = ()
    staged: list[_Buffer] = field(default_factory=list)

    @property
    def size_bytes(self) -> int:
        return sum(_rounded(self.length * feed.row_bytes) for feed in self.feeds)


def _take(source: Feed, rows: Rows, out: Array) -> None:
    if isinstance(source, np.ndarray):
        take_rows(source, rows, out)
    else:
        source.take(rows, out)


def _rounded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
