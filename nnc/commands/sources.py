"""From the name a user typed to the text of a spec: a file, `-` for standard input, or a bundled spec."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from nnc.grammar.diagnostics import Diagnostic, UsageError
from nnc.grammar.source import SourceFile

from .console import narrate


def read_source(name: str) -> SourceFile:
    """Read one spec. Raises UsageError (E0802 not there, E0803 not text)."""
    if name == "-":
        return SourceFile("<stdin>", decode(sys.stdin.buffer.read(), "<stdin>"), Path.cwd() / "<stdin>")
    path = Path(name)
    if not path.exists() and (bundled := bundled_path(name)) is not None:
        narrate(f"nnc: no file `{name}` here; using the bundled spec {bundled.name}")
        path, name = bundled, bundled.name
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise UsageError(unreadable(name, problem)) from problem
    return SourceFile(name, decode(content, name), path)


def decode(content: bytes, name: str) -> str:
    """UTF-8 text with its line breaks as they are. Raises UsageError (E0803)."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content[: problem.start].count(b"\n") + 1
        message, help = f"`{name}` is not UTF-8 text", "if it is text in an older encoding, save it as UTF-8"
        raise UsageError(Diagnostic("E0803", message, place=f"{name}, line {line}", helps=(help,))) from problem


def unreadable(name: str, problem: OSError) -> Diagnostic:
    """Why a spec cannot be read, with the names that come near."""
    path = Path(name)
    if path.is_dir():
        return Diagnostic("E0802", f"`{name}` is a directory, not a spec", helps=("name a `.nn` file in it",))
    if not isinstance(problem, FileNotFoundError):
        reason = (problem.strerror or "unknown reason").lower()
        return Diagnostic("E0802", f"cannot read `{name}`: {reason}")
    from nnc.grammar.suggest import nearest

    here = [str(p) for p in path.parent.glob("*.nn")] if path.parent.is_dir() else []
    near = nearest(name, [*here, *bundled_names()])
    helps = (f"did you mean {' or '.join(f'`{n}`' for n in near)}?",) if near else ()
    return Diagnostic(
        "E0802", f"there is no file `{name}`", helps=(*helps, "`nnc specs` lists the specs that come with nnc")
    )


def specs_directory() -> Path:
    """Where the bundled specs are."""
    import nnc.specs

    return Path(nnc.specs.__path__[0])


def bundled_names() -> tuple[str, ...]:
    """Names of the bundled specs, without `.nn`, in alphabetical order."""
    return tuple(sorted(path.stem for path in specs_directory().glob("*.nn")))


def bundled_path(name: str) -> Path | None:
    """The bundled spec of this name (`digits` or `digits.nn`), if there is one."""
    stem = name.removesuffix(".nn")
    return specs_directory() / f"{stem}.nn" if stem in bundled_names() else None


def read_all(names: Iterable[str]) -> tuple[SourceFile, ...]:
    """Read several specs; every one that cannot be read is reported."""
    sources: list[SourceFile] = []
    problems: list[Diagnostic] = []
    for name in names:
        try:
            sources.append(read_source(name))
        except UsageError as error:
            problems += error.diagnostics
    if problems:
        raise UsageError(*problems)
    return tuple(sources)
