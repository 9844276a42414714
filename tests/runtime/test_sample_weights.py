"""Weights of samples: in the data of a spec, from Python, and in what is reported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnc.compiler.options import CompileOptions
from nnc.compiler.pipeline import compile_source
from nnc.grammar.diagnostics import DataError, NncError
from nnc.grammar.source import SourceFile
from nnc.making import compile as compile_model
from nnc.making import load
from nnc.model import Model
from nnc.runtime import train
from nnc.runtime.data import from_arrays

NETWORK = """
input x: float32[2]
h = x -> Dense(3, tanh, kernel_regularizer = l2(0.01))
output near = h -> Dense(1) { loss = mse, weight = 0.5, sample_weight = importance, metrics = [mae] }
output far  = h -> Dense(2, softmax) { loss = sparse_categorical_crossentropy, metrics = [confusion, auc] }
"""
RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(11, 2)).astype("float32")
Y = {"near": RANDOM.normal(size=11).astype("float32"), "far": (np.arange(11) % 2).astype("int32")}
W = RANDOM.uniform(0, 3, 11).astype("float32")


def test_the_mean_divides_by_the_samples_whatever_their_weights() -> None:
    model = compile_model(text=NETWORK, batch_size=4)
    near = model.predict(X)["near"][:, 0]
    report = train.evaluate(model.session, from_arrays(model.plan, model.outputs, X, Y, {"near": W}))
    figures = report.figures()
    assert figures["near.loss"] == pytest.approx(float((W * (near - Y["near"]) ** 2).mean()), rel=1e-5)
    assert figures["near.mae"] == pytest.approx(float(abs(near - Y["near"]).mean()), rel=1e-5)
    parts = [f.weight * f.value for f in report.terms if f.kind != "metric"]
    assert len(parts) == 3
    assert figures["loss"] == pytest.approx(sum(parts), rel=1e-12)
    assert report.tables["far.confusion"].sum() == len(X)


def test_without_weights_every_sample_counts_1() -> None:
    model = compile_model(text=NETWORK, batch_size=4)
    ones = train.evaluate(model.session, from_arrays(model.plan, model.outputs, X, Y, {"near": np.ones(11)}))
    assert train.evaluate(model.session, from_arrays(model.plan, model.outputs, X, Y)) == ones


def test_outputs_that_name_no_weights_can_be_compiled_to_take_them() -> None:
    text = NETWORK.replace(", sample_weight = importance", "")
    options = CompileOptions(sample_weights=frozenset({"near"}))
    model = Model.of(compile_source(SourceFile("weights.nn", text), options, verify=True))
    plain = compile_model(text=text)
    with pytest.raises(DataError, match="compiled without sample weights"):
        from_arrays(plain.plan, plain.outputs, X, Y, {"near": W})
    weighted = train.evaluate(model.session, from_arrays(model.plan, model.outputs, X, Y, {"near": W})).figures()
    named = compile_model(text=NETWORK)
    again = train.evaluate(named.session, from_arrays(named.plan, named.outputs, X, Y, {"importance": W})).figures()
    assert weighted == pytest.approx(again, rel=1e-6)


def test_a_spec_binds_them_to_a_column(tmp_path: Path) -> None:
    rows = "\n".join(f"{a},{b},{y},{k},{w}" for (a, b), y, k, w in zip(X, Y["near"], Y["far"], W, strict=True))
    (tmp_path / "a.csv").write_text(f"a,b,y,k,w\n{rows}\n")
    data = 'data { t = csv("a.csv"), x = t[a, b], near = t[y], far = t[k], importance = t[w], split { test = 30% } }'
    path = tmp_path / "weights.nn"
    path.write_text(f"{NETWORK}train {{ epochs = 2, batch_size = 4 }}\n{data}\n")
    model = compile_model(path)
    model.fit(verbose=False)
    expected = model.evaluate()
    model.save(tmp_path / "model.safetensors")
    assert load(tmp_path / "model.safetensors").outputs[0].sample_weight == "importance"
    assert expected["near.loss"] > 0


def test_negative_weights_and_missing_ones_are_refused(tmp_path: Path) -> None:
    model = compile_model(text=NETWORK)
    with pytest.raises(DataError) as caught:
        from_arrays(model.plan, model.outputs, X, Y, {"near": -W})
    assert [d.code for d in caught.value.diagnostics] == ["E0713"]
    with pytest.raises(NncError) as unbound:
        compile_model(text=NETWORK + 'data { t = csv("a.csv"), x = t[a, b], near = t[y], far = t[k] }\n')
    assert [d.code for d in unbound.value.diagnostics] == ["E0651"]
