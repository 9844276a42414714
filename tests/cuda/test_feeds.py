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
            found = [device.place(address, count * stride).copy() for address, stride in places]  # type: ignore
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


def test_buffers_are_given_back_where_samples_fit_and_samples_where_they_do_not() -> None:
    """Large, small, large again: memory is what one of them needs, and after all of them none."""
    device = EmulatedDevice(total_bytes=feeds_of_cuda.MARGIN_BYTES + 10_000)
    feeds = Feeds(device, batch_size=4)
    sizes = {"large": 500, "small": 100}

    def samples(count: int) -> dict[str, Array]:
        return {"a": np.ones((count, 3), np.float32), "b": np.arange(count, dtype=np.int64)}

    used = []
    for name in ("large", "small", "small", "large"):
        feeds.bind("train_step", FEEDS, samples(sizes[name]))
        places, numbers = feeds.place("train_step", np.arange(50, 70))
        device.synchronize()
        address, stride = places[1]
        found = device.place(address + int(numbers[0]) * stride, 8 * len(numbers)).view(np.int64)
        np.testing.assert_array_equal(found, np.arange(50, 70))
        used.append(device.total_bytes - device.free_bytes())
        feeds.used("train_step", device.mark())
    assert used[1] == used[2] == 1280 + 1024  # 1200 and 800 bytes, at whole multiples of 256
    assert used[0] == used[3] > used[1]
    feeds.free()
    assert device.free_bytes() == device.total_bytes
