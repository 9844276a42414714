"""`nnc evaluate`: judge a trained model on the data that its spec names."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from nnc.grammar.diagnostics import Diagnostic, UsageError
from nnc.own_data import PARTS, load_own, part_of

from . import models, settings
from .console import result, result_json
from .report import report_json, report_table

if TYPE_CHECKING:
    from nnc.runtime.metrics import Report

NAME = "evaluate"
SUMMARY = "judge a trained model on the data its spec names"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=models.HELP)
    parser.add_argument(
        "--split", choices=PARTS, metavar="PART",
        help=f"one of {', '.join(PARTS)} (default: the first of these that there is)",
    )  # fmt: skip
    parser.add_argument("--data", metavar="DIR", help="where the data files are, if not beside the model")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    settings.add_runtime(parser)


def run(arguments: argparse.Namespace) -> int:
    from nnc.runtime import train

    model = models.open_model(arguments.model)
    network = model.network()
    if network.data is None:
        raise UsageError(Diagnostic("E0808", f"the spec of `{model.name}` names no data to judge it on",
                                    helps=("from Python, give arrays: nnc.load(path).evaluate(x, y)",)))  # fmt: skip
    directory = models.data_directory(arguments.data, model, network.data)
    learnt = models.encodings(model.saved)
    dataset = load_own(network.data, model.saved.plan, directory, network.outputs, learnt)
    part, samples = part_of(dataset, arguments.split, model.name)
    report = train.evaluate(model.session(settings.runtime(arguments, model.saved.plan)), samples)
    if arguments.json:
        result_json(_as_json(model, part, report))
    else:
        result(f"{network.name}, {part} split, {report.rows:,} samples\n\n{report_table(report)}")
    return 0


def _as_json(model: models.OpenModel, part: str, report: Report) -> dict[str, Any]:
    return {
        "model": model.saved.plan.model,
        "file": str(model.path),
        "params": dict(model.saved.params),
        "split": part,
        **report_json(report),
    }
