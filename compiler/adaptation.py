"""The program that learns statistics from the training data before the first step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from .builder import Builder
from .expanding import Use, expand_layers
from .expr import square, var
from .graph import ACCUMULATOR, Adaptation, Graph, Variable
from .ops.elementwise import sum_to
from .options import Choice
from .types import Shape, TensorType

_DEVIATION = square(var("x0") - var("x1"))
_ADD = var("x0") + var("x1")


@dataclass(frozen=True, slots=True)
class Adapting:
    """The program "adapt_step", the sums it adds to, and what the runtime makes of them."""

    graph: Graph
    accumulators: tuple[Variable, ...]
    adaptations: tuple[Adaptation, ...]


def lower_adaptation(variables: Mapping[str, Variable], uses: tuple[Use, ...]) -> Adapting | None:
    """The program that adds up x and (x - mean)^2 of every layer that learns its statistics; None without one.

    A layer that is shared adds up over all its uses.
    """
    adapting = [use for use in uses if use.definition is not None and use.definition.adapts and use.variables]
    if not adapting:
        return None
    builder = Builder("adapt_step", variables)
    values = expand_layers(builder, uses, training=False).values
    sums: dict[str, int] = {}          # accumulator -> node of what this step adds to it
    elements: dict[str, int] = {}      # layer -> elements per sample behind each of its statistics
    for use in adapting:
        owner = use.layer.weights_of
        builder.origin = use.layer.name
        mean = builder.variable(use.variables["mean"])
        x = builder.identity(values[use.layer.inputs[0]], "float64")
        statistic = builder.type(mean).shape
        elements[owner] = elements.get(owner, 0) + _size(builder.type(x).shape) // _size(statistic)
        for name, node in (("mean", x), ("variance", builder.map(_DEVIATION, x, mean, dtype="float64"))):
            total, key = sum_to(builder, node, statistic), f"sum.{owner}.{name}"
            sums[key] = builder.map(_ADD, sums[key], total) if key in sums else total
    accumulators = []
    for name, total in sums.items():
        type = builder.type(total)
        accumulators.append(Variable(name, TensorType("float64", type.shape), ACCUMULATOR, Choice("zeros")))
        before = builder.add("variable", name=name, type=type)
        builder.update((name,), (before, total), (_ADD,))
    depths = _depths(uses)
    adaptations = {
        use.layer.weights_of: Adaptation(
            use.layer.weights_of,
            depths[use.layer.weights_of],
            use.variables["mean"],
            use.variables["variance"],
            f"sum.{use.layer.weights_of}.mean",
            f"sum.{use.layer.weights_of}.variance",
            elements[use.layer.weights_of],
        )
        for use in adapting
    }
    return Adapting(builder.build(), tuple(accumulators), tuple(sorted(adaptations.values(), key=lambda a: a.depth)))


def _size(shape: Shape) -> int:
    return prod([dim for dim in shape if isinstance(dim, int)])


def _depths(uses: tuple[Use, ...]) -> dict[str, int]:
    """For each layer that adapts: how many others must have learned their statistics before it."""
    behind: dict[str, int] = {}        # layer -> adapting layers on the longest way to it, itself included
    depths: dict[str, int] = {}
    for use in uses:
        layer = use.layer
        before = max([behind[name] for name in layer.inputs], default=0)
        adapts = use.definition is not None and use.definition.adapts and bool(use.variables)
        behind[layer.name] = before + adapts
        if adapts:
            depths[layer.weights_of] = max(depths.get(layer.weights_of, 0), before)
    return depths
