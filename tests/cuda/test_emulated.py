"""The emulation itself: what a GPU would hang in, or answer at random, ends with a message."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import numpy as np
import pytest
from emulated import Kernels, LaunchError, needs_compiler, needs_gcc

pytestmark = needs_compiler

TEXT = """
#include "rows.cuh"
extern "C" __global__ void half_a_warp(float *x) { if (threadIdx.x < 16) x[threadIdx.x] = sum_lanes_f32(1); }
extern "C" __global__ void two_places(float *x) {
    if (threadIdx.x < 16) x[threadIdx.x] = sum_lanes_f32(1);
    else x[threadIdx.x] = max_lanes_f32(1);
}
extern "C" __global__ void masked(float *x) { x[0] = __shfl_sync(0xFFFF, x[0], 0); }
extern "C" __global__ void half_a_block(void) { if (threadIdx.x < 32) __syncthreads(); }
extern "C" __global__ void __launch_bounds__(64) reversed(const float *from, float *to) {
    __shared__ float fixed[64];
    DYNAMIC_SHARED(memory);
    float *given = (float *)memory;
    const int all = blockDim.x, k = threadIdx.x;
    fixed[k] = given[k] = from[blockIdx.x * all + k];
    __syncthreads();
    to[blockIdx.x * all + k] = fixed[all - 1 - k] + given[all - 1 - k];
}
extern "C" __global__ void unwritten(float *to, long writes) {
    __shared__ float fixed[32];
    if (writes) fixed[threadIdx.x] = 1;
    to[threadIdx.x] = fixed[threadIdx.x];
}
struct pair { float a; int b; };
extern "C" __global__ void by_value(struct pair pair, long number, float *to) { to[0] = pair.a + pair.b + number; }
extern "C" __global__ void of_the_warp_before(float *x, float *to) {
    x[threadIdx.x] = 1;
    to[threadIdx.x] = threadIdx.x < 32 ? 1 : x[threadIdx.x - 32];
}
extern "C" __global__ void counted(unsigned int *count) { atomicAdd(count, 1u); }

extern "C" __global__ void turned(float *x, float *to, long settles) {
    store_f32(x, 1, LANES);
    if (settles) settle();
    to[threadIdx.x] = x[LANES - 1 - threadIdx.x];
}
extern "C" __global__ void overwritten(float *x) { const float y = x[(threadIdx.x + 1) % LANES]; x[threadIdx.x] = y; }
extern "C" __global__ void shuffled(float *x) {
    x[threadIdx.x] = 1;
    sum_lanes_f32(1);
    x[LANES - 1 - threadIdx.x] = 2;
}
extern "C" __global__ void all_write(float *x) { x[0] = 1; }
extern "C" __global__ void one_writes(float *x) { if (threadIdx.x == 0) x[blockIdx.x] = 1; }
"""


@cache
def kernels(finds_races: bool = False) -> Kernels:
    return Kernels(TEXT, finds_races=finds_races)


def floats(count: int = 64) -> Any:
    return np.zeros(count, np.float32)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("half_a_warp", "no thread can go on\n  block 0, threads 0 to 15: at __shfl_xor_sync \\(warp.cuh:[0-9]+\\)\n"
         "  block 0, threads 16 to 63: returned"),
        ("two_places", "lanes of a warp meet at different places"),
        ("masked", "a mask leaves out lanes of a warp"),
        ("half_a_block", "no thread can go on\n  block 0, threads 0 to 31: at __syncthreads \\(kernels[0-9]+.cpp:"
         "[0-9]+\\)\n  block 0, threads 32 to 63: returned"),
    ],
)  # fmt: skip
def test_a_barrier_that_some_do_not_reach_is_reported(name: str, message: str) -> None:
    with pytest.raises(LaunchError, match=message):
        kernels().launch(name, 1, 64, 0, (floats(),))
    to = floats(1)
    kernels().launch("by_value", 1, 32, 0, (_Pair(1.5, 2), 3, to))  # and the next launch is none the worse
    assert to[0] == 6.5


class _Pair(ctypes.Structure):
    _fields_ = (("a", ctypes.c_float), ("b", ctypes.c_int))


@pytest.mark.parametrize("together", [True, False])
def test_blocks_have_shared_memory_of_their_own(together: bool) -> None:
    numbers, to = np.arange(256, dtype=np.float32), floats(256)
    for finds_races in (False, True):
        kernels(finds_races).launch("reversed", 4, 64, 256, (numbers, to), cooperative=together)
        np.testing.assert_array_equal(to.reshape(4, 64), 2 * numbers.reshape(4, 64)[:, ::-1])


def test_shared_memory_holds_no_number_before_it_is_written() -> None:
    to = floats(32)
    kernels().launch("unwritten", 1, 32, 0, (to, 0))
    assert np.isnan(to).all()


def test_every_thread_of_a_launch_runs_once() -> None:
    count = np.zeros(1, np.uint32)
    kernels().launch("counted", 50, 256, 0, (count,))
    assert count[0] == 50 * 256


@pytest.mark.parametrize(("grid", "block"), [(0, 32), (1, 0), (1, 33), (1, 2048)])
def test_a_launch_without_whole_warps_is_refused(grid: int, block: int) -> None:
    with pytest.raises(LaunchError, match="no blocks, or no whole warps"):
        kernels().launch("counted", grid, block, 0, (np.zeros(1, np.uint32),))


def test_another_order_finds_what_the_usual_one_hides() -> None:
    found = []
    for order in (0, 1):
        to = floats()
        Kernels(TEXT, order=order).launch("of_the_warp_before", 1, 64, 0, (floats(), to))
        found.append(to)
    assert found[0].all()
    assert found[1].any()
    assert not found[1].all()


@pytest.mark.parametrize("order", range(1, 6))
def test_barriers_hold_in_any_order(order: int) -> None:
    numbers, to = np.arange(256, dtype=np.float32), floats(256)
    Kernels(TEXT, order=order).launch("reversed", 4, 64, 256, (numbers, to), cooperative=True)
    np.testing.assert_array_equal(to.reshape(4, 64), 2 * numbers.reshape(4, 64)[:, ::-1])


# --- races ----------------------------------------------------------------------------------------------------------
@needs_gcc
@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("turned", (floats(), floats(), 0), "a (write and a read|read and a write) in no order: block 0 thread"),
        ("overwritten", (floats(),), "a read and a write in no order"),
        ("shuffled", (floats(),), "two writes in no order"),
        ("all_write", (floats(),), "two writes in no order: block 0 thread 0 at kernels[0-9]+.cpp:[0-9]+"),
    ],
)
def test_accesses_in_no_order_are_reported(name: str, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(LaunchError, match=message):
        kernels(finds_races=True).launch(name, 1, 32, 0, arguments)


@needs_gcc
def test_accesses_in_order_are_not() -> None:
    checked, to = kernels(finds_races=True), floats()
    checked.launch("turned", 1, 32, 0, (floats(), to, 1))
    assert to[:32].all()
    for _ in range(2):  # one launch comes after another
        checked.launch("one_writes", 3, 64, 0, (to,))
    checked.launch("counted", 3, 64, 0, (np.zeros(1, np.uint32),))
