"""Measure nnc on a GPU beside PyTorch and JAX: `python -m benchmarks.gpu`, from the repository's root: docs/gpu.md."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.peers.machine import machine
from benchmarks.peers.rounds import ROOT, Processes, Result, measure
from nnc.grammar.diagnostics import ToolchainError
from nnc.grammar.rendering import render
from nnc.runtime.cuda.driver import Driver, ask_driver
from nnc.runtime.cuda.probe import require_gpu

from . import report, requirements, worker
from .rows import ROWS, TOLERANCES, job_of

RESULTS = ROOT / "benchmarks" / "results" / "gpu.json"
PARTS = ("ceilings", "rows")
_PATIENCE = 600.0  # seconds: torch.compile measures every candidate of every product
_SMI = ("driver_version", "clocks.max.sm", "power.limit", "utilization.gpu")


def _chosen(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """The arguments. Exits with status 2 where one is unknown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description="nnc on a GPU beside its peers")
    parser.add_argument("--rows", type=_chosen, default=list(ROWS), help=f"of {', '.join(ROWS)}")
    parser.add_argument("--peers", type=_chosen, default=list(worker.PEERS), help=f"of {', '.join(worker.PEERS)}")
    parser.add_argument("--rounds", type=int, default=7, help="turns that each peer gets")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a turn")
    parser.add_argument("--parts", type=_chosen, default=list(PARTS), help=f"what to measure, of {', '.join(PARTS)}")
    folder = requirements.default_folder()
    parser.add_argument("--environments", type=Path, default=folder, help="folder of the peers' virtual environments")
    parser.add_argument("--torch", type=Path, help="an interpreter that has PyTorch, instead of ENVIRONMENTS/torch")
    parser.add_argument("--jax", type=Path, help="an interpreter that has JAX, instead of ENVIRONMENTS/jax")
    parser.add_argument("--out", type=Path, default=RESULTS, help="write the figures there as JSON")
    parser.add_argument("--show", type=Path, help="print the tables of such a file, and measure nothing")
    arguments = parser.parse_args(words)
    for name, known in (("rows", ROWS), ("peers", worker.PEERS), ("parts", PARTS)):
        strange = [word for word in getattr(arguments, name) if word not in known]
        if strange:
            parser.error(f"--{name}: there is no {', '.join(strange)}; there is {', '.join(known)}")
    if arguments.rounds < 1 or not arguments.seconds > 0:
        parser.error("--rounds and --seconds: more than 0")
    return arguments


def describe(driver: Driver) -> dict[str, Any]:
    """The GPU that is used, its driver, and what `nvidia-smi` says of it (None where there is no `nvidia-smi`)."""
    gpu = driver.gpus[0]
    found: dict[str, Any] = {"name": gpu.name, "arch": gpu.arch, "memory_bytes": gpu.memory_bytes}
    found |= {"multiprocessors": gpu.multiprocessors, "driver": None, "driver_cuda": ".".join(map(str, driver.cuda))}
    smi = shutil.which("nvidia-smi")
    if smi is None:
        return found | {"smi": None}
    command = [smi, f"--query-gpu={','.join(_SMI)}", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines() if done.returncode == 0 else []
    said = dict(zip(_SMI, (word.strip() for word in lines[0].split(",")), strict=False)) if lines else {}
    return found | {"driver": said.get("driver_version"), "smi": said or None}


def refusal_of(error: ToolchainError) -> str:
    """Why there is no GPU to measure. The advice to compute on the processor is left out: that is not measured here."""
    kept = [
        replace(diagnostic, helps=tuple(text for text in diagnostic.helps if "--device cpu" not in text))
        for diagnostic in error.diagnostics
    ]
    return render(kept)


def ready(arguments: argparse.Namespace) -> tuple[dict[str, Path], dict[str, Any]] | str:
    """The interpreters and what there is to describe, or, as text, why nothing can be measured."""
    try:
        require_gpu()
    except ToolchainError as error:
        return refusal_of(error)
    driver = ask_driver()
    assert driver is not None, "require_gpu found one"
    libraries = {worker.library(peer) for peer in arguments.peers if "rows" in arguments.parts}
    libraries |= {"torch"} if "ceilings" in arguments.parts else set()
    pythons = requirements.interpreters(arguments.environments, {"torch": arguments.torch, "jax": arguments.jax})
    answers, lacks = requirements.look(sorted(libraries), pythons, driver.cuda[0])
    if lacks:
        return "\n".join(map(str, lacks))
    return pythons, {"device": describe(driver), "libraries": answers}


def measure_row(name: str, arguments: argparse.Namespace, pythons: dict[str, Path]) -> tuple[Result, dict[str, Any]]:
    """A row, with the peers that were asked for and that can do it."""
    job = job_of(name)
    possible = worker.TRAINING if job.mode == "train" else worker.PREDICTION
    peers = [worker.OWN, *(peer for peer in arguments.peers if peer in possible)]
    interpreters = {peer: str(pythons[worker.library(peer)]) for peer in worker.PEERS}
    interpreters |= dict.fromkeys((worker.OWN, worker.ORACLE), sys.executable)
    processes = Processes("benchmarks.gpu.worker", worker.environment, TOLERANCES[job.precision], _PATIENCE)
    threads = len(os.sched_getaffinity(0))
    result = measure(job, peers, interpreters, threads, arguments.rounds, arguments.seconds, processes)
    return result, report.record(result, job)


def measure_ceilings(python: Path) -> dict[str, Any]:
    """What `ceilings.py` finds. Raises: CalledProcessError."""
    command = [str(python), "-m", "benchmarks.gpu.ceilings"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main(words: list[str] | None = None) -> int:
    """Status 4 where the GPU or a peer is missing, 1 where nnc or a peer fails in a row or computes something else."""
    arguments = parse(words)
    if arguments.show is not None:
        print(report.tables(json.loads(arguments.show.read_text("utf-8"))))
        return 0
    found = ready(arguments)
    if isinstance(found, str):
        sys.stderr.write(f"{found}\nnothing was measured: that takes a GPU, and every peer that is asked for\n")
        return requirements.DEVICE_MISSING
    pythons, described = found
    figures: dict[str, Any] = {"date": date.today().isoformat(), "machine": machine(), **described, "versions": {}}
    figures |= {"settings": {"rounds": arguments.rounds, "seconds": arguments.seconds}, "ceilings": None, "rows": []}
    if "ceilings" in arguments.parts:
        figures["ceilings"] = measure_ceilings(pythons["torch"])
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    for name in arguments.rows if "rows" in arguments.parts else ():
        result, record = measure_row(name, arguments, pythons)
        figures["versions"] |= result.versions
        figures["rows"].append(record)
        print(report.line(result), file=sys.stderr, flush=True)
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")  # a long run may be cut short
    arguments.out.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    print(report.tables(figures))
    return 1 if any(row["missing"] for row in figures["rows"]) else 0


if __name__ == "__main__":
    raise SystemExit(main())
