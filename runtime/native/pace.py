"""How many threads a program runs on: all, or one alone where that is quicker just now.

Two threads that meet every few microseconds stand still together when another program takes one of their cores. What
a step computes does not depend on the threads, so the session may try both and go on with the quicker.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

TRIAL_SECONDS: Final = 1.0      # between two trials of the slower way
TRIAL_SHARE: Final = 50         # and at least as many times the time that a trial takes
CLOSE_SECONDS: Final = 2e-4     # from the end of a call to the next: a pool's threads spin for a millisecond
CLOSE_CALLS: Final = 16         # one after another, before threads are woken for the next
_NEWEST: Final = 0.3            # the weight of a new measurement
_MOST_GROWTH: Final = 1.25      # of what is expected, however long one call took


class Pace:
    """Measures one program in each of several ways, a number of threads each. `choose` before a call, `took` after.

    A way's first call is no measurement: its threads are made then, its memory seen for the first time. Whatever else
    the machine does only adds to the time, so a quicker call than expected is believed at once, a slower one in part.
    """

    def __init__(self, ways: Sequence[int]) -> None:
        self._ways = tuple(dict.fromkeys(ways))
        self._begun: set[int] = set()
        self._per_row: dict[int, float] = {}
        self._next_trial = 0.0

    def choose(self) -> int:
        """How many threads the next call gets."""
        for threads in self._ways:
            if threads not in self._per_row:
                return threads
        best = min(self._ways, key=lambda threads: self._per_row[threads])
        if time.perf_counter() >= self._next_trial:
            return next((threads for threads in self._ways if threads != best), best)
        return best

    def took(self, threads: int, rows: int, seconds: float) -> None:
        """A call on that many threads: its rows, and how long it took."""
        if threads not in self._begun and len(self._ways) > 1:
            self._begun.add(threads)
            return
        measured = seconds / rows
        known = self._per_row.get(threads, measured)
        self._per_row[threads] = min(measured, known + _NEWEST * (measured - known), known * _MOST_GROWTH)
        if len(self._per_row) == len(self._ways) and threads != min(self._ways, key=self._per_row.__getitem__):
            self._next_trial = time.perf_counter() + max(TRIAL_SECONDS, TRIAL_SHARE * seconds)


class Rhythm:
    """Chooses the threads of calls that pay for several only while these still spin: one after another, in a row.

    `choose` at a call's beginning, `took` after it.
    """

    def __init__(self, threads: int) -> None:
        self._pace = Pace((threads, 1))
        self._began = self._ended = -CLOSE_SECONDS
        self._close_calls = 0
        self._are_awake = False

    def choose(self, began: float) -> int:
        """How many threads the call gets that began at that time."""
        self._began = began
        self._close_calls = self._close_calls + 1 if began - self._ended < CLOSE_SECONDS else 0
        if self._close_calls >= CLOSE_CALLS:
            return self._pace.choose()
        self._are_awake = False
        return 1

    def took(self, threads: int, rows: int, seconds: float) -> None:
        """A call on that many threads: its rows, and how long it took; no measurement if it had to wake threads."""
        self._ended = self._began + seconds
        if self._close_calls < CLOSE_CALLS:
            return
        were_awake, self._are_awake = self._are_awake, threads > 1
        if were_awake or threads == 1:
            self._pace.took(threads, rows, seconds)

    def interrupt(self) -> None:
        """Another call came meanwhile: each core has work of its own."""
        self._close_calls = 0
