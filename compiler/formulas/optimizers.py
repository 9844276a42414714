"""Optimizers: one weight's update as scalar formulas, with Keras's formulas, argument names and defaults.

`scalars` are computed once per step in float64; `update` once per weight, slots being the optimizer's own state. Every
optimizer takes `weight_decay`: the weight first shrinks by `learning_rate * weight_decay` of itself, as in Keras.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..expr import Expr, absolute, const, exp, maximum, sign, sqrt, square
from .definition import Optimizer

Slots = Mapping[str, Expr]
Scalars = Mapping[str, Expr]
Updated = tuple[Expr, Mapping[str, Expr]]


def _decayed(p: Expr, scalars: Scalars, weight_decay: float | None) -> Expr:
    return p - p * (weight_decay * scalars["learning_rate"]) if weight_decay else p


def _average(old: Expr, new: Expr, beta: float) -> Expr:
    """The exponential moving average, one step on."""
    return old + (new - old) * (1 - beta)


def _rate(t: Expr, learning_rate: Expr, **_: Any) -> Scalars:
    return {"learning_rate": learning_rate}


def _sgd(
    p: Expr,
    g: Expr,
    slots: Slots,
    scalars: Scalars,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float | None = None,
    **_: Any,
) -> Updated:
    p, step = _decayed(p, scalars, weight_decay), g * scalars["learning_rate"]
    if not momentum:
        return p - step, {}
    velocity = slots["momentum"] * momentum - step
    return p + (velocity * momentum - step if nesterov else velocity), {"momentum": velocity}


def _rmsprop_slots(momentum: float = 0.0, centered: bool = False, **_: Any) -> Mapping[str, float]:
    names = ["velocity"] + ["momentum"] * bool(momentum > 0) + ["average_gradient"] * centered
    return dict.fromkeys(names, 0.0)


def _rmsprop(
    p: Expr,
    g: Expr,
    slots: Slots,
    scalars: Scalars,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
    centered: bool = False,
    weight_decay: float | None = None,
    **_: Any,
) -> Updated:
    p = _decayed(p, scalars, weight_decay)
    new = {"velocity": rho * slots["velocity"] + (1 - rho) * square(g)}
    denominator = new["velocity"] + epsilon
    if centered:
        new["average_gradient"] = rho * slots["average_gradient"] + (1 - rho) * g
        denominator = new["velocity"] - square(new["average_gradient"]) + epsilon
    step = scalars["learning_rate"] * g / sqrt(denominator)
    if momentum > 0:
        step = new["momentum"] = momentum * slots["momentum"] + step
    return p - step, new


def _adam_slots(amsgrad: bool = False, **_: Any) -> Mapping[str, float]:
    return dict.fromkeys(["momentum", "velocity"] + ["velocity_hat"] * amsgrad, 0.0)


def _adam_scalars(t: Expr, learning_rate: Expr, beta_1: float = 0.9, beta_2: float = 0.999, **_: Any) -> Scalars:
    corrected = learning_rate * sqrt(1 - const(beta_2) ** t) / (1 - const(beta_1) ** t)
    return {"learning_rate": learning_rate, "alpha": corrected}


def _adam(
    p: Expr,
    g: Expr,
    slots: Slots,
    scalars: Scalars,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    amsgrad: bool = False,
    weight_decay: float | None = None,
    **_: Any,
) -> Updated:
    new = {
        "momentum": _average(slots["momentum"], g, beta_1),
        "velocity": _average(slots["velocity"], square(g), beta_2),
    }
    velocity = new["velocity"]
    if amsgrad:
        velocity = new["velocity_hat"] = maximum(slots["velocity_hat"], velocity)
    step = new["momentum"] * scalars["alpha"] / (sqrt(velocity) + epsilon)
    return _decayed(p, scalars, weight_decay) - step, new


def _nadam_product(t: Expr) -> Expr:
    """The product of (1 - 0.5 * 0.96^i) over i = 1 .. t, which Keras keeps as running state, as a function of t.

    With q = 0.96 and a = 0.5 q it is the q-Pochhammer symbol (a; q)_t = (a; q)_inf / (a q^t; q)_inf, and
    log (z; q)_inf = -sum over k of z^k / (k (1 - q^k)). Thirty terms leave a relative error below 1e-11.
    """
    q, a, terms = 0.96, 0.48, 30
    coefficients = [a**k / (k * (1 - q**k)) for k in range(1, terms + 1)]
    power = const(q) ** t
    polynomial = const(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        polynomial = polynomial * power + coefficient
    return exp(polynomial * power - sum(coefficients))


def _nadam_scalars(t: Expr, learning_rate: Expr, beta_1: float = 0.9, beta_2: float = 0.999, **_: Any) -> Scalars:
    now = beta_1 * (1 - 0.5 * const(0.96) ** t)
    following = beta_1 * (1 - 0.5 * const(0.96) ** (t + 1))
    product = const(beta_1) ** t * _nadam_product(t)
    return {
        "learning_rate": learning_rate,
        "momentum_weight": following / (1 - product * following),
        "gradient_weight": (1 - now) / (1 - product),
        "velocity_weight": 1 / (1 - const(beta_2) ** t),
    }


def _nadam(
    p: Expr,
    g: Expr,
    slots: Slots,
    scalars: Scalars,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    weight_decay: float | None = None,
    **_: Any,
) -> Updated:
    momentum = _average(slots["momentum"], g, beta_1)
    velocity = _average(slots["velocity"], square(g), beta_2)
    direction = scalars["momentum_weight"] * momentum + scalars["gradient_weight"] * g
    step = direction * scalars["learning_rate"] / (sqrt(velocity * scalars["velocity_weight"]) + epsilon)
    return _decayed(p, scalars, weight_decay) - step, {"momentum": momentum, "velocity": velocity}


def _adagrad(
    p: Expr, g: Expr, slots: Slots, scalars: Scalars, epsilon: float = 1e-7, weight_decay: float | None = None, **_: Any
) -> Updated:
    accumulator = slots["accumulator"] + square(g)
    step = scalars["learning_rate"] * g / sqrt(accumulator + epsilon)
    return _decayed(p, scalars, weight_decay) - step, {"accumulator": accumulator}


def _adamax_scalars(t: Expr, learning_rate: Expr, beta_1: float = 0.9, **_: Any) -> Scalars:
    return {"learning_rate": learning_rate, "alpha": learning_rate / (1 - const(beta_1) ** t)}


def _adamax(
    p: Expr,
    g: Expr,
    slots: Slots,
    scalars: Scalars,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    weight_decay: float | None = None,
    **_: Any,
) -> Updated:
    momentum = _average(slots["momentum"], g, beta_1)
    norm = maximum(beta_2 * slots["norm"], absolute(g))
    step = scalars["alpha"] * momentum / (norm + epsilon)
    return _decayed(p, scalars, weight_decay) - step, {"momentum": momentum, "norm": norm}


def _lion(
    p: Expr,
    g: Expr,
    slots: Slots,
    scalars: Scalars,
    beta_1: float = 0.9,
    beta_2: float = 0.99,
    weight_decay: float | None = None,
    **_: Any,
) -> Updated:
    momentum = slots["momentum"]
    step = scalars["learning_rate"] * sign(momentum * beta_1 + g * (1 - beta_1))
    return _decayed(p, scalars, weight_decay) - step, {"momentum": momentum * beta_2 + g * (1 - beta_2)}


_ADAM: Final = {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}

OPTIMIZERS: Final[dict[str, Optimizer]] = {
    "sgd": Optimizer(
        "gradient descent, with `momentum` and Nesterov's look-ahead where asked for",
        "Sutskever et al., On the importance of initialization and momentum in deep learning (2013)",
        {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False, "weight_decay": None},
        lambda momentum=0.0, **_: {"momentum": 0.0} if momentum else {},
        _rate,
        _sgd,
    ),
    "rmsprop": Optimizer(
        "gradient over the root of its moving mean square",
        "Hinton, Neural Networks for Machine Learning, lecture 6e (2012)",
        {
            "learning_rate": 0.001,
            "rho": 0.9,
            "momentum": 0.0,
            "epsilon": 1e-7,
            "centered": False,
            "weight_decay": None,
        },
        _rmsprop_slots,
        _rate,
        _rmsprop,
    ),
    "adam": Optimizer(
        "moving mean of the gradient over the root of its moving mean square, both corrected for their start",
        "Kingma and Ba, Adam (2014); Reddi et al., On the convergence of Adam and beyond (2018) for `amsgrad`",
        {**_ADAM, "amsgrad": False, "weight_decay": None},
        _adam_slots,
        _adam_scalars,
        _adam,
    ),
    "adamw": Optimizer(
        "adam with decoupled weight decay",
        "Loshchilov and Hutter, Decoupled weight decay regularization (2017)",
        {"learning_rate": 0.001, "weight_decay": 0.004, **_ADAM, "amsgrad": False},
        _adam_slots,
        _adam_scalars,
        _adam,
    ),
    "nadam": Optimizer(
        "adam with Nesterov momentum",
        "Dozat, Incorporating Nesterov momentum into Adam (2015)",
        {**_ADAM, "weight_decay": None},
        lambda **_: {"momentum": 0.0, "velocity": 0.0},
        _nadam_scalars,
        _nadam,
    ),
    "adagrad": Optimizer(
        "gradient over the root of the sum of all its squares",
        "Duchi et al., Adaptive subgradient methods (2011)",
        {"learning_rate": 0.001, "initial_accumulator_value": 0.1, "epsilon": 1e-7, "weight_decay": None},
        lambda initial_accumulator_value=0.1, **_: {"accumulator": initial_accumulator_value},
        _rate,
        _adagrad,
    ),
    "adamax": Optimizer(
        "adam with the largest recent gradient in place of the root mean square",
        "Kingma and Ba, Adam, section 7.1 (2014)",
        {**_ADAM, "weight_decay": None},
        lambda **_: {"momentum": 0.0, "norm": 0.0},
        _adamax_scalars,
        _adamax,
    ),
    "lion": Optimizer(
        "the sign of an interpolated momentum",
        "Chen et al., Symbolic discovery of optimization algorithms (2023)",
        {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.99, "weight_decay": None},
        lambda **_: {"momentum": 0.0},
        _rate,
        _lion,
    ),
}

ALIASES: Final = {
    "SGD": "sgd", "RMSprop": "rmsprop", "Adam": "adam", "AdamW": "adamw", "Nadam": "nadam", "Adagrad": "adagrad",
    "Adamax": "adamax", "Lion": "lion",
}  # fmt: skip
