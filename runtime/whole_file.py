"""Files that appear whole or not at all, and stay: a reader sees the old file or the new one, never half of one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from nnc.grammar.diagnostics import Diagnostic, UsageError


def write_whole(path: Path, content: bytes) -> None:
    """Write beside `path`, wait until the disk has it, then rename. Raises: UsageError E0807; `path` is then as before.

    The folder is waited for as well: a rename that only memory knows of would be lost with the power.
    """
    try:
        handle, beside = tempfile.mkstemp(prefix=_prefix(path), dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(beside, 0o666 & ~_umask())
            os.replace(beside, path)
        except BaseException:
            os.unlink(beside)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise UsageError(Diagnostic("E0807", f"cannot write `{path}`: {reason}")) from None


def remove_leftovers(path: Path) -> None:
    """Remove what a killed process left of writing `path`."""
    for leftover in path.parent.glob(f"{_prefix(path)}*"):
        leftover.unlink(missing_ok=True)


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
