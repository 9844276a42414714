"""CUDA kernels on the processor: printed text compiled by a C++ compiler against `shim/`, and launched by name.

It shows that kernels compute what they should, that they wait for one another where they must, and on request that no
two threads touch the same memory without a barrier between them. It shows nothing about time.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).parent
SHIM = FOLDER / "shim"
HEADERS = FOLDER.parent.parent / "runtime" / "cuda"
COMPILER = shutil.which("g++") or shutil.which("clang++")
FLAGS = (
    "-std=c++17", "-O1", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fwrapv",
    "-fno-strict-aliasing", "-fPIC", "-Wall", "-Wno-unused", "-Wno-unknown-pragmas", "-Wno-psabi",
)  # fmt: skip
CHECKED = ("-g", "-fsanitize=thread", "--param=tsan-distinguish-volatile=1")
CLUSTER = 8  # blocks of a cluster, where a text is compiled with TEAM_CLUSTER
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")
needs_gcc = pytest.mark.skipif("g++" not in (COMPILER or ""), reason="races are found by GCC's instrumentation")

_KERNEL = re.compile(r'extern "C" __global__ void (?:__\w+__\([^)]*\)\s*)*(\w+)\s*\(')


class LaunchError(Exception):
    """A launch that a GPU would hang in, or answer with anything at all: the message says which threads wait where."""


class Kernels:
    """The kernels of one text.

    defines: names of macros, such as "TEAM_GRID" or "WARPS=4". finds_races: end a launch where two threads touch the
    same byte, one of them writes it, and no barrier lies between; some 50 times slower. order: 0 runs a thread until it
    must wait, and then its neighbours; any other number draws the order by chance.
    """

    def __init__(self, text: str, defines: Sequence[str] = (), finds_races: bool = False, order: int = 0) -> None:
        self.names = _kernels_in(text, tuple(defines))
        self._cluster = CLUSTER if "TEAM_CLUSTER" in defines else 1
        self._finds_races, self._order = finds_races, order
        self._path = _compiled(text, self.names, tuple(defines), finds_races)
        self._library = ctypes.PyDLL(str(self._path))  # which holds on to Python's lock: fibers are one thread's
        self._library.emulated_launch.restype = ctypes.c_char_p
        self._library.emulated_use_stacks(_stacks(self._path))

    def launch(
        self, name: str, grid: int, block: int, shared_bytes: int, args: Sequence[Any], cooperative: bool = False
    ) -> None:
        """Run `grid` blocks of `block` threads to their end.

        args: ctypes values, ints (64 bits) and arrays (their addresses), one for each parameter. Without `cooperative`,
        blocks (or clusters) run one after another, so that a barrier across them is found out. LaunchError: threads
        wait for what cannot come, or race.
        """
        values = [_passed(arg) for arg in args]
        pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
        kernel = ctypes.cast(self._library[f"emulated_{name}"], ctypes.c_void_p)
        if self._finds_races:
            self._library.emulated_new_launch()
        self._library.emulated_order(ctypes.c_uint64(self._order))
        message = self._library.emulated_launch(
            kernel, pointers, ctypes.c_uint(grid), ctypes.c_uint(block), ctypes.c_size_t(shared_bytes),
            ctypes.c_uint(grid if cooperative else min(self._cluster, grid)),
        )  # fmt: skip
        if message is not None:
            raise LaunchError(f"{name}: {re.sub(r'{(0x[0-9a-f]+)}', self._line, message.decode())}")

    def _line(self, offset: re.Match[str]) -> str:
        """The lines of source that a place in the machine's code comes from, the innermost first."""
        command = ["addr2line", "-i", "-s", "-e", str(self._path), offset[1]]
        if shutil.which("addr2line") is None:
            return offset[0]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
        return " in ".join(line.split(" ")[0] for line in found if line)


def _passed(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return ctypes.c_void_p(value.ctypes.data)
    return ctypes.c_int64(int(value)) if isinstance(value, int | np.integer) else value


_STACKS: list[ctypes.c_void_p] = []


def _stacks(path: Path) -> ctypes.c_void_p:
    """Where the fibers of all libraries have their stacks: made by the first one."""
    if not _STACKS:
        library = ctypes.PyDLL(str(path))
        library.emulated_stacks.restype = ctypes.c_void_p
        made = library.emulated_stacks()
        assert made is not None, "no memory for stacks"
        _STACKS.append(ctypes.c_void_p(made))
    return _STACKS[0]


@cache
def _folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="nnc-cuda-")


def _run(*command: str) -> None:
    built = subprocess.run([COMPILER or "g++", *command], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr


@cache
def _kernels_in(text: str, defines: tuple[str, ...]) -> tuple[str, ...]:
    """The kernels that the macros let stand."""
    command = [COMPILER or "g++", "-E", "-P", "-x", "c++", *(f"-D{name}" for name in defines), f"-I{HEADERS}", "-"]
    left = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    return tuple(dict.fromkeys(_KERNEL.findall(left)))


@cache
def _object(name: str) -> str:
    """A part of the shim, compiled once per test run."""
    path = Path(_folder().name) / f"{name}.o"
    _run(*FLAGS, "-O2", "-c", str(SHIM / f"{name}.cpp"), "-o", str(path))
    return str(path)


@cache
def _compiled(text: str, names: tuple[str, ...], defines: tuple[str, ...], finds_races: bool) -> Path:
    place = Path(_folder().name) / f"kernels{_compiled.cache_info().misses}"
    calls = "".join(
        f'extern "C" void emulated_{name}(void **arguments) {{ emulated::call({name}, arguments); }}\n'
        for name in names
    )
    place.with_suffix(".cpp").write_text(f"{text}\n{calls}")
    _run(
        *FLAGS, *(CHECKED if finds_races else ()), *(f"-D{name}" for name in defines), f"-I{HEADERS}",
        "-include", str(SHIM / "cuda.h"), "-c", f"{place}.cpp", "-o", f"{place}.o",
    )  # fmt: skip
    parts = (_object("fibers"), _object("races")) if finds_races else (_object("fibers"),)
    _run("-shared", f"{place}.o", *parts, "-o", f"{place}.so")
    return place.with_suffix(".so")
