"""Layers in a person's words, shared by the summary table, DOT and Mermaid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..layers import LAYERS
from ..network import Layer
from ..options import Choice, Value
from ..tables import TABLES
from ..types import BATCH


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
    """`Dense(64, relu)`: the layer with every argument that is not at its default, as a spec would write it."""
    definition = LAYERS.get(layer.kind)
    if definition is None:
        return layer.kind
    given = dict(layer.arguments)
    defaults = [(parameter.name, parameter.default) for parameter in definition.hyperparameters]
    inside = _arguments_text(given, defaults)
    return f"{layer.kind}({inside})" if inside else layer.kind


def _arguments_text(given: Mapping[str, Value], defaults: Iterable[tuple[str, Value]]) -> str:
    """Positional as long as nothing is left out, then by name."""
    parts: list[str] = []
    is_positional = True
    for name, default in defaults:
        if name not in given or _is_default(given[name], default):
            is_positional = False
        else:
            text = value_text(given[name])
            parts.append(text if is_positional else f"{name} = {text}")
    return ", ".join(parts)


def _is_default(value: Value, default: Value) -> bool:
    """A choice that a definition names without arguments stands for one with all its defaults."""
    if isinstance(value, Choice) and isinstance(default, Choice):
        return value_text(value) == value_text(default)
    return value == default


def choice_text(choice: Choice) -> str:
    """`relu`, `leaky_relu(0.1)`: an entry of a table with the arguments that are not at their defaults."""
    for table in TABLES.values():
        entry = table.entries.get(choice.name)
        if entry is not None and {name for name, _ in choice.arguments} <= set(entry.defaults):
            inside = _arguments_text(dict(choice.arguments), entry.defaults.items())
            return f"{choice.name}({inside})" if inside else choice.name
    inside = ", ".join(f"{name} = {value_text(value)}" for name, value in choice.arguments)
    return f"{choice.name}({inside})" if inside else choice.name


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
            return choice_text(value)
    return str(value)
