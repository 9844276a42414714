"""Texts from Python: learnt by `fit`, kept in the model's file, known to `predict` and `evaluate`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nnc
from nnc.grammar.diagnostics import DataError

SPEC = """
model ports
input port: int32[]
output kind = port -> OneHot(2) -> Dense(2, softmax) { loss = sparse_categorical_crossentropy, metrics = [accuracy] }
train { optimizer = adam(learning_rate = 0.1), batch_size = 8, epochs = 40, seed = 1 }
"""
X, Y = ["Rome", "Oslo"] * 10, ["warm", "cold"] * 10


def test_a_model_keeps_what_texts_stand_for(tmp_path: Path) -> None:
    model = nnc.compile(text=SPEC)
    model.fit(X, Y, validation_data=(["Rome"], ["warm"]), verbose=False)
    assert model.vocabularies == {"port": ("Oslo", "Rome"), "kind": ("cold", "warm")}
    assert model.evaluate(["Oslo"], ["cold"])["kind.accuracy"] == 1
    model.save(tmp_path / "ports.safetensors")
    again = nnc.load(tmp_path / "ports.safetensors")
    for known in (model, again):
        assert np.argmax(known.predict(["Rome", "Oslo", "Rome"]), axis=1).tolist() == [1, 0, 1]
        with pytest.raises(DataError, match="Bonn"):
            known.predict(["Bonn"])
    again.fit(["Rome"], ["warm"], verbose=False)
    assert np.argmax(again.predict(["Rome"])) == 1


def test_a_model_that_was_never_trained_knows_no_texts() -> None:
    with pytest.raises(DataError, match="training saw no texts"):
        nnc.compile(text=SPEC).predict(["Rome"])
