"""Tenants of an arena and where each lies: intervals of time, packed into as few bytes as can be found.

Finding the best packing is NP-hard. Several quick ones are tried, best fit over time first, until one is within a
hair of the lower bound that no packing can beat.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

GOOD_ENOUGH: Final = 1.01          # times the lower bound: stop looking
QUADRATIC_LIMIT: Final = 4000      # tenants beyond which the packings that compare all pairs are left out
CLIMB_LIMIT: Final = 400           # tenants beyond which no order is improved step by step
CLIMBS: Final = 96


@dataclass(frozen=True, slots=True)
class Tenant:
    """Bytes needed from step `first` to step `last`, both included."""

    size: int
    first: int
    last: int
    alignment: int


def alignment(size: int, item_size: int) -> int:
    """64 bytes for what is worth a cache line's start; less where padding would cost more than it gives."""
    if size >= 1280:
        return 64
    return 16 if size >= 320 else item_size


def aligned(offset: int, alignment: int) -> int:
    return -(-offset // alignment) * alignment


def lower_bound(tenants: Sequence[Tenant]) -> int:
    """The largest sum of bytes live at one step: no packing needs less."""
    changes: dict[int, int] = {}
    for tenant in tenants:
        changes[tenant.first] = changes.get(tenant.first, 0) + tenant.size
        changes[tenant.last + 1] = changes.get(tenant.last + 1, 0) - tenant.size
    live = peak = 0
    for time in sorted(changes):
        live += changes[time]
        peak = max(peak, live)
    return peak


def place(tenants: Sequence[Tenant]) -> tuple[list[int], int]:
    """An offset for each tenant, and the bytes they take together.

    Ensures: tenants that live at the same time do not overlap; every offset is a multiple of the tenant's alignment.
    """
    goal = int(lower_bound(tenants) * GOOD_ENOUGH)
    best: tuple[list[int], int] | None = None
    for packing in (_best_fit, _best_fit_backwards, _by_size, _by_duration, _by_area, _by_start):
        if best is not None and len(tenants) > QUADRATIC_LIMIT and packing not in (_best_fit, _best_fit_backwards):
            break
        offsets = packing(tenants)
        extent = max((offset + t.size for offset, t in zip(offsets, tenants, strict=True)), default=0)
        if best is None or extent < best[1]:
            best = offsets, extent
        if best[1] <= goal:
            break
    assert best is not None
    if best[1] > goal and len(tenants) <= CLIMB_LIMIT:
        best = min(best, _climbed(tenants, goal), key=lambda found: found[1])
    return best


# --- over time ------------------------------------------------------------------------------------------------------
def _best_fit(tenants: Sequence[Tenant]) -> list[int]:
    """As an allocator would: at each step free what has ended, then fill the tightest gaps, the largest first."""
    return _simulated(tenants, [t.first for t in tenants], [t.last for t in tenants])


def _best_fit_backwards(tenants: Sequence[Tenant]) -> list[int]:
    """The same from the last step to the first."""
    return _simulated(tenants, [-t.last for t in tenants], [-t.first for t in tenants])


def _simulated(tenants: Sequence[Tenant], first: list[int], last: list[int]) -> list[int]:
    beginning = sorted(range(len(tenants)), key=lambda k: (first[k], -tenants[k].size, k))
    ending = sorted(range(len(tenants)), key=lambda k: (last[k], k))
    offsets, gaps, ended = [0] * len(tenants), _Gaps(), 0
    for k in beginning:
        while ended < len(ending) and last[ending[ended]] < first[k]:
            over = ending[ended]
            gaps.free(offsets[over], tenants[over].size)
            ended += 1
        offsets[k] = gaps.take(tenants[k].size, tenants[k].alignment)
    return offsets


class _Gaps:
    """Free bytes below the top of an arena that can grow: by size for finding, by ends for joining."""

    def __init__(self) -> None:
        self.top = 0
        self.by_size: list[tuple[int, int]] = []
        self.size_at: dict[int, int] = {}
        self.start_of: dict[int, int] = {}

    def take(self, size: int, alignment: int) -> int:
        found = bisect_left(self.by_size, (size, -1))
        for index in range(found, min(found + 8, len(self.by_size))):
            length, start = self.by_size[index]
            offset = aligned(start, alignment)
            if offset + size <= start + length:
                self._remove(start)
                self._add(start, offset - start)
                self._add(offset + size, start + length - offset - size)
                return offset
        start = self.start_of.get(self.top, self.top)
        offset = aligned(start, alignment)
        if start != self.top:
            self._remove(start)
        self._add(start, offset - start)
        self.top = offset + size
        return offset

    def free(self, start: int, size: int) -> None:
        end = start + size
        if end in self.size_at:
            following = end
            end += self.size_at[end]
            self._remove(following)
        if start in self.start_of:
            start = self.start_of[start]
            self._remove(start)
        self._add(start, end - start)

    def _add(self, start: int, size: int) -> None:
        if size:
            insort(self.by_size, (size, start))
            self.size_at[start] = size
            self.start_of[start + size] = start

    def _remove(self, start: int) -> None:
        size = self.size_at.pop(start)
        del self.start_of[start + size]
        del self.by_size[bisect_left(self.by_size, (size, start))]


# --- one after another ----------------------------------------------------------------------------------------------
def _by_size(tenants: Sequence[Tenant]) -> list[int]:
    return _first_fit(tenants, sorted(range(len(tenants)), key=lambda k: (-tenants[k].size, tenants[k].first, k)))


def _by_duration(tenants: Sequence[Tenant]) -> list[int]:
    def key(k: int) -> tuple[int, int, int]:
        return tenants[k].first - tenants[k].last, -tenants[k].size, k

    return _first_fit(tenants, sorted(range(len(tenants)), key=key))


def _by_area(tenants: Sequence[Tenant]) -> list[int]:
    def key(k: int) -> tuple[int, int]:
        return -tenants[k].size * (tenants[k].last - tenants[k].first + 1), k

    return _first_fit(tenants, sorted(range(len(tenants)), key=key))


def _by_start(tenants: Sequence[Tenant]) -> list[int]:
    def key(k: int) -> tuple[int, int, int]:
        return tenants[k].first, tenants[k].first - tenants[k].last, k

    return _first_fit(tenants, sorted(range(len(tenants)), key=key))


def _climbed(tenants: Sequence[Tenant], goal: int) -> tuple[list[int], int]:
    """First fit again and again, each time with the tenant that reached highest moved forward in the order."""
    orders = [
        sorted(range(len(tenants)), key=lambda k: (-tenants[k].size, tenants[k].first, k)),
        sorted(range(len(tenants)), key=lambda k: (-tenants[k].alignment, tenants[k].first - tenants[k].last, k)),
        sorted(range(len(tenants)), key=lambda k: (tenants[k].first, -tenants[k].size, k)),
    ]
    best: tuple[list[int], int] | None = None
    for order in orders:
        for attempt in range(CLIMBS // len(orders)):
            offsets = _first_fit(tenants, order)
            ends = [offset + tenant.size for offset, tenant in zip(offsets, tenants, strict=True)]
            extent = max(ends)
            if best is None or extent < best[1]:
                best = offsets, extent
            if best[1] <= goal:
                return best
            highest = order.index(ends.index(extent))
            # halfway to the front at first; later all the way, so that the order does not circle
            order.insert(highest // 2 if attempt % 3 else 0, order.pop(highest))
    assert best is not None
    return best


def _first_fit(tenants: Sequence[Tenant], order: list[int]) -> list[int]:
    """Each in turn at the lowest offset free during its whole life."""
    import numpy as np

    offsets = [0] * len(tenants)
    first = np.array([tenants[k].first for k in order], np.int64)
    last = np.array([tenants[k].last for k in order], np.int64)
    start = np.zeros(len(order), np.int64)
    end = np.zeros(len(order), np.int64)
    for rank, k in enumerate(order):
        tenant = tenants[k]
        meets = np.flatnonzero((first[:rank] <= tenant.last) & (last[:rank] >= tenant.first))
        offset = _lowest_gap(start[meets], end[meets], tenant)
        offsets[k] = offset
        start[rank], end[rank] = offset, offset + tenant.size
    return offsets


def _lowest_gap(starts, ends, tenant: Tenant) -> int:  # type: ignore[no-untyped-def]
    import numpy as np

    if not len(starts):
        return 0
    by_start = np.argsort(starts, kind="stable")
    starts, ends = starts[by_start], np.maximum.accumulate(ends[by_start])
    open_from = np.concatenate(([0], ends))
    offset = -(-open_from // tenant.alignment) * tenant.alignment
    fits = offset[:-1] + tenant.size <= starts
    index = int(np.argmax(fits)) if fits.any() else len(starts)
    return int(offset[index])
