"""What training gave, epoch by epoch."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from nnc.compiler.formulas.metrics import figure_name
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


class Epochs(Sequence[Epoch]):
    """Epochs one after another, kept as columns of numbers: 20 bytes each and 8 per figure."""

    __slots__ = ("_ends", "_layout", "_layouts", "_numbers", "_seconds", "_values")

    def __init__(self, epochs: Iterable[Epoch] = ()) -> None:
        self._layouts: dict[tuple[str, ...], int] = {}     # the names of an epoch's figures -> their number
        self._layout = array("i")
        self._numbers = array("i")
        self._seconds = array("d")
        self._values = array("d")
        self._ends = array("i")                             # where an epoch's values end
        self.extend(epochs)

    def append(self, epoch: Epoch) -> None:
        """Add an epoch at the end."""
        self._layout.append(self._layouts.setdefault(tuple(epoch.figures), len(self._layouts)))
        self._numbers.append(epoch.number)
        self._seconds.append(epoch.seconds)
        self._values.extend(epoch.figures.values())
        self._ends.append(len(self._values))

    def extend(self, epochs: Iterable[Epoch]) -> None:
        """Add several."""
        for epoch in epochs:
            self.append(epoch)

    def names(self) -> tuple[str, ...]:
        """The figures that there are, in the order of their first epoch."""
        return tuple(dict.fromkeys(name for layout in self._layouts for name in layout))

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> Epoch: ...
    @overload
    def __getitem__(self, index: slice) -> list[Epoch]: ...
    def __getitem__(self, index: int | slice) -> Epoch | list[Epoch]:
        if isinstance(index, slice):
            return [self._at(k, tuple(self._layouts)) for k in range(*index.indices(len(self)))]
        return self._at(range(len(self))[index], tuple(self._layouts))

    def __iter__(self) -> Iterator[Epoch]:
        layouts = tuple(self._layouts)
        for k in range(len(self)):
            yield self._at(k, layouts)

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Epochs | list | tuple) else NotImplemented

    __hash__ = None    # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Epochs({list(self)!r})"

    def _at(self, k: int, layouts: tuple[tuple[str, ...], ...]) -> Epoch:
        values = self._values[self._ends[k - 1] if k else 0 : self._ends[k]]
        return Epoch(self._numbers[k], dict(zip(layouts[self._layout[k]], values, strict=True)), self._seconds[k])


class History:
    """All epochs so far. `history["val_loss"]` is one figure over them; `stopped` says why training ended early."""

    __slots__ = ("epochs", "stopped")

    def __init__(self, epochs: Iterable[Epoch] = (), stopped: str = "") -> None:
        self.epochs = Epochs(epochs)
        self.stopped = stopped

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, History):
            return NotImplemented
        return (self.epochs, self.stopped) == (other.epochs, other.stopped)

    __hash__ = None    # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"History({len(self)} epochs: {', '.join(self.names())})"

    def __len__(self) -> int:
        return len(self.epochs)

    def __getitem__(self, name: str) -> list[float]:
        """Of one figure, named as the `monitor` of early stopping may be. Raises: UsageError E0820 for another name."""
        names = self.names()
        found = figure_among(name, names)
        if found is None:
            raise UsageError(unknown_figure(name, names, "E0820"))
        return [epoch.figures[found] for epoch in self.epochs if found in epoch.figures]

    def names(self) -> tuple[str, ...]:
        """The figures that there are, in the order of their first epoch."""
        return self.epochs.names()

    def last(self) -> Mapping[str, float]:
        """The figures of the last epoch; empty before the first."""
        return self.epochs[-1].figures if self.epochs else {}

    def extend(self, other: History) -> None:
        """Append the epochs of a later call of fit."""
        self.epochs.extend(other.epochs)
        self.stopped = other.stopped

    def columns(self) -> dict[str, list[float]]:
        """`epoch`, each figure (NaN at an epoch without it) and `seconds`, one entry per epoch: a table's columns."""
        epochs = list(self.epochs)
        figures = {name: [epoch.figures.get(name, math.nan) for epoch in epochs] for name in self.names()}
        return {"epoch": [e.number for e in epochs], **figures, "seconds": [e.seconds for e in epochs]}

    def plot(self, path: str | Path | None = None) -> Any:
        """Learning curves, one pair of axes per figure, training and validation in each; written to `path` if given.

        Gives a matplotlib `Figure`, which a notebook shows. Raises: MissingPackageError E0824; UsageError E0807, E0822.
        """
        from .curves import draw, write

        figure = draw(self)
        if path is not None:
            write(figure, path)
        return figure

    def to_json(self) -> dict[str, Any]:
        """Plain values that `from_json` reads."""
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


def figure_among(name: str, figures: Sequence[str]) -> str | None:
    """The one of `figures` that a user means by `name`; None if there is none or more than one.

    A metric may stand without its output (`val_accuracy`) and under any of its names (`val_main.f1`).
    """
    if name in figures:
        return name
    name = figure_name(name)
    if name in figures:
        return name
    is_validation, bare = name.startswith("val_"), name.removeprefix("val_")
    matches = [f for f in figures if f.endswith(f".{bare}") and f.startswith("val_") == is_validation]
    return matches[0] if len(matches) == 1 else None


def unknown_figure(name: str, names: Iterable[str], code: str) -> Diagnostic:
    """The diagnostic of a figure that training does not report."""
    known = tuple(names)
    near = nearest(name, known)
    helps = (f"did you mean {' or '.join(f'`{word}`' for word in near)}?",) if near else ()
    notes = (f"there are {', '.join(f'`{word}`' for word in known)}",)
    return Diagnostic(code, f"training reports no figure `{name}`", notes=notes, helps=helps)
