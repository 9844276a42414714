"""Files that appear whole or not at all, and stay: a reader sees the old file or the new one, never half of one."""

from __future__ import annotations

import glob
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from nnc.grammar.diagnostics import Diagnostic, UsageError


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that becomes `path` when the block ends well; else `path` stays as it was.

    It lies beside `path` until the disk has it. The folder is waited for as well: a rename that only memory knows of
    would be lost with the power. Raises: UsageError E0807 for what the system refuses, in the block too.
    """
    try:
        handle, beside = tempfile.mkstemp(prefix=_prefix(path), dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.chmod(beside, 0o666 & ~_umask())
            os.replace(beside, path)
        except BaseException:
            os.unlink(beside)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from None


def write_whole(path: Path, content: bytes) -> None:
    """Write `path`, or leave it as it was. Raises: UsageError E0807."""
    with whole_file(path) as file:
        file.write(content)


def check_writable(path: Path) -> None:
    """Refuse now what would be refused when there is something to write: a file is made beside `path`, and removed.

    Raises: UsageError E0807.
    """
    if path.is_dir():
        raise UsageError(Diagnostic("E0807", f"cannot write `{path}`: it is a directory"))
    if path.exists() and not path.is_file():
        raise UsageError(Diagnostic("E0807", f"cannot write `{path}`: it is no regular file"))
    if not path.parent.is_dir():
        raise UsageError(Diagnostic("E0807", f"cannot write `{path}`: there is no directory `{path.parent}`"))
    try:
        handle, beside = tempfile.mkstemp(prefix=_prefix(path), dir=path.parent)
        os.close(handle)
        os.unlink(beside)
    except OSError as error:
        raise unwritable(path, error) from None


def unwritable(path: Path, error: OSError) -> UsageError:
    """What to say of a file that the system does not let us write."""
    return UsageError(Diagnostic("E0807", f"cannot write `{path}`: {(error.strerror or 'unknown reason').lower()}"))


def remove_leftovers(path: Path) -> None:
    """Remove what a killed process left of writing `path`."""
    for leftover in path.parent.glob(f"{glob.escape(_prefix(path))}*"):
        with suppress(OSError):    # another process may have been quicker
            leftover.unlink()


def _prefix(path: Path) -> str:
    return f".{path.name}.part-"


def _sync_folder(folder: Path) -> None:
    if not hasattr(os, "O_DIRECTORY"):    # Windows opens no folders
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
