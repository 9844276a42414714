"""Addresses at one batch size: variables and constants at the bottom, above them the same bytes for every program."""

from __future__ import annotations

from dataclasses import dataclass

from ..kernels import FusedPrograms, Value
from ..types import ITEM_SIZE, TensorType
from .lifetimes import Lifetimes, fixed_roots, lifetimes
from .placement import place
from .tenants import aligned, alignment, lower_bound


@dataclass(frozen=True, slots=True)
class ProgramLayout:
    """Lifetimes of one program with an offset in the arena for each tenant, and the program's peak."""

    lifetimes: Lifetimes
    offsets: tuple[int, ...]
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Addresses at one batch size. `fixed`: name of a variable, or dtype, shape and value of a constant -> offset."""

    batch_size: int
    fixed: dict[object, int]
    fixed_bytes: int
    programs: tuple[ProgramLayout, ...]
    arena_bytes: int


def constant_key(value: Value) -> object:
    return value.type.dtype, value.type.shape, value.constant


def lay_out(scheduled: FusedPrograms, batch_size: int) -> Layout:
    """Places for what outlives a step, and above them for what each program makes, at `batch_size` rows."""
    fixed, fixed_bytes = _place_fixed(scheduled)
    base = aligned(fixed_bytes, 64)
    programs, arena_bytes = [], fixed_bytes
    for program in scheduled.programs:
        lives = lifetimes(program, batch_size)
        offsets, extent = place(lives.tenants)
        touched = sum(program.values[root].type.size_bytes(1) for root in fixed_roots(program))
        programs.append(ProgramLayout(lives, tuple([base + offset for offset in offsets]), touched + extent))
        if extent:
            arena_bytes = max(arena_bytes, base + extent)
    return Layout(batch_size, fixed, fixed_bytes, tuple(programs), arena_bytes)


def _place_fixed(scheduled: FusedPrograms) -> tuple[dict[object, int], int]:
    """Variables in their order, then constants; those of larger alignment first, so that little is lost between."""
    types: dict[object, TensorType] = {variable.name: variable.type for variable in scheduled.variables}
    for program in scheduled.programs:
        for value in program.values:
            if value.kind == "constant":
                types.setdefault(constant_key(value), value.type)

    def place_of(key: object) -> int:
        return alignment(types[key].size_bytes(1), ITEM_SIZE[types[key].dtype])

    result: dict[object, int] = {}
    end = 0
    for key in sorted(types, key=place_of, reverse=True):
        result[key] = offset = aligned(end, place_of(key))
        end = offset + types[key].size_bytes(1)
    return result, end


def arena_lower_bound(scheduled: FusedPrograms, batch_size: int) -> int:
    """A figure that no arena for this batch can be smaller than, got without placing anything."""
    fixed = sum(variable.type.size_bytes(1) for variable in scheduled.variables)
    return fixed + max(
        (lower_bound(lifetimes(program, batch_size).tenants) for program in scheduled.programs), default=0
    )
