"""Callbacks, validation from Python, and the history: its figures, its columns, its curves."""

from __future__ import annotations

import math
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnc
from nnc.grammar.diagnostics import MissingPackageError, NncError
from nnc.runtime.history import Epoch, Epochs, History

SPEC = """
input x: float32[2]
output y = x -> Dense(1) { loss = mse, metrics = [mae] }
train { optimizer = sgd(learning_rate = 0.01), batch_size = 4, epochs = 5, seed = 3 }
"""
X = np.arange(40.0).reshape(20, 2) / 40
Y = X.sum(axis=1)
HISTORY = History(
    [Epoch(1, {"loss": 2.0}, 0.5), Epoch(2, {"loss": 1.0, "val_loss": math.nan}, 0.25), Epoch(3, {"loss": 0.5}, 0.125)],
    "stopped",
)


@pytest.fixture
def model() -> nnc.Model:
    return nnc.compile(text=SPEC)


def codes(caught: pytest.ExceptionInfo[NncError]) -> list[str]:
    return [diagnostic.code for diagnostic in caught.value.diagnostics]


def test_on_epoch_is_told_every_epoch(model: nnc.Model) -> None:
    told: list[tuple[int, Mapping[str, float]]] = []
    history = model.fit(X, Y, validation_data=(X, Y), on_epoch=lambda e, f: told.append((e, f)), verbose=False)
    assert told == [(epoch.number, epoch.figures) for epoch in history.epochs]
    assert [number for number, _ in told] == [1, 2, 3, 4, 5]
    assert set(told[0][1]) == {"loss", "y.loss", "y.mae", "val_loss", "val_y.loss", "val_y.mae"}
    model.fit(X, Y, epochs=1, on_epoch=lambda e, f: told.append((e, f)), verbose=False)
    assert told[-1][0] == 6


def test_on_epoch_ends_training_and_may_use_the_model(model: nnc.Model) -> None:
    seen: list[Any] = []

    def stop_at_two(epoch: int, figures: Mapping[str, float]) -> bool:
        seen.append((model.predict(X), model.evaluate(X, Y)["loss"], model.weights["y.bias"], len(model.history)))
        return epoch == 2

    history = model.fit(X, Y, on_epoch=stop_at_two, verbose=False)
    assert len(history) == len(seen) == 2
    assert history.stopped == "stopped after epoch 2: `on_epoch` asked for it"
    assert [length for *_, length in seen] == [1, 2]
    other = nnc.compile(text=SPEC)
    other.fit(X, Y, epochs=2, verbose=False)
    np.testing.assert_array_equal(other.predict(X), seen[-1][0])


def test_an_exception_in_on_epoch_reaches_the_caller(model: nnc.Model) -> None:
    def fail(epoch: int, figures: Mapping[str, float]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        model.fit(X, Y, on_epoch=fail, verbose=False)
    model.fit(X, Y, epochs=1, verbose=False)
    assert len(model.history) == 2


def test_on_batch_is_told_every_step_with_its_loss(model: nnc.Model) -> None:
    told: list[tuple[int, float]] = []
    history = model.fit(X, Y, epochs=2, on_batch=lambda step, loss: told.append((step, loss)), verbose=False)
    assert [step for step, _ in told] == list(range(1, 11))
    for number, epoch in enumerate(history.epochs):    # batches of equal size: an epoch's loss is their mean
        losses = [loss for _, loss in told[5 * number : 5 * number + 5]]
        assert epoch.figures["loss"] == pytest.approx(np.mean(losses), rel=1e-6)
    model.fit(X, Y, epochs=1, on_batch=lambda step, loss: told.append((step, loss)), verbose=False)
    assert told[-1][0] == 15


def test_on_batch_ends_training_after_its_step(model: nnc.Model) -> None:
    history = model.fit(X, Y, validation_data=(X, Y), on_batch=lambda step, loss: step == 7, verbose=False)
    assert len(history) == len(model.history) == 2
    assert history.stopped == model.history.stopped == "stopped in epoch 2, after step 7: `on_batch` asked for it"
    assert float(model.session.read("step")) == 7
    assert history["val_loss"][-1] == model.evaluate(X, Y)["loss"]    # an epoch that is cut short is judged too
    model.fit(X, Y, epochs=1, verbose=False)
    assert (len(model.history), model.history.stopped) == (3, "")


def test_on_batch_may_use_the_model_and_changes_nothing(model: nnc.Model) -> None:
    seen: list[Any] = []
    other = X[:3] + 1

    def look(step: int, loss: float) -> None:
        seen.append((model.predict(other), model.evaluate(other, Y[:3])["loss"], model.weights["y.bias"]))

    history = model.fit(X, Y, validation_data=(X, Y), on_batch=look, verbose=False)
    plain = nnc.compile(text=SPEC)
    expected = plain.fit(X, Y, validation_data=(X, Y), verbose=False)
    assert [epoch.figures for epoch in history.epochs] == [epoch.figures for epoch in expected.epochs]
    np.testing.assert_array_equal(model.predict(X), plain.predict(X))
    assert len(seen) == 25


def test_a_share_of_the_rows_is_held_out() -> None:
    """The same rows in every call with the same seed, and training is as if they were not there."""
    one, two = nnc.compile(text=SPEC), nnc.compile(text=SPEC)
    first = one.fit(X, Y, validation_split=0.25, verbose=False)
    second = two.fit(X, Y, epochs=2, validation_split=0.25, verbose=False)
    assert first["val_loss"][:2] == second["val_loss"]
    from nnc.compiler.options import Split
    from nnc.runtime.data.order import split_rows

    kept, held_out, _ = split_rows(20, Split(validation=0.25, seed=3))
    assert len(held_out) == 5
    three = nnc.compile(text=SPEC)
    third = three.fit(X[kept], Y[kept], epochs=2, validation_data=(X[held_out], Y[held_out]), verbose=False)
    assert third["val_loss"] == second["val_loss"]
    assert third["loss"] == second["loss"]


@pytest.mark.parametrize("share", [1, 1.5, -0.1, "a", True, 0.01])
def test_a_split_without_rows_is_refused(model: nnc.Model, share: Any) -> None:
    with pytest.raises(NncError) as caught:
        model.fit(X, Y, validation_split=share, verbose=False)
    assert codes(caught) == ["E0822"]
    assert not model.history
    with pytest.raises(NncError, match="no place beside"):
        model.fit(X, Y, validation_data=(X, Y), validation_split=0.2, verbose=False)


def test_history_is_a_table() -> None:
    columns = HISTORY.columns()
    assert list(columns) == ["epoch", "loss", "val_loss", "seconds"]
    assert columns["epoch"] == [1, 2, 3]
    assert columns["loss"] == HISTORY["loss"] == [2.0, 1.0, 0.5]
    assert [math.isnan(value) for value in columns["val_loss"]] == [True, True, True]
    assert len(HISTORY["val_loss"]) == 1
    assert HISTORY.last() == {"loss": 0.5}
    assert HISTORY.names() == ("loss", "val_loss")
    assert repr(HISTORY) == "History(3 epochs: loss, val_loss)"


def test_epochs_are_a_sequence() -> None:
    given = [Epoch(1, {"a": 1.0}, 0.5), Epoch(2, {"b": 2.0, "a": 3.0}, 0.25), Epoch(4, {}, 0.0)]
    epochs = Epochs(given)
    assert list(epochs) == given
    assert epochs == given
    assert epochs[-1] == given[-1]
    assert epochs[1:] == given[1:]
    assert epochs.names() == ("a", "b")
    with pytest.raises(IndexError):
        epochs[3]
    assert History(given, "x") == History(given, "x") != History(given, "y")
    assert not History()
    assert History.from_json(History(given).to_json()) == pickle.loads(pickle.dumps(History(given))) == History(given)


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_curves_are_drawn(model: nnc.Model, tmp_path: Path, ending: str) -> None:
    history = model.fit(X, Y, validation_split=0.25, verbose=False)
    figure = history.plot(tmp_path / f"curves.{ending}")
    # the loss of the one output is the total, and is not drawn again
    assert [axes.get_title() for axes in figure.axes] == ["loss", "y.mae"]
    for axes in figure.axes:
        training, validation = axes.get_lines()
        assert list(training.get_xdata()) == [1, 2, 3, 4, 5]
        assert list(training.get_ydata()) == history[axes.get_title()]
        assert list(validation.get_ydata()) == history[f"val_{axes.get_title()}"]
    assert (tmp_path / f"curves.{ending}").stat().st_size > 1000


def test_plots_that_cannot_be_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NncError, match="no epochs") as caught:
        History().plot()
    assert codes(caught) == ["E0822"]
    for path, what in ((tmp_path / "a" / "b.png", "no such file"), (tmp_path / "a.xyz", "names no format")):
        with pytest.raises(NncError, match=what) as caught:
            HISTORY.plot(path)
        assert codes(caught) == ["E0807"]
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingPackageError, match=r"nnc\[plot\]") as missing:
        HISTORY.plot()
    assert isinstance(missing.value, ImportError)
    assert codes(missing) == ["E0824"]
