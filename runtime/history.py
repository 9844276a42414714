"""What training gave, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nnc.grammar.diagnostics import Diagnostic, UsageError
from nnc.grammar.suggest import nearest


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch: its number (from 1, counted over all calls of fit), its figures and the seconds it took.

    Figures: "loss" is the total, then each term by name ("main.loss", "main.mae"); of the validation data the same
    with `val_` before them.
    """

    number: int
    figures: Mapping[str, float]
    seconds: float


@dataclass(slots=True)
class History:
    """All epochs so far. `history["val_loss"]` is one figure over them; `stopped` says why training ended early."""

    epochs: list[Epoch] = field(default_factory=list)
    stopped: str = ""

    def __len__(self) -> int:
        return len(self.epochs)

    def __getitem__(self, name: str) -> list[float]:
        """Raises: UsageError E0820 for a figure that no epoch has."""
        names = self.names()
        if name not in names:
            raise UsageError(unknown_figure(name, names, "E0820"))
        return [epoch.figures[name] for epoch in self.epochs if name in epoch.figures]

    def names(self) -> tuple[str, ...]:
        """The figures that there are, in the order of their first epoch."""
        return tuple(dict.fromkeys(name for epoch in self.epochs for name in epoch.figures))

    def last(self) -> Mapping[str, float]:
        """The figures of the last epoch; empty before the first."""
        return self.epochs[-1].figures if self.epochs else {}

    def extend(self, other: History) -> None:
        """Append the epochs of a later call of fit."""
        self.epochs += other.epochs
        self.stopped = other.stopped

    def to_json(self) -> dict[str, Any]:
        rows = [{"epoch": e.number, "seconds": round(e.seconds, 6), "figures": dict(e.figures)} for e in self.epochs]
        return {"epochs": rows, "stopped": self.stopped}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> History:
        """Inverse of `to_json`. Raises: KeyError, TypeError or ValueError on anything else."""
        epochs = [
            Epoch(int(row["epoch"]), {str(k): float(v) for k, v in row["figures"].items()}, float(row["seconds"]))
            for row in value["epochs"]
        ]
        return cls(epochs, str(value["stopped"]))


def unknown_figure(name: str, names: Iterable[str], code: str) -> Diagnostic:
    """The diagnostic of a figure that training does not report."""
    known = tuple(names)
    near = nearest(name, known)
    helps = (f"did you mean {' or '.join(f'`{word}`' for word in near)}?",) if near else ()
    notes = (f"there are {', '.join(f'`{word}`' for word in known)}",)
    return Diagnostic(code, f"training reports no figure `{name}`", notes=notes, helps=helps)
