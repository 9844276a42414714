"""CUDA kernels on the processor: printed text compiled by a C++ compiler against `shim/`, and launched by name.

It shows that kernels compute what they should, and that they wait for one another where they must. It shows nothing
about time, and nothing about what memory a GPU's threads see without a barrier.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).parent
HEADERS = FOLDER.parent.parent / "runtime" / "cuda"
COMPILER = shutil.which("g++") or shutil.which("clang++")
FLAGS = (
    "-std=c++17", "-O1", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fwrapv",
    "-fno-strict-aliasing", "-shared", "-fPIC", "-Wall", "-Wno-unused", "-Wno-unknown-pragmas",
)  # fmt: skip
CLUSTER = 8     # blocks of a cluster, where a text is compiled with TEAM_CLUSTER
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")

_KERNEL = re.compile(r'extern "C" __global__ void (?:__\w+__\([^)]*\)\s*)*(\w+)\s*\(')


class LaunchError(Exception):
    """A launch that a GPU would hang in, or answer with anything at all: the message says which threads wait where."""


class Kernels:
    """The kernels of one text. defines: names of macros, such as "TEAM_GRID" or "WARPS=4"."""

    def __init__(self, text: str, defines: Sequence[str] = (), flags: Sequence[str] = ()) -> None:
        self.names = tuple(dict.fromkeys(_KERNEL.findall(text)))
        self._cluster = CLUSTER if "TEAM_CLUSTER" in defines else 1
        self._library = _compiled(text, self.names, tuple(defines), tuple(flags))
        self._library.emulated_launch.restype = ctypes.c_char_p

    def launch(
        self, name: str, grid: int, block: int, shared_bytes: int, args: Sequence[Any], cooperative: bool = False
    ) -> None:
        """Run `grid` blocks of `block` threads to their end.

        args: ctypes values, ints (64 bits) and arrays (their addresses), one for each parameter. Without `cooperative`,
        blocks (or clusters) run one after another, so that a barrier across them is found out.
        """
        values = [_passed(arg) for arg in args]
        pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
        kernel = ctypes.cast(self._library[f"emulated_{name}"], ctypes.c_void_p)
        together = grid if cooperative else min(self._cluster, grid)
        message = self._library.emulated_launch(
            kernel, pointers, ctypes.c_uint(grid), ctypes.c_uint(block), ctypes.c_size_t(shared_bytes),
            ctypes.c_uint(together),
        )  # fmt: skip
        if message is not None:
            raise LaunchError(f"{name}: {message.decode()}")


def _passed(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return ctypes.c_void_p(value.ctypes.data)
    return ctypes.c_int64(value) if isinstance(value, int | np.integer) else value


@cache
def _compiled(text: str, names: tuple[str, ...], defines: tuple[str, ...], flags: tuple[str, ...]) -> ctypes.CDLL:
    assert COMPILER is not None, "no C++ compiler"
    folder = Path(mkdtemp(prefix="nnc-cuda-"))
    calls = "".join(
        f'extern "C" void emulated_{name}(void **arguments) {{ emulated::call({name}, arguments); }}\n' for name in names
    )
    (folder / "kernels.cpp").write_text(f"{text}\n{calls}")
    command = [
        COMPILER, *FLAGS, *flags, *(f"-D{name}" for name in defines), f"-I{HEADERS}", "-include",
        str(FOLDER / "shim" / "cuda.h"), str(folder / "kernels.cpp"), "-o", str(folder / "kernels.so"),
    ]  # fmt: skip
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    loaded = ctypes.CDLL(str(folder / "kernels.so"))
    shutil.rmtree(folder)
    return loaded
