"""`nnc run`: compile a spec, train it on the data it names, evaluate it, write the model."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnc.grammar.diagnostics import Diagnostic, UsageError

from . import settings
from .console import narrate, result, result_json
from .sources import read_source

if TYPE_CHECKING:
    from nnc.compiler.network import Network
    from nnc.model import Model
    from nnc.runtime.data import Dataset, Samples
    from nnc.runtime.metrics import Figure, Report

NAME = "run"
SUMMARY = "train a spec on the data it names, evaluate it and write the model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC", help="a .nn file, a bundled spec's name, or - for stdin")
    settings.add_set(parser)
    settings.add_sizes(parser)
    parser.add_argument("--epochs", metavar="N", help="how often to go through the training data")
    parser.add_argument("--seed", metavar="N", help="seed of weights, shuffles and dropout")
    parser.add_argument("--data", metavar="DIR", help="where the data files are, if not beside the spec")
    parser.add_argument("-o", "--output", metavar="FILE", help="the model to write (default: MODEL.safetensors)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    from nnc.compiler.pipeline import compile_source
    from nnc.model import Model
    from nnc.runtime import data, train
    from nnc.runtime.progress import progress_for

    options = settings.compile_options(arguments)
    directory = _data_directory(arguments)
    source = read_source(arguments.spec)
    compiled = compile_source(source, options)
    network = compiled.network
    _check_trainable(network)
    base = directory or (source.path.parent if source.path is not None else Path())
    dataset = data.load(network.data, compiled.plan, base, network.outputs)
    model = Model.of(compiled)
    target = Path(arguments.output or f"{network.name}.safetensors")
    _check_writable(target)
    narrate(_opening(network, model, dataset))
    began = time.perf_counter()
    try:
        history = train.fit(
            model.session,
            dataset.train,
            dataset.validation,
            network.train,
            progress_for(),
            on_epoch=model.history.epochs.append,
        )
    except KeyboardInterrupt:
        model.save(target)
        narrate(f"nnc: interrupted; the model as it stands after {_epochs(len(model.history))} is in {target}")
        return 130
    model.history.stopped = history.stopped
    seconds = time.perf_counter() - began
    part, samples = _evaluated(dataset)
    report = train.evaluate(model.session, samples)
    model.save(target)
    if arguments.json:
        result_json(_as_json(network, model, part, report, seconds, target))
    else:
        result(f"{network.name}, {_split_text(part, report.rows)}\n\n{report_table(report)}")
    narrate(f"\n{len(model.history)} epochs in {seconds:.1f} s; the model is in {target}")
    narrate(f'next: `nnc compile {arguments.spec}` shows what it costs; in Python, `nnc.load("{target}").predict(...)`')
    return 0


def _data_directory(arguments: argparse.Namespace) -> Path | None:
    if arguments.data is None:
        return None
    directory = Path(arguments.data)
    if not directory.is_dir():
        raise UsageError(Diagnostic("E0810", f"`--data {arguments.data}` is no directory"))
    return directory


def _check_writable(target: Path) -> None:
    """Refuse before training, not after it."""
    if target.is_dir():
        raise UsageError(Diagnostic("E0807", f"cannot write `{target}`: it is a directory"))
    if not target.parent.is_dir():
        raise UsageError(Diagnostic("E0807", f"cannot write `{target}`: there is no directory `{target.parent}`"))


def _check_trainable(network: Network) -> None:
    if network.data is None:
        raise UsageError(
            Diagnostic(
                "E0808",
                f"`{network.source.name}` names no data to train on",
                helps=("add a `data { ... }` section; `nnc explain E0808` shows one",),
            )
        )
    if all(output.loss is None for output in network.outputs):
        raise UsageError(
            Diagnostic(
                "E0809",
                f"no output of `{network.source.name}` has a loss, so there is nothing to train",
                helps=("give an output one: `output y = ... { loss = mse }`",),
            )
        )


def _opening(network: Network, model: Model, dataset: Dataset) -> str:
    from nnc.compiler.emit.summary import bytes_text
    from nnc.compiler.measuring import kinds_of_metrics

    parts = (("train", dataset.train), ("validation", dataset.validation), ("test", dataset.test))
    rows = ", ".join(f"{name} {samples.rows:,}" for name, samples in parts if samples is not None)
    memory = bytes_text(model.plan.program("train_step").peak_bytes)
    kinds = "".join(f"; {name} is {kind}" for name, kind in kinds_of_metrics(network))
    return f"model {network.name}: {rows} samples; batches of {model.plan.batch_size}; {memory} to train{kinds}"


def _evaluated(dataset: Dataset) -> tuple[str, Samples]:
    """The part that says most about unseen data."""
    if dataset.test is not None:
        return "test", dataset.test
    if dataset.validation is not None:
        return "validation", dataset.validation
    return "train", dataset.train


def _split_text(part: str, rows: int) -> str:
    seen = " (the spec keeps none apart: these were trained on)" if part == "train" else ""
    return f"{part} split, {rows:,} samples{seen}"


def report_table(report: Report) -> str:
    """A line per term: its value, and for what is part of the total its weight and share; the total last."""
    lines = [("", "value", "weight", "weighted")]
    lines += [_term_line(figure) for figure in report.terms]
    lines.append(("total", "", "", _number(report.total)))
    widths = [max(len(line[i]) for line in lines) for i in range(4)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(line[i].rjust(widths[i]) for i in (1, 2, 3))]).rstrip() for line in lines
    )


def _term_line(figure: Figure) -> tuple[str, str, str, str]:
    if figure.kind == "metric":
        return (figure.name, _number(figure.value), "", "")
    return (figure.name, _number(figure.value), f"{figure.weight:g}", _number(figure.weight * figure.value))


def _number(value: float) -> str:
    """Six significant digits, as many decimals for numbers near 1."""
    return f"{value:.4f}" if 0.001 <= abs(value) < 10_000 or value == 0 else f"{value:.4e}"


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"


def _as_json(network: Network, model: Model, part: str, report: Report, seconds: float, target: Path) -> dict[str, Any]:
    return {
        "model": network.name,
        "params": dict(network.params),
        "split": part,
        "samples": report.rows,
        "total": report.total,
        "terms": [
            {"name": f.name, "kind": f.kind, "output": f.output, "weight": f.weight, "value": f.value}
            for f in report.terms
        ],
        "history": model.history.to_json(),
        "seconds": seconds,
        "file": str(target),
    }
