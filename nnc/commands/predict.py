"""`nnc predict`: a trained model's answers for new rows, from files to a file or from stdin to stdout."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nnc.grammar.diagnostics import Diagnostic, UsageError

from . import inputs, models, settings
from .console import narrate
from .targets import check_target

if TYPE_CHECKING:
    from nnc.runtime.prediction.classes import Classifier
    from nnc.runtime.prediction.results import Results
    from nnc.runtime.prediction.sources import Source
    from nnc.runtime.protocol import Array, Session

NAME = "predict"
SUMMARY = "give a trained model's answers for new rows"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=models.HELP)
    parser.add_argument("--input", action="append", required=True, metavar="[NAME=]@FILE", help=inputs.HELP)
    parser.add_argument("-o", "--output", metavar="FILE", help="a .csv, .npz or .npy file (default: CSV on stdout)")
    parser.add_argument("--classes", action="store_true", help="give classes, by name where known, not probabilities")
    settings.add_runtime(parser)


def run(arguments: argparse.Namespace) -> int:
    given = inputs.parse(arguments.input)
    target = None if arguments.output in (None, "-") else Path(arguments.output)
    model = models.open_model(arguments.model)
    plan, data = model.saved.plan, model.network().data
    read = {"the model": model.path, **{f"the input `{one.file}`": Path(one.file) for one in given if one.file != "-"}}
    _check_target(target, len(plan.outputs), read)
    judges = _classifiers(model) if arguments.classes else {}
    session = model.session(settings.runtime(arguments, plan))
    bindings = inputs.table_bindings(plan, data, models.encodings(model.saved))
    with ExitStack() as stack:
        sources = inputs.open_sources(given, plan, bindings, inputs.array_names(plan, data), stack)
        results = stack.enter_context(_results(target))
        rows = 0
        for block in _predictions(session, sources, judges):
            results.add(block)
            rows += len(next(iter(block.values())))
    if target is not None:
        narrate(f"the answers for {rows:,} row{'' if rows == 1 else 's'} are in {target}")
    return 0


def _predictions(
    session: Session, sources: list[Source], judges: Mapping[str, Classifier]
) -> Iterator[dict[str, Array]]:
    """A block of predictions for each block of rows; where there are none, one without rows, for names and types."""
    import numpy as np

    from nnc.runtime import train
    from nnc.runtime.data import Samples
    from nnc.runtime.prediction.sources import feed_blocks

    plan = session.plan
    has_rows = False
    for feeds in feed_blocks(plan, sources):
        has_rows = True
        yield _judged(train.predict(session, Samples.whole(feeds)), judges)
    if not has_rows:
        yield _judged({out.name: np.empty(out.type.concrete(0), out.type.dtype) for out in plan.outputs}, judges)


def _judged(values: Mapping[str, Array], judges: Mapping[str, Classifier]) -> dict[str, Array]:
    return {name: judges[name].classes(value) if name in judges else value for name, value in values.items()}


@contextmanager
def _results(target: Path | None) -> Iterator[Results]:
    from nnc.runtime.prediction.results import CsvResults, results_file

    if target is None:
        yield CsvResults(sys.stdout)
        sys.stdout.flush()
    else:
        with results_file(target) as results:
            yield results


def _check_target(target: Path | None, outputs: int, read: Mapping[str, Path]) -> None:
    """Refuse before the work, not after it. Raises: UsageError E0807, E0832."""
    from nnc.runtime.prediction.results import SUFFIXES

    if target is None:
        return
    check_target(target, read)
    if target.suffix not in SUFFIXES:
        helps = (f"end its name in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}",)
        raise UsageError(Diagnostic("E0832", f"`{target}` does not say what kind of file to write", helps=helps))
    if target.suffix == ".npy" and outputs > 1:
        text = f"an .npy file holds one array, and the model has {outputs} outputs"
        raise UsageError(Diagnostic("E0832", text, helps=("write a .npz file",)))


def _classifiers(model: models.OpenModel) -> dict[str, Classifier]:
    """Raises UsageError (E0833) where no output has classes."""
    from nnc.runtime.prediction.classes import classifiers

    found = classifiers(model.saved.plan, model.saved.outputs, model.saved.vocabularies)
    if not found:
        helps = ("leave `--classes` out: an output has classes where its loss is a crossentropy",)
        raise UsageError(Diagnostic("E0833", f"no output of `{model.name}` has classes", helps=helps))
    return found
