"""A walk: the console blocks of a page's section, run command by command in one folder and compared with the page.

`$ ` begins a command, `> ` continues it; the lines after are what a terminal shows. There `...` stands for any number
of lines, and `^C` is where the reader presses Ctrl-C: as soon as the lines before it are shown. `/home/you` is the
folder. Every command must end with 0, unless the next is `echo $?`. Numbers with a point, times and counts of epochs
may differ: they depend on the machine. After a Ctrl-C all numbers may, and a quick machine ends another epoch before it
hears of it.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from blocks import ROOT

TIME = re.compile(r"\d+(\.\d+)? ?(ms|s|min|h)\b")
VARYING = re.compile(r"-?\d+(\.\d+)*e[+-]\d+|-?\d+(\.\d+)+|(?<=\bepoch )\d+|\d+(?= epochs?\b)")
WHOLE = re.compile(r"\d+")
LAYOUT = re.compile(r"\s+|-{3,}")
HEADING_OR_BLOCK = re.compile(r"^## ([^\n]*)\n|^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INTERRUPT = "^C"
ANY = "..."
HOME = "/home/you"


@dataclass(frozen=True)
class Step:
    """A command, and the lines that it shows."""

    command: str
    shown: tuple[str, ...]


def walks(page: Path) -> dict[str, list[str]]:
    """The console blocks below each heading of the second level that has some."""
    found: dict[str, list[str]] = {}
    heading = ""
    for match in HEADING_OR_BLOCK.finditer(page.read_text("utf-8")):
        heading = match[1] or heading
        if match[2] == "console":
            found.setdefault(heading, []).append(match[3])
    return found


def steps(block: str) -> list[Step]:
    return [
        Step(match[1].rstrip("\n").replace("\n> ", "\n"), tuple(match[2].splitlines()))
        for match in re.finditer(r"^\$ (.*\n(?:> .*\n)*)((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
    ]


def as_text(walked: list[Step]) -> str:
    lines = []
    for step in walked:
        lines += ["$ " + step.command.replace("\n", "\n> "), *step.shown]
    return "".join(f"{line}\n" for line in lines)


def environment(folder: Path) -> dict[str, str]:
    """One in which `nnc` is this checkout, without colour and 100 columns wide."""
    commands = folder / ".commands"
    commands.mkdir()
    script = commands / "nnc"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m nnc "$@"\n')
    script.chmod(0o755)
    path = f"{commands}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "100", "LC_ALL": "C.UTF-8"}


def perform(step: Step, before: int, folder: Path, variables: dict[str, str]) -> tuple[tuple[str, ...], int]:
    """The lines that the command shows, and its exit code; `before` is that of the command before it."""
    if step.command == "echo $?":
        return (str(before),), 0
    process = subprocess.Popen(
        ["sh", "-c", f"exec {step.command}" if INTERRUPT in step.shown else step.command],
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    sign = step.shown.index(INTERRUPT) if INTERRUPT in step.shown else 0
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line.rstrip("\n").replace(str(folder), HOME))
        if len(lines) == sign:
            process.send_signal(signal.SIGINT)
            lines.append(INTERRUPT)
    return tuple(lines), process.wait()


def masked(line: str, pattern: re.Pattern[str]) -> str:
    """The line with what may differ replaced; widths of columns follow from the numbers, so they may differ as well."""
    return pattern.sub("N", TIME.sub("TIME", LAYOUT.sub(" ", line))).strip()


def agrees(shown: tuple[str, ...], found: tuple[str, ...]) -> bool:
    """Whether the page shows what was found."""
    if INTERRUPT in shown:
        if INTERRUPT not in found:
            return False
        at, there = shown.index(INTERRUPT), found.index(INTERRUPT)
        told = tuple(line for line in found[there:] if not line.startswith("epoch ") or line in shown[at:])
        return agrees(shown[:at], found[:there]) and _agrees(shown[at:], told, WHOLE)
    return _agrees(shown, found, VARYING)


def _agrees(shown: tuple[str, ...], found: tuple[str, ...], pattern: re.Pattern[str]) -> bool:
    parts = [r"(?:.*\n)*?" if line == ANY else re.escape(masked(line, pattern) + "\n") for line in shown]
    return re.fullmatch("".join(parts), "".join(masked(line, pattern) + "\n" for line in found)) is not None


def abridged(shown: tuple[str, ...], found: tuple[str, ...]) -> tuple[str, ...]:
    """What the page should show: what was found, with as much left out as the page leaves out now."""
    if ANY not in shown:
        return found
    first, last = shown.index(ANY), len(shown) - 1 - shown[::-1].index(ANY)
    end = len(shown) - 1 - last
    return (*found[:first], ANY, *(found[-end:] if end else ()))
