"""What was made from a content and need not be made again: compiled programs, kernels, measurements.

Every entry is a folder `NAME-KEY` with the artifact, what it was made from, and the artifact's SHA-256. It is made
under another name and renamed when it is whole, so any number of processes may make and read at once; an artifact that
is not what was written is made anew. The entries used last stay, up to `LIMIT_BYTES` in all.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from nnc.grammar.diagnostics import Diagnostic, NncError, UsageError

from .native.folder import cache_folder, temporary_folder, writable_folder

LIMIT_BYTES = 256 << 20
CHECKSUM = "sha256"
KEY_DIGITS = 24
_ENTRY = re.compile(rf"[\w-]+-[0-9a-f]{{{KEY_DIGITS}}}(\.failed)?")
_UNFINISHED = ".nnc-unfinished-"
_ABANDONED_SECONDS = 3600.0

Make = Callable[[Path], Callable[[Path], NncError] | None]


@dataclass(frozen=True, slots=True)
class Entry:
    """What was made, or what is kept of an attempt that failed: its bytes on disk, and when it was last used, in
    seconds since 1970."""

    path: Path
    size_bytes: int
    used: float

    @property
    def is_failure(self) -> bool:
        return self.path.suffix == ".failed"


def label_of(name: str) -> str:
    """A name for people, as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9_]", "_", name)[:64] or "program"


def key_of(content: Sequence[object]) -> str:
    """Changes with everything in `content`, which JSON can write."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:KEY_DIGITS]


def keep(entry: str, artifact: str, make: Make) -> Path:
    """The file `artifact` of the entry `NAME-KEY`, which `make` makes if it is not there.

    make: writes the artifact, and what belongs to it, into the empty folder that it is given. If that fails it gives a
    function: where the folder is kept for people to read -> the error to raise.
    Read the file soon: another process may clear the folder. Raises: what `make` says, UsageError E0807 (nowhere to
    write).
    """
    known = _intact(cache_folder() / entry, artifact)
    if known is not None:
        return known
    folder = writable_folder()
    try:
        return _intact(folder / entry, artifact) or _make(folder / entry, artifact, make)
    except OSError:  # full, or no longer writable: for this process alone
        folder = temporary_folder(os.getpid())
    try:
        return _intact(folder / entry, artifact) or _make(folder / entry, artifact, make)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        text = f"cannot write compiled programs, neither in `{cache_folder()}` nor in `{folder}`: {reason}"
        raise UsageError(Diagnostic("E0807", text, helps=("set NNC_CACHE_DIR to a folder with room",))) from None


def _intact(entry: Path, artifact: str) -> Path | None:
    """The entry's artifact if it is there and is what was written; notes that it was used."""
    path = entry / artifact
    try:
        recorded = (entry / CHECKSUM).read_text("ascii", "replace")
        if recorded != _checksum(path):
            return None
    except OSError:
        return None
    with suppress(OSError):  # a folder that is only read has no order of use
        os.utime(entry)
    return path


def _checksum(artifact: Path) -> str:
    """A line as `sha256sum` writes and checks it."""
    return f"{hashlib.sha256(artifact.read_bytes()).hexdigest()}  {artifact.name}\n"


def _make(entry: Path, artifact: str, make: Make) -> Path:
    """Make it beside the entry, then put it in place. Raises: as `keep`, and OSError."""
    unfinished = entry.parent / f"{_UNFINISHED}{secrets.token_hex(8)}"
    unfinished.mkdir()
    try:
        problem = make(unfinished)
        if problem is not None:
            failed = entry.with_name(f"{entry.name}.failed")
            _put(unfinished, failed)
            raise problem(failed)
        made = unfinished / artifact
        (unfinished / CHECKSUM).write_text(_checksum(made), encoding="ascii")
        for path in (made, unfinished / CHECKSUM):
            _wait_until_on_disk(path)
        _put(unfinished, entry, unless=artifact)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return entry / artifact


def _put(unfinished: Path, entry: Path, unless: str | None = None) -> None:
    """Rename into place, but not if another process has put a sound artifact (called `unless`) there meanwhile."""
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
    """Remove every entry and nothing else; gives what was removed. Raises: UsageError E0807."""
    removed = entries(folder)
    with clearing(folder):
        for entry in removed:
            _remove(entry.path)
    _remove_unfinished(folder, older_than=time.time() - _ABANDONED_SECONDS)
    return removed


@contextmanager
def clearing(folder: Path) -> Iterator[None]:
    """Says what the system refuses in the block. Raises: UsageError E0807."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise UsageError(Diagnostic("E0807", f"cannot clear `{folder}`: {reason}")) from None


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
