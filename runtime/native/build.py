"""Compiles a program: a folder with a C file in, the same folder with a library out, or a diagnostic that says what the
compiler said and how to run it again."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Sequence
from pathlib import Path

from nnc.grammar.diagnostics import Diagnostic, ToolchainError

from .process import run_compilers
from .toolchain import Toolchain

TIMEOUT_SECONDS = 120
MESSAGES = "messages.txt"
SHOWN_LINES = 8


def build(toolchain: Toolchain, folder: Path, name: str, units: Sequence[str] = ()) -> Diagnostic | None:
    """Compile `folder/name.c` into `folder/name.so`; if it refuses, what it says goes to `folder/messages.txt`.

    units: the names of C files that together say the same; they are compiled side by side, and linked.
    Gives what went wrong: E0931 the compiler refuses, E0932 it does not end within `TIMEOUT_SECONDS`.
    Raises: ToolchainError E0930 if the compiler is no longer there; OSError if the folder cannot be written.
    """
    if units:
        commands = [_unit_command(toolchain, folder, unit) for unit in units]
        problem = _run(commands, [folder / f"{unit}.o" for unit in units], folder, name)
        if problem is not None:
            return problem
    return _run([compile_command(toolchain, folder, name, units)], [folder / f"{name}.so"], folder, name)


def _run(commands: Sequence[Sequence[str]], made: Sequence[Path], folder: Path, name: str) -> Diagnostic | None:
    """What goes wrong when these commands, side by side, are to make these files."""
    try:
        endings = run_compilers(commands, TIMEOUT_SECONDS)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        text = f"the C compiler `{commands[0][0]}` does not start: {reason}"
        raise ToolchainError(Diagnostic("E0930", text)) from None
    for ending, file in zip(endings, made, strict=True):
        if ending.exit_code != 0 or not file.is_file():
            (folder / MESSAGES).write_text(ending.output, encoding="utf-8")
            if ending.exit_code is None:
                return _endless(name)
            return _refused(name, ending.exit_code, ending.output, folder)
    return None


def compile_command(toolchain: Toolchain, folder: Path, name: str, units: Sequence[str] = ()) -> list[str]:
    """The command that makes `folder/name.so`, of the units' objects if there are some. The C file finds its headers
    beside itself."""
    sources = [folder / f"{unit}.o" for unit in units] or [folder / f"{name}.c"]
    return [*toolchain.command, *toolchain.flags, "-o", str(folder / f"{name}.so"), *map(str, sources), "-lm"]


def _unit_command(toolchain: Toolchain, folder: Path, unit: str) -> list[str]:
    flags = [flag for flag in toolchain.flags if flag != "-shared"]
    return [*toolchain.command, *flags, "-c", "-o", str(folder / f"{unit}.o"), str(folder / f"{unit}.c")]


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
