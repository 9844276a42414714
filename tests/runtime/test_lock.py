"""A run's folder is one process's at a time; the lock goes with its process and leaves nothing behind."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from nnc.grammar.diagnostics import UsageError
from nnc.runtime.lock import LOCK, lock
from nnc.runtime.rundir import RunFolder

HOLD = """
import sys, time
from pathlib import Path
from nnc.runtime.lock import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def refused(folder: Path) -> UsageError:
    with pytest.raises(UsageError) as caught, lock(folder):
        pass
    return caught.value


def test_another_process_is_named_and_refused_until_it_ends(tmp_path: Path) -> None:
    process = holder(tmp_path)
    (found,) = refused(tmp_path).diagnostics
    assert (found.code, found.notes) == ("E0844", (f"it is process {process.pid}",))
    process.send_signal(signal.SIGINT)
    process.wait()
    assert not list(tmp_path.iterdir())
    with lock(tmp_path):
        pass


def test_a_process_that_is_killed_locks_nobody_out(tmp_path: Path) -> None:
    process = holder(tmp_path)
    process.kill()
    process.wait()
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]
    with lock(tmp_path):
        assert (tmp_path / LOCK).read_text() == f"{os.getpid()} {socket.gethostname()}\n"
        refused(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_lock_that_was_removed_while_it_was_being_taken_is_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The holder ends between our opening of its file and our locking of it: that file has no name any more."""
    flock, calls = fcntl.flock, 0

    def late(handle: int, operation: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            (tmp_path / LOCK).unlink()
        flock(handle, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with lock(tmp_path):
        assert calls == 2
        refused(tmp_path)


def test_a_folder_that_cannot_be_locked_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(handle: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    assert refused(tmp_path / "nowhere").diagnostics[0].code == "E0807"
    monkeypatch.setattr(fcntl, "flock", none)
    assert "no locks available" in refused(tmp_path).diagnostics[0].message


def test_a_new_run_is_refused_where_another_is_about_to_begin(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "out")
    with folder.new(), pytest.raises(UsageError, match="E0844"), folder.new():
        pass
    with folder.new():
        folder.latest.write_bytes(b"")
    with pytest.raises(UsageError, match="E0840"), folder.new():
        pass
    with folder.again(), pytest.raises(UsageError, match="E0844"), folder.again():
        pass
