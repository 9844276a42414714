"""Texts as classes and categories, and gaps in tables: learnt from the training rows, told apart from mistakes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnc.compiler.options import Choice, DataConfig, OutputConfig, Source, Split, Value
from nnc.compiler.plan import Plan, Signature
from nnc.compiler.types import BATCH, TensorType
from nnc.grammar.diagnostics import DataError, Diagnostic
from nnc.runtime.data import Dataset, load
from nnc.runtime.data.encoding import from_texts
from nnc.runtime.data.order import split_rows
from nnc.runtime.data.source import Encoding

OUTPUTS = (
    OutputConfig("kind", "kind", Choice("sparse_categorical_crossentropy")),
    OutputConfig("alive", "alive", Choice("binary_crossentropy")),
)


def plan(width: int = 2, places: int = 1) -> Plan:
    """Inputs `x: float32[width]` and `place: int32[places]`, outputs `kind` of three classes and `alive`."""

    def signature(name: str, dtype: str, *shape: int) -> Signature:
        return Signature(name, TensorType(dtype, (BATCH, *shape)))

    inputs = (signature("x", "float32", width), signature("place", "int32", *([places] if places > 1 else [])))
    outputs = (signature("kind", "float32", 3), signature("alive", "float32", 1))
    targets = (signature("target.kind", "int32"), signature("target.alive", "float32", 1))
    return Plan("m", 0, 32, 0, (), (), (), inputs, outputs, targets, ())


TABLE = """age,fare,town,port,kind,alive
20,1,Bath,A,c,yes
30,,Ayr,B,a,no
,3,Bath,A,b,yes
40,9,York,B,a,no
"""
CONFIG = {"x": "age..fare", "place": "town", "kind": "kind", "alive": "alive"}


def read(
    folder: Path, text: str = TABLE, *, columns: dict[str, str] = CONFIG, split: Split | None = None,
    where: Plan | None = None, encodings: dict[str, Encoding] | None = None, **options: Value,
) -> Dataset:
    (folder / "t.csv").write_text(text, encoding="utf-8")
    given = tuple(options.items())
    bound = tuple((name, Source("csv", "t.csv", given, tuple(keys.split()))) for name, keys in columns.items())
    return load(DataConfig((("all", bound),), split), where or plan(), folder, OUTPUTS, encodings)


def refused(folder: Path, text: str = TABLE, **options: Value) -> tuple[Diagnostic, ...]:
    with pytest.raises(DataError) as caught:
        read(folder, text, **options)
    return caught.value.diagnostics


def feeds(dataset: Dataset) -> dict[str, list[object]]:
    return {name: np.asarray(feed)[dataset.train.index].tolist() for name, feed in dataset.train.feeds.items()}


def test_texts_are_numbered_in_the_order_of_their_code_points(tmp_path: Path) -> None:
    found = read(tmp_path, missing=0.0)
    assert found.vocabularies == {
        "place": ("Ayr", "Bath", "York"), "kind": ("a", "b", "c"), "alive": ("no", "yes"), "x.missing": ("0.0", "0.0"),
    }  # fmt: skip
    assert feeds(found) == {
        "x": [[20, 1], [30, 0], [0, 3], [40, 9]], "place": [1, 0, 1, 2], "target.kind": [2, 0, 1, 0],
        "target.alive": [[1], [0], [1], [0]],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("missing", "x"),
    [("mean", [[20, 1], [30, 13 / 3], [30, 3], [40, 9]]), ("median", [[20, 1], [30, 3], [30, 3], [40, 9]]),
     (-1.0, [[20, 1], [30, -1], [-1, 3], [40, 9]]), ("drop", [[20, 1], [40, 9]])],
)  # fmt: skip
def test_gaps_are_filled_or_left_out(tmp_path: Path, missing: Value, x: list[list[float]]) -> None:
    found = read(tmp_path, missing=missing)
    np.testing.assert_allclose(feeds(found)["x"], x, rtol=1e-6)
    assert found.dropped == (2 if missing == "drop" else 0)


def test_a_gap_is_an_error_that_names_the_options(tmp_path: Path) -> None:
    found = refused(tmp_path)
    assert [(d.code, d.place) for d in found] == [
        ("E0711", "t.csv, line 4 (row 3), column age"), ("E0711", "t.csv, line 3 (row 2), column fare"),
    ]  # fmt: skip
    assert all(word in found[0].helps[0] for word in ("drop", "mean", "median", "missing"))


def test_a_missing_text_is_the_most_frequent_one(tmp_path: Path) -> None:
    found = read(tmp_path, TABLE.replace("York", ""), missing="median")
    assert found.vocabularies["place"] == ("Ayr", "Bath")
    assert feeds(found)["place"] == [1, 0, 1, 1]
    assert refused(tmp_path, TABLE.replace("York", ""), missing=0.0)[0].code == "E0711"


def test_a_missing_target_is_never_made_up(tmp_path: Path) -> None:
    text = TABLE.replace("40,9,York,B,a,no", "40,9,York,B,,no")
    (found,) = refused(tmp_path, text, missing="mean")
    assert (found.code, found.place) == ("E0711", "t.csv, line 5 (row 4), column kind")
    assert "drop" in found.helps[0]
    assert feeds(read(tmp_path, text, missing="drop"))["target.kind"] == [0]


def test_only_training_rows_teach(tmp_path: Path) -> None:
    rows = "".join(f"{i},{i},{'PQ'[i % 2]},A,{'abc'[i % 3]},{'yn'[i % 2]}\n" for i in range(40))
    text = f"age,fare,town,port,kind,alive\n{rows},,P,A,a,y\n"
    split = Split(test=0.5, seed=3)
    found = read(tmp_path, text, split=split, missing="mean")
    ages = np.arange(41)[found.train.index]
    expected = float(np.mean(ages[ages < 40]))
    assert found.encodings["x"].fills == pytest.approx((expected, expected))
    assert np.asarray(found.train.feeds["x"])[40] == pytest.approx([expected, expected])


def test_a_text_outside_the_training_rows_is_unknown(tmp_path: Path) -> None:
    split = Split(test=0.25, seed=0)
    held_out = int(split_rows(4, split)[2][0])
    lines = [line.replace(",a,", ",c,").replace(",b,", ",c,").replace("yes", "no") for line in TABLE.splitlines()]
    lines[held_out + 1] = ",".join([*lines[held_out + 1].split(",")[:2], "Bade", "A,c,no"])
    text = "\n".join(lines)
    with pytest.raises(DataError) as caught:
        read(tmp_path, text, missing=0.0, split=split)
    (found,) = caught.value.diagnostics
    assert (found.code, found.place) == ("E0719", f"t.csv, line {held_out + 2} (row {held_out + 1}), column town")
    open_ended = read(tmp_path, text, missing=0.0, unknown="other", split=split)
    assert open_ended.vocabularies["place"][-1] == ""
    assert np.asarray(open_ended.train.feeds["place"])[held_out] == len(open_ended.vocabularies["place"]) - 1


def test_columns_of_one_input_share_a_vocabulary(tmp_path: Path) -> None:
    found = read(tmp_path, columns={**CONFIG, "place": "town port"}, where=plan(places=2), missing=0.0)
    assert found.vocabularies["place"] == ("A", "Ayr", "B", "Bath", "York")
    assert feeds(found)["place"] == [[3, 0], [1, 2], [3, 0], [4, 2]]
    with pytest.raises(DataError) as caught:
        read(tmp_path, columns={**CONFIG, "place": "town age"}, where=plan(places=2), missing=0.0)
    assert caught.value.diagnostics[0].code == "E0710"


def test_numbers_can_be_categories_if_the_table_says_so(tmp_path: Path) -> None:
    text = TABLE.replace("Bath", "10").replace("Ayr", "9").replace("York", "-1")
    assert feeds(read(tmp_path, text, missing=0.0))["place"] == [10, 9, 10, -1]
    found = read(tmp_path, text, missing=0.0, categories=("town",))
    assert found.vocabularies["place"] == ("-1", "10", "9")
    assert feeds(found)["place"] == [1, 2, 1, 0]


def test_texts_among_numbers_are_a_mistake(tmp_path: Path) -> None:
    text = TABLE.replace("Ayr", "9")
    (found,) = refused(tmp_path, text, missing=0.0)
    assert (found.code, found.place) == ("E0710", "t.csv, line 2 (row 1), column town")
    assert found.notes == ("found `Bath` here and `9` in row 2",)
    assert read(tmp_path, text, missing=0.0, categories=("town",)).vocabularies["place"] == ("9", "Bath", "York")


def test_more_texts_than_classes(tmp_path: Path) -> None:
    found = refused(tmp_path, TABLE.replace("b,yes", "d,maybe").replace("York,B,a", "York,B,b"), missing=0.0)
    assert [(d.code, d.message) for d in found] == [
        ("E0720", "target `kind` has 4 classes, its output 3"), ("E0720", "target `alive` has 3 classes, its output 2"),
    ]  # fmt: skip


def test_text_for_an_input_of_fractions(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, columns={**CONFIG, "x": "age port"}, missing=0.0)
    assert [(d.code, d.place) for d in caught.value.diagnostics] == [("E0710", "t.csv, line 2 (row 1), column port")]


def test_rows_that_come_later_are_read_with_what_was_learnt(tmp_path: Path) -> None:
    first = read(tmp_path, missing="median")
    later = TABLE.splitlines()[0] + "\n,,York,A,b,no\n"
    again = from_texts(first.vocabularies)
    assert again == first.encodings
    found = read(tmp_path, later, missing="median", encodings=again)
    assert feeds(found) == {"x": [[30, 3]], "place": [2], "target.kind": [1], "target.alive": [[0]]}


def test_a_column_without_a_value_has_no_mean(tmp_path: Path) -> None:
    (found,) = refused(tmp_path, "age,fare,town,port,kind,alive\n1,,Bath,A,a,no\n", missing="mean")
    assert (found.code, found.place) == ("E0711", "t.csv, column fare")
    (found,) = refused(tmp_path, "age,fare,town,port,kind,alive\n1,,Bath,A,a,no\n", missing="drop")
    assert found.code == "E0707"


def test_a_stratified_split_of_texts_keeps_the_shares(tmp_path: Path) -> None:
    rows = "".join(f"{i},{i},P,A,{'abb'[i % 3]},{'yn'[i % 2]}\n" for i in range(60))
    found = read(tmp_path, "age,fare,town,port,kind,alive\n" + rows, split=Split(test=0.2, stratify="kind"))
    assert found.test is not None
    assert np.bincount(np.asarray(found.test.feeds["target.kind"])[found.test.index]).tolist() == [4, 8]
