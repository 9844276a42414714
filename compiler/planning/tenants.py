"""Tenants of an arena: bytes needed for a span of steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


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
