"""What training reports is asked for by any name that the metric has, from the spec and from Python."""

from __future__ import annotations

import numpy as np
import pytest

import nnc
from nnc.compiler.formulas.metrics import ALIASES, METRICS, figure_name
from nnc.grammar.diagnostics import NncError
from nnc.runtime.history import Epoch
from nnc.runtime.watch import Watch

SPEC = """input x: float32[3]
output y = x -> Dense(1, sigmoid) { loss = binary_crossentropy, metrics = [f1, acc] }
output z = x -> Dense(1, sigmoid) { loss = binary_crossentropy, metrics = [acc] }
train { epochs = 4, batch_size = 4, early_stopping = early_stopping(monitor = MONITOR, patience = 1, min_delta = 9) }
"""
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(12, 3)).astype("float32")
Y = {"y": (X.sum(1) > 0).astype("float32"), "z": (X[:, 0] > 0).astype("float32")}


def trained(monitor: str) -> nnc.History:
    return nnc.compile(text=SPEC.replace("MONITOR", monitor)).fit(X, Y, validation_data=(X, Y), verbose=False)


@pytest.mark.parametrize(
    ("monitor", "figure"),
    [
        ("val_f1", "val_y.f1_score"), ("f1", "y.f1_score"), ("val_f1_score", "val_y.f1_score"),
        ('"val_y.f1"', "val_y.f1_score"), ('"val_z.acc"', "val_z.accuracy"), ('"z.accuracy"', "z.accuracy"),
    ],
)  # fmt: skip
def test_a_spec_watches_a_metric_by_the_name_that_it_gave_it(monitor: str, figure: str) -> None:
    history = trained(monitor)
    assert history.stopped == f"stopped after epoch 2: {figure} has not improved since epoch 1"


@pytest.mark.parametrize(
    ("monitor", "said"),
    [
        ("val_acc", "`val_acc` could be several figures"), ("val_f2", "training reports no figure `val_f2`"),
        ("val_auc", "training reports no figure `val_auc`"), ("val_acuracy", '`"val_y.accuracy"` or `"val_z'),
    ],
)  # fmt: skip
def test_a_name_that_means_nothing_or_too_much_is_refused(monitor: str, said: str) -> None:
    with pytest.raises(NncError) as caught:
        trained(monitor)
    (found,) = caught.value.diagnostics
    assert found.code == "E0691"
    assert said in " ".join((found.message, *found.helps))


def test_a_history_is_asked_by_the_same_names() -> None:
    history = trained("val_f1")
    exact = history["val_y.f1_score"]
    assert history["val_f1"] == history["val_y.f1"] == history["val_f1_score"] == exact
    assert history["z.acc"] == history["z.accuracy"]
    for name in ("val_acc", "val_f2", "f1.y"):
        with pytest.raises(NncError) as caught:
            history[name]
        assert caught.value.diagnostics[0].code == "E0820"


def test_every_alias_leads_to_its_metric_and_no_metric_elsewhere() -> None:
    assert all(figure_name(f"val_main.{alias}") == f"val_main.{name}" for alias, name in ALIASES.items())
    assert all(figure_name(name) == name and figure_name(f"val_{name}") == f"val_{name}" for name in METRICS)
    assert figure_name("f1.loss") == "f1.loss"      # an output may have the name of a metric


@pytest.mark.parametrize(
    ("figure", "grows"),
    [("loss", False), ("val_loss", False), ("y.loss", False), ("val_y.mae", False), ("y.rmse", False),
     ("y.cosine_similarity", False),    # minus the cosine, as the loss of that name
     ("y.binary_accuracy", True), ("val_y.sparse_categorical_accuracy", True), ("y.top_k_accuracy", True),
     ("val_y.f1_score", True), ("y.auc", True), ("y.r2_score", True), ("y.precision", True), ("y.recall", True),
     ("hidden.kernel_regularizer", False)],
)  # fmt: skip
def test_the_table_of_metrics_says_which_way_is_better(figure: str, grows: bool) -> None:
    watch = Watch(figure, patience=1, min_delta=0.0)
    assert watch.improves(Epoch(1, {figure: 0.5}, 0.0))
    assert watch.improves(Epoch(2, {figure: 0.6}, 0.0)) == grows
    assert watch.improves(Epoch(3, {figure: 0.4}, 0.0)) != grows
