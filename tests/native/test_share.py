"""runtime/native/share.h: every piece is one thread's."""

from __future__ import annotations

import numpy as np
import pytest
from compiled import Target, each_target, library, needs_compiler

pytestmark = [needs_compiler, each_target]


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 7])
@pytest.mark.parametrize(("first", "second"), [((4, 3), (1, 1)), ((24, 3), (4, 1)), ((1, 3), (1, 2)), ((0, 3), (5, 2))])
def test_tiles_are_cut_by_their_work(
    target: Target, first: tuple[int, int], second: tuple[int, int], threads: int
) -> None:
    done = np.zeros(first[0] + second[0], np.int32)
    most = library("shares.c", target).call("cut_tiles", *first, *second, threads, done)
    assert set(done.tolist()) == {1}
    work = first[0] * first[1] + second[0] * second[1]
    assert most < work / threads + max(first[1], second[1]) + 1


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 6])
def test_a_grid_covers_rows_and_columns_once(target: Target, threads: int) -> None:
    done = np.zeros((11, 7), np.int32)
    library("shares.c", target).call("cut_grid", *done.shape, threads, done)
    assert set(done.reshape(-1).tolist()) == {1}
