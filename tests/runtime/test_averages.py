"""Moving averages of weights: validation judges them, training leaves them, and training itself does not see them."""

from __future__ import annotations

import numpy as np
import pytest

from nnc.model import Model
from nnc.model import compile as compile_model

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
