"""The whole numbers that each input may hold: what layers count with, followed back through all that only moves it.

Whole numbers come from inputs alone, and every layer that passes them on passes them on unchanged, so this is complete:
data that keeps these bounds is inside every table that a plan looks up.
"""

from __future__ import annotations

from .layers import LAYERS
from .layers.reading import int_of
from .network import Network
from .plan import Bound


def input_bounds(network: Network) -> tuple[Bound, ...]:
    """The tightest bound of each input by an `Embedding` and by a `OneHot`, in the order of the inputs.

    Requires: every layer has a type.
    """
    origins: dict[str, frozenset[str]] = {name: frozenset({name}) for name in network.inputs}
    tightest: dict[tuple[str, str], Bound] = {}
    for layer in network.layers():
        if layer.kind == "Input":
            continue
        definition = LAYERS[layer.kind]
        arriving = frozenset[str]().union(*(origins[name] for name in layer.inputs))
        origins[layer.name] = arriving if definition.moves else frozenset()
        if not definition.counts_below:
            continue
        below = int_of(dict(layer.arguments), definition.counts_below)
        for name in arriving:
            known = tightest.get((name, layer.kind))
            if known is None or below < known.below:
                tightest[name, layer.kind] = Bound(name, below, layer.name, layer.kind)
    return tuple(sorted(tightest.values(), key=lambda bound: network.inputs.index(bound.input)))
