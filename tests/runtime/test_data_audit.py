"""The audit: what fits passes unchanged, what does not is named with its row and column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nnc.compiler.types import BATCH, TensorType
from nnc.grammar.diagnostics import DataError, Diagnostic
from nnc.runtime.data import stream
from nnc.runtime.data.audit import to_feed
from nnc.runtime.data.slots import Slot
from nnc.runtime.data.source import Values

CLASS = Slot("digit", "digit", "target.digit", "class", TensorType("int32", (BATCH,)), "sparse", 10)
ONE_HOT = Slot("kind", "kind", "target.kind", "one_hot", TensorType("float32", (BATCH, 3)), "crossentropy", 0, 0, 1)
YES = Slot("yes", "yes", "target.yes", "like", TensorType("float32", (BATCH, 1)), "binary_crossentropy", 0, 0.0, 1.0)


def slot(dtype: str, *shape: int) -> Slot:
    return Slot("x", "x", "x", "input", TensorType(dtype, (BATCH, *shape)))


def fed(where: Slot, array: Any, *columns: str) -> Any:
    return to_feed(where, Values(np.asarray(array), "array `x`", columns))


def refused(where: Slot, array: Any, *columns: str) -> Diagnostic:
    with pytest.raises(DataError) as caught:
        fed(where, array, *columns)
    return caught.value.diagnostics[0]


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int32", "int64", "bool"])
def test_an_array_of_the_right_type_is_passed_on_as_it_lies(dtype: str) -> None:
    array = np.ones((5, 2), dtype)
    assert fed(slot(dtype, 2), array) is array


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("float32", np.array([0.1, 2.0])), ("float32", np.array([1, 2])), ("float32", np.array([True, False])),
        ("float64", np.array([0.1], "f4")), ("uint8", np.array([0, 255])), ("uint8", np.array([3.0, 255.0])),
        ("int32", np.array([-(2**31), 2**31 - 1])), ("int64", np.array([2**62])), ("bool", np.array([0, 1])),
        ("int64", np.array([1.0, -7.0], ">f4")), ("float32", np.array([1.5], ">f4")), ("float32", [1, 2, 3]),
    ],
)  # fmt: skip
def test_values_that_fit_are_converted_exactly(dtype: str, values: Any) -> None:
    found = fed(slot(dtype), values)
    assert found.dtype == dtype
    assert found.dtype.isnative
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, np.asarray(values).astype(dtype))


@pytest.mark.parametrize(
    ("dtype", "values", "shown"),
    [
        ("uint8", [0, 256], "256"), ("uint8", [-1], "-1"), ("int32", [0.5], "0.5"), ("int32", [2**31], "2147483648"),
        ("bool", [2], "2"), ("float32", [1e39], "1e+39"),
    ],
)  # fmt: skip
def test_values_that_do_not_fit_are_refused(dtype: str, values: Any, shown: str) -> None:
    found = refused(slot(dtype), values)
    assert found.code == "E0709"
    assert f"has the value {shown}, which {dtype} cannot hold" in found.message


@pytest.mark.parametrize("values", [["a", "b"], [None, 1], [1j], np.array(["2020-01-01"], "M8[D]")])
def test_what_is_no_number_is_refused(values: Any) -> None:
    assert refused(slot("float32"), values).code == "E0709"


# --- shapes ---------------------------------------------------------------------------------------------------------
def test_a_vector_and_a_column_are_taken_for_each_other() -> None:
    assert fed(slot("float32", 1), [1.0, 2.0]).shape == (2, 1)
    assert fed(slot("float32"), [[1.0], [2.0]]).shape == (2,)
    assert fed(CLASS, np.array([[3], [4]], "u1")).tolist() == [3, 4]


def test_columns_of_a_table_fill_the_declared_shape() -> None:
    table = np.arange(8.0).reshape(2, 4)
    assert fed(slot("float32", 2, 2), table, "a", "b", "c", "d").shape == (2, 2, 2)
    found = refused(slot("float32", 3), table, "a", "b", "c", "d")
    assert found.notes == ("expected [n, 3], found 4 columns",)


@pytest.mark.parametrize("shape", [(6, 1), (6, 4), (6,), (6, 1, 3), (3, 6), (6, 3, 1)])
def test_nothing_is_broadcast_or_reshaped_into_place(shape: tuple[int, ...]) -> None:
    found = refused(slot("float32", 3), np.ones(shape))
    assert found.code == "E0708"
    assert found.notes[0] == f"expected [n, 3], found {list(shape)}"


def test_one_sample_without_its_axis_is_understood() -> None:
    assert "array[None]" in refused(slot("float32", 3, 3), np.ones((3, 3))).helps[0]
    assert refused(slot("float32", 3), 1.0).code == "E0708"


def test_no_samples_are_refused() -> None:
    assert refused(slot("float32", 3), np.ones((0, 3))).code == "E0707"


# --- values ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
def test_nan_and_infinity_are_named_with_row_and_column(
    value: float, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "BLOCK_BYTES", 64)    # several blocks
    table = np.zeros((50, 3))
    table[40, 1] = table[45, 0] = value
    found = refused(slot("float32", 3), table, "a", "b", "c")
    assert found.code == "E0712"
    assert found.message == f"input `x` holds {name}"
    assert found.place == "array `x`, row 41, column b"
    assert found.notes == ("2 such values in all",)
    assert refused(slot("float32", 3), table).place == "array `x`, row 41, position [1]"


@pytest.mark.parametrize("dtype", ["u1", "i1", "i8", "u8", "f4", "f8", "?"])
def test_labels_of_any_width_are_taken(dtype: str) -> None:
    assert fed(CLASS, np.array([0, 1], dtype)).tolist() == [0, 1]


def test_labels_outside_the_classes_are_refused() -> None:
    found = refused(CLASS, [0, 9, 10])
    assert (found.code, found.place) == ("E0713", "array `x`, row 3")
    assert found.message == "target `digit` has the label 10, outside its 10 classes"
    assert "subtract 1" in found.helps[0]
    assert refused(CLASS, [1, -1]).message == "target `digit` has the label -1, outside its 10 classes"
    assert refused(CLASS, np.array([2**63], "u8")).code == "E0713"


def test_fractional_labels_are_refused() -> None:
    found = refused(CLASS, [0.0, 2.5])
    assert (found.code, found.place) == ("E0714", "array `x`, row 2")
    assert "2.5" in found.message


def test_one_hot_and_class_indices_are_told_apart() -> None:
    assert refused(CLASS, np.eye(10)).code == "E0715"
    assert refused(ONE_HOT, [0, 1, 2]).code == "E0715"
    assert refused(ONE_HOT, [[0], [1]]).code == "E0715"
    assert refused(CLASS, np.eye(9)).code == "E0708"
    assert refused(ONE_HOT, np.eye(4)).code == "E0708"
    assert fed(ONE_HOT, np.eye(3)).dtype == np.float32


def test_targets_outside_the_range_of_their_loss_are_refused() -> None:
    found = refused(YES, [0, 1, 2])
    assert (found.code, found.place) == ("E0713", "array `x`, row 3")
    assert found.notes == ("`binary_crossentropy` expects targets from 0 to 1",)
