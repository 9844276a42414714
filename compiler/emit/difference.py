"""What differs between two networks, and which weights of one fit into the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..graph import Variable
from ..network import Layer, Network
from ..options import Choice, DataConfig, Source, Value
from ..types import TensorType
from .describe import call_text, type_text, value_text

KEPT = frozenset({"weight", "statistic"})  # roles of the variables that a trained model is made of


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: `before` is None for what was added, `after` for what is gone."""

    part: str
    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Weights:
    """Names of weights and statistics: those with the same name and type in both, those of another type (with both),
    and those that only one has."""

    carried: tuple[str, ...]
    reshaped: tuple[tuple[str, TensorType, TensorType], ...]
    gone: tuple[str, ...]
    new: tuple[str, ...]


def changes(before: Network, after: Network) -> tuple[Change, ...]:
    """Every difference of meaning, in the order of the parts of a spec. Layers are matched by name."""
    found: list[Change] = []
    if before.name != after.name:
        found.append(Change("model", "model", before.name, after.name))
    found += _of_mappings("params", dict(before.params), dict(after.params), _text)
    layers = [{layer.name: layer for layer in network.layers()} for network in (before, after)]
    found += _of_items("layers", layers[0], layers[1], _layer_text, _layer_changes)
    outputs = [{output.name: output for output in network.outputs} for network in (before, after)]
    found += _of_items("outputs", outputs[0], outputs[1], lambda output: output.layer, _record_changes)
    found += _record_changes("train", "", before.train, after.train)
    found += _of_mappings("data", _bound(before.data), _bound(after.data), str)
    return tuple(found)


def weights(before: Iterable[Variable], after: Iterable[Variable]) -> Weights:
    """Which weights of `before` carry over into `after`: same name, same type."""
    first, second = ({v.name: v.type for v in variables if v.role in KEPT} for variables in (before, after))
    both = [name for name in first if name in second]
    return Weights(
        tuple(name for name in both if first[name] == second[name]),
        tuple((name, first[name], second[name]) for name in both if first[name] != second[name]),
        tuple(name for name in first if name not in second),
        tuple(name for name in second if name not in first),
    )


# --- parts --------------------------------------------------------------------------------------------------------
def _of_items(
    part: str, before: Mapping[str, Any], after: Mapping[str, Any], text: Callable[[Any], str],
    compare: Callable[[str, str, Any, Any], Iterable[Change]],
) -> Iterator[Change]:  # fmt: skip
    for name in dict.fromkeys((*before, *after)):
        if name not in after:
            yield Change(part, name, text(before[name]), None)
        elif name not in before:
            yield Change(part, name, None, text(after[name]))
        else:
            yield from compare(part, name, before[name], after[name])


def _of_mappings(
    part: str, before: Mapping[str, Any], after: Mapping[str, Any], text: Callable[[Any], str]
) -> Iterator[Change]:
    def compare(part: str, name: str, old: Any, new: Any) -> Iterator[Change]:
        if old != new or type(old) is not type(new):
            yield _changed(part, name, old, new, text)

    return _of_items(part, before, after, text, compare)


def _changed(part: str, name: str, old: Any, new: Any, text: Callable[[Any], str]) -> Change:
    """Both texts; in full where the short ones do not tell them apart."""
    before, after = text(old), text(new)
    return Change(part, name, before, after) if before != after else Change(part, name, repr(old), repr(new))


def _layer_text(layer: Layer) -> str:
    kind = type_text(layer) if layer.kind == "Input" else call_text(layer)
    return f"{kind} of {', '.join(layer.inputs)}" if layer.inputs else kind


def _layer_changes(part: str, name: str, before: Layer, after: Layer) -> Iterator[Change]:
    if before.kind != after.kind:
        yield Change(part, name, call_text(before), call_text(after))
    else:
        old, new = dict(before.arguments), dict(after.arguments)
        for key in dict.fromkeys((*old, *new)):
            if old.get(key) != new.get(key):
                yield _changed(part, f"{name}.{key}", old.get(key), new.get(key), _text)
    if before.inputs != after.inputs:
        yield Change(part, f"{name} reads", ", ".join(before.inputs), ", ".join(after.inputs))
    if before.weights_of != after.weights_of:
        yield Change(part, f"{name} has the weights of", before.weights_of, after.weights_of)
    if before.type != after.type:
        yield Change(part, f"{name} gives", type_text(before), type_text(after))


def _record_changes(part: str, name: str, before: Any, after: Any) -> Iterator[Change]:
    """Of an output or of the training: a change per field; of a choice that stayed, a change per argument."""
    for field in fields(before):
        old, new = getattr(before, field.name), getattr(after, field.name)
        full = f"{name}.{field.name}" if name else field.name
        if isinstance(old, Choice) and isinstance(new, Choice) and old.name == new.name:
            yield from _of_mappings(part, {f"{full}.{key}": value for key, value in old.arguments},
                                    {f"{full}.{key}": value for key, value in new.arguments}, _text)  # fmt: skip
        elif old != new:
            yield _changed(part, full, old, new, _text)


def _bound(data: DataConfig | None) -> dict[str, str]:
    """Name in its group -> where it comes from."""
    if data is None:
        return {}
    found = {
        (name if group == "all" else f"{group}.{name}"): _source_text(source)
        for group, bound in data.groups
        for name, source in bound
    }
    if data.split is not None:
        found |= {f"split.{field.name}": _text(getattr(data.split, field.name)) for field in fields(data.split)}
    return found


def _source_text(source: Source) -> str:
    options = ""
    for key, value in source.options:
        if key != "separator":
            options += f", {key} = {_text(value)}"
        elif value != ",":
            options += f', {key} = "{value}"'
    columns = f"[{', '.join(source.columns)}]" if source.columns else ""
    return f'{source.reader}("{source.path}"{options}){columns}'


def _text(value: Value) -> str:
    return value_text(value)
