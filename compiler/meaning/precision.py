"""Whether the network's products can be rounded as `train` asks."""

from __future__ import annotations

from collections.abc import Mapping

from ..layers.definition import Weight
from ..network import Network
from ..report import fault


def check_precision(network: Network, weights: Mapping[str, tuple[Weight, ...]]) -> None:
    """Products of float64 are not rounded to bfloat16 or TF32. Raises: NncError E0605."""
    if network.train.precision == "float32":
        return
    for layer in network.layers():
        if any(w.name == "kernel" and w.type.dtype == "float64" for w in weights.get(layer.weights_of, ())):
            span = network.span_of("train.precision")
            raise fault(
                "E0605",
                f"`precision = {network.train.precision}` rounds products of float32, and `{layer.kind}` is float64",
                layer.span,
                "multiplies float64",
                labels=[(span, "rounds what is multiplied")] if span else [],
                helps=["make the input float32, or leave `precision` out"],
            )
