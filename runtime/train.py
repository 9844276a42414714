"""Training, evaluation and prediction over any `Session`.

`fit(session, train, validation, config, progress) -> History`, `evaluate(session, samples) -> Report`,
`predict(session, samples) -> dict of arrays`, `adapt(session, samples)`. Samples are read where they lie: a step is
given the numbers of its rows. The last batch of an epoch has the rows that are left.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from nnc.compiler.graph import Adaptation
from nnc.compiler.options import Choice, TrainConfig
from nnc.compiler.plan import ROWS_FEED
from nnc.grammar.diagnostics import Diagnostic, DivergedError, UsageError
from nnc.runtime.data import Samples
from nnc.runtime.data.order import epoch_order
from nnc.runtime.protocol import Array, Rows, Session

from .history import Epoch, History
from .interrupt import Interrupted, Patience, between_steps
from .metrics import TABLE, Report, clear, report
from .progress import Progress, Silent
from .scores import Scores
from .watch import EarlyStopping, Plateau

_UPDATE_SECONDS: Final = 0.1


def fit(
    session: Session,
    train: Samples,
    validation: Samples | None,
    config: TrainConfig,
    progress: Progress | None = None,
    *,
    first_epoch: int = 0,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> History:
    """Train for `config.epochs` epochs; `first_epoch` are done already (by an earlier call, or in a loaded model).

    Normalize layers learn their statistics from `train` before the very first epoch. `on_epoch` is called after each
    epoch, its validation included.
    Raises: UsageError E0809 for a plan without a loss; DivergedError E0690 when the total loss becomes NaN or
    infinite; NncError E0691 for a monitored figure that is not reported; Interrupted (a KeyboardInterrupt) between
    two steps, with the history so far.
    """
    _refuse_without_loss(session)
    listener = progress if progress is not None else Silent()
    figures = _figure_names(session, validation is not None)
    stopping, plateau = EarlyStopping.of(config, figures), Plateau.of(config, figures)
    history = History()
    last = first_epoch + config.epochs
    with between_steps() as patience:
        try:
            if first_epoch == 0:
                adapt(session, train, patience, history)
            _bind(session, "train_step", train)
            listener.start(first_epoch + 1, last, len(train))
            for watch in (watcher.watch for watcher in (stopping, plateau) if watcher is not None):
                if watch.note:
                    listener.note(watch.note)
            for number in range(first_epoch, last):
                epoch = _epoch(session, train, validation, config, listener, number, patience, history)
                history.epochs.append(epoch)
                listener.end(epoch)
                if on_epoch is not None:
                    on_epoch(epoch)
                if plateau is not None and (said := plateau.adjust(session, epoch)):
                    listener.note(said)
                if stopping is not None and (reason := stopping.ends(session, epoch)):
                    history.stopped = f"stopped after epoch {epoch.number}: {reason}"
                    break
        finally:
            listener.close()
        if stopping is not None and stopping.kept:
            stopping.restore(session)
            if stopping.watch.best_epoch != history.epochs[-1].number:
                restored = f"the weights are those of epoch {stopping.watch.best_epoch}"
                history.stopped = f"{history.stopped}; {restored}" if history.stopped else restored
    if history.stopped:
        listener.note(history.stopped)
    return history


def evaluate(session: Session, samples: Samples) -> Report:
    """Losses, metrics and regularisers of `samples`, with dropout and the like switched off."""
    _refuse_without_loss(session)
    _bind(session, "evaluate_step", samples)
    clear(session)
    scores = Scores(session.plan)
    for rows in _batches(samples.index, session.plan.batch_size):
        session.run("evaluate_step", rows)
        scores.gather(session)
    return report(session, len(samples), scores)


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


def adapt(
    session: Session, samples: Samples, patience: Patience | None = None, history: History | None = None
) -> None:
    """Learn the mean and variance of every Normalize layer from `samples`, in two passes per depth."""
    adaptations = session.plan.adaptations
    if not adaptations:
        return
    _bind(session, "adapt_step", samples)
    for depth in sorted({adaptation.depth for adaptation in adaptations}):
        layer = [adaptation for adaptation in adaptations if adaptation.depth == depth]
        for is_variance in (False, True):
            clear(session)
            for rows in _batches(samples.index, session.plan.batch_size):
                _stop_if_asked(patience, history)
                session.run("adapt_step", rows)
            for adaptation in layer:
                _write_statistic(session, adaptation, is_variance, len(samples))


def _write_statistic(session: Session, adaptation: Adaptation, is_variance: bool, rows: int) -> None:
    source = adaptation.variance_sum if is_variance else adaptation.mean_sum
    target = adaptation.variance if is_variance else adaptation.mean
    old = session.read(target)
    mean = session.read(source) / (rows * adaptation.elements_per_row)
    session.write(target, mean.astype(old.dtype).reshape(old.shape))


# --- one epoch ------------------------------------------------------------------------------------------------------
def _epoch(
    session: Session,
    train: Samples,
    validation: Samples | None,
    config: TrainConfig,
    listener: Progress,
    number: int,
    patience: Patience,
    history: History,
) -> Epoch:
    """Epoch `number` (from 0) over the training data, then the validation data."""
    listener.begin(number + 1)
    began = told = time.perf_counter()
    index = train.index[epoch_order(len(train), config.seed, number)] if config.shuffle else train.index
    batch_size = session.plan.batch_size
    steps = -(-len(train) // batch_size)
    clear(session)
    done = 0
    for rows in _batches(index, batch_size):
        session.run("train_step", rows)
        done += len(rows)
        _stop_if_asked(patience, history)
        if time.perf_counter() - told >= _UPDATE_SECONDS:
            running = report(session, done)
            _refuse_divergence(running.total, number + 1, -(-done // batch_size), steps, config)
            listener.update(done, running.figures())
            told = time.perf_counter()
    whole = report(session, len(train))
    _refuse_divergence(whole.total, number + 1, steps, steps, config)
    figures = whole.figures()
    if validation is not None:
        figures |= evaluate(session, validation).figures("val_")
    return Epoch(number + 1, figures, time.perf_counter() - began)


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


def _stop_if_asked(patience: Patience | None, history: History | None) -> None:
    if patience is not None and patience.asked:
        raise Interrupted(history if history is not None else History())


def _refuse_without_loss(session: Session) -> None:
    if any(program.name == "train_step" for program in session.plan.programs):
        return
    helps = ("give an output one: `output y = ... { loss = mse }`",)
    raise UsageError(Diagnostic("E0809", "no output has a loss, so there is nothing to train or judge", helps=helps))


def _refuse_divergence(total: float, epoch: int, step: int, steps: int, config: TrainConfig) -> None:
    if math.isfinite(total):
        return
    shown = "NaN" if math.isnan(total) else "infinite"
    helps = [f"lower the learning rate{_rate_text(config)}"]
    if config.clip_norm is None and config.clip_value is None:
        helps.append("bound the gradients: `clip_norm = 1.0` in `train`")
    helps.append("put `Normalize` or `Rescale` after inputs with large values")
    text = f"training diverged in epoch {epoch}: the loss is {shown}"
    raise DivergedError(Diagnostic("E0690", text, place=f"epoch {epoch}, step {step} of {steps}", helps=tuple(helps)))


def _rate_text(config: TrainConfig) -> str:
    """`: it is 0.01`, where it is a plain number."""
    rate = dict(config.optimizer.arguments).get("learning_rate")
    if isinstance(rate, Choice):
        rate = dict(rate.arguments).get("initial_learning_rate")
    return f": it is {rate:g}" if isinstance(rate, int | float) else ""
