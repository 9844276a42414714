"""Losses, with Keras's names, formulas, argument order and defaults.

Elementwise ones are formulas of one target and one prediction, averaged over the last axis; the others reduce a row by
themselves. `EPSILON` keeps logarithms finite where Keras's does. Crossentropies have a second form, taken of logits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from ..builder import Builder
from ..expr import (
    Expr,
    Operand,
    absolute,
    equal,
    exp,
    log,
    maximum,
    minimum,
    softplus,
    sqrt,
    square,
    var,
    where,
)
from .activations import row_sum, shifted
from .definition import Loss

EPSILON: Final = 1e-7

_X0, _X1, _X2 = var("x0"), var("x1"), var("x2")
Arguments = Mapping[str, Any]


def _clip(x: Expr, low: Operand, high: Operand) -> Expr:
    return minimum(maximum(x, low), high)


def class_index(builder: Builder, target: int, prediction: int) -> int:
    """An integer target as a column beside the rows of `prediction`: its last axis is 1."""
    return builder.reshape(target, (*builder.type(prediction).shape[:-1], 1))


def at_class(builder: Builder, target: int, values: int) -> int:
    """The entry of each row of `values` that the integer `target` names, as a column."""
    width = builder.type(values).shape[-1]
    assert isinstance(width, int)
    dtype = builder.type(values).dtype
    chosen = builder.map(
        where(equal(_X0, _X1), _X2, 0), builder.iota(width), class_index(builder, target, values), values,
        dtype=dtype, compute=dtype,
    )  # fmt: skip
    return row_sum(builder, chosen)


# --- elementwise ------------------------------------------------------------------------------------------------


def _huber(y: Expr, p: Expr, delta: float = 1.0) -> Expr:
    error = p - y
    return where(absolute(error) <= delta, 0.5 * square(error), delta * absolute(error) - 0.5 * delta * delta)


def _log_cosh(y: Expr, p: Expr) -> Expr:
    error = p - y
    return error + softplus(-2 * error) - math.log(2)


def _hinge(y: Expr, p: Expr) -> Expr:
    """Targets are -1 and 1; a 0 counts as -1, so that labels 0 and 1 do as well, as in Keras."""
    return maximum(1 - where(equal(y, 0), -1, y) * p, 0)


def _percentage(y: Expr, p: Expr) -> Expr:
    return 100 * absolute((y - p) / maximum(absolute(y), EPSILON))


def _logarithmic(y: Expr, p: Expr) -> Expr:
    return square(log(maximum(p, EPSILON) + 1) - log(maximum(y, EPSILON) + 1))


def _smoothed_binary(y: Expr, label_smoothing: float) -> Expr:
    return y * (1 - label_smoothing) + 0.5 * label_smoothing if label_smoothing else y


def _binary_crossentropy(y: Expr, p: Expr, from_logits: bool = False, label_smoothing: float = 0.0) -> Expr:
    y = _smoothed_binary(y, label_smoothing)
    if from_logits:
        return softplus(p) - y * p
    p = _clip(p, EPSILON, 1 - EPSILON)
    return -(y * log(p) + (1 - y) * log(1 - p))


# --- over a row ---------------------------------------------------------------------------------------------------


def _binary_from_logits(builder: Builder, target: int, logits: int, arguments: Arguments) -> int:
    formula = _binary_crossentropy(_X0, _X1, True, arguments.get("label_smoothing", 0.0))
    return row_mean(builder, formula, target, logits)


def row_mean(builder: Builder, formula: Expr, target: int, prediction: int) -> int:
    """The mean over the last axis of `formula` of target x0 and prediction x1, as a column."""
    type = builder.type(prediction)
    width = type.shape[-1]
    assert isinstance(width, int)
    values = builder.map(formula, target, prediction, dtype=type.dtype, compute=type.dtype)
    return row_sum(builder, values) if width == 1 else builder.map(_X0 / width, row_sum(builder, values))


def _smoothed(label_smoothing: float, y: Expr, width: int) -> Expr:
    return y * (1 - label_smoothing) + label_smoothing / width if label_smoothing else y


def _log_probabilities(builder: Builder, probabilities: int) -> int:
    """Logarithms of a row of probabilities, after Keras's division by their sum and clipping."""
    formula = log(_clip(_X0 / _X1, EPSILON, 1 - EPSILON))
    return builder.map(formula, probabilities, row_sum(builder, probabilities))


def _weighted_by_target(builder: Builder, target: int, values: int, label_smoothing: float) -> int:
    type = builder.type(values)
    assert isinstance(type.shape[-1], int)
    formula = _smoothed(label_smoothing, _X0, type.shape[-1]) * _X1
    return row_sum(builder, builder.map(formula, target, values, dtype=type.dtype, compute=type.dtype))


def _target_sum(builder: Builder, target: int, dtype: str, label_smoothing: float) -> int:
    width = builder.type(target).shape[-1]
    assert isinstance(width, int)
    total = row_sum(builder, builder.identity(target, dtype))
    return builder.map(_X0 * (1 - label_smoothing) + label_smoothing, total) if label_smoothing else total


def _categorical(builder: Builder, target: int, prediction: int, arguments: Arguments) -> int:
    if arguments.get("from_logits"):
        return _categorical_from_logits(builder, target, prediction, arguments)
    logarithms = _log_probabilities(builder, prediction)
    return builder.map(-_X0, _weighted_by_target(builder, target, logarithms, arguments.get("label_smoothing", 0.0)))


def _log_of_sum(builder: Builder, centred: int) -> int:
    return builder.map(log(_X0), row_sum(builder, builder.map(exp(_X0), centred)))


def _categorical_from_logits(builder: Builder, target: int, logits: int, arguments: Arguments) -> int:
    """sum(y) log(sum(exp(z))) - sum(y z), over z with its row's maximum taken off."""
    smoothing, centred = arguments.get("label_smoothing", 0.0), shifted(builder, logits)
    weight = _target_sum(builder, target, builder.type(logits).dtype, smoothing)
    taken = _weighted_by_target(builder, target, centred, smoothing)
    return builder.map(_X0 * _X1 - _X2, weight, _log_of_sum(builder, centred), taken)


def _sparse(builder: Builder, target: int, prediction: int, arguments: Arguments) -> int:
    if arguments.get("from_logits"):
        return _sparse_from_logits(builder, target, prediction, arguments)
    smoothing = arguments.get("label_smoothing", 0.0)
    if smoothing:
        logarithms = _log_probabilities(builder, prediction)
        return builder.map(-_X0, _smoothed_pick(builder, target, logarithms, smoothing))
    formula = -log(_clip(_X0 / _X1, EPSILON, 1 - EPSILON))
    return builder.map(formula, at_class(builder, target, prediction), row_sum(builder, prediction))


def _smoothed_pick(builder: Builder, target: int, values: int, smoothing: float) -> int:
    width = builder.type(values).shape[-1]
    assert isinstance(width, int)
    formula = (1 - smoothing) * _X0 + (smoothing / width) * _X1
    return builder.map(formula, at_class(builder, target, values), row_sum(builder, values))


def _sparse_from_logits(builder: Builder, target: int, logits: int, arguments: Arguments) -> int:
    """log(sum(exp(z))) - z[class], over z with its row's maximum taken off."""
    smoothing, centred = arguments.get("label_smoothing", 0.0), shifted(builder, logits)
    taken = _smoothed_pick(builder, target, centred, smoothing) if smoothing else at_class(builder, target, centred)
    return builder.map(_X0 - _X1, _log_of_sum(builder, centred), taken)


def _kl_divergence(builder: Builder, target: int, prediction: int, arguments: Arguments) -> int:
    y, p = _clip(_X0, EPSILON, 1), _clip(_X1, EPSILON, 1)
    dtype = builder.type(prediction).dtype
    return row_sum(builder, builder.map(y * log(y / p), target, prediction, dtype=dtype, compute=dtype))


def _cosine_similarity(builder: Builder, target: int, prediction: int, arguments: Arguments) -> int:
    """Minus the cosine; a vector shorter than EPSILON counts as that long."""
    target = builder.identity(target, builder.type(prediction).dtype)
    product = row_sum(builder, builder.map(_X0 * _X1, target, prediction))
    squares = [row_sum(builder, builder.map(square(_X0), node)) for node in (target, prediction)]
    lengths = [sqrt(maximum(x, EPSILON * EPSILON)) for x in (_X1, _X2)]
    return builder.map(-_X0 / (lengths[0] * lengths[1]), product, *squares)


_CROSSENTROPY: Final = {"from_logits": False, "label_smoothing": 0.0}
_KERAS: Final = "Keras 3, losses"

LOSSES: Final[dict[str, Loss]] = {
    "mse": Loss("mean of squared errors", _KERAS, lambda y, p: square(p - y)),
    "mae": Loss("mean of absolute errors", _KERAS, lambda y, p: absolute(p - y)),
    "mape": Loss("mean of absolute errors in percent of the target", _KERAS, _percentage),
    "msle": Loss("mean of squared errors of log(1 + x)", _KERAS, _logarithmic, prediction="positive"),
    "huber": Loss(
        "squared errors up to `delta`, absolute ones beyond",
        "Huber, Robust estimation of a location parameter (1964)",
        _huber,
        defaults={"delta": 1.0},
    ),
    "log_cosh": Loss("logarithm of the hyperbolic cosine of the error", _KERAS, _log_cosh),
    "binary_crossentropy": Loss(
        "crossentropy of yes-or-no targets with probabilities, or with logits where `from_logits`",
        _KERAS,
        _binary_crossentropy,
        from_logits=_binary_from_logits,
        activation="sigmoid",
        prediction="probability",
        defaults=_CROSSENTROPY,
    ),
    "categorical_crossentropy": Loss(
        "crossentropy of one-hot targets with probabilities, or with logits where `from_logits`",
        _KERAS,
        rows=_categorical,
        from_logits=_categorical_from_logits,
        activation="softmax",
        target="one_hot",
        prediction="probability",
        defaults=_CROSSENTROPY,
    ),
    "sparse_categorical_crossentropy": Loss(
        "crossentropy of class numbers with probabilities, or with logits where `from_logits`; `label_smoothing` as in"
        " categorical_crossentropy, which Keras offers there alone",
        _KERAS,
        rows=_sparse,
        from_logits=_sparse_from_logits,
        activation="softmax",
        target="class",
        prediction="probability",
        defaults=_CROSSENTROPY,
    ),
    "hinge": Loss("how far y p falls short of 1, for targets -1 and 1", _KERAS, _hinge, prediction="sign"),
    "squared_hinge": Loss("hinge, squared", _KERAS, lambda y, p: square(_hinge(y, p)), prediction="sign"),
    "kl_divergence": Loss(
        "divergence of the predicted from the target distribution",
        "Kullback and Leibler, On information and sufficiency (1951)",
        rows=_kl_divergence,
        target="one_hot",
        prediction="probability",
    ),
    "poisson": Loss("p - y log(p), for counts", _KERAS, lambda y, p: p - y * log(p + EPSILON), prediction="positive"),
    "cosine_similarity": Loss(
        "minus the cosine of the angle between target and prediction", _KERAS, rows=_cosine_similarity
    ),
}

ALIASES: Final = {
    "mean_squared_error": "mse", "MSE": "mse",
    "mean_absolute_error": "mae", "MAE": "mae",
    "mean_absolute_percentage_error": "mape", "MAPE": "mape",
    "mean_squared_logarithmic_error": "msle", "MSLE": "msle",
    "logcosh": "log_cosh",
    "bce": "binary_crossentropy", "BCE": "binary_crossentropy",
    "kld": "kl_divergence", "KLD": "kl_divergence", "kullback_leibler_divergence": "kl_divergence",
}  # fmt: skip
