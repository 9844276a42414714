"""Compiles a program: a folder with a C file in, the same folder with a library out, or a diagnostic that says what the
compiler said and how to run it again."""

from __future__ import annotations

import shlex
import signal
from pathlib import Path

from nnc.grammar.diagnostics import Diagnostic, ToolchainError

from .process import run_compiler
from .toolchain import Toolchain

TIMEOUT_SECONDS = 120
MESSAGES = "messages.txt"
SHOWN_LINES = 8


def build(toolchain: Toolchain, folder: Path, name: str) -> Diagnostic | None:
    """Compile `folder/name.c` into `folder/name.so`; if it refuses, what it says goes to `folder/messages.txt`.

    Gives what went wrong: E0931 the compiler refuses, E0932 it does not end within `TIMEOUT_SECONDS`.
    Raises: ToolchainError E0930 if the compiler is no longer there; OSError if the folder cannot be written.
    """
    command = compile_command(toolchain, folder, name)
    try:
        ending = run_compiler(command, TIMEOUT_SECONDS)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        text = f"the C compiler `{command[0]}` does not start: {reason}"
        raise ToolchainError(Diagnostic("E0930", text)) from None
    if ending.exit_code == 0 and (folder / f"{name}.so").is_file():
        return None
    (folder / MESSAGES).write_text(ending.output, encoding="utf-8")
    return _endless(name) if ending.exit_code is None else _refused(name, ending.exit_code, ending.output, folder)


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


def _refused(name: str, exit_code: int, said: str, folder: Path) -> Diagnostic:
    lines = [line.rstrip() for line in said.replace(f"{folder}/", "").splitlines() if line.strip()]
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
