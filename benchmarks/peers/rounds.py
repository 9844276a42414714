"""Measures a row in rounds: every peer stays alive in a process of its own and has the machine to itself in turn.

All the others are stopped meanwhile by SIGSTOP, so that no thread of theirs spins while it waits for work.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from . import worker
from .job import Job

ROOT = Path(__file__).resolve().parents[2]
ORACLE = "nnc-reference"
ORACLE_PATIENCE = 900.0  # seconds for nnc-reference to get ready: without it nothing can be compared


class LostError(Exception):
    """A worker gave no answer; the text says why."""


@dataclass(frozen=True)
class Processes:
    """How workers are started, and what is expected of them.

    module: what each runs. environment: the variables of a peer with so many threads. tolerance: the largest deviation
    from nnc-reference, relative. patience: seconds for a peer to get ready, and for a turn beyond the time asked for.
    """

    module: str = "benchmarks.peers.worker"
    environment: Callable[[str, int], dict[str, str]] = worker.environment
    tolerance: float = 1e-4
    patience: float = 120.0


ON_CPU = Processes()


class Worker:
    """The process of one peer; stopped whenever it is not asked for something."""

    def __init__(self, peer: str, python: str, folder: Path, threads: int, processes: Processes = ON_CPU) -> None:
        self.peer = peer
        self._patience = processes.patience
        self._log = (folder / f"{peer}.log").open("w+")
        command = [python, "-m", processes.module, str(folder), peer, str(threads)]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=processes.environment(peer, threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )

    def ready(self) -> dict[str, Any]:
        """What it says once it is prepared. Raises: LostError."""
        return self._answer(ORACLE_PATIENCE if self.peer == ORACLE else self._patience)

    def measure(self, seconds: float) -> tuple[list[float], float]:
        """Its samples, and how many processors' worth of time others took meanwhile. Raises: LostError."""
        self._signal(signal.SIGCONT)
        busy, own, began = _busy_seconds(), self._seconds(), time.perf_counter()
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"measure {seconds}\n".encode())
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise LostError(f"it ended: {self._last_words()}") from error
        samples = self._answer(2 * seconds + self._patience)["samples"]
        others = (_busy_seconds() - busy - (self._seconds() - own)) / (time.perf_counter() - began)
        return samples, max(0.0, others)

    def close(self) -> None:
        """End it, whatever it is doing."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._log):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()

    def _answer(self, timeout: float) -> dict[str, Any]:
        pipe = self._process.stdout
        assert pipe is not None
        end, text = time.monotonic() + timeout, b""
        while not text.endswith(b"\n"):
            if not select.select([pipe], [], [], max(0.0, end - time.monotonic()))[0]:
                raise LostError(f"no answer within {timeout:.0f} s")
            piece = os.read(pipe.fileno(), 1 << 20)
            if not piece:
                raise LostError(f"it ended: {self._last_words()}")
            text += piece
        self._signal(signal.SIGSTOP)
        answer: dict[str, Any] = json.loads(text)
        if "missing" in answer:
            raise LostError(answer["missing"])
        return answer

    def _last_words(self) -> str:
        self._log.seek(0)
        return (self._log.read().strip().splitlines() or ["without a word"])[-1]

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _seconds(self) -> float:
        """Processor time of the process so far, of all its threads."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _busy_seconds() -> float:
    """Processor time of the whole machine so far, not idle; 0 where the system does not say."""
    try:
        fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    except OSError:
        return 0.0
    idle, waiting = fields[3], fields[4]
    return (sum(fields) - idle - waiting) / os.sysconf("SC_CLK_TCK")


@dataclass
class Result:
    """One row with one number of threads. Rounds: peer -> one entry per round; seconds per step."""

    row: str
    threads: int
    rounds: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    overall: dict[str, dict[str, float]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    prepared_seconds: dict[str, float] = field(default_factory=dict)
    deviation: dict[str, float] = field(default_factory=dict)  # largest, relative to nnc-reference
    notes: dict[str, str] = field(default_factory=dict)  # peer -> what to know of how it did the job

    def ratios(self, peer: str, subject: str) -> list[float]:
        """How many times the subject's time the peer takes, round by round."""
        pairs = zip(self.rounds[peer], self.rounds[subject], strict=True)
        return [of_peer["median"] / of_subject["median"] for of_peer, of_subject in pairs]


def spread(samples: Sequence[float]) -> dict[str, float]:
    """Median, 10th and 90th percentile."""
    low, median, high = np.percentile(samples, [10, 50, 90])
    return {"median": float(median), "p10": float(low), "p90": float(high)}


def deviation(found: Sequence[float], expected: Sequence[float]) -> float:
    """The largest difference relative to what is expected; infinite where the two differ in length or are no numbers.

    What is expected below 1e-3 (a probability) counts as 1e-3.
    """
    a, b = np.asarray(found, float), np.asarray(expected, float)
    if a.shape != b.shape or not np.isfinite(a).all():
        return float("inf")
    return float(np.max(np.abs(a - b) / np.maximum(np.abs(b), 1e-3)))


def measure(
    job: Job,
    peers: Sequence[str],
    pythons: Mapping[str, str],
    threads: int,
    rounds: int,
    seconds: float,
    processes: Processes = ON_CPU,
) -> Result:
    """Prepare every peer, check that it computes the same, then measure them in turn, in another order each round.

    pythons: peer -> interpreter. A peer that cannot, or computes something else, is under `missing` with the reason.
    Where nnc-reference, which says what is right, cannot be had, so are all the others.
    """
    result = Result(job.name, threads)
    workers: dict[str, Worker] = {}
    with tempfile.TemporaryDirectory(prefix="nnc-peers-") as name:
        folder = Path(name)
        job.save(folder)
        try:
            expected: list[float] | None = None
            for peer in dict.fromkeys([ORACLE, *peers]):
                workers[peer] = Worker(peer, pythons[peer], folder, threads, processes)
                try:
                    answer = workers[peer].ready()
                    expected = expected or answer["check"]
                    _compare(peer, answer, expected, result, processes.tolerance)
                except LostError as lost:
                    _drop(peer, str(lost), workers, result)
                    if expected is None:
                        result.missing |= dict.fromkeys(peers, f"nothing to compare with: {ORACLE}: {lost}")
                        return result
            if ORACLE not in peers:
                workers.pop(ORACLE).close()
            _measure_in_turn(workers, result, rounds, seconds)
        finally:
            for process in workers.values():
                process.close()
    return result


def _compare(
    peer: str, answer: dict[str, Any], expected: Sequence[float], result: Result, tolerance: float = ON_CPU.tolerance
) -> None:
    """Note what a peer said when it was ready. Raises: LostError where its figures are not those expected."""
    result.deviation[peer] = deviation(answer["check"], expected)
    result.versions |= answer["versions"]
    result.prepared_seconds[peer] = answer["seconds"]
    if answer.get("note"):
        result.notes[peer] = answer["note"]
    if not result.deviation[peer] <= tolerance:
        raise LostError(f"it computes something else: off by {result.deviation[peer]:.1e}")


def _measure_in_turn(workers: dict[str, Worker], result: Result, rounds: int, seconds: float) -> None:
    samples: dict[str, list[float]] = {peer: [] for peer in workers}
    result.rounds = {peer: [] for peer in workers}
    for number in range(rounds):
        order = [*workers]
        first = number % max(1, len(order))
        for peer in order[first:] + order[:first]:
            try:
                found, others = workers[peer].measure(seconds)
            except LostError as lost:
                _drop(peer, str(lost), workers, result)
                continue
            samples[peer] += found
            result.rounds[peer].append({**spread(found), "samples": len(found), "others": round(others, 3)})
    result.overall = {peer: spread(samples[peer]) for peer in workers}


def _drop(peer: str, reason: str, workers: dict[str, Worker], result: Result) -> None:
    workers.pop(peer).close()
    result.missing[peer] = reason
    result.rounds.pop(peer, None)
    print(f"{result.row}, {result.threads} threads: no {peer}: {reason}", file=sys.stderr)
