"""Metrics: sums over the samples, and what they come to. Every loss is a metric too, under the same name.

Keras's names and formulas. A metric's nodes are summed over all their elements into float64 accumulators a0, a1, ...;
`finish` makes the figure of those and of `rows`, the number of samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any, Final

from ..builder import Builder
from ..expr import Expr, equal, logical_and, maximum, sqrt, square, var, where
from .activations import row_sum
from .definition import Loss, Metric
from .losses import LOSSES, at_class, class_index

_X0, _X1 = var("x0"), var("x1")
_A0, _A1, _A2, _ROWS = var("a0"), var("a1"), var("a2"), var("rows")
_MEAN: Final = _A0 / _ROWS

Arguments = Mapping[str, Any]
Rows = Callable[[Builder, int, int, Arguments], tuple[int, ...]]


def _per_sample(builder: Builder, formula: Expr, target: int, prediction: int) -> int:
    """`formula` of target x0 and prediction x1 at every element, over their number: a sample's sum is its mean."""
    type = builder.type(prediction)
    size = prod(dim for dim in type.shape[1:] if isinstance(dim, int))
    value = formula if size == 1 else formula / size
    return builder.map(value, target, prediction, dtype=type.dtype, compute=type.dtype)


def _elementwise(formula: Callable[..., Expr]) -> Rows:
    def rows(builder: Builder, target: int, prediction: int, arguments: Arguments) -> tuple[int, ...]:
        return (_per_sample(builder, formula(_X0, _X1, **arguments), target, prediction),)

    return rows


def _of_loss(loss: Loss) -> Metric:
    def rows(builder: Builder, target: int, prediction: int, arguments: Arguments) -> tuple[int, ...]:
        if loss.formula is not None:
            return (_per_sample(builder, loss.formula(_X0, _X1, **arguments), target, prediction),)
        assert loss.rows is not None
        value = loss.rows(builder, target, prediction, arguments)
        positions = prod(dim for dim in builder.type(value).shape[1:] if isinstance(dim, int))
        return (value if positions == 1 else builder.map(_X0 / positions, value),)

    return Metric(loss.doc, rows, _MEAN, (loss.target,), loss.defaults)


# --- accuracy ---------------------------------------------------------------------------------------------------


def _hit(y: Expr, p: Expr, threshold: float = 0.5) -> Expr:
    return where(equal(y, where(p > threshold, 1, 0)), 1, 0)


def _is_class(builder: Builder, target: int, prediction: int) -> bool:
    """Whether the target holds class numbers, where `prediction` holds one value per class."""
    return builder.type(target).shape != builder.type(prediction).shape


def _class_of(builder: Builder, target: int, prediction: int) -> int:
    """The class number of each sample as a column: the target itself, or where a one-hot target is largest."""
    if _is_class(builder, target, prediction):
        return class_index(builder, target, prediction)
    return builder.reduce("argmax", target, (len(builder.type(target).shape) - 1,))


def _same_class(builder: Builder, target: int, prediction: int, arguments: Arguments) -> tuple[int, ...]:
    axis = len(builder.type(prediction).shape) - 1
    found = builder.reduce("argmax", prediction, (axis,))
    return (_mean_of_positions(builder, where(equal(_X0, _X1), 1, 0), _class_of(builder, target, prediction), found),)


def _mean_of_positions(builder: Builder, formula: Expr, *columns: int) -> int:
    positions = prod(dim for dim in builder.type(columns[-1]).shape[1:] if isinstance(dim, int))
    return builder.map(formula if positions == 1 else formula / positions, *columns, dtype="float32", compute="float32")


def _accuracy(builder: Builder, target: int, prediction: int, arguments: Arguments) -> tuple[int, ...]:
    if builder.type(prediction).shape[1:] in ((), (1,)):
        return (_per_sample(builder, _hit(_X0, _X1), target, prediction),)
    return _same_class(builder, target, prediction, arguments)


def _top_k(builder: Builder, target: int, prediction: int, arguments: Arguments) -> tuple[int, ...]:
    score = at_class(builder, _class_of(builder, target, prediction), prediction)
    better = row_sum(builder, builder.map(where(_X0 > _X1, 1, 0), prediction, score))
    return (_mean_of_positions(builder, where(arguments["k"] > _X0, 1, 0), better),)


# --- counts of yes and no ---------------------------------------------------------------------------------------


def _counts(*formulas: Callable[[Expr, Expr], Expr]) -> Rows:
    """How often each of the formulas holds, of whether the target and whether the prediction says yes."""

    def rows(builder: Builder, target: int, prediction: int, arguments: Arguments) -> tuple[int, ...]:
        actual, predicted = _X0 > 0.5, arguments["thresholds"] < _X1
        dtype = builder.type(prediction).dtype
        return tuple(
            builder.map(where(formula(actual, predicted), 1, 0), target, prediction, dtype=dtype, compute=dtype)
            for formula in formulas
        )

    return rows


def _both(actual: Expr, predicted: Expr) -> Expr:
    return logical_and(actual, predicted)


def _actual(actual: Expr, predicted: Expr) -> Expr:
    return actual


def _predicted(actual: Expr, predicted: Expr) -> Expr:
    return predicted


def _ratio(top: Expr, bottom: Expr) -> Expr:
    return where(bottom > 0, top / maximum(bottom, 1), 0)


def _r2(builder: Builder, target: int, prediction: int, arguments: Arguments) -> tuple[int, ...]:
    formulas = (square(_X0 - _X1), _X0, square(_X0))
    return tuple(builder.map(f, target, prediction, dtype="float64", compute="float64") for f in formulas)


_THRESHOLD: Final = {"thresholds": 0.5}
_YES_OR_NO: Final = ("like", "one_hot")

METRICS: Final[dict[str, Metric]] = {
    **{name: _of_loss(loss) for name, loss in LOSSES.items()},
    "rmse": Metric("root of the mean squared error", _elementwise(lambda y, p: square(p - y)), sqrt(_MEAN), ("like",)),
    "accuracy": Metric(
        "share of right answers: beyond 0.5 for one unit, else the largest of the units", _accuracy, _MEAN
    ),
    "binary_accuracy": Metric(
        "share of units on the right side of `threshold`", _elementwise(_hit), _MEAN, _YES_OR_NO, {"threshold": 0.5}
    ),
    "categorical_accuracy": Metric(
        "share of samples whose largest unit is that of the one-hot target", _same_class, _MEAN, ("one_hot", "like")
    ),
    "sparse_categorical_accuracy": Metric(
        "share of samples whose largest unit is the target class", _same_class, _MEAN, ("class",)
    ),
    "top_k_accuracy": Metric(
        "share of samples with the target class among the `k` largest units",
        _top_k,
        _MEAN,
        ("class", "one_hot"),
        {"k": 5},
    ),
    "precision": Metric(
        "share of right ones among the yeses", _counts(_both, _predicted), _ratio(_A0, _A1), _YES_OR_NO, _THRESHOLD
    ),
    "recall": Metric(
        "share of answers yes among the targets yes", _counts(_both, _actual), _ratio(_A0, _A1), _YES_OR_NO, _THRESHOLD
    ),
    "f1_score": Metric(
        "harmonic mean of precision and recall",
        _counts(_both, _actual, _predicted),
        _ratio(2 * _A0, _A1 + _A2),
        _YES_OR_NO,
        _THRESHOLD,
    ),
    "r2_score": Metric(
        "share of the target's variance that is explained",
        _r2,
        1 - _A0 / (_A2 - square(_A1) / _ROWS),
        ("like",),
        width=1,
    ),
}

ALIASES: Final = {
    "acc": "accuracy",
    "mean_squared_error": "mse", "MSE": "mse",
    "mean_absolute_error": "mae", "MAE": "mae",
    "mean_absolute_percentage_error": "mape", "MAPE": "mape",
    "mean_squared_logarithmic_error": "msle", "MSLE": "msle",
    "root_mean_squared_error": "rmse",
    "logcosh": "log_cosh", "log_cosh_error": "log_cosh",
    "bce": "binary_crossentropy", "BCE": "binary_crossentropy",
    "kld": "kl_divergence", "KLD": "kl_divergence", "kullback_leibler_divergence": "kl_divergence",
    "top_k_categorical_accuracy": "top_k_accuracy", "sparse_top_k_categorical_accuracy": "top_k_accuracy",
    "f1": "f1_score", "r2": "r2_score",
}  # fmt: skip
