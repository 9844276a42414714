"""The two data sets, read with NumPy, and the settings of the two bundled specs."""

from __future__ import annotations

import gzip
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Task:
    """Images in [0, 1] as float32 vectors, labels int32. dropout: after the hidden layer. decay_steps: of a cosine."""

    train: tuple[Array, Array]
    test: tuple[Array, Array]
    units: int
    dropout: float
    batch_size: int
    epochs: int
    optimizer: str
    learning_rate: float
    decay_steps: int | None


def task() -> tuple[Task, Path]:
    """The task and the file for the model, from the command line: `digits|mnist FOLDER FILE`."""
    name, folder, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    return (_digits(folder) if name == "digits" else _mnist(folder)), out


def _digits(folder: Path) -> Task:
    with np.load(folder / "digits.npz") as arrays:
        images = arrays["x"].reshape(-1, 64).astype(np.float32) / 16
        labels = arrays["y"].astype(np.int32)
    order = np.random.default_rng(42).permutation(len(images))
    held = len(images) // 5
    train, test = order[held:], order[:held]
    return Task((images[train], labels[train]), (images[test], labels[test]), 128, 0.3, 32, 40, "adam", 0.01, 1800)


def _mnist(folder: Path) -> Task:
    parts = [(_idx(folder, f"{part}-images-idx3"), _idx(folder, f"{part}-labels-idx1")) for part in ("train", "t10k")]
    train, test = (
        (images.reshape(-1, 784).astype(np.float32) / 255, labels.astype(np.int32)) for images, labels in parts
    )
    return Task(train, test, 512, 0.0, 128, 5, "rmsprop", 0.001, None)


def _idx(folder: Path, name: str) -> Array:
    content = gzip.decompress((folder / f"{name}-ubyte.gz").read_bytes())
    rank = content[3]
    shape = np.frombuffer(content, ">i4", rank, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)
