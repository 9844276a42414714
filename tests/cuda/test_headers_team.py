"""runtime/cuda/team.cuh: the warps of a block, of a cluster, of a grid meet, again and again, and in no other order."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from emulated import CLUSTER, Kernels, LaunchError, needs_compiler, needs_gcc
from header_kernels import TEAM_TEXT

pytestmark = [needs_compiler, needs_gcc]

LANES = 32


def after_turns(start: npt.NDArray[np.float32], times: int) -> npt.NDArray[np.float32]:
    for _ in range(times):
        start = np.roll(start, -1, axis=0) + np.float32(1)
    return start


@pytest.mark.parametrize("times", [1, 2, 7])
@pytest.mark.parametrize(
    ("team", "blocks", "warps"),
    [
        ("TEAM_BLOCK", 1, 8), ("TEAM_BLOCK", 1, 32), ("TEAM_CLUSTER", CLUSTER, 2), ("TEAM_GRID", 1, 4),
        ("TEAM_GRID", 2, 1), ("TEAM_GRID", 13, 3),
    ],
)  # fmt: skip
@pytest.mark.parametrize("order", [0, 1])
def test_all_warps_meet(team: str, blocks: int, warps: int, times: int, order: int) -> None:
    kernels = Kernels(TEAM_TEXT, (team,), finds_races=True, order=order)
    barrier, threads = np.zeros(1, np.uint32), blocks * warps
    for launch in range(3):  # the word of the barrier serves one launch after another
        numbers = np.random.default_rng(launch).integers(0, 100, (threads, LANES)).astype(np.float32)
        expected = after_turns(numbers, times)
        kernels.launch("turns", blocks, warps * LANES, 0, (barrier, numbers, times), cooperative=team == "TEAM_GRID")
        np.testing.assert_array_equal(numbers, expected)


def test_a_grid_that_is_not_there_together_cannot_meet() -> None:
    kernels = Kernels(TEAM_TEXT, ("TEAM_GRID",))
    with pytest.raises(LaunchError, match="no thread can go on\n  block 0, threads 0 to 0: at __nanosleep"):
        kernels.launch("turns", 4, LANES, 0, (np.zeros(1, np.uint32), np.zeros((4, LANES), np.float32), 1))


def test_the_wrong_team_is_found_out() -> None:
    kernels = Kernels(TEAM_TEXT, ("TEAM_BLOCK",), finds_races=True)
    with pytest.raises(LaunchError, match="in no order: block 0 thread"):
        kernels.launch("turns", 2, LANES, 0, (np.zeros(1, np.uint32), np.zeros((2, LANES), np.float32), 1))
