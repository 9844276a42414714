"""Writes specs/data from the data sets that scikit-learn carries: `python tests/specs/make_data.py`.

Needs scikit-learn, which nnc itself does not. The files are committed; this records how they came to be. Writing them
again gives the same bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import datasets

DATA = Path(__file__).resolve().parents[2] / "specs" / "data"
Array = npt.NDArray[Any]


def write_csv(name: str, columns: list[str], values: Array, target: Array, target_name: str) -> None:
    """One row per sample, numbers in their shortest exact spelling, the target last."""
    rows = [",".join([*columns, target_name])]
    rows += [
        ",".join([*(f"{value:.12g}" for value in row), f"{label:.12g}"])
        for row, label in zip(values, target, strict=True)
    ]
    (DATA / name).write_text("\n".join(rows) + "\n", encoding="utf-8")


def write_digits() -> None:
    """Images of 8 x 8 pixels in 0..16, their digit, and two labels: is it large (7, 8, 9), is it odd."""
    digits = datasets.load_digits()
    y = digits.target.astype(np.uint8)
    labels = np.stack([y >= 7, y % 2 == 1], axis=1).astype(np.uint8)
    np.savez_compressed(DATA / "digits.npz", x=digits.images.astype(np.uint8), y=y, large_odd=labels)


def write_digit_pairs(seed: int = 42) -> None:
    """Pairs of digits, half of them the same digit written twice. No picture of a test pair is in a training pair."""
    digits = datasets.load_digits()
    images, y = digits.images.astype(np.uint8), digits.target
    random = np.random.default_rng(seed)
    order = random.permutation(len(y))
    arrays: dict[str, Array] = {}
    for group, members, pairs in (("train", order[:1400], 2000), ("test", order[1400:], 500)):
        left = random.choice(members, pairs)
        right = np.array([_partner(members, y, index, i % 2 == 0, random) for i, index in enumerate(left)])
        arrays[f"left_{group}"], arrays[f"right_{group}"] = images[left], images[right]
        arrays[f"same_{group}"] = (y[left] == y[right]).astype(np.uint8)
    np.savez_compressed(DATA / "digit_pairs.npz", **arrays)


def _partner(members: Array, y: Array, index: int, same: bool, random: np.random.Generator) -> int:
    """Another picture of the same digit, or a picture of another digit."""
    candidates = members[(y[members] == y[index]) == same]
    return int(random.choice(candidates[candidates != index]))


def write_tables() -> None:
    """Breast cancer, wine and diabetes as CSV with a header; spaces and slashes in names become underscores."""
    cancer = datasets.load_breast_cancer()
    names = [name.replace(" ", "_") for name in cancer.feature_names]
    write_csv("breast_cancer.csv", names, cancer.data, cancer.target, "benign")
    wine = datasets.load_wine()
    names = [name.replace("/", "_") for name in wine.feature_names]
    write_csv("wine.csv", names, wine.data, wine.target, "cultivar")
    diabetes = datasets.load_diabetes(scaled=False)
    write_csv("diabetes.csv", list(diabetes.feature_names), diabetes.data, diabetes.target, "progression")


def write_logic() -> None:
    """The four rows of the truth table of two inputs."""
    rows = ["a,b,both,either,exactly_one"]
    rows += [f"{a},{b},{a & b},{a | b},{a ^ b}" for a in (0, 1) for b in (0, 1)]
    (DATA / "logic.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    DATA.mkdir(exist_ok=True)
    write_digits()
    write_digit_pairs()
    write_tables()
    write_logic()
