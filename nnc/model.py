"""The Python API: `compile` a spec or `load` a file, then fit, evaluate, predict and save.

A `Model` is a plan prepared by a runtime, with what belongs to it. Arrays go in and out by the names of the spec.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnc import __version__
from nnc.compiler.options import CompileOptions, DataConfig, OutputConfig, Split, TrainConfig, Value
from nnc.compiler.plan import Plan
from nnc.grammar.diagnostics import Diagnostic, UsageError
from nnc.grammar.source import SourceFile
from nnc.runtime import modelfile, train
from nnc.runtime.checkpoint import load_model
from nnc.runtime.data import Dataset, Samples, from_arrays
from nnc.runtime.data import load as load_data
from nnc.runtime.data.encoding import from_texts, to_texts
from nnc.runtime.data.order import split_rows
from nnc.runtime.history import Epoch, History
from nnc.runtime.progress import progress_for
from nnc.runtime.protocol import Array, Runtime, Session

from .sample_weights import recompiled, takes_weights, weighted_outputs
from .weights import Weights

if TYPE_CHECKING:
    from nnc.compiler.pipeline import Compiled

OnEpoch = Callable[[int, Mapping[str, float]], bool | None]


def compile(
    spec: str | Path | SourceFile | None = None,
    *,
    text: str | None = None,
    params: Mapping[str, object] | None = None,
    batch_size: int | str | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    max_memory_bytes: int | None = None,
    runtime: str = "reference",
) -> Model:
    """Compile a spec, given as a path, as the name of a bundled one, or as `text`, and make it ready to run.

    params: values for the spec's `param`s. batch_size ("auto": the largest that `max_memory_bytes` allows), epochs and
    seed go before those of the spec's `train` section. runtime: what executes the plan: "reference" runs everywhere.
    Raises: NncError with every diagnostic of the spec; BudgetError above `max_memory_bytes`.
    """
    from nnc.compiler.pipeline import compile_source

    source = _source(spec, text)
    options = CompileOptions(dict(params or {}), batch_size, epochs, seed, max_memory_bytes)
    return Model.of(compile_source(source, options), runtime)


def load(path: str | Path, *, runtime: str = "reference") -> Model:
    """A model from a file that `Model.save` or `nnc run` wrote. Raises: DataError E0920-E0924."""
    saved = load_model(path)
    session = _runtime(runtime).prepare(saved.plan)
    modelfile.write_variables(session, saved.variables)
    return Model(
        session, saved.spec, saved.train, saved.outputs, saved.params, saved.history,
        runtime=runtime, vocabularies=saved.vocabularies,
    )  # fmt: skip


def _source(spec: str | Path | SourceFile | None, text: str | None) -> SourceFile:
    if (spec is None) == (text is None):
        raise UsageError(Diagnostic("E0822", "`compile` takes a path or `text=`, one of the two"))
    if isinstance(spec, SourceFile):
        return spec
    if text is not None:
        return SourceFile("<text>", text)
    from .commands.sources import read_source

    return read_source(str(spec))


def _runtime(name: str) -> Runtime:
    if name != "reference":
        raise UsageError(Diagnostic("E0823", f"there is no runtime `{name}`", notes=("there is `reference`",)))
    from nnc.runtime.reference import ReferenceRuntime

    return ReferenceRuntime()


class Model:
    """A network ready to be trained and used. Made by `nnc.compile` and `nnc.load`; can be pickled and copied.

    `history` holds every epoch so far, over all calls of `fit` and over saving and loading. `spec` is the canonical
    text, `params` the values of its `param`s, `vocabularies` the texts that numbers stand for, by input or output.
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
        runtime: str = "reference",
        vocabularies: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.session = session
        self.spec = spec
        self.train_config = train_config
        self.outputs = outputs
        self.params = params
        self.history = history if history is not None else History()
        self.vocabularies = dict(vocabularies or {})
        self._data = data
        self._base_dir = base_dir if base_dir is not None else Path()
        self._runtime_name = runtime
        self._lock = threading.RLock()

    @classmethod
    def of(cls, compiled: Compiled, runtime: str = "reference") -> Model:
        """The model of a compiled spec, with initial weights."""
        from nnc.grammar.format import format_module

        network = compiled.network
        base_dir = network.source.path.parent if network.source.path is not None else Path()
        session = _runtime(runtime).prepare(compiled.plan)
        spec = format_module(compiled.module)
        return cls(session, spec, network.train, network.outputs, network.params, None, network.data, base_dir, runtime)

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
        self._lock = threading.RLock()
        self.session = _runtime(self._runtime_name).prepare(plan)
        modelfile.write_variables(self.session, variables)

    @property
    def plan(self) -> Plan:
        """The static plan that the model runs: its programs, buffers, inputs and outputs."""
        return self.session.plan

    @property
    def weights(self) -> Weights:
        """Kernels, biases and statistics by name; assign to an entry, or a dict to all or some of them."""
        return Weights(self.session, self._lock)

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
        validation_data: tuple[Any, Any] | None = None,
        validation_split: float = 0.0,
        on_epoch: OnEpoch | None = None,
        verbose: bool | str = True,
    ) -> History:
        """Train on arrays by name, or without any on the data that the spec names; gives the history of this call.

        x, y: {"wide": a, "deep": b}, {"main": y}; one array will do where there is one input or output. A second call
        goes on where the first ended. epochs: how many, instead of the spec's. sample_weight: {"main": w} or an array,
        a factor of at least 0 for each row's loss. validation_data: a pair (x, y) to judge each epoch by.
        validation_split: or the share of the rows to hold out for it, chosen by the seed. on_epoch: a
        function called as on_epoch(epoch, figures) after each; if it returns true, training ends. verbose: False for
        silence, "plain" for lines instead of a bar, on stderr.
        Raises: DataError E0701-E0718 before the first step; DivergedError E0690; KeyboardInterrupt after a whole step.
        """
        config = self.train_config
        if epochs is not None:
            config = dataclasses.replace(config, epochs=_at_least_one(epochs))
        with self._lock:
            self._take_weights(sample_weight)
            training, validation = self._training_samples(x, y, sample_weight, validation_data)
            if validation_split:
                training, validation = self._held_out(training, validation, validation_split)

            def note(epoch: Epoch) -> bool | None:
                self.history.epochs.append(epoch)
                return None if on_epoch is None else on_epoch(epoch.number, epoch.figures)

            done = self.history.epochs[-1].number if self.history.epochs else 0
            result = train.fit(
                self.session,
                training,
                validation,
                config,
                progress_for(verbose=verbose),
                first_epoch=done,
                on_epoch=note,
            )
            self.history.stopped = result.stopped
        return result

    def evaluate(self, x: Any = None, y: Any = None, *, sample_weight: Any = None) -> dict[str, Any]:
        """`loss`, the total, then every loss, metric and regulariser by name; dropout and the like are off.

        Without arrays: of the test data that the spec names. sample_weight: as for `fit`. The total is the sum of
        weight * loss, and regularisers. All are numbers but the metric `confusion`: int64[classes, classes], a row
        for each true class.
        """
        with self._lock:
            self._take_weights(sample_weight)
            report = train.evaluate(self.session, self._test_samples(x, y, sample_weight))
        return {**report.figures(), **report.tables}

    def predict(self, x: Any) -> dict[str, Array] | Array:
        """Each output's value by name, or the one array of a model with one output; one row per sample."""
        samples = from_arrays(
            self.plan, self.outputs, x, needs_targets=False, encodings=from_texts(self.vocabularies)
        )
        with self._lock:
            results = train.predict(self.session, samples)
        return results if len(results) > 1 else next(iter(results.values()))

    def summary(self) -> None:
        """Print a table: layers, what they read, shapes, parameters, work and memory."""
        from nnc.compiler.emit.summary import render_summary, summarize
        from nnc.compiler.pipeline import compile_source

        options = CompileOptions(dict(self.params), self.plan.batch_size, None, self.plan.seed)
        print(render_summary(summarize(compile_source(SourceFile("<model>", self.spec), options))))

    def save(self, path: str | Path) -> None:
        """Write the model as one `.safetensors` file, with all it takes to predict and to train on.

        Raises: UsageError E0807 where the file cannot be written.
        """
        with self._lock:
            saved = modelfile.SavedModel(
                self.spec,
                self.plan,
                modelfile.variables_of(self.session),
                self.train_config,
                self.outputs,
                self.params,
                self.history,
                __version__,
                self.vocabularies,
            )
        modelfile.save(path, saved)

    def _take_weights(self, sample_weight: Any) -> None:
        """Make the plan one that is fed weights of these outputs, if it is not yet."""
        if sample_weight is None:
            return
        names = weighted_outputs(sample_weight, self.outputs)
        if not takes_weights(self.plan, names):
            runtime = _runtime(self._runtime_name)
            self.session, self.outputs = recompiled(self.session, self.spec, self.params, names, runtime)

    def _training_samples(
        self, x: Any, y: Any, sample_weight: Any, validation_data: tuple[Any, Any] | None
    ) -> tuple[Samples, Samples | None]:
        if x is None and y is None and sample_weight is None and validation_data is None:
            dataset = self._dataset()
            self.vocabularies = dict(dataset.vocabularies)
            return dataset.train, dataset.validation
        learnt = from_texts(self.vocabularies) or None
        training = from_arrays(self.plan, self.outputs, x, y, sample_weight, encodings=learnt)
        self.vocabularies = dict(to_texts(training.encodings))
        if validation_data is None:
            return training, None
        if not isinstance(validation_data, tuple) or len(validation_data) != 2:
            raise UsageError(Diagnostic("E0822", "`validation_data` is a pair (x, y)"))
        return training, from_arrays(self.plan, self.outputs, *validation_data, encodings=training.encodings)

    def _dataset(self) -> Dataset:
        """The data that the spec names, its texts read as the training so far did."""
        learnt = from_texts(self.vocabularies) or None
        return load_data(self._data, self.plan, self._base_dir, self.outputs, learnt)

    def _held_out(self, training: Samples, validation: Samples | None, share: float) -> tuple[Samples, Samples]:
        """Part of the rows for training, the rest for validation, the same in every call."""
        if validation is not None:
            raise UsageError(Diagnostic("E0822", "`validation_split` has no place beside validation data"))
        if not isinstance(share, int | float) or not 0 < share < 1:
            note = "expected a share of the rows, such as 0.2"
            raise UsageError(Diagnostic("E0822", f"`validation_split` is {share!r}", notes=(note,)))
        kept, held_out, _ = split_rows(len(training), Split(validation=share, seed=self.train_config.seed))
        if not len(kept) or not len(held_out):
            note = f"it leaves {len(kept)} rows to train on and {len(held_out)} to validate with"
            raise UsageError(Diagnostic("E0822", f"`validation_split` is {share!r}", notes=(note,)))
        first, second = (dataclasses.replace(training, index=training.index[rows]) for rows in (kept, held_out))
        return first, second

    def _test_samples(self, x: Any, y: Any, sample_weight: Any) -> Samples:
        if x is not None or y is not None or sample_weight is not None:
            return from_arrays(
                self.plan, self.outputs, x, y, sample_weight, encodings=from_texts(self.vocabularies)
            )
        dataset = self._dataset()
        if dataset.test is None:
            raise UsageError(
                Diagnostic(
                    "E0822",
                    "the spec names no test data",
                    helps=(
                        "add `test { ... }` or `split { test = 20% }` to `data`, or give arrays: model.evaluate(x, y)",
                    ),
                )
            )
        return dataset.test


def _at_least_one(epochs: int) -> int:
    if not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 1:
        note = "expected a whole number of at least 1"
        raise UsageError(Diagnostic("E0822", f"`epochs` is {epochs!r}", notes=(note,)))
    return epochs
