"""A `Model`: fit, evaluate, predict, save. It is a plan prepared by a runtime, with what belongs to it.

Arrays go in and out by the names of the spec. `making.py` has the ways to one.
"""

from __future__ import annotations

import dataclasses
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nnc import __version__
from nnc.compiler.options import CompileOptions, DataConfig, OutputConfig, TrainConfig, Value
from nnc.compiler.plan import Plan
from nnc.grammar.diagnostics import Diagnostic, UsageError
from nnc.grammar.source import SourceFile
from nnc.runtime import modelfile, train
from nnc.runtime.data import Dataset, Samples, from_arrays
from nnc.runtime.data.encoding import from_texts, to_texts
from nnc.runtime.history import Epoch, History
from nnc.runtime.predictor import Handle
from nnc.runtime.progress import progress_for
from nnc.runtime.protocol import Array, Runtime, Session
from nnc.runtime.provenance import provenance, sample_hashes
from nnc.runtime.state import TrainingState, all_variables

from .arguments import at_least_one, held_out, validation_weights
from .callbacks import checked
from .handles import LiveHandle, lasting_handle
from .own_data import SpecData
from .runtimes import Execution, tell_precision
from .sample_weights import recompiled, takes_weights, weighted_outputs
from .weights import Weights

if TYPE_CHECKING:
    from nnc.compiler.pipeline import Compiled

    from .folder_run import FolderRun

OnEpoch = Callable[[int, Mapping[str, float]], bool | None]
OnBatch = Callable[[int, float], bool | None]
_ANY: Final = Execution()


def opened(execution: Execution, plan: Plan) -> Runtime:
    """The runtime asked for, with a Python warning of what makes it slower, or more exact than the plan lets it be.

    Raises: as `Execution.open`.
    """

    def warn(text: str) -> None:
        warnings.warn(text, RuntimeWarning, stacklevel=5)

    runtime = execution.open(warn, lambda text: print(f"nnc: {text}", file=sys.stderr))
    tell_precision(runtime, plan.precision, warn)
    return runtime


class Model:
    """A network ready to be trained and used. Made by `nnc.compile` and `nnc.load`; can be pickled and copied.

    `history` holds every epoch so far, over all calls of `fit` and over saving and loading. `spec` is the canonical
    text, `params` the values of its `param`s, `vocabularies` the texts that numbers stand for, by input or output,
    `provenance` what the model was made from.
    Several threads may use one model: their calls take turns, so that a `predict` waits for a `fit` under way.
    """

    def __init__(
        self,
        session: Session,
        spec: str,
        train_config: TrainConfig,
        outputs: tuple[OutputConfig, ...],
        params: tuple[tuple[str, Value], ...] = (),
        history: History | None = None,
        data: DataConfig | None = None,
        base_dir: Path | None = None,
        execution: Execution = _ANY,
        vocabularies: Mapping[str, Sequence[str]] | None = None,
        file: Path | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        self.session = session
        self.spec = spec
        self.train_config = train_config
        self.outputs = outputs
        self.params = params
        self.history = history if history is not None else History()
        self.vocabularies = dict(vocabularies or {})
        self._own = SpecData(spec, params, data, base_dir, file)
        hashes = (provenance or {}).get("data_sha256")
        self._data_sha256: dict[str, str] = dict(hashes) if isinstance(hashes, Mapping) else {}
        self._execution = execution
        self._lock, self._is_training, self._live = threading.RLock(), False, LiveHandle()

    @classmethod
    def of(cls, compiled: Compiled, execution: Execution = _ANY) -> Model:
        """The model of a compiled spec, with initial weights."""
        from nnc.grammar.format import format_module

        network = compiled.network
        base_dir = network.source.path.parent if network.source.path is not None else Path()
        session = opened(execution, compiled.plan).prepare(compiled.plan)
        spec = format_module(compiled.module)
        return cls(
            session, spec, network.train, network.outputs, network.params, None, network.data, base_dir, execution
        )

    def __repr__(self) -> str:
        return f"<nnc.Model {self.plan.model}: {', '.join(f'{i.name} {i.type}' for i in self.plan.inputs)}>"

    def __getstate__(self) -> dict[str, Any]:
        """What a pickle or a copy takes along: all that a saved file holds, and where the spec's data is."""
        from nnc.compiler.planfile import to_json

        with self._lock:
            state = {name: value for name, value in self.__dict__.items() if name not in ("session", "_lock")}
            return {**state, "plan": to_json(self.plan), "variables": modelfile.variables_of(self.session)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        from nnc.compiler.planfile import from_json

        state = dict(state)
        plan, variables = from_json(state.pop("plan")), state.pop("variables")
        self.__dict__.update(state)
        self._lock, self._is_training = threading.RLock(), False
        self.session = opened(self._execution, plan).prepare(plan)
        modelfile.write_variables(self.session, variables)

    @property
    def plan(self) -> Plan:
        """The static plan that the model runs: its programs, buffers, inputs and outputs."""
        return self.session.plan

    @property
    def weights(self) -> Weights:
        """Kernels, biases and statistics by name; assign to an entry, or a dict to all or some of them."""
        return Weights(self, self._lock)

    @weights.setter
    def weights(self, values: Mapping[str, Any]) -> None:
        self.weights.update(values)

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        *,
        epochs: int | None = None,
        sample_weight: Any = None,
        validation_data: tuple[Any, Any] | tuple[Any, Any, Any] | None = None,
        validation_split: float = 0.0,
        on_epoch: OnEpoch | None = None,
        on_batch: OnBatch | None = None,
        folder: str | Path | None = None,
        resume: bool = False,
        verbose: bool | str = True,
    ) -> History:
        """Train on arrays by name, or without any on the data that the spec names; gives the history of this call.

        x, y: {"wide": a, "deep": b}, {"main": y}; one array will do where there is one input or output. A second call
        goes on where the first ended. epochs: how many, instead of the spec's. sample_weight: {"main": w} or an array,
        a factor of at least 0 for each row's loss. validation_data: (x, y), or (x, y, sample_weight), to judge each
        epoch by. validation_split: or the share of the rows to hold out for it, chosen by the seed. on_epoch: a
        function called as on_epoch(epoch, figures) after each epoch, on_batch: as on_batch(step, loss) after each step;
        if it returns true, training ends. folder: where to leave the model, its history, its curves and checkpoints, as
        `nnc run --run` does; the data is hashed for that. resume: go on bit for bit with the run in `folder`, if there
        is one, until it has `epochs` epochs. verbose: False for silence, "plain" for lines instead of a bar, on stderr.
        Raises: DataError E0701-E0720 before the first step, of `folder` E0920-E0926; UsageError E0822, E0840, E0843,
        E0844; DivergedError E0690; KeyboardInterrupt after a whole step.
        """
        if resume and folder is None:
            raise UsageError(Diagnostic("E0822", "`resume` goes on with the run in `folder`, and there is no `folder`"))
        config = self.train_config
        if epochs is not None:
            config = dataclasses.replace(config, epochs=at_least_one(epochs))
        end_of_epoch, after_batch = checked("on_epoch", on_epoch), checked("on_batch", on_batch)
        with self._training():
            self._take_weights(sample_weight)
            self._take_weights(validation_weights(validation_data))
            training, validation = self._training_samples(x, y, sample_weight, validation_data)
            is_own = x is None and y is None and sample_weight is None and not validation_split
            if validation_split:
                training, validation = held_out(training, validation, validation_split, self.train_config.seed)

            def note(epoch: Epoch) -> bool:
                self.history.epochs.append(epoch)
                return end_of_epoch is not None and end_of_epoch(epoch.number, epoch.figures)

            progress = progress_for(verbose=verbose)
            if folder is None:
                done = self.history.epochs[-1].number if self.history.epochs else 0
                result = train.fit(
                    self.session, training, validation, config, progress,
                    first_epoch=done, on_epoch=note, on_batch=after_batch,
                )  # fmt: skip
            else:
                parts = {"train": training, "validation": validation}
                hashes = self._own.hashes(self.plan.model) if is_own else sample_hashes(parts)
                with self._run_in(folder, config, hashes, is_own, resume, epochs) as run:
                    result = run.fit(self.session, training, validation, progress, note, after_batch)
            self.history.stopped = result.stopped
        return result

    @contextmanager
    def _training(self) -> Iterator[None]:
        """One training at a time: other threads wait, a callback that begins a second one is refused (E0822)."""
        with self._lock:
            if self._is_training:
                helps = ("a callback that answers true ends the training under way",)
                raise UsageError(Diagnostic("E0822", "`fit` is called within a `fit` of the same model", helps=helps))
            self._is_training = True
            try:
                yield
            finally:
                self._is_training = False

    @contextmanager
    def _run_in(
        self, folder: str | Path, config: TrainConfig, hashes: dict[str, str], is_own: bool, resume: bool,
        epochs: int | None,
    ) -> Iterator[FolderRun]:  # fmt: skip
        """The run in a folder, and the model's history as it stands there."""
        from .folder_run import folder_run

        self._data_sha256 = hashes
        history = History(self.history.epochs)
        done = history.epochs[-1].number if history.epochs else 0
        moment = TrainingState(done, 0, done + config.epochs, done > 0, all_variables(self.session), history)
        run = {"data": str(self._own.directory(self.plan.model).resolve())} if is_own else {}
        saved = dataclasses.replace(self._saved({}), train=config, progress={"run": run})
        with folder_run(folder, saved, moment, resume=resume, epochs=epochs) as found:
            self.history = History(found.moment.history.epochs)
            yield found

    def evaluate(
        self, x: Any = None, y: Any = None, *, sample_weight: Any = None, split: str | None = None
    ) -> dict[str, Any]:
        """`loss`, the total, then every loss, metric and regulariser by name; dropout and the like are off.

        x, y, sample_weight: as for `fit`. Without arrays: of the data that the spec names, as `nnc evaluate` does it.
        split: which part of that, "test", "validation" or "train"; if it is left out, the first of these that there is.
        The total is the sum of weight * loss, and regularisers. All are numbers but the metric `confusion`:
        int64[classes, classes], a row for each true class.
        Raises: DataError E0701-E0720, E0808 where the spec names no data; UsageError E0822, E0830.
        """
        with self._lock:
            if sample_weight is not None and self._is_training:
                raise UsageError(Diagnostic("E0822", "`evaluate` takes no `sample_weight` within a `fit`"))
            self._take_weights(sample_weight)
            report = train.evaluate(self.session, self._samples_to_judge(x, y, sample_weight, split))
        return {**report.figures(), **report.tables}

    def predict(self, x: Any) -> dict[str, Array] | Array:
        """Each output's value by name, or the one array of a model with one output; one row per sample."""
        with self._lock:
            results: dict[str, Array] | Array = self._live.predict(self.session, self.outputs, self.vocabularies, x)
        return results

    def predictor(self) -> Handle:
        """A function for any number of threads at once that predicts, as `predict`, with the weights as they are now.

        It takes `out=` too: the array to write to, or a dict of them. What is trained later does not change it. With
        the native runtime no call waits for another.
        """
        with self._lock:
            runtime = opened(self._execution, self.plan)
            return lasting_handle(self.session, runtime, self.outputs, self.vocabularies)

    def summary(self) -> None:
        """Print a table: layers, what they read, shapes, parameters, work and memory."""
        from nnc.compiler.emit.summary import render_summary, summarize
        from nnc.compiler.pipeline import compile_source

        options = CompileOptions(dict(self.params), self.plan.batch_size, None, self.plan.seed)
        print(render_summary(summarize(compile_source(SourceFile("<model>", self.spec), options))))

    def save(self, path: str | Path) -> None:
        """Write the model as one `.safetensors` file, with all it takes to predict and to train on, and `provenance`.

        Raises: UsageError E0807 where the file cannot be written.
        """
        with self._lock:
            saved = self._saved(modelfile.variables_of(self.session))
        modelfile.save(path, saved)

    @property
    def provenance(self) -> dict[str, Any]:
        """Seed, versions, machine, and the SHA-256 of the data where it is known: of files that the spec names, and of
        the arrays of a `fit` with `folder`. Without a date, so that equal models give equal files.
        """
        return provenance(__version__, self.plan.seed, self._data_sha256)

    def _saved(self, variables: Mapping[str, Array]) -> modelfile.SavedModel:
        return modelfile.SavedModel(
            self.spec, self.plan, variables, self.train_config, self.outputs, self.params, self.history, __version__,
            self.vocabularies, self.provenance,
        )  # fmt: skip

    def _take_weights(self, sample_weight: Any) -> None:
        """Make the plan one that is fed weights of these outputs, if it is not yet."""
        if sample_weight is None:
            return
        names = weighted_outputs(sample_weight, self.outputs)
        if not takes_weights(self.plan, names):
            runtime = opened(self._execution, self.plan)
            self.session, self.outputs = recompiled(self.session, self.spec, self.params, names, runtime)

    def _training_samples(
        self, x: Any, y: Any, sample_weight: Any, validation_data: tuple[Any, ...] | None
    ) -> tuple[Samples, Samples | None]:
        if x is None and y is None and sample_weight is None and validation_data is None:
            dataset = self._dataset()
            self.vocabularies = dict(dataset.vocabularies)
            self._data_sha256 = self._own.hashes(self.plan.model)
            return dataset.train, dataset.validation
        learnt = from_texts(self.vocabularies) or None
        training = from_arrays(self.plan, self.outputs, x, y, sample_weight, encodings=learnt)
        self.vocabularies = dict(to_texts(training.encodings))
        if validation_data is None:
            return training, None
        return training, from_arrays(self.plan, self.outputs, *validation_data, encodings=training.encodings)

    def _dataset(self) -> Dataset:
        """The data that the spec names, its texts read as the training so far did."""
        return self._own.load(self.plan, self.outputs, from_texts(self.vocabularies))

    def _samples_to_judge(self, x: Any, y: Any, sample_weight: Any, split: str | None) -> Samples:
        if x is None and y is None and sample_weight is None:
            from .own_data import part_of

            return part_of(self._dataset(), split, self.plan.model)[1]
        if split is not None:
            raise UsageError(Diagnostic("E0822", "`split` is a part of the spec's data; it has no place beside arrays"))
        learnt = from_texts(self.vocabularies)
        return from_arrays(self.plan, self.outputs, x, y, sample_weight, encodings=learnt)
