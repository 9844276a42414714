"""Typed reading of a layer's arguments, and the shape rules that several layers share.

Arguments were checked by the resolver, so a wrong kind here is our own mistake.
"""

from __future__ import annotations

from ..options import Choice
from ..types import BATCH, INTEGER_DTYPES, Dim, TensorType
from .definition import Arguments, Hyperparameter, ShapeProblem

TRAINING = (
    Hyperparameter("trainable", "bool", True, "whether training changes the weights", keyword_only=True),
    Hyperparameter(
        "learning_rate_multiplier", "float", 1.0, "what the learning rate is multiplied by for these weights",
        keyword_only=True,
    ),
)  # fmt: skip


def int_of(arguments: Arguments, name: str) -> int:
    """An argument of kind "int", "integer" or "axis"."""
    value = arguments[name]
    assert isinstance(value, int), (name, value)
    return value


def float_of(arguments: Arguments, name: str) -> float:
    """An argument of kind "float" or "rate"."""
    value = arguments[name]
    assert isinstance(value, int | float), (name, value)
    return float(value)


def bool_of(arguments: Arguments, name: str) -> bool:
    """An argument of kind "bool"."""
    value = arguments[name]
    assert isinstance(value, bool), (name, value)
    return value


def choice_of(arguments: Arguments, name: str) -> Choice:
    """An argument that names an entry of a table."""
    value = arguments[name]
    assert isinstance(value, Choice), (name, value)
    return value


def optional_choice(arguments: Arguments, name: str) -> Choice | None:
    """The same, or None where it is `none`."""
    return None if arguments[name] is None else choice_of(arguments, name)


def size_of(dim: Dim) -> int:
    """A dimension that is known not to be the batch."""
    assert isinstance(dim, int), dim
    return dim


def require_float(layer: str, type: TensorType, input: int = 0) -> None:
    """Raises ShapeProblem E0201 unless the input is float32 or float64."""
    if not type.is_float:
        help = (
            f"convert it first: `Rescale(1/255) -> {layer}`"
            if type.dtype == "uint8"
            else ("convert it first, with `Rescale(1)`, or with `OneHot` or `Embedding` if it counts classes")
        )
        message = f"`{layer}` computes with floats, but {type.dtype} arrives"
        raise ShapeProblem("E0201", message, "expects float32 or float64", input, help)


def require_integers(layer: str, type: TensorType) -> None:
    """Raises ShapeProblem E0202 unless the input counts something."""
    if type.dtype not in INTEGER_DTYPES:
        message = f"`{layer}` looks up integers, but {type.dtype} arrives"
        help = "declare the input as int32 or uint8"
        raise ShapeProblem("E0202", message, "expects uint8, int32 or int64", 0, help)


def require_vector(layer: str, type: TensorType) -> int:
    """The width of a vector per sample. Raises ShapeProblem E0203 for any other rank."""
    if len(type.shape) == 2 and type.has_batch:
        return size_of(type.shape[1])
    rank = len(type.shape) - 1
    found = "a scalar per sample" if rank == 0 else f"a rank-{rank} tensor"
    help = f"put `Flatten` before it: `Flatten -> {layer}`"
    raise ShapeProblem(
        "E0203", f"`{layer}` needs a vector, but {found} arrives", f"expects {type.dtype}[{BATCH}, n]", 0, help
    )


def require_axis(layer: str, axis: int, type: TensorType) -> int:
    """`axis` counted from 0, the batch included. Raises ShapeProblem E0206 when it is out of range or the batch."""
    rank = len(type.shape)
    position = axis + rank if axis < 0 else axis
    if 0 < position < rank:
        return position
    fault = "is the batch" if position == 0 else f"is not there: {type} has the axes 0 to {rank - 1}"
    axes = "axis 1" if rank == 2 else f"an axis from 1 to {rank - 1}"
    expected = f"expects {axes}, or -1" if rank > 1 else "expects at least a vector"
    raise ShapeProblem("E0206", f"axis {axis} of `{layer}` {fault}", expected)


def require_last_axis(layer: str, axis: int, type: TensorType) -> int:
    """The size of the last axis. Raises ShapeProblem E0206 when `axis` is another one."""
    position = require_axis(layer, axis, type)
    if position != len(type.shape) - 1:
        message = f"`{layer}` works along the last axis, and axis {axis} of {type} is not it"
        raise ShapeProblem("E0206", message, "expects axis = -1", 0, "leave `axis` out, or reshape first")
    return size_of(type.shape[-1])
