"""Weights of samples from Python: what they do to losses and training, and that a model takes them at any time."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnc
from nnc.grammar.diagnostics import NncError

SPEC = """
input x: float32[2]
h = x -> Dense(4, tanh)
output main = h -> Dense(1) { loss = mse }
output aux = h -> Dense(1) { loss = mae, weight = 0.5 }
train { optimizer = adam(learning_rate = 0.01), batch_size = 8, epochs = 3, shuffle = false, seed = 3 }
"""
RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 2))
Y = {"main": X[:, 0], "aux": X[:, 1]}
W = RNG.uniform(0, 2, 24)


def fitted(**arguments: Any) -> nnc.Model:
    model = nnc.compile(text=SPEC)
    model.fit(X, Y, verbose=False, **arguments)
    return model


def test_weights_of_one_change_nothing() -> None:
    plain, ones = fitted(), fitted(sample_weight={"main": np.ones(24), "aux": np.ones(24)})
    np.testing.assert_allclose(ones.weights["main.kernel"], plain.weights["main.kernel"], rtol=1e-6)


def test_each_row_counts_its_weight_in_the_loss() -> None:
    model = fitted()
    found = model.evaluate(X, Y, sample_weight={"main": W})
    predicted = model.predict(X)
    assert isinstance(predicted, dict)
    errors = (predicted["main"][:, 0] - Y["main"]) ** 2
    assert found["main.loss"] == pytest.approx(np.mean(W * errors), rel=1e-5)
    assert found["aux.loss"] == pytest.approx(np.mean(np.abs(predicted["aux"][:, 0] - Y["aux"])), rel=1e-5)
    assert model.evaluate(X, Y)["main.loss"] == pytest.approx(np.mean(errors), rel=1e-5)


def test_a_row_of_weight_zero_teaches_nothing() -> None:
    """Other targets in the rows that do not count give the same model."""
    weight = (np.arange(24) % 2).astype(float)
    other = {name: np.where(weight > 0, y, 99.0) for name, y in Y.items()}
    one, two = nnc.compile(text=SPEC), nnc.compile(text=SPEC)
    both = {"main": weight, "aux": weight}
    one.fit(X, Y, sample_weight=both, verbose=False)
    two.fit(X, other, sample_weight=both, verbose=False)
    np.testing.assert_array_equal(one.weights["main.kernel"], two.weights["main.kernel"])
    assert not np.array_equal(one.weights["main.kernel"], fitted().weights["main.kernel"])


def test_a_model_takes_weights_in_the_middle_of_its_training(tmp_path: Path) -> None:
    """Optimizer state and step go on: weights of one from the second call on are as none at all."""
    model = fitted()
    model.fit(X, Y, sample_weight={"aux": np.ones(24)}, verbose=False)
    plain = fitted()
    plain.fit(X, Y, verbose=False)
    np.testing.assert_allclose(model.weights["main.kernel"], plain.weights["main.kernel"], rtol=1e-6)
    assert len(model.history) == 6
    model.save(tmp_path / "m")
    again = nnc.load(tmp_path / "m")
    again.fit(X, Y, epochs=1, sample_weight={"aux": W, "main": W}, verbose=False)
    assert len(again.history) == 7


def test_validation_data_has_weights_of_its_own() -> None:
    """Of one output or of both, whether training has any or not; without them every row of it counts 1."""
    for given in ({"main": W}, {"main": W, "aux": W[::-1]}):
        model = nnc.compile(text=SPEC)
        history = model.fit(X, Y, validation_data=(X, Y, given), verbose=False)
        found = model.evaluate(X, Y, sample_weight=given)
        for name in ("main.loss", "aux.loss"):
            assert history[f"val_{name}"][-1] == pytest.approx(found[name], rel=1e-6)
        np.testing.assert_allclose(model.weights["main.kernel"], fitted().weights["main.kernel"], rtol=1e-6)
    assert found["aux.loss"] != pytest.approx(model.evaluate(X, Y)["aux.loss"], rel=1e-2)
    weighted = nnc.compile(text=SPEC)
    history = weighted.fit(X, Y, sample_weight={"main": W}, validation_data=(X, Y), verbose=False)
    assert history["val_main.loss"][-1] == pytest.approx(weighted.evaluate(X, Y)["main.loss"], rel=1e-6)


@pytest.mark.parametrize(
    ("given", "code"), [((X, Y, {"mian": W}), "E0705"), ((X, Y, {"main": -W}), "E0713"), ((X,), "E0822"), (X, "E0822")]
)
def test_wrong_weights_of_validation_data_are_refused(given: Any, code: str) -> None:
    with pytest.raises(NncError) as caught:
        fitted(validation_data=given)
    assert [diagnostic.code for diagnostic in caught.value.diagnostics] == [code]


def test_a_bare_array_is_for_the_only_output() -> None:
    model = nnc.compile(text="input x: float32[2]\noutput y = x -> Dense(1) { loss = mse }\n")
    found = model.evaluate(X, Y["main"], sample_weight=2 * np.ones(24))["loss"]
    assert found == pytest.approx(2 * model.evaluate(X, Y["main"])["loss"], rel=1e-6)


@pytest.mark.parametrize(
    ("weight", "code", "what"),
    [(W, "E0704", 'sample_weight = {"main": ..., "aux": ...}'), ({"mian": W}, "E0705", "did you mean `main`"),
     ({"main": W[:5]}, "E0706", "5 rows"), ({"main": -W}, "E0713", "main"), ({"main": W * np.nan}, "E0712", "main")],
)  # fmt: skip
def test_wrong_weights_are_refused(weight: Any, code: str, what: str) -> None:
    with pytest.raises(NncError, match=re.escape(what)) as caught:
        fitted(sample_weight=weight)
    assert [diagnostic.code for diagnostic in caught.value.diagnostics] == [code]
