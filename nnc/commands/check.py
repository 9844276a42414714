"""`nnc check`: is this spec right? Every independent error in one run."""

from __future__ import annotations

import argparse
import json

from nnc.grammar.diagnostics import Diagnostic, NncError

from . import settings
from .console import result
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
    problems: list[Diagnostic] = []
    passed: list[str] = []
    for source in read_all(arguments.specs):
        try:
            network = check_source(source, options)
        except NncError as error:
            problems += error.diagnostics
        else:
            passed.append(f"{source.name}: ok, model {network.name}, {len(network.layers())} layers")
    if arguments.json:
        from nnc.grammar.rendering import to_json

        result(json.dumps([to_json(problem) for problem in problems], indent=2, ensure_ascii=False))
        return 1 if problems else 0
    for line in passed:
        result(line)
    if problems:
        raise NncError(*problems)
    return 0
