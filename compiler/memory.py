"""Values given addresses: one arena for all programs, and the finished plan.

Variables and constants have places of their own at the bottom; above them every program uses the same bytes for what
is fed and what is temporary. A map's result takes the place of an operand that dies there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nnc.grammar.diagnostics import BudgetError, Diagnostic, UsageError

from .kernels import FusedProgram, FusedPrograms, Value, reads, writes
from .placement import Tenant, aligned, alignment, lower_bound, place
from .plan import Body, Buffer, Plan, Program, Reduction, Signature, Step
from .types import ITEM_SIZE, TensorType
from .views import row_major

LARGEST_BATCH = 2**24


def plan_memory(
    scheduled: FusedPrograms,
    *,
    model: str,
    seed: int,
    batch_size: int | str,
    max_memory_bytes: int | None = None,
) -> Plan:
    """The plan for at most `batch_size` rows; "auto": for as many as fit in `max_memory_bytes`.

    Raises: BudgetError E0910 if the arena would be larger than `max_memory_bytes`; UsageError E0911 for "auto" without it.
    """
    if isinstance(batch_size, str):
        if max_memory_bytes is None:
            raise UsageError(_auto_without_bound())
        batch_size = largest_batch(scheduled, max_memory_bytes)
        if not batch_size:
            raise BudgetError(_too_large(scheduled, _layout(scheduled, 1), max_memory_bytes))
    layout = _layout(scheduled, batch_size)
    if max_memory_bytes is not None and layout.arena_bytes > max_memory_bytes:
        raise BudgetError(_too_large(scheduled, layout, max_memory_bytes))
    return _write_plan(scheduled, layout, model, seed)


def largest_batch(scheduled: FusedPrograms, max_memory_bytes: int) -> int:
    """The largest batch whose arena is no larger than `max_memory_bytes`; 0 if not even one row fits."""

    def fits(batch: int) -> bool:
        if _lower_bound_bytes(scheduled, batch) > max_memory_bytes:
            return False
        return _layout(scheduled, batch).arena_bytes <= max_memory_bytes

    if not fits(1):
        return 0
    low, high = 1, 2
    while high <= LARGEST_BATCH and fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


# --- lifetimes ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Who needs bytes when, in one program. `tenant_of`: root -> index of its tenant; roots worked on in place share one."""

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
    """Bytes of the variables and constants a program touches, and the largest sum of its other bytes live at one step."""
    fixed = sum(program.values[root].type.size_bytes(batch_size) for root in _fixed_roots(program))
    return fixed + lower_bound(lifetimes(program, batch_size).tenants)


def _fixed_roots(program: FusedProgram) -> list[int]:
    values = program.values
    touched = {values[id].root for step in program.steps for id in (*reads(step), *writes(step))}
    return sorted(root for root in touched if values[root].kind in ("variable", "constant"))


def _lower_bound_bytes(scheduled: FusedPrograms, batch_size: int) -> int:
    """A figure that no arena for this batch can be smaller than, got without placing anything."""
    fixed = sum(variable.type.size_bytes(1) for variable in scheduled.variables)
    return fixed + max(
        (lower_bound(lifetimes(program, batch_size).tenants) for program in scheduled.programs), default=0
    )


# --- layout ---------------------------------------------------------------------------------------------------------
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


def _constant_key(value: Value) -> object:
    return value.type.dtype, value.type.shape, value.constant


def _layout(scheduled: FusedPrograms, batch_size: int) -> Layout:
    fixed, fixed_bytes = _place_fixed(scheduled)
    base = aligned(fixed_bytes, 64)
    programs, arena_bytes = [], fixed_bytes
    for program in scheduled.programs:
        lives = lifetimes(program, batch_size)
        offsets, extent = place(lives.tenants)
        touched = sum(program.values[root].type.size_bytes(1) for root in _fixed_roots(program))
        programs.append(ProgramLayout(lives, tuple([base + offset for offset in offsets]), touched + extent))
        if extent:
            arena_bytes = max(arena_bytes, base + extent)
    return Layout(batch_size, fixed, fixed_bytes, tuple(programs), arena_bytes)


def _place_fixed(scheduled: FusedPrograms) -> tuple[dict[object, int], int]:
    """Variables in their order, then constants, those of larger alignment first, so that little is lost between them."""
    types: dict[object, TensorType] = {variable.name: variable.type for variable in scheduled.variables}
    for program in scheduled.programs:
        for value in program.values:
            if value.kind == "constant":
                types.setdefault(_constant_key(value), value.type)

    def place_of(key: object) -> int:
        return alignment(types[key].size_bytes(1), ITEM_SIZE[types[key].dtype])

    result: dict[object, int] = {}
    end = 0
    for key in sorted(types, key=place_of, reverse=True):
        result[key] = offset = aligned(end, place_of(key))
        end = offset + types[key].size_bytes(1)
    return result, end


# --- the plan -------------------------------------------------------------------------------------------------------
class _Buffers:
    """All buffers of a plan; equal places of equal type are one buffer."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.made: list[Buffer] = []
        self._known: dict[object, int] = {}

    def add_fixed(self, name: str, kind: str, type: TensorType, layer: str, key: object, constant: tuple[float, ...]) -> int:
        buffer = Buffer(name, kind, type, row_major(type.shape), self.layout.fixed[key], layer, constant)
        return self._add(buffer, (kind, key, type.shape, buffer.offset))

    def add_value(self, program: int, values: tuple[Value, ...], value: Value) -> int:
        root = values[value.root]
        whole = -1 if value is root else self.add_value(program, values, root)
        if value.kind in ("variable", "constant"):
            key = root.name if value.kind == "variable" else _constant_key(root)
            start = self.layout.fixed[key]
            if value is root:
                return self.add_fixed(value.name, value.kind, value.type, value.layer, key, value.constant)
        else:
            key = program
            lives = self.layout.programs[program]
            start = lives.offsets[lives.lifetimes.tenant_of[value.root]]
        offset = start + value.offset * ITEM_SIZE[value.type.dtype]
        buffer = Buffer(value.name, value.kind, value.type, value.strides, offset, value.layer, value.constant, whole)
        return self._add(buffer, (key, whole if whole >= 0 else value.root, value.type, value.strides, offset))

    def _add(self, buffer: Buffer, key: object) -> int:
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = len(self.made)
            self.made.append(buffer)
        return known


def _write_plan(scheduled: FusedPrograms, layout: Layout, model: str, seed: int) -> Plan:
    buffers = _Buffers(layout)
    variables = tuple(
        (v, buffers.add_fixed(v.name, "variable", v.type, v.layer, v.name, ())) for v in scheduled.variables
    )
    programs = tuple(_write_program(buffers, number, p) for number, p in enumerate(scheduled.programs))
    return Plan(
        model, seed, layout.batch_size, layout.arena_bytes, variables, tuple(buffers.made), programs,
        *_signatures(scheduled), scheduled.terms, scheduled.adaptations,
    )  # fmt: skip


def _write_program(buffers: _Buffers, number: int, program: FusedProgram) -> Program:
    values = program.values
    used = {id for step in program.steps for id in (*reads(step), *writes(step))}
    used.update(id for _, id in (*program.feeds, *program.fetches))
    place_of = {id: buffers.add_value(number, values, values[id]) for id in sorted(used)}
    return Program(
        program.name,
        tuple((name, place_of[id]) for name, id in program.feeds),
        tuple((name, place_of[id]) for name, id in program.fetches),
        tuple([_placed(step, place_of) for step in program.steps]),
        buffers.layout.programs[number].peak_bytes,
    )


def _placed(step: Step, place_of: dict[int, int]) -> Step:
    return Step(
        step.kernel, step.layer, step.space, tuple([place_of[id] for id in step.operands]), step.attrs,
        _placed_body(step.body, place_of),
        tuple([
            Reduction(r.operator, r.axes, r.expr, r.dtype, _placed_body(r.body, place_of)) for r in step.reductions
        ]),
        step.fused,
    )  # fmt: skip


def _placed_body(body: Body, place_of: dict[int, int]) -> Body:
    return Body(
        tuple([(name, place_of[id]) for name, id in body.operands]),
        body.statements,
        tuple([(place_of[id], expr) for id, expr in body.stores]),
    )


def _signatures(
    scheduled: FusedPrograms,
) -> tuple[tuple[Signature, ...], tuple[Signature, ...], tuple[Signature, ...]]:
    """Inputs, outputs and targets, by the names of what is fed and fetched."""
    inputs: dict[str, TensorType] = {}
    outputs: dict[str, TensorType] = {}
    targets: dict[str, TensorType] = {}
    for program in scheduled.programs:
        for name, id in program.feeds:
            kind, _, rest = name.partition(".")
            if kind == "target" and rest:
                targets.setdefault(rest, program.values[id].type)
            elif name != "rows" and not (kind == "sample_weight" and rest):
                inputs.setdefault(name, program.values[id].type)
        for name, id in program.fetches:
            if name.startswith("prediction."):
                outputs.setdefault(name.removeprefix("prediction."), program.values[id].type)
    return (
        tuple(Signature(name, type) for name, type in inputs.items()),
        tuple(Signature(name, type) for name, type in outputs.items()),
        tuple(Signature(name, type) for name, type in targets.items()),
    )


# --- budgets --------------------------------------------------------------------------------------------------------
def _too_large(scheduled: FusedPrograms, layout: Layout, bound: int) -> Diagnostic:
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
        for root in _fixed_roots(program)
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


def _auto_without_bound() -> Diagnostic:
    return Diagnostic(
        "E0911",
        "batch size `auto` needs a bound on memory",
        helps=("say how much it may use: `--max-memory 512MiB`, or `max_memory_bytes=` in Python",),
    )


