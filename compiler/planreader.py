"""A parsed JSON document read as a plan, field by field: whatever is not what it should be is named with its place."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Final, TypeVar

from .expr import Expr, from_text, walk
from .graph import Adaptation, Attrs, Term, Variable
from .options import Choice, Value
from .plan import Body, Bound, Buffer, Plan, Program, Reduction, Signature, Statement, Step
from .types import BATCH, ITEM_SIZE, Dim, TensorType

T = TypeVar("T")
LARGEST: Final = 2**53          # of any whole number in a plan


class Malformed(Exception):  # noqa: N818 - it never leaves this package
    """What was expected, and where."""


class Node:
    """A piece of the document and the words for where it stands."""

    __slots__ = ("place", "value")

    def __init__(self, value: object, place: str) -> None:
        self.value, self.place = value, place

    def fail(self, expected: str) -> Malformed:
        return Malformed(f"{self.place} is not {expected}")

    def field(self, name: str) -> Node:
        if not isinstance(self.value, dict):
            raise self.fail("an object")
        if name not in self.value:
            raise Malformed(f"{self.place} lacks `{name}`")
        return Node(self.value[name], f"`{name}` of {self.place}")

    def optional(self, name: str, default: object) -> Node:
        if isinstance(self.value, dict) and name not in self.value:
            return Node(default, name)
        return self.field(name)

    def only(self, *names: str) -> Node:
        """Refuse fields that no plan has: what is not read could not be checked either."""
        if not isinstance(self.value, dict):
            raise self.fail("an object")
        unknown = sorted(set(self.value) - set(names))
        if unknown:
            raise Malformed(f"{self.place} has a field `{unknown[0][:40]}`, which no plan has")
        return self

    def items(self) -> list[Node]:
        if not isinstance(self.value, list):
            raise self.fail("a list")
        return [Node(item, f"item {k} of {self.place}") for k, item in enumerate(self.value)]

    def each(self, read: Callable[[Node], T]) -> tuple[T, ...]:
        return tuple([read(item) for item in self.items()])

    def pair(self, count: int) -> list[Node]:
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
            raise Malformed(f"{self.place} is no expression: {error}") from None
        if any(term.op == "const" and term.value != term.value for term in walk(result)):
            raise Malformed(f"{self.place} holds a constant that is no number")
        return result


def read_plan(node: Node) -> Plan:
    """The plan that a JSON document holds."""
    node.only(
        "nnc_plan", "model", "seed", "batch_size", "arena_bytes", "variables", "buffers", "programs", "inputs",
        "outputs", "targets", "terms", "adaptations", "bounds", "precision",
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
        node.optional("bounds", []).each(_read_bound),
        precision=node.optional("precision", "float32").text(),
    )


def _read_variable(node: Node) -> tuple[Variable, int]:
    node.only("name", "type", "role", "layer", "initializer", "trainable", "buffer")
    initializer = _read_value(node.field("initializer"), 0)
    if not isinstance(initializer, Choice):
        raise node.field("initializer").fail("a choice")
    variable = Variable(
        node.field("name").text(), node.field("type").type(), node.field("role").text(), initializer,
        node.field("layer").text(), node.field("trainable").flag(),
    )  # fmt: skip
    return variable, node.field("buffer").integer()


def _read_value(node: Node, depth: int) -> Value:
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


def _read_buffer(node: Node) -> Buffer:
    node.only("name", "kind", "type", "strides", "offset", "layer", "value", "root")
    return Buffer(
        node.field("name").text(), node.field("kind").text(), node.field("type").type(),
        node.field("strides").each(Node.integer), node.field("offset").integer(), node.field("layer").text(),
        node.optional("value", []).each(Node.real), node.optional("root", -1).integer(),
    )  # fmt: skip


def _read_program(node: Node) -> Program:
    node.only("name", "feeds", "fetches", "steps", "peak_bytes")
    return Program(
        node.field("name").text(), node.field("feeds").each(_read_named), node.field("fetches").each(_read_named),
        node.field("steps").each(_read_step), node.field("peak_bytes").integer(),
    )  # fmt: skip


def _read_named(node: Node) -> tuple[str, int]:
    name, id = node.pair(2)
    return name.text(), id.integer()


_BODY_FIELDS: Final = ("operands", "statements", "stores")


def _read_step(node: Node) -> Step:
    node.only("kernel", "layer", "space", "inputs", "attrs", "fused", "reductions", *_BODY_FIELDS)
    return Step(
        node.field("kernel").text(), node.field("layer").text(), node.field("space").type(),
        node.optional("inputs", []).each(Node.integer), _read_attrs(node.optional("attrs", {})), _read_body(node),
        node.optional("reductions", []).each(_read_reduction), node.optional("fused", []).each(Node.text),
    )  # fmt: skip


def _read_attrs(node: Node) -> Attrs:
    if not isinstance(node.value, dict):
        raise node.fail("an object")
    pairs: list[tuple[str, object]] = []
    for name in sorted(node.value):
        pairs.append((name, _read_attr(node.field(name))))
    return tuple(pairs)


def _read_attr(node: Node) -> object:
    if isinstance(node.value, bool):
        return node.value
    return node.text() if isinstance(node.value, str) else node.integer()


def _read_reduction(node: Node) -> Reduction:
    node.only("operator", "axes", "expr", "dtype", *_BODY_FIELDS)
    return Reduction(
        node.field("operator").text(), node.field("axes").text(), node.field("expr").expr(),
        node.field("dtype").text(), _read_body(node),
    )  # fmt: skip


def _read_body(node: Node) -> Body:
    return Body(
        node.optional("operands", []).each(_read_named),
        node.optional("statements", []).each(_read_statement),
        node.optional("stores", []).each(_read_store),
    )


def _read_statement(node: Node) -> Statement:
    name, kind, expr, dtype = node.pair(4)
    return Statement(name.text(), kind.text(), expr.expr(), dtype.text())


def _read_store(node: Node) -> tuple[int, Expr]:
    id, expr = node.pair(2)
    return id.integer(), expr.expr()


def _read_signature(node: Node) -> Signature:
    node.only("name", "type")
    return Signature(node.field("name").text(), node.field("type").type())


def _read_bound(node: Node) -> Bound:
    node.only("input", "below", "layer", "kind")
    return Bound(
        node.field("input").text(), node.field("below").integer(), node.field("layer").text(),
        node.field("kind").text(),
    )  # fmt: skip


def _read_term(node: Node) -> Term:
    node.only("name", "kind", "output", "weight", "accumulators", "finish", "counted", "measure")
    counted = node.optional("counted", None)
    return Term(
        node.field("name").text(), node.field("kind").text(), node.field("output").text(), node.field("weight").real(),
        node.field("accumulators").each(Node.text), node.field("finish").expr(),
        None if counted.value is None else counted.expr(), node.optional("measure", "").text(),
    )  # fmt: skip


def _read_adaptation(node: Node) -> Adaptation:
    node.only("layer", "depth", "mean", "variance", "mean_sum", "variance_sum", "elements_per_row")
    return Adaptation(
        node.field("layer").text(), node.field("depth").integer(), node.field("mean").text(),
        node.field("variance").text(), node.field("mean_sum").text(), node.field("variance_sum").text(),
        node.field("elements_per_row").integer(),
    )  # fmt: skip
