"""Metrics: sums over the samples, and what they come to. Every loss is a metric too, under the same name.

Keras's names, and exactly the figures of scikit-learn over the whole set, never means of batches. A metric's nodes are
summed over all their elements into float64 accumulators a0, a1, ...; `finish` makes the figure of those and of `rows`,
the number of samples. Where a share has nothing below its line it is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any, Final

from ..builder import Builder
from ..expr import Expr, const, equal, logical_and, logical_or, maximum, sqrt, square, var, where
from .activations import row_sum
from .definition import Loss, Metric
from .losses import LOSSES, at_class, class_index

_X0, _X1, _X2, _X3 = var("x0"), var("x1"), var("x2"), var("x3")
_A0, _A1, _A2, _A3, _ROWS = var("a0"), var("a1"), var("a2"), var("a3"), var("rows")
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
    """Of equal units the later one counts as larger, as in scikit-learn."""
    width = builder.type(prediction).shape[-1]
    assert isinstance(width, int)
    column = _class_of(builder, target, prediction)
    score = at_class(builder, column, prediction)
    is_later = logical_and(equal(_X0, _X1), _X2 > _X3)
    before = where(logical_or(_X0 > _X1, is_later), 1, 0)
    dtype = builder.type(prediction).dtype
    better = row_sum(builder, builder.map(before, prediction, score, builder.iota(width), column, dtype=dtype))
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


# --- sums per class and per column --------------------------------------------------------------------------------


def _summed_to_last(builder: Builder, node: int) -> int:
    """The sums over all axes but the last: float64[n]."""
    shape = builder.type(node).shape
    return builder.reshape(builder.reduce("sum", node, tuple(range(len(shape) - 1)), dtype="float64"), shape[-1:])


def _membership(builder: Builder, classes: int, count: int) -> int:
    """1 at the place of each row's class, else 0; `classes` is a column of class numbers."""
    return builder.map(where(equal(_X0, _X1), 1, 0), classes, builder.iota(count), dtype="float32", compute="float32")


def class_numbers(builder: Builder, target: int, prediction: int) -> tuple[int, int, int]:
    """Two columns, the class of each target and the one predicted, and how many classes there are.

    One unit says yes above 0.5, and so does its target: classes 0 and 1.
    """
    shape = builder.type(prediction).shape
    width = shape[-1]
    assert isinstance(width, int)
    if width == 1:
        yes = where(_X0 > 0.5, 1, 0)
        actual, found = (builder.map(yes, node, dtype="float32", compute="float32") for node in (target, prediction))
        return actual, found, 2
    found = builder.reduce("argmax", prediction, (len(shape) - 1,))
    return _class_of(builder, target, prediction), found, width


def _class_counts(builder: Builder, target: int, prediction: int, arguments: Arguments) -> tuple[int, ...]:
    """For each class how often it was rightly predicted, how often predicted, how often there."""
    actual, found, count = class_numbers(builder, target, prediction)
    are, said = _membership(builder, actual, count), _membership(builder, found, count)
    return tuple(_summed_to_last(builder, node) for node in (builder.map(_X0 * _X1, are, said), said, are))


def _confusion(builder: Builder, target: int, prediction: int, arguments: Arguments) -> tuple[int, ...]:
    """How often each class (row) was taken for each (column)."""
    actual, found, count = class_numbers(builder, target, prediction)
    are, said = _membership(builder, actual, count), _membership(builder, found, count)
    return (builder.identity(builder.matmul(are, said, transpose_a=True), "float64"),)


def _nothing(builder: Builder, target: int, prediction: int, arguments: Arguments) -> tuple[int, ...]:
    return ()


def _column_squares(builder: Builder, target: int, prediction: int, arguments: Arguments) -> tuple[int, ...]:
    positions = prod(dim for dim in builder.type(prediction).shape[1:-1] if isinstance(dim, int))
    value = square(_X1 - _X0) if positions == 1 else square(_X1 - _X0) / positions
    return (_summed_to_last(builder, builder.map(value, target, prediction, dtype="float64", compute="float64")),)


def _r2(builder: Builder, target: int, prediction: int, arguments: Arguments) -> tuple[int, ...]:
    """Of each column: squared residuals; how many there are; the targets' mean; their squared distances from it."""
    shape = builder.type(prediction).shape
    positions = prod(dim for dim in shape[1:-1] if isinstance(dim, int))
    residuals = builder.map(square(_X0 - _X1), target, prediction, dtype="float64", compute="float64")
    count = builder.map(_X0 * positions, builder.rows(), dtype="float64", shape=shape[-1:])
    mean = builder.map(_X0 / _X1, _summed_to_last(builder, builder.identity(target, "float64")), count)
    distances = builder.map(square(_X0 - _X1), target, mean, dtype="float64", compute="float64")
    return (_summed_to_last(builder, residuals), count, mean, _summed_to_last(builder, distances))


# Source: Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979): no
# large sums are subtracted, so that constant targets are known to be constant.
_N0, _N1, _N2, _N3 = var("n0"), var("n1"), var("n2"), var("n3")
_TOGETHER: Final = _A1 + _N1
_R2_MERGED: Final = (
    _A0 + _N0,
    _TOGETHER,
    _A2 + (_N2 - _A2) * (_N1 / _TOGETHER),
    _A3 + _N3 + square(_N2 - _A2) * (_A1 * _N1 / _TOGETHER),
)


_THRESHOLD: Final = {"thresholds": 0.5}
_YES_OR_NO: Final = ("like", "one_hot")


def _over_classes(doc: str, finish: Expr) -> Metric:
    """The mean of a figure over the classes that are there or predicted, each against the others."""
    return Metric(doc, _class_counts, finish, defaults=_THRESHOLD, is_summed=True, counted=_A1 + _A2 > 0)


METRICS: Final[dict[str, Metric]] = {
    **{name: _of_loss(loss) for name, loss in LOSSES.items()},
    "rmse": Metric(
        "root of the mean squared error; of several units, the mean of their roots",
        _column_squares,
        sqrt(_MEAN),
        ("like",),
        is_summed=True,
    ),
    "accuracy": Metric(
        "share of right answers: `binary_accuracy` for one unit and for several yes or no, `categorical_accuracy` for"
        " one-hot targets, `sparse_categorical_accuracy` for class numbers",
        _accuracy,
        _MEAN,
        asks_half=True,
        grows=True,
    ),
    "binary_accuracy": Metric(
        "share of units on the right side of `threshold`", _elementwise(_hit), _MEAN, _YES_OR_NO, {"threshold": 0.5},
        grows=True,
    ),
    "categorical_accuracy": Metric(
        "share of samples whose largest unit is that of the one-hot target", _same_class, _MEAN, ("one_hot", "like"),
        grows=True,
    ),
    "sparse_categorical_accuracy": Metric(
        "share of samples whose largest unit is the target class", _same_class, _MEAN, ("class",), grows=True
    ),
    "top_k_accuracy": Metric(
        "share of samples with the target class among the `k` largest units",
        _top_k,
        _MEAN,
        ("class", "one_hot"),
        {"k": 5},
        grows=True,
    ),
    "precision": Metric(
        "share of right ones among the yeses; of classes, the mean over them",
        _counts(_both, _predicted),
        _ratio(_A0, _A1),
        defaults=_THRESHOLD,
        of_classes=_over_classes("mean precision over the classes", _ratio(_A0, _A1)),
        grows=True,
    ),
    "recall": Metric(
        "share of answers yes among the targets yes; of classes, the mean over them",
        _counts(_both, _actual),
        _ratio(_A0, _A1),
        defaults=_THRESHOLD,
        of_classes=_over_classes("mean recall over the classes", _ratio(_A0, _A2)),
        grows=True,
    ),
    "f1_score": Metric(
        "harmonic mean of precision and recall; of classes, the mean over them",
        _counts(_both, _actual, _predicted),
        _ratio(2 * _A0, _A1 + _A2),
        defaults=_THRESHOLD,
        of_classes=_over_classes("mean f1 over the classes", _ratio(2 * _A0, _A1 + _A2)),
        grows=True,
    ),
    "auc": Metric(
        "how often a yes has a larger score than a no (area under the ROC curve); of classes and of several units, the"
        " mean of each against the others",
        _nothing,
        const(0),
        measure="auc",
        needs_classes=True,
        grows=True,
    ),
    "confusion": Metric(
        "how often each class (row) was taken for each (column); a matrix, given by evaluation",
        _confusion,
        _A0,
        is_summed=True,
        measure="confusion",
        asks_half=True,
        needs_classes=True,
    ),
    "r2_score": Metric(
        "share of the targets' variance that is explained; of several units, the mean of theirs",
        _r2,
        where(_A3 > 0, 1 - _A0 / where(_A3 > 0, _A3, 1), where(_A0 > 0, 0, 1)),
        ("like",),
        is_summed=True,
        merge=_R2_MERGED,
        grows=True,
    ),
}


def metric_for(name: str, target: str, activation: str, width: int) -> tuple[str, Metric]:
    """The metric that `name` means for an output: a variant of its own for classes; for `accuracy`, which kind.

    target: how the loss is given its targets; activation: the one that the loss expects; width: units of the output.
    """
    is_class = target in ("class", "one_hot")
    if name == "accuracy":
        if target == "class":
            name = "sparse_categorical_accuracy"
        else:
            is_binary = width == 1 or (activation == "sigmoid" and not is_class)
            name = "binary_accuracy" if is_binary else "categorical_accuracy"
    metric = METRICS[name]
    return name, metric.of_classes if is_class and metric.of_classes is not None else metric


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
    "AUC": "auc", "roc_auc": "auc", "confusion_matrix": "confusion",
}  # fmt: skip


def figure_name(name: str) -> str:
    """The name under which training reports a figure whose metric is called by any of its names.

    `val_f1` is `val_f1_score`, `main.mean_squared_error` is `main.mse`; what has one name only stays as it is.
    """
    output, dot, metric = name.rpartition(".")
    prefix = "val_" if not dot and metric.startswith("val_") else ""
    metric = metric.removeprefix(prefix)
    return f"{output}{dot}{prefix}{ALIASES.get(metric, metric)}"
