"""Moving averages of weights: validation judges them, training leaves them, and training itself does not see them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from nnc.making import compile as compile_model
from nnc.making import load
from nnc.model import Model
from nnc.runtime import modelfile, train
from nnc.runtime.checkpoint import Checkpoints, load_checkpoint
from nnc.runtime.data import from_arrays
from nnc.runtime.history import Epoch
from nnc.runtime.interrupt import Interrupted
from nnc.runtime.modelfile import SavedModel
from nnc.runtime.reference import ReferenceRuntime

X = np.random.default_rng(5).normal(size=(20, 3)).astype("float32")
Y = (X @ np.array([[1.0], [-2.0], [0.5]], "float32") + 1).astype("float32")


def trained(train: str, epochs: int = 3) -> tuple[Model, list[dict[str, float]]]:
    network = "input x: float32[3]\noutput y = x -> Dense(1) { loss = mse }"
    text = f"{network}\ntrain {{ {train}, batch_size = 4, seed = 2 }}\n"
    model = compile_model(text=text, epochs=epochs)
    history = model.fit(X, Y, validation_data=(X, Y), verbose=False)
    return model, [dict(epoch.figures) for epoch in history.epochs]


def test_validation_judges_the_averages_and_training_goes_on_from_the_weights() -> None:
    plain, without = trained("optimizer = sgd(0.05)")
    averaged, figures = trained("optimizer = sgd(0.05), ema = 0.9")
    assert [f["loss"] for f in figures] == pytest.approx([f["loss"] for f in without], rel=1e-6)
    assert all(f["val_loss"] > g["val_loss"] for f, g in zip(figures, without, strict=True))
    np.testing.assert_array_equal(averaged.weights["y.kernel"], averaged.session.read("y.kernel.average"))
    assert averaged.evaluate(X, Y)["loss"] == figures[-1]["val_loss"]
    assert (plain.weights["y.kernel"] != averaged.weights["y.kernel"]).any()


def test_the_best_weights_are_the_averages_of_the_best_epoch() -> None:
    stopping = "early_stopping = early_stopping(patience = 2, restore_best = true)"
    model, figures = trained(f"optimizer = sgd(1.1), ema = 0.5, {stopping}", epochs=12)
    losses = [f["val_loss"] for f in figures]
    assert losses.index(min(losses)) < len(losses) - 1
    assert model.evaluate(X, Y)["loss"] == pytest.approx(min(losses), rel=1e-6)


def test_before_the_first_step_there_is_no_average() -> None:
    text = "input x: float32[3]\noutput y = x -> Dense(1) { loss = mse }\ntrain { ema = 0.9 }\n"
    model = compile_model(text=text)
    assert np.any(model.weights["y.kernel"])
    assert np.any(model.predict(X))


TEXT = """
input x: float32[3]
output y = x -> Dense(1) { loss = mse }
train { optimizer = sgd(0.05), batch_size = 4, epochs = 4, seed = 2, ema = 0.9, checkpoint = every }
"""


def test_a_checkpoint_that_is_used_has_the_averages_and_one_that_goes_on_the_weights(tmp_path: Path) -> None:
    whole = compile_model(text=TEXT)
    whole.fit(X, Y, verbose=False)
    part = compile_model(text=TEXT)
    latest = tmp_path / "latest.safetensors"
    saved = SavedModel(part.spec, part.plan, {}, part.train_config, part.outputs)
    samples = from_arrays(part.plan, part.outputs, X, Y)

    def end(epoch: Epoch) -> None:
        if epoch.number == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        train.fit(part.session, samples, None, part.train_config, on_epoch=end,
                  checkpoints=Checkpoints(part.train_config, saved, latest, tmp_path / "best"))
    raw = modelfile.load(latest).variables
    used = load(latest)
    np.testing.assert_array_equal(used.weights["y.kernel"], raw["y.kernel.average"])
    assert (raw["y.kernel"] != raw["y.kernel.average"]).any()
    expected = X @ raw["y.kernel.average"] + raw["y.bias.average"]
    np.testing.assert_allclose(used.predict(X), expected, rtol=1e-5)
    stopped_there = compile_model(text=TEXT, epochs=2)
    stopped_there.fit(X, Y, verbose=False)
    np.testing.assert_array_equal(used.predict(X), stopped_there.predict(X))

    again, moment = load_checkpoint(latest)
    session = ReferenceRuntime().prepare(again.plan)
    train.fit(session, samples, None, again.train, resume=moment)
    assert {name: value.tobytes() for name, value in modelfile.variables_of(session).items()} == {
        name: value.tobytes() for name, value in modelfile.variables_of(whole.session).items()}


def test_a_checkpoint_before_the_first_step_has_the_weights_that_training_begins_with(tmp_path: Path) -> None:
    model = compile_model(text=TEXT)
    variables = modelfile.variables_of(model.session)
    progress = {"epoch": 0}
    saved = SavedModel(model.spec, model.plan, variables, model.train_config, model.outputs, progress=progress)
    modelfile.save(tmp_path / "begun", saved)
    np.testing.assert_array_equal(load(tmp_path / "begun").weights["y.kernel"], variables["y.kernel"])
