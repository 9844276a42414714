"""`nnc summary`: what is in a model file: its layers, what it was made from, its weights."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import models
from .console import result, result_json

if TYPE_CHECKING:
    from nnc.compiler.graph import Variable
    from nnc.runtime.protocol import Array

NAME = "summary"
SUMMARY = "show a model's layers, where it comes from, and its weights"
SHOWN = frozenset({"weight", "statistic"})
HEAD = ("weight", "type", "elements", "min", "mean", "max", "std")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=models.HELP)
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(arguments: argparse.Namespace) -> int:
    from nnc.compiler.emit.summary import render_summary, summarize

    model = models.open_model(arguments.model)
    summary = summarize(model.compiled())
    weights = [
        _weight(variable, model.saved.variables[variable.name])
        for variable, _ in model.saved.plan.variables
        if variable.role in SHOWN
    ]
    origin = _origin(model)
    if arguments.json:
        result_json({"summary": dataclasses.asdict(summary), "origin": origin, "weights": weights})
        return 0
    result(render_summary(summary))
    result("\n" + _origin_text(origin))
    if weights:
        result("\n" + _weights_text(weights))
    return 0


def _origin(model: models.OpenModel) -> dict[str, Any]:
    """What a model was made from and how far it is trained."""
    import hashlib

    from nnc.compiler.planfile import to_json

    saved = model.saved
    last = saved.history.epochs[-1] if saved.history.epochs else None
    return {
        "file": str(model.path),
        "bytes": model.path.stat().st_size,
        "nnc": saved.version,
        "params": dict(saved.params),
        "seed": saved.plan.seed,
        "batch_size": saved.plan.batch_size,
        "epochs": last.number if last else 0,
        "figures": dict(last.figures) if last else {},
        "stopped": saved.history.stopped,
        "spec_sha256": hashlib.sha256(saved.spec.encode()).hexdigest(),
        "plan_sha256": hashlib.sha256(to_json(saved.plan).encode()).hexdigest(),
        "provenance": dict(saved.provenance),
    }


def _origin_text(origin: dict[str, Any]) -> str:
    from nnc.compiler.emit.summary import bytes_text

    epochs = origin["epochs"]
    trained = f"{epochs} epoch{'s' * (epochs != 1)}" if epochs else "not trained"
    figures = ", ".join(f"{name} {value:.4g}" for name, value in origin["figures"].items())
    lines = [
        ("file", f"{origin['file']}, {bytes_text(origin['bytes'])}, written by nnc {origin['nnc']}"),
        ("trained", trained + (f", at the end {figures}" if figures else "")),
        ("", origin["stopped"]),
        ("params", ", ".join(f"{name} = {value}" for name, value in origin["params"].items())),
        ("seed", str(origin["seed"])),
        ("spec", f"sha256 {origin['spec_sha256']}"),
        ("plan", f"sha256 {origin['plan_sha256']}"),
    ]
    told = {name for name, _ in lines}
    lines += [(name, _plain(value)) for name, value in origin["provenance"].items() if name not in told]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:{width}}  {text}" for name, text in lines if text)


def _plain(value: object) -> str:
    """A value of the provenance on one line: `numpy 2.1.0, python 3.12.3`."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(inner)}" for name, inner in value.items())
    return str(value)


def _weight(variable: Variable, value: Array) -> dict[str, Any]:
    """A weight's figures; they are taken in float64, so that large weights do not overflow."""
    import numpy as np

    numbers = value.astype(np.float64)
    has_any = numbers.size > 0
    return {
        "name": variable.name,
        "type": str(variable.type),
        "elements": int(numbers.size),
        "trainable": variable.trainable,
        "min": float(numbers.min()) if has_any else 0.0,
        "mean": float(numbers.mean()) if has_any else 0.0,
        "max": float(numbers.max()) if has_any else 0.0,
        "std": float(numbers.std()) if has_any else 0.0,
    }


def _weights_text(weights: Sequence[dict[str, Any]]) -> str:
    rows = [HEAD]
    for weight in weights:
        figures = tuple(f"{weight[name]:.4g}" for name in HEAD[3:])
        rows.append((weight["name"], weight["type"], f"{weight['elements']:,}", *figures))
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), row[1].ljust(widths[1]), *cells[2:]]))
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
