"""The whole command, from process start to model saved: `nnc run`, cold and warm, and a script of each peer."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .rounds import ROOT, spread

LEAST_ACCURACY = {"digits": 0.95, "mnist": 0.97}
LONGEST_SECONDS = 300.0
CACHE_VARIABLES = ("NNC_CACHE_DIR", "XDG_CACHE_HOME")  # where nnc keeps compiled programs


@dataclass(frozen=True)
class Command:
    """words: of the command line. environment: beside the caller's. cold: starts with an empty cache each time."""

    name: str
    words: tuple[str, ...]
    environment: Mapping[str, str]
    cold: bool = False


def commands(python: str, job: str, data: Path, folder: Path) -> list[Command]:
    """The commands of a job; models and nnc's cache go into `folder`."""
    spec, model = str(ROOT / "specs" / f"{job}.nn"), str(folder / f"{job}.safetensors")
    nnc: tuple[str, ...] = (sys.executable, "-m", "nnc", "run", spec, "-o", model)
    if job != "digits":
        nnc += ("--data", str(data))

    def cache(name: str) -> dict[str, str]:
        return {variable: str(folder / name) for variable in CACHE_VARIABLES}

    found = [Command("nnc cold", nnc, cache("cold"), cold=True), Command("nnc warm", nnc, cache("warm"))]
    for peer in ("keras-jax", "keras-tensorflow", "keras-torch", "torch", "jax"):
        library, _, backend = peer.partition("-")
        words = (python, "-m", f"benchmarks.peers.jobs.{library}_job", job, str(data), str(folder / peer))
        settings = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2", "JAX_PLATFORMS": "cpu"}
        found.append(Command(peer, words, settings))
    return found


def run(command: Command, folder: Path) -> dict[str, float]:
    """Seconds from start to end, peak resident bytes (the largest process), accuracy on the test data.

    Raises: RuntimeError where the command fails or prints no accuracy.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith("OPENBLAS_")}
    with tempfile.TemporaryDirectory(dir=folder) as empty, tempfile.TemporaryFile("w+", dir=folder) as output:
        fresh = dict.fromkeys(command.environment, empty) if command.cold else command.environment
        began = time.perf_counter()
        process = subprocess.Popen(
            command.words, cwd=ROOT, env={**kept, **fresh}, stdout=output, stderr=subprocess.STDOUT
        )
        limit = threading.Timer(LONGEST_SECONDS, process.kill)
        limit.start()
        _, status, usage = os.wait4(process.pid, 0)
        limit.cancel()
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    accuracies = re.findall(r"accuracy\s+([0-9.]+)", text)
    if process.returncode == -signal.SIGKILL:
        raise RuntimeError(f"killed after {seconds:.0f} s")
    if process.returncode != 0 or not accuracies:
        lines = text.strip().splitlines() or ["without a word"]
        raise RuntimeError(next((line for line in lines if line.startswith("error")), lines[-1]))
    unit = 1 if sys.platform == "darwin" else 1024
    return {"seconds": seconds, "peak_bytes": usage.ru_maxrss * unit, "accuracy": float(accuracies[-1])}


def measure(
    python: str, data: Mapping[str, Path | None], peers: Sequence[str], rounds: int
) -> dict[str, dict[str, Any]]:
    """Each job's commands in turn, a round of them first that does not count. A failing one says why under "missing".

    data: job -> the folder of its files; without one the job is left out, and says so. peers: whose commands.
    """
    wanted = {"nnc" if peer.startswith("nnc-") else peer for peer in peers}
    results: dict[str, dict[str, Any]] = {}
    for job, place in data.items():
        if place is None:
            results[job] = {"all": {"missing": f"no data: --{job} names none"}}
            continue
        with tempfile.TemporaryDirectory(prefix="nnc-commands-") as name:
            folder = Path(name)
            runs: dict[str, list[dict[str, float]]] = {}
            results[job] = {}
            todo = commands(python, job, place.resolve(), folder)
            todo = [command for command in todo if command.name.split()[0] in wanted]
            for number in range(rounds + 1):
                for command in [command for command in todo if command.name not in results[job]]:
                    try:
                        figures = run(command, folder)
                    except RuntimeError as error:
                        results[job][command.name] = {"missing": str(error)}
                        continue
                    print(f"{job}, {command.name}: {figures['seconds']:.2f} s", file=sys.stderr, flush=True)
                    if number:
                        runs.setdefault(command.name, []).append(figures)
        results[job] |= {name: _summary(job, figures) for name, figures in runs.items() if name not in results[job]}
    return results


def _summary(job: str, runs: list[dict[str, float]]) -> dict[str, Any]:
    least = min(figures["accuracy"] for figures in runs)
    if least < LEAST_ACCURACY[job]:
        return {"missing": f"it learns too little: an accuracy of {least}"}
    return {
        "seconds": spread([figures["seconds"] for figures in runs]),
        "peak_bytes": max(figures["peak_bytes"] for figures in runs),
        "accuracy": least,
    }
