"""`nnc render`: a spec with every default filled in, in its canonical layout."""

from __future__ import annotations

import argparse

from . import models, settings
from .console import result
from .sources import read_source

NAME = "render"
SUMMARY = "print a spec with every default filled in"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    help = "a .nn file, a bundled spec's name, - for stdin, or a model, whose spec is taken"
    parser.add_argument("spec", metavar="SPEC", help=help)
    settings.add_set(parser)


def run(arguments: argparse.Namespace) -> int:
    from nnc.compiler.emit.complete import complete_text
    from nnc.compiler.options import CompileOptions
    from nnc.compiler.pipeline import check_source
    from nnc.grammar.source import SourceFile

    params = settings.params(arguments)
    if models.is_model(arguments.spec):
        model = models.open_model(arguments.spec)
        source, params = SourceFile(model.name, model.saved.spec), dict(model.saved.params) | params
    else:
        source = read_source(arguments.spec)
    network = check_source(source, CompileOptions(params))
    result(complete_text(source, network.params), end="")
    return 0
