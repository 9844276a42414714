"""Tenants packed into as few bytes as can be found.

Finding the best packing is NP-hard. Several quick ones are tried, best fit over time first, until one is within a
hair of the lower bound that no packing can beat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from .first_fit import by_area, by_duration, by_pressure, by_size, by_start, climbed, count_meetings
from .over_time import best_fit, best_fit_backwards, two_ended
from .tenants import Tenant, lower_bound

GOOD_ENOUGH: Final = 1.01          # times the lower bound: stop looking
QUADRATIC_LIMIT: Final = 4000      # tenants beyond which only the packings that help most are tried
CLIMB_LIMIT: Final = 400           # tenants beyond which no order is improved step by step
PAIR_LIMIT: Final = 2_000_000      # pairs of tenants that meet, beyond which no more is tried


def place(tenants: Sequence[Tenant]) -> tuple[list[int], int]:
    """An offset for each tenant, and the bytes they take together.

    Ensures: tenants that live at the same time do not overlap; every offset is a multiple of the tenant's alignment.
    """
    bound = lower_bound(tenants)
    goal = int(bound * GOOD_ENOUGH)
    best: tuple[list[int], int] | None = None
    for packing in _packings(tenants):
        offsets = packing(tenants, bound)
        extent = max((offset + t.size for offset, t in zip(offsets, tenants, strict=True)), default=0)
        if best is None or extent < best[1]:
            best = offsets, extent
        if best[1] <= goal:
            break
    assert best is not None
    if best[1] > goal and len(tenants) <= CLIMB_LIMIT:
        best = min(best, climbed(tenants, goal), key=lambda found: found[1])
    return best


def _packings(tenants: Sequence[Tenant]) -> Iterator[Callable[[Sequence[Tenant], int], list[int]]]:
    """Quick ones first; those that compare all pairs of tenants that meet only where there are not too many."""
    yield best_fit
    yield best_fit_backwards
    if count_meetings(tenants) > PAIR_LIMIT:
        return
    yield from (two_ended, by_pressure, by_size)
    if len(tenants) <= QUADRATIC_LIMIT:
        yield from (by_duration, by_area, by_start)
