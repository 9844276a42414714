"""Measure nnc beside its peers: `python -m benchmarks.peers`, from the repository's root. See docs/benchmarks.md."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from . import ceilings, environment, report, whole_command, worker
from .machine import machine
from .rounds import ROOT, Result, measure
from .rows import ROWS, TRAINING, job_of

PARTS = ("ceilings", "rows", "commands", "sizes")


def _chosen(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """The arguments. Exits with status 2 where one is unknown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description="nnc beside its peers")
    parser.add_argument("--rows", type=_chosen, default=list(ROWS), help=f"of {', '.join(ROWS)}")
    parser.add_argument("--peers", type=_chosen, default=list(worker.PEERS), help=f"of {', '.join(worker.PEERS)}")
    parser.add_argument("--threads", type=_chosen, default=["1", "2"], help="numbers of threads")
    parser.add_argument("--rounds", type=int, default=5, help="turns that each peer gets")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a turn")
    parser.add_argument("--parts", type=_chosen, default=list(PARTS), help=f"what to measure, of {', '.join(PARTS)}")
    parser.add_argument("--python", type=Path, help="an interpreter that has the peers; none is set up then")
    parser.add_argument("--environment", type=Path, default=environment.default_folder(), help="where to set them up")
    parser.add_argument("--mnist", type=Path, help="folder of the four IDX files, for the whole command on mnist")
    parser.add_argument("--out", type=Path, help="write the figures there as JSON")
    parser.add_argument("--page", type=Path, help="write the tables into that page, with pictures beside it")
    arguments = parser.parse_args(words)
    for name, known in (("rows", ROWS), ("peers", tuple(worker.PEERS)), ("parts", PARTS)):
        strange = [word for word in getattr(arguments, name) if word not in known]
        if strange:
            parser.error(f"--{name}: there is no {', '.join(strange)}; there is {', '.join(known)}")
    available = len(os.sched_getaffinity(0))
    try:
        arguments.threads = [int(word) for word in arguments.threads]
    except ValueError:
        parser.error("--threads: numbers, as in 1,2")
    if not all(1 <= count <= available for count in arguments.threads):
        parser.error(f"--threads: this process may use {available}")
    return arguments


def measure_rows(arguments: argparse.Namespace, python: str) -> list[Result]:
    """Every row with every number of threads, with the peers that there are for it."""
    pythons = {peer: sys.executable if peer.startswith("nnc-") else python for peer in worker.PEERS}
    results = []
    for row in arguments.rows:
        possible = worker.TRAINING if row in TRAINING else worker.PREDICTION
        peers = [peer for peer in arguments.peers if peer in possible]
        job = job_of(row)
        for threads in arguments.threads:
            results.append(measure(job, peers, pythons, threads, arguments.rounds, arguments.seconds))
            print(report.line(results[-1]), file=sys.stderr, flush=True)
    return results


def needs_peers(arguments: argparse.Namespace) -> bool:
    """Whether anything but nnc is to be measured."""
    if {"commands", "sizes"} & {*arguments.parts}:
        return True
    return "rows" in arguments.parts and not all(peer.startswith("nnc-") for peer in arguments.peers)


def main(words: list[str] | None = None) -> int:
    """Status 1 where a peer computed something else than nnc."""
    arguments = parse(words)
    python = str(arguments.python or (environment.prepare(arguments.environment) if needs_peers(arguments) else ""))
    figures: dict[str, Any] = {
        "date": date.today().isoformat(),
        "machine": machine(),
        "settings": {"rounds": arguments.rounds, "seconds": arguments.seconds},
    }
    if "commands" in arguments.parts:  # first: a process counts as its own what its parent has when it begins
        folders = {"digits": ROOT / "specs" / "data", "mnist": arguments.mnist}
        data = {job: folder for job, folder in folders.items() if job in arguments.rows}
        figures["commands"] = whole_command.measure(python, data, arguments.peers, arguments.rounds)
    limits = []
    if "ceilings" in arguments.parts:
        limits = [ceilings.measure(threads, min(0.3, arguments.seconds)) for threads in arguments.threads]
        figures["ceilings"] = [asdict(limit) for limit in limits]
    results = measure_rows(arguments, python) if "rows" in arguments.parts else []
    figures["rows"] = [report.record(result, limits, job_of(result.row)) for result in results]
    if "sizes" in arguments.parts:
        figures["install_bytes"] = environment.install_sizes(Path(python))
    print(report.tables(figures))
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n")
    if arguments.page is not None:
        report.write_page(figures, arguments.page)
    wrong = [r for result in results for r in result.missing.values() if "computes something else" in r]
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
