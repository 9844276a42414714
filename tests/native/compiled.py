"""C harnesses compiled for the tests: every compiler and instruction set that this machine has, as ctypes libraries."""

from __future__ import annotations

import ctypes
import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

FOLDER = Path(__file__).parent
HEADERS = FOLDER.parent.parent / "runtime" / "native"
FLAGS = (
    "-std=gnu11", "-O2", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-Wno-psabi", "-Wall",
    "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """A compiler and the flags that choose an instruction set."""

    cc: str
    flags: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join((self.cc, *self.flags))


def _targets() -> list[Target]:
    """One register width each, and each compiler at least once; what the processor cannot run is left out."""
    native = "-mcpu=native" if platform.machine() in ("aarch64", "arm64") else "-march=native"
    wanted = [Target("gcc", (native,)), Target("clang", (native,))]
    if platform.machine() == "x86_64":
        wanted += [Target("gcc", ("-march=x86-64",))]
        flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
        if " avx2 " in flags:
            wanted += [Target("gcc", ("-mavx2",)), Target("clang", ("-mavx2", "-mfma"))]
    return [target for target in wanted if shutil.which(target.cc)]


TARGETS = _targets()
needs_compiler = pytest.mark.skipif(not TARGETS, reason="no C compiler")
each_target = pytest.mark.parametrize("target", TARGETS, ids=str)


@cache
def library(source: str, target: Target, link: Sequence[str] = ()) -> ctypes.CDLL:
    """The harness `source` of this folder, compiled once per test run."""
    path = Path(mkdtemp(prefix="nnc-native-")) / "harness.so"
    command = [target.cc, *FLAGS, *target.flags, f"-I{HEADERS}", str(FOLDER / source), "-o", str(path), *link]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    loaded = ctypes.CDLL(str(path))
    shutil.rmtree(path.parent)
    return loaded


def call(function: Any, *arguments: npt.NDArray[Any] | int) -> None:
    """Calls with the addresses of arrays and the numbers as C longs."""
    function(*(a.ctypes.data_as(ctypes.c_void_p) if isinstance(a, np.ndarray) else ctypes.c_long(a) for a in arguments))
