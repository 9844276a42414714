"""Plans as JSON text and back.

The text is canonical: equal plans give equal bytes, floats read back exactly. Keys are sorted; buffers and steps stand on lines of
their own, so that two plans can be compared. Nothing in a plan file is executed, and what does not read as a plan is refused with
E0901 or, where another version wrote it, E0902. `verify.py` says whether a plan that reads well also makes sense.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from math import isfinite
from typing import Final, TypeVar

from nnc.grammar.diagnostics import Diagnostic, NncError

from .expr import Expr, from_text, to_text, walk
from .graph import Adaptation, Attrs, Term, Variable
from .options import Choice, Value
from .plan import (
    PLAN_VERSION,
    Body,
    Buffer,
    Plan,
    Program,
    Reduction,
    Signature,
    Statement,
    Step,
)
from .types import BATCH, ITEM_SIZE, Dim, TensorType

T = TypeVar("T")
LARGEST: Final = 2**53          # of any whole number in a plan


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


def _term(term: Term) -> object:
    return {
        "name": term.name, "kind": term.kind, "output": term.output, "weight": _number(term.weight),
        "accumulators": term.accumulators, "finish": to_text(term.finish),
    }  # fmt: skip


def _adaptation(adaptation: Adaptation) -> object:
    return {
        "layer": adaptation.layer, "depth": adaptation.depth, "mean": adaptation.mean,
        "variance": adaptation.variance, "mean_sum": adaptation.mean_sum, "variance_sum": adaptation.variance_sum,
        "elements_per_row": adaptation.elements_per_row,
    }  # fmt: skip


# --- reading --------------------------------------------------------------------------------------------------------
class _Malformed(Exception):
    """What was expected, and where."""


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
        return _read_plan(_Node(document, "the plan"))
    except _Malformed as problem:
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
    return Diagnostic(
        "E0902",
        f"the plan is of version {shown if len(shown) <= 20 else 'unknown'}, and this is nnc with plans of {PLAN_VERSION}",
        helps=("compile the spec again, or take the nnc that wrote the plan",),
    )


class _Node:
    """A piece of the document and the words for where it stands."""

    __slots__ = ("place", "value")

    def __init__(self, value: object, place: str) -> None:
        self.value, self.place = value, place

    def fail(self, expected: str) -> _Malformed:
        return _Malformed(f"{self.place} is not {expected}")

    def field(self, name: str) -> _Node:
        if not isinstance(self.value, dict):
            raise self.fail("an object")
        if name not in self.value:
            raise _Malformed(f"{self.place} lacks `{name}`")
        return _Node(self.value[name], f"`{name}` of {self.place}")

    def optional(self, name: str, default: object) -> _Node:
        if isinstance(self.value, dict) and name not in self.value:
            return _Node(default, name)
        return self.field(name)

    def only(self, *names: str) -> _Node:
        """Refuse fields that no plan has: what is not read could not be checked either."""
        if not isinstance(self.value, dict):
            raise self.fail("an object")
        unknown = sorted(set(self.value) - set(names))
        if unknown:
            raise _Malformed(f"{self.place} has a field `{unknown[0][:40]}`, which no plan has")
        return self

    def items(self) -> list[_Node]:
        if not isinstance(self.value, list):
            raise self.fail("a list")
        return [_Node(item, f"item {k} of {self.place}") for k, item in enumerate(self.value)]

    def each(self, read: Callable[[_Node], T]) -> tuple[T, ...]:
        return tuple([read(item) for item in self.items()])

    def pair(self, count: int) -> list[_Node]:
        items = self.items()
        if len(items) != count:
            raise self.fail(f"a list of {count}")
        return items

    def text(self) -> str:
        if not isinstance(self.value, str) or any("\ud800" <= char <= "\udfff" for char in self.value):
            raise self.fail("a text")
        return self.value

    def integer(self) -> int:
        if not isinstance(self.value, int) or isinstance(self.value, bool) or abs(self.value) > LARGEST:
            raise self.fail("a whole number")
        return self.value

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            raise self.fail("true or false")
        return self.value

    def real(self) -> float:
        if isinstance(self.value, dict) and self.value in ({"float": "inf"}, {"float": "-inf"}):
            return float(self.value["float"])
        if not isinstance(self.value, int | float) or isinstance(self.value, bool):
            raise self.fail("a number")
        try:
            number = float(self.value)
        except OverflowError:
            raise self.fail("a number of 64 bits") from None
        if not isfinite(number):
            raise self.fail("a number of 64 bits")
        return number

    def type(self) -> TensorType:
        """`float32[batch, 10]`, written as `TensorType` prints itself."""
        text = self.text()
        dtype, bracket, rest = text.partition("[")
        if dtype not in ITEM_SIZE or not bracket or not rest.endswith("]"):
            raise self.fail("a type")
        dims: list[Dim] = []
        for part in rest[:-1].split(", ") if rest != "]" else []:
            if part == BATCH and not dims:
                dims.append(BATCH)
            elif part.isascii() and part.isdecimal() and len(part) < 16:
                dims.append(int(part))
            else:
                raise self.fail("a type")
        return TensorType(dtype, tuple(dims))

    def expr(self) -> Expr:
        text = self.text()
        try:
            result = from_text(text)
        except ValueError as error:
            raise _Malformed(f"{self.place} is no expression: {error}") from None
        if any(term.op == "const" and term.value != term.value for term in walk(result)):
            raise _Malformed(f"{self.place} holds a constant that is no number")
        return result


def _read_plan(node: _Node) -> Plan:
    node.only(
        "nnc_plan", "model", "seed", "batch_size", "arena_bytes", "variables", "buffers", "programs", "inputs", "outputs",
        "targets", "terms", "adaptations",
    )  # fmt: skip
    return Plan(
        node.field("model").text(),
        node.field("seed").integer(),
        node.field("batch_size").integer(),
        node.field("arena_bytes").integer(),
        node.field("variables").each(_read_variable),
        node.field("buffers").each(_read_buffer),
        node.field("programs").each(_read_program),
        node.field("inputs").each(_read_signature),
        node.field("outputs").each(_read_signature),
        node.field("targets").each(_read_signature),
        node.field("terms").each(_read_term),
        node.field("adaptations").each(_read_adaptation),
    )


def _read_variable(node: _Node) -> tuple[Variable, int]:
    node.only("name", "type", "role", "layer", "initializer", "trainable", "buffer")
    initializer = _read_value(node.field("initializer"), 0)
    if not isinstance(initializer, Choice):
        raise node.field("initializer").fail("a choice")
    variable = Variable(
        node.field("name").text(), node.field("type").type(), node.field("role").text(), initializer,
        node.field("layer").text(), node.field("trainable").flag(),
    )  # fmt: skip
    return variable, node.field("buffer").integer()


def _read_value(node: _Node, depth: int) -> Value:
    value = node.value
    if depth > 16:
        raise node.fail("so deeply nested in any plan")
    if isinstance(value, dict) and "choice" in value:
        node.only("choice", "arguments")
        pairs = [item.pair(2) for item in node.field("arguments").items()]
        arguments = tuple([(key.text(), _read_value(item, depth + 1)) for key, item in pairs])
        return Choice(node.field("choice").text(), arguments)
    if isinstance(value, list):
        return tuple([_read_value(item, depth + 1) for item in node.items()])
    if isinstance(value, str):
        return node.text()
    if value is None or isinstance(value, bool):
        return value
    return node.integer() if isinstance(value, int) else node.real()


def _read_buffer(node: _Node) -> Buffer:
    node.only("name", "kind", "type", "strides", "offset", "layer", "value", "root")
    return Buffer(
        node.field("name").text(), node.field("kind").text(), node.field("type").type(),
        node.field("strides").each(_Node.integer), node.field("offset").integer(), node.field("layer").text(),
        node.optional("value", []).each(_Node.real), node.optional("root", -1).integer(),
    )  # fmt: skip


def _read_program(node: _Node) -> Program:
    node.only("name", "feeds", "fetches", "steps", "peak_bytes")
    return Program(
        node.field("name").text(), node.field("feeds").each(_read_named), node.field("fetches").each(_read_named),
        node.field("steps").each(_read_step), node.field("peak_bytes").integer(),
    )  # fmt: skip


def _read_named(node: _Node) -> tuple[str, int]:
    name, id = node.pair(2)
    return name.text(), id.integer()


_BODY_FIELDS: Final = ("operands", "statements", "stores")


def _read_step(node: _Node) -> Step:
    node.only("kernel", "layer", "space", "inputs", "attrs", "fused", "reductions", *_BODY_FIELDS)
    return Step(
        node.field("kernel").text(), node.field("layer").text(), node.field("space").type(),
        node.optional("inputs", []).each(_Node.integer), _read_attrs(node.optional("attrs", {})), _read_body(node),
        node.optional("reductions", []).each(_read_reduction), node.optional("fused", []).each(_Node.text),
    )  # fmt: skip


def _read_attrs(node: _Node) -> Attrs:
    if not isinstance(node.value, dict):
        raise node.fail("an object")
    pairs: list[tuple[str, object]] = []
    for name in sorted(node.value):
        pairs.append((name, _read_attr(node.field(name))))
    return tuple(pairs)


def _read_attr(node: _Node) -> object:
    if isinstance(node.value, bool):
        return node.value
    return node.text() if isinstance(node.value, str) else node.integer()


def _read_reduction(node: _Node) -> Reduction:
    node.only("operator", "axes", "expr", "dtype", *_BODY_FIELDS)
    return Reduction(
        node.field("operator").text(), node.field("axes").text(), node.field("expr").expr(),
        node.field("dtype").text(), _read_body(node),
    )  # fmt: skip


def _read_body(node: _Node) -> Body:
    return Body(
        node.optional("operands", []).each(_read_named),
        node.optional("statements", []).each(_read_statement),
        node.optional("stores", []).each(_read_store),
    )


def _read_statement(node: _Node) -> Statement:
    name, kind, expr, dtype = node.pair(4)
    return Statement(name.text(), kind.text(), expr.expr(), dtype.text())


def _read_store(node: _Node) -> tuple[int, Expr]:
    id, expr = node.pair(2)
    return id.integer(), expr.expr()


def _read_signature(node: _Node) -> Signature:
    node.only("name", "type")
    return Signature(node.field("name").text(), node.field("type").type())


def _read_term(node: _Node) -> Term:
    node.only("name", "kind", "output", "weight", "accumulators", "finish")
    return Term(
        node.field("name").text(), node.field("kind").text(), node.field("output").text(), node.field("weight").real(),
        node.field("accumulators").each(_Node.text), node.field("finish").expr(),
    )  # fmt: skip


def _read_adaptation(node: _Node) -> Adaptation:
    node.only("layer", "depth", "mean", "variance", "mean_sum", "variance_sum", "elements_per_row")
    return Adaptation(
        node.field("layer").text(), node.field("depth").integer(), node.field("mean").text(),
        node.field("variance").text(), node.field("mean_sum").text(), node.field("variance_sum").text(),
        node.field("elements_per_row").integer(),
    )  # fmt: skip

