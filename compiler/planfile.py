"""Plans as JSON text and back.

The text is canonical: equal plans give equal bytes, floats read back exactly. Keys are sorted; buffers and steps stand
on lines of their own, so that two plans can be compared. Nothing in a plan file is executed, and what does not read as
a plan is refused with E0901 or, where another version wrote it, E0902. `verify.py` says whether a plan that reads well
also makes sense.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import isfinite

from nnc.grammar.diagnostics import Diagnostic, NncError

from .expr import to_text
from .graph import Adaptation, Term, Variable
from .options import Choice, Value
from .plan import PLAN_VERSION, Body, Bound, Buffer, Plan, Program, Reduction, Signature, Step
from .planreader import Malformed, Node, read_plan


# --- writing --------------------------------------------------------------------------------------------------------
def to_json(plan: Plan) -> str:
    """The plan as canonical text, ending in a line break."""
    fields: dict[str, str] = {
        "nnc_plan": _dump(plan.version),
        "model": _dump(plan.model),
        "seed": _dump(plan.seed),
        "batch_size": _dump(plan.batch_size),
        "arena_bytes": _dump(plan.arena_bytes),
        "variables": _lines(_variable(variable, buffer) for variable, buffer in plan.variables),
        "buffers": _lines(map(_buffer, plan.buffers)),
        "programs": "[\n" + ",\n".join(map(_program, plan.programs)) + "\n]",
        "inputs": _lines(map(_signature, plan.inputs)),
        "outputs": _lines(map(_signature, plan.outputs)),
        "targets": _lines(map(_signature, plan.targets)),
        "terms": _lines(map(_term, plan.terms)),
        "adaptations": _lines(map(_adaptation, plan.adaptations)),
    }
    if plan.bounds:
        fields["bounds"] = _lines(map(_bound, plan.bounds))
    if plan.precision != "float32":
        fields["precision"] = _dump(plan.precision)
    return "{\n" + ",\n".join(f'"{name}":{fields[name]}' for name in sorted(fields)) + "\n}\n"


def _dump(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _lines(values: Iterable[object]) -> str:
    lines = [_dump(value) for value in values]
    return "[\n" + ",\n".join(lines) + "\n]" if lines else "[]"


def _number(value: float) -> object:
    """JSON has no infinity."""
    return value if isfinite(value) else {"float": repr(value)}


def _value(value: Value) -> object:
    if isinstance(value, Choice):
        return {"choice": value.name, "arguments": [[key, _value(item)] for key, item in value.arguments]}
    if isinstance(value, tuple):
        return [_value(item) for item in value]
    return _number(value) if isinstance(value, float) else value


def _variable(variable: Variable, buffer: int) -> object:
    return {
        "name": variable.name, "type": str(variable.type), "role": variable.role, "layer": variable.layer,
        "initializer": _value(variable.initializer), "trainable": variable.trainable, "buffer": buffer,
    }  # fmt: skip


def _buffer(buffer: Buffer) -> object:
    fields: dict[str, object] = {
        "name": buffer.name, "kind": buffer.kind, "type": str(buffer.type), "strides": buffer.strides,
        "offset": buffer.offset, "layer": buffer.layer,
    }  # fmt: skip
    if buffer.value:
        fields["value"] = [_number(value) for value in buffer.value]
    if buffer.root >= 0:
        fields["root"] = buffer.root
    return fields


def _program(program: Program) -> str:
    fields = {
        "name": _dump(program.name),
        "feeds": _dump(program.feeds),
        "fetches": _dump(program.fetches),
        "peak_bytes": _dump(program.peak_bytes),
        "steps": _lines(map(_step, program.steps)),
    }
    return "{" + ",\n".join(f'"{name}":{fields[name]}' for name in sorted(fields)) + "}"


def _step(step: Step) -> object:
    fields: dict[str, object] = {"kernel": step.kernel, "layer": step.layer, "space": str(step.space)}
    fields |= _body(step.body)
    optional = {
        "inputs": step.operands, "attrs": dict(step.attrs), "fused": step.fused,
        "reductions": [_reduction(reduction) for reduction in step.reductions],
    }  # fmt: skip
    return fields | {name: value for name, value in optional.items() if value}


def _reduction(reduction: Reduction) -> object:
    return {
        "operator": reduction.operator, "axes": reduction.axes, "expr": to_text(reduction.expr),
        "dtype": reduction.dtype, **_body(reduction.body),
    }  # fmt: skip


def _body(body: Body) -> dict[str, object]:
    fields: dict[str, object] = {
        "operands": body.operands,
        "statements": [(s.name, s.kind, to_text(s.expr), s.dtype) for s in body.statements],
        "stores": [(id, to_text(expr)) for id, expr in body.stores],
    }
    return {name: value for name, value in fields.items() if value}


def _signature(signature: Signature) -> object:
    return {"name": signature.name, "type": str(signature.type)}


def _bound(bound: Bound) -> object:
    return {"input": bound.input, "below": bound.below, "layer": bound.layer, "kind": bound.kind}


def _term(term: Term) -> object:
    fields: dict[str, object] = {
        "name": term.name, "kind": term.kind, "output": term.output, "weight": _number(term.weight),
        "accumulators": term.accumulators, "finish": to_text(term.finish),
    }  # fmt: skip
    if term.counted is not None:
        fields["counted"] = to_text(term.counted)
    return fields | ({"measure": term.measure} if term.measure else {})


def _adaptation(adaptation: Adaptation) -> object:
    return {
        "layer": adaptation.layer, "depth": adaptation.depth, "mean": adaptation.mean,
        "variance": adaptation.variance, "mean_sum": adaptation.mean_sum, "variance_sum": adaptation.variance_sum,
        "elements_per_row": adaptation.elements_per_row,
    }  # fmt: skip


# --- reading --------------------------------------------------------------------------------------------------------
def from_json(text: str) -> Plan:
    """The plan in a text. Raises: NncError E0901 (no plan, or a damaged one), E0902 (of another version)."""
    try:
        document = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise NncError(_no_json(error)) from None
    if not isinstance(document, dict) or "nnc_plan" not in document:
        raise NncError(Diagnostic("E0901", "this is no plan", notes=("expected a JSON object with `nnc_plan`",)))
    version = document["nnc_plan"]
    if version != PLAN_VERSION or isinstance(version, bool):
        raise NncError(_other_version(version))
    try:
        return read_plan(Node(document, "the plan"))
    except Malformed as problem:
        raise NncError(Diagnostic("E0901", f"the plan is damaged: {problem}")) from None


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no number of JSON")


def _no_json(error: Exception) -> Diagnostic:
    if isinstance(error, json.JSONDecodeError):
        where = f"line {error.lineno}, column {error.colno}: {error.msg.lower()}"
        return Diagnostic("E0901", "this is no plan: it is not JSON", notes=(where,))
    reason = "nested too deeply" if isinstance(error, RecursionError) else "a number that is none"
    return Diagnostic("E0901", f"this is no plan: {reason}")


def _other_version(version: object) -> Diagnostic:
    shown = json.dumps(version)
    named = f"version {shown}" if len(shown) <= 20 else "an unknown version"
    notes: tuple[str, ...] = ()
    if isinstance(version, int) and not isinstance(version, bool):
        notes = (f"{'an older' if version < PLAN_VERSION else 'a newer'} nnc wrote it",)
    return Diagnostic(
        "E0902",
        f"the plan is of {named}, and this nnc runs plans of version {PLAN_VERSION}",
        notes=notes,
        helps=("compile and train the spec again, or take the nnc that wrote the plan",),
    )
