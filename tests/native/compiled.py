"""C harnesses for the tests: as ctypes libraries for every compiler and instruction set that this machine has, and
for processors that it can emulate."""

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
from other_processors import OTHERS, EmulatedLibrary, Processor, emulated_library, lacking

FOLDER = Path(__file__).parent
HEADERS = FOLDER.parent.parent / "runtime" / "native"
FLAGS = (
    "-std=gnu11", "-O2", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast",
    "-fno-delete-null-pointer-checks", "-Wno-psabi", "-Wall",
    "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """A compiler and the flags that choose an instruction set; `emulated`: a processor that is not this machine's."""

    cc: str
    flags: tuple[str, ...]
    emulated: Processor | None = None

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


OWN_TARGETS = _targets()
TARGETS = [
    *OWN_TARGETS,
    *(Target(other.compiler[0], other.compiler[1:], other) for other in OTHERS if not lacking(other)),
]
needs_compiler = pytest.mark.skipif(not OWN_TARGETS, reason="no C compiler")
each_target = pytest.mark.parametrize("target", TARGETS, ids=str)


class LoadedLibrary:
    """A shared library in this process."""

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))

    def call(self, name: str, *arguments: npt.NDArray[Any] | int) -> int:
        """Call a function with addresses of arrays and with numbers as C longs; gives what it returns, as a long."""
        function = getattr(self._library, name)
        function.restype = ctypes.c_long
        addresses = (a.ctypes.data_as(ctypes.c_void_p) if isinstance(a, np.ndarray) else a for a in arguments)
        return int(function(*(a if isinstance(a, ctypes.c_void_p) else ctypes.c_long(a) for a in addresses)))


@cache
def library(source: str, target: Target, link: Sequence[str] = ()) -> LoadedLibrary | EmulatedLibrary:
    """The harness `source` of this folder, compiled once per test run."""
    words = [*FLAGS, *target.flags, f"-I{HEADERS}", str(FOLDER / source), *link]
    if target.emulated is not None:
        return emulated_library(target.emulated, words)
    path = Path(mkdtemp(prefix="nnc-native-")) / "harness.so"
    built = subprocess.run([target.cc, *words, "-o", str(path)], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    loaded = LoadedLibrary(path)
    shutil.rmtree(path.parent)
    return loaded
