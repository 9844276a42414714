"""What a command may write over, and what becomes of a trained model when something goes wrong after training."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from nnc import cli
from nnc.runtime import confusion, modelfile, train
from nnc.runtime.whole_file import remove_leftovers, write_whole

SPEC = """\
nn 1

model flowers

input x: float32[2]

output kind = x -> Dense(3, softmax) { loss = sparse_categorical_crossentropy }

train { optimizer = sgd(learning_rate = 0.01), batch_size = 8, epochs = 2, checkpoint = every(epochs = 1) }

data {
  table = csv("flowers.csv")
  x = table[a, b]
  kind = table[kind]
  split { test = 25%, seed = 1 }
}
"""
NAMES = ("cost $x_1$ of $5", "a\\frac b", "plain")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rows = np.random.default_rng(0).normal(size=(40, 2))
    lines = [f"{a:.4f},{b:.4f},{NAMES[k % 3]}" for k, (a, b) in enumerate(rows)]
    (tmp_path / "flowers.csv").write_text("\n".join(["a,b,kind", *lines]) + "\n")
    (tmp_path / "flowers.nn").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


# --- what may not be written over ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["run", "flowers.nn", "-o", "flowers.nn"], "it is the spec"),
        (["run", "flowers.nn", "-o", "./flowers.csv"], "it is the data `flowers.csv`"),
        (["run", "flowers.nn", "-o", "link"], "it is the data `flowers.csv`"),
        (["run", "flowers.nn", "-o", "notes.txt"], "there is a file that is no model of nnc"),
        (["run", "flowers.nn", "-o", "device"], "it is no regular file"),
        (["compile", "flowers.nn", "-o", "flowers.nn"], "it is the spec"),
        (["predict", "m.safetensors", "--input", "@flowers.csv", "-o", "flowers.csv"], "it is the input `flowers.csv`"),
        (["predict", "m.safetensors", "--input", "@flowers.csv", "-o", "m.npz"], "it is the model"),
    ],
)
def test_nothing_that_is_read_is_written_over(
    here: Path, words: list[str], what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "notes.txt").write_text("mine")
    (here / "link").symlink_to("flowers.csv")
    (here / "device").symlink_to(os.devnull)
    if words[0] == "predict":
        assert cli.main(["run", "flowers.nn", "-o", "m.safetensors"]) == 0
        (here / "m.npz").symlink_to("m.safetensors")
    before = contents(here)
    capsys.readouterr()
    assert cli.main(words) == 2
    told = capsys.readouterr().err
    assert "error[E0807]" in told
    assert what in told
    assert contents(here) == before


def test_a_model_and_an_empty_file_may_be_written_over(here: Path) -> None:
    (here / "m.safetensors").touch()
    for _ in range(2):
        assert cli.main(["run", "flowers.nn", "-o", "m.safetensors"]) == 0
    whole = (here / "m.safetensors").read_bytes()
    (here / "m.safetensors").write_bytes(whole[:-8])    # torn, but a model still
    assert cli.main(["run", "flowers.nn", "-o", "m.safetensors"]) == 0
    assert len(modelfile.load(here / "m.safetensors").history) == 2


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no file system here that takes no files, even of root")
def test_a_place_that_takes_no_files_is_refused_before_training(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train, "fit", None)    # which would fail if it came to that
    assert cli.main(["run", "flowers.nn", "-o", "/proc/self/m.safetensors"]) == 2
    assert "error[E0807]: cannot write `/proc/self/m.safetensors`" in capsys.readouterr().err


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    names = ("model[1].safetensors", "model1.safetensors")
    for name in names:
        (tmp_path / f".{name}.part-abc").touch()
    remove_leftovers(tmp_path / names[0])
    assert [path.name for path in tmp_path.iterdir()] == [f".{names[1]}.part-abc"]
    write_whole(tmp_path / names[0], b"whole")
    assert (tmp_path / names[0]).read_bytes() == b"whole"


# --- after training -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("failure", "code"), [(KeyboardInterrupt, 130), (MemoryError, 70)])
def test_a_trained_model_is_saved_before_it_is_judged(
    here: Path, failure: type[BaseException], code: int, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def fail(*_: Any) -> NoReturn:
        raise failure

    monkeypatch.setattr(train, "evaluate", fail)
    assert cli.main(["run", "flowers.nn", "-o", "my model.safetensors"]) == code
    assert "saved, but not judged to the end: it is in my model.safetensors" in capsys.readouterr().err
    assert len(modelfile.load(here / "my model.safetensors").history) == 2


def test_what_to_do_next_can_be_pasted(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "flowers.nn", "-o", "my model.safetensors"]) == 0
    told = capsys.readouterr().err
    command = told[told.index("`nnc evaluate") + 1 :].partition("`")[0]
    assert cli.main(shlex.split(command)[1:]) == 0
    assert 'nnc.load("my model.safetensors")' in told


def test_going_on_tells_all_epochs_and_its_own_seconds(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "flowers.nn", "--run", "out"]) == 0
    assert "\n2 epochs, " in capsys.readouterr().err
    assert cli.main(["run", "--resume", "out", "--epochs", "5"]) == 0
    assert re.search(r"\n5 epochs in all, \d+\.\d s of training since it went on; ", capsys.readouterr().err)


# --- pictures -----------------------------------------------------------------------------------------------------
def test_names_with_dollars_and_backslashes_are_drawn_as_they_are(here: Path) -> None:
    pytest.importorskip("matplotlib")
    assert cli.main(["run", "flowers.nn", "--run", "out", "--plot"]) == 0
    assert (here / "out" / "confusion.png").read_bytes().startswith(b"\x89PNG")
    figure = confusion.draw({"kind": np.eye(3, dtype=np.int64)}, {"kind": NAMES})
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(NAMES)


@pytest.mark.parametrize(("options", "code"), [([], 0), (["--plot"], 70)])
def test_a_picture_that_fails_comes_after_the_results(
    here: Path, options: list[str], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")

    def fail(*_: Any) -> NoReturn:
        raise ValueError("no such colour")

    monkeypatch.setattr(confusion, "draw", fail)
    assert cli.main(["run", "flowers.nn", "--run", "out", *options]) == code
    found = capsys.readouterr()
    assert "kind.loss" in found.out
    assert (here / "out" / "summary.txt").exists()
    assert (here / "out" / "model.safetensors").exists()
    assert ("nnc: no pictures: ValueError: no such colour" in found.err) == (code == 0)


def test_a_font_without_the_characters_of_a_name_is_said(
    here: Path, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    table = here / "flowers.csv"
    table.write_text(table.read_text().replace("plain", "\u7a93"))
    with matplotlib.rc_context({"font.family": "DejaVu Sans"}):
        assert cli.main(["run", "flowers.nn", "--run", "out"]) == 0
    assert "the font of confusion.png lacks \u7a93" in capsys.readouterr().err
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]


@pytest.mark.parametrize("classes", [2, 12, 25, 40])
def test_long_names_leave_room_for_the_matrix(classes: int) -> None:
    pytest.importorskip("matplotlib")
    names = [f"a class with a name that is much too long, number {k}" for k in range(classes)]
    figure = confusion.draw({"kind": np.eye(classes, dtype=np.int64)}, {"kind": names})
    figure.canvas.draw()
    place = figure.axes[0].get_position()
    assert place.width > 0.35
    assert place.height > 0.35


def test_one_epoch_has_one_tick() -> None:
    pytest.importorskip("matplotlib")
    from nnc.runtime import curves
    from nnc.runtime.history import Epoch, History

    figure = curves.draw(History([Epoch(1, {"loss": 1.0}, 0.1)]))
    figure.canvas.draw()
    low, high = figure.axes[0].get_xlim()
    assert [tick for tick in figure.axes[0].get_xticks() if low <= tick <= high] == [1]
