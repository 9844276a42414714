"""Bounds on memory: the largest batch that fits, and what to say when a model does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nnc.grammar.diagnostics import Diagnostic

from ..kernels import FusedProgram, FusedPrograms, Value
from .layout import Layout, arena_lower_bound, lay_out
from .lifetimes import Lifetimes, fixed_roots
from .tenants import Tenant

LARGEST_BATCH: Final = 2**24


def largest_batch(scheduled: FusedPrograms, max_memory_bytes: int) -> int:
    """The largest batch whose arena is no larger than `max_memory_bytes`; 0 if not even one row fits."""

    def fits(batch: int) -> bool:
        if arena_lower_bound(scheduled, batch) > max_memory_bytes:
            return False
        return lay_out(scheduled, batch).arena_bytes <= max_memory_bytes

    if not fits(1):
        return 0
    low, high = 1, 2
    while high <= LARGEST_BATCH and fits(high):
        low, high = high, 2 * high
    high = min(high, LARGEST_BATCH + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def too_large(scheduled: FusedPrograms, layout: Layout, bound: int) -> Diagnostic:
    """Which program needs too much, its three largest tenants at its peak, and the largest batch that would do."""
    number = max(range(len(layout.programs)), key=lambda k: layout.programs[k].peak_bytes)
    program, placed = scheduled.programs[number], layout.programs[number]
    tenants = _largest_tenants(program, placed.lifetimes, layout.batch_size)
    best = largest_batch(scheduled, bound)
    helps = (f"the largest batch that fits is {best}: `batch_size = {best}`",) if best else ()
    notes = tuple(f"{name} takes {bytes_text(size)}" for name, size in tenants)
    if not best:
        notes += ("not even a batch of one sample fits",)
    text = f"needs {bytes_text(layout.arena_bytes)} of memory at batch size {layout.batch_size}"
    return Diagnostic("E0910", f"{text}, more than the {bytes_text(bound)} allowed", notes=notes, helps=helps)


def _largest_tenants(program: FusedProgram, lives: Lifetimes, batch_size: int) -> list[tuple[str, int]]:
    """Names and bytes of the three largest variables, constants and tenants at the step that needs most."""
    peak = _peak_step(lives.tenants)
    named = [
        (_tenant_name(program.values[root]), program.values[root].type.size_bytes(batch_size))
        for root in fixed_roots(program)
    ]
    seen: set[int] = set()
    for root, tenant in lives.tenant_of.items():
        at_peak = lives.tenants[tenant].first <= peak <= lives.tenants[tenant].last
        if at_peak and tenant not in seen:
            seen.add(tenant)
            named.append((_tenant_name(program.values[root]), lives.tenants[tenant].size))
    return sorted(named, key=lambda pair: -pair[1])[:3]


def _tenant_name(value: Value) -> str:
    what = {"variable": "the variable", "constant": "a constant of", "input": "the data of"}.get(value.kind)
    if what is None:
        kind = "the gradient" if ".gradient" in value.name else "the value"
        return f"{kind} of `{value.layer}`, {value.type},"
    return f"{what} `{value.layer if value.kind == 'constant' else value.name}`, {value.type},"


def _peak_step(tenants: Sequence[Tenant]) -> int:
    changes: dict[int, int] = {}
    for tenant in tenants:
        changes[tenant.first] = changes.get(tenant.first, 0) + tenant.size
        changes[tenant.last + 1] = changes.get(tenant.last + 1, 0) - tenant.size
    live, peak, at = 0, -1, 0
    for time in sorted(changes):
        live += changes[time]
        if live > peak:
            peak, at = live, time
    return at


def bytes_text(size: int) -> str:
    """`512 B`, `64.0 MiB`."""
    if size < 1024:
        return f"{size} B"
    amount = float(size)
    for unit in ("KiB", "MiB", "GiB"):
        amount /= 1024
        if amount < 1024 or unit == "GiB":
            break
    return f"{amount:.1f} {unit}"


def auto_without_bound() -> Diagnostic:
    return Diagnostic(
        "E0911",
        "batch size `auto` needs a bound on memory",
        helps=("say how much it may use: `--max-memory 512MiB`, or `max_memory_bytes=` in Python",),
    )
