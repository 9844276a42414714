"""Checkpoints: model files that also say where training stands, so that it goes on from there bit for bit.

`Checkpoints` writes them when the spec's `checkpoint` says so and whenever the user ends training; `load_checkpoint`
reads one to go on from it and believes nothing, `load_model` reads any model file to use it. A checkpoint appears whole
or not at all, so the one before it stands until then.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from nnc.compiler.options import TrainConfig
from nnc.compiler.plan import Plan
from nnc.grammar.diagnostics import DataError, Diagnostic, UsageError
from nnc.runtime.protocol import Session

from . import averages, modelfile
from .history import Epoch
from .modelfile import SavedModel
from .state import TrainingState
from .watch import Watch
from .whole_file import remove_leftovers

Moment = Callable[[], TrainingState]     # copies everything, so it is called only for what is written
MANY_STEPS: Final = 1 << 30


class Checkpoints:
    """Writes `latest` every so many epochs or steps and when training is interrupted, `best` when a figure improves.

    seconds_between: where the spec does not say how often, `latest` is written after every epoch that ends so many
    seconds after the last time; None to write none but when training is interrupted.
    """

    def __init__(
        self, config: TrainConfig, model: SavedModel, latest: Path, best: Path, *, seconds_between: float | None = None
    ) -> None:
        choices = {choice.name: choice for choice in config.checkpoint}
        every: dict[str, object] = {} if seconds_between is None else {"epochs": 1}
        if "every" in choices:
            every, seconds_between = dict(choices["every"].arguments), None
        self.latest, self.best = latest, best
        self.watch: Watch | None = None
        self._epochs, self._steps = _count(every.get("epochs")), _count(every.get("steps"))
        self._best = choices.get("best")
        self._model = model
        self._steps_since = 0
        self._seconds = seconds_between or 0.0
        self._written = time.monotonic()
        for path in (latest, best):
            remove_leftovers(path)

    def watch_one_of(self, figures: tuple[str, ...]) -> None:
        """Raises: NncError E0691 where the figure that `best` monitors is not among those of training."""
        self.watch = Watch.of(self._best, figures) if self._best is not None else None

    def steps_until_due(self) -> int:
        """How many steps may be made before `after_steps` has to be told."""
        return max(1, self._steps - self._steps_since) if self._steps else MANY_STEPS

    def after_steps(self, count: int, session: Session, moment: Moment) -> None:
        """Between two steps, `count` steps after the last time."""
        self._steps_since += count
        if self._steps and self._steps_since >= self._steps:
            self._write(self.latest, session, moment())

    def after_epoch(self, session: Session, epoch: Epoch, moment: Moment, is_last: bool) -> None:
        """Between two epochs, or after the last."""
        improves = self.watch is not None and self.watch.improves(epoch)
        is_due = bool(self._epochs) and epoch.number % self._epochs == 0
        is_due = is_due and time.monotonic() - self._written >= self._seconds
        is_end = is_last and bool(self._epochs or self._steps)
        if improves:
            self._write(self.best, session, moment())
        if is_due or is_end:
            self._write(self.latest, session, moment())

    def interrupted(self, session: Session, moment: TrainingState) -> None:
        """The user ends training here."""
        self._write(self.latest, session, moment)

    def _write(self, path: Path, session: Session, moment: TrainingState) -> None:
        if path == self.latest:
            self._steps_since, self._written = 0, time.monotonic()
        arrays = moment.arrays(session)
        beside = {name for name in arrays if name in moment.variables}
        model = dataclasses.replace(
            self._model,
            variables={name: value for name, value in moment.variables.items() if name not in beside},
            history=moment.history,
            progress={**self._model.progress, **moment.to_json()},
            progress_arrays=arrays,
        )
        try:
            modelfile.save(path, model)
        except UsageError as error:
            stands = f"the checkpoint `{self.latest}` stands as it was" if self.latest.exists() else ""
            notes = (stands,) if stands else ()
            raise UsageError(*(dataclasses.replace(d, notes=(*d.notes, *notes)) for d in error.diagnostics)) from None


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def load_checkpoint(path: Path) -> tuple[SavedModel, TrainingState]:
    """A checkpoint and the moment it holds.

    Raises: DataError E0920-E0924 as `modelfile.load`; E0925 for a model file that is no checkpoint.
    """
    model = modelfile.load(path)
    if not model.progress:
        helps = ("`nnc run SPEC --from MODEL` begins a new training with its weights",)
        text = f"`{path}` is a model, but no checkpoint: it does not say where training stands"
        raise DataError(Diagnostic("E0925", text, place=str(path), helps=helps))
    try:
        state = TrainingState.of(model.progress, model.progress_arrays, model.variables, model.history)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _senseless(path, "its progress makes no sense") from None
    _refuse_other_arrays(path, model.plan, state)
    if not 0 <= state.epoch <= state.last_epoch or state.rows_done < 0:
        raise _senseless(path, "its progress makes no sense")
    return model, state


def load_model(path: Path | str) -> SavedModel:
    """A model file, to be used. A checkpoint is opened as the model that training would leave if it ended there: where
    there are moving averages of weights, they are its weights.

    Raises: as `modelfile.load`.
    """
    model = modelfile.load(path)
    if not model.progress:
        return model
    return dataclasses.replace(model, variables=averages.averaged(model.plan, model.variables))


def _refuse_other_arrays(path: Path, plan: Plan, state: TrainingState) -> None:
    types = {variable.name: variable.type for variable, _ in plan.variables}
    if state.variables.keys() != types.keys() or not state.kept.keys() <= types.keys():
        raise _senseless(path, "its arrays are not those of its plan")
    for name, array in [*state.variables.items(), *state.kept.items()]:
        if (array.dtype.name, array.shape) != (types[name].dtype, types[name].concrete(0)):
            raise _senseless(path, f"its `{name}` has another type than its plan needs")


def _senseless(path: Path, reason: str) -> DataError:
    return DataError(Diagnostic("E0924", f"`{path}` cannot be resumed: {reason}", place=str(path)))
