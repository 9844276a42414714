"""Finds the C compiler: CC if it is set, else cc, gcc, clang, else the PyPI package ziglang as `zig cc`.

A compiler counts if it makes a shared library from a small program with the flags that nnc uses, for a 64-bit
processor, and is gcc 9 or clang 12 at least. What was found is remembered beside the compiled programs, by the
compiler's path, size and time of change, so that finding it again starts no process.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from nnc.grammar.diagnostics import Diagnostic, NncError, ToolchainError

from ..whole_file import write_whole
from .cpu import cpu_text
from .folder import cache_folder, writable_folder
from .process import run_compiler

MEMORY = "toolchains.json"
PROBE_TIMEOUT_SECONDS = 60  # zig builds its own parts of the C library when it first runs: 4 s here
# GCC 12 may write an address as 0 plus a sum of counters, take that for an access to null that never returns, and drop
# calls of such a function (`close_up` in product_bf16.h was one): not if null may be accessed.
FLAGS = (
    *("-std=gnu11", "-O2", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"),
    *("-fno-strict-aliasing", "-fno-delete-null-pointer-checks", "-Wno-psabi"),
    "-Werror=implicit-function-declaration",
    *("-shared", "-fPIC", "-pthread"),
)
# The first that the compiler takes. Clang splits vectors of 64 bytes in two unless it is told to prefer them.
TARGET_FLAGS: dict[str, tuple[tuple[str, ...], ...]] = {
    "x86_64": (("-march=native", "-mprefer-vector-width=512"), ("-march=native",), ()),
    "arm64": (("-mcpu=native",), ("-mcpu=apple-m1",), ()),
    "aarch64": (("-mcpu=native",), ()),
}
PROBE = """
#if defined(__clang__) ? __clang_major__ < 12 : __GNUC__ < 9
#error "gcc 9 or clang 12 is needed"
#endif
#ifndef __SIZEOF_INT128__
#error "a 64-bit processor is needed"
#endif
typedef float vector __attribute__((vector_size(16), may_alias));
double exp(double);
float probe(vector *a) { *a += *a; return (float)exp((*a)[0]); }
"""


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A C compiler that works here.

    `command` starts it (`("/usr/bin/gcc",)`, `("python3", "-m", "ziglang", "cc")`), `version` is the first line of
    what it says of itself, `flags` make a shared library for this machine, `cpu` tells this machine's processor from
    others that the same library might not run on.
    """

    command: tuple[str, ...]
    version: str
    flags: tuple[str, ...]
    cpu: str


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found: a toolchain, or None and for each compiler that was tried one line that says why not."""

    toolchain: Toolchain | None
    problems: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """Why there is no toolchain, in one line."""
        return "; ".join(self.problems)


def find_toolchain() -> Discovery:
    """The first compiler that works. If CC is set, no other is tried: whoever set it wants that one or an error."""
    if sys.platform == "win32":
        return Discovery(None, ("compiled programs need Linux or macOS",))
    problems = []
    for command in _candidates():
        found = _examine(command)
        if isinstance(found, Toolchain):
            return Discovery(found)
        problems.append(f"{command}: {found}")
    return Discovery(None, tuple(problems))


def require_toolchain() -> Toolchain:
    """The toolchain. Raises: ToolchainError E0930, which says what was tried."""
    found = find_toolchain()
    if found.toolchain is not None:
        return found.toolchain
    helps: tuple[str, ...] = ("install gcc or clang, or: pip install 'nnc[native]'",)
    if os.environ.get("CC"):
        helps = ("set CC to a compiler that works, or unset it, so that cc, gcc and clang are tried",)
    raise ToolchainError(Diagnostic("E0930", "there is no C compiler that works", notes=found.problems, helps=helps))


def _candidates() -> Iterator[str]:
    """The commands to try, as a shell would read them."""
    if chosen := os.environ.get("CC", "").strip():
        yield chosen
        return
    yield from ("cc", "gcc", "clang")
    yield f"{shlex.quote(sys.executable)} -m ziglang cc"


def _examine(text: str) -> Toolchain | str:
    """The toolchain behind a command, or why it cannot serve."""
    try:
        program, *arguments = shlex.split(text)
    except ValueError as problem:
        return str(problem).lower()
    file = path = shutil.which(program)
    if path is None:
        return "not found"
    if program == sys.executable and arguments[:2] == ["-m", "ziglang"]:
        package = importlib.util.find_spec("ziglang")
        if package is None or package.origin is None:
            return "the package ziglang is not installed"
        file = package.origin
    command = (os.path.abspath(path), *arguments)
    state = os.stat(file or path)
    identity = [str(file), state.st_size, state.st_mtime_ns, FLAGS, TARGET_FLAGS.get(platform.machine()), cpu_text()]
    return _remembered(command, identity) or _try_and_remember(command, identity)


def _remembered(command: tuple[str, ...], identity: list[object]) -> Toolchain | None:
    """What an earlier process found out, if the compiler, the flags and the processor are still the same."""
    entry = _memory(cache_folder()).get(shlex.join(command))
    if not isinstance(entry, dict) or entry.get("identity") != json.loads(json.dumps(identity)):
        return None
    match entry.get("toolchain"):
        case {"command": list(known), "version": str(version), "flags": list(flags), "cpu": str(cpu)}:
            return Toolchain(tuple(map(str, known)), version, tuple(map(str, flags)), cpu)
    return None


def _memory(folder: Path) -> dict[str, object]:
    """Command -> what is known of it. A file that is not there or makes no sense knows nothing."""
    try:
        found = json.loads((folder / MEMORY).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _try_and_remember(command: tuple[str, ...], identity: list[object]) -> Toolchain | str:
    found = _try(command)
    if isinstance(found, Toolchain):
        folder = writable_folder()
        memory = _memory(folder) | {shlex.join(command): {"identity": identity, "toolchain": asdict(found)}}
        with suppress(NncError):  # a full disk costs the next process some milliseconds, no more
            write_whole(folder / MEMORY, json.dumps(memory, indent=1).encode())
    return found


def _try(command: tuple[str, ...]) -> Toolchain | str:
    """Ask for the version, then compile the probe with the best flags that the compiler takes."""
    version = _output([*command, "--version"])
    if version.problem:
        return version.problem
    problem = ""
    for target in TARGET_FLAGS.get(platform.machine(), ((),)):
        flags = (*FLAGS, *target)
        problem = _probe(command, flags)
        if not problem:
            return Toolchain(command, version.first_line, flags, cpu_text())
    return problem


def _probe(command: tuple[str, ...], flags: tuple[str, ...]) -> str:
    """Why the compiler makes no library of the probe; empty if it does."""
    with tempfile.TemporaryDirectory(prefix="nnc-") as folder:
        source, library = Path(folder, "probe.c"), Path(folder, "probe.so")
        source.write_text(PROBE)
        done = _output([*command, *flags, "-o", str(library), str(source), "-lm"])
        return done.problem.replace(f"{folder}/", "") or ("" if library.is_file() else "it makes no library")


@dataclass(frozen=True, slots=True)
class _Output:
    """What a command printed first, and what went wrong if anything did."""

    first_line: str
    problem: str = ""


def _output(command: list[str]) -> _Output:
    try:
        ending = run_compiler(command, PROBE_TIMEOUT_SECONDS)
    except OSError as error:
        return _Output("", (error.strerror or "it does not start").lower())
    if ending.exit_code is None:
        return _Output("", f"no answer within {PROBE_TIMEOUT_SECONDS} s")
    lines = ending.output.splitlines() or [""]
    if ending.exit_code == 0:
        return _Output(lines[0])
    telling = next((line.strip() for line in lines if "error" in line.lower()), "")
    ended = f"it ends with exit code {ending.exit_code}"
    return _Output(lines[0], telling or f"{ended}: {lines[0].strip()}".removesuffix(": "))
