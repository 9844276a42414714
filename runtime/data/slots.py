"""What a plan wants to be fed, name by name, and how each target will be judged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, prod
from typing import Final

from nnc.compiler.options import OutputConfig
from nnc.compiler.plan import Bound, Plan
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
_DISTRIBUTIONS: Final = ("categorical_crossentropy", "kl_divergence")
_COUNTED: Final = {"Embedding": "rows", "OneHot": "classes"}
WEIGHTS: Final = "sample_weight."


@dataclass(frozen=True, slots=True)
class Slot:
    """One input or target, or the sample weights of an output.

    name: as the user calls it; for a target, the output's name. column: the name its data goes by (`target = ...` of
    an output). feed: its name in the plan's programs. kind: "input", or a target that is "class" (an index below
    `classes`), "one_hot", or "like" the prediction; or "weight". low, high: bounds of its values. bounds: of an
    input, the layers that count with it.
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
    bounds: tuple[Bound, ...] = ()

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
    def is_distribution(self) -> bool:
        """Whether the last axis of a target holds the probabilities of classes."""
        return self.loss in _DISTRIBUTIONS

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
    """The inputs of `plan`, each with the bound that the plan asks for."""
    return tuple(
        Slot(i.name, i.name, i.name, "input", i.type, bounds=tuple([b for b in plan.bounds if b.input == i.name]))
        for i in plan.inputs
    )


def strictest(bounds: tuple[Bound, ...], has_other: bool) -> tuple[Bound, int]:
    """Of one bound or more the one that leaves fewest numbers, and how many it leaves, counted from 0.

    has_other: whether the last of the numbers stands for all texts that training did not see: none of a OneHot's.
    """
    numbers = [(bound, bound.below if bound.is_exact else bound.below + has_other) for bound in bounds]
    return min(numbers, key=lambda pair: pair[1])


def counted_by(bound: Bound) -> str:
    """What an input chooses from: "5 rows of the `Embedding` `word_vector`"."""
    return f"{bound.below:,} {_COUNTED.get(bound.kind, 'numbers')} of the `{bound.kind}` `{bound.layer}`"


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
