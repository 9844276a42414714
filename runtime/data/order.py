"""Orders of samples: shuffles and splits that depend on a seed and nothing else.

Keys come from Philox4x64-10's raw words, whose stream NumPy guarantees, and are sorted stably: the same seed gives the
same order on every machine and in every version.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from nnc.compiler.options import Split
from nnc.runtime.protocol import Array, Rows

_EPOCH_STREAM: Final = 1 << 40
_SPLIT_STREAM: Final = 2 << 40
_MASK: Final = (1 << 64) - 1


def permutation(count: int, seed: int, stream: int) -> Rows:
    """0 .. count-1 in an order drawn from (seed, stream)."""
    keys = np.random.Philox(key=np.array([seed & _MASK, stream], np.uint64)).random_raw(count)
    return np.argsort(keys, kind="stable").astype(np.int64, copy=False)


def epoch_order(count: int, seed: int, epoch: int) -> Rows:
    """The order in which epoch `epoch` (from 0) meets its `count` samples."""
    return permutation(count, seed, _EPOCH_STREAM + epoch)


def split_rows(count: int, split: Split, classes: Array | None = None) -> tuple[Rows, Rows, Rows]:
    """Rows of the training, validation and test part, each ascending; fractions are rounded to whole rows.

    classes: one label per row when the split is stratified: each part then gets its share of every class.
    """
    order = permutation(count, split.seed, _SPLIT_STREAM)
    groups = [order] if classes is None else [order[classes[order] == label] for label in np.unique(classes)]
    parts: tuple[list[Rows], list[Rows], list[Rows]] = ([], [], [])
    for group in groups:
        test = int(len(group) * split.test + 0.5)
        validation = min(int(len(group) * split.validation + 0.5), len(group) - test)
        parts[2].append(group[:test])
        parts[1].append(group[test : test + validation])
        parts[0].append(group[test + validation :])
    train, held_out, test_rows = (np.sort(np.concatenate(part)) for part in parts)
    return train, held_out, test_rows
