"""The figures as JSON records, as Markdown tables and as pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .ceilings import Ceilings
from .job import Job
from .rounds import Result

BEGIN, END = "<!-- results: written by `python -m benchmarks.peers --page` -->", "<!-- end of results -->"
OWN = ("nnc-native", "nnc-reference")


def microseconds(seconds: float) -> str:
    """Three digits that count: `0.563`, `41.2`, `1,230`."""
    value = seconds * 1e6
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def line(result: Result) -> str:
    """One line for the terminal: medians in microseconds."""
    medians = sorted((figures["median"], peer) for peer, figures in result.overall.items())
    figures = "  ".join(f"{peer} {microseconds(median)}" for median, peer in medians)
    return f"{result.row}, {result.threads} threads: {figures} us"


def record(result: Result, limits: Sequence[Ceilings], job: Job) -> dict[str, Any]:
    """What JSON keeps of a row: all of the result, its work, its floor, and ratios to nnc round by round."""
    found = asdict(result) | {"mode": job.mode, "flops": job.flops(), "bytes": job.bytes()}
    for limit in limits:
        if limit.threads == result.threads:
            found["floor_seconds"] = dict(zip(("flops", "bytes"), limit.floor(job), strict=True))
    subject = next((peer for peer in OWN if peer in result.overall), None)
    if subject is not None:
        found["subject"] = subject
        found["ratios"] = {peer: result.ratios(peer, subject) for peer in result.overall if peer != subject}
    return found


def tables(figures: dict[str, Any]) -> str:
    """All that was measured, as Markdown."""
    machine, settings = figures["machine"], figures["settings"]
    parts = [
        f"Measured {figures['date']}: {machine['processor']}, {machine['processors']} processors, {machine['system']}, "
        f"Python {machine['python']}, {machine['compiler']}; {settings['rounds']} rounds of {settings['seconds']} s."
    ]
    versions = {name: text for row in figures["rows"] for name, text in row["versions"].items()}
    if versions:
        parts.append(", ".join(f"{name} {text}" for name, text in sorted(versions.items())) + ".")
    if figures.get("ceilings"):
        parts += ["## Ceilings", _ceilings(figures["ceilings"])]
    for mode, title in (("train", "Training step"), ("predict", "Prediction")):
        rows = [row for row in figures["rows"] if row["mode"] == mode]
        if rows:
            parts += [f"## {title}", _rows(rows)]
    missing = [(row["row"], *found) for row in figures["rows"] for found in row["missing"].items()]
    reasons = sorted({f"{peer}, {row}: {why}" for row, peer, why in missing})
    if reasons:
        parts += ["Missing:", "\n".join(f"- {reason}" for reason in reasons)]
    if figures.get("commands"):
        parts += ["## The whole command", _commands(figures["commands"])]
    if found := figures.get("install_bytes"):
        sizes = [(name, "missing" if size is None else f"{size / 1e6:,.0f}") for name, size in found.items()]
        parts += ["## Installed", table(("with its requirements", "MB"), sizes)]
    return "\n\n".join(parts)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, all columns but the first set to the right."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(words) + " |" for words in lines)


def _ceilings(limits: Sequence[dict[str, Any]]) -> str:
    rows = [["FMA, GFLOP/s", *(f"{limit['fma'] / 1e9:.0f}" for limit in limits)]]
    for kind, title in (("read", "read"), ("update", "read + write")):
        for size in limits[0][kind]:
            speeds = (f"{limit[kind][size] / 1e9:.0f}" for limit in limits)
            rows.append([f"{title} {int(size) >> 10:,} KiB, GB/s", *speeds])
    return table(["", *(f"{limit['threads']} threads" for limit in limits)], rows)


def _rows(rows: Sequence[dict[str, Any]]) -> str:
    """Microseconds with p10 and p90, a column per peer; the best peer's ratio to nnc; the share of the floor."""
    peers = list(dict.fromkeys(peer for row in rows for peer in (*row["overall"], *row["missing"])))
    peers.sort(key=lambda peer: peer not in OWN)
    cells = []
    for row in rows:
        subject = row.get("subject")
        cell = [row["row"], str(row["threads"])]
        for peer in peers:
            spread = row["overall"].get(peer)
            text = "-" if spread is None else microseconds(spread["median"])
            between = "" if spread is None else f" ({microseconds(spread['p10'])} .. {microseconds(spread['p90'])})"
            cell.append(f"**{text}**{between}" if peer == subject else text + between)
        ratios = {peer: _median(values) for peer, values in row.get("ratios", {}).items() if peer not in OWN}
        best = min(ratios, key=lambda peer: ratios[peer]) if ratios else None
        cell.append(f"{ratios[best]:.2f} ({best})" if best else "-")
        floor = row.get("floor_seconds")
        cell.append(f"{microseconds(floor['flops'])} + {microseconds(floor['bytes'])}" if floor else "-")
        whole = sum(floor.values()) if floor else 0.0
        time = row["overall"][subject]["median"] if subject else None
        cell.append(f"{floor['flops'] / time:.0%}, {whole / time:.0%}" if floor and time else "-")
        cells.append(cell)
    head = ["us per step", "threads", *peers, "best peer / nnc", "floor: FLOPs + bytes", "nnc reaches"]
    return table(head, cells)


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _commands(jobs: dict[str, dict[str, Any]]) -> str:
    rows = []
    for job, commands in jobs.items():
        for name, found in commands.items():
            if "missing" in found:
                rows.append([job, name, f"missing: {found['missing']}", "-", "-"])
                continue
            seconds = found["seconds"]
            text = f"{seconds['median']:.2f} ({seconds['p10']:.2f} .. {seconds['p90']:.2f})"
            rows.append([job, name, text, f"{found['peak_bytes'] / 1e6:.0f}", f"{found['accuracy']:.4f}"])
    return table(("job", "command", "seconds", "peak MB", "least accuracy"), rows)


def write_page(figures: dict[str, Any], page: Path) -> None:
    """Put the tables between the page's two markers, with pictures in a folder beside it that bears its name.

    Raises: ValueError where the page has no such markers.
    """
    text = page.read_text("utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{page} has no place for the results: {BEGIN} and {END}")
    folder = page.with_suffix("")
    folder.mkdir(exist_ok=True)
    shown = []
    for mode, title in (("train", "Training step"), ("predict", "Prediction")):
        rows = [row for row in figures["rows"] if row["mode"] == mode and row.get("ratios")]
        if rows:
            picture = folder / f"{mode}.svg"
            draw(rows, title, picture)
            shown.append(f"![{title}: times of nnc's time]({folder.name}/{picture.name})")
    body = "\n\n".join([BEGIN, *shown, re.sub(r"^## ", "### ", tables(figures), flags=re.MULTILINE), END])
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    page.write_text(before + body + after, "utf-8")


def draw(rows: Sequence[dict[str, Any]], title: str, picture: Path) -> None:
    """How many times nnc's time each peer takes: a dot per peer, a line per row, least to largest round; SVG."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    peers = list(dict.fromkeys(peer for row in rows for peer in row["ratios"]))
    figure, axes = plt.subplots(figsize=(9, 1.2 + 0.42 * len(rows)), layout="constrained")
    for number, peer in enumerate(peers):
        there = [(place, row["ratios"][peer]) for place, row in enumerate(rows) if peer in row["ratios"]]
        places = [place + 0.5 * (number / max(1, len(peers) - 1) - 0.5) for place, _ in there]
        medians = [_median(ratios) for _, ratios in there]
        least = [median - min(ratios) for median, (_, ratios) in zip(medians, there, strict=True)]
        most = [max(ratios) - median for median, (_, ratios) in zip(medians, there, strict=True)]
        axes.errorbar(medians, places, xerr=[least, most], fmt="o", markersize=4, linewidth=1, label=peer)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(rows)), [f"{row['row']}, {row['threads']}" for row in rows])
    axes.invert_yaxis()
    axes.grid(axis="x", which="both", linewidth=0.3)
    axes.set_xlabel(f"times the time of {rows[0]['subject']}; median, least and largest of the rounds")
    axes.set_title(f"{title}, by row and number of threads")
    axes.legend(fontsize="small", bbox_to_anchor=(1.01, 1), loc="upper left")
    figure.savefig(picture, metadata={"Date": None})
    plt.close(figure)
