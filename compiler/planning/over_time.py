"""Packings that walk through time: what has ended makes room, what begins takes it."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import Final

from .tenants import Tenant, aligned

LIMITS: Final = (1.0, 1.01, 1.03, 1.06, 1.09)     # arenas tried by `two_ended`, times the lower bound


def best_fit(tenants: Sequence[Tenant], bound: int) -> list[int]:
    """As an allocator would: at each step free what has ended, then fill the tightest gaps, the largest first."""
    return _simulated(tenants, [t.first for t in tenants], [t.last for t in tenants])


def best_fit_backwards(tenants: Sequence[Tenant], bound: int) -> list[int]:
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


def two_ended(tenants: Sequence[Tenant], bound: int) -> list[int]:
    """Inside an arena of fixed size, each beside what outlives it: what dies first leaves one gap, not two.

    A chain of layers, two of which live at a time, goes to the two ends of the arena in turn and needs no more than the
    bound. The smallest arena that works is taken, walking forwards or backwards; if none does, the tightest gaps.
    """
    forwards = [tenant.first for tenant in tenants], [tenant.last for tenant in tenants]
    backwards = [-tenant.last for tenant in tenants], [-tenant.first for tenant in tenants]
    for limit in LIMITS:
        for first, last in (forwards, backwards):
            offsets = _between_ends(tenants, first, last, int(bound * limit))
            if offsets is not None:
                return offsets
    return best_fit(tenants, bound)


def _between_ends(tenants: Sequence[Tenant], first: list[int], last: list[int], limit: int) -> list[int] | None:
    offsets = [0] * len(tenants)
    live: list[tuple[int, int, int]] = []       # (offset, end, last step), in order
    for k in sorted(range(len(tenants)), key=lambda k: (first[k], -tenants[k].size, k)):
        live = [other for other in live if other[2] >= first[k]]
        offset = _beside_what_stays(tenants[k], last[k], live, limit)
        if offset is None:
            return None
        offsets[k] = offset
        insort(live, (offset, offset + tenants[k].size, last[k]))
    return offsets


def _beside_what_stays(tenant: Tenant, last: int, live: list[tuple[int, int, int]], limit: int) -> int | None:
    """An offset at the edge of the tightest gap between tenants that live at least as long; None if nothing fits."""
    next_stays = [limit] * (len(live) + 1)
    for index in range(len(live) - 1, -1, -1):
        next_stays[index] = live[index][0] if live[index][2] >= last else next_stays[index + 1]
    best: tuple[bool, int, int] | None = None
    start = stays = 0
    for index in range(len(live) + 1):
        end = live[index][0] if index < len(live) else limit
        low = aligned(start, tenant.alignment)
        if low + tenant.size <= end:
            high = (end - tenant.size) // tenant.alignment * tenant.alignment
            gap = next_stays[index] - stays
            for choice in ((stays != start, gap, low), (next_stays[index] != end, gap, high)):
                if best is None or choice < best:
                    best = choice
        if index < len(live):
            start = live[index][1]
            if live[index][2] >= last:
                stays = start
    return None if best is None else best[2]
