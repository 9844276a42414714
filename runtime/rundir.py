"""The folder that a run leaves: what is where, and its history, a line for each epoch as soon as it is done."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nnc.grammar.diagnostics import Diagnostic, UsageError
from nnc.runtime.protocol import Session

from .checkpoint import Checkpoints
from .history import Epoch, History
from .lock import lock
from .modelfile import SavedModel
from .state import TrainingState
from .whole_file import write_whole

CHECKPOINTS = "checkpoints"
_SECONDS_BETWEEN: Final = 1.0    # checkpoints that the spec does not ask for


@dataclass(frozen=True, slots=True)
class RunFolder:
    """`model.safetensors`, `history.csv`, `history.jsonl`, `split.csv`, `summary.txt`, pictures, and `checkpoints/`."""

    path: Path

    @property
    def model(self) -> Path:
        """The result."""
        return self.path / "model.safetensors"

    @property
    def latest(self) -> Path:
        """The checkpoint from which the run goes on."""
        return self.path / CHECKPOINTS / "latest.safetensors"

    @property
    def best(self) -> Path:
        """The checkpoint of the best epoch, where the spec asks for it."""
        return self.path / CHECKPOINTS / "best.safetensors"

    @classmethod
    def around(cls, checkpoint: Path) -> RunFolder | None:
        """The folder of the run that wrote a checkpoint, unless that run had none."""
        return cls(checkpoint.parent.parent) if checkpoint.parent.name == CHECKPOINTS else None

    @property
    def has_run(self) -> bool:
        """Whether there is a run to go on with, or its result."""
        return self.latest.exists() or self.model.exists()

    @contextmanager
    def new(self) -> Iterator[None]:
        """Make the folder, and keep other processes out of it within the block.

        Raises: UsageError E0840 if there is a run in it, E0844 if another process has it, E0807 if it cannot be made.
        """
        self._refuse_run()
        try:
            (self.path / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(self.path, error) from None
        with lock(self.path):
            self._refuse_run()    # which another process may have made and ended since
            yield

    @contextmanager
    def again(self) -> Iterator[None]:
        """Keep other processes out of the folder within the block. Raises: UsageError E0844, E0807."""
        with lock(self.path):
            yield

    def _refuse_run(self) -> None:
        if self.has_run:
            helps = (
                f"go on with it: `nnc run --resume {self.path}`, from Python `fit(..., resume=True)`",
                "or choose another folder",
            )
            raise UsageError(Diagnostic("E0840", f"there is a run in `{self.path}` already", helps=helps))

    def checkpoints(self, saved: SavedModel, session: Session, moment: TrainingState) -> Checkpoints:
        """Those that the spec asks for, and one now and then where it does not say; the first as the run begins."""
        found = Checkpoints(saved.train, saved, self.latest, self.best, seconds_between=_SECONDS_BETWEEN)
        if not self.latest.exists():
            found.interrupted(session, moment)
        return found

    def write_split(self, lines: Iterable[str]) -> None:
        """Write `split.csv`: which rows are in which part. Raises: UsageError E0807."""
        unfinished, path = self.path / "split.csv.unfinished", self.path / "split.csv"
        try:
            with unfinished.open("w", encoding="utf-8") as file:
                file.writelines(lines)
            unfinished.replace(path)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise _unwritable(path, error) from None

    def begin_history(self, history: History) -> None:
        """Write the epochs that are done; a run that was killed may have written more than its checkpoint has."""
        lines = "".join(_json_line(epoch) for epoch in history.epochs)
        rows = "".join(_csv_rows(epoch, is_first=number == 0) for number, epoch in enumerate(history.epochs))
        write_whole(self.path / "history.jsonl", lines.encode())
        write_whole(self.path / "history.csv", rows.encode())

    def add_epoch(self, epoch: Epoch) -> None:
        """Add an epoch to the history. Raises: UsageError E0807."""
        try:
            _append(self.path / "history.jsonl", _json_line(epoch))
            table = self.path / "history.csv"
            _append(table, _csv_rows(epoch, is_first=table.stat().st_size == 0))
        except OSError as error:
            raise _unwritable(self.path, error) from None

    def draw_curves(self, history: History) -> None:
        """Write `curves.png` and `curves.svg`, unless there is no epoch yet. Raises: MissingPackageError E0824."""
        from . import curves

        if not len(history):
            return
        figure = curves.draw(history)
        for ending in ("png", "svg"):
            curves.write(figure, self.path / f"curves.{ending}")


def _append(path: Path, text: str) -> None:
    """Add lines to a file; of what a full disk does not take whole, nothing stays."""
    with path.open("ab", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        left = memoryview(text.encode())
        try:
            while left:
                left = left[file.write(left) :]
        except OSError:
            file.truncate(size)
            raise


def _csv_rows(epoch: Epoch, *, is_first: bool) -> str:
    """An epoch's row, under a header if it is the first."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if is_first:
        writer.writerow(["epoch", "seconds", *epoch.figures])
    writer.writerow([epoch.number, f"{epoch.seconds:.6f}", *map(repr, epoch.figures.values())])
    return text.getvalue()


def _unwritable(path: Path, error: OSError) -> UsageError:
    return UsageError(Diagnostic("E0807", f"cannot write `{path}`: {(error.strerror or 'unknown reason').lower()}"))


def epoch_json(epoch: Epoch) -> dict[str, Any]:
    """An epoch as strict JSON, which has neither NaN nor infinity: such a figure is null."""
    figures = {name: value if math.isfinite(value) else None for name, value in epoch.figures.items()}
    return {"epoch": epoch.number, "seconds": round(epoch.seconds, 6), "figures": figures}


def _json_line(epoch: Epoch) -> str:
    return json.dumps(epoch_json(epoch)) + "\n"
