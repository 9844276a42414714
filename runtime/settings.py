"""What a trained model keeps of its spec's settings, as JSON: how to train on, and what judges each target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any

from nnc.compiler.options import Choice, OutputConfig, TrainConfig, Value


class UnknownSettingError(ValueError):
    """A file has a setting that this version does not know, so it cannot do what the file asks for."""


def train_to_json(config: TrainConfig) -> dict[str, Any]:
    """The `train` section."""
    return {name: _value_to_json(getattr(config, name)) for name in TrainConfig.__dataclass_fields__}


def train_from_json(value: Mapping[str, Any]) -> TrainConfig:
    """Inverse of `train_to_json`; a setting that is younger than the file has its default.

    Raises: UnknownSettingError for a setting that there is not; KeyError, TypeError or ValueError on anything else.
    """
    known = {setting.name: setting for setting in fields(TrainConfig)}
    _refuse_unknown(value, known)
    found: dict[str, Any] = {
        name: _value_from_json(value[name])
        for name, setting in known.items()
        if name in value or setting.default is MISSING
    }
    config = TrainConfig(**found)
    if not isinstance(config.optimizer, Choice) or not isinstance(config.epochs, int):
        raise TypeError("no training settings")
    return config


def outputs_to_json(outputs: Iterable[OutputConfig]) -> list[dict[str, Any]]:
    """Of each output what binds its target: its name, its loss and the name its data goes by."""
    return [
        {"name": o.name, "loss": _value_to_json(o.loss), "target": o.target, "sample_weight": o.sample_weight}
        for o in outputs
    ]


def outputs_from_json(value: Iterable[Mapping[str, Any]]) -> tuple[OutputConfig, ...]:
    """Inverse of `outputs_to_json`; defaults and errors are as with `train_from_json`."""
    outputs = []
    for row in value:
        _refuse_unknown(row, ("name", "loss", "target", "sample_weight"))
        loss, target, sample_weight = _value_from_json(row["loss"]), row.get("target"), row.get("sample_weight")
        named = (target, sample_weight)
        if not (loss is None or isinstance(loss, Choice)) or not all(n is None or isinstance(n, str) for n in named):
            raise TypeError("no output settings")
        outputs.append(OutputConfig(str(row["name"]), "", loss, target=target, sample_weight=sample_weight))
    return tuple(outputs)


def _refuse_unknown(value: Mapping[str, Any], known: Iterable[str]) -> None:
    if unknown := sorted(value.keys() - set(known)):
        raise UnknownSettingError(unknown[0])


def _value_to_json(value: Value) -> Any:
    if isinstance(value, Choice):
        return {"choice": value.name, "arguments": [[name, _value_to_json(item)] for name, item in value.arguments]}
    if isinstance(value, tuple):
        return [_value_to_json(item) for item in value]
    return value


def _value_from_json(value: Any) -> Value:
    if isinstance(value, Mapping):
        arguments = tuple((str(name), _value_from_json(item)) for name, item in value["arguments"])
        return Choice(str(value["choice"]), arguments)
    if isinstance(value, list):
        return tuple(_value_from_json(item) for item in value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"no setting: {value!r}")
