"""Flatten, Reshape and Concatenate: the same numbers in another shape."""

from __future__ import annotations

from math import prod

from ..builder import Builder
from ..types import BATCH, Shape, TensorType
from .definition import Arguments, Expansion, Hyperparameter, LayerDef, ShapeProblem
from .reading import int_of, require_axis, size_of


def _row_size(type: TensorType) -> int:
    return prod(size_of(dim) for dim in type.shape[1:])


def _flattened(inputs: tuple[TensorType, ...]) -> TensorType:
    return inputs[0].with_shape((BATCH, _row_size(inputs[0])))


def _reshaped(arguments: Arguments, inputs: tuple[TensorType, ...]) -> TensorType:
    target = arguments["target_shape"]
    assert isinstance(target, tuple)
    dims = [dim for dim in target if isinstance(dim, int)]
    size, known = _row_size(inputs[0]), prod(dim for dim in dims if dim != -1)
    text = f"({', '.join(map(str, dims))})"
    if dims.count(-1) > 1:
        raise ShapeProblem("E0207", f"`Reshape` can work out one -1, but {text} has {dims.count(-1)}", "expects one -1")
    if -1 in dims and size % known == 0:
        dims[dims.index(-1)] = size // known
    elif -1 in dims:
        message = f"`Reshape` cannot arrange {size} values as {text}"
        raise ShapeProblem("E0207", message, f"{size} is no multiple of {known}")
    elif known != size:
        message = f"`Reshape` cannot arrange {size} values as {text}, which holds {known}"
        raise ShapeProblem("E0207", message, f"expects {known} values per sample")
    return inputs[0].with_shape((BATCH, *dims))


def _concatenated(arguments: Arguments, inputs: tuple[TensorType, ...]) -> TensorType:
    first = inputs[0]
    axis = require_axis("Concatenate", int_of(arguments, "axis"), first)
    total = 0
    for position, type in enumerate(inputs):
        if type.dtype != first.dtype:
            message = f"`Concatenate` joins tensors of one dtype, but {first.dtype} and {type.dtype} arrive"
            raise ShapeProblem("E0209", message, f"expects {first.dtype}", position)
        if len(type.shape) != len(first.shape) or _without(type.shape, axis) != _without(first.shape, axis):
            message = f"`Concatenate` along axis {axis} cannot join {first} and {type}"
            expected = f"expects sizes that differ along axis {axis} only"
            raise ShapeProblem("E0205", message, expected, position)
        total += size_of(type.shape[axis])
    return first.with_shape((*first.shape[:axis], total, *first.shape[axis + 1 :]))


def _without(shape: Shape, axis: int) -> Shape:
    return shape[:axis] + shape[axis + 1 :]


def _expand_flatten(builder: Builder, arguments: Arguments, inputs: tuple[int, ...], expansion: Expansion) -> int:
    return builder.reshape(inputs[0], _flattened((builder.type(inputs[0]),)).shape)


def _expand_reshape(builder: Builder, arguments: Arguments, inputs: tuple[int, ...], expansion: Expansion) -> int:
    return builder.reshape(inputs[0], _reshaped(arguments, (builder.type(inputs[0]),)).shape)


def _expand_concatenate(builder: Builder, arguments: Arguments, inputs: tuple[int, ...], expansion: Expansion) -> int:
    axis = require_axis("Concatenate", int_of(arguments, "axis"), builder.type(inputs[0]))
    return builder.concat(inputs, axis)


RESHAPING = (
    LayerDef(
        name="Flatten",
        doc="All values of a sample as one vector. Costs nothing.",
        infer=lambda arguments, inputs: _flattened(inputs),
        expand=_expand_flatten,
        moves=True,
    ),
    LayerDef(
        name="Reshape",
        doc="The values of a sample, in the same order, as another shape. Costs nothing.",
        infer=_reshaped,
        expand=_expand_reshape,
        moves=True,
        hyperparameters=(
            Hyperparameter("target_shape", "shape", doc="the new shape without the batch; one size may be -1"),
        ),
    ),
    LayerDef(
        name="Concatenate",
        doc="Joins tensors side by side along one axis; all other sizes must agree.",
        infer=_concatenated,
        expand=_expand_concatenate,
        moves=True,
        hyperparameters=(Hyperparameter("axis", "axis", -1, "axis along which to join; 0 is the batch"),),
        min_inputs=2,
        max_inputs=None,
    ),
)
