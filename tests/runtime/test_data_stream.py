"""Data that stays in its file: the same samples as from memory, audited batch by batch, in bounded memory."""

from __future__ import annotations

import gzip
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnc.compiler.options import Choice, DataConfig, OutputConfig, Source
from nnc.compiler.plan import Plan, Signature
from nnc.compiler.types import BATCH, TensorType
from nnc.grammar.diagnostics import DataError
from nnc.runtime.data import Dataset, load, stream
from nnc.runtime.data.audit import AuditedRows
from nnc.runtime.data.read_npy import read_npy
from nnc.runtime.data.read_parquet import COLUMNS_AT_ONCE, read_parquet
from nnc.runtime.data.source import Request
from nnc.runtime.data.stream import FileRows, blocks, side_by_side

OUTPUTS = (OutputConfig("kind", "kind", Choice("sparse_categorical_crossentropy")),)
OPTIONS: dict[str, tuple[tuple[str, Any], ...]] = {"csv": (("missing", "mean"), ("unknown", "other"))}


def plan(dtype: str = "float32") -> Plan:
    def signature(name: str, kind: str, *shape: int) -> Signature:
        return Signature(name, TensorType(kind, (BATCH, *shape)))

    return Plan("m", 0, 32, 0, (), (), (), (signature("x", dtype, 3),), (signature("kind", "float32", 4),),
                (signature("target.kind", "int32"),), ())  # fmt: skip


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first byte on."""
    monkeypatch.setattr(stream, "STREAMED_FROM", 0)


def samples(dtype: str, rows: int = 50) -> Any:
    return (np.arange(rows * 3).reshape(rows, 3) % 120).astype(dtype)


def idx_bytes(array: Any) -> bytes:
    codes = {"u1": 8, "i4": 12, "f4": 13, "f8": 14}
    head = bytes([0, 0, codes[array.dtype.str[1:]], array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write(folder: Path, kind: str, name: str, array: Any) -> Source:
    path = folder / f"{name}.{kind}"
    if kind == "npy":
        np.save(path, array)
    elif kind == "npz":
        np.savez(path, other=np.zeros(3), **{name: array})
        return Source("npz", path.name, columns=(name,))
    elif kind == "npz, deflated":
        np.savez_compressed(path, other=np.zeros(3), **{name: array})
        return Source("npz", f"{path.name}.npz", columns=(name,))
    elif kind == "npy, columns first":
        np.save(path, np.asfortranarray(array))
        return Source("npy", f"{path.name}.npy")
    elif kind == "npz, deflated, columns first":
        np.savez_compressed(path, **{name: np.asfortranarray(array)})
        return Source("npz", f"{path.name}.npz")
    elif kind == "idx":
        path.write_bytes(idx_bytes(array))
    elif kind == "idx, gzipped":
        path.write_bytes(gzip.compress(idx_bytes(array)))
        return Source("idx", path.name)
    else:
        wide = array if array.ndim > 1 else array[:, np.newaxis]
        names = [f"c{k}" for k in range(wide.shape[1])]
        if kind == "parquet":
            arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
            parquet.write_table(arrow.table(dict(zip(names, wide.T, strict=True))), path, row_group_size=7)
            return Source("parquet", path.name, columns=tuple(names))
        path.write_text("\n".join(",".join(map(str, row)) for row in [names, *wide.tolist()]) + "\n")
        return Source("csv", path.name, OPTIONS["csv"], tuple(names))
    return Source(kind, path.name)


def loaded(folder: Path, kind: str, x: Any, labels: Any, dtype: str = "float32") -> Dataset:
    bound = (("x", write(folder, kind, "x", x)), ("kind", write(folder, kind, "kind", labels)))
    return load(DataConfig((("all", bound),)), plan(dtype), folder, OUTPUTS)


ORDERS: list[Callable[[np.random.Generator], Any]] = [
    lambda rng: np.arange(32), lambda rng: rng.permutation(50)[:32], lambda rng: np.array([7]),
    lambda rng: np.array([3, 4, 5, 9, 8, 0, 49, 48]), lambda rng: rng.integers(0, 50, 32),
]  # fmt: skip


KINDS = ["npy", "npy, columns first", "npz", "npz, deflated", "npz, deflated, columns first", "idx", "idx, gzipped",
         "csv", "parquet"]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("stored", "fed"), [("u1", "uint8"), ("f4", "float32"), ("f8", "float32"), ("i4", "float32")])
def test_rows_from_a_file_are_those_of_the_array(
    tmp_path: Path, streamed: None, kind: str, stored: str, fed: str
) -> None:
    x, labels = samples(stored), (np.arange(50) % 4).astype("i4")
    train = loaded(tmp_path, kind, x, labels, fed).train
    source, target = train.feeds["x"], train.feeds["target.kind"]
    assert isinstance(source, AuditedRows)
    assert isinstance(target, AuditedRows)
    assert (source.shape, source.dtype, len(train)) == ((50, 3), fed, 50)
    for order in ORDERS:
        rows = order(np.random.default_rng(1)).astype(np.int64)
        out, classes = np.empty((len(rows), 3), fed), np.empty(len(rows), np.int32)
        source.take(rows, out)
        target.take(rows, classes)
        np.testing.assert_array_equal(out, x[rows].astype(fed))
        np.testing.assert_array_equal(classes, labels[rows])


def test_blocks_go_through_all_rows_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "BLOCK_BYTES", 100)
    np.save(tmp_path / "a.npy", samples("f4"))
    rows = FileRows(tmp_path / "a.npy", "a.npy", 128, (50, 3), np.dtype("f4"))
    numbers, found = zip(*blocks(rows), strict=True)
    assert len(numbers) == 7
    np.testing.assert_array_equal(np.concatenate(found), samples("f4"))
    np.testing.assert_array_equal(np.concatenate(numbers), np.arange(50))


def test_a_bad_value_is_named_before_its_batch_is_used(tmp_path: Path, streamed: None) -> None:
    x = samples("f4")
    x[33, 2] = np.nan
    source = loaded(tmp_path, "npy", x, np.zeros(50, "i4")).train.feeds["x"]
    assert isinstance(source, AuditedRows)
    out = np.empty((4, 3), np.float32)
    source.take(np.array([1, 2, 3, 34]), out)
    for check in (lambda: source.take(np.array([1, 33, 3, 34]), out), source.audit):
        with pytest.raises(DataError) as caught:
            check()
        (found,) = caught.value.diagnostics
        assert (found.code, found.place) == ("E0712", "x.npy, row 34, position [2]")


def test_a_wrong_shape_is_found_at_once(tmp_path: Path, streamed: None) -> None:
    with pytest.raises(DataError) as caught:
        loaded(tmp_path, "npy", np.zeros((50, 4), "f4"), np.zeros(49, "i4"))
    assert sorted(d.code for d in caught.value.diagnostics) == ["E0706", "E0708"]


def test_texts_and_gaps_of_a_large_table(tmp_path: Path, streamed: None) -> None:
    rows = [f"{i},{'' if i % 5 == 0 else i * 2},{i % 9},{'abcd'[i % 4]},{i % 3}" for i in range(200)]
    (tmp_path / "t.csv").write_text("\n".join(["p,q,r,kind,number", *rows]) + "\n")

    def read(label: str) -> Dataset:
        bound = (("x", Source("csv", "t.csv", OPTIONS["csv"], ("p..r",))),
                 ("kind", Source("csv", "t.csv", OPTIONS["csv"], (label,))))  # fmt: skip
        return load(DataConfig((("all", bound),)), plan(), tmp_path, OUTPUTS)

    found = read("kind")
    source, target = found.train.feeds["x"], found.train.feeds["target.kind"]
    assert isinstance(source, AuditedRows)
    assert isinstance(target, AuditedRows)
    picked = np.array([10, 3, 199, 4])
    out, classes = np.empty((4, 3), np.float32), np.empty(4, np.int32)
    source.take(picked, out)
    target.take(picked, classes)
    mean = np.mean([i * 2 for i in range(200) if i % 5])
    np.testing.assert_allclose(out, [[10, mean, 1], [3, 6, 3], [199, 398, 1], [4, 8, 4]], rtol=1e-6)
    assert classes.tolist() == [2, 3, 3, 0]
    assert found.vocabularies["kind"] == ("a", "b", "c", "d")
    numbered = read("number").train.feeds["target.kind"]
    assert isinstance(numbered, AuditedRows)
    numbered.take(picked, classes)
    assert classes.tolist() == [1, 0, 1, 1]


def test_a_file_that_shrinks_is_told(tmp_path: Path, streamed: None) -> None:
    source = loaded(tmp_path, "npy", samples("f4"), np.zeros(50, "i4")).train.feeds["x"]
    with (tmp_path / "x.npy").open("r+b") as file:
        file.truncate(300)
    assert isinstance(source, AuditedRows)
    with pytest.raises(DataError) as caught:
        source.take(np.array([40]), np.empty((1, 3), np.float32))
    assert caught.value.diagnostics[0].code == "E0702"


@pytest.mark.parametrize("kind", ["npy", "npz", "idx"])
def test_a_torn_file_is_refused_unread(tmp_path: Path, streamed: None, kind: str) -> None:
    write(tmp_path, kind, "x", samples("f4"))
    path = tmp_path / f"x.{kind}"
    path.write_bytes(path.read_bytes()[:-200])
    source = Source(kind, path.name, columns=("x",) if kind == "npz" else None)
    config = DataConfig((("all", (("x", source), ("kind", source))),))
    with pytest.raises(DataError) as caught:
        load(config, plan(), tmp_path, OUTPUTS)
    assert {d.code for d in caught.value.diagnostics} == {"E0702"}


@pytest.mark.parametrize("kind", ["npz, deflated", "idx, gzipped"])
def test_a_torn_compressed_file_is_refused(tmp_path: Path, streamed: None, kind: str) -> None:
    source = write(tmp_path, kind, "x", samples("f4"))
    path = tmp_path / source.path
    whole = path.read_bytes()
    middle = len(whole) // 2
    for content in (whole[:-30], whole[:middle], whole[:middle] + b"\xff" * 8 + whole[middle + 8 :]):
        path.write_bytes(content)
        with pytest.raises(DataError) as caught:
            load(DataConfig((("all", (("x", source), ("kind", source))),)), plan(), tmp_path, OUTPUTS)
        assert {d.code for d in caught.value.diagnostics} == {"E0702"}


def test_columns_first_are_turned_in_blocks(tmp_path: Path, streamed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "BLOCK_BYTES", 100)
    whole = np.arange(7 * 2 * 3 * 5, dtype=">i2").reshape(7, 2, 3, 5)
    np.save(tmp_path / "a.npy", np.asfortranarray(whole))
    rows = read_npy(Request(tmp_path / "a.npy", "a.npy")).arrays[""]
    assert isinstance(rows, FileRows)
    assert (rows.shape, rows.dtype) == (whole.shape, whole.dtype)
    np.testing.assert_array_equal(np.concatenate([block for _, block in blocks(rows)]), whole)


# --- Parquet ----------------------------------------------------------------------------------------------------------
def parquet_file(path: Path, row_group_size: int = 7, **columns: Any) -> Any:
    """Write columns and give the module that reads them."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table(columns), path, row_group_size=row_group_size)
    return arrow


@pytest.mark.parametrize("limit", [0, 1 << 20])
def test_texts_and_gaps_of_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(stream, "STREAMED_FROM", limit)
    gaps = [None if i % 5 == 0 else i * 2 for i in range(200)]
    parquet_file(tmp_path / "t.parquet", p=list(range(200)), q=gaps, r=[i % 2 == 1 for i in range(200)],
                 kind=["abcd"[i % 4] for i in range(200)])  # fmt: skip
    bound = (("x", Source("parquet", "t.parquet", OPTIONS["csv"], ("p..r",))),
             ("kind", Source("parquet", "t.parquet", OPTIONS["csv"])))  # fmt: skip
    found = load(DataConfig((("all", bound),)), plan(), tmp_path, OUTPUTS)
    picked = np.array([10, 3, 199, 4])
    out, classes = (taken(found.train.feeds[name], picked) for name in ("x", "target.kind"))
    mean = np.mean([i * 2 for i in range(200) if i % 5])
    np.testing.assert_allclose(out, [[10, mean, 0], [3, 6, 1], [199, 398, 1], [4, 8, 0]], rtol=1e-6)
    assert classes.tolist() == [2, 3, 3, 0]
    assert found.vocabularies["kind"] == ("a", "b", "c", "d")


def taken(feed: Any, rows: Any) -> Any:
    if isinstance(feed, np.ndarray):
        return feed[rows]
    out = np.empty((len(rows), *feed.shape[1:]), feed.dtype)
    feed.take(rows, out)
    return out


@pytest.mark.parametrize("limit", [0, 1 << 20])
def test_many_columns_of_parquet_are_read_some_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(stream, "STREAMED_FROM", limit)
    whole = np.random.default_rng(0).normal(size=(20, 3 * COLUMNS_AT_ONCE + 1))
    parquet_file(tmp_path / "t.parquet", **{f"c{k}": column for k, column in enumerate(whole.T)})
    contents = read_parquet(Request(tmp_path / "t.parquet", "t.parquet", ("c0..c96",)))
    order = [f"c{k}" for k in np.random.default_rng(1).permutation(97)]
    found = taken(side_by_side([contents.arrays[key] for key in order]), np.array([19, 0, 7]))
    np.testing.assert_array_equal(found, whole[[19, 0, 7]][:, [int(key[1:]) for key in order]])


def test_a_gap_in_parquet_is_named_with_its_row(tmp_path: Path) -> None:
    parquet_file(tmp_path / "t.parquet", x=[*range(30), None, 1, None], t=[None, *"ab" * 16])
    problems = read_parquet(Request(tmp_path / "t.parquet", "t.parquet", ("x", "t"), texts=("t",))).problems
    assert [(d.code, d.place) for d in problems] == [
        ("E0711", "t.parquet, row 31, column x"), ("E0711", "t.parquet, row 1, column t")]  # fmt: skip
    assert problems[0].notes[-1] == "and 1 more such value in this column"


def test_odd_columns_of_parquet(tmp_path: Path) -> None:
    """All values missing; whole numbers that float64 cannot hold; texts that look like numbers; two of one name."""
    arrow = parquet_file(tmp_path / "t.parquet", none=[None] * 3, big=[2**53 + 1, None, 1], digits=["1", "2", "3"])
    options = {"missing": "mean"}

    def read(key: str, **more: Any) -> Any:
        contents = read_parquet(Request(tmp_path / "t.parquet", "t.parquet", (key,), options=options, **more))
        if contents.problems:
            raise DataError(*contents.problems)
        return contents

    assert np.isnan(read("none").arrays["none"]).all()
    found = read("digits", texts=("digits",))
    assert (found.arrays["digits"].tolist(), found.words["digits"]) == ([0, 1, 2], ("1", "2", "3"))
    for key, code in (("big", "E0702"), ("digits", "E0710")):
        with pytest.raises(DataError) as caught:
            read(key)
        assert caught.value.diagnostics[0].code == code
    twice = arrow.Table.from_arrays([arrow.array([1]), arrow.array([2])], names=["a", "a"])
    pytest.importorskip("pyarrow.parquet").write_table(twice, tmp_path / "t.parquet")
    with pytest.raises(DataError, match="2 columns named"):
        read("a")


# --- where it is kept -------------------------------------------------------------------------------------------------
SPOOLED = ["csv", "parquet", "npz, deflated", "idx, gzipped", "npy, columns first"]


@pytest.mark.parametrize("kind", SPOOLED)
def test_temporary_files_have_no_name(
    tmp_path: Path, streamed: None, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """So nothing is left behind by an error, Ctrl-C or `kill -9`."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    train = loaded(tmp_path, kind, samples("f4"), (np.arange(50) % 4).astype("i4")).train
    assert isinstance(train.feeds["x"], AuditedRows)
    assert not list((tmp_path / "temporary").iterdir())
    np.testing.assert_array_equal(taken(train.feeds["x"], np.array([49, 0])), samples("f4")[[49, 0]])


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files as Unix does")
@pytest.mark.parametrize("kind", SPOOLED)
def test_a_full_disk_is_told_with_what_to_do(tmp_path: Path, streamed: None, kind: str) -> None:
    import resource

    sources = [write(tmp_path, kind, name, samples("f4", 5000)) for name in ("x", "kind")]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(DataError) as caught:
            load(DataConfig((("all", (("x", sources[0]), ("kind", sources[1]))),)), plan(), tmp_path, OUTPUTS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    found = caught.value.diagnostics[0]
    assert (found.code, found.helps) == ("E0702", ("set TMPDIR to a directory with more room",))
    assert f"cannot be written to {tempfile.gettempdir()}: file too large" in found.message


def test_no_directory_for_temporary_files(tmp_path: Path, streamed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(DataError, match="no such file or directory"):
        loaded(tmp_path, "idx, gzipped", samples("f4"), np.zeros(50, "i4"))
