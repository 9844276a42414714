"""Training, evaluation and prediction over any `Session`.

`fit(session, train, validation, config, progress) -> History`, `evaluate(session, samples) -> Report`,
`predict(session, samples) -> dict of arrays`, `adapt(session, samples)`. Samples are read where they lie: a step is
given the numbers of its rows. The last batch of an epoch has the rows that are left.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from nnc.compiler.graph import ACCUMULATOR, Adaptation
from nnc.compiler.options import TrainConfig
from nnc.compiler.plan import ROWS_FEED
from nnc.grammar.diagnostics import Diagnostic, UsageError
from nnc.runtime.data import Samples
from nnc.runtime.data.order import epoch_order
from nnc.runtime.protocol import Array, Rows, Session

from . import averages
from .checkpoint import MANY_STEPS, Checkpoints
from .divergence import Guard
from .history import Epoch, History
from .interrupt import Interrupted, Patience, between_steps
from .metrics import TABLE, Report, clear, report
from .progress import Progress, Silent
from .scores import Scores
from .state import TrainingState, all_variables, write_all
from .watchers import Watchers

_UPDATE_SECONDS: Final = 0.1
_CALL_SECONDS: Final = 0.05     # of steps in one call of the session, which nothing can interrupt


def fit(
    session: Session,
    train: Samples,
    validation: Samples | None,
    config: TrainConfig,
    progress: Progress | None = None,
    *,
    first_epoch: int = 0,
    on_epoch: Callable[[Epoch], bool | None] | None = None,
    on_batch: Callable[[int, float], bool | None] | None = None,
    resume: TrainingState | None = None,
    checkpoints: Checkpoints | None = None,
) -> History:
    """Train for `config.epochs` epochs; `first_epoch` are done already (by an earlier call, or in a loaded model).

    Normalize layers learn their statistics from `train` before the very first epoch. `on_epoch` is called after each
    epoch, its validation included, `on_batch` after each step, with its number (the first that a model ever does is 1)
    and its loss; where one returns true, training ends with that epoch or step. `resume` is a moment of an earlier
    call, from which training goes on bit for bit to that call's last epoch. `checkpoints` are written as the spec asks,
    and when the user ends training.
    Raises: UsageError E0809 for a plan without a loss; DivergedError E0690 when a loss or a weight becomes NaN or
    infinite, with the variables as before the step that did it; NncError E0691 for a monitored figure that is not
    reported; Interrupted (a KeyboardInterrupt) between two steps, with the history so far.
    """
    _refuse_without_loss(session)
    listener = progress if progress is not None else Silent()
    figures = _figure_names(session, validation is not None)
    watchers = Watchers.of(config, figures, checkpoints)
    if resume is not None:
        write_all(session, resume.variables)
        watchers.restore(resume)
    run = _Run(session, train, validation, config, listener, watchers, checkpoints, on_epoch, on_batch)
    run.stand_at(resume, first_epoch)
    with between_steps() as patience:
        run.patience = patience
        try:
            run.go()
        except Interrupted:
            if checkpoints is not None:
                checkpoints.interrupted(session, run.state())
            raise
        finally:
            listener.close()
    run.finish()
    return run.history


def evaluate(session: Session, samples: Samples, before_step: Callable[[], None] | None = None) -> Report:
    """Losses, metrics and regularisers of `samples`, with dropout and the like switched off.

    The sums of an epoch under way are as before in the end, however it comes.
    """
    _refuse_without_loss(session)
    _bind(session, "evaluate_step", samples)
    sums = {v.name: session.read(v.name) for v, _ in session.plan.variables if v.role == ACCUMULATOR}
    clear(session)
    scores = Scores(session.plan)
    try:
        for rows in _calls(samples.index, session.plan.batch_size, lambda: 1 if scores.are_kept else MANY_STEPS):
            if before_step is not None:
                before_step()
            session.run("evaluate_step", rows)
            scores.gather(session)
        return report(session, len(samples), scores)
    finally:
        write_all(session, sums)


def predict(session: Session, samples: Samples) -> dict[str, Array]:
    """Every output's value for each sample, by the output's name."""
    _bind(session, "predict", samples)
    plan = session.plan
    results = {out.name: np.empty(out.type.concrete(len(samples)), out.type.dtype) for out in plan.outputs}
    done = 0
    for rows in _batches(samples.index, plan.batch_size):
        session.run("predict", rows)
        for name, result in results.items():
            result[done : done + len(rows)] = session.fetch("predict", f"prediction.{name}")[: len(rows)]
        done += len(rows)
    return results


def adapt(session: Session, samples: Samples, before_step: Callable[[], None] | None = None) -> None:
    """Learn the mean and variance of every Normalize layer from `samples`, in two passes per depth."""
    adaptations = session.plan.adaptations
    if not adaptations:
        return
    _bind(session, "adapt_step", samples)
    for depth in sorted({adaptation.depth for adaptation in adaptations}):
        layer = [adaptation for adaptation in adaptations if adaptation.depth == depth]
        for is_variance in (False, True):
            clear(session)
            for rows in _calls(samples.index, session.plan.batch_size):
                if before_step is not None:
                    before_step()
                session.run("adapt_step", rows)
            for adaptation in layer:
                _write_statistic(session, adaptation, is_variance, len(samples))


def _write_statistic(session: Session, adaptation: Adaptation, is_variance: bool, rows: int) -> None:
    source = adaptation.variance_sum if is_variance else adaptation.mean_sum
    target = adaptation.variance if is_variance else adaptation.mean
    old = session.read(target)
    mean = session.read(source) / (rows * adaptation.elements_per_row)
    session.write(target, mean.astype(old.dtype).reshape(old.shape))


# --- one call of fit ------------------------------------------------------------------------------------------------
@dataclass(slots=True)
class _Run:
    """A training under way. `epoch` (from 0) and `rows_done` say where it stands; `history` has the epochs before."""

    session: Session
    train: Samples
    validation: Samples | None
    config: TrainConfig
    listener: Progress
    watchers: Watchers
    checkpoints: Checkpoints | None
    on_epoch: Callable[[Epoch], bool | None] | None
    on_batch: Callable[[int, float], bool | None] | None
    patience: Patience = field(default_factory=Patience)
    history: History = field(default_factory=History)
    epoch: int = 0
    last: int = 0
    rows_done: int = 0
    is_adapted: bool = False
    end_asked_for: str = ""         # by `on_batch`, within the epoch under way

    def stand_at(self, moment: TrainingState | None, first_epoch: int) -> None:
        """Begin with epoch `first_epoch`, or at a moment of an earlier run."""
        self.epoch, self.last, self.is_adapted = first_epoch, first_epoch + self.config.epochs, first_epoch > 0
        if moment is not None:
            self.epoch, self.last, self.rows_done = moment.epoch, moment.last_epoch, moment.rows_done
            self.is_adapted = moment.is_adapted
            self.history = History(list(moment.history.epochs), moment.history.stopped)

    def state(self) -> TrainingState:
        """This moment, which must be between two steps."""
        history = History(list(self.history.epochs), self.history.stopped)
        return TrainingState(
            self.epoch, self.rows_done, self.last, self.is_adapted, all_variables(self.session), history,
            self.watchers.to_json(), self.watchers.kept())

    def go(self) -> None:
        """All epochs that are left."""
        if not self.is_adapted:
            adapt(self.session, self.train, self._stop_if_asked)
            self.is_adapted = True
        _bind(self.session, "train_step", self.train)
        self.listener.start(self.epoch + 1, self.last, len(self.train))
        for note in self.watchers.notes():
            self.listener.note(note)
        guard = Guard(self.session, self.config)
        while self.epoch < self.last and not self.history.stopped:
            self._stop_if_asked()
            epoch = self._epoch(guard)
            self.history.epochs.append(epoch)
            self.epoch, self.rows_done = self.epoch + 1, 0
            self.listener.end(epoch)
            asked = self.on_epoch is not None and self.on_epoch(epoch)
            with averages.in_place_of_weights(self.session):
                self.history.stopped = self.watchers.look(self.session, epoch, self.listener.note)
            if not self.history.stopped:
                after_epoch = f"stopped after epoch {epoch.number}: `on_epoch` asked for it" if asked else ""
                self.history.stopped = self.end_asked_for or after_epoch
            if self.checkpoints is not None:
                is_last = self.epoch == self.last or bool(self.history.stopped)
                self.checkpoints.after_epoch(self.session, epoch, self.state, is_last)

    def finish(self) -> None:
        """Averages become the weights, and early stopping has its last word, after the last epoch."""
        averages.overwrite(self.session)
        if restored := self.watchers.finish(self.session, self.history):
            self.history.stopped = f"{self.history.stopped}; {restored}" if self.history.stopped else restored
        if self.history.stopped:
            self.listener.note(self.history.stopped)

    def _epoch(self, guard: Guard) -> Epoch:
        """The rest of an epoch over the training data, then the validation data."""
        session, batch_size = self.session, self.session.plan.batch_size
        self.listener.begin(self.epoch + 1)
        began = told = time.perf_counter()
        index = self.train.index
        if self.config.shuffle:
            index = index[epoch_order(len(index), self.config.seed, self.epoch)]
        if self.rows_done == 0:
            clear(session)
        guard.begin(self.epoch, index, self.rows_done)
        for rows in _calls(index[self.rows_done :], batch_size, self._most_steps):
            session.run("train_step", rows)
            self.rows_done += len(rows)
            self._tell_batch()
            self._stop_if_asked()
            if self.checkpoints is not None:
                self.checkpoints.after_steps(-(-len(rows) // batch_size), session, self.state)
            if time.perf_counter() - told >= _UPDATE_SECONDS:
                running = report(session, self.rows_done)
                guard.look(running.total, self.rows_done)
                self.listener.update(self.rows_done, running.figures())
                told = time.perf_counter()
            if self.end_asked_for:
                break
        whole = report(session, self.rows_done)
        guard.look_closely(whole.total, self.rows_done)
        figures = whole.figures()
        if self.validation is not None:
            figures |= self._validated(self.validation).figures("val_")
        return Epoch(self.epoch + 1, figures, time.perf_counter() - began)

    def _validated(self, validation: Samples) -> Report:
        with averages.in_place_of_weights(self.session):
            return evaluate(self.session, validation, self._stop_if_asked)

    def _most_steps(self) -> int:
        """How many steps may be made before something has to be looked at."""
        if self.on_batch is not None:
            return 1
        return self.checkpoints.steps_until_due() if self.checkpoints is not None else MANY_STEPS

    def _tell_batch(self) -> None:
        if self.on_batch is None:
            return
        step, loss = int(self.session.read("step")), float(self.session.fetch("train_step", "loss"))
        if self.on_batch(step, loss):
            self.end_asked_for = f"stopped in epoch {self.epoch + 1}, after step {step}: `on_batch` asked for it"

    def _stop_if_asked(self) -> None:
        if self.patience.asked:
            raise Interrupted(self.history)


def _figure_names(session: Session, has_validation: bool) -> tuple[str, ...]:
    terms = session.plan.terms
    names = ("loss", *(term.name for term in terms if not term.measure))
    evaluated = ("loss", *(term.name for term in terms if term.measure != TABLE))
    return names + tuple(f"val_{name}" for name in evaluated) if has_validation else names


def _bind(session: Session, program: str, samples: Samples) -> None:
    """Bind what `program` reads of the samples' feeds."""
    names = (name for name, _ in session.plan.program(program).feeds if name != ROWS_FEED)
    session.bind(program, {name: samples.feeds[name] for name in names})


def _batches(index: Rows, batch_size: int) -> Iterator[Rows]:
    for start in range(0, len(index), batch_size):
        yield index[start : start + batch_size]


def _calls(index: Rows, batch_size: int, most_steps: Callable[[], int] = lambda: MANY_STEPS) -> Iterator[Rows]:
    """The rows in pieces of whole batches: as many as take about `_CALL_SECONDS`, but `most_steps` at most."""
    steps, start = 1, 0
    while start < len(index):
        began = time.perf_counter()
        taken = min(steps, most_steps())
        yield index[start : start + taken * batch_size]
        start += taken * batch_size
        seconds = max(time.perf_counter() - began, 1e-9)
        steps = max(1, min(2 * taken, int(taken * _CALL_SECONDS / seconds)))


def _refuse_without_loss(session: Session) -> None:
    if any(program.name == "train_step" for program in session.plan.programs):
        return
    helps = ("give an output one: `output y = ... { loss = mse }`",)
    raise UsageError(Diagnostic("E0809", "no output has a loss, so there is nothing to train or judge", helps=helps))
