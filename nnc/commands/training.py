"""A training from its first step, or from a checkpoint, to its results: what `nnc run` does once all is read."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Final

from nnc.grammar.diagnostics import DivergedError, MissingPackageError, NncError
from nnc.own_data import part_of

from .console import narrate, result, result_line
from .report import confusion_text, report_json, report_table
from .targets import check_model_target

if TYPE_CHECKING:
    from nnc.compiler.pipeline import Compiled
    from nnc.model import Model
    from nnc.runtime.checkpoint import Checkpoints
    from nnc.runtime.data import Dataset, Samples
    from nnc.runtime.history import Epoch, History
    from nnc.runtime.metrics import Report
    from nnc.runtime.modelfile import SavedModel
    from nnc.runtime.protocol import Array
    from nnc.runtime.rundir import RunFolder
    from nnc.runtime.state import TrainingState

_NO_PICTURES: Final = "nnc: no pictures without matplotlib: `pip install 'nnc[plot]'`"


@dataclass(frozen=True, slots=True)
class Places:
    """Where a run writes: `folder` is None for a run that leaves a model file alone. `resume` names it to the user."""

    folder: RunFolder | None
    model: Path
    latest: Path
    best: Path

    @classmethod
    def of_file(cls, model: Path) -> Places:
        """A model file, with its checkpoints beside it."""
        stem = model.with_suffix("") if model.suffix == ".safetensors" else model
        latest, best = (stem.with_name(f"{stem.name}.{kind}.safetensors") for kind in ("checkpoint", "best"))
        return cls(None, model, latest, best)

    @classmethod
    def of_folder(cls, path: Path) -> Places:
        """The folder of a run."""
        from nnc.runtime.rundir import RunFolder

        folder = RunFolder(path)
        return cls(folder, folder.model, folder.latest, folder.best)

    def resume(self) -> str:
        """The command that goes on."""
        return f"nnc run --resume {quote(str(self.folder.path if self.folder is not None else self.latest))}"

    def check_writable(self, read: Mapping[str, Path | None]) -> None:
        """Refuse before training, not after it. `read` is what the run reads. Raises: UsageError E0807."""
        for path in (self.model, self.latest, self.best):
            check_model_target(path, read)


@dataclass(frozen=True, slots=True)
class Job:
    """A training to do. `saved` is its model file but for what training changes; `moment` where it stands."""

    compiled: Compiled
    model: Model
    dataset: Dataset
    saved: SavedModel
    moment: TrainingState
    places: Places
    as_json: bool = False
    draws: bool = False             # pictures are insisted on; else they are drawn if matplotlib is there


def carry_out(job: Job) -> int:
    """Train, evaluate, write; the exit code."""
    from nnc.runtime import train
    from nnc.runtime.history import History
    from nnc.runtime.progress import progress_for

    checkpoints = _checkpoints(job)
    seen = History(job.moment.history.epochs)
    if job.places.folder is not None:
        job.places.folder.write_split(job.dataset.split_lines())
        job.places.folder.begin_history(job.moment.history)
    narrate(_opening(job))
    began = time.perf_counter()

    def note(epoch: Epoch) -> None:
        seen.epochs.append(epoch)
        if job.places.folder is not None:
            job.places.folder.add_epoch(epoch)
        if job.as_json:
            from nnc.runtime.rundir import epoch_json

            result_line({"event": "epoch", **epoch_json(epoch)})

    try:
        history = train.fit(
            job.model.session, job.dataset.train, job.dataset.validation, job.saved.train, progress_for(),
            on_epoch=note, resume=job.moment, checkpoints=checkpoints,
        )  # fmt: skip
    except KeyboardInterrupt:
        return _interrupted(job, seen)
    except DivergedError:
        _draw_so_far(job, seen)
        raise
    seconds = time.perf_counter() - began
    _save(job, history)
    try:
        part, samples = part_of(job.dataset, None, job.model.plan.model)
        report = train.evaluate(job.model.session, samples)
        matrices, names = _describe(job, history, part, report, samples)
    except (KeyboardInterrupt, Exception):
        narrate(f"nnc: the model is trained and saved, but not judged to the end: it is in {job.places.model}")
        raise
    _tell(job, history, part, report, seconds)
    _draw(job, history, matrices, names)
    return 0


def _checkpoints(job: Job) -> Checkpoints:
    """Those the spec asks for; in a folder also one as it begins, and others now and then."""
    from nnc.runtime.checkpoint import Checkpoints

    if job.places.folder is not None:
        return job.places.folder.checkpoints(job.saved, job.model.session, job.moment)
    return Checkpoints(job.saved.train, job.saved, job.places.latest, job.places.best)


def _opening(job: Job) -> str:
    from nnc.compiler.emit.summary import bytes_text
    from nnc.compiler.measuring import kinds_of_metrics

    rows = job.dataset.counts()
    memory = bytes_text(job.model.plan.program("train_step").peak_bytes)
    text = f"model {job.model.plan.model}: {rows}; batches of {job.model.plan.batch_size}; {memory} to train"
    text += "".join(f"; {name} is {kind}" for name, kind in kinds_of_metrics(job.compiled.network))
    if not job.moment.epoch and not job.moment.rows_done:
        return text
    within = f" and {job.moment.rows_done:,} samples" if job.moment.rows_done else ""
    return f"{text}\ngoing on after {_epochs(job.moment.epoch)}{within}"


def _interrupted(job: Job, seen: History) -> int:
    if job.places.latest.exists():
        narrate(f"nnc: interrupted; where training stands is in {job.places.latest}")
        narrate(f"go on: `{job.places.resume()}`")
    else:
        narrate("nnc: interrupted before the step was done; nothing was saved")
    _draw_so_far(job, seen)
    return 130


def _draw_so_far(job: Job, seen: History) -> None:
    """The curves of a training that did not get to its end; nothing that goes wrong here hides why it did not."""
    if job.places.folder is None:
        return
    try:
        job.places.folder.draw_curves(seen)
    except NncError as error:
        _say_without_pictures(error)
    except KeyboardInterrupt:
        narrate("nnc: interrupted again: no pictures")


# --- what a run leaves ----------------------------------------------------------------------------------------------
def _save(job: Job, history: History) -> None:
    """The model, before anything else can go wrong."""
    from nnc.runtime import modelfile

    variables = modelfile.variables_of(job.model.session)
    modelfile.save(job.places.model, dataclasses.replace(job.saved, variables=variables, history=history, progress={}))


def _describe(
    job: Job, history: History, part: str, report: Report, samples: Samples
) -> tuple[Mapping[str, Array], Mapping[str, Sequence[str]]]:
    """Write the summary into the folder of the run; confusion matrices by output, and the names of their classes."""
    if job.places.folder is None:
        return {}, {}
    from nnc.runtime import confusion
    from nnc.runtime.prediction.classes import classifiers
    from nnc.runtime.whole_file import write_whole

    found = classifiers(job.saved.plan, job.saved.outputs, job.saved.vocabularies)
    matrices = confusion.confusion_matrices(job.model.session, samples, found)
    names = {name: classifier.names or _unit_names(job, name) for name, classifier in found.items()}
    asked_for = {table.removesuffix(".confusion") for table in report.tables}
    tables = [
        confusion_text(f"{name}.confusion", matrix, names[name])
        for name, matrix in matrices.items()
        if name not in asked_for
    ]
    write_whole(job.places.folder.path / "summary.txt", _summary(job, history, part, report, tables).encode())
    return matrices, names


def _unit_names(job: Job, output: str) -> Sequence[str]:
    """The columns that an output of several units is compared with, where the data names each of them."""
    width = next(signature.type.shape[-1] for signature in job.saved.plan.outputs if signature.name == output)
    target = next((config.target for config in job.saved.outputs if config.name == output), None) or output
    data = job.compiled.network.data
    bound = dict(data.groups[0][1]) if data is not None else {}
    columns = bound[target].columns if target in bound else None
    return columns if columns is not None and len(columns) == width != 1 else ()


def _draw(
    job: Job, history: History, matrices: Mapping[str, Array], names: Mapping[str, Sequence[str]]
) -> None:
    """The pictures, in the folder of a run; a missing one is no reason to fail, unless they are insisted on."""
    from nnc.runtime import confusion, curves

    folder = job.places.folder
    if folder is None or not len(history):
        return
    try:
        folder.draw_curves(history)
        if matrices:
            lacking = curves.write(confusion.draw(matrices, names), folder.path / "confusion.png")
            if lacking:
                narrate(f"nnc: the font of confusion.png lacks {lacking}; matplotlib's `font.family` chooses another")
    except NncError as error:
        if job.draws:
            raise
        _say_without_pictures(error)
    except Exception as error:    # of matplotlib: the run is done, and its results have been told
        if job.draws:
            raise
        narrate(f"nnc: no pictures: {type(error).__name__}: {error}")


def _say_without_pictures(error: NncError) -> None:
    is_missing = isinstance(error, MissingPackageError)
    narrate(_NO_PICTURES if is_missing else f"nnc: no pictures: {error.diagnostics[0].message}")


def _summary(job: Job, history: History, part: str, report: Report, tables: Sequence[str]) -> str:
    from nnc.compiler.emit.summary import summary_text

    made_of = job.saved.provenance
    lines = [
        summary_text(job.compiled),
        "",
        f"{_epochs(len(history))}{'; ' + history.stopped if history.stopped else ''}",
        _split_text(part, report.rows),
        "",
        report_table(report),
        *(line for table in tables for line in ("", table)),
        "",
        f"seed {made_of['seed']}; " + ", ".join(f"{name} {version}" for name, version in made_of["versions"].items()),
        *(f"data {path}  sha256 {digest}" for path, digest in made_of["data_sha256"].items()),
    ]
    return "\n".join(lines) + "\n"


def _split_text(part: str, rows: int) -> str:
    seen = " (the spec keeps none apart: these were trained on)" if part == "train" else ""
    return f"{part} split, {rows:,} samples{seen}"


def _tell(job: Job, history: History, part: str, report: Report, seconds: float) -> None:
    name, places = job.model.plan.model, job.places
    if job.as_json:
        result_line(
            {
                "event": "result",
                "model": name,
                "params": dict(job.saved.params),
                "split": part,
                **report_json(report),
                "epochs": len(history),
                "stopped": history.stopped,
                "seconds": seconds,
                "file": str(places.model),
            }
        )
    else:
        result(f"{name}, {_split_text(part, report.rows)}\n\n{report_table(report)}")
    where = f"all of it is in {places.folder.path}" if places.folder is not None else f"the model is in {places.model}"
    narrate(f"\n{_done(job, len(history), seconds)}; {where}")
    model = quote(str(places.model))
    load = f"nnc.load({_python_text(places.model)})"
    narrate(f"next: `nnc evaluate {model}`, `nnc predict {model} --input ...`; `{load}`")


def _python_text(path: Path) -> str:
    import json

    return json.dumps(str(path), ensure_ascii=False)


def _done(job: Job, epochs: int, seconds: float) -> str:
    """What was done; of a run that goes on, only the seconds of this part are known."""
    if job.moment.epoch or job.moment.rows_done:
        return f"{_epochs(epochs)} in all, {seconds:.1f} s of training since it went on"
    return f"{_epochs(epochs)}, {seconds:.1f} s of training"


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"
