"""The readers against real files whose facts are known. The files are not part of the repository."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from nnc.runtime.data.readers import READERS
from nnc.runtime.data.source import Contents, Request

pytestmark = pytest.mark.acceptance
DATA = Path(os.environ.get("NNC_DATA") or Path(__file__).resolve().parents[2].parent / "shared" / "data")


def read(name: str, *keys: str) -> Contents:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    reader = "idx" if name.endswith(".gz") else path.suffix[1:]
    return READERS[reader](Request(path, name, keys))


@pytest.mark.parametrize(
    ("name", "shape", "mean"),
    [
        ("mnist/train-images-idx3-ubyte.gz", (60000, 28, 28), 33.318421),
        ("mnist/t10k-images-idx3-ubyte.gz", (10000, 28, 28), 33.791224),
        ("fashion-mnist/train-images-idx3-ubyte.gz", (60000, 28, 28), 72.940352),
    ],
)
def test_idx_pictures(name: str, shape: tuple[int, ...], mean: float) -> None:
    array = read(name).arrays[""]
    assert (array.shape, array.dtype) == (shape, np.uint8)
    assert array.mean() == pytest.approx(mean, abs=5e-7)


def test_idx_labels() -> None:
    labels = read("fashion-mnist/train-labels-idx1-ubyte.gz").arrays[""]
    assert np.bincount(labels).tolist() == [6000] * 10


def test_npz_pictures() -> None:
    arrays = read("cifar10/" + _only("cifar10", ".npz"), "x_train", "y_train", "y_test").arrays
    assert (arrays["x_train"].shape, arrays["x_train"].dtype) == ((5000, 32, 32, 3), np.uint8)
    assert np.bincount(arrays["y_train"].ravel()).tolist() == [500] * 10
    assert np.bincount(arrays["y_test"].ravel()).tolist() == [100] * 10


def test_csv_of_california() -> None:
    contents = read("california/california_housing.csv", "MedInc..MedHouseVal")
    assert len(contents.arrays) == 9
    assert contents.arrays["MedHouseVal"].shape == (20640,)
    assert contents.arrays["MedHouseVal"].mean() == pytest.approx(2.068558, abs=5e-7)


def test_csv_of_two_outputs() -> None:
    arrays = read("two_output/energy_efficiency_enb2012.csv", "heating_load", "cooling_load").arrays
    assert len(arrays["heating_load"]) == 768
    assert [a.mean() for a in arrays.values()] == pytest.approx([22.307201, 24.587760], abs=5e-7)


def test_csv_with_text_columns_and_missing_values() -> None:
    assert read("titanic/titanic.csv", "Survived").arrays["Survived"].sum() == 342
    problems = read("titanic/titanic.csv", "Age", "Sex", "Fare").problems
    assert {(d.code, d.place) for d in problems} == {
        ("E0711", "titanic/titanic.csv, line 7 (row 6), column Age"),
        ("E0710", "titanic/titanic.csv, line 2 (row 1), column Sex"),
    }
    assert any("and 176 more such values in this column" in d.notes for d in problems)


def _only(folder: str, suffix: str) -> str:
    found = sorted((DATA / folder).glob(f"*{suffix}"))
    if not found:
        pytest.skip(f"no {suffix} file in {DATA / folder}")
    return found[0].name
