"""`nnc init`: a first spec for a table of data, and what it assumes."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from nnc.grammar.diagnostics import DataError, Diagnostic, UsageError

from .console import narrate, result

NAME = "init"
SUMMARY = "write a first spec for a CSV file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", metavar="DATA.csv", help="a table whose first line names its columns")
    parser.add_argument("--target", required=True, metavar="COLUMN", help="the column to predict")
    parser.add_argument("-o", "--output", metavar="FILE", help="the spec to write (default: print it)")


def run(arguments: argparse.Namespace) -> int:
    from nnc.draft import draft
    from nnc.runtime.data.source import Request, missing_key
    from nnc.runtime.data.survey import survey

    source = Path(arguments.data)
    target = Path(arguments.output) if arguments.output else None
    if target is not None and target.exists():
        raise UsageError(Diagnostic("E0807", f"`{target}` is there already", helps=("choose another name with `-o`",)))
    found = survey(source, arguments.data)
    column = found.column(arguments.target)
    if column is None:
        names = tuple(column.name for column in found.columns)
        raise DataError(missing_key(Request(source, arguments.data), arguments.target, names, "column"))
    folder = target.parent if target is not None else Path()
    made = draft(found, column, source.stem, _path_from(folder, source))
    text = _canonical(made.text)
    for note in made.notes:
        narrate(note)
    if target is None:
        result(text, end="")
        return 0
    _write(target, text)
    narrate(f"\n{found.rows:,} rows, {len(found.columns)} columns; the spec is in {target}\nnext: `nnc run {target}`")
    return 0


def _path_from(folder: Path, file: Path) -> str:
    """The file as a spec in `folder` names it."""
    try:
        return Path(os.path.relpath(file, folder)).as_posix()
    except ValueError:  # on another drive
        return file.resolve().as_posix()


def _canonical(text: str) -> str:
    from nnc.grammar.format import format_module
    from nnc.grammar.parse import parse
    from nnc.grammar.source import SourceFile

    return format_module(parse(SourceFile("<draft>", text)))


def _write(target: Path, text: str) -> None:
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as problem:
        reason = (problem.strerror or "unknown reason").lower()
        raise UsageError(Diagnostic("E0807", f"cannot write `{target}`: {reason}")) from problem
