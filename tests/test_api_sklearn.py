"""The scikit-learn estimators: scikit-learn's own checks, its tools around them, specs, and what is refused."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import nnc
from nnc.grammar.diagnostics import NncError
from nnc.sklearn import NNClassifier, NNRegressor

IRIS = load_iris(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)
SPEC = """
param units: int = 4
input x: float32[4]
output kind = x -> Normalize -> Dense(units, relu) -> Dense({width}, {activation}) {{ loss = {loss} }}
train {{ optimizer = adam(learning_rate = 0.02), epochs = 20, seed = 3 }}
"""


@parametrize_with_checks([NNClassifier(), NNRegressor()])    # type: ignore[untyped-decorator]
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def codes(caught: pytest.ExceptionInfo[NncError]) -> list[str]:
    return [diagnostic.code for diagnostic in caught.value.diagnostics]


def test_labels_may_be_words() -> None:
    X, y = IRIS
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    model = NNClassifier(learning_rate=0.01, epochs=30, random_state=0).fit(X, names)
    assert list(model.classes_) == ["setosa", "versicolor", "virginica"]
    assert model.score(X, names) > 0.95
    assert model.predict_proba(X).shape == (150, 3)
    assert isinstance(model.model_, nnc.Model)
    assert model.n_epochs_ == len(model.history_) == 30
    assert model.n_features_in_ == 4


def test_cross_validation_and_pipelines() -> None:
    network = NNClassifier(16, learning_rate=0.03, epochs=30, random_state=0)
    scores = cross_val_score(make_pipeline(StandardScaler(), network), *IRIS, cv=3)
    assert scores.min() > 0.85
    scores = cross_val_score(NNRegressor((), epochs=30, learning_rate=0.03, random_state=0), *DIABETES, cv=3)
    assert scores.min() > 0.35


def test_grid_search_finds_the_network_that_learns() -> None:
    grid = {"hidden": [(8,), (16, 8)], "learning_rate": [1e-7, 0.01]}
    search = GridSearchCV(NNClassifier(epochs=10, random_state=0), grid, cv=3, n_jobs=1).fit(*IRIS)
    assert search.best_params_["learning_rate"] == 0.01
    assert search.best_estimator_.score(*IRIS) > 0.9


def test_targets_keep_their_units_and_columns() -> None:
    X, y = DIABETES
    model = NNRegressor(epochs=40, random_state=0).fit(X, y * 1000)
    assert model.score(X, y * 1000) > 0.5
    both = np.column_stack([y, -1e-3 * y])
    two = NNRegressor(epochs=40, random_state=0).fit(X, both)
    assert two.predict(X).shape == both.shape
    assert two.score(X, both) > 0.5


@pytest.mark.parametrize("arguments", [{}, {"class_weight": "balanced"}, {"class_weight": {0: 1, 1: 2, 2: 3}}])
def test_a_weight_counts_as_so_many_rows(arguments: dict[str, Any]) -> None:
    """All rows are in one batch: where batches are several, which rows meet in one differs."""
    X, y = IRIS
    weight = np.random.default_rng(0).integers(0, 4, len(y))
    settings = {"epochs": 20, "batch_size": 1000, "random_state": 0}
    repeated = NNClassifier(**settings, **arguments).fit(X.repeat(weight, axis=0), y.repeat(weight))
    for scale in (1, 1e-200, 1e200):
        weighted = NNClassifier(**settings, **arguments).fit(X, y, sample_weight=scale * weight)
        np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-9)
    X, y = DIABETES
    weight = np.random.default_rng(0).integers(0, 4, len(y))
    both = np.column_stack([y, -1e-3 * y])
    twice = NNRegressor(**settings).fit(X.repeat(weight, axis=0), both.repeat(weight, axis=0))
    weighing = NNRegressor(**settings).fit(X, both, sample_weight=weight)
    np.testing.assert_allclose(weighing.predict(X), twice.predict(X), rtol=1e-9)


def test_weights_go_with_rows_held_out_and_with_specs() -> None:
    X, y = IRIS
    only_two = np.where(y == 1, 0.0, 3.0)
    stopped = NNClassifier(epochs=30, early_stopping=True, patience=2, random_state=0).fit(X, y, sample_weight=only_two)
    assert list(stopped.classes_) == [0, 2]
    assert "val_loss" in stopped.history_.names()
    text = SPEC.format(width=3, activation="softmax", loss="sparse_categorical_crossentropy")
    towards = [NNClassifier(spec=text).fit(X, y, sample_weight=np.where(y == k, 50, 1)) for k in (1, 2)]
    assert (towards[0].predict(X) == 1).sum() > (towards[1].predict(X) == 1).sum()


@pytest.mark.parametrize(
    ("weight", "said"),
    [(-1.0, "negative values, the least is -1"), (0.0, "zero"), (np.nan, "NaN")],
)
def test_weights_that_make_no_sense(weight: float, said: str) -> None:
    for estimator in (NNClassifier(), NNRegressor()):
        with pytest.raises(ValueError, match=said):
            estimator.fit(*IRIS, sample_weight=np.full(150, weight))


def test_the_same_random_state_gives_the_same_model() -> None:
    found = [NNClassifier(epochs=2, random_state=state).fit(*IRIS).predict_proba(IRIS[0]) for state in (1, 1, 2)]
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_fitted_estimators_and_models_are_pickled_and_copied() -> None:
    model = NNClassifier(epochs=3, random_state=0).fit(*IRIS)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(other.predict_proba(IRIS[0]), model.predict_proba(IRIS[0]))
        assert other.model_.history["loss"] == model.history_["loss"]
        other.model_.fit(IRIS[0], IRIS[1], epochs=1, verbose=False)
        assert len(model.model_.history) == 3


def test_early_stopping_holds_rows_out() -> None:
    settings = {"learning_rate": 0.05, "epochs": 200, "patience": 2, "random_state": 0, "validation_fraction": 0.2}
    model = NNClassifier(early_stopping=True, **settings).fit(*IRIS)
    assert model.n_epochs_ < 200
    assert "val_loss" in model.history_.names()
    with pytest.raises(ValueError, match="n_samples=3"):
        NNRegressor(early_stopping=True).fit([[1.0], [2.0], [3.0]], [1.0, 2.0, 3.0])


def test_class_weights_move_the_decision() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    y = (X[:, 0] + rng.normal(size=200) > 1).astype(int)
    shares = [
        NNClassifier(epochs=20, random_state=0, class_weight=weight).fit(X, y).predict(X).mean()
        for weight in (None, "balanced", {0: 1, 1: 100})
    ]
    assert shares[0] < shares[1] < shares[2]


@pytest.mark.parametrize(
    ("width", "activation", "loss"),
    [(3, "softmax", "sparse_categorical_crossentropy"), (3, "softmax", "categorical_crossentropy"),
     (1, "sigmoid", "binary_crossentropy"), (2, "softmax", "sparse_categorical_crossentropy")],
)  # fmt: skip
def test_a_spec_makes_the_network(width: int, activation: str, loss: str) -> None:
    X, y = IRIS
    y = y if width == 3 else (y == 0).astype(int)
    model = NNClassifier(spec=SPEC.format(width=width, activation=activation, loss=loss), params={"units": 5})
    assert model.fit(X, y).score(X, y) > 0.9
    assert model.n_epochs_ == 20
    assert model.model_.train_config.seed == 3
    assert model.predict_proba(X).shape == (150, max(width, 2))


@pytest.mark.parametrize(
    ("width", "loss"),
    [(3, "sparse_categorical_crossentropy"), (3, "categorical_crossentropy"), (1, "binary_crossentropy")],
)
def test_logits_become_probabilities(width: int, loss: str) -> None:
    X, y = IRIS
    y = y if width == 3 else (y == 0).astype(int)
    spec = SPEC.format(width=width, activation="linear", loss=f"{loss}(from_logits = true)")
    model = NNClassifier(spec=spec, params={"units": 5}).fit(X, y)
    shares = model.predict_proba(X)
    assert shares.shape == (150, max(width, 2))
    assert (shares >= 0).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    targets = np.eye(3)[y] if loss == "categorical_crossentropy" else y
    assert log_loss(y, shares) == pytest.approx(model.model_.evaluate(X, targets)["loss"], rel=1e-4)
    assert model.score(X, y) > 0.9


@pytest.mark.parametrize(
    ("name", "value"),
    [("activation", "relu) -> Dense(3"), ("activation", "relu, l2(1)"), ("activation", None), ("optimizer", "adam }"),
     ("optimizer", "adam, seed = 3"),
     ("learning_rate", float("nan")), ("learning_rate", -1.0), ("learning_rate", "1)"),
     ("hidden", (8, 0)), ("hidden", 2.5), ("hidden", "8"), ("dropout", 1.0), ("dropout", float("nan")), ("l2", -1),
     ("l2", "0.1"), ("batch_size", 2.5), ("epochs", 0), ("epochs", True)],
)  # fmt: skip
def test_parameters_are_checked_before_they_stand_in_a_spec(name: str, value: Any) -> None:
    with pytest.raises(NncError, match=f"`{name}` is") as caught:
        NNClassifier(**{name: value}).fit(*IRIS)
    assert codes(caught) == ["E0822"]


def test_parameters_may_be_calls_and_numbers_of_numpy() -> None:
    model = NNClassifier(
        np.int64(8), "leaky_relu(0.1)", optimizer="adam", learning_rate="cosine(0.01, decay_steps = 90)", epochs=2,
        dropout=np.float32(0.25), l2=np.float64(0.5),
    )  # fmt: skip
    assert model.fit(*IRIS).n_epochs_ == 2


@pytest.mark.parametrize("scale", [1e200, 1e-200])
def test_targets_beyond_computing_are_refused(scale: float) -> None:
    with pytest.raises(NncError, match="too large or too small") as caught:
        NNRegressor(epochs=1).fit(IRIS[0], IRIS[1] * scale)
    assert codes(caught) == ["E0822"]
    NNRegressor(epochs=1).fit(IRIS[0], IRIS[1] * 1e30)


def test_a_spec_may_be_bundled_and_its_input_any_shape() -> None:
    X, y = load_wine(return_X_y=True)
    assert NNClassifier(spec="wine", epochs=20).fit(X, y).score(X, y) > 0.9
    image = "input x: float32[2, 2]\noutput y = x -> Flatten -> Dense(3) { loss = mse }\n"
    assert NNRegressor(spec=image).fit(IRIS[0], np.eye(3)[IRIS[1]]).predict(IRIS[0]).shape == (150, 3)


@pytest.mark.parametrize(
    ("spec", "what"),
    [("input a: float32[4]\ninput b: float32[4]\noutput y = a + b -> Dense(3) { loss = mse }\n", "2 inputs"),
     ("input a: float32[4]\noutput y = a -> Dense(3) { loss = mse }\noutput z = a -> Dense(1) { loss = mse }\n",
      "2 outputs"),
     ("input a: float32[4]\noutput y = a -> Dense(3) { loss = mse }\n", "no probability"),
     ("input a: float32[4]\noutput y = a -> Dense(3)\n", "no probability"),
     (SPEC.format(width=2, activation="softmax", loss="sparse_categorical_crossentropy"), "2 units"),
     (SPEC.format(width=1, activation="sigmoid", loss="binary_crossentropy"), "1 unit")],
)  # fmt: skip
def test_a_spec_that_does_not_suit_is_refused(spec: str, what: str) -> None:
    with pytest.raises(NncError, match=what) as caught:
        NNClassifier(spec=spec).fit(*IRIS)
    assert codes(caught) == ["E0825"]


def test_wrong_parameters_are_errors_of_the_spec() -> None:
    with pytest.raises(NncError, match="did you mean `relu`") as caught:
        NNClassifier(activation="rleu").fit(*IRIS)
    assert "<NNClassifier>" in str(caught.value)
    with pytest.raises(NncError, match="predicts 1 number") as caught:
        NNRegressor(spec="input x: float32[4]\noutput y = x -> Dense(1) { loss = mse }\n").fit(
            IRIS[0], np.eye(3)[IRIS[1]]
        )
    assert codes(caught) == ["E0825"]
    with pytest.raises(NncError, match="both given"):
        NNClassifier(spec="wine", class_weight="balanced").fit(*IRIS)
