"""Compiled programs, kept by content: the same source is compiled once for a machine and a compiler.

Every entry is a folder `NAME-KEY` with the C file, the headers it includes, the library, and the library's SHA-256. It
is made under another name and renamed when it is whole, so any number of processes may compile and load at once; a
library that is not what was written is made anew. The entries used last stay, up to `LIMIT_BYTES` in all.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nnc.grammar.diagnostics import Diagnostic, UsageError

from .build import build, kept
from .folder import cache_folder, temporary_folder, writable_folder
from .process import ZIG_FOLDER
from .toolchain import MEMORY, Toolchain, require_toolchain

LIMIT_BYTES = 256 << 20
HEADERS = Path(__file__).parent
CHECKSUM = "sha256"
KEY_DIGITS = 24
_ENTRY = re.compile(rf"[\w-]+-[0-9a-f]{{{KEY_DIGITS}}}(\.failed)?")
_UNFINISHED = ".nnc-unfinished-"
_ABANDONED_SECONDS = 3600.0
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Entry:
    """One compiled program, or what is kept of one that did not compile: its bytes on disk, and when it was last
    used, in seconds since 1970."""

    path: Path
    size_bytes: int
    used: float

    @property
    def is_failure(self) -> bool:
        return self.path.suffix == ".failed"


def compile_library(source: str, *, name: str, toolchain: Toolchain | None = None) -> Path:
    """The library that the C compiler makes of `source`, from the cache if it was made before.

    `name` is for people: it begins the entry's name and the library's. `toolchain` is the one of this machine unless
    given. Load the library soon: another process may clear the cache.
    Raises: ToolchainError (E0930 no compiler, E0931 it refuses, E0932 it does not end), UsageError E0807 (nowhere to
    write).
    """
    toolchain = toolchain or require_toolchain()
    label = re.sub(r"[^A-Za-z0-9_]", "_", name)[:64] or "program"
    headers = included_headers(source)
    entry = f"{label}-{_key(source, headers, toolchain)}"
    known = _intact(cache_folder() / entry, label)
    if known is not None:
        return known
    folder = writable_folder()
    try:
        return _intact(folder / entry, label) or _make(folder / entry, label, source, headers, toolchain)
    except OSError:  # full, or no longer writable: programs of this process alone
        folder = temporary_folder(os.getpid())
    try:
        return _intact(folder / entry, label) or _make(folder / entry, label, source, headers, toolchain)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        text = f"cannot write compiled programs, neither in `{cache_folder()}` nor in `{folder}`: {reason}"
        raise UsageError(Diagnostic("E0807", text, helps=("set NNC_CACHE_DIR to a folder with room",))) from None


def included_headers(source: str) -> dict[str, str]:
    """Name -> text of every header of runtime/native that the source includes, directly or through another."""
    found: dict[str, str] = {}
    todo = _INCLUDE.findall(source)
    while todo:
        name = todo.pop()
        if name not in found:
            found[name] = (HEADERS / name).read_text("utf-8")
            todo += _INCLUDE.findall(found[name])
    return dict(sorted(found.items()))


def _key(source: str, headers: dict[str, str], toolchain: Toolchain) -> str:
    """Changes with everything that the library depends on, the processor too: home folders are shared by machines."""
    content = [source, headers, toolchain.command, toolchain.version, toolchain.flags, toolchain.cpu]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:KEY_DIGITS]


def _intact(entry: Path, label: str) -> Path | None:
    """The entry's library if it is there and is what was written; notes that it was used."""
    library = entry / f"{label}.so"
    try:
        recorded = (entry / CHECKSUM).read_text("ascii", "replace")
        if recorded != _checksum(library):
            return None
    except OSError:
        return None
    with suppress(OSError):  # a folder that is only read has no order of use
        os.utime(entry)
    return library


def _checksum(library: Path) -> str:
    """A line as `sha256sum` writes and checks it."""
    return f"{hashlib.sha256(library.read_bytes()).hexdigest()}  {library.name}\n"


def _make(entry: Path, label: str, source: str, headers: dict[str, str], toolchain: Toolchain) -> Path:
    """Compile beside the entry, then put it in place. Raises: as `compile_library`, and OSError."""
    unfinished = entry.parent / f"{_UNFINISHED}{secrets.token_hex(8)}"
    unfinished.mkdir()
    try:
        for name, text in {**headers, f"{label}.c": source}.items():
            (unfinished / name).write_text(text, encoding="utf-8")
        problem = build(toolchain, unfinished, label)
        if problem is not None:
            failed = entry.with_name(f"{entry.name}.failed")
            _put(unfinished, failed)
            raise kept(problem, toolchain, failed, label)
        library = unfinished / f"{label}.so"
        (unfinished / CHECKSUM).write_text(_checksum(library), encoding="ascii")
        for path in (library, unfinished / CHECKSUM):
            _wait_until_on_disk(path)
        _put(unfinished, entry, unless=label)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return entry / library.name


def _put(unfinished: Path, entry: Path, unless: str | None = None) -> None:
    """Rename into place, but not if another process has put a sound library (labelled `unless`) there meanwhile."""
    while True:
        try:
            os.rename(unfinished, entry)
        except OSError:
            if not entry.is_dir():
                raise
        else:
            return prune(entry.parent, LIMIT_BYTES, keep=entry)
        if unless is not None and _intact(entry, unless):
            return None
        _remove(entry)


def _wait_until_on_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(entry: Path) -> None:
    """At once for others: under its own name, an entry is whole or not there."""
    grave = entry.parent / f"{_UNFINISHED}{secrets.token_hex(8)}"
    try:
        os.rename(entry, grave)
    except FileNotFoundError:
        return  # another process was quicker
    shutil.rmtree(grave, ignore_errors=True)


def entries(folder: Path) -> list[Entry]:
    """What is kept in a cache folder, the longest unused first; nothing if there is no such folder."""
    found = []
    for path in _children(folder):
        if _ENTRY.fullmatch(path.name):
            with suppress(OSError):  # removed meanwhile
                size = sum(file.stat().st_size for file in path.iterdir())
                found.append(Entry(path, size, path.stat().st_mtime))
    return sorted(found, key=lambda entry: (entry.used, entry.path.name))


def prune(folder: Path, limit_bytes: int, keep: Path | None = None) -> None:
    """Remove the longest unused entries, but not `keep`, until `limit_bytes` hold the rest; and what killed processes
    left unfinished an hour ago."""
    kept_entries = entries(folder)
    total = sum(entry.size_bytes for entry in kept_entries)
    for entry in kept_entries:
        if total > limit_bytes and entry.path != keep:
            with suppress(OSError):
                _remove(entry.path)
                total -= entry.size_bytes
    _remove_unfinished(folder, older_than=time.time() - _ABANDONED_SECONDS)


def clear(folder: Path) -> list[Entry]:
    """Remove every entry and what is remembered of compilers, and nothing else; gives what was removed.

    Raises: UsageError E0807.
    """
    removed = entries(folder)
    try:
        for entry in removed:
            _remove(entry.path)
        (folder / MEMORY).unlink(missing_ok=True)
        shutil.rmtree(folder / ZIG_FOLDER, ignore_errors=True)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise UsageError(Diagnostic("E0807", f"cannot clear `{folder}`: {reason}")) from None
    _remove_unfinished(folder, older_than=time.time() - _ABANDONED_SECONDS)
    return removed


def _remove_unfinished(folder: Path, older_than: float) -> None:
    for path in _children(folder):
        with suppress(OSError):
            if path.name.startswith(_UNFINISHED) and path.stat().st_mtime < older_than:
                shutil.rmtree(path, ignore_errors=True)


def _children(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
