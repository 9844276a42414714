"""Figures of whole evaluations against scikit-learn's: over ragged batches, on random and on degenerate data."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnc.compiler.planfile import from_json, to_json
from nnc.compiler.verify import verify_plan
from nnc.making import compile as compile_model
from nnc.model import Model
from nnc.runtime import train
from nnc.runtime.data import Samples
from nnc.runtime.metrics import Report

sk = pytest.importorskip("sklearn.metrics")

CLASSES = 4
LABELS = range(CLASSES)
COUNTS = "accuracy, precision, recall, f1_score, auc"
OF_CLASSES = f"{COUNTS}, confusion, top_k_accuracy(k = 2)"
OUTPUTS = {
    "class": f"softmax {{ loss = sparse_categorical_crossentropy, metrics = [{OF_CLASSES}] }}",
    "one_hot": f"softmax {{ loss = categorical_crossentropy, metrics = [{OF_CLASSES}] }}",
    "bit": f"sigmoid {{ loss = binary_crossentropy, metrics = [{COUNTS}, confusion] }}",
    "bits": f"sigmoid {{ loss = binary_crossentropy, metrics = [{COUNTS}] }}",
    "value": "linear { loss = huber, metrics = [mae, mse, rmse, r2_score] }",
    "values": "linear { loss = huber, metrics = [mae, mse, rmse, r2_score] }",
}
UNITS = {"class": CLASSES, "one_hot": CLASSES, "bit": 1, "bits": 3, "value": 1, "values": 3}
Arrays = tuple[np.ndarray, np.ndarray]


@cache
def model(kind: str) -> Model:
    """A model that judges its own input after an activation, five samples at a time."""
    made = compile_model(text=f"input x: float32[{UNITS[kind]}]\noutput y = x -> {OUTPUTS[kind]}\n", batch_size=5)
    verify_plan(made.plan)
    assert from_json(to_json(made.plan)) == made.plan
    return made


def judged(kind: str, x: np.ndarray, y: np.ndarray) -> tuple[Report, np.ndarray]:
    """The report of an evaluation, and the predictions that it judged."""
    made = model(kind)
    samples = Samples.whole({"x": x.astype("float32"), "target.y": y.astype("int32" if kind == "class" else "float32")})
    prediction = train.predict(made.session, Samples.whole({"x": x.astype("float32")}))["y"]
    return train.evaluate(made.session, samples), prediction


def agrees(report: Report, expected: Mapping[str, float]) -> None:
    figures = report.figures()
    for name, value in expected.items():
        assert figures[f"y.{name}"] == pytest.approx(value, rel=1e-5, abs=1e-6, nan_ok=True), name


@st.composite
def scored(draw: st.DrawFn, kind: str) -> Arrays:
    """Scores on a coarse grid, so that ties are common; targets of all labels, of some, or of one alone."""
    rows, units = draw(st.integers(1, 23)), UNITS[kind]
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = random.integers(-draw(st.integers(0, 6)), 7, (rows, units)) / 4
    if kind in ("bit", "bits"):
        return x, (random.random((rows, units)) < draw(st.sampled_from([0.0, 0.2, 0.5, 1.0]))).astype(float)
    present = draw(st.lists(st.sampled_from(LABELS), min_size=1, unique=True))
    classes = random.choice(present, rows)
    return x, classes if kind == "class" else np.eye(CLASSES)[classes]


def quiet(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """A figure of scikit-learn, which warns where it is not defined."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments, **options)


def area(y: np.ndarray, scores: np.ndarray) -> float:
    return float(np.mean([quiet(sk.roc_auc_score, y[:, k], scores[:, k]) for k in range(scores.shape[1])]))


@pytest.mark.parametrize("kind", ["class", "one_hot"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_classes(kind: str, data: st.DataObject) -> None:
    x, y = data.draw(scored(kind))
    report, scores = judged(kind, x, y)
    actual, found = y if kind == "class" else y.argmax(1), scores.argmax(1)
    macro = {"average": "macro", "zero_division": 0}
    agrees(report, {
        "accuracy": sk.accuracy_score(actual, found),
        "top_k_accuracy": sk.top_k_accuracy_score(actual, scores, k=2, labels=LABELS),
        "precision": sk.precision_score(actual, found, **macro),
        "recall": sk.recall_score(actual, found, **macro),
        "f1_score": sk.f1_score(actual, found, **macro),
        "auc": area(np.eye(CLASSES)[actual], scores),
    })  # fmt: skip
    np.testing.assert_array_equal(report.tables["y.confusion"], sk.confusion_matrix(actual, found, labels=LABELS))


def test_auc_of_classes_is_the_mean_of_one_against_the_rest() -> None:
    random = np.random.default_rng(1)
    y = np.arange(40) % CLASSES
    report, scores = judged("class", random.normal(size=(40, CLASSES)), y)
    agrees(report, {"auc": sk.roc_auc_score(y, scores / scores.sum(1, keepdims=True), multi_class="ovr")})


@settings(max_examples=60, deadline=None)
@given(data=scored("bit"))
def test_one_unit(data: Arrays) -> None:
    x, y = data
    report, scores = judged("bit", x, y)
    actual, found = y[:, 0], scores[:, 0] > 0.5
    agrees(report, {
        "accuracy": sk.accuracy_score(actual, found),
        "precision": sk.precision_score(actual, found, zero_division=0),
        "recall": sk.recall_score(actual, found, zero_division=0),
        "f1_score": sk.f1_score(actual, found, zero_division=0),
        "auc": area(y, scores),
    })  # fmt: skip
    np.testing.assert_array_equal(report.tables["y.confusion"], sk.confusion_matrix(actual, found, labels=[0, 1]))


@settings(max_examples=60, deadline=None)
@given(data=scored("bits"))
def test_several_of_yes_or_no(data: Arrays) -> None:
    x, y = data
    report, scores = judged("bits", x, y)
    found, micro = scores > 0.5, {"average": "micro", "zero_division": 0}
    agrees(report, {
        "accuracy": sk.accuracy_score(y.ravel(), found.ravel()),
        "precision": sk.precision_score(y, found, **micro),
        "recall": sk.recall_score(y, found, **micro),
        "f1_score": sk.f1_score(y, found, **micro),
        "auc": area(y, scores),
    })  # fmt: skip


@pytest.mark.parametrize("kind", ["value", "values"])
@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(2, 23),
    seed=st.integers(0, 2**32 - 1),
    offset=st.sampled_from([0.0, 1.0, 12345.678, -1e6]),
    spread=st.sampled_from([0.0, 1.0, 100.0]),
    is_right=st.booleans(),
)
def test_values(kind: str, rows: int, seed: int, offset: float, spread: float, is_right: bool) -> None:
    random = np.random.default_rng(seed)
    y = (offset + spread * random.normal(size=(rows, UNITS[kind]))).astype("float32")
    x = y if is_right else (y + random.normal(size=y.shape)).astype("float32")
    report, _ = judged(kind, x, y)
    y, x = y.astype(float), x.astype(float)
    agrees(report, {
        "mae": sk.mean_absolute_error(y, x),
        "mse": sk.mean_squared_error(y, x),
        "rmse": sk.root_mean_squared_error(y, x),
        "r2_score": sk.r2_score(y, x),
    })  # fmt: skip


def test_training_reports_what_sums_give_and_validation_the_rest() -> None:
    text = f"input x: float32[4]\noutput y = x -> Dense(4) -> {OUTPUTS['class']}\n"
    made = compile_model(text=text, batch_size=5, epochs=2)
    random = np.random.default_rng(0)
    x, y = random.normal(size=(18, 4)).astype("float32"), (np.arange(18) % 4).astype("int32")
    history = made.fit(x, y, validation_data=(x, y), verbose=False)
    figures = history.epochs[-1].figures
    assert {"y.precision", "val_y.precision", "val_y.auc"} <= figures.keys()
    assert not {"y.auc", "y.confusion", "val_y.confusion"} & figures.keys()
    evaluated = made.evaluate(x, y)
    assert figures["val_y.auc"] == evaluated["y.auc"]
