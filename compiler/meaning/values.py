"""Which values a layer can take, as far as its activation tells."""

from __future__ import annotations

from functools import cache
from typing import Final

from ..derivative import simplify
from ..expr import const
from ..formulas.activations import ACTIVATIONS
from ..layers import LAYERS
from ..network import Layer, Network
from ..options import Choice

Interval = tuple[float, float]
_EVERYTHING: Final = (float("-inf"), float("inf"))
_SAMPLES: Final = (-40.0, -10.0, -3.0, -2.0, -1.25, -1.0, -0.75, -0.25, 0.0, 0.25, 0.5, 1.0, 2.0, 3.0, 6.0, 10.0, 40.0)
# layers that give any number, and layers that hand their input's values on
_UNBOUNDED: Final = frozenset({"Maxout", "BatchNormalization", "LayerNormalization", "Normalize", "GaussianNoise"})
_PASSING: Final = frozenset({"Flatten", "Reshape"})


def last_layer(network: Network, name: str) -> Layer:
    """The layer that decides which values `name` takes: itself, or the one before layers that only reshape."""
    layer = network.layer(name)
    while layer.kind in _PASSING:
        layer = network.layer(layer.inputs[0])
    return layer


def activation_of(layer: Layer) -> Choice | None:
    """The activation a layer ends with, `linear` where it could have one and has none; None for other layers."""
    if layer.kind == "Input":
        return None
    definition = LAYERS[layer.kind]
    if definition.is_activation:
        return Choice(layer.kind, layer.arguments)
    for parameter in definition.hyperparameters:
        if parameter.kind == "activation":
            value = layer.argument(parameter.name)
            return value if isinstance(value, Choice) else Choice("linear")
    return None


def made_by(layer: Layer) -> str:
    """What makes a layer's values, in words: "`relu`", "`Dense` without an activation"."""
    choice = activation_of(layer)
    if choice is None:
        return f"input `{layer.name}`" if layer.kind == "Input" else f"`{layer.kind}`"
    if choice.name == "linear" and not LAYERS[layer.kind].is_activation:
        return f"`{layer.kind}` without an activation"
    return f"`{choice.name}`"


def known_values(layer: Layer) -> Interval | None:
    """The smallest and the largest value a layer can take; None where only its inputs tell."""
    if layer.kind in _UNBOUNDED:
        return _EVERYTHING
    choice = activation_of(layer)
    return None if choice is None else _range_of(choice)


@cache
def _range_of(choice: Choice) -> Interval:
    """The range of an activation, from its formula at a few points."""
    entry = ACTIVATIONS[choice.name]
    if entry.probability:
        return 0.0, 1.0
    if entry.formula is None:
        return _EVERYTHING
    terms = [simplify(entry.formula(const(x), **dict(choice.arguments))) for x in _SAMPLES]
    values = [float(term.value) for term in terms if isinstance(term.value, float)]
    return (min(values), max(values)) if len(values) == len(terms) else _EVERYTHING


def is_probability(values: Interval) -> bool:
    """Whether values lie within 0 and 1."""
    return values[0] >= 0 and values[1] <= 1


def beyond_probability(values: Interval | None) -> str:
    """What lies outside 0 to 1, in words."""
    low, high = values or _EVERYTHING
    if low >= 0:
        return "numbers above 1"
    return "any number" if high > 1 else "negative numbers"


def is_over_rows(choice: Choice) -> bool:
    """Whether an activation compares the units of a row, as softmax does."""
    return ACTIVATIONS[choice.name].rows is not None
