"""How many threads a program gets: all or one, whichever was quicker lately."""

from __future__ import annotations

import pytest

from nnc.runtime.native import pace
from nnc.runtime.native.pace import Pace, Rhythm


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)
    return clock


def calls(chosen: Pace, clock: Clock, seconds: dict[int, float], count: int) -> list[int]:
    """The threads of so many calls of one row each, which take as long as `seconds` says."""
    found = []
    for _ in range(count):
        threads = chosen.choose()
        clock.now += seconds[threads]
        chosen.took(threads, 1, seconds[threads])
        found.append(threads)
    return found


def test_the_quicker_way_is_taken_and_the_other_tried_now_and_then(clock: Clock) -> None:
    found = calls(Pace((2, 1)), clock, {2: 0.01, 1: 0.02}, 300)
    assert found[:4] == [2, 2, 1, 1]
    assert 1 <= found[4:].count(1) <= 4


def test_a_slow_first_call_does_not_count(clock: Clock) -> None:
    chosen = Pace((2, 1))
    calls(chosen, clock, {2: 5.0, 1: 5.0}, 1)
    assert set(calls(chosen, clock, {2: 0.01, 1: 0.02}, 20)[3:]) == {2}


def test_one_quick_trial_brings_a_way_back(clock: Clock) -> None:
    chosen = Pace((2, 1))
    calls(chosen, clock, {2: 1.0, 1: 0.02}, 6)      # another program had the second core
    assert chosen.choose() == 1
    clock.now += 1000
    assert calls(chosen, clock, {2: 0.01, 1: 0.02}, 10) == [2, 1] + [2] * 8


def test_a_way_that_has_become_slow_is_left(clock: Clock) -> None:
    chosen = Pace((2, 1))
    calls(chosen, clock, {2: 0.01, 1: 0.02}, 10)
    assert calls(chosen, clock, {2: 0.2, 1: 0.02}, 30)[-1] == 1


def test_one_way_is_never_left() -> None:
    chosen = Pace((3,))
    assert {chosen.choose() for _ in range(3)} == {3}


# --- Rhythm -------------------------------------------------------------------------------------------------------
def rhythm_calls(rhythm: Rhythm, clock: Clock, seconds: dict[int, float], count: int, pause: float) -> list[int]:
    """The threads of so many calls, with a pause before each."""
    found = []
    for _ in range(count):
        clock.now += pause
        threads = rhythm.choose(clock.now)
        clock.now += seconds[threads]
        rhythm.took(threads, 1, seconds[threads])
        found.append(threads)
    return found


def test_calls_with_pauses_wake_no_thread(clock: Clock) -> None:
    assert set(rhythm_calls(Rhythm(2), clock, {2: 8e-6, 1: 16e-6}, 100, 1e-3)) == {1}


def test_calls_one_after_another_get_all_threads_soon(clock: Clock) -> None:
    found = rhythm_calls(Rhythm(2), clock, {2: 8e-6, 1: 16e-6}, 200, 1e-6)
    assert set(found[: pace.CLOSE_CALLS]) == {1}
    assert found[pace.CLOSE_CALLS :].count(1) <= 3, "two calls measure the other way"


def test_calls_that_gain_nothing_by_threads_stay_alone(clock: Clock) -> None:
    found = rhythm_calls(Rhythm(2), clock, {2: 20e-6, 1: 16e-6}, 200, 1e-6)
    assert found.count(2) <= 6, "to wake them, to warm up, to measure, and on trial"


def test_a_call_that_wakes_threads_is_no_measurement(clock: Clock) -> None:
    rhythm = Rhythm(2)
    rhythm_calls(rhythm, clock, {2: 8e-6, 1: 16e-6}, 100, 1e-6)
    rhythm_calls(rhythm, clock, {2: 8e-6, 1: 16e-6}, 3, 1e-3)
    assert rhythm_calls(rhythm, clock, {2: 8e-6, 1: 16e-6}, pace.CLOSE_CALLS - 1, 1e-6)[-1] == 1
    assert rhythm_calls(rhythm, clock, {2: 500e-6, 1: 16e-6}, 1, 1e-6) == [2]
    assert set(rhythm_calls(rhythm, clock, {2: 8e-6, 1: 16e-6}, 50, 1e-6)) == {2}


def test_a_call_from_elsewhere_ends_the_rhythm(clock: Clock) -> None:
    rhythm = Rhythm(2)
    rhythm_calls(rhythm, clock, {2: 8e-6, 1: 16e-6}, 100, 1e-6)
    rhythm.interrupt()
    assert set(rhythm_calls(rhythm, clock, {2: 8e-6, 1: 16e-6}, pace.CLOSE_CALLS - 1, 1e-6)) == {1}
