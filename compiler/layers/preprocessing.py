"""Rescale and Normalize: raw numbers brought to a range that trains well. Both turn integers into float32."""

from __future__ import annotations

from ..builder import Builder
from ..expr import maximum, sqrt, var
from ..options import Choice
from ..types import TensorType
from .definition import Arguments, Expansion, Hyperparameter, LayerDef, ShapeProblem, Weight
from .reading import float_of, int_of, require_last_axis

EPSILON = 1e-7  # Keras's: keeps a constant column from dividing by 0


def _as_float(type: TensorType) -> TensorType:
    return type if type.is_float else type.with_dtype("float32")


def _expand_rescale(builder: Builder, arguments: Arguments, inputs: tuple[int, ...], expansion: Expansion) -> int:
    dtype = _as_float(builder.type(inputs[0])).dtype
    scale, offset = float_of(arguments, "scale"), float_of(arguments, "offset")
    return builder.map(var("x0") * scale + offset, inputs[0], dtype=dtype, compute=dtype)


def _statistics_shape(arguments: Arguments, type: TensorType) -> tuple[int, ...]:
    """One mean per entry of the last axis; one for all with `axis = none`, or where a sample is a scalar."""
    if arguments["axis"] is None or len(type.shape) == 1:
        return ()
    return (require_last_axis("Normalize", int_of(arguments, "axis"), type),)


def _infer_normalize(arguments: Arguments, inputs: tuple[TensorType, ...]) -> TensorType:
    shape = _statistics_shape(arguments, inputs[0])
    given = [name for name in ("mean", "variance") if arguments[name] is not None]
    if len(given) == 1:
        other = "variance" if given == ["mean"] else "mean"
        raise ShapeProblem("E0213", f"`Normalize` is given `{given[0]}` but no `{other}`", f"expects `{other}` too")
    for name in given:
        values = arguments[name]
        if isinstance(values, tuple) and (len(values),) != shape:
            width = shape[0] if shape else 1
            message = f"`{name}` of `Normalize` has {len(values)} numbers for an axis of {width}"
            raise ShapeProblem("E0213", message, f"expects {width}, or one number for all")
    return _as_float(inputs[0])


def _normalize_weights(arguments: Arguments, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
    if arguments["mean"] is not None:
        return ()
    type = _as_float(inputs[0]).with_shape(_statistics_shape(arguments, inputs[0]))
    return (
        Weight("mean", type, Choice("zeros"), role="statistic"),
        Weight("variance", type, Choice("ones"), role="statistic"),
    )


def _expand_normalize(builder: Builder, arguments: Arguments, inputs: tuple[int, ...], expansion: Expansion) -> int:
    dtype = _as_float(builder.type(inputs[0])).dtype
    nodes = []
    for name in ("mean", "variance"):
        match arguments[name]:
            case None:
                nodes.append(builder.variable(expansion.variables[name]))
            case tuple() as values:
                nodes.append(builder.table(tuple(float(v) for v in values if isinstance(v, int | float)), dtype))
            case _:
                nodes.append(builder.constant(float_of(arguments, name), dtype))
    x, mean, variance = var("x0"), var("x1"), var("x2")
    formula = (x - mean) / maximum(sqrt(variance), EPSILON)
    return builder.map(formula, inputs[0], *nodes, dtype=dtype, compute=dtype)


PREPROCESSING = (
    LayerDef(
        name="Rescale",
        alias="Rescaling",
        doc="x * scale + offset, as float32 where integers arrive.",
        infer=lambda arguments, inputs: _as_float(inputs[0]),
        expand=_expand_rescale,
        hyperparameters=(
            Hyperparameter("scale", "float", doc="factor, such as 1/255"),
            Hyperparameter("offset", "float", 0.0, "added after scaling"),
        ),
    ),
    LayerDef(
        name="Normalize",
        alias="Normalization",
        doc="(x - mean) / standard deviation, both learned from the training data before the first step.",
        infer=_infer_normalize,
        expand=_expand_normalize,
        hyperparameters=(
            Hyperparameter("axis", "axis", -1, "axis with statistics of its own; `none`: one for all", optional=True),
            Hyperparameter("mean", "floats", None, "known mean, instead of a learned one", optional=True),
            Hyperparameter("variance", "floats", None, "known variance, instead of a learned one", optional=True),
        ),
        weights=_normalize_weights,
        adapts=True,
    ),
)
