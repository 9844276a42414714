"""What computing on the processor needs, each thing tried: processor, NumPy and its BLAS, the cache, the C compiler."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np

from nnc.runtime.finding import Finding

from .build import build
from .cpu import cpu_name, cpu_text
from .folder import cache_folder, writable_folder
from .session import target_of, usable_processors
from .toolchain import Toolchain, find_toolchain

SETS: Final = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "neon", "sve")
_SIZE: Final = 256  # of the matrices that are multiplied on trial
_PROGRAM: Final = "double trial(double x) { return x * 3 + 1; }\n"


def probe() -> tuple[Finding, ...]:
    """Look for all of it and try it: some tenths of a second."""
    return (_python(), _processor(), _numpy(), _cache(), _compiler())


def _python() -> Finding:
    return Finding("Python", f"{platform.python_version()}, {sys.executable}; {platform.platform()}")


def _processor() -> Finding:
    """Its instruction sets, in /proc/cpuinfo's words, and what the native runtime makes of them."""
    features = set(cpu_text().split())
    known = " ".join(name for name in SETS if name in features)
    count = usable_processors()
    cores = f"{count} to compute on"
    lanes = target_of(cpu_text()).lanes
    return Finding("processor", f"{cpu_name()}; {cores}; {known or platform.machine()}: native computes {lanes} float32"
                                " at once")  # fmt: skip


def _numpy() -> Finding:
    """NumPy, its BLAS, and a product of matrices of whole numbers, which float32 holds exactly."""
    numbers = np.random.default_rng(1).integers(-8, 8, (2, _SIZE, _SIZE))
    text = f"{np.__version__}, BLAS {_blas()}"
    if not np.array_equal(np.matmul(*numbers.astype(np.float32)), np.matmul(*numbers)):
        return Finding("NumPy", text, "its product of matrices is wrong",
                       remedies=("pip install --force-reinstall numpy",))  # fmt: skip
    return Finding("NumPy", f"{text}; multiplied two matrices, and is right")


def _blas() -> str:
    """`scipy-openblas 0.3.31`, as NumPy was built."""
    config = np.show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {}) if isinstance(config, dict) else {}
    return " ".join(str(blas[key]) for key in ("name", "version") if key in blas) or "unknown"


def _cache() -> Finding:
    """The folder of compiled programs: written to, and whether programs in it may be loaded."""
    folder = cache_folder()
    if writable_folder() != folder:
        problem = "it cannot be written, or holds no programs: what is compiled goes with the process"
        return Finding("cache", str(folder), problem, remedies=("set NNC_CACHE_DIR to a folder of your own",))
    return Finding("cache", f"{folder}; written to")


def _compiler() -> Finding:
    """The C compiler, and a library that it makes, loaded and called."""
    found = find_toolchain()
    if found.toolchain is None:
        remedies: tuple[str, ...] = (
            "sudo apt install gcc libc6-dev (Debian, Ubuntu); xcode-select --install (macOS)",
            "or, without the right to install programs: pip install 'nnc[native]'",
        )
        if os.environ.get("CC"):
            remedies = ("set CC to a compiler that works, or unset it, so that cc, gcc and clang are tried",)
        return Finding("C compiler", "", "no C compiler works, so NumPy does the work, several times slower",
                       notes=found.problems, remedies=remedies, code="E0930")  # fmt: skip
    return _tried(found.toolchain)


def _tried(toolchain: Toolchain) -> Finding:
    text = f"{toolchain.command[0]}, {toolchain.version}"
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="nnc-") as name:
        folder = Path(name)
        (folder / "trial.c").write_text(_PROGRAM, encoding="utf-8")
        refused = build(toolchain, folder, "trial")
        if refused is not None:
            return Finding("C compiler", text, refused.message, notes=refused.notes, remedies=refused.helps,
                           code=refused.code)  # fmt: skip
        try:
            trial = ctypes.CDLL(str(folder / "trial.so")).trial
        except OSError as error:
            return Finding("C compiler", text, "its libraries do not load", notes=(str(error),),
                           remedies=("set TMPDIR to a folder whose programs may run",), code="E0931")  # fmt: skip
        trial.restype, trial.argtypes = ctypes.c_double, (ctypes.c_double,)
        if trial(2.0) != 7.0:
            return Finding("C compiler", text, "what it compiles computes wrong numbers",
                           remedies=("set CC to another compiler",), code="E0931")  # fmt: skip
    return Finding("C compiler", f"{text}; made a library and called it, in {time.perf_counter() - began:.2f} s")
