"""The pictures and matrices that a run leaves: of yes/no units too, and when training does not get to its end."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest
from test_run import figures, started

import nnc
from nnc import cli
from nnc.runtime import confusion
from nnc.runtime.data import from_arrays
from nnc.runtime.prediction.classes import classifiers

SPEC = """\
nn 1

model tags

input x: float32[2]

output tag = x -> Dense(3, sigmoid) { loss = binary_crossentropy }
output bit = x -> Dense(1, sigmoid) { loss = binary_crossentropy }
output kind = x -> Dense(2, softmax) { loss = sparse_categorical_crossentropy }

train { optimizer = sgd(learning_rate = 0.1), batch_size = 8, epochs = 3, seed = 2 }

data {
  table = csv("tags.csv")
  x = table[a, b]
  tag = table[red, green, blue]
  bit = table[red]
  kind = table[kind]
}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("matplotlib")
    rows = np.random.default_rng(0).normal(size=(60, 2))
    lines = [f"{a:.4f},{b:.4f},{int(a > 0)},{int(b > 0)},{int(a > b)},{int(a + b > 0)}" for a, b in rows]
    (tmp_path / "tags.csv").write_text("\n".join(["a,b,red,green,blue,kind", *lines]) + "\n")
    (tmp_path / "tags.nn").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_each_unit_has_its_matrix_as_scikit_learn_counts_it(here: Path) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    assert cli.main(["run", "tags.nn", "--run", "out"]) == 0
    model = nnc.load("out/model.safetensors")
    table = np.loadtxt("tags.csv", delimiter=",", skiprows=1)
    x, truth = table[:, :2], {"tag": table[:, 2:5], "bit": table[:, 2], "kind": table[:, 5].astype(int)}
    predicted = model.predict(x)
    assert isinstance(predicted, dict)
    found = classifiers(model.plan, model.outputs, model.vocabularies)
    matrices = confusion.confusion_matrices(model.session, from_arrays(model.plan, model.outputs, x, truth), found)
    units = metrics.multilabel_confusion_matrix(truth["tag"], predicted["tag"] > 0.5)
    np.testing.assert_array_equal(matrices["tag"], units)
    np.testing.assert_array_equal(
        matrices["kind"], metrics.confusion_matrix(truth["kind"], predicted["kind"].argmax(axis=1))
    )
    np.testing.assert_array_equal(matrices["bit"], metrics.confusion_matrix(truth["bit"], predicted["bit"] > 0.5))
    told = (here / "out" / "summary.txt").read_text().splitlines()
    start = told.index("tag.confusion (each unit for itself: yes or no)")
    assert told[start + 1].split()[0] == "unit"
    assert [line.split() for line in told[start + 2 : start + 5]] == [
        [name, *map(str, matrix.reshape(-1))] for name, matrix in zip(("red", "green", "blue"), units, strict=True)
    ]
    assert "kind.confusion (rows: the true class, columns: the class it was taken for)" in told
    assert (here / "out" / "confusion.png").read_bytes().startswith(b"\x89PNG")


def test_a_row_of_matrices_is_drawn() -> None:
    pytest.importorskip("matplotlib")
    units = np.arange(12).reshape(3, 2, 2)
    figure = confusion.draw({"tag": units, "kind": np.eye(3, dtype=np.int64)}, {"tag": ("red", "green", "blue")})
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == ["tag: red", "tag: green", "tag: blue", "kind"]
    assert [text.get_text() for text in panels[1].texts] == ["4", "5", "6", "7"]
    assert [label.get_text() for label in panels[1].get_xticklabels()] == ["no", "yes"]
    many = confusion.draw({"tag": np.ones((30, 2, 2), np.int64)}, {})
    titles = [axes.get_title() for axes in many.axes if axes.get_title()]
    assert (len(titles), titles[-1]) == (24, "tag: 23 (the last shown of 30)")


def test_ctrl_c_leaves_the_curves_so_far(here: Path) -> None:
    (here / "tags.nn").write_text(SPEC.replace("epochs = 3", "epochs = 100000"))
    process = started("tags.nn", "--run", "out")
    assert process.stderr is not None
    while "epoch 2" not in " ".join(process.stderr.readline().split()).replace("/", " "):
        pass
    process.send_signal(signal.SIGINT)
    said = process.stderr.read()
    assert process.wait() == 130
    assert "go on: `nnc run --resume out`" in said
    assert figures(here / "out")
    for name in ("curves.png", "curves.svg"):
        assert (here / "out" / name).stat().st_size > 1000
    assert not (here / "out" / "confusion.png").exists()


def test_a_second_ctrl_c_does_not_wait_for_pictures(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Raised where the first would be drawn: what was said before it stays said, and nothing half drawn is left."""
    from nnc.runtime import curves, train

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    fit = train.fit

    def fit_and_interrupt(*arguments: object, **named: object) -> None:
        fit(*arguments, **named)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "fit", fit_and_interrupt)
    monkeypatch.setattr(curves, "write", interrupt)
    assert cli.main(["run", "tags.nn", "--run", "out"]) == 130
    told = capsys.readouterr().err
    assert told.index("go on:") < told.index("interrupted again: no pictures")
    assert not list((here / "out").glob("*curves*"))


def test_a_run_that_diverges_leaves_the_curves_so_far(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = SPEC.replace("Dense(2, softmax) { loss = sparse_categorical_crossentropy }", "Dense(1) { loss = mse }")
    (here / "tags.nn").write_text(spec.replace("learning_rate = 0.1", "learning_rate = 3").replace("= 3,", "= 300,"))
    assert cli.main(["run", "tags.nn", "--run", "out"]) == 5
    assert "error[E0690]" in capsys.readouterr().err
    assert figures(here / "out")
    assert (here / "out" / "curves.png").read_bytes().startswith(b"\x89PNG")
