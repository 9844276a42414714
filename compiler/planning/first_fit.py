"""Packings that take one tenant after another, in some order, each at the lowest offset free during its whole life."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import Final

from .tenants import Tenant, aligned

CLIMBS: Final = 96
Order = list[int]


def count_meetings(tenants: Sequence[Tenant]) -> int:
    """How many pairs of tenants live at the same time."""
    starts = sorted(tenant.first for tenant in tenants)
    return sum(bisect_right(starts, t.last) - bisect_left(starts, t.first) for t in tenants)


def by_size(tenants: Sequence[Tenant], bound: int) -> list[int]:
    return _sorted_fit(tenants, lambda k: (-tenants[k].size, tenants[k].first, k))


def by_duration(tenants: Sequence[Tenant], bound: int) -> list[int]:
    return _sorted_fit(tenants, lambda k: (tenants[k].first - tenants[k].last, -tenants[k].size, k))


def by_area(tenants: Sequence[Tenant], bound: int) -> list[int]:
    return _sorted_fit(tenants, lambda k: (-tenants[k].size * (tenants[k].last - tenants[k].first + 1), k))


def by_start(tenants: Sequence[Tenant], bound: int) -> list[int]:
    return _sorted_fit(tenants, lambda k: (tenants[k].first, tenants[k].first - tenants[k].last, k))


def by_pressure(tenants: Sequence[Tenant], bound: int) -> list[int]:
    """Those that live when most bytes do come first: where all must fit, they are packed with nothing in the way."""
    pressure = _pressures(tenants)
    return _sorted_fit(tenants, lambda k: (-pressure[k], tenants[k].first, -tenants[k].size, k))


def climbed(tenants: Sequence[Tenant], goal: int) -> tuple[list[int], int]:
    """First fit again and again, each time with the tenant that reached highest moved forward in the order."""
    neighbours = _neighbours(tenants)
    keys: tuple[Callable[[int], tuple[int, ...]], ...] = (
        lambda k: (-tenants[k].size, tenants[k].first, k),
        lambda k: (-tenants[k].alignment, tenants[k].first - tenants[k].last, k),
        lambda k: (tenants[k].first, -tenants[k].size, k),
    )
    best: tuple[list[int], int] | None = None
    for key in keys:
        order = sorted(range(len(tenants)), key=key)
        for attempt in range(CLIMBS // len(keys)):
            offsets = _first_fit(tenants, neighbours, order)
            ends = [offset + tenant.size for offset, tenant in zip(offsets, tenants, strict=True)]
            extent = max(ends)
            if best is None or extent < best[1]:
                best = offsets, extent
            if best[1] <= goal:
                return best
            highest = order.index(ends.index(extent))
            # halfway to the front two times of three; all the way the third, so that the order does not circle
            order.insert(highest // 2 if attempt % 3 else 0, order.pop(highest))
    assert best is not None
    return best


def _sorted_fit(tenants: Sequence[Tenant], key: Callable[[int], tuple[int, ...]]) -> list[int]:
    return _first_fit(tenants, _neighbours(tenants), sorted(range(len(tenants)), key=key))


def _first_fit(tenants: Sequence[Tenant], neighbours: list[list[int]], order: Order) -> list[int]:
    offsets = [-1] * len(tenants)
    for k in order:
        tenant, offset = tenants[k], 0
        for start, size in sorted([(offsets[n], tenants[n].size) for n in neighbours[k] if offsets[n] >= 0]):
            if offset + tenant.size <= start:
                break
            offset = max(offset, aligned(start + size, tenant.alignment))
        offsets[k] = offset
    return offsets


def _neighbours(tenants: Sequence[Tenant]) -> list[list[int]]:
    """For each tenant those that live at the same time."""
    result: list[list[int]] = [[] for _ in tenants]
    active: list[int] = []
    for k in sorted(range(len(tenants)), key=lambda k: (tenants[k].first, k)):
        active = [other for other in active if tenants[other].last >= tenants[k].first]
        result[k] = list(active)
        for other in active:
            result[other].append(k)
        active.append(k)
    return result


def _pressures(tenants: Sequence[Tenant]) -> list[int]:
    """For each tenant the most bytes live at one step of its life, from maxima over spans of powers of two."""
    steps = max((tenant.last for tenant in tenants), default=0) + 1
    live = [0] * (steps + 1)
    for tenant in tenants:
        live[tenant.first] += tenant.size
        live[tenant.last + 1] -= tenant.size
    for step in range(1, steps):
        live[step] += live[step - 1]
    maxima = [live[:steps]]
    span = 1
    while 2 * span <= steps:
        shorter = maxima[-1]
        maxima.append([max(shorter[k], shorter[k + span]) for k in range(len(shorter) - span)])
        span *= 2
    result = []
    for tenant in tenants:
        level = (tenant.last - tenant.first + 1).bit_length() - 1
        result.append(max(maxima[level][tenant.first], maxima[level][tenant.last - (1 << level) + 1]))
    return result
