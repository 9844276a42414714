"""Runs the C compiler: a folder with a C file in, the same folder with a library out, or a diagnostic that can be
acted on. A compiler that hangs is ended, with every process it started."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

from nnc.grammar.diagnostics import Diagnostic, ToolchainError

from .toolchain import Toolchain

TIMEOUT_SECONDS = 120
MESSAGES = "messages.txt"
SHOWN_LINES = 8


def build(toolchain: Toolchain, folder: Path, name: str) -> Diagnostic | None:
    """Compile `folder/name.c` into `folder/name.so`; what the compiler says goes to `folder/messages.txt`.

    Gives what went wrong: E0931 the compiler refuses, E0932 it does not end within `TIMEOUT_SECONDS`.
    Raises: OSError if the folder cannot be written; ToolchainError E0930 if the compiler is no longer there.
    """
    command = compile_command(toolchain, folder, name)
    with open(folder / MESSAGES, "wb") as messages:
        try:
            compiler = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=messages,
                stderr=messages,
                start_new_session=True,  # so that the processes it starts can be ended with it
            )
        except OSError as error:
            reason = (error.strerror or "unknown reason").lower()
            text = f"the C compiler `{command[0]}` does not start: {reason}"
            raise ToolchainError(Diagnostic("E0930", text)) from None
        try:
            exit_code = _wait(compiler)
        finally:
            _end(compiler)
    if exit_code is None:
        return _endless(name)
    if exit_code == 0 and (folder / f"{name}.so").is_file():
        return None
    return _refused(name, exit_code, folder)


def compile_command(toolchain: Toolchain, folder: Path, name: str) -> list[str]:
    """The command that makes `folder/name.so`. The C file finds its headers beside itself."""
    return [*toolchain.command, *toolchain.flags, "-o", str(folder / f"{name}.so"), str(folder / f"{name}.c"), "-lm"]


def kept(diagnostic: Diagnostic, toolchain: Toolchain, folder: Path, name: str) -> ToolchainError:
    """The error to raise once the failed build lies in `folder`: with the command that does it again there."""
    command = shlex.join(compile_command(toolchain, folder, name))
    return ToolchainError(
        Diagnostic(
            diagnostic.code,
            diagnostic.message,
            place=str(folder / f"{name}.c"),
            notes=(*diagnostic.notes, f"to compile it again: {command}"),
            helps=diagnostic.helps,
        )
    )


def _wait(compiler: subprocess.Popen[bytes]) -> int | None:
    """The exit code, None if there is none in time. `Popen.wait` would look only every 50 ms, which people notice."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while (exit_code := compiler.poll()) is None and time.monotonic() < deadline:
        time.sleep(0.002)
    return exit_code


def _end(compiler: subprocess.Popen[bytes]) -> None:
    """Also when the user interrupts: in a session of its own, the compiler does not hear of Ctrl-C."""
    if compiler.poll() is None:
        os.killpg(compiler.pid, signal.SIGKILL)
        compiler.wait()


def _refused(name: str, exit_code: int, folder: Path) -> Diagnostic:
    said = (folder / MESSAGES).read_text("utf-8", "replace").replace(f"{folder}/", "")
    lines = [line.rstrip() for line in said.splitlines() if line.strip()]
    rest = len(lines) - SHOWN_LINES
    return Diagnostic(
        "E0931",
        f"the C compiler makes no library of `{name}.c`: {_ending(exit_code)}",
        notes=(*lines[:SHOWN_LINES], *((f"... and {rest} more lines",) if rest > 0 else ())),
        helps=("if the compiler itself is sound, this is a bug of nnc: please report it with the folder of that file",),
    )


def _ending(exit_code: int) -> str:
    if exit_code >= 0:
        return f"it ends with exit code {exit_code}"
    return f"it was ended by signal {-exit_code} ({signal.strsignal(-exit_code)})"


def _endless(name: str) -> Diagnostic:
    return Diagnostic(
        "E0932",
        f"the C compiler does not finish `{name}.c` within {TIMEOUT_SECONDS} seconds",
        helps=("if the machine is merely busy, run it again; else set CC to another compiler",),
    )
