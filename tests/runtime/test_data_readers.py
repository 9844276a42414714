"""Each reader against files of its kind, whole, odd and damaged."""

from __future__ import annotations

import gzip
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnc.grammar.diagnostics import DataError, Diagnostic
from nnc.runtime.data.cell_of import cell_of
from nnc.runtime.data.kinds import refuse_other_kind
from nnc.runtime.data.read_csv import BLOCK_ROWS, read_csv
from nnc.runtime.data.readers import READERS
from nnc.runtime.data.source import Contents, Request, expand


def read(reader: str, path: Path, *keys: str, optional: tuple[str, ...] = (), **options: Any) -> Contents:
    contents = READERS[reader](Request(path, path.name, keys, optional, options))
    if contents.problems:
        raise DataError(*contents.problems)
    return contents


def refused(action: Callable[[], object]) -> Diagnostic:
    with pytest.raises(DataError) as caught:
        action()
    return caught.value.diagnostics[0]


def text_file(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


# --- csv ------------------------------------------------------------------------------------------------------------
def test_csv_reads_named_columns_alone(tmp_path: Path) -> None:
    path = text_file(tmp_path / "a.csv", 'name,x, y\n"a, b",1,2.5\n"say ""hi""",-3e2, 4 \n')
    contents = read("csv", path, "y", "x")
    assert list(contents.arrays) == ["y", "x"]
    assert contents.arrays["x"].tolist() == [1, -300]
    assert contents.arrays["y"].tolist() == [2.5, 4]
    assert contents.names == ("name", "x", "y")


@pytest.mark.parametrize("text", ["x\r\n1\r\n2\r\n", "\ufeffx\n1\n2", "x\n\n1\n\n2\n\n", "x\r1\r2\r"])
def test_csv_takes_any_line_ending_a_byte_order_mark_and_blank_lines(tmp_path: Path, text: str) -> None:
    assert read("csv", text_file(tmp_path / "a.csv", text), "x").arrays["x"].tolist() == [1, 2]


def test_csv_keeps_large_whole_numbers_exact(tmp_path: Path) -> None:
    path = text_file(tmp_path / "a.csv", "id\n9007199254740993\n1\n")
    assert read("csv", path, "id").arrays["id"].tolist() == [9007199254740993, 1]


@pytest.mark.parametrize("order", [1, -1])
def test_csv_keeps_large_whole_numbers_exact_in_every_block(tmp_path: Path, order: int) -> None:
    """The numbers of other blocks need no more than float64."""
    cells = [*(str(k) for k in range(5000)), "9007199254740993", "-9007199254740993", "7.0", "1e3"][::order]
    found = read("csv", text_file(tmp_path / "a.csv", "id\n" + "\n".join(cells)), "id").arrays["id"]
    assert found.dtype == np.int64
    assert found.tolist() == [int(float(cell)) if len(cell) < 10 else int(cell) for cell in cells]


@pytest.mark.parametrize("rows_between", [0, 5000])
@pytest.mark.parametrize("is_coded", [False, True])
def test_csv_refuses_gaps_that_would_cost_digits(tmp_path: Path, rows_between: int, is_coded: bool) -> None:
    path = text_file(tmp_path / "a.csv", "id\nNA\n" + "1\n" * rows_between + "9007199254740993\n")
    contents = read_csv(Request(path, "a.csv", ("id",), (), {"missing": "drop"}, ("id",) if is_coded else ()))
    assert [(d.code, d.place) for d in contents.problems] == [
        ("E0702", f"a.csv, line {rows_between + 3} (row {rows_between + 2}), column id")]  # fmt: skip
    exact = text_file(tmp_path / "b.csv", "id\nNA\n9007199254740994\n")       # float64 holds this one
    assert read("csv", exact, "id", missing="drop").arrays["id"].tolist()[1] == 9007199254740994


@pytest.mark.parametrize("cell", ["9223372036854775808", "18446744073709551616", "9" * 500, "0" * 5000 + "7"])
def test_csv_rounds_whole_numbers_that_no_integer_type_holds(tmp_path: Path, cell: str) -> None:
    found = read("csv", text_file(tmp_path / "a.csv", f"id\n1\n{cell}\n"), "id").arrays["id"]
    assert found.tolist() == [1, float(cell)]


def test_where_a_cell_begins(tmp_path: Path) -> None:
    """Quotes may hold separators, quotes and line breaks; one inside a field that begins otherwise is a letter."""
    rows = ['x,"y,1",z', "", '1,"a ""b"", c",3', "", 'd,"two', "", 'lines",7', '5",,', '"",8,9']
    path = text_file(tmp_path / "a.csv", "\r\n".join(rows))
    found = {(row, key): cell_of(path, ",", row, key) for row in range(4) for key in ("x", "y,1", "z")}
    assert found == {
        (0, "x"): (3, 1), (0, "y,1"): (3, 3), (0, "z"): (3, 16), (1, "x"): (5, 1), (1, "y,1"): (5, 3), (1, "z"): (7, 8),
        (2, "x"): (8, 1), (2, "y,1"): (8, 4), (2, "z"): (8, 5), (3, "x"): (9, 1), (3, "y,1"): (9, 4), (3, "z"): (9, 6),
    }  # fmt: skip
    assert cell_of(text_file(tmp_path / "b.csv", "\ufeffx;y\n1;"), ";", 0, "y") == (2, 3)


def test_an_underscore_makes_no_number(tmp_path: Path) -> None:
    found = refused(lambda: read("csv", text_file(tmp_path / "a.csv", "x\n1\n1_2\n"), "x"))
    assert (found.code, found.notes) == ("E0710", ("expected a number, found `1_2`",))


def test_csv_goes_on_behind_thousands_of_blank_lines(tmp_path: Path) -> None:
    path = text_file(tmp_path / "a.csv", "\n\nx,y\n1,2\n" + "\n" * (3 * BLOCK_ROWS) + "3,4\n5,low\n")
    assert read("csv", path, "x").arrays["x"].tolist() == [1, 3, 5]
    found = refused(lambda: read("csv", path, "y"))
    assert found.place == f"a.csv, line {3 * BLOCK_ROWS + 6} (row 3), column y"
    assert refused(lambda: read("csv", path, "z", "x")).place == "a.csv"


def test_csv_reports_both_sorts_of_problem_of_a_column(tmp_path: Path) -> None:
    path = text_file(tmp_path / "a.csv", "x,y\n1,1\nlow,2\n,3\nhigh,4\n,5\n,6\n")
    found = read_csv(Request(path, "a.csv", ("x", "y")))
    assert {d.code: d.notes[-1] for d in found.problems} == {
        "E0710": "and 1 more such value in this column", "E0711": "and 2 more such values in this column"}  # fmt: skip
    assert list(found.arrays) == ["y"]


@pytest.mark.parametrize("cell", ["1,5", "-1.234,50", "0,5e-3"])
def test_a_decimal_comma_is_recognised(tmp_path: Path, cell: str) -> None:
    path = text_file(tmp_path / "a.csv", f"x;y\n1;{cell}\n")
    found = refused(lambda: read("csv", path, "y", separator=";"))
    assert found.code == "E0710"
    assert "decimal point" in found.helps[0]


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_category_that_is_no_column(tmp_path: Path, name: str) -> None:
    if name == "a.csv":
        text_file(tmp_path / name, "kind,y\n1,2\n")
    else:
        arrow = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(arrow.table({"kind": [1], "y": [2]}), tmp_path / name)
    found = refused(lambda: read(name[2:], tmp_path / name, "y", categories=("kinds",)))
    assert (found.code, found.message) == ("E0703", f"`{name}` has no column `kinds`")
    assert found.helps[0] == "did you mean `kind`?"


def archive(path: Path, *names: str) -> bytes:
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, "")
    return path.read_bytes()


def test_a_file_of_another_kind_is_recognised(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(3))
    np.savez(tmp_path / "a.npz", x=np.zeros(3))
    contents = {
        "npy(": (tmp_path / "a.npy").read_bytes(), "npz(": (tmp_path / "a.npz").read_bytes(),
        "parquet(": b"PAR1....", "gunzip": gzip.compress(b"x,y"), "CSV in UTF-8": archive(
            tmp_path / "sheet", "[Content_Types].xml", "xl/a.xml"),
        "unpack it": archive(tmp_path / "zip", "a.csv"), "iconv -f UTF-16": "x,y".encode("utf-16"),
        "-f UTF-16 -t": "x,y\n1,2\n".encode("utf-16-le"),
    }  # fmt: skip
    for help, content in contents.items():
        (tmp_path / "t.csv").write_bytes(content)
        found = refused(lambda: refuse_other_kind(Request(tmp_path / "t.csv", "t.csv"), "csv"))
        assert (found.code, help in found.helps[0]) == ("E0702", True), found.helps
    (tmp_path / "t.csv").write_bytes("x,y\nA,Zürich\n".encode("latin-1"))
    refuse_other_kind(Request(tmp_path / "t.csv", "t.csv"), "csv")
    assert "iconv -f LATIN1" in refused(lambda: read("csv", tmp_path / "t.csv", "x")).helps[0]
    text_file(tmp_path / "t.csv", "x,y\nA,Zürich\n")
    refuse_other_kind(Request(tmp_path / "t.csv", "t.csv"), "csv")


def test_csv_reads_more_rows_than_a_block(tmp_path: Path) -> None:
    path = text_file(tmp_path / "a.csv", "x,y\n" + "".join(f"{i},{2 * i}\n" for i in range(10_000)))
    contents = read("csv", path, "y")
    assert contents.arrays["y"].tolist() == list(range(0, 20_000, 2))
    assert contents.cell_of is not None
    assert contents.cell_of(9_999, None) == (10_001, 1)


def test_csv_with_another_separator(tmp_path: Path) -> None:
    path = text_file(tmp_path / "a.csv", "x;y\n1;2\n")
    assert read("csv", path, "y", separator=";").arrays["y"].tolist() == [2]
    found = refused(lambda: read("csv", path, "y"))
    assert found.code == "E0703"
    assert 'csv(..., separator = ";")' in found.helps[-1]


def test_csv_names_the_first_cell_of_text_and_counts_the_others(tmp_path: Path) -> None:
    path = text_file(tmp_path / "a.csv", 'x,y\n1,"two\nlines"\n2,3\nlow,4\nhigh,5\n')
    found = refused(lambda: read("csv", path, "x"))
    assert found.code == "E0710"
    assert found.place == "a.csv, line 5 (row 3), column x"
    assert found.notes == ("expected a number, found `low`", "and 1 more such value in this column")


@pytest.mark.parametrize("gap", ["", "NA", "?", " null "])
def test_csv_names_a_missing_value(tmp_path: Path, gap: str) -> None:
    path = text_file(tmp_path / "a.csv", f"x,y\n1,1\n2,{gap}\n")
    found = refused(lambda: read("csv", path, "x", "y"))
    assert (found.code, found.place) == ("E0711", "a.csv, line 3 (row 2), column y")


def test_csv_reports_every_guilty_column_at_once(tmp_path: Path) -> None:
    path = text_file(tmp_path / "a.csv", "x,y\na,\n")
    with pytest.raises(DataError) as caught:
        read("csv", path, "x", "y")
    assert [d.code for d in caught.value.diagnostics] == ["E0710", "E0711"]
    with pytest.raises(DataError) as caught:
        read("csv", path, "xx", "z")
    assert [d.message for d in caught.value.diagnostics] == ["`a.csv` has no column `xx`", "`a.csv` has no column `z`"]
    assert caught.value.diagnostics[0].notes == ("the file has `x`, `y`",)


def test_csv_suggests_columns_that_come_near(tmp_path: Path) -> None:
    path = text_file(tmp_path / "a.csv", "petal_length,petal_width\n1,2\n")
    found = refused(lambda: read("csv", path, "PetalLength"))
    assert found.helps == ("did you mean `petal_length`?",)


def test_csv_without_a_header_is_recognised(tmp_path: Path) -> None:
    found = refused(lambda: read("csv", text_file(tmp_path / "a.csv", "1,2\n3,4\n"), "x"))
    assert "must name the columns" in found.helps[-1]


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("", "E0707", "a.csv"),
        ("x,y\n1,2\n3\n", "E0702", "a.csv, line 3 (row 2)"),
        ('x,y\n1,"2\n', "E0702", "a.csv, line 2"),
        ("x,x\n1,2\n", "E0703", "a.csv, line 1"),
    ],
)
def test_csv_that_is_torn(tmp_path: Path, text: str, code: str, place: str) -> None:
    found = refused(lambda: read("csv", text_file(tmp_path / "a.csv", text), "x"))
    assert (found.code, found.place) == (code, place)


def test_csv_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"x\n\xff\xfe\n")
    assert refused(lambda: read("csv", path, "x")).code == "E0702"


def test_a_run_of_columns_has_both_ends() -> None:
    names = ("a", "b", "c", "d")
    assert expand(("b..d", "a"), names) == ("b", "c", "d", "a")
    assert expand(("d..c",), names) == ("d", "c")
    assert expand(("b..x",), names) == ("b", "x")
    assert expand(("b..x",), ("b..x",)) == ("b..x",)


# --- npy, npz -------------------------------------------------------------------------------------------------------
def test_npy_is_mapped_not_read(tmp_path: Path) -> None:
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.save(tmp_path / "a.npy", array)
    found = read("npy", tmp_path / "a.npy").arrays[""]
    assert isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x93NUMPY\x01\x00", b"\x93NUMPY\x01\x00\x04\x00{'a\n"])
@pytest.mark.parametrize("reader", ["npy", "npz"])
def test_damaged_numpy_files_are_refused(tmp_path: Path, content: bytes, reader: str) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(content)
    assert refused(lambda: read(reader, path)).code == "E0702"


def test_objects_are_refused_unread(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}, None]), allow_pickle=True)
    np.savez(tmp_path / "a.npz", x=np.array([{}, None]))
    for reader, keys in (("npy", ()), ("npz", ("x",))):
        found = refused(lambda: read(reader, tmp_path / f"a.{reader}", *keys))  # noqa: B023
        assert found.code == "E0702"
        assert "Python objects" in found.message


def test_npz_gives_arrays_by_name(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=np.eye(2), y=np.arange(2))
    contents = read("npz", tmp_path / "a.npz", "y", optional=("z",))
    assert list(contents.arrays) == ["y"]
    found = refused(lambda: read("npz", tmp_path / "a.npz", "x_train"))
    assert (found.code, found.message) == ("E0703", "`a.npz` has no array `x_train`")


def test_a_torn_npz_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=np.random.default_rng(0).random(1000))
    whole = (tmp_path / "a.npz").read_bytes()
    for cut in (len(whole) // 2, len(whole) - 10):
        (tmp_path / "b.npz").write_bytes(whole[:cut])
        assert refused(lambda: read("npz", tmp_path / "b.npz", "x")).code == "E0702"
    middle = bytearray(whole)
    middle[len(whole) // 2] ^= 0xFF
    (tmp_path / "b.npz").write_bytes(middle)
    assert refused(lambda: read("npz", tmp_path / "b.npz", "x")).code == "E0702"


# --- idx ------------------------------------------------------------------------------------------------------------
def idx_bytes(array: Any, code: int) -> bytes:
    head = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize(
    ("dtype", "code"), [("u1", 0x08), ("i1", 0x09), ("i2", 0x0B), ("i4", 0x0C), ("f4", 0x0D), ("f8", 0x0E)]
)
@pytest.mark.parametrize("zipped", [False, True])
def test_idx_of_every_type(tmp_path: Path, dtype: str, code: int, zipped: bool) -> None:
    array = np.arange(-6, 18).reshape(2, 3, 4).astype(dtype)
    content = idx_bytes(array, code)
    path = tmp_path / "a.idx"
    path.write_bytes(gzip.compress(content) if zipped else content)
    found = read("idx", path).arrays[""]
    assert found.dtype.newbyteorder("=") == array.dtype
    np.testing.assert_array_equal(found, array)


def test_damaged_idx_files_are_refused(tmp_path: Path) -> None:
    whole = idx_bytes(np.ones((5, 4), np.uint8), 0x08)
    zipped = gzip.compress(whole)
    path = tmp_path / "a.idx"
    huge = struct.pack(">HBB4I", 0, 8, 4, *(2**32 - 1,) * 4) + b"1"
    for content in (b"", b"\0\0", whole[:3], whole[:9], whole[:-1], whole + b"x", b"\0\0\x07" + whole[3:],
                    b"PK" + whole, zipped[:-12], zipped[:30], gzip.compress(whole + b"x"), gzip.compress(whole[:-3]),
                    b"\x1f\x8bxx", huge, gzip.compress(huge)):  # fmt: skip
        path.write_bytes(content)
        assert refused(lambda: read("idx", path)).code == "E0702", content


# --- parquet --------------------------------------------------------------------------------------------------------
def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    found = refused(lambda: read("parquet", tmp_path / "a.parquet", "x"))
    assert found.code == "E0718"
    assert found.helps == ("pip install 'nnc[data]'",)


def test_parquet_columns(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    parquet.write_table(arrow.table({"x": [1.5, 2.5], "n": [1, 2], "gap": [1, None], "text": ["a", "b"]}), path)
    contents = read("parquet", path, "x..n")
    assert {key: value.tolist() for key, value in contents.arrays.items()} == {"x": [1.5, 2.5], "n": [1, 2]}
    assert refused(lambda: read("parquet", path, "gap")).code == "E0711"
    assert refused(lambda: read("parquet", path, "text")).code == "E0710"
    assert refused(lambda: read("parquet", path, "m")).code == "E0703"
    found = READERS["parquet"](Request(path, "a.parquet", ("gap", "text"), (), {"missing": "mean"}, ("text",)))
    assert np.isnan(found.arrays["gap"][1])
    assert (found.arrays["text"].tolist(), found.words) == ([0, 1], {"text": ("a", "b")})
    forced = READERS["parquet"](Request(path, "a.parquet", ("n",), (), {"categories": ("n",)}))
    assert (forced.arrays["n"].tolist(), forced.words) == ([0, 1], {"n": ("1", "2")})
    path.write_bytes(b"PAR1 no more")
    assert refused(lambda: read("parquet", path, "x")).code == "E0702"
