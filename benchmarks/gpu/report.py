"""The figures of a GPU as Markdown tables. Takes the records that `__main__` writes as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from benchmarks.peers.job import Job
from benchmarks.peers.report import microseconds, table
from benchmarks.peers.rounds import Result

from .rows import goal
from .worker import OWN

_PRECISIONS = {"float32": "float32", "tf32": "TF32", "bfloat16": "bfloat16"}


def record(result: Result, job: Job) -> dict[str, Any]:
    """What JSON keeps of a row: all of the result, its work, its goal, and ratios to nnc round by round."""
    work = {"mode": job.mode, "precision": job.precision, "batch_size": job.batch_size, "flops": job.flops()}
    found = asdict(result) | work | {"steps_per_sample": job.steps, "goal": goal(job.flops())}
    if OWN in result.overall:
        found["ratios"] = {peer: result.ratios(peer, OWN) for peer in result.overall if peer != OWN}
    return found


def tables(figures: dict[str, Any]) -> str:
    """All that was measured, as Markdown."""
    device, machine, settings = figures["device"], figures["machine"], figures["settings"]
    parts = [
        f"Measured {figures['date']}: {device['name']}, {device['arch']}, {device['memory_bytes'] / 2**30:.0f} GiB, "
        f"driver {device['driver'] or '?'} (CUDA up to {device['driver_cuda']}); {machine['processor']}, "
        f"{machine['system']}, Python {machine['python']}; {settings['rounds']} rounds of {settings['seconds']} s.",
    ]
    if figures["versions"]:
        parts.append(", ".join(f"{name} {text}" for name, text in sorted(figures["versions"].items())) + ".")
    limits = figures.get("ceilings")
    if limits:
        parts += ["## Ceilings", _ceilings(limits)]
    for mode, title in (("train", "Training step"), ("predict", "Prediction")):
        rows = [row for row in figures["rows"] if row["mode"] == mode]
        if rows:
            parts += [f"## {title}", _rows(rows, limits)]
    for title, key in (("Missing", "missing"), ("Notes", "notes")):
        said = sorted({f"{peer}, {row['row']}: {text}" for row in figures["rows"] for peer, text in row[key].items()})
        if said:
            parts += [f"{title}:", "\n".join(f"- {text}" for text in said)]
    return "\n\n".join(parts)


def _ceilings(limits: dict[str, Any]) -> str:
    libraries = list(dict.fromkeys(name for speeds in limits["matmul"].values() for name in speeds))
    rows = [
        [_PRECISIONS[precision], *(f"{speeds[name] / 1e12:,.1f}" for name in libraries)]
        for precision, speeds in limits["matmul"].items()
    ]
    head = [f"TFLOP/s, {limits['size']} x {limits['size']}", *libraries]
    return f"{table(head, rows)}\n\nCopies in its memory: {limits['copy'] / 1e9:,.0f} GB/s, read and written."


def _rows(rows: Sequence[dict[str, Any]], limits: dict[str, Any] | None) -> str:
    """Microseconds with p10 and p90, a column per peer; the best peer's ratio to nnc beside the goal; the ceiling."""
    peers = list(dict.fromkeys(peer for row in rows for peer in (*row["overall"], *row["missing"])))
    peers.sort(key=lambda peer: peer != OWN)
    cells = []
    for row in rows:
        cell = [row["row"], str(row["batch_size"]), _PRECISIONS[row["precision"]]]
        cell += [_time(row["overall"].get(peer), peer == OWN) for peer in peers]
        ratios = {peer: median(values) for peer, values in row.get("ratios", {}).items()}
        best = min(ratios, key=lambda peer: ratios[peer]) if ratios else None
        cell.append(f"{ratios[best]:.2f} ({best})" if best else "-")
        cell.append(f"{row['goal']}" + ("" if best is None else ", met" if ratios[best] >= row["goal"] else ", missed"))
        cell.append(_share(row, limits))
        cells.append(cell)
    head = ["us per step", "batch", "precision", *peers, "best peer / nnc", "goal", "TFLOP/s of nnc, of the ceiling"]
    return table(head, cells)


def _time(spread: dict[str, float] | None, is_own: bool) -> str:
    if spread is None:
        return "-"
    text, low, high = (microseconds(spread[name]) for name in ("median", "p10", "p90"))
    return f"**{text}** ({low} .. {high})" if is_own else f"{text} ({low} .. {high})"


def _share(row: dict[str, Any], limits: dict[str, Any] | None) -> str:
    """The FLOPs of a step over nnc's time, and their share of the measured ceiling of that precision."""
    if OWN not in row["overall"]:
        return "-"
    speed = row["flops"] / row["overall"][OWN]["median"]
    if not limits:
        return f"{speed / 1e12:,.2f}"
    return f"{speed / 1e12:,.2f}, {speed / max(limits['matmul'][row['precision']].values()):.0%}"


def line(result: Result) -> str:
    """One line for the terminal: medians in microseconds."""
    medians = sorted((figures["median"], peer) for peer, figures in result.overall.items())
    return f"{result.row}: {'  '.join(f'{peer} {microseconds(seconds)}' for seconds, peer in medians)} us"
