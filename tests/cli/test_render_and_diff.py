"""`nnc render` and `nnc diff`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import nnc
from nnc import cli
from nnc.commands.sources import bundled_path

SPEC = """\
nn 1
model small

param units: int = 4 in 1..64

input x: float32[2]

hidden = x -> Dense(units, relu)

output y = hidden -> Dense(1) {
  loss    = huber(delta = 1)
  metrics = [mae]
}

train {
  optimizer = sgd(learning_rate = 0.05)
  epochs    = 3
}

data {
  table = csv("small.csv")
  x     = table[a, b]
  y     = table[y]
}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "small.nn").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def compared(before: str, after: str, capsys: pytest.CaptureFixture[str], code: int = 1) -> str:
    """What `nnc diff` prints."""
    assert cli.main(["diff", before, after]) == code
    told = capsys.readouterr()
    assert told.err == ""
    return told.out


# --- render -----------------------------------------------------------------------------------------------------------
def test_render_prints_a_spec_that_says_everything(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["render", "small.nn", "--set", "units=8"]) == 0
    text = capsys.readouterr().out
    assert "param units: int = 8 in 1..64\n" in text
    assert "momentum = 0.0" in text
    (here / "full.nn").write_text(text)
    assert cli.main(["fmt", "full.nn", "--check"]) == 0
    assert cli.main(["render", "full.nn"]) == 0
    assert capsys.readouterr().out == text


def test_render_of_a_model_has_the_params_of_its_training(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nnc.compile("small.nn", params={"units": 5}).save("small.safetensors")
    assert cli.main(["render", "small.safetensors"]) == 0
    assert "param units: int = 5 in 1..64\n" in capsys.readouterr().out


def test_render_refuses_a_faulty_spec(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "small.nn").write_text(SPEC.replace("relu", "relo"))
    assert cli.main(["render", "small.nn"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "E0407" in told.err


# --- diff -------------------------------------------------------------------------------------------------------------
def test_no_difference(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Layout, comments, names of tables and spelt-out defaults make no difference."""
    text = SPEC.replace("table", "rows").replace("nn 1", "nn 1  # as ever")
    text = text.replace("Dense(1)", "Dense(units = 1, use_bias = true)")
    (here / "other.nn").write_text(text)
    assert compared("small.nn", "other.nn", capsys, 0) == "no difference\nweights\n  4 of 4 carry over\n"


def test_every_part_that_changed_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = [
        ("model small", "model large"), ("int = 4", "int = 6"), ("relu)", "tanh) -> Dropout(0.5)"),
        ("delta = 1", "delta = 2"),
        ("[mae]", "[mae, rmse]"), ("rate = 0.05", "rate = 0.01"), ("epochs    = 3", "epochs = 3, seed = 7"),
        ("table[a, b]", "table[b, a]"),
    ]  # fmt: skip
    text = SPEC
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (here / "other.nn").write_text(text)
    assert compared("small.nn", "other.nn", capsys) == """\
model
  ~ model: small -> large
params
  ~ units: 4 -> 6
layers
  ~ hidden: Dense(4, relu) -> Dropout(0.5)
  ~ hidden reads: x -> hidden.dense
  ~ hidden gives: float32[4] -> float32[6]
  + hidden.dense: Dense(6, tanh) of x
outputs
  ~ y.loss.delta: 1 -> 2
  ~ y.metrics: (mae) -> (mae, rmse)
train
  ~ optimizer.learning_rate: 0.05 -> 0.01
  ~ seed: 0 -> 7
data
  ~ x: csv("small.csv")[a, b] -> csv("small.csv")[b, a]
weights
  ~ y.kernel: float32[4, 1] -> float32[6, 1], does not carry over
  - hidden.kernel
  - hidden.bias
  + hidden.dense.kernel
  + hidden.dense.bias
  1 of 4 carry over
"""


def test_numbers_that_look_alike_are_told_in_full(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "other.nn").write_text(SPEC.replace("0.05", "0.0500000001"))
    assert "~ optimizer.learning_rate: 0.05 -> 0.0500000001\n" in compared("small.nn", "other.nn", capsys)


def test_models_are_compared_by_their_weights_too(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = nnc.compile("small.nn")
    model.save("one.safetensors")
    assert compared("small.nn", "one.safetensors", capsys, 0).startswith("no difference")
    model.weights["y.bias"] = [1.5]
    model.save("two.safetensors")
    assert compared("one.safetensors", "one.safetensors", capsys, 0).startswith("no difference")
    told = compared("one.safetensors", "two.safetensors", capsys)
    assert told == "weights\n  ~ y.bias: other values\n  4 of 4 carry over\n"


def test_differences_as_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "other.nn").write_text(SPEC.replace("int = 4", "int = 6"))
    assert cli.main(["diff", "small.nn", "other.nn", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["equal"] is False
    assert {"part": "params", "name": "units", "before": "4", "after": "6"} in told["changes"]
    assert told["weights"]["carried"] == ["y.bias"]
    assert {"name": "hidden.bias", "before": "float32[4]", "after": "float32[6]"} in told["weights"]["reshaped"]


@pytest.mark.parametrize("name", ["digits", "residual", "siamese"])
def test_a_rendered_spec_does_not_differ(
    here: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    path = str(bundled_path(name))
    assert cli.main(["render", path]) == 0
    (here / "full.nn").write_text(capsys.readouterr().out)
    assert compared(path, "full.nn", capsys, 0).startswith("no difference")


def test_trouble_is_no_difference(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As diff(1) does, 1 is kept for differences."""
    (here / "faulty.nn").write_text("input x float32[2]\n")
    assert cli.main(["diff", "small.nn", "faulty.nn"]) == 2
    assert cli.main(["diff", "small.nn", "none.nn"]) == 2
    assert cli.main(["diff", "small.nn", "none.safetensors"]) == 3
    assert capsys.readouterr().out == ""
