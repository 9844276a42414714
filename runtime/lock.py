"""One process at a time in a folder: an advisory lock, which the system drops with its process, however that ends."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from nnc.grammar.diagnostics import Diagnostic, UsageError

LOCK: Final = ".lock"


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder` within the block: `flock` on its file `.lock`, which names the holder.

    The file is removed in the end; one that a killed process leaves locks nobody out. Windows has no `flock`: there
    nothing is locked.
    Raises: UsageError E0844 where another process, or another thread, holds it; E0807 where there can be no lock.
    """
    if sys.platform == "win32":
        yield
        return
    path = folder / LOCK
    handle = _locked(path)
    try:
        _sign(handle, path)
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is still locked: who opened it meanwhile looks again
        os.close(handle)


def _locked(path: Path) -> int:
    """An open and locked file that has this path: one that its last holder has just removed would lock nothing."""
    import fcntl

    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise _impossible(path, error) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(handle, path):
                return handle
        except BlockingIOError:
            holder = os.pread(handle, 200, 0).decode(errors="replace")
            os.close(handle)
            raise _taken(path.parent, holder) from None
        except OSError as error:
            os.close(handle)
            raise _impossible(path, error) from None
        os.close(handle)


def _sign(handle: int, path: Path) -> None:
    try:
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()} {socket.gethostname()}\n".encode())
    except OSError as error:
        raise _impossible(path, error) from None


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _taken(folder: Path, holder: str) -> UsageError:
    pid, _, host = holder.strip().partition(" ")
    elsewhere = f" on {host}" if host and host != socket.gethostname() else ""
    notes = (f"it is process {pid}{elsewhere}",) if pid.isdecimal() else ()
    helps = ("wait until it is done, or end it with Ctrl-C and go on from there", "or choose another folder")
    text = f"another process is at work in `{folder}`"
    return UsageError(Diagnostic("E0844", text, notes=notes, helps=helps))


def _impossible(path: Path, error: OSError) -> UsageError:
    reason = (error.strerror or "unknown reason").lower()
    return UsageError(Diagnostic("E0807", f"cannot lock `{path}`: {reason}"))
