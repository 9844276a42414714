"""`nnc run --from`: texts and classes keep the numbers that the model has for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnc import cli
from nnc.runtime import modelfile

SPEC = """\
nn 1

model shop

input colour: int32[]

output size = colour -> Embedding(8, 2) -> Dense(4, softmax) { loss = sparse_categorical_crossentropy }

train { optimizer = sgd(learning_rate = 0.1), batch_size = 4, epochs = 1, checkpoint = every(epochs = 1) }

data {
  table = csv("shop.csv")
  colour = table[colour]
  size = table[size]
}
"""
BEGIN = ["run", "shop.nn", "-o", "first.safetensors"]
AGAIN = ["run", "shop.nn", "--from", "first.safetensors", "-o", "second.safetensors"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "shop.nn").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    write(tmp_path, ["red,small", "green,large", "blue,small", "green,huge"])
    assert cli.main(BEGIN) == 0
    return tmp_path


def write(folder: Path, rows: list[str]) -> None:
    (folder / "shop.csv").write_text("\n".join(["colour,size", *rows]) + "\n")


def texts(path: Path) -> dict[str, tuple[str, ...]]:
    return {name: tuple(words) for name, words in modelfile.load(path).vocabularies.items()}


def test_texts_keep_their_numbers_where_the_new_rows_lack_some(here: Path) -> None:
    first = texts(here / "first.safetensors")
    assert first == {"colour": ("blue", "green", "red"), "size": ("huge", "large", "small")}
    write(here, ["red,small", "green,large"])
    assert cli.main(AGAIN) == 0
    assert texts(here / "second.safetensors") == first


def test_going_on_keeps_them_too(here: Path) -> None:
    write(here, ["red,small", "green,large"])
    assert cli.main(AGAIN) == 0
    assert cli.main(["run", "--resume", "second.checkpoint.safetensors", "--epochs", "2"]) == 0
    assert texts(here / "second.safetensors") == texts(here / "first.safetensors")


def test_texts_that_the_model_does_not_know_are_refused_with_a_difference(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(here, ["red,small", "amber,tiny", "green,large"])
    assert cli.main(AGAIN) == 2
    told = capsys.readouterr().err
    assert "error[E0843]" in told
    for line in ("-colour `blue`", "+colour `amber`", "-size `huge`", "+size `tiny`"):
        assert line in told
    assert not (here / "second.safetensors").exists()


def test_in_part_new_texts_get_the_numbers_after_those_of_the_model(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(here, ["red,small", "amber,tiny", "green,large"])
    assert cli.main([*AGAIN, "--partial"]) == 0
    assert texts(here / "second.safetensors") == {
        "colour": ("blue", "green", "red", "amber"), "size": ("huge", "large", "small", "tiny"),
    }  # fmt: skip
    told = capsys.readouterr().err
    assert "nnc: new texts of colour, numbered after those of first.safetensors: `amber`" in told
    assert "nnc: new texts of size, numbered after those of first.safetensors: `tiny`" in told


def test_in_part_too_many_classes_are_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here, ["red,small", "green,tiny", "green,medium"])
    assert cli.main([*AGAIN, "--partial"]) == 3
    assert "error[E07" in capsys.readouterr().err
