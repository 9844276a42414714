"""Predictions for the rows of a Parquet file: those of the same table as CSV, in bounded memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnc import cli
from nnc.runtime.data import read_parquet, stream
from nnc.runtime.data.source import Request

arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

SPEC = """\
nn 1
model trees
input colour: int32[]
input size: float32[2]
h = (colour -> OneHot(3), size) -> Concatenate
output kind = h -> Dense(3, softmax) { loss = sparse_categorical_crossentropy, target = species }
train { optimizer = adam(learning_rate = 0.1), batch_size = 8, epochs = 20, seed = 3 }
data {
  t = csv("trees.csv", missing = mean, unknown = other)
  colour = t[colour]
  size = t[width, height]
  species = t[species]
}
"""
COLUMNS: dict[str, list[Any]] = {
    "species": [("ash", "elm", "oak")[i % 3] for i in range(60)],
    "height": [None if i == 7 else 2.5 * (i % 3) for i in range(60)],
    "colour": [None if i == 11 else ("red" if i % 3 == 1 else "blue") for i in range(60)],
    "width": [i % 3 for i in range(60)],
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("trees")
    (folder / "trees.nn").write_text(SPEC)
    write_csv(folder / "trees.csv", COLUMNS)
    assert cli.main(["run", str(folder / "trees.nn"), "-o", str(folder / "trees.safetensors")]) == 0
    return str(folder / "trees.safetensors")


def write_csv(path: Path, columns: dict[str, list[Any]]) -> None:
    rows = zip(*columns.values(), strict=True)
    lines = [",".join("" if cell is None else str(cell) for cell in row) for row in rows]
    path.write_text("\n".join([",".join(columns), *lines, ""]))


def write_parquet(path: str, columns: dict[str, Any], row_group_size: int = 7) -> None:
    parquet.write_table(arrow.table(columns), path, row_group_size=row_group_size)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def predicted(model: str, *words: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    inputs = [part for word in words for part in ("--input", word)]
    assert cli.main(["predict", model, *inputs]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


@pytest.mark.parametrize("row_group_size", [1, 7, 60])
def test_the_same_as_from_csv(model: str, capsys: pytest.CaptureFixture[str], row_group_size: int) -> None:
    """Texts, one that is missing, and a gap in a column of numbers included."""
    write_csv(Path("rows.csv"), COLUMNS)
    write_parquet("rows.parquet", COLUMNS, row_group_size)
    expected = predicted(model, "@rows.csv", capsys=capsys)
    assert predicted(model, "@rows.parquet", capsys=capsys) == expected
    assert predicted(model, "colour=@rows.csv", "size=@rows.parquet", capsys=capsys) == expected
    as_dictionary = arrow.table(COLUMNS).set_column(2, "colour", arrow.array(COLUMNS["colour"]).dictionary_encode())
    parquet.write_table(as_dictionary, "rows.parquet")
    assert predicted(model, "@rows.parquet", capsys=capsys) == expected


def test_a_table_without_rows(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    parquet.write_table(arrow.table(COLUMNS)[:0], "none.parquet")
    assert predicted(model, "@none.parquet", capsys=capsys) == "kind_0,kind_1,kind_2\n"


@pytest.mark.parametrize(
    ("change", "code", "shown"),
    [
        ({"width": None}, "E0703", "`rows.parquet` has no column `width`"),
        ({"width": ["wide"] * 60}, "E0710", "--> rows.parquet, row 1, column width"),
        ({"width": [[1]] * 60}, "E0710", "column `width` holds list"),
        ({"width": [float("nan")] * 60}, None, ""),
        ({"width": [*[1.0] * 50, float("inf"), *[1.0] * 9]}, "E0712", "--> rows.parquet, row 51, column width"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    model: str, capsys: pytest.CaptureFixture[str], change: dict[str, Any], code: str | None, shown: str
) -> None:
    columns = {key: cells for key, cells in (COLUMNS | change).items() if cells is not None}
    write_parquet("rows.parquet", columns)
    assert cli.main(["predict", model, "--input", "@rows.parquet"]) == (0 if code is None else 3)
    if code is not None:
        error = capsys.readouterr().err
        assert f"error[{code}]" in error
        assert shown in error


def test_a_damaged_file_and_different_numbers_of_rows(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_parquet("rows.parquet", COLUMNS)
    write_parquet("fewer.parquet", {key: cells[:50] for key, cells in COLUMNS.items()})
    assert cli.main(["predict", model, "--input", "colour=@rows.parquet", "--input", "size=@fewer.parquet"]) == 3
    assert "E0706" in capsys.readouterr().err
    content = Path("rows.parquet").read_bytes()
    for damaged in (b"", content[:100], content[:-20], b"PAR1" * 9, content[:4] + b"\xff" * 900 + content[904:]):
        Path("rows.parquet").write_bytes(damaged)
        assert cli.main(["predict", model, "--input", "@rows.parquet"]) == 3
        assert "error[E0702]" in capsys.readouterr().err


def test_without_pyarrow_it_is_said_what_to_install(
    model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parquet("rows.parquet", COLUMNS)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert cli.main(["predict", model, "--input", "@rows.parquet"]) == 3
    error = capsys.readouterr().err
    assert "error[E0718]" in error
    assert "pip install 'nnc[data]'" in error


# --- memory -----------------------------------------------------------------------------------------------------------
@contextmanager
def arrow_memory() -> Iterator[Any]:
    """A pool that counts the bytes Arrow has at once."""
    before = arrow.default_memory_pool()
    pool = arrow.proxy_memory_pool(before)
    arrow.set_memory_pool(pool)
    try:
        yield pool
    finally:
        arrow.set_memory_pool(before)


@pytest.mark.parametrize("row_group_size", [50_000, 10_000_000])
def test_no_row_group_is_read_whole(
    model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, row_group_size: int
) -> None:
    rows = 1_000_000
    numbers = np.random.default_rng(0).standard_normal((2, rows))
    colours = np.random.default_rng(0).integers(0, 2, rows)
    columns = {"width": numbers[0], "height": numbers[1], "colour": np.array(["red", "blue"])[colours]}
    write_parquet("rows.parquet", columns, row_group_size)
    size = Path("rows.parquet").stat().st_size
    assert size > 16_000_000
    monkeypatch.setattr(stream, "STREAMED_FROM", 1 << 20)
    with arrow_memory() as pool:
        request = Request(Path("rows.parquet"), "rows.parquet", ("width", "height", "colour"), texts=("colour",))
        contents = read_parquet.read_parquet(request)
        assert 0 < pool.max_memory() < size / 4
    found = np.empty((3, 1))
    contents.arrays["height"].take(np.array([999_999, 0, 7]), found)  # type: ignore[union-attr]
    assert found[:, 0].tolist() == numbers[1, [999_999, 0, 7]].tolist()
    with arrow_memory() as pool:
        assert cli.main(["predict", model, "--input", "@rows.parquet", "-o", "out.npz"]) == 0
        assert 0 < pool.max_memory() < size / 4
    assert np.load("out.npz")["kind"].shape == (rows, 3)
