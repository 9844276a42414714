"""Samples on their way through two buffers, while nobody waits for the steps that read them."""

from __future__ import annotations

import numpy as np
import pytest
from emulated_device import EmulatedDevice

from nnc.compiler.codegen.module import Feed
from nnc.runtime.cuda import feeds as feeds_of_cuda
from nnc.runtime.cuda.feeds import Feeds
from nnc.runtime.protocol import Array

FEEDS = (Feed("a", 12), Feed("b", 8))


@pytest.mark.parametrize("late", [True, False])
def test_no_buffer_is_written_while_it_is_read(late: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds_of_cuda, "STAGED_BYTES", 20 * 8)
    device = EmulatedDevice(late, total_bytes=1 << 20)
    feeds = Feeds(device, batch_size=4)
    samples = {"a": np.arange(300, dtype=np.float32).reshape(100, 3), "b": np.arange(100, dtype=np.int64)}
    feeds.bind("train_step", FEEDS, samples)
    rows = np.random.default_rng(0).permutation(100)
    read: list[tuple[Array, ...]] = []
    done = 0
    while done < len(rows):
        places, numbers = feeds.place("train_step", rows[done:])
        assert 0 < len(numbers) <= 8
        done += len(numbers)

        def step(places: object = places, count: int = len(numbers)) -> None:
            found = [device.place(address, count * stride).copy() for address, stride in places]    # type: ignore
            read.append((found[0].view(np.float32).reshape(count, 3), found[1].view(np.int64)))

        device.ask(step)
        feeds.used("train_step", device.mark())
    device.synchronize()
    for number, name in enumerate(samples):
        np.testing.assert_array_equal(np.concatenate([step[number] for step in read]), samples[name][rows])
    assert len(device.allocated) == 2
    feeds.free()
    assert device.freed == 2


def test_nothing_bound_takes_no_samples() -> None:
    """A program without feeds, and samples of no rows."""
    device = EmulatedDevice()
    feeds = Feeds(device, batch_size=4)
    feeds.bind("step", (), {})
    assert feeds.place("step", np.arange(3))[0] == ()
    feeds.bind("predict", FEEDS, {"a": np.empty((0, 3), np.float32), "b": np.empty(0, np.int64)})
    assert feeds.length("predict") == 0
