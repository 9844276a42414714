"""The value of the stages fused and schedule: programs as lists of steps over values that have no address yet.

A step is a `plan.Step` whose ids are positions in `FusedProgram.values`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .expr import number_text
from .graph import Adaptation, Term, Variable
from .plan import Body, Reduction, Step
from .types import TensorType


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of one program; its id is its position in `FusedProgram.values`.

    kind: "variable", "constant", "input" (fed), "temporary". A value that owns its bytes is its own `root`; a view lies
    in its root at `offset`, with `strides` (both count elements). `sources` says when a value that no step writes is
    ready: a view when what it views is, a concatenation when each of its parts is.
    """

    name: str
    kind: str
    type: TensorType
    layer: str
    root: int
    offset: int
    strides: tuple[int, ...]
    sources: tuple[int, ...] = ()
    constant: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Note:
    """What fusion did to one layer's work, or why it did not: a sentence for `--explain-fusion`."""

    layer: str
    text: str
    done: bool


@dataclass(frozen=True, slots=True)
class FusedProgram:
    """One program: steps in an order that is right if they are run one after another."""

    name: str
    values: tuple[Value, ...]
    steps: tuple[Step, ...]
    feeds: tuple[tuple[str, int], ...]
    fetches: tuple[tuple[str, int], ...]
    notes: tuple[Note, ...] = ()

    def __str__(self) -> str:
        lines = [f"program {self.name}"]
        for id, value in enumerate(self.values):
            place = "" if value.root == id else f" in %{value.root} at {value.offset} strides {list(value.strides)}"
            lines.append(f"  %{id} = {value.kind} {value.name} : {value.type}{place}")
        lines += [f"  feed {name} = %{id}" for name, id in self.feeds]
        for number, step in enumerate(self.steps):
            lines += step_lines(number, step)
        lines += [f"  fetch {name} = %{id}" for name, id in self.fetches]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class FusedPrograms:
    """All programs after fusion; after scheduling, with their steps in the order they will run."""

    programs: tuple[FusedProgram, ...]
    variables: tuple[Variable, ...]
    terms: tuple[Term, ...]
    adaptations: tuple[Adaptation, ...] = ()

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.programs))


def reads(step: Step) -> Iterator[int]:
    """Ids a step reads; one may come more than once."""
    yield from step.operands
    for body in bodies(step):
        for _, id in body.operands:
            yield id


def writes(step: Step) -> Iterator[int]:
    """Ids a step stores to."""
    for body in bodies(step):
        for id, _ in body.stores:
            yield id


def bodies(step: Step) -> Iterator[Body]:
    """The body of a step, then those of its reductions."""
    yield step.body
    for reduction in step.reductions:
        yield reduction.body


def step_lines(number: int, step: Step, sigil: str = "%") -> list[str]:
    """A step as text; `sigil` marks ids."""
    attrs = "".join(f" {name}={attr_text(value)}" for name, value in step.attrs)
    operands = f"({', '.join(f'{sigil}{id}' for id in step.operands)})" if step.operands else ""
    fused = f"  # {', '.join(step.fused)}" if step.fused else ""
    lines = [f"  step {number}: {step.kernel}{operands}{attrs} : {step.space}  @{step.layer}{fused}"]
    lines += body_lines(step.body, "    ", sigil)
    for reduction in step.reductions:
        lines += reduction_lines(reduction, sigil)
    return lines


def reduction_lines(reduction: Reduction, sigil: str) -> list[str]:
    """A reduction as text, its body further in."""
    head = f"    {reduction.operator} of {reduction.expr} over {reduction.axes} in {reduction.dtype}"
    return [head, *body_lines(reduction.body, "      ", sigil)]


def body_lines(body: Body, indent: str, sigil: str) -> list[str]:
    """Operands, statements and stores of a body, one per line."""
    lines = [f"{indent}{name} = {sigil}{id}" for name, id in body.operands]
    for statement in body.statements:
        kind = "" if statement.kind == "map" else f"{statement.kind} "
        lines.append(f"{indent}{statement.name} = {kind}{statement.expr} : {statement.dtype}")
    lines += [f"{indent}{sigil}{id} := {expr}" for id, expr in body.stores]
    return lines


def attr_text(value: object) -> str:
    """An attribute as a spec would write it."""
    if isinstance(value, float):
        return number_text(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
