"""Checkpoints: training goes on from any moment bit for bit; what is torn or tampered with is refused."""

from __future__ import annotations

import dataclasses
import os
import re
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnc
from nnc.grammar.diagnostics import DivergedError, NncError, UsageError
from nnc.runtime import modelfile, train
from nnc.runtime.checkpoint import Checkpoints, load_checkpoint
from nnc.runtime.data import Samples, from_arrays
from nnc.runtime.history import Epoch, History
from nnc.runtime.interrupt import Interrupted
from nnc.runtime.modelfile import SavedModel, variables_of
from nnc.runtime.reference import ReferenceRuntime
from nnc.runtime.reference.session import ReferenceSession

SPEC = """
model moment
input x: float32[3]
h = x -> Normalize -> Dense(6, tanh) -> Dropout(0.3) -> BatchNormalization
output y = h -> Dense(1) { loss = mse, metrics = [mae] }
train {
  optimizer = adam(learning_rate = plateau(0.01, monitor = val_loss, patience = 1, factor = 0.5))
  batch_size = 8
  epochs = 6
  seed = 3
  early_stopping = early_stopping(monitor = val_loss, patience = 3, restore_best = true)
  checkpoint = [every(epochs = 2), best(monitor = val_loss)]
}
"""
SMALL = 'model s\ninput x: float32[1]\noutput y = x -> Dense(1) { loss = mse }\ntrain { checkpoint = every }\n'


@dataclasses.dataclass
class Work:
    """A model, its samples, and how to write its checkpoints."""

    model: nnc.Model
    train: Samples
    validation: Samples
    folder: Path

    def checkpoints(self) -> Checkpoints:
        model = self.model
        saved = SavedModel(model.spec, model.plan, {}, model.train_config, model.outputs)
        return Checkpoints(model.train_config, saved, self.folder / "latest", self.folder / "best")


def work(folder: Path, text: str = SPEC, width: int = 3) -> Work:
    model = nnc.compile(text=text)
    x = np.random.default_rng(1).normal(size=(45, width)).astype(np.float32)
    y = np.sin(x.sum(axis=1))
    samples = from_arrays(model.plan, model.outputs, x, y)
    return Work(model, dataclasses.replace(samples, index=np.arange(35)),
                dataclasses.replace(samples, index=np.arange(35, 45)), folder)


@pytest.fixture(autouse=True)
def single_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call of the session for each step, however quick, so that every moment between two steps can be tried."""
    monkeypatch.setattr(train, "_CALL_SECONDS", 0.0)


class Counting:
    """Passes everything on to a session; asks for an end at one run of a program."""

    def __init__(self, session: ReferenceSession, stop: int) -> None:
        self._session, self._stop, self.runs = session, stop, 0
        self.plan = session.plan

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run(self, program: str, rows: Any) -> None:
        self._session.run(program, rows)
        self.runs += 1
        if self.runs == self._stop:
            os.kill(os.getpid(), signal.SIGINT)


def figures(history: History) -> list[dict[str, float]]:
    return [dict(epoch.figures) for epoch in history.epochs]


@pytest.mark.parametrize("text", [SPEC, SPEC.replace("epochs = 6", "epochs = 3, ema = 0.9, accumulate = 2")])
def test_training_goes_on_from_any_moment_bit_for_bit(tmp_path: Path, text: str) -> None:
    whole = work(tmp_path, text)
    counted = Counting(whole.model.session, 0)
    expected = train.fit(counted, whole.train, whole.validation, whole.model.train_config)
    variables = variables_of(whole.model.session)
    for stop in range(1, counted.runs):
        part = work(tmp_path, text)
        interrupted = Counting(part.model.session, stop)
        try:
            train.fit(interrupted, part.train, part.validation, part.model.train_config,
                      checkpoints=part.checkpoints())
        except Interrupted:
            saved, moment = load_checkpoint(tmp_path / "latest")
        else:    # asked for in the very last step, when nothing is left to interrupt
            assert stop >= counted.runs - 2
            continue
        session = ReferenceRuntime().prepare(saved.plan)
        history = train.fit(session, part.train, part.validation, saved.train, resume=moment)
        assert figures(history) == figures(expected), stop
        assert history.stopped == expected.stopped
        for name, value in variables_of(session).items():
            assert value.tobytes() == variables[name].tobytes(), (stop, name)


def test_the_spec_says_when_checkpoints_are_written(tmp_path: Path) -> None:
    part = work(tmp_path)
    seen: list[tuple[int, bool, bool]] = []

    def note(epoch: Epoch) -> None:
        seen.append((epoch.number, (tmp_path / "latest").exists(), (tmp_path / "best").exists()))

    history = train.fit(part.model.session, part.train, part.validation, part.model.train_config,
                        on_epoch=note, checkpoints=part.checkpoints())
    assert seen[:4] == [(1, False, False), (2, False, True), (3, True, True), (4, True, True)]
    _, best = load_checkpoint(tmp_path / "best")
    losses = history["val_loss"]
    assert best.epoch == losses.index(min(losses)) + 1
    _, latest = load_checkpoint(tmp_path / "latest")
    assert latest.epoch == len(history)
    assert latest.history.stopped == history.stopped.partition(";")[0]


def test_checkpoints_every_so_many_steps(tmp_path: Path) -> None:
    part = work(tmp_path, SPEC.replace("[every(epochs = 2), best(monitor = val_loss)]", "every(steps = 3)"))
    moments = []
    write = modelfile.save

    def save(path: Path, model: SavedModel) -> None:
        moments.append((model.progress["epoch"], model.progress["rows_done"]))
        write(path, model)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modelfile, "save", save)
        config = dataclasses.replace(part.model.train_config, epochs=2, early_stopping=None)
        train.fit(part.model.session, part.train, None, config, checkpoints=part.checkpoints())
    assert moments == [(0, 24), (1, 8), (1, 32), (2, 0)]


# --- what must not be believed --------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    part = work(folder, SMALL, width=1)
    train.fit(part.model.session, part.train, None, part.model.train_config, checkpoints=part.checkpoints())
    return folder / "latest"


def test_a_checkpoint_that_is_cut_off_anywhere_is_refused(small: Path, tmp_path: Path) -> None:
    content, torn = small.read_bytes(), tmp_path / "torn"
    for size in range(len(content)):
        torn.write_bytes(content[:size])
        with pytest.raises(NncError) as caught:
            load_checkpoint(torn)
        assert caught.value.diagnostics[0].code == "E0921", size
        assert str(torn) in caught.value.diagnostics[0].message


def loaded(path: Path) -> tuple[str, Any, Any]:
    try:
        return "", *load_checkpoint(path)
    except NncError as error:
        return error.diagnostics[0].code, None, None


def test_a_checkpoint_with_any_byte_flipped_is_refused_or_unchanged(small: Path, tmp_path: Path) -> None:
    """JSON has a few bytes that may differ without a difference: the space that pads the header is one."""
    content, flipped = small.read_bytes(), tmp_path / "flipped"
    original, moment = load_checkpoint(small)
    same = 0
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        flipped.write_bytes(changed)
        code, found, state = loaded(flipped)
        if code:
            assert code in {"E0921", "E0922", "E0923", "E0924"}, place
        else:
            same += 1
            assert (found.spec, found.plan, found.train, found.progress) == (
                original.spec, original.plan, original.train, original.progress)
            assert {k: v.tobytes() for k, v in state.variables.items()} == {
                k: v.tobytes() for k, v in moment.variables.items()}
    assert same < 10


@pytest.mark.parametrize(
    "change",
    [
        lambda model: {"progress": {**model.progress, "epoch": -1}},
        lambda model: {"progress": {**model.progress, "epoch": 9}},
        lambda model: {"progress": {**model.progress, "watches": 3}},
        lambda model: {"progress": {"epoch": 1}},
        lambda model: {"progress_arrays": {}},
        lambda model: {"progress_arrays": {**model.progress_arrays, "kept/none": np.zeros(1)}},
        lambda model: {"progress_arrays": {name: np.zeros((7, 7)) for name in model.progress_arrays}},
    ],
)
def test_a_checkpoint_that_contradicts_itself_is_refused(
    small: Path, tmp_path: Path, change: Callable[[SavedModel], dict[str, Any]]
) -> None:
    model = modelfile.load(small)
    modelfile.save(tmp_path / "changed", dataclasses.replace(model, **change(model)))
    with pytest.raises(NncError) as caught:
        load_checkpoint(tmp_path / "changed")
    assert caught.value.diagnostics[0].code == "E0924"


def test_a_model_is_no_checkpoint(small: Path, tmp_path: Path) -> None:
    modelfile.save(tmp_path / "model", dataclasses.replace(modelfile.load(small), progress={}, progress_arrays={}))
    with pytest.raises(NncError) as caught:
        load_checkpoint(tmp_path / "model")
    assert caught.value.diagnostics[0].code == "E0925"


# --- a full disk ----------------------------------------------------------------------------------------------------
@contextmanager
def largest_file(size_bytes: int) -> Iterator[None]:
    """No file can grow beyond this, which fails a write as a full disk does: in its middle."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size_bytes", [0, 100, 4096])
def test_a_full_disk_loses_nothing_that_was_saved(tmp_path: Path, size_bytes: int) -> None:
    part = work(tmp_path)
    kept: dict[str, bytes] = {}

    def fill(epoch: Epoch) -> None:
        if epoch.number == 3:
            kept.update({path.name: path.read_bytes() for path in tmp_path.iterdir()})
            resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    with largest_file(1 << 30), pytest.raises(UsageError) as caught:
        train.fit(part.model.session, part.train, part.validation, part.model.train_config,
                  on_epoch=fill, checkpoints=part.checkpoints())
    found = caught.value.diagnostics[0]
    assert found.code == "E0807"
    assert "file too large" in found.message
    assert "stands as it was" in found.notes[0]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == kept
    assert load_checkpoint(tmp_path / "latest")[1].epoch == 2


# --- NaN and infinity -----------------------------------------------------------------------------------------------
def test_divergence_names_the_step_and_the_tensor_and_leaves_the_model_before_it(tmp_path: Path) -> None:
    text = SMALL.replace("Dense(1)", "Dense(4, exponential) -> Dense(1)").replace(
        "checkpoint = every", "optimizer = sgd(learning_rate = 30), batch_size = 8, shuffle = false, epochs = 3")
    part = work(tmp_path, text, width=1)
    with pytest.raises(DivergedError) as caught:
        train.fit(part.model.session, part.train, None, part.model.train_config)
    found = caught.value.diagnostics[0]
    assert found.place is not None
    epoch, step = (int(number) for number in re.findall(r"\d+", found.place)[:2])
    assert "the first tensor to break is" in found.notes[0]
    assert "layer `y" in found.notes[0]
    assert float(part.model.session.read("step")) == (epoch - 1) * 5 + step - 1
    assert all(np.isfinite(value).all() for value in variables_of(part.model.session).values())


def test_a_gradient_that_breaks_in_the_very_last_step_is_noticed(tmp_path: Path) -> None:
    text = SMALL.replace("checkpoint = every", "optimizer = sgd(learning_rate = 1e38), batch_size = 64, epochs = 1")
    part = work(tmp_path, text, width=1)
    part.train.feeds["target.y"][...] *= 1e6
    with pytest.raises(DivergedError) as caught:
        train.fit(part.model.session, part.train, None, part.model.train_config)
    found = caught.value.diagnostics[0]
    assert "the weights are no longer finite" in found.message
    assert "`y." in found.notes[0]
