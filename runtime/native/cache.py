"""Compiled programs, kept by content: the same source is compiled once for a machine and a compiler.

An entry of the store (`runtime/store.py`) has the C file, the headers it includes, and the library.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from nnc.grammar.diagnostics import NncError

from .. import store
from .build import build, kept
from .process import ZIG_FOLDER
from .toolchain import MEMORY, Toolchain, require_toolchain

HEADERS = Path(__file__).parent
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)


def compile_library(
    source: str, *, name: str, toolchain: Toolchain | None = None, units: Sequence[str] = ()
) -> Path:
    """The library that the C compiler makes of `source`, from the cache if it was made before.

    `name` is for people: it begins the entry's name and the library's. `toolchain` is the one of this machine unless
    given. `units` are C files that say the same as `source`, for several compilers side by side. Load the library soon:
    another process may clear the cache.
    Raises: ToolchainError (E0930 no compiler, E0931 it refuses, E0932 it does not end), UsageError E0807 (nowhere to
    write).
    """
    used = toolchain or require_toolchain()
    label = store.label_of(name)
    headers = included_headers(source, HEADERS)

    def make(folder: Path) -> Callable[[Path], NncError] | None:
        for file, text in {**headers, f"{label}.c": source}.items():
            (folder / file).write_text(text, encoding="utf-8")
        names = [f"{label}.{number}" for number in range(1, len(units) + 1)]
        for unit, text in zip(names, units, strict=True):
            (folder / f"{unit}.c").write_text(text, encoding="utf-8")
        problem = build(used, folder, label, names)
        if problem is not None:
            return lambda failed: kept(problem, used, failed, label)
        for unit in names:
            (folder / f"{unit}.c").unlink()
            (folder / f"{unit}.o").unlink()
        return None

    return store.keep(f"{label}-{_key(source, headers, used)}", f"{label}.so", make)


def included_headers(source: str, folder: Path) -> dict[str, str]:
    """Name -> text of every header in `folder` that the source includes, directly or through another."""
    found: dict[str, str] = {}
    todo = _INCLUDE.findall(source)
    while todo:
        name = todo.pop()
        if name not in found:
            found[name] = (folder / name).read_text("utf-8")
            todo += _INCLUDE.findall(found[name])
    return dict(sorted(found.items()))


def _key(source: str, headers: dict[str, str], toolchain: Toolchain) -> str:
    """Changes with everything that the library depends on, the processor too: home folders are shared by machines."""
    return store.key_of([source, headers, toolchain.command, toolchain.version, toolchain.flags, toolchain.cpu])


def clear(folder: Path) -> list[store.Entry]:
    """Remove every entry and what is remembered of compilers, and nothing else; gives what was removed.

    Raises: UsageError E0807.
    """
    removed = store.clear(folder)
    with store.clearing(folder):
        (folder / MEMORY).unlink(missing_ok=True)
        shutil.rmtree(folder / ZIG_FOLDER, ignore_errors=True)
    return removed
