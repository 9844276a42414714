"""Activations: elementwise formulas, and softmax and log_softmax over the last axis.

Names, arguments and defaults are Keras 3's. Where no `from_output` stands here, `derivative.in_terms_of_output` may
still find one (relu, leaky_relu, elu), if the arguments allow it.
"""

from __future__ import annotations

import math
from typing import Final

from ..builder import Builder
from ..expr import (
    Expr,
    absolute,
    const,
    erf,
    exp,
    expm1,
    log,
    logical_and,
    maximum,
    minimum,
    sigmoid,
    softplus,
    square,
    tanh,
    var,
    where,
)
from .definition import Activation

# Klambauer et al., "Self-Normalizing Neural Networks" (2017), equation 14
SELU_ALPHA: Final = 1.6732632423543772848170429916717
SELU_SCALE: Final = 1.0507009873554804934193349852946

_X0, _X1 = var("x0"), var("x1")


def _relu(x: Expr, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Expr:
    """At the threshold the slope is the lower; leaky_relu, which a `negative_slope` alone means, takes the upper."""
    if negative_slope and not threshold:
        value = _leaky_relu(x, negative_slope)
    else:
        value = where(x > threshold, x, negative_slope * (x - threshold) if negative_slope else 0)
    return value if max_value is None else minimum(value, max_value)


def _leaky_relu(x: Expr, negative_slope: float = 0.2) -> Expr:
    return where(x >= 0, x, negative_slope * x)


def _gelu(x: Expr, approximate: bool = False) -> Expr:
    if approximate:
        return 0.5 * x * (1 + tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * (x * square(x)))))
    return 0.5 * x * (1 + erf(x * math.sqrt(0.5)))


def shifted(builder: Builder, x: int) -> int:
    """`x` minus its row's maximum, through which no gradient flows: a softmax does not change with it."""
    last = (len(builder.type(x).shape) - 1,)
    return builder.map(_X0 - _X1, x, builder.add("stop_gradient", (builder.reduce("max", x, last),)))


def row_sum(builder: Builder, x: int) -> int:
    return builder.reduce("sum", x, (len(builder.type(x).shape) - 1,))


def _softmax(builder: Builder, x: int) -> int:
    exponentials = builder.map(exp(_X0), shifted(builder, x))
    return builder.map(_X0 / _X1, exponentials, row_sum(builder, exponentials))


def _log_softmax(builder: Builder, x: int) -> int:
    centred = shifted(builder, x)
    return builder.map(_X0 - log(_X1), centred, row_sum(builder, builder.map(exp(_X0), centred)))


ACTIVATIONS: Final[dict[str, Activation]] = {
    "linear": Activation("x", lambda x: x, from_output=lambda y: const(1)),
    "relu": Activation(
        "x above `threshold`, `negative_slope` times it below, at most `max_value`",
        _relu,
        defaults={"negative_slope": 0.0, "max_value": None, "threshold": 0.0},
    ),
    "leaky_relu": Activation(
        "x where positive, else `negative_slope` x",
        _leaky_relu,
        defaults={"negative_slope": 0.2},
    ),
    "relu6": Activation(
        "x kept within 0 and 6",
        lambda x: minimum(maximum(x, 0), 6),
        from_output=lambda y: where(logical_and(y > 0, y < 6), 1, 0),
    ),
    "elu": Activation(
        "x where positive, else `alpha` (exp(x) - 1)",
        lambda x, alpha=1.0: where(x > 0, x, alpha * expm1(x)),
        defaults={"alpha": 1.0},
    ),
    "selu": Activation(
        "elu scaled so that activations keep mean 0 and variance 1",
        lambda x: where(x > 0, SELU_SCALE * x, SELU_SCALE * SELU_ALPHA * expm1(x)),
        from_output=lambda y: where(y > 0, SELU_SCALE, y + SELU_SCALE * SELU_ALPHA),
    ),
    "gelu": Activation(
        "x times the normal distribution function of x; `approximate` by a tanh", _gelu, defaults={"approximate": False}
    ),
    "silu": Activation("x sigmoid(x), also called swish", lambda x: x * sigmoid(x)),
    "softplus": Activation("log(1 + exp(x))", softplus, from_output=lambda y: -expm1(-y)),
    "softsign": Activation(
        "x / (1 + |x|)", lambda x: x / (1 + absolute(x)), from_output=lambda y: square(1 - absolute(y))
    ),
    "sigmoid": Activation("1 / (1 + exp(-x))", sigmoid, from_output=lambda y: y * (1 - y), probability="sigmoid"),
    "hard_sigmoid": Activation(
        "relu6(x + 3) / 6",
        lambda x: minimum(maximum(x + 3, 0), 6) / 6,
        from_output=lambda y: where(logical_and(y > 0, y < 1), 1 / 6, 0),
    ),
    "tanh": Activation("hyperbolic tangent", tanh, from_output=lambda y: 1 - square(y)),
    "hard_tanh": Activation("x kept within -1 and 1", lambda x: where(x > 1, 1, where(x < -1, -1, x))),
    "exponential": Activation("exp(x)", exp, from_output=lambda y: y),
    "log_sigmoid": Activation("log(sigmoid(x))", lambda x: -softplus(-x), from_output=lambda y: -expm1(y)),
    "mish": Activation("x tanh(softplus(x))", lambda x: x * tanh(softplus(x))),
    "softmax": Activation("exp(x) over its sum along the last axis", rows=_softmax, probability="softmax"),
    "log_softmax": Activation("logarithm of softmax, without overflow", rows=_log_softmax),
}

ALIASES: Final = {"swish": "silu"}
