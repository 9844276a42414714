"""What a plan wants to be fed, name by name, and how each target will be judged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, prod
from typing import Final

from nnc.compiler.options import OutputConfig
from nnc.compiler.plan import Plan
from nnc.compiler.types import INTEGER_DTYPES, Shape, TensorType

# Losses whose targets have a range of their own, beyond what their type says.
_RANGES: Final[dict[str, tuple[float, float]]] = {
    "binary_crossentropy": (0.0, 1.0),
    "categorical_crossentropy": (0.0, 1.0),
    "kl_divergence": (0.0, 1.0),
    "poisson": (0.0, inf),
    "hinge": (-1.0, 1.0),
    "squared_hinge": (-1.0, 1.0),
}
WEIGHTS: Final = "sample_weight."


@dataclass(frozen=True, slots=True)
class Slot:
    """One input or target, or the sample weights of an output.

    name: as the user calls it; for a target, the output's name. column: the name its data goes by (`target = ...` of
    an output). feed: its name in the plan's programs. kind: "input", or a target that is "class" (an index below
    `classes`), "one_hot", or "like" the prediction; or "weight". low, high: bounds of its values.
    """

    name: str
    column: str
    feed: str
    kind: str
    type: TensorType
    loss: str = ""
    classes: int = 0
    low: float = -inf
    high: float = inf

    @property
    def is_target(self) -> bool:
        return self.kind not in ("input", "weight")

    @property
    def sample_shape(self) -> Shape:
        return self.type.shape[1:]

    @property
    def text_classes(self) -> int:
        """How many different texts a target can tell apart."""
        return 2 if self.is_binary else self.classes

    @property
    def is_binary(self) -> bool:
        return self.loss == "binary_crossentropy" and prod(int(dim) for dim in self.sample_shape) == 1

    @property
    def takes_text(self) -> bool:
        """Whether texts have a meaning for it: names of classes, and inputs of integers, which stand for categories."""
        if self.kind != "input":
            return self.kind == "class" or self.is_binary
        return self.type.dtype in INTEGER_DTYPES

    @property
    def role(self) -> str:
        return {"input": "input", "weight": "sample weights"}.get(self.kind, "target")


def input_slots(plan: Plan) -> tuple[Slot, ...]:
    """The inputs of `plan`; one that numbers the rows of a table, as an embedding's does, is bounded by its length."""
    lengths = _table_lengths(plan)
    return tuple(
        Slot(i.name, i.name, i.name, "input", i.type, low=0, high=lengths[i.name] - 1)
        if i.name in lengths
        else Slot(i.name, i.name, i.name, "input", i.type)
        for i in plan.inputs
    )


def _table_lengths(plan: Plan) -> dict[str, int]:
    """Rows of the shortest table that an input, fed as it is, chooses from."""
    lengths: dict[str, int] = {}
    for program in plan.programs:
        fed = {buffer: name for name, buffer in program.feeds}
        for step in program.steps:
            if step.kernel != "gather":
                continue
            table, indices = (plan.buffers[id] for id in step.operands)
            name = fed.get(step.operands[1] if indices.root < 0 else indices.root)
            length = table.type.shape[0]
            if name is not None and isinstance(length, int):
                lengths[name] = min(length, lengths.get(name, length))
    return lengths


def target_slots(plan: Plan, outputs: Iterable[OutputConfig] = ()) -> tuple[Slot, ...]:
    """The targets of `plan`; `outputs` say which data each is compared with, and by which loss."""
    configs = {output.name: output for output in outputs}
    widths = {output.name: output.type.shape[-1] for output in plan.outputs}
    slots = []
    for target in plan.targets:
        name = target.name.removeprefix("target.")
        config = configs.get(name)
        loss = config.loss.name if config is not None and config.loss is not None else ""
        column = config.target if config is not None and config.target is not None else name
        kind = _kind(loss, target.type)
        low, high = _RANGES.get(loss, (-inf, inf))
        width = widths[name]
        classes = width if kind == "class" and isinstance(width, int) else 0
        slots.append(Slot(name, column, f"target.{name}", kind, target.type, loss, classes, low, high))
    return tuple(slots)


def weight_slots(plan: Plan, outputs: Iterable[OutputConfig] = ()) -> tuple[Slot, ...]:
    """The sample weights that `plan` is fed, each at least 0; `outputs` say by what name their data goes."""
    columns = {output.name: output.sample_weight for output in outputs}
    fed = {
        name: plan.buffers[buffer].type
        for program in plan.programs
        for name, buffer in program.feeds
        if name.startswith(WEIGHTS)
    }
    slots = []
    for feed, type in fed.items():
        column = columns.get(feed.removeprefix(WEIGHTS)) or feed
        slots.append(Slot(column, column, feed, "weight", type, low=0.0))
    return tuple(slots)


def _kind(loss: str, type: TensorType) -> str:
    if type.dtype in INTEGER_DTYPES or loss.startswith("sparse_"):
        return "class"
    return "one_hot" if loss == "categorical_crossentropy" else "like"
