"""Initial values of weights, with Keras's names, fans, scales and defaults: which distribution, and its numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from ..options import Choice
from .definition import Initializer

# standard deviation of a standard normal cut off at -2 and 2
_TRUNCATED_STDDEV: Final = 0.87962566103423978


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight of `shape`, as Keras counts them."""
    if len(shape) < 2:
        return (shape[0], shape[0]) if shape else (1, 1)
    receptive_field = math.prod(shape[:-2])
    return shape[-2] * receptive_field, shape[-1] * receptive_field


def draw(choice: Choice, shape: tuple[int, ...]) -> tuple[str, tuple[float, ...]]:
    """Distribution and its numbers for a weight of `shape`: ("uniform", (low, high)), ("normal", (mean, stddev)), ...

    "truncated_normal" redraws what falls outside two `stddev`, "orthogonal" is (gain,), "constant" (value,).
    """
    initializer, arguments = INITIALIZERS[choice.name], {**INITIALIZERS[choice.name].defaults, **dict(choice.arguments)}
    distribution = initializer.distribution
    if distribution == "argument":
        distribution = _DISTRIBUTIONS[str(arguments["distribution"])]
    return distribution, initializer.scale(*fans(shape), **arguments)


_DISTRIBUTIONS: Final = {
    "uniform": "uniform",
    "normal": "truncated_normal",
    "truncated_normal": "truncated_normal",
    "untruncated_normal": "normal",
}


def _variance_scaling(
    fan_in: int, fan_out: int, scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal"
) -> tuple[float, float]:
    fan = {"fan_in": float(fan_in), "fan_out": float(fan_out), "fan_avg": (fan_in + fan_out) / 2}[mode]
    variance = scale / max(1.0, fan)
    match _DISTRIBUTIONS[distribution]:
        case "uniform":
            return -math.sqrt(3 * variance), math.sqrt(3 * variance)
        case "truncated_normal":
            return 0.0, math.sqrt(variance) / _TRUNCATED_STDDEV
        case _:
            return 0.0, math.sqrt(variance)


def _scaled(doc: str, scale: float, mode: str, distribution: str) -> Initializer:
    def numbers(fan_in: int, fan_out: int, **arguments: Any) -> tuple[float, float]:
        return _variance_scaling(fan_in, fan_out, scale, mode, distribution)

    return Initializer(doc, distribution, numbers, {})


def _constant(value: float) -> Callable[..., tuple[float, ...]]:
    return lambda fan_in, fan_out: (value,)


def _gain(fan_in: int, fan_out: int, gain: float = 1.0) -> tuple[float]:
    return (gain,)


def _normal(fan_in: int, fan_out: int, mean: float = 0.0, stddev: float = 0.05) -> tuple[float, float]:
    return mean, stddev


INITIALIZERS: Final[dict[str, Initializer]] = {
    "zeros": Initializer("0", "constant", _constant(0.0), {}),
    "ones": Initializer("1", "constant", _constant(1.0), {}),
    "constant": Initializer("`value`", "constant", lambda fan_in, fan_out, value=0.0: (value,), {"value": 0.0}),
    "random_uniform": Initializer(
        "uniform between `minval` and `maxval`",
        "uniform",
        lambda fan_in, fan_out, minval=-0.05, maxval=0.05: (minval, maxval),
        {"minval": -0.05, "maxval": 0.05},
    ),
    "random_normal": Initializer("normal", "normal", _normal, {"mean": 0.0, "stddev": 0.05}),
    "truncated_normal": Initializer(
        "normal, redrawn beyond two `stddev`", "truncated_normal", _normal, {"mean": 0.0, "stddev": 0.05}
    ),
    "variance_scaling": Initializer(
        "variance `scale` over fan_in, fan_out or their mean fan_avg",
        "argument",
        _variance_scaling,
        {"scale": 1.0, "mode": "fan_in", "distribution": "truncated_normal"},
    ),
    "glorot_uniform": _scaled("uniform of variance 2 / (fan_in + fan_out)", 1.0, "fan_avg", "uniform"),
    "glorot_normal": _scaled("truncated normal of variance 2 / (fan_in + fan_out)", 1.0, "fan_avg", "truncated_normal"),
    "he_uniform": _scaled("uniform of variance 2 / fan_in", 2.0, "fan_in", "uniform"),
    "he_normal": _scaled("truncated normal of variance 2 / fan_in", 2.0, "fan_in", "truncated_normal"),
    "lecun_uniform": _scaled("uniform of variance 1 / fan_in", 1.0, "fan_in", "uniform"),
    "lecun_normal": _scaled("truncated normal of variance 1 / fan_in", 1.0, "fan_in", "truncated_normal"),
    "orthogonal": Initializer("`gain` times a random orthogonal matrix", "orthogonal", _gain, {"gain": 1.0}),
    "identity": Initializer("`gain` times the identity matrix", "identity", _gain, {"gain": 1.0}),
}

ALIASES: Final = {"zero": "zeros", "one": "ones", "uniform": "random_uniform", "normal": "random_normal"}
