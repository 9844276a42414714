"""The Python API as a user calls it: compile, fit, evaluate, predict, weights, save, load; and every wrong call."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnc
from nnc.grammar.diagnostics import DivergedError, NncError

ROOT = Path(__file__).resolve().parent.parent
WIDE_DEEP = """
model wide_deep
param units: int = 8 in 1..64
input wide: float32[2]
input deep: float32[3]
h = deep -> Normalize -> Dense(units, relu, kernel_regularizer = l2(0.01))
output main = (wide, h) -> Concatenate -> Dense(1) { loss = mse, weight = 0.9, metrics = [mae] }
output aux = h -> Dense(1) { loss = mse, weight = 0.1 }
train { optimizer = sgd(learning_rate = 0.01), batch_size = 16, epochs = 3, seed = 42 }
"""
CLASSIFIER = """
model classes
input x: float32[2]
output kind = x -> Dense(16, tanh) -> Dense(3, softmax) {
  loss = sparse_categorical_crossentropy
  metrics = [accuracy]
}
train { optimizer = adam(learning_rate = 0.03), batch_size = 8, epochs = 20, seed = 1 }
"""


def samples(count: int = 50) -> tuple[dict[str, Any], dict[str, Any]]:
    rng = np.random.default_rng(1)
    wide, deep = rng.normal(size=(count, 2)), rng.normal(3, 2, size=(count, 3))
    y = wide.sum(axis=1) + deep[:, 0]
    return {"wide": wide, "deep": deep}, {"main": y, "aux": y}


def blobs(count: int = 60) -> tuple[Any, Any]:
    rng = np.random.default_rng(2)
    labels = np.arange(count) % 3
    centres = np.array([[0, 2], [2, -1], [-2, -1]])
    return centres[labels] + rng.normal(0, 0.3, (count, 2)), labels


@pytest.fixture
def model() -> nnc.Model:
    return nnc.compile(text=WIDE_DEEP)


def codes(caught: pytest.ExceptionInfo[NncError]) -> list[str]:
    return [diagnostic.code for diagnostic in caught.value.diagnostics]


def test_fit_learns_and_reports(model: nnc.Model) -> None:
    x, y = samples()
    history = model.fit(x, y, epochs=30, validation_data=(x, y), verbose=False)
    assert len(history) == len(model.history) == 30
    assert history["loss"][-1] < history["loss"][0] / 5
    assert set(history.names()) >= {"loss", "main.loss", "aux.loss", "main.mae", "val_loss", "val_main.mae"}


def test_the_total_adds_up_exactly(model: nnc.Model) -> None:
    x, y = samples()
    model.fit(x, y, verbose=False)
    found = model.evaluate(x, y)
    (penalty,) = (value for name, value in found.items() if "regularizer" in name)
    assert penalty > 0
    assert found["loss"] == pytest.approx(0.9 * found["main.loss"] + 0.1 * found["aux.loss"] + penalty, rel=1e-15)
    predicted = model.predict(x)
    assert isinstance(predicted, dict)
    assert found["main.loss"] == pytest.approx(np.mean((predicted["main"][:, 0] - y["main"]) ** 2), rel=1e-5)
    assert found["main.mae"] == pytest.approx(np.mean(np.abs(predicted["main"][:, 0] - y["main"])), rel=1e-5)


def test_a_ragged_last_batch_counts_as_its_rows(model: nnc.Model) -> None:
    """50 rows in batches of 16; the same rows one call at a time give the same figures."""
    x, y = samples()
    whole = model.evaluate(x, y)["main.loss"]
    parts = [model.evaluate({k: v[i : i + 1] for k, v in x.items()}, {k: v[i : i + 1] for k, v in y.items()})
             for i in range(50)]
    assert whole == pytest.approx(np.mean([part["main.loss"] for part in parts]), rel=1e-6)


def test_one_input_and_one_output_need_no_names() -> None:
    model = nnc.compile(text=CLASSIFIER)
    x, labels = blobs()
    model.fit(x, labels, verbose=False)
    assert model.evaluate(x, labels)["kind.accuracy"] > 0.95
    probabilities = model.predict(x)
    assert isinstance(probabilities, np.ndarray)
    assert probabilities.shape == (60, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(model.predict(x.tolist()), probabilities)


def test_the_same_seed_gives_the_same_model_and_another_seed_another() -> None:
    x, y = samples()
    runs = []
    for seed in (3, 3, 4):
        model = nnc.compile(text=WIDE_DEEP, seed=seed)
        model.fit(x, y, verbose=False)
        runs.append(model.weights["main.kernel"])
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_params_and_batch_size_are_the_callers() -> None:
    model = nnc.compile(text=WIDE_DEEP, params={"units": 5}, batch_size=7)
    assert model.weights["aux.kernel"].shape == (5, 1)
    assert model.plan.batch_size == 7
    with pytest.raises(NncError):
        nnc.compile(text=WIDE_DEEP, params={"units": 65})


def test_a_saved_model_goes_on_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    x, y = samples()
    one, two = nnc.compile(text=WIDE_DEEP), nnc.compile(text=WIDE_DEEP)
    one.fit(x, y, epochs=4, verbose=False)
    two.fit(x, y, epochs=2, verbose=False)
    two.save(tmp_path / "m.safetensors")
    loaded = nnc.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(loaded.predict(x)["main"], two.predict(x)["main"])
    loaded.fit(x, y, epochs=2, verbose=False)
    assert [epoch.number for epoch in loaded.history.epochs] == [1, 2, 3, 4]
    assert loaded.history["loss"] == one.history["loss"]
    for name, value in one.weights.items():
        np.testing.assert_array_equal(loaded.weights[name], value)


def test_weights_are_read_and_assigned_by_name(model: nnc.Model) -> None:
    assert {"main.kernel", "main.bias", "aux.kernel"} <= set(model.weights)
    model.weights["aux.bias"] = [2.5]
    assert model.weights["aux.bias"].tolist() == [2.5]
    model.weights = {"aux.bias": [1], "main.bias": np.array([3.0])}
    assert model.weights["main.bias"].tolist() == [3.0]
    copied = model.weights["main.kernel"]
    copied[:] = 9
    assert not np.array_equal(model.weights["main.kernel"], copied)


def test_wrong_weights_are_refused_and_nothing_is_written(model: nnc.Model) -> None:
    with pytest.raises(NncError) as caught:
        model.weights = {"aux.bias": [7], "aux.kernal": [1], "main.bias": [1, 2], "main.kernel": "a"}
    assert codes(caught) == ["E0820", "E0821", "E0821"]
    assert "`aux.kernel`" in caught.value.diagnostics[0].helps[0]
    assert model.weights["aux.bias"].tolist() == [0]
    with pytest.raises(NncError):
        model.weights["aux.bias"] = [np.nan]
    with pytest.raises(NncError):
        model.weights["none"]


def test_fit_without_arrays_takes_the_data_of_the_spec(tmp_path: Path) -> None:
    x, labels = blobs()
    rows = "".join(f"{a},{b},{label}\n" for (a, b), label in zip(x, labels, strict=True))
    (tmp_path / "blobs.csv").write_text(f"a,b,kind\n{rows}")
    data = 'data { t = csv("blobs.csv"), x = t[a, b], kind = t[kind], split { validation = 20%, test = 20% } }\n'
    (tmp_path / "blobs.nn").write_text(CLASSIFIER + data)
    model = nnc.compile(tmp_path / "blobs.nn")
    history = model.fit(verbose=False)
    assert "val_kind.accuracy" in history.names()
    assert model.evaluate()["kind.accuracy"] > 0.9
    with pytest.raises(NncError) as caught:
        nnc.compile(text=CLASSIFIER).fit()
    assert codes(caught) == ["E0808"]


def test_texts_of_the_data_are_kept_with_the_model(tmp_path: Path) -> None:
    x, labels = blobs()
    names = np.array(["red", "green", "blue"])[labels]
    rows = "".join(f"{a},{b},{name}\n" for (a, b), name in zip(x, names, strict=True))
    (tmp_path / "t.csv").write_text("a,b,kind\n" + rows)
    data = '\ndata { t = csv("t.csv"), x = t[a, b], kind = t[kind], split { test = 20% } }\n'
    (tmp_path / "blobs.nn").write_text(CLASSIFIER + data)
    model = nnc.compile(tmp_path / "blobs.nn")
    assert model.vocabularies == {}
    model.fit(verbose=False)
    assert {name: tuple(words) for name, words in model.vocabularies.items()} == {"kind": ("blue", "green", "red")}
    assert model.evaluate()["kind.accuracy"] > 0.9
    model.save(tmp_path / "m")
    assert tuple(nnc.load(tmp_path / "m").vocabularies["kind"]) == ("blue", "green", "red")
    model.fit(epochs=1, verbose=False)


def test_summary_prints_a_table(model: nnc.Model, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    model.summary()
    printed = capsys.readouterr().out
    assert "Concatenate" in printed
    assert "parameters" in printed
    model.save(tmp_path / "m")
    nnc.load(tmp_path / "m").summary()
    assert capsys.readouterr().out == printed


def test_wrong_data_is_refused_before_the_first_step(model: nnc.Model) -> None:
    x, y = samples()
    before = model.weights["main.kernel"]
    for wrong, code in (
        ({"wide": x["wide"]}, "E0704"), ({**x, "depth": x["deep"]}, "E0705"), ({**x, "deep": x["deep"][:9]}, "E0706"),
        ({**x, "deep": x["deep"][:, :1]}, "E0708"), ({**x, "deep": x["deep"] * np.nan}, "E0712"),
        (x["wide"], "E0704"), (None, "E0704"),
    ):  # fmt: skip
        with pytest.raises(NncError) as caught:
            model.fit(wrong, y, verbose=False)
        assert codes(caught) == [code] or (wrong is None and set(codes(caught)) == {code})
    np.testing.assert_array_equal(model.weights["main.kernel"], before)


def test_wrong_calls_are_refused(model: nnc.Model, tmp_path: Path) -> None:
    x, y = samples()
    calls: tuple[tuple[Any, str], ...] = (
        (lambda: model.fit(x, y, epochs=0), "E0822"), (lambda: model.fit(x, y, epochs=1.5), "E0822"),
        (lambda: model.fit(x, y, validation_data=x), "E0822"), (lambda: nnc.compile(), "E0822"),
        (lambda: nnc.compile("a.nn", text="b"), "E0822"), (lambda: nnc.compile(tmp_path / "a.nn"), "E0802"),
        (lambda: nnc.compile(text=WIDE_DEEP, runtime="cray"), "E0823"), (lambda: nnc.load(tmp_path / "a"), "E0920"),
        (lambda: model.evaluate(), "E0808"), (lambda: model.history["lss"], "E0820"),
    )  # fmt: skip
    for call, code in calls:
        with pytest.raises(NncError) as caught:
            call()
        assert codes(caught) == [code]


def test_a_model_without_a_loss_predicts_and_does_no_more() -> None:
    model = nnc.compile(text="input x: float32[2]\noutput y = x -> Dense(1)\n")
    assert np.shape(model.predict([[1, 2], [3, 4]])) == (2, 1)
    for call in (lambda: model.fit([[1, 2]]), lambda: model.evaluate([[1, 2]])):
        with pytest.raises(NncError) as caught:
            call()
        assert codes(caught) == ["E0809"]


def test_divergence_is_an_error_with_the_epoch() -> None:
    model = nnc.compile(text=WIDE_DEEP.replace("0.01), batch", "1e30), batch"))
    with pytest.raises(DivergedError) as caught:
        model.fit(*samples(), verbose=False)
    assert codes(caught) == ["E0690"]


def test_progress_goes_to_stderr_in_plain_lines(model: nnc.Model, capsys: pytest.CaptureFixture[str]) -> None:
    model.fit(*samples(), epochs=2)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert [line[:9] for line in printed.err.splitlines()] == ["epoch 1/2", "epoch 2/2"]


def test_a_model_file_is_enough_to_predict_without_parser_or_graph_library(model: nnc.Model, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    program = f"""
import sys
import nnc
model = nnc.load({str(tmp_path / "m")!r})
print(model.predict({{"wide": [[1, 2]], "deep": [[1, 2, 3]]}})["main"].shape)
print(sorted(set(sys.modules) & {{"lark", "networkx", "rich"}}))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["(1, 1)", "[]"]


def test_importing_nnc_imports_nothing_heavy() -> None:
    program = "import sys; before = set(sys.modules); import nnc; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['nnc']"
    assert set(dir(nnc)) >= {"Model", "NncError", "compile", "load"}
    with pytest.raises(AttributeError):
        nnc.complie    # noqa: B018
