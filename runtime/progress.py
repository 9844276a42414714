"""How training tells where it stands: a bar on a terminal, else one plain line per epoch; always to stderr.

`progress_for(stream, verbose)` chooses. Training calls, in this order: `start`, then for each epoch `begin`, `update`
about ten times a second, `end`; `close` at last, whatever happened.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import Any, Protocol, TextIO

from nnc.grammar.diagnostics import Diagnostic, UsageError

from .history import Epoch


class Progress(Protocol):
    """Who listens to training."""

    def start(self, first_epoch: int, epochs: int, rows: int) -> None:
        """Epochs `first_epoch` to `epochs`, both counted from 1, of `rows` samples each, are to come."""

    def begin(self, epoch: int) -> None:
        """Epoch `epoch` begins."""

    def update(self, rows_done: int, figures: Mapping[str, float]) -> None:
        """So far `rows_done` samples of this epoch gave `figures`."""

    def end(self, epoch: Epoch) -> None:
        """An epoch is done, its validation included."""

    def note(self, text: str) -> None:
        """Something to know, in one line."""

    def close(self) -> None:
        """Training is over or has failed."""


class Silent:
    """Says nothing."""

    def start(self, first_epoch: int, epochs: int, rows: int) -> None:
        del first_epoch, epochs, rows

    def begin(self, epoch: int) -> None:
        del epoch

    def update(self, rows_done: int, figures: Mapping[str, float]) -> None:
        del rows_done, figures

    def end(self, epoch: Epoch) -> None:
        del epoch

    def note(self, text: str) -> None:
        del text

    def close(self) -> None:
        pass


class Lines(Silent):
    """One line per epoch, for logs and pipes."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.epochs = 0

    def start(self, first_epoch: int, epochs: int, rows: int) -> None:
        self.epochs = epochs

    def end(self, epoch: Epoch) -> None:
        self.note(epoch_line(epoch, self.epochs))

    def note(self, text: str) -> None:
        print(text, file=self.stream, flush=True)


class Bar(Lines):
    """A bar for the epoch under way, with figures, samples per second and the time left; a line for each one done."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn
        from rich.progress import Progress as RichProgress

        self._console = Console(file=stream, highlight=False)
        self._bar = RichProgress(
            TextColumn("{task.description}"), BarColumn(24), TaskProgressColumn(), TextColumn("{task.fields[said]}"),
            console=self._console, transient=True)
        self._task: Any = None
        self._rows = self._first = self._now = 0
        self._began = self._started = 0.0

    def start(self, first_epoch: int, epochs: int, rows: int) -> None:
        super().start(first_epoch, epochs, rows)
        self._rows, self._first, self._started = rows, first_epoch, time.perf_counter()
        self._task = self._bar.add_task("", total=rows, said="")
        self._bar.start()

    def begin(self, epoch: int) -> None:
        self._now, self._began = epoch, time.perf_counter()
        self._bar.reset(self._task, description=f"epoch {epoch}/{self.epochs}", said="")

    def update(self, rows_done: int, figures: Mapping[str, float]) -> None:
        seconds = max(time.perf_counter() - self._began, 1e-9)
        done = (self._now - self._first) * self._rows + rows_done
        left = (self.epochs - self._first + 1) * self._rows - done
        remaining = (time.perf_counter() - self._started) / max(done, 1) * left
        said = f"{figures_text(figures)}  {rows_done / seconds:,.0f} samples/s  {duration_text(remaining)} left"
        self._bar.update(self._task, completed=rows_done, said=said)

    def note(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    def close(self) -> None:
        self._bar.stop()


def progress_for(stream: TextIO | None = None, verbose: bool | str = True) -> Progress:
    """Silent if `verbose` is false; else a bar if `stream` (default: stderr) is a terminal and NO_COLOR is not set.

    "plain" asks for lines on a terminal too. Raises: UsageError E0822 for another word.
    """
    if isinstance(verbose, str) and verbose != "plain":
        text = f"`verbose` cannot be `{verbose}`"
        raise UsageError(Diagnostic("E0822", text, helps=('give True, False or "plain"',)))
    if not verbose:
        return Silent()
    chosen = sys.stderr if stream is None else stream
    plain = verbose == "plain" or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return Lines(chosen) if plain or not chosen.isatty() else Bar(chosen)


def epoch_line(epoch: Epoch, epochs: int) -> str:
    """`epoch  3/20  loss 0.1234  main.mae 0.2345  val_loss 0.1300  1.2 s`."""
    number = str(epoch.number).rjust(len(str(epochs)))
    return f"epoch {number}/{epochs}  {figures_text(epoch.figures)}  {duration_text(epoch.seconds)}"


def figures_text(figures: Mapping[str, float]) -> str:
    """`loss 0.1234  main.mae 0.2345`; the loss of an output that is the whole total is not said twice."""
    return "  ".join(
        f"{name} {number_text(value)}" for name, value in figures.items() if not _says_the_total(name, value, figures)
    )


def _says_the_total(name: str, value: float, figures: Mapping[str, float]) -> bool:
    total = figures.get("val_loss" if name.startswith("val_") else "loss")
    return name.endswith(".loss") and value == total


def number_text(value: float) -> str:
    """Four decimals where they say something, else scientific."""
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e6 else f"{value:.3e}"


def duration_text(seconds: float) -> str:
    """`4 ms`, `1.2 s`, `12 s`, `3 min 05 s`, `2 h 07 min`."""
    if seconds < 9.95:
        return f"{seconds * 1000:.0f} ms" if seconds < 0.9995 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
