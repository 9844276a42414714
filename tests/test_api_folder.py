"""`fit(..., folder=...)` from Python: what it leaves, going on bit for bit, and what it refuses to go on with."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnc
from nnc import cli
from nnc.grammar.diagnostics import NncError
from nnc.runtime import modelfile
from nnc.runtime.rundir import RunFolder

SPEC = """
model moment
param units: int = 6
input x: float32[3]
h = x -> Normalize -> Dense(units, tanh) -> Dropout(0.3)
output y = h -> Dense(1) { loss = mse, metrics = [mae] }
train {
  optimizer = adam(learning_rate = plateau(0.01, monitor = val_loss, patience = 1, factor = 0.5))
  batch_size = 8, epochs = 6, seed = 3, ema = 0.9, checkpoint = [every(steps = 1), best(monitor = val_loss)]
}
"""
FILES = """
model rows
input x: float32[2]
output y = x -> Dense(1) { loss = mse }
train { optimizer = adam(0.01), batch_size = 4, epochs = 4, seed = 1 }
data {
  table = csv("rows.csv")
  x = table[a, b]
  y = table[y]
  split { test = 25%, seed = 1 }
}
"""
RNG = np.random.default_rng(1)
X = RNG.normal(size=(40, 3)).astype("float32")
Y = np.sin(X.sum(axis=1))


def fit(model: nnc.Model, **arguments: Any) -> nnc.History:
    given = {"x": X, "y": Y, "validation_split": 0.25, "verbose": False, **arguments}
    return model.fit(given.pop("x"), given.pop("y"), **given)


def tensors(path: Path) -> dict[str, bytes]:
    return {name: value.tobytes() for name, value in modelfile.load(path).variables.items()}


def figures(history: nnc.History) -> list[tuple[int, dict[str, float]]]:
    return [(epoch.number, dict(epoch.figures)) for epoch in history.epochs]


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rows = np.random.default_rng(0).normal(size=(24, 2))
    lines = [f"{a:.4f},{b:.4f},{a - b:.4f}" for a, b in rows]
    (tmp_path / "rows.csv").write_text("\n".join(["a,b,y", *lines]) + "\n")
    (tmp_path / "rows.nn").write_text(FILES)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "out"


def test_it_leaves_a_folder_and_the_same_model_as_without(out: Path) -> None:
    plain, model = nnc.compile(text=SPEC), nnc.compile(text=SPEC)
    expected = fit(plain)
    history = fit(model, folder=out)
    assert figures(history) == figures(expected) == figures(model.history)
    plain.save(out.parent / "plain")
    assert tensors(out / "model.safetensors") == tensors(out.parent / "plain")
    assert {path.name for path in out.iterdir()} >= {"model.safetensors", "history.csv", "history.jsonl", "checkpoints"}
    assert not (out / ".lock").exists()
    with (out / "history.csv").open() as file:
        assert [float(row["val_loss"]) for row in csv.DictReader(file)] == history["val_loss"]
    again = nnc.load(out / "model.safetensors")
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert set(again.provenance["data_sha256"]) == {
        f"{part} {name}" for part in ("train", "validation") for name in ("x", "target.y")
    }


@pytest.mark.parametrize("stop", [1, 4, 9, 23])
def test_it_goes_on_bit_for_bit_after_ctrl_c(out: Path, stop: int) -> None:
    whole = nnc.compile(text=SPEC)
    expected = fit(whole, folder=out.parent / "whole")

    def interrupt(step: int, loss: float) -> None:
        if step == stop:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(nnc.compile(text=SPEC), folder=out, resume=True, on_batch=interrupt)
    assert not (out / "model.safetensors").exists()
    model = nnc.compile(text=SPEC)
    history = fit(model, folder=out, resume=True)
    assert figures(history) == figures(expected)
    assert figures(model.history) == figures(whole.history)
    assert tensors(out / "model.safetensors") == tensors(out.parent / "whole" / "model.safetensors")
    np.testing.assert_array_equal(model.predict(X), whole.predict(X))
    done = nnc.compile(text=SPEC)
    assert figures(fit(done, folder=out, resume=True)) == figures(expected)  # nothing is left to do
    np.testing.assert_array_equal(done.predict(X), whole.predict(X))


KILLED = """
import os, sys
import numpy as np
import nnc
sys.path.insert(0, sys.argv[1])
from test_api_folder import SPEC, fit

def die(step, loss):
    if step == 17:
        os.kill(os.getpid(), 9)

fit(nnc.compile(text=SPEC), folder=sys.argv[2], on_batch=die)
"""


def test_it_goes_on_bit_for_bit_after_kill_9(out: Path) -> None:
    whole = nnc.compile(text=SPEC)
    fit(whole)
    here = Path(__file__).parent
    process = subprocess.run(
        [sys.executable, "-c", KILLED, str(here), str(out)], env={**os.environ, "PYTHONPATH": str(here.parent)}
    )
    assert process.returncode == -9
    model = nnc.compile(text=SPEC)
    fit(model, folder=out, resume=True)
    np.testing.assert_array_equal(model.predict(X), whole.predict(X))
    assert figures(model.history) == figures(whole.history)


def test_a_finished_run_goes_on_for_longer(out: Path) -> None:
    whole, part = nnc.compile(text=SPEC), nnc.compile(text=SPEC)
    expected = fit(whole, epochs=5)
    fit(part, folder=out, epochs=2)
    again = nnc.compile(text=SPEC)
    assert figures(fit(again, folder=out, epochs=5, resume=True)) == figures(expected)
    np.testing.assert_array_equal(again.predict(X), whole.predict(X))
    with pytest.raises(NncError, match="less than the run has begun"):
        fit(nnc.compile(text=SPEC), folder=out, epochs=3, resume=True)


def test_a_later_fit_is_a_run_of_its_own(out: Path) -> None:
    """It has its own epochs, counted on; the checkpoint and the model have the model's whole history."""
    model = nnc.compile(text=SPEC)
    fit(model, epochs=2)
    history = fit(model, epochs=2, folder=out)
    assert [epoch.number for epoch in history.epochs] == [3, 4]
    assert len(modelfile.load(out / "model.safetensors").history) == 4
    longer = fit(nnc.compile(text=SPEC), epochs=3, folder=out, resume=True)
    assert [epoch.number for epoch in longer.epochs] == [3, 4, 5]


def refusal(**arguments: Any) -> tuple[str, str]:
    compiled = {name: arguments.pop(name) for name in ("params", "batch_size", "seed") if name in arguments}
    text = arguments.pop("text", SPEC)
    with pytest.raises(NncError) as caught:
        fit(nnc.compile(text=text, **compiled), **arguments)
    (found,) = caught.value.diagnostics
    return found.code, found.message


def test_what_is_no_continuation_is_refused(out: Path) -> None:
    model = nnc.compile(text=SPEC)
    fit(model, folder=out, epochs=2)
    before = (out / "model.safetensors").read_bytes()
    assert refusal(folder=out)[0] == "E0840"
    for change, what in (
        ({"text": SPEC.replace("tanh", "relu")}, "another spec"), ({"params": {"units": 7}}, "other params"),
        ({"batch_size": 4}, "another batch size"), ({"seed": 4}, "another batch size or seed"),
    ):  # fmt: skip
        code, message = refusal(folder=out, resume=True, **change)
        assert code == "E0843"
        assert what in message
    for data in ({"x": X + 1}, {"y": Y[::-1]}, {"validation_split": 0.5}, {"validation_split": 0.0}):
        assert refusal(folder=out, resume=True, **data)[0] == "E0926"
    with RunFolder(out).again():
        assert refusal(folder=out, resume=True)[0] == "E0844"
    assert refusal(resume=True) == ("E0822", "`resume` goes on with the run in `folder`, and there is no `folder`")
    assert (out / "model.safetensors").read_bytes() == before
    assert cli.main(["run", "--resume", str(out)]) == 3  # which has no arrays


def test_texts_renamed_are_other_data(out: Path) -> None:
    """Their numbers are the same, so that the arrays alone would not tell."""
    spec = "input port: int32[]\noutput y = port -> OneHot(3) -> Dense(1) { loss = mse }\ntrain { epochs = 2 }"
    begun = np.array(["Bonn", "Oslo", "Rome"] * 4)
    nnc.compile(text=spec).fit(begun, np.arange(12), folder=out, verbose=False)
    before = (out / "model.safetensors").read_bytes()
    with pytest.raises(NncError) as caught:
        nnc.compile(text=spec).fit(
            np.where(begun == "Oslo", "Paris", begun), np.arange(12), folder=out, resume=True, epochs=3, verbose=False
        )
    (found,) = caught.value.diagnostics
    assert (found.code, found.message) == ("E0926", "the texts of `port` changed since the run began")
    assert found.notes == ("-port `Oslo`", "+port `Paris`")
    assert (out / "model.safetensors").read_bytes() == before
    more = nnc.compile(text=spec).fit(begun, np.arange(12), folder=out, resume=True, epochs=3, verbose=False)
    assert len(more) == 3


def test_the_command_line_goes_on_with_a_run_of_python_and_the_other_way_round(out: Path) -> None:
    assert cli.main(["run", "rows.nn", "--run", "whole"]) == 0
    expected = tensors(Path("whole/model.safetensors"))
    nnc.compile("rows.nn").fit(epochs=2, folder=out, verbose=False)
    assert cli.main(["run", "--resume", str(out), "--epochs", "4"]) == 0
    assert tensors(out / "model.safetensors") == expected
    assert cli.main(["run", "rows.nn", "--run", "second", "--epochs", "1"]) == 0
    nnc.compile("rows.nn").fit(epochs=4, folder="second", resume=True, verbose=False)
    assert tensors(Path("second/model.safetensors")) == expected
    assert modelfile.load("second/model.safetensors").provenance == modelfile.load("whole/model.safetensors").provenance


# --- the data that a model's spec names -----------------------------------------------------------------------------
def test_a_loaded_model_is_judged_on_the_data_of_its_spec(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = nnc.compile("rows.nn")
    model.fit(verbose=False)
    model.save("rows.safetensors")
    again = nnc.load("rows.safetensors")
    assert again.evaluate() == model.evaluate() == again.evaluate(split="test")
    assert again.evaluate(split="train") != again.evaluate()
    assert cli.main(["evaluate", "rows.safetensors", "--json"]) == 0
    assert f'"total": {again.evaluate()["loss"]!r}' in capsys.readouterr().out
    assert again.provenance == model.provenance
    assert list(again.provenance["data_sha256"]) == ["rows.csv"]
    with pytest.raises(NncError, match="E0830"):
        again.evaluate(split="validation")
    with pytest.raises(NncError, match="no place beside arrays"):
        again.evaluate(X[:, :2], Y, split="test")


def test_a_loaded_model_finds_its_data_beside_it_here_or_where_it_is_told(out: Path) -> None:
    model = nnc.compile("rows.nn")
    model.fit(verbose=False)
    out.mkdir()
    model.save(out / "rows.safetensors")
    expected = model.evaluate()
    assert nnc.load(out / "rows.safetensors").evaluate() == expected
    elsewhere = out.parent / "elsewhere"
    elsewhere.mkdir()
    Path("rows.csv").rename(elsewhere / "rows.csv")
    lost = nnc.load(out / "rows.safetensors")
    with pytest.raises(NncError, match="E0701"):
        lost.evaluate()
    assert nnc.load(out / "rows.safetensors", data=elsewhere).evaluate() == expected
    (elsewhere / "rows.csv").rename(out / "rows.csv")
    assert lost.evaluate() == expected
    assert len(lost.fit(epochs=1, verbose=False)) == 1


def test_rows_of_the_specs_data_weigh_one_where_arrays_had_weights(out: Path) -> None:
    model = nnc.compile("rows.nn")
    model.fit(X[:8, :2], Y[:8], sample_weight=np.full(8, 3.0), epochs=1, verbose=False)
    plain = nnc.compile("rows.nn")
    plain.weights = model.weights
    expected = pytest.approx(plain.evaluate()["loss"], rel=1e-6)
    assert model.evaluate()["loss"] == expected
    model.save("m.safetensors")
    assert nnc.load("m.safetensors").evaluate()["loss"] == expected
    assert cli.main(["evaluate", "m.safetensors"]) == 0
    model.fit(epochs=1, verbose=False)
    assert len(model.history) == 2


def test_a_model_whose_spec_names_no_data_still_needs_arrays(out: Path) -> None:
    model = nnc.compile(text=SPEC)
    model.save("m.safetensors")
    with pytest.raises(NncError, match="E0808"):
        nnc.load("m.safetensors").evaluate()
    assert model.provenance["data_sha256"] == {}
    assert modelfile.load("m.safetensors").provenance == model.provenance
