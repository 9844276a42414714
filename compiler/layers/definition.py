"""What a layer is to the compiler: one record, so that a new layer touches one file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ..builder import Builder
from ..options import Choice, Value
from ..types import TensorType

REQUIRED: Final = Choice("<required>")
Arguments = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """One argument in parentheses. Positional order is the order in the definition, as in Keras.

    kind: "int" (>= 1), "integer" (any), "float", "rate" (0 <= x < 1), "bool", "axis", "shape" (tuple of ints),
    "activation", "initializer", "regularizer", "floats" (number or list of numbers), "name" (one of `choices`).
    """

    name: str
    kind: str
    default: Value = REQUIRED
    doc: str = ""
    choices: tuple[str, ...] = ()
    keyword_only: bool = False
    optional: bool = False  # `none` is a legal value
    alias: str = ""  # a second name by which it may be given


@dataclass(frozen=True, slots=True)
class Weight:
    """A variable that a layer owns: full name is `LAYER.name`. role: "weight" or "statistic"."""

    name: str
    type: TensorType
    initializer: Choice
    role: str = "weight"
    regularizer: Choice | None = None


class ShapeProblem(Exception):  # noqa: N818 - a complaint that becomes a diagnostic, never an error of its own
    """An input does not fit a layer. The shapes stage adds file, spans and the trail of the guilty input."""

    def __init__(self, code: str, message: str, expected: str, input: int = 0, help: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.expected, self.input, self.help = code, message, expected, input, help


@dataclass(slots=True)
class Expansion:
    """Where a layer is being expanded.

    training: dropout, noise and batch statistics are on. `variables`: the layer's own weights, short name -> full
    name. `stream`: number of this use's random stream. `step`: node of the step counter. `logits` collects, for
    each node made by a softmax or sigmoid, which it was and the node it was applied to: losses become stable by it.
    `adapting`: the program that learns Normalize's statistics is being built.
    """

    training: bool
    variables: Mapping[str, str]
    stream: int
    step: int
    logits: dict[int, tuple[str, int]] = field(default_factory=dict)
    adapting: bool = False


def no_weights(arguments: Arguments, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
    """What a layer owns that owns nothing."""
    return ()


@dataclass(frozen=True, slots=True)
class LayerDef:
    """One layer: hyperparameters, shape rule, weights, expansion into primitive ops, documentation.

    infer(arguments, input types) -> type of the value; raises ShapeProblem.
    weights(arguments, input types) -> what it owns.
    expand(builder, arguments, input nodes, expansion) -> node of the value; reads weights with `builder.variable(...)`.
    Whole numbers that it takes are either below the hyperparameter `counts_below`, become floats, or are passed on as
    they are (`moves`): so what a layer counts with is always a value of some input, which the data audit sees.
    """

    name: str
    doc: str
    infer: Callable[[Arguments, tuple[TensorType, ...]], TensorType]
    expand: Callable[[Builder, Arguments, tuple[int, ...], Expansion], int]
    hyperparameters: tuple[Hyperparameter, ...] = ()
    weights: Callable[[Arguments, tuple[TensorType, ...]], tuple[Weight, ...]] = no_weights
    min_inputs: int = 1
    max_inputs: int | None = 1
    is_activation: bool = False
    counts_below: str = ""
    moves: bool = False
    adapts: bool = False  # learns statistics from the training data before the first step
    alias: str = ""  # a second name: Keras's, where ours is shorter
