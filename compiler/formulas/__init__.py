"""The tables of formulas. Adding an entry to one is all that a new activation, loss, optimizer ... takes.

`TABLES` names every table by the kind of `Choice` that picks from it; `canonical` settles Keras's other names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from . import activations, initializers, losses, metrics, optimizers, regularizers, schedules
from .definition import REQUIRED

# kind -> (table, other names)
TABLES: Final[dict[str, tuple[Mapping[str, Any], Mapping[str, str]]]] = {
    "activation": (activations.ACTIVATIONS, activations.ALIASES),
    "loss": (losses.LOSSES, losses.ALIASES),
    "metric": (metrics.METRICS, metrics.ALIASES),
    "optimizer": (optimizers.OPTIMIZERS, optimizers.ALIASES),
    "schedule": (schedules.SCHEDULES, schedules.ALIASES),
    "regularizer": (regularizers.REGULARIZERS, regularizers.ALIASES),
    "initializer": (initializers.INITIALIZERS, initializers.ALIASES),
}

__all__ = ["REQUIRED", "TABLES", "canonical"]


def canonical(kind: str, name: str) -> str | None:
    """The table's own name for `name`, or None where the table of `kind` knows nothing of it."""
    table, aliases = TABLES[kind]
    found = aliases.get(name, name)
    return found if found in table else None
