"""Shuffles and splits: every row once, the same on every machine."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnc.compiler.options import Split
from nnc.runtime.data.order import epoch_order, permutation, split_rows

PINNED = [[7, 6, 3, 2, 1, 4, 0, 5], [7, 0, 3, 1, 6, 4, 5, 2], [3, 0, 4, 1, 2, 5, 7, 6]]
PINNED_SPLIT = [[0, 1, 2, 5], [6, 7], [3, 4]]
SEEDS = st.integers(-(2**63), 2**64 - 1)


def test_orders_are_pinned() -> None:
    """These must never change: they are part of what a seed means."""
    assert epoch_order(8, seed=0, epoch=0).tolist() == PINNED[0]
    assert epoch_order(8, seed=0, epoch=1).tolist() == PINNED[1]
    assert epoch_order(8, seed=42, epoch=0).tolist() == PINNED[2]
    train, validation, test = split_rows(8, Split(0.25, 0.25, 42))
    assert [train.tolist(), validation.tolist(), test.tolist()] == PINNED_SPLIT


@given(st.integers(0, 200), SEEDS, st.integers(0, 2**60))
def test_a_permutation_has_every_row_once(count: int, seed: int, stream: int) -> None:
    assert sorted(permutation(count, seed, stream)) == list(range(count))


@given(st.integers(0, 100), st.floats(0, 0.5), st.floats(0, 0.5), SEEDS)
def test_the_parts_of_a_split_are_disjoint_and_complete(count: int, validation: float, test: float, seed: int) -> None:
    parts = split_rows(count, Split(validation, test, seed))
    assert sorted(np.concatenate(parts)) == list(range(count))
    assert abs(len(parts[1]) - count * validation) <= 1
    assert abs(len(parts[2]) - count * test) <= 0.5
    assert all((np.diff(part) > 0).all() for part in parts)


def test_a_stratified_split_keeps_the_share_of_each_class() -> None:
    classes = np.repeat([0, 1, 2], [50, 30, 20])
    train, validation, test = split_rows(100, Split(0.1, 0.2, 3), classes)
    for part, size in ((train, 70), (validation, 10), (test, 20)):
        np.testing.assert_array_equal(np.bincount(classes[part]), np.array([50, 30, 20]) * size // 100)


@pytest.mark.parametrize("seed", range(5))
def test_places_are_evenly_distributed(seed: int) -> None:
    orders = np.stack([epoch_order(6, seed, epoch) for epoch in range(3000)])
    counts = np.stack([np.bincount(orders[:, place], minlength=6) for place in range(6)])
    assert counts.min() > 400
    assert counts.max() < 600
