"""`fit(..., folder=...)`: a training that leaves what `nnc run --run` leaves and goes on as `nnc run --resume`."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nnc.grammar.diagnostics import DataError, Diagnostic, DivergedError, MissingPackageError, NncError, UsageError
from nnc.runtime import modelfile, train
from nnc.runtime.checkpoint import load_checkpoint
from nnc.runtime.data import Samples
from nnc.runtime.history import Epoch, History
from nnc.runtime.interrupt import Interrupted
from nnc.runtime.modelfile import SavedModel
from nnc.runtime.progress import Progress
from nnc.runtime.protocol import Session
from nnc.runtime.provenance import refuse_other_data, refuse_other_texts
from nnc.runtime.rundir import RunFolder
from nnc.runtime.state import TrainingState


@dataclass(frozen=True, slots=True)
class FolderRun:
    """A training to do in a folder. `saved` is its model file but for what training changes; `moment` where it stands.

    first_epoch: how many epochs the model had before this run.
    """

    folder: RunFolder
    saved: SavedModel
    moment: TrainingState
    first_epoch: int

    def fit(
        self,
        session: Session,
        training: Samples,
        validation: Samples | None,
        progress: Progress,
        on_epoch: Callable[[Epoch], bool | None],
        on_batch: Callable[[int, float], bool | None] | None,
    ) -> History:
        """Train to the end, leaving history, checkpoints, model and curves (with matplotlib); the history of this run.

        Raises: as `train.fit`, with the curves so far drawn; UsageError E0807.
        """
        checkpoints = self.folder.checkpoints(self.saved, session, self.moment)
        self.folder.begin_history(self.moment.history)
        seen = History(self.moment.history.epochs)

        def note(epoch: Epoch) -> bool | None:
            seen.epochs.append(epoch)
            self.folder.add_epoch(epoch)
            return on_epoch(epoch)

        try:
            history = train.fit(
                session, training, validation, self.saved.train, progress,
                on_epoch=note, on_batch=on_batch, resume=self.moment, checkpoints=checkpoints,
            )  # fmt: skip
        except (Interrupted, DivergedError):
            with contextlib.suppress(NncError):  # which would hide why training ended
                self.folder.draw_curves(seen)
            raise
        variables = modelfile.variables_of(session)
        model = dataclasses.replace(self.saved, variables=variables, history=history, progress={})
        modelfile.save(self.folder.model, model)
        with contextlib.suppress(MissingPackageError):
            self.folder.draw_curves(history)
        return History((e for e in history.epochs if e.number > self.first_epoch), history.stopped)


@contextmanager
def folder_run(
    path: str | Path, saved: SavedModel, moment: TrainingState, *, resume: bool, epochs: int | None
) -> Iterator[FolderRun]:
    """The run that is to begin in a folder at `moment`, or with `resume` the one that is there; other processes are
    kept out within the block. epochs: how many it is to have in all, if not as many as it began with.

    Raises: UsageError E0840 (there is a run already), E0843 (of another model), E0844 (another process has it), E0822
    (fewer epochs than it has begun), E0807; DataError E0920-E0925 (its checkpoint), E0926 (it began with other
    data, or other texts).
    """
    folder = RunFolder(Path(path))
    if resume and folder.latest.exists():
        with folder.again():
            yield _going_on(folder, saved, epochs)
    else:
        with folder.new():
            first = moment.epoch
            begun = {"model": str(folder.model.resolve()), "first_epoch": first, **saved.progress.get("run", {})}
            yield FolderRun(folder, dataclasses.replace(saved, progress={"run": begun}), moment, first)


def _going_on(folder: RunFolder, saved: SavedModel, epochs: int | None) -> FolderRun:
    there, moment = load_checkpoint(folder.latest)
    _refuse_another_model(folder, there, saved)
    try:
        begun, data = dict(there.progress["run"]), dict(there.provenance["data_sha256"])
        first = int(begun.get("first_epoch", 0))
    except (KeyError, TypeError, ValueError):
        text = f"`{folder.latest}` cannot be resumed: it does not say how the run began"
        raise DataError(Diagnostic("E0924", text, place=str(folder.latest))) from None
    refuse_other_texts(there.vocabularies, saved.vocabularies, str(folder.latest))
    refuse_other_data(data, saved.provenance["data_sha256"], str(folder.latest))
    if epochs is not None:
        if first + epochs < moment.begun_epochs:
            note = f"it has begun {moment.begun_epochs - first}"
            raise UsageError(Diagnostic("E0822", f"`epochs` is {epochs}, less than the run has begun", notes=(note,)))
        moment = moment.until(first + epochs)
    template = dataclasses.replace(there, variables={}, progress={"run": begun}, progress_arrays={})
    return FolderRun(folder, template, moment, first)


def _refuse_another_model(folder: RunFolder, there: SavedModel, here: SavedModel) -> None:
    if there.spec != here.spec:
        what = "another spec"
    elif there.params != here.params:
        what = "other params"
    elif (there.plan.batch_size, there.plan.seed) != (here.plan.batch_size, here.plan.seed):
        what = "another batch size or seed"
    elif there.plan != here.plan:
        what = f"another plan, of nnc {there.version}"
    else:
        return
    helps = ("compile the model as the run began, or choose another folder",)
    raise UsageError(Diagnostic("E0843", f"the run in `{folder.path}` is of {what}", helps=helps))
