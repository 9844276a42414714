"""`nnc check`: is this spec right? Every independent error in one run."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from nnc.grammar.diagnostics import Diagnostic, NncError, UsageError
from nnc.grammar.source import SourceFile

from . import settings
from .console import result, result_json
from .sources import read_all

if TYPE_CHECKING:
    from nnc.compiler.options import CompileOptions

NAME = "check"
SUMMARY = "find every error in a spec, and in its data, without running it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("specs", nargs="+", metavar="SPEC", help="a .nn file, a bundled spec's name, or - for stdin")
    settings.add_set(parser)
    parser.add_argument("--data", metavar="DIR", help="audit the data too, whose files are in this directory")
    parser.add_argument("--json", action="store_true", help="print the diagnostics as JSON on stdout")


def run(arguments: argparse.Namespace) -> int:
    from nnc.compiler.options import CompileOptions

    options = CompileOptions(params=settings.params(arguments))
    directory = Path(arguments.data) if arguments.data is not None else None
    if directory is not None and not directory.is_dir():
        raise UsageError(Diagnostic("E0810", f"`--data {arguments.data}` is no directory"))
    errors: list[NncError] = []
    passed: list[str] = []
    for source in read_all(arguments.specs):
        try:
            passed += _check(source, options, directory)
        except NncError as error:
            errors.append(error)
    if arguments.json:
        _print_json(errors)
        return errors[0].exit_code if errors else 0
    for line in passed:
        result(line)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise NncError(*(problem for error in errors for problem in error.diagnostics))
    return 0


def _check(source: SourceFile, options: CompileOptions, directory: Path | None) -> list[str]:
    """What is fine about one spec, and about its data if they are to be audited."""
    from nnc.compiler.pipeline import check_source

    network = check_source(source, options)
    fine = [f"{source.name}: ok, model {network.name}, {len(network.layers())} layers"]
    if directory is not None:
        fine += _audit(source, options, directory)
    return fine


def _audit(source: SourceFile, options: CompileOptions, directory: Path) -> list[str]:
    """All that training would find wrong with the data before the first step, and while it streams."""
    from nnc.compiler.pipeline import compile_source
    from nnc.runtime import data
    from nnc.runtime.data.encoding import OTHER, shown

    compiled = compile_source(source, options)
    if compiled.network.data is None:
        text = f"`{source.name}` names no data to audit"
        raise UsageError(Diagnostic("E0808", text, helps=("add a `data { ... }` section",)))
    dataset = data.load(compiled.network.data, compiled.plan, directory, compiled.network.outputs)
    dataset.audit()
    lines = [f"{source.name}: data ok, {dataset.counts()}"]
    for name, encoding in dataset.encodings.items():
        if words := tuple(word for word in encoding.words if word != OTHER):
            others = " and a number for any other" if OTHER in encoding.words else ""
            lines.append(f"{source.name}: {name} has {len(words)} texts{others}: {shown(words)}")
    return lines


def _print_json(errors: Iterable[NncError]) -> None:
    from nnc.grammar.rendering import to_json

    problems = [problem for error in errors for problem in error.diagnostics]
    result_json(to_json(problems))
