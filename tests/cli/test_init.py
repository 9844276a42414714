"""`nnc init`: the spec it writes is canonical, passes the check and learns; what it assumes is said."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from nnc.cli import main
from nnc.compiler.options import CompileOptions
from nnc.compiler.pipeline import check_source
from nnc.grammar.source import SourceFile

DATA = Path(__file__).resolve().parents[2] / "specs" / "data"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, header: str, row: Callable[[int], str], rows: int = 60) -> None:
    path.write_text("\n".join([header, *(row(i) for i in range(rows))]) + "\n", encoding="utf-8")


def passengers(folder: Path) -> None:
    """Sixty rows with every kind of column; whoever is a woman survives."""

    def row(i: int) -> str:
        age = "" if i % 7 == 0 else str(20 + i % 13)
        port = ["S", "C", "", "Q"][i % 4] if i % 5 == 0 else "S"
        return f'{i + 1},{i % 2},"Name, {i}",{["m", "f"][i % 2]},{age},{port},{"" if i % 9 else "B"},7,{i % 40 + 0.5}'

    write(folder / "boat.csv", "Id,Survived,Name,Sex,Age,Port,Cabin,Sea,Fare", row)


def drafted(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    assert main(["init", *arguments]) == 0
    out, err = capsys.readouterr()
    return out, err


def test_every_kind_of_column(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    passengers(folder)
    text, said = drafted(capsys, "boat.csv", "--target", "Survived")
    assert "input numbers: float32[2]" in text
    assert "numbers  = table[Age, Fare]" in text
    assert "-> OneHot(2)" in text
    assert "Dense(1, sigmoid)" in text
    assert 'csv("boat.csv", missing = median, unknown = other)' in text
    assert "stratify = survived" in text
    assert "Id: left out, it numbers the rows" in said
    assert "Name: left out, with 60 different texts" in said
    assert "Sea: left out, it has one" in said
    assert "Cabin: left out, 53 of 60 values are missing" in said
    assert "missing values of Age (9), Port (3)" in said
    assert main(["init", "boat.csv", "--target", "Survived", "-o", "boat.nn"]) == 0
    assert Path("boat.nn").read_text("utf-8") == text
    assert main(["fmt", "--check", "boat.nn"]) == 0
    assert main(["check", "boat.nn"]) == 0
    capsys.readouterr()
    assert main(["run", "boat.nn", "--epochs", "30"]) == 0
    assert "survived.accuracy  1.0000" in capsys.readouterr().out


def test_columns_without_a_name_are_left_out_by_number(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "nameless.csv", ",a,b, ,y,", lambda i: f'{i},{i % 7},{i % 5},"1,5",{i % 2},')
    text, said = drafted(capsys, "nameless.csv", "--target", "y")
    assert "numbers = table[a, b]" in text
    assert [line for line in said.splitlines() if "no name" in line] == [
        f"column {number}: left out, it has no name in the first line" for number in (1, 4, 6)
    ]
    for target in ("z", ""):
        assert main(["init", "nameless.csv", "--target", target]) == 3
        assert "the file has `a`, `b`, `y` and 3 columns without a name" in capsys.readouterr().err
    (folder / "nameless.nn").write_text(text.replace("table[a, b]", 'table[a, ""]'))
    assert main(["check", "nameless.nn", "--data", "."]) == 3
    assert "`nameless.csv` has 3 columns without a name" in capsys.readouterr().err


def test_a_file_that_is_there_is_not_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    passengers(folder)
    Path("boat.nn").write_text("mine")
    assert main(["init", "boat.csv", "--target", "Survived", "-o", "boat.nn"]) == 2
    assert Path("boat.nn").read_text() == "mine"
    assert "E0807" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (lambda i: str(i % 2), "Dense(1, sigmoid)"), (lambda i: str(i % 3), "Dense(3, softmax)"),
        (lambda i: "abcd"[i % 4], "Dense(4, softmax)"), (lambda i: "ab"[i % 2], "Dense(1, sigmoid)"),
        (lambda i: str(5 + i % 3), "Dense(3, softmax)"), (lambda i: str(i % 2 * 2 - 1), "Dense(1, sigmoid)"),
        (lambda i: str(i / 7), "-> Dense(1) {"), (lambda i: str(1000 + i * i), "-> Dense(1) -> Rescale("),
        (lambda i: ["1", "2", "b"][i % 3], "categories = [y]"),
    ],
)  # fmt: skip
def test_the_target_decides_output_and_loss(
    folder: Path, capsys: pytest.CaptureFixture[str], cell: Callable[[int], str], expected: str
) -> None:
    write(folder / "t.csv", "x,y", lambda i: f"{i * i % 17},{cell(i)}", 90)
    drafted(capsys, "t.csv", "--target", "y", "-o", "t.nn")
    assert expected in Path("t.nn").read_text("utf-8")
    assert main(["run", "t.nn", "--epochs", "2"]) == 0


def test_rows_without_a_target_are_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "t.csv", "x,y", lambda i: f"{i * i % 17},{i % 2 if i % 6 else ''}", 90)
    drafted(capsys, "t.csv", "--target", "y", "-o", "t.nn")
    assert "missing = drop" in Path("t.nn").read_text("utf-8")
    assert main(["run", "t.nn", "--epochs", "2"]) == 0


def test_names_that_are_no_identifiers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Columns may be called anything, words of the language included; many categories become an embedding."""
    names = ["train", "split", "a b", "나이", 'say "x"', "x-1", "A", "a", "numbers", "2nd", "relu", "Dense", "true"]
    rows = [
        [*(str((i * k) % 11 + k / 10) for k in range(1, 11)), f"t{(i * 3) % 25}", f"u{i % 3}", f"v{i % 2}", "ny"[i % 2]]
        for i in range(120)
    ]
    with (folder / "data.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=";").writerows([[*names, "kind of"], *rows])
    drafted(capsys, "data.csv", "--target", "kind of", "-o", "data.nn")
    text = Path("data.nn").read_text("utf-8")
    assert 'separator = ";"' in text
    assert "Embedding(26, 5)" in text
    check_source(SourceFile("data.nn", text, folder / "data.nn"), CompileOptions())
    assert main(["run", "data.nn", "--epochs", "2"]) == 0


@pytest.mark.parametrize(("name", "target", "least"), [("wine", "cultivar", 0.94), ("breast_cancer", "benign", 0.94)])
def test_real_tables(folder: Path, capsys: pytest.CaptureFixture[str], name: str, target: str, least: float) -> None:
    drafted(capsys, str(DATA / f"{name}.csv"), "--target", target, "-o", "real.nn")
    assert main(["run", "real.nn"]) == 0
    shown = capsys.readouterr().out
    assert "test split" in shown
    accuracy = re.search(r"\.accuracy +([\d.]+)", shown)
    assert accuracy is not None
    assert float(accuracy[1]) >= least


def test_a_line_break_in_a_quoted_header(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header = '"how\nlong","kind\nof ""it""",size'
    write(folder / "a.csv", header, lambda i: f"{i * 7 % 11},{'ab'[i % 2]},{i % 5}")
    text, said = drafted(capsys, "a.csv", "--target", 'kind\nof "it"')
    assert '"how\\nlong"' in text
    assert '"kind\\nof \\"it\\""' in text
    assert '## Predicts kind of "it" from the other columns' in text
    assert "how long, size: numbers" in said
    (folder / "a.nn").write_text(text)
    assert main(["run", "a.nn", "--epochs", "1"]) == 0


def test_one_number_written_in_several_ways_is_one_class(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "a.csv", "x,one,y", lambda i: f"{i * 7 % 11},{['2', '2.0'][i % 2]},{['0', '1', '1.0'][i % 3]}")
    text, said = drafted(capsys, "a.csv", "--target", "y")
    assert "Dense(1, sigmoid)" in text
    assert "categories" not in text
    assert "one: left out, it has one value only" in said
    (folder / "a.nn").write_text(text)
    assert main(["run", "a.nn", "--epochs", "1"]) == 0
    write(folder / "a.csv", "x,y", lambda i: f"{i * 7 % 11},{['5', '7', '7.0'][i % 3]}", 900)
    capsys.readouterr()
    text, said = drafted(capsys, "a.csv", "--target", "y")
    assert "loss    = mse" in text
    assert "some numbers are written in several ways" in said


def test_a_target_of_one_number_written_twice_is_constant(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "a.csv", "x,y", lambda i: f"{i * 7 % 11},{['0', '0.0'][i % 2]}")
    assert main(["init", "a.csv", "--target", "y"]) == 3
    assert "E0721" in capsys.readouterr().err


def test_blank_lines_before_the_header(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "a.csv", "\n\nx;y", lambda i: f"{i * 7 % 11};{i % 2}")
    text, _ = drafted(capsys, "a.csv", "--target", "y")
    assert 'separator = ";"' in text
    (folder / "a.nn").write_text(text)
    assert main(["run", "a.nn", "--epochs", "1"]) == 0
