"""The `data` section from files to feeds: binding, splitting, and every problem in one report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnc.compiler.options import Choice, DataConfig, OutputConfig, Source, Split
from nnc.compiler.plan import Plan, Signature
from nnc.compiler.types import BATCH, TensorType
from nnc.grammar.diagnostics import DataError, Diagnostic
from nnc.runtime.data import Dataset, load

FLOAT = "float32"
OUTPUTS = (
    OutputConfig("main", "main", Choice("mse"), target="price"),
    OutputConfig("kind", "kind", Choice("sparse_categorical_crossentropy")),
)


def signatures(**types: tuple[str, tuple[int, ...]]) -> tuple[Signature, ...]:
    return tuple(Signature(name, TensorType(dtype, (BATCH, *shape))) for name, (dtype, shape) in types.items())


PLAN = Plan(
    "houses", 0, 32, 0, (), (), (),
    signatures(rooms=(FLOAT, (2,)), image=("uint8", (2, 2))),
    signatures(main=(FLOAT, (1,)), kind=(FLOAT, (3,))),
    signatures(main=(FLOAT, (1,)), kind=("int32", ())),
    (),
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = "".join(f"{i},{i / 2},{100 * i},{i % 3}\n" for i in range(10))
    (tmp_path / "houses.csv").write_text(f"size,age,price,kind\n{rows}")
    np.save(tmp_path / "images.npy", np.arange(40, dtype=np.uint8).reshape(10, 2, 2))
    np.savez(tmp_path / "one.npz", only=np.arange(40, dtype=np.uint8).reshape(10, 2, 2))
    return tmp_path


def table(*columns: str) -> Source:
    return Source("csv", "houses.csv", (("separator", ","),), columns)


def sources(**changes: Source) -> tuple[tuple[str, Source], ...]:
    bound = {"rooms": table("size..age"), "image": Source("npy", "images.npy"), "price": table("price"),
             "kind": table("kind")}
    return tuple({**bound, **changes}.items())


def loaded(folder: Path, split: Split | None = None, **changes: Source) -> Dataset:
    return load(DataConfig((("all", sources(**changes)),), split), PLAN, folder, OUTPUTS)


def refused(folder: Path, **changes: Source) -> tuple[Diagnostic, ...]:
    with pytest.raises(DataError) as caught:
        loaded(folder, **changes)
    assert caught.value.exit_code == 3
    return caught.value.diagnostics


def test_sources_are_bound_by_name_in_the_plans_types(folder: Path) -> None:
    train = loaded(folder).train
    assert {name: (a.dtype.name, a.shape) for name, a in train.feeds.items()} == {
        "rooms": ("float32", (10, 2)), "image": ("uint8", (10, 2, 2)),
        "target.main": ("float32", (10, 1)), "target.kind": ("int32", (10,)),
    }  # fmt: skip
    assert train.feeds["rooms"][3].tolist() == [3, 1.5]
    assert train.feeds["target.main"][3] == 300
    assert train.rows == len(train) == 10


def test_a_file_with_one_array_needs_no_name(folder: Path) -> None:
    assert loaded(folder, image=Source("npz", "one.npz")).train.feeds["image"].shape == (10, 2, 2)


def test_a_table_without_columns_gives_the_column_of_the_name_itself(folder: Path) -> None:
    bare = Source("csv", "houses.csv", (("separator", ","),))
    assert loaded(folder, price=bare).train.feeds["target.main"][9] == 900
    found = refused(folder, rooms=bare)
    assert [d.code for d in found] == ["E0703"]
    assert found[0].helps[-1] == 'name it: csv("houses.csv")[size]'


def test_a_split_shares_the_arrays(folder: Path) -> None:
    parts = loaded(folder, Split(0.2, 0.3, 1))
    assert parts.validation is not None
    assert parts.test is not None
    assert (parts.train.rows, parts.validation.rows, parts.test.rows) == (5, 2, 3)
    assert parts.train.feeds is parts.test.feeds
    assert sorted(np.concatenate([parts.train.index, parts.validation.index, parts.test.index])) == list(range(10))


def test_a_stratified_split(folder: Path) -> None:
    parts = loaded(folder, Split(0, 0.34, 1, "kind"))
    assert parts.test is not None
    assert np.bincount(parts.test.feeds["target.kind"][parts.test.index]).tolist() == [1, 1, 1]


def test_a_split_stratified_by_one_hot_rows(folder: Path) -> None:
    hot = np.eye(3, dtype=np.float32)[np.arange(60) % 3]
    np.savez(folder / "hot.npz", x=np.zeros((60, 2), np.float32), y=hot)
    plan = Plan("hot", 0, 32, 0, (), (), (), signatures(x=(FLOAT, (2,))), signatures(y=(FLOAT, (3,))),
                signatures(y=(FLOAT, (3,))), ())  # fmt: skip
    bound = tuple((name, Source("npz", "hot.npz", (), (name,))) for name in "xy")
    outputs = (OutputConfig("y", "y", Choice("categorical_crossentropy")),)
    parts = load(DataConfig((("all", bound),), Split(0, 0.2, 1, "y")), plan, folder, outputs)
    assert parts.test is not None
    assert parts.test.feeds["target.y"][parts.test.index].sum(axis=0).tolist() == [4, 4, 4]


@pytest.mark.parametrize("missing", ["error", "median"])
def test_large_whole_numbers_stay_exact_beside_small_ones(folder: Path, missing: str) -> None:
    """Columns of one input; a gap in either leaves no type that holds all."""
    plan = Plan("ids", 0, 32, 0, (), (), (), signatures(x=("int64", (2,))), (), (), ())
    (folder / "ids.csv").write_text("small,large\n1,9007199254740993\n2,3\n")
    config = DataConfig((("all", (("x", Source("csv", "ids.csv", (("missing", missing),), ("small", "large"))),)),))
    assert load(config, plan, folder).train.feeds["x"].tolist() == [[1, 9007199254740993], [2, 3]]
    if missing != "error":
        (folder / "ids.csv").write_text("small,large\n1,9007199254740993\n,3\n")
        with pytest.raises(DataError) as caught:
            load(config, plan, folder)
        assert [d.code for d in caught.value.diagnostics] == ["E0702"]


@pytest.mark.parametrize("missing", ["error", "median"])
def test_independent_problems_come_in_one_report(folder: Path, missing: str) -> None:
    rows = [[i, i / 2, 100 * i, i % 3] for i in range(12)]
    rows[3][0], rows[7][3] = "low", 7
    if missing == "error":
        rows[10][1] = ""
    (folder / "houses.csv").write_text("\n".join(["size,age,price,kind", *(",".join(map(str, r)) for r in rows)]))
    np.save(folder / "images.npy", np.zeros((12, 2, 2), np.uint8))
    options = (("missing", missing),)
    given = {"rooms": "size..age", "price": "price", "kind": "kind"}
    found = refused(folder, **{name: Source("csv", "houses.csv", options, (key,)) for name, key in given.items()})
    expected = {"E0710": "houses.csv, line 5 (row 4), column size", "E0713": "houses.csv, line 9 (row 8), column kind"}
    if missing == "error":
        expected["E0711"] = "houses.csv, line 12 (row 11), column age"
    assert {d.code: d.place for d in found} == expected
    assert len(found) == len(expected)


def test_groups_are_read_apart_and_validation_may_be_split_off(folder: Path) -> None:
    config = DataConfig((("train", sources()), ("test", sources())), Split(validation=0.2))
    parts = load(config, PLAN, folder, OUTPUTS)
    assert parts.validation is not None
    assert parts.test is not None
    assert (parts.train.rows, parts.validation.rows, parts.test.rows) == (8, 2, 10)
    assert load(DataConfig((("train", sources()),)), PLAN, folder, OUTPUTS).test is None


def test_a_split_too_small_for_a_row_is_refused(folder: Path) -> None:
    with pytest.raises(DataError) as caught:
        loaded(folder, Split(0.01, 0.01, 1))
    assert [d.code for d in caught.value.diagnostics] == ["E0716", "E0716"]


def test_a_missing_file_comes_with_near_misses(folder: Path) -> None:
    (found,) = refused(folder, image=Source("npy", "image.npy"))
    assert (found.code, found.message) == ("E0701", "there is no file `image.npy`")
    assert found.helps == ("did you mean `images.npy`?",)
    (found,) = refused(folder, image=Source("npy", "pictures/a.npy"))
    assert "--data DIR" in found.helps[0]
    (found,) = refused(folder, image=Source("npy", "."))
    assert found.code == "E0702"


def test_every_problem_is_reported_once(folder: Path) -> None:
    found = refused(folder, image=Source("npy", "no.npy"), price=table("prize"), kind=table("kinds"))
    assert sorted(d.code for d in found) == ["E0701", "E0703", "E0703"]


def test_different_lengths_are_listed_with_their_files(folder: Path) -> None:
    np.save(folder / "few.npy", np.zeros((4, 2, 2), np.uint8))
    (found,) = refused(folder, image=Source("npy", "few.npy"))
    assert found.code == "E0706"
    assert found.notes == (
        "input `rooms`, houses.csv: 10 rows", "input `image`, few.npy: 4 rows", "target `main`, houses.csv: 10 rows",
        "target `kind`, houses.csv: 10 rows",
    )  # fmt: skip


def test_the_place_of_a_bad_cell_is_its_line_and_column(folder: Path) -> None:
    with (folder / "houses.csv").open("a") as file:
        file.write("1,nan,2,7\n")
    (folder / "images.npy").unlink()
    np.save(folder / "images.npy", np.zeros((11, 2, 2), np.uint8))
    found = refused(folder)
    assert {(d.code, d.place) for d in found} == {
        ("E0712", "houses.csv, line 12 (row 11), column age"),
        ("E0713", "houses.csv, line 12 (row 11), column kind"),
    }


def test_a_target_that_two_outputs_share_is_reported_once(folder: Path) -> None:
    outputs = (OUTPUTS[0], OutputConfig("kind", "kind", Choice("sparse_categorical_crossentropy"), target="price"))
    with pytest.raises(DataError) as caught:
        load(DataConfig((("all", sources(price=table("age"))),)), PLAN, folder, outputs)
    assert [d.code for d in caught.value.diagnostics] == ["E0714"]


def test_a_spec_without_data_is_refused(folder: Path) -> None:
    with pytest.raises(DataError) as caught:
        load(None, PLAN, folder)
    assert caught.value.diagnostics[0].code == "E0808"
