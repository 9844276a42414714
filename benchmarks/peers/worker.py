"""A process that holds one peer ready: `python -m benchmarks.peers.worker FOLDER PEER THREADS`.

It prepares the job in FOLDER and says so in a line of JSON, {"check": [...], ...}, or {"missing": "why it cannot"}.
Then it answers each `measure SECONDS` on its standard input with {"samples": [seconds per step, ...]}. What libraries
print goes to standard error.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .job import Job, load
from .peer import MissingError, Peer

# peer -> module, and the further arguments of its classes `Training` and `Prediction`
PEERS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "nnc-native": ("nnc_peer", ("native",)),
    "nnc-reference": ("nnc_peer", ("reference",)),
    "torch": ("torch_peer", (False,)),
    "torch-compile": ("torch_peer", (True,)),
    "jax": ("jax_peer", (False,)),
    "jax-scan": ("jax_peer", (True,)),
    "keras-jax": ("keras_peer", ()),
    "keras-tensorflow": ("keras_peer", ()),
    "keras-torch": ("keras_peer", ()),
    "tinygrad": ("tinygrad_peer", ()),
    "onnxruntime": ("onnxruntime_peer", ()),
}
TRAINING = tuple(peer for peer in PEERS if peer != "onnxruntime")
PREDICTION = ("nnc-native", "nnc-reference", "onnxruntime", "jax", "torch", "torch-compile")


def environment(peer: str, threads: int) -> dict[str, str]:
    """The variables by which libraries learn how many threads they may use; OPENBLAS_* of the caller are dropped."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("OPENBLAS_")}
    counts = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUM_CPU_THREADS")
    kept |= dict.fromkeys(counts, str(threads))
    kept |= {"TORCHINDUCTOR_COMPILE_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "2", "JAX_PLATFORMS": "cpu", "DEV": "CPU"}
    if peer.startswith("keras-"):
        kept["KERAS_BACKEND"] = peer.removeprefix("keras-")
    if threads == 1:
        kept["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    return kept


def prepare(peer: str, job: Job, threads: int) -> Peer:
    """The peer with the job prepared. Raises: MissingError where it cannot do it."""
    module, arguments = PEERS[peer]
    if peer == "jax" and job.mode == "predict":
        arguments = ()
    try:
        found = import_module(f"benchmarks.peers.{module}")
    except ImportError as error:
        raise MissingError(str(error)) from error
    made: Peer = getattr(found, "Training" if job.mode == "train" else "Prediction")(job, threads, *arguments)
    return made


def _versions(names: Iterable[str]) -> dict[str, str]:
    """Of those that are installed."""
    found = {}
    for name in names:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _die_with_parent() -> None:
    """A worker that stands stopped would outlive a parent that was killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def serve(make: Callable[[], Peer], say: Callable[[dict[str, Any]], None]) -> None:
    """Prepare the peer that `make` gives, then measure as often as asked, until the input ends."""
    began = time.perf_counter()
    try:
        prepared = make()
        found = prepared.check()
    except MissingError as missing:
        say({"missing": str(missing)})
        return
    except Exception as error:  # whatever a library may raise: the table says what it was
        say({"missing": f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"})
        raise
    seconds = time.perf_counter() - began
    say({"check": found, "seconds": seconds, "versions": _versions(prepared.versions), "note": prepared.note})
    for line in sys.stdin:
        say({"samples": prepared.measure(float(line.split()[1]))})


def main(prepare: Callable[[str, Job, int], Peer] = prepare) -> None:
    """Serve the peer that the command line names. prepare: makes it."""
    folder, peer, threads = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    _die_with_parent()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(record: dict[str, Any]) -> None:
        print(json.dumps(record), file=answers, flush=True)

    serve(lambda: prepare(peer, load(folder), threads), say)


if __name__ == "__main__":
    main()
