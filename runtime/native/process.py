"""Runs a compiler to its end, or ends it, with every process that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .folder import writable_folder

ZIG_FOLDER = ".nnc-zig"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a command ended: its exit code (negative: by that signal; None: not in time), and all that it printed."""

    exit_code: int | None
    output: str


def run_compiler(command: Sequence[str], timeout_seconds: float) -> Ending:
    """Run the command without input. Raises: OSError if it does not start."""
    return run_compilers([command], timeout_seconds)[0]


def run_compilers(commands: Sequence[Sequence[str]], timeout_seconds: float) -> list[Ending]:
    """Run the commands side by side, without input. Raises: OSError if one does not start; then none goes on."""
    with ExitStack() as held:
        started = []
        for command in commands:
            output = held.enter_context(tempfile.TemporaryFile())
            compiler = _start(command, output)
            held.callback(_end, compiler)
            started.append((compiler, output))
        codes = _wait([compiler for compiler, _ in started], timeout_seconds)
        for compiler, _ in started:
            _end(compiler)
        return [Ending(code, _read(output)) for code, (_, output) in zip(codes, started, strict=True)]


def _start(command: Sequence[str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    """No pipe for what it says: a server that a compiler leaves behind would keep it open."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env=_environment(command),
        start_new_session=True,  # so that the processes it starts can be ended with it
    )


def _read(output: IO[bytes]) -> str:
    output.seek(0)
    return output.read().decode("utf-8", "replace")


def _wait(compilers: Sequence[subprocess.Popen[bytes]], timeout_seconds: float) -> list[int | None]:
    """The exit codes, None for one not in time. `Popen.wait` would look only every 50 ms, which people notice."""
    deadline = time.monotonic() + timeout_seconds
    while None in (codes := [compiler.poll() for compiler in compilers]) and time.monotonic() < deadline:
        time.sleep(0.002)
    return codes


def _end(compiler: subprocess.Popen[bytes]) -> None:
    """Also when the user interrupts: in a session of its own, the compiler does not hear of Ctrl-C."""
    if compiler.poll() is None:
        os.killpg(compiler.pid, signal.SIGKILL)
        compiler.wait()


def _environment(command: Sequence[str]) -> dict[str, str] | None:
    """The caller's. Zig waits for ever where it cannot keep its parts of the C library: it gets a place for them."""
    if "ziglang" not in command or "ZIG_GLOBAL_CACHE_DIR" in os.environ:
        return None
    place = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "zig"
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place):
            return None
    except OSError:
        return {**os.environ, "ZIG_GLOBAL_CACHE_DIR": str(writable_folder() / ZIG_FOLDER)}
