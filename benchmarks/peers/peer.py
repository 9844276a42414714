"""What a peer is: a library that has prepared a job, can show that it does the job right, and can be timed."""

from __future__ import annotations

import time

from .job import Job

CHECKED_STEPS = 4
WARM_UP = 0.2  # of the time that is measured


class MissingError(Exception):
    """This peer cannot do the job here; the text says why."""


class Peer:
    """A library with a job prepared. `threads` is what it may use; environment and affinity are set by then."""

    versions: tuple[str, ...] = ()  # distributions whose versions belong to the result; one not installed is left out
    note = ""  # what a reader must know of how it did the job; known after `check`

    def __init__(self, job: Job, threads: int) -> None:
        self.job = job
        self.threads = threads

    def check(self) -> list[float]:
        """Of a training job the total loss of the first CHECKED_STEPS batches, each before its update.

        Of a prediction job the outputs of the first batch, row by row. Called once, before any `run`.
        """
        raise NotImplementedError

    def run(self) -> None:
        """`job.steps` steps on the batches in turn, done when it returns."""
        raise NotImplementedError

    def measure(self, seconds: float) -> list[float]:
        """Seconds per step of each block of steps, for that long, after a warm-up; at least one block."""
        samples: list[float] = []
        began = time.perf_counter()
        while not samples or time.perf_counter() < began + (1 + WARM_UP) * seconds:
            start = time.perf_counter()
            self.run()
            now = time.perf_counter()
            if now > began + WARM_UP * seconds or now - start > seconds:
                samples.append((now - start) / self.job.steps)
        return samples
