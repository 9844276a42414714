"""`nnc check`: is this spec right? Every independent error in one run."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from nnc.grammar.diagnostics import NncError

from . import settings
from .console import result, result_json
from .sources import read_all

NAME = "check"
SUMMARY = "find every error in a spec, without running it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("specs", nargs="+", metavar="SPEC", help="a .nn file, a bundled spec's name, or - for stdin")
    settings.add_set(parser)
    parser.add_argument("--json", action="store_true", help="print the diagnostics as JSON on stdout")


def run(arguments: argparse.Namespace) -> int:
    from nnc.compiler.options import CompileOptions
    from nnc.compiler.pipeline import check_source

    options = CompileOptions(params=settings.params(arguments))
    errors: list[NncError] = []
    passed: list[str] = []
    for source in read_all(arguments.specs):
        try:
            network = check_source(source, options)
        except NncError as error:
            errors.append(error)
        else:
            passed.append(f"{source.name}: ok, model {network.name}, {len(network.layers())} layers")
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


def _print_json(errors: Iterable[NncError]) -> None:
    from nnc.grammar.rendering import to_json

    problems = [problem for error in errors for problem in error.diagnostics]
    result_json(to_json(problems))
