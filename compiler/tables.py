"""What a spec chooses by name: how diagnostics call the tables of formulas, and the signature of an entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from .formulas import activations, initializers, losses, metrics, optimizers, regularizers, schedules
from .formulas.definition import REQUIRED, Defaults
from .layers.activation import kind_of_default
from .layers.definition import Hyperparameter
from .options import Choice


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """`name` and `article` are what diagnostics call an entry; `code` is the fault of an unknown one."""

    name: str
    article: str
    code: str
    entries: Mapping[str, Any]
    aliases: Mapping[str, str]


TABLES: Final[dict[str, Table]] = {
    table.name: table
    for table in (
        Table("activation", "an activation", "E0407", activations.ACTIVATIONS, activations.ALIASES),
        Table("initializer", "an initializer", "E0408", initializers.INITIALIZERS, initializers.ALIASES),
        Table("regularizer", "a regularizer", "E0409", regularizers.REGULARIZERS, regularizers.ALIASES),
        Table("loss", "a loss", "E0502", losses.LOSSES, losses.ALIASES),
        Table("metric", "a metric", "E0503", metrics.METRICS, metrics.ALIASES),
        Table("optimizer", "an optimizer", "E0602", optimizers.OPTIMIZERS, optimizers.ALIASES),
        Table("schedule", "a schedule of learning rates", "E0603", schedules.SCHEDULES, schedules.ALIASES),
    )
}
"""Kind of a hyperparameter -> the table that it names an entry of."""

# what a default does not tell
_KINDS: Final = {"boundaries": "floats", "values": "floats", "monitor": "word"}
_CHOICES: Final = {
    "mode": ("fan_in", "fan_out", "fan_avg"),
    "distribution": ("uniform", "normal", "truncated_normal", "untruncated_normal"),
}


@cache
def entry_signature(table: str, entry: str) -> tuple[Hyperparameter, ...]:
    """The arguments of a table entry, from its defaults."""
    defaults: Defaults = TABLES[table].entries[entry].defaults
    return tuple(_parameter(name, default, table) for name, default in defaults.items())


def _parameter(name: str, default: Any, table: str) -> Hyperparameter:
    if name == "learning_rate" and table == "optimizer":
        return Hyperparameter(name, "learning_rate", default)
    kind = _KINDS.get(name) or ("float" if default == REQUIRED else kind_of_default(default))
    return Hyperparameter(name, kind, default, choices=_CHOICES.get(name, ()), optional=default is None)


@cache
def default_choice(table: str, entry: str) -> Choice:
    """An entry with every default; for one that has no required argument."""
    return Choice(entry, tuple((p.name, p.default) for p in entry_signature(table, entry)))
