"""`nnc specs`: the specs that come with nnc."""

from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path

from nnc.grammar.diagnostics import Diagnostic, UsageError

from .console import narrate, result
from .sources import bundled_names, bundled_path, specs_directory

NAME = "specs"
SUMMARY = "list the bundled specs, or copy one to edit"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--copy", metavar="NAME", help="copy this spec, and the data it names, instead of listing")
    parser.add_argument("--to", default=".", metavar="DIR", help="where to copy it (default: here)")


def run(arguments: argparse.Namespace) -> int:
    if arguments.copy is not None:
        return _copy(arguments.copy, Path(arguments.to))
    names = bundled_names()
    width = max(len(name) for name in names)
    for name in names:
        text = (specs_directory() / f"{name}.nn").read_text(encoding="utf-8")
        result(f"{name:{width}}  {_title(text)}{'' if _bundled_data(text) else ' Needs --data.'}")
    narrate("\nnext: `nnc run digits`, or `nnc specs --copy digits` to edit a copy")
    return 0


def _title(text: str) -> str:
    """The first line of the first documentation comment, which says what the spec shows."""
    return next((line.lstrip("#").strip() for line in text.splitlines() if line.startswith("##")), "")


def _bundled_data(text: str) -> list[str]:
    """The data files of a spec that come with it."""
    return re.findall(r'"(data/[^"]+)"', text)


def _copy(name: str, directory: Path) -> int:
    source = bundled_path(name)
    if source is None:
        raise UsageError(_unknown(name))
    text = source.read_text(encoding="utf-8")
    files = [Path(source.name), *(Path(found) for found in _bundled_data(text))]
    for file in dict.fromkeys(files):
        _copy_file(source.parent / file, directory / file)
    narrate(f"next: `nnc run {directory / source.name}`")
    return 0


def _copy_file(source: Path, target: Path) -> None:
    if target.exists():
        raise UsageError(Diagnostic("E0807", f"`{target}` is there already", helps=("copy elsewhere: `--to DIR`",)))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    except OSError as problem:
        reason = (problem.strerror or "unknown reason").lower()
        raise UsageError(Diagnostic("E0807", f"cannot write `{target}`: {reason}")) from problem
    result(str(target))


def _unknown(name: str) -> Diagnostic:
    from nnc.grammar.suggest import nearest

    near = nearest(name, bundled_names())
    helps = (f"did you mean {' or '.join(f'`{n}`' for n in near)}?",) if near else ()
    return Diagnostic("E0802", f"there is no bundled spec `{name}`", helps=(*helps, "`nnc specs` lists them"))
