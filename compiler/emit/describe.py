"""Layers in a person's words, shared by the summary table, DOT and Mermaid."""

from __future__ import annotations

from ..network import Layer
from ..options import Choice, Value
from ..types import BATCH

MAX_ARGUMENTS = 3  # shown of a layer; the spec has them all


def type_text(layer: Layer) -> str:
    """`float32[28, 28]`, as a spec writes it: without the batch. Empty before the shapes stage."""
    if layer.type is None:
        return ""
    dims = layer.type.shape[1:] if layer.type.has_batch else layer.type.shape
    return f"{layer.type.dtype}[{', '.join(map(str, dims))}]"


def shape_text(layer: Layer) -> str:
    """`(batch, 28, 28)`; empty before the shapes stage."""
    if layer.type is None:
        return ""
    return "(" + ", ".join(BATCH if dim == BATCH else str(dim) for dim in layer.type.shape) + ")"


def call_text(layer: Layer) -> str:
    """`Dense(64, relu)`: the layer's first hyperparameters that say something."""
    if layer.kind == "Input":
        return "Input"
    shown = [value_text(value) for name, value in layer.arguments if _is_telling(name, value)][:MAX_ARGUMENTS]
    return f"{layer.kind}({', '.join(shown)})" if shown else layer.kind


def _is_telling(name: str, value: Value) -> bool:
    """Not the many that are at their defaults in every model: initializers, regularizers that are off, flags."""
    return not (value is None or isinstance(value, bool) or name.endswith(("_initializer", "_regularizer")))


def value_text(value: Value) -> str:
    """A value as a spec writes it: whole numbers without a point, choices by name."""
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:.6g}"
        case tuple():
            return "(" + ", ".join(value_text(item) for item in value) + ")"
        case Choice():
            inside = ", ".join(f"{key} = {value_text(item)}" for key, item in value.arguments)
            return f"{value.name}({inside})" if inside else value.name
    return str(value)
