"""Who needs bytes when: the tenants of one program, with results that take an operand's place counted once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..kernels import FusedProgram, Value, reads, writes
from ..plan import Step
from ..types import ITEM_SIZE
from ..views import row_major
from .tenants import Tenant, alignment, lower_bound


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Who needs bytes when, in one program. `tenant_of`: root -> its tenant; roots worked on in place share one."""

    tenants: tuple[Tenant, ...]
    tenant_of: dict[int, int]


def lifetimes(program: FusedProgram, batch_size: int) -> Lifetimes:
    """Tenants of one program: fed values from the start, fetched ones to the end."""
    values = program.values
    first, last = _touches(program)
    in_place = _in_place(program, last)
    tenant_of: dict[int, int] = {}
    tenants: list[Tenant] = []
    for root in sorted(first, key=lambda root: (first[root], root)):
        donor = in_place.get(root)
        if donor is not None:
            tenant_of[root] = number = tenant_of[donor]
            tenants[number] = replace(tenants[number], last=last[root])
            continue
        type = values[root].type
        size = type.size_bytes(batch_size)
        tenant_of[root] = len(tenants)
        tenants.append(Tenant(size, first[root], last[root], alignment(size, ITEM_SIZE[type.dtype])))
    return Lifetimes(tuple(tenants), tenant_of)


def _touches(program: FusedProgram) -> tuple[dict[int, int], dict[int, int]]:
    """First and last step at which each root that is no variable or constant is needed."""
    values = program.values
    roots = [value.root if value.kind in ("temporary", "input") else -1 for value in values]
    first: dict[int, int] = {id: 0 for _, id in program.feeds}
    last: dict[int, int] = {id: 0 for _, id in program.feeds}
    for number, step in enumerate(program.steps):
        for id in (*reads(step), *writes(step)):
            root = roots[id]
            if root >= 0:
                first.setdefault(root, number)
                last[root] = number
    for _, id in program.fetches:
        if roots[id] >= 0:
            first.setdefault(roots[id], 0)
            last[roots[id]] = len(program.steps)
    return first, last


def _in_place(program: FusedProgram, last: dict[int, int]) -> dict[int, int]:
    """Root of a map's result -> root of the operand whose bytes it takes.

    The operand is read at the same place only, for the last time, and is of the same type without gaps.
    """
    result: dict[int, int] = {}
    for number, step in enumerate(program.steps):
        if step.kernel != "map":
            continue
        free = _dying_operands(program.values, step, number, last)
        if not free:
            continue
        for id, _ in step.body.stores:
            value = program.values[id]
            if value.root != id or value.kind != "temporary":
                continue
            donor = next((d for d in free if program.values[d].type == value.type), None)
            if donor is not None:
                free.remove(donor)
                result[id] = donor
    return result


def _dying_operands(values: Sequence[Value], step: Step, number: int, last: dict[int, int]) -> list[int]:
    """Roots read as a whole by the body alone, in its own shape, and never again."""
    reduced = {str(reduction.expr.value) for reduction in step.reductions}
    elsewhere = {values[id].root for reduction in step.reductions for _, id in reduction.body.operands}
    whole: dict[int, bool] = {}
    for name, id in step.body.operands:
        value = values[id]
        is_whole = value.kind in ("temporary", "input") and value.type.shape == step.space.shape
        is_whole = is_whole and value.strides == row_major(value.type.shape) and _fills(values, value)
        whole[value.root] = whole.get(value.root, True) and is_whole and name not in reduced
    return [r for r, is_whole in whole.items() if is_whole and r not in elsewhere and last.get(r) == number]


def _fills(values: Sequence[Value], value: Value) -> bool:
    """Whether a view without gaps shows all of its root."""
    root = values[value.root]
    return value.offset == 0 and root.type.size_bytes(1) == value.type.size_bytes(1)


def program_lower_bound(program: FusedProgram, batch_size: int) -> int:
    """Bytes of the variables and constants a program touches, and the most of its other bytes live at one step."""
    fixed = sum(program.values[root].type.size_bytes(batch_size) for root in fixed_roots(program))
    return fixed + lower_bound(lifetimes(program, batch_size).tenants)


def fixed_roots(program: FusedProgram) -> list[int]:
    """Variables and constants that a program touches."""
    values = program.values
    touched = {values[id].root for step in program.steps for id in (*reads(step), *writes(step))}
    return sorted(root for root in touched if values[root].kind in ("variable", "constant"))
