"""How nnc's training step grows with width, depth and batch: `python -m benchmarks.growth [--runtime native]`.

Each network is a chain of equal Dense layers with relu, trained with Adam, at so small a rate that rounding does not
drive a deep one astray before it is compared with the reference. Printed per size: operations, bytes, the time of a
step, and that as a multiple of the floor (operations at the machine's FMA peak plus bytes at its bandwidth).
The last column is the slope of the time between two sizes over that of the floor, both on log scales: 1 grows as the
work does, 2 would be a cliff. `--out F` writes JSON, `--picture F` an SVG of the times against operations and bytes.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.peers import ceilings, rounds
from benchmarks.peers.job import Job
from benchmarks.peers.report import microseconds
from benchmarks.peers.rows import job_from_text

SIZES = {
    "width": (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192),
    "depth": (1, 2, 5, 10, 20, 50, 100, 200),
    "batch": (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096),
}
USUAL = {"width": 256, "depth": 2, "batch": 64}
SPEC = """
model grown
input x: float32[{width}]
hidden = x{layers}
output y = hidden -> Dense(10, softmax) {{ loss = sparse_categorical_crossentropy }}
train {{ optimizer = adam(learning_rate = 0.000001), batch_size = {batch}, seed = 1 }}
"""
LAYER = " -> Dense({width}, relu, kernel_initializer = he_uniform)"


def job(axis: str, size: int) -> Job:
    """The network of one size on one axis, the others being USUAL."""
    shape = {**USUAL, axis: size}
    layers = LAYER.format(width=shape["width"]) * shape["depth"]
    return job_from_text(f"{axis}-{size}", SPEC.format(**shape, layers=layers))


def measure(
    axis: str, sizes: Sequence[int], peer: str, limit: ceilings.Ceilings, turns: int, seconds: float
) -> list[dict[str, Any]]:
    """A record per size. Raises: LostError where the runtime cannot do it."""
    records: list[dict[str, Any]] = []
    for size in sizes:
        grown = job(axis, size)
        python = dict.fromkeys((peer, rounds.ORACLE), sys.executable)
        result = rounds.measure(grown, [peer], python, limit.threads, turns, seconds)
        if peer in result.missing:
            raise rounds.LostError(f"{axis} {size}: {result.missing[peer]}")
        spread, floor = result.overall[peer], sum(limit.floor(grown))
        record = {"axis": axis, "size": size, "flops": grown.flops(), "bytes": grown.bytes(), "floor": floor, **spread}
        if records:
            last = records[-1]
            slope = math.log(record["median"] / last["median"]) / math.log(floor / last["floor"])
            record["slope"] = slope
        records.append(record)
        print(_line(record), flush=True)
    return records


def _line(record: dict[str, Any]) -> str:
    slope = f"{record['slope']:8.2f}" if "slope" in record else "       -"
    return (
        f"{record['axis']:>6} {record['size']:>6} {record['flops'] / 1e6:>12,.2f} {record['bytes'] / 1e6:>10,.3f} "
        f"{microseconds(record['median']):>12} {record['median'] / record['floor']:>9.1f} {slope}"
    )


def draw(records: Sequence[dict[str, Any]], picture: Path) -> None:
    """Two panels, the time of a step against operations and against bytes, with the floors; SVG."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(10, 4.5), sharey=True, layout="constrained")
    for axes, work in zip(panels, ("flops", "bytes"), strict=True):
        for axis in dict.fromkeys(record["axis"] for record in records):
            own = sorted((r[work], r["median"] * 1e6, r["floor"] * 1e6) for r in records if r["axis"] == axis)
            amounts, times, floors = zip(*own, strict=True)
            (drawn,) = axes.loglog(amounts, times, "o-", markersize=3, label=axis)
            axes.loglog(amounts, floors, ":", color=drawn.get_color(), linewidth=1)
        axes.set_xlabel(f"{work} per step")
        axes.grid(linewidth=0.3)
    panels[0].set_ylabel("microseconds per step (dotted: the floor)")
    panels[0].legend()
    figure.savefig(picture, metadata={"Date": None})
    plt.close(figure)


def main(words: list[str] | None = None) -> int:
    """Status 1 where the runtime is missing or computes something else."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description="how a training step grows")
    parser.add_argument("--runtime", default="native", choices=("native", "reference"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each size")
    parser.add_argument("--seconds", type=float, default=0.5, help="length of a turn")
    parser.add_argument("--out", type=Path, help="write the figures there as JSON")
    parser.add_argument("--picture", type=Path, help="write an SVG there")
    for axis, sizes in SIZES.items():
        parser.add_argument(f"--{axis}", default=",".join(map(str, sizes)), help="sizes; nothing to leave it out")
    arguments = parser.parse_args(words)
    limit = ceilings.measure(arguments.threads, min(0.3, arguments.seconds))
    print(f"{'axis':>6} {'size':>6} {'MFLOP':>12} {'MB':>10} {'us':>12} {'of floor':>9} {'slope':>8}")
    records: list[dict[str, Any]] = []
    for axis in SIZES:
        chosen = [int(size) for size in getattr(arguments, axis).split(",") if size]
        try:
            records += measure(axis, chosen, f"nnc-{arguments.runtime}", limit, arguments.rounds, arguments.seconds)
        except rounds.LostError as lost:
            print(lost, file=sys.stderr)
            return 1
    if arguments.out is not None:
        found = {"runtime": arguments.runtime, "ceilings": asdict(limit), "sizes": records}
        arguments.out.write_text(json.dumps(found, indent=1) + "\n")
    if arguments.picture is not None:
        draw(records, arguments.picture)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
