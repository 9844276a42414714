"""BatchNormalization and LayerNormalization, with Keras's formulas and defaults."""

from __future__ import annotations

from ..builder import Builder
from ..expr import Expr, rsqrt, square, var
from ..options import Choice
from ..types import TensorType
from .definition import Arguments, Expansion, Hyperparameter, LayerDef, Weight
from .reading import (
    TRAINING,
    bool_of,
    choice_of,
    float_of,
    int_of,
    optional_choice,
    require_float,
    require_last_axis,
    size_of,
)

_SCALE_AND_CENTER = (
    Hyperparameter("epsilon", "float", 1e-3, "added to the variance"),
    Hyperparameter("center", "bool", True, "whether a learned `beta` is added"),
    Hyperparameter("scale", "bool", True, "whether the result is multiplied by a learned `gamma`"),
    Hyperparameter("beta_initializer", "initializer", Choice("zeros"), "first values of beta"),
    Hyperparameter("gamma_initializer", "initializer", Choice("ones"), "first values of gamma"),
)
_REGULARIZERS = (
    Hyperparameter("beta_regularizer", "regularizer", None, "penalty on beta", optional=True),
    Hyperparameter("gamma_regularizer", "regularizer", None, "penalty on gamma", optional=True),
    *TRAINING,
)
_AXIS = Hyperparameter("axis", "axis", -1, "axis that is normalized; the last one")


def _infer(name: str, arguments: Arguments, inputs: tuple[TensorType, ...]) -> TensorType:
    require_float(name, inputs[0])
    require_last_axis(name, int_of(arguments, "axis"), inputs[0])
    return inputs[0]


def _scale_and_center(arguments: Arguments, type: TensorType) -> tuple[Weight, ...]:
    weights = []
    for name, wanted in (("gamma", "scale"), ("beta", "center")):
        if bool_of(arguments, wanted):
            initializer = choice_of(arguments, f"{name}_initializer")
            regularizer = optional_choice(arguments, f"{name}_regularizer")
            weights.append(Weight(name, type, initializer, regularizer=regularizer))
    return tuple(weights)


def _vector(type: TensorType) -> TensorType:
    return type.with_shape((type.shape[-1],))


def _batch_weights(arguments: Arguments, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
    type = _vector(inputs[0])
    mean = Weight("moving_mean", type, choice_of(arguments, "moving_mean_initializer"), role="statistic")
    variance = Weight("moving_variance", type, choice_of(arguments, "moving_variance_initializer"), role="statistic")
    return (*_scale_and_center(arguments, type), mean, variance)


def _normalize(builder: Builder, arguments: Arguments, x: int, mean: int, variance: int, expansion: Expansion) -> int:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, as one map."""
    operands = [x, mean, variance]
    formula: Expr = (var("x0") - var("x1")) * rsqrt(var("x2") + float_of(arguments, "epsilon"))
    if bool_of(arguments, "scale"):
        formula = formula * var(f"x{len(operands)}")
        operands.append(builder.variable(expansion.variables["gamma"]))
    if bool_of(arguments, "center"):
        formula = formula + var(f"x{len(operands)}")
        operands.append(builder.variable(expansion.variables["beta"]))
    return builder.map(formula, *operands)


def _batch_moments(builder: Builder, x: int) -> tuple[int, int]:
    """Mean and variance over the samples at hand, for each entry of the last axis; sums in float64."""
    type = builder.type(x)
    axes = tuple(range(len(type.shape) - 1))
    repeats = 1
    for dim in type.shape[1:-1]:
        repeats *= size_of(dim)

    def mean_of(node: int) -> int:
        total = builder.reduce("sum", node, axes, dtype="float64")
        formula = var("x0") / (var("x1") * repeats)
        return builder.map(formula, total, builder.rows(), dtype=type.dtype, compute="float64")

    mean = mean_of(x)
    return mean, mean_of(builder.map(square(var("x0") - var("x1")), x, mean))


def _expand_batch(builder: Builder, arguments: Arguments, inputs: tuple[int, ...], expansion: Expansion) -> int:
    moving = [builder.variable(expansion.variables[name]) for name in ("moving_mean", "moving_variance")]
    # Keras: a frozen BatchNormalization uses its moving statistics in training too
    if not (expansion.training and bool_of(arguments, "trainable")):
        return _normalize(builder, arguments, inputs[0], moving[0], moving[1], expansion)
    moments = _batch_moments(builder, inputs[0])
    momentum = float_of(arguments, "momentum")
    blend = var("x0") * momentum + var("x1") * (1 - momentum)
    for name, old, new in zip(("moving_mean", "moving_variance"), moving, moments, strict=True):
        observed = builder.reshape(new, builder.type(old).shape)
        builder.update((expansion.variables[name],), (old, observed), (blend,))
    return _normalize(builder, arguments, inputs[0], moments[0], moments[1], expansion)


def _expand_layer(builder: Builder, arguments: Arguments, inputs: tuple[int, ...], expansion: Expansion) -> int:
    x = inputs[0]
    last = len(builder.type(x).shape) - 1
    average = var("x0") * (1 / size_of(builder.type(x).shape[-1]))
    mean = builder.map(average, builder.reduce("sum", x, (last,)))
    squares = builder.map(square(var("x0") - var("x1")), x, mean)
    variance = builder.map(average, builder.reduce("sum", squares, (last,)))
    return _normalize(builder, arguments, x, mean, variance, expansion)


NORMALIZATION = (
    LayerDef(
        name="BatchNormalization",
        doc="Normalizes each entry over the batch; in use, with moving averages kept from training.",
        infer=lambda arguments, inputs: _infer("BatchNormalization", arguments, inputs),
        expand=_expand_batch,
        hyperparameters=(
            _AXIS,
            Hyperparameter("momentum", "float", 0.99, "how much of the moving averages is kept at each step"),
            *_SCALE_AND_CENTER,
            Hyperparameter("moving_mean_initializer", "initializer", Choice("zeros"), "first moving mean"),
            Hyperparameter("moving_variance_initializer", "initializer", Choice("ones"), "first moving variance"),
            *_REGULARIZERS,
        ),
        weights=_batch_weights,
    ),
    LayerDef(
        name="LayerNormalization",
        doc="Normalizes each sample over its last axis.",
        infer=lambda arguments, inputs: _infer("LayerNormalization", arguments, inputs),
        expand=_expand_layer,
        hyperparameters=(_AXIS, *_SCALE_AND_CENTER, *_REGULARIZERS),
        weights=lambda arguments, inputs: _scale_and_center(arguments, _vector(inputs[0])),
    ),
)
