"""Metrics of outputs with an answer at every position, against scikit-learn's over all positions of all samples."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnc

sk = pytest.importorskip("sklearn.metrics")

CLASSES = 4
OF_CLASSES = "accuracy, top_k_accuracy(k = 2), precision, recall, f1, auc"
OUTPUTS = {
    "class": f"softmax {{ loss = sparse_categorical_crossentropy, metrics = [{OF_CLASSES}] }}",
    "one_hot": f"softmax {{ loss = categorical_crossentropy, metrics = [{OF_CLASSES}] }}",
    "bits": "sigmoid { loss = binary_crossentropy, metrics = [accuracy, precision, recall, f1, auc] }",
    "values": "linear { loss = huber, metrics = [mae, mse, rmse, r2] }",
}
SHAPES = {
    "class": ((3, CLASSES), (2, 3, CLASSES)),
    "one_hot": ((3, CLASSES), (1, CLASSES)),
    "bits": ((3, 1), (3, 2), (1, 1)),
    "values": ((3, 1), (3, 2), (2, 3, 2), (1, 1)),
}
CASES = [(kind, shape) for kind, shapes in SHAPES.items() for shape in shapes]


@cache
def model(kind: str, shape: tuple[int, ...]) -> nnc.Model:
    """A model that judges its own input after an activation, five samples at a time."""
    return nnc.compile(text=f"input x: float32{list(shape)}\noutput y = x -> {OUTPUTS[kind]}\n", batch_size=5)


def figures(kind: str, shape: tuple[int, ...], x: np.ndarray, y: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
    """The figures of an evaluation, and the predictions of all positions: [rows, units]."""
    made = model(kind, shape)
    return made.evaluate(x, y), np.asarray(made.predict(x)).reshape(-1, shape[-1])


def area(is_yes: np.ndarray, scores: np.ndarray) -> float:
    """The mean over the columns; NaN where one has a single answer only."""
    defined = [0 < column.sum() < len(column) for column in is_yes.T]
    if not all(defined):
        return float("nan")
    return float(np.mean([sk.roc_auc_score(is_yes[:, k], scores[:, k]) for k in range(scores.shape[1])]))


def agrees(found: dict[str, Any], **expected: float) -> None:
    for name, value in expected.items():
        assert found[f"y.{name}"] == pytest.approx(value, rel=1e-5, abs=1e-6, nan_ok=True), name


def expected_of_classes(actual: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    found, macro = scores.argmax(1), {"average": "macro", "zero_division": 0}
    return {
        "accuracy": sk.accuracy_score(actual, found),
        "top_k_accuracy": sk.top_k_accuracy_score(actual, scores, k=2, labels=range(CLASSES)),
        "precision": sk.precision_score(actual, found, **macro),
        "recall": sk.recall_score(actual, found, **macro),
        "f1_score": sk.f1_score(actual, found, **macro),
        "auc": area(np.eye(CLASSES, dtype=bool)[actual], scores),
    }


def expected_of_bits(y: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    actual, found = y.reshape(-1) > 0.5, scores.reshape(-1) > 0.5
    return {
        "accuracy": sk.accuracy_score(actual, found),
        "precision": sk.precision_score(actual, found, zero_division=0),
        "recall": sk.recall_score(actual, found, zero_division=0),
        "f1_score": sk.f1_score(actual, found, zero_division=0),
        "auc": area(y > 0.5, scores),
    }


def expected_of_values(y: np.ndarray, found: np.ndarray) -> dict[str, float]:
    y, found = y.astype(float), found.astype(float)
    return {
        "mae": sk.mean_absolute_error(y, found),
        "mse": sk.mean_squared_error(y, found),
        "rmse": sk.root_mean_squared_error(y, found),
        "r2_score": sk.r2_score(y, found),
    }


@pytest.mark.parametrize(("kind", "shape"), CASES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_position_counts_as_a_sample_of_its_own(
    kind: str, shape: tuple[int, ...], data: st.DataObject
) -> None:
    """Scores on a coarse grid or all alike, so that ties are common; targets of all kinds, of some, or of one alone."""
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    whole = (data.draw(st.integers(2, 13)), *shape)
    x = (random.integers(-data.draw(st.integers(0, 6)), 7, whole) / 4).astype("float32")
    if data.draw(st.booleans()):
        x[...] = 0.75
    y = targets(kind, whole, random, data)
    found, scores = figures(kind, shape, x, y)
    if kind in ("class", "one_hot"):
        agrees(found, **expected_of_classes((y if kind == "class" else y.argmax(-1)).reshape(-1), scores))
    elif kind == "bits":
        agrees(found, **expected_of_bits(y.reshape(-1, shape[-1]), scores))
    else:
        agrees(found, **expected_of_values(y.reshape(-1, shape[-1]), scores))


def targets(kind: str, whole: tuple[int, ...], random: np.random.Generator, data: st.DataObject) -> np.ndarray:
    if kind == "values":
        spread = data.draw(st.sampled_from([0.0, 1.0, 100.0]))
        return (data.draw(st.sampled_from([0.75, -1e4])) + spread * random.normal(size=whole)).astype("float32")
    if kind == "bits":
        return (random.random(whole) < data.draw(st.sampled_from([0.0, 0.2, 0.5, 1.0]))).astype("float32")
    present = data.draw(st.lists(st.sampled_from(range(CLASSES)), min_size=1, unique=True))
    classes = random.choice(present, whole[:-1])
    return classes if kind == "class" else np.eye(CLASSES, dtype="float32")[classes]
