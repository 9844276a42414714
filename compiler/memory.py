"""Values given addresses: one arena for all programs, and the finished plan.

Variables and constants have places of their own at the bottom; above them every program uses the same bytes for what
is fed and what is temporary. A map's result takes the place of an operand that dies there.
"""

from __future__ import annotations

from dataclasses import replace

from nnc.grammar.diagnostics import BudgetError, UsageError

from .kernels import FusedProgram, FusedPrograms, Value, reads, writes
from .plan import ROWS_FEED, Body, Bound, Buffer, Plan, Program, Reduction, Signature, Step
from .planning.budget import auto_without_bound, largest_batch, too_large
from .planning.layout import Layout, constant_key, lay_out
from .types import ITEM_SIZE, TensorType
from .views import row_major


def plan_memory(
    scheduled: FusedPrograms,
    *,
    model: str,
    seed: int,
    batch_size: int | str,
    max_memory_bytes: int | None = None,
    bounds: tuple[Bound, ...] = (),
    precision: str = "float32",
) -> Plan:
    """The plan for at most `batch_size` rows; "auto": for as many as fit in `max_memory_bytes`.

    bounds: of the inputs' values; of inputs that nothing reads they are left out. precision: of what products multiply.

    Raises: BudgetError E0910 if the arena would be larger than that; UsageError E0911 for "auto" without a bound.
    """
    if isinstance(batch_size, str):
        if max_memory_bytes is None:
            raise UsageError(auto_without_bound())
        batch_size = largest_batch(scheduled, max_memory_bytes)
        if not batch_size:
            raise BudgetError(too_large(scheduled, lay_out(scheduled, 1), max_memory_bytes))
    layout = lay_out(scheduled, batch_size)
    if max_memory_bytes is not None and layout.arena_bytes > max_memory_bytes:
        raise BudgetError(too_large(scheduled, layout, max_memory_bytes))
    return replace(_write_plan(scheduled, layout, model, seed, bounds), precision=precision)


# --- the plan -------------------------------------------------------------------------------------------------------
class _Buffers:
    """All buffers of a plan; equal places of equal type are one buffer."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.made: list[Buffer] = []
        self._known: dict[object, int] = {}

    def add_fixed(
        self, name: str, kind: str, type: TensorType, layer: str, key: object, constant: tuple[float, ...]
    ) -> int:
        buffer = Buffer(name, kind, type, row_major(type.shape), self.layout.fixed[key], layer, constant)
        return self._add(buffer, (kind, key, type.shape, buffer.offset))

    def add_value(self, program: int, values: tuple[Value, ...], value: Value) -> int:
        root = values[value.root]
        whole = -1 if value is root else self.add_value(program, values, root)
        if value.kind in ("variable", "constant"):
            key = root.name if value.kind == "variable" else constant_key(root)
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


def _write_plan(
    scheduled: FusedPrograms, layout: Layout, model: str, seed: int, bounds: tuple[Bound, ...]
) -> Plan:
    buffers = _Buffers(layout)
    variables = tuple(
        (v, buffers.add_fixed(v.name, "variable", v.type, v.layer, v.name, ())) for v in scheduled.variables
    )
    programs = tuple(_write_program(buffers, number, p) for number, p in enumerate(scheduled.programs))
    inputs, outputs, targets = _signatures(scheduled)
    fed = {signature.name for signature in inputs}
    return Plan(
        model, seed, layout.batch_size, layout.arena_bytes, variables, tuple(buffers.made), programs,
        inputs, outputs, targets, scheduled.terms, scheduled.adaptations,
        tuple([bound for bound in bounds if bound.input in fed]),
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
            elif name != ROWS_FEED and not (kind == "sample_weight" and rest):
                inputs.setdefault(name, program.values[id].type)
        for name, id in program.fetches:
            if name.startswith("prediction.") and program.values[id].type.has_batch:
                outputs.setdefault(name.removeprefix("prediction."), program.values[id].type)
    return (
        tuple(Signature(name, type) for name, type in inputs.items()),
        tuple(Signature(name, type) for name, type in outputs.items()),
        tuple(Signature(name, type) for name, type in targets.items()),
    )
