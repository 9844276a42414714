"""`nnc fmt`: the one canonical layout of a spec."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from nnc.grammar.diagnostics import Diagnostic, NncError, UsageError
from nnc.grammar.source import SourceFile

from .console import narrate, result
from .sources import read_all

NAME = "fmt"
SUMMARY = "give specs their canonical layout"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("specs", nargs="+", metavar="SPEC", help="a .nn file, or - to go from stdin to stdout")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file would change")
    parser.add_argument("--stdout", action="store_true", help="print the canonical text instead of rewriting the file")


def run(arguments: argparse.Namespace) -> int:
    from nnc.grammar.format import format_module
    from nnc.grammar.parse import parse

    problems: list[Diagnostic] = []
    texts: list[tuple[SourceFile, str]] = []
    for source in read_all(arguments.specs):
        try:
            texts.append((source, format_module(parse(source))))
        except NncError as error:
            problems += error.diagnostics
    changed = False
    for source, text in texts:
        if arguments.check:
            changed |= _report_change(source, text)
        elif arguments.stdout or source.name == "<stdin>":
            result(text, end="")
        elif text != source.text:
            _replace(source, text)
            narrate(f"{source.name}: formatted")
    if problems:
        raise NncError(*problems)
    return 1 if changed else 0


def _report_change(source: SourceFile, text: str) -> bool:
    if text == source.text:
        return False
    result(f"{source.name}: would be reformatted")
    return True


def _replace(source: SourceFile, text: str) -> None:
    """Write beside the file, then rename over it: an interruption never leaves half a spec. Keeps the file's mode."""
    assert source.path is not None
    target = source.path.resolve()
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        os.chmod(name, target.stat().st_mode & 0o777)
        Path(name).replace(target)
    except OSError as problem:
        reason = (problem.strerror or "unknown reason").lower()
        raise UsageError(Diagnostic("E0807", f"cannot write `{source.name}`: {reason}")) from problem
