"""How this processor multiplies bfloat16: by AMX, by AVX512_BF16, or not at all."""

from __future__ import annotations

import ctypes
import platform
import sys
from functools import lru_cache
from typing import Final

from nnc.compiler.codegen.target import AMX, AVX512_BF16, Target
from nnc.grammar.diagnostics import Diagnostic, ToolchainError

_ARCH_PRCTL: Final = 158  # numbers of Linux on x86-64
_ARCH_REQ_XCOMP_PERM: Final = 0x1023
_TILE_DATA: Final = 18
_NEEDED: Final = {"avx512f", "avx512bw", "avx512_bf16"}  # as /proc/cpuinfo spells them
_TILES: Final = {"amx_tile", "amx_bf16"}


def rounding_target(cpu: str) -> Target:
    """What code with products of bfloat16 is printed for, on the processor of this description (`cpu.cpu_text`).

    Raises: ToolchainError E0933 if it has no instructions for them.
    """
    features = set(cpu.split())
    if missing := sorted(_NEEDED - features):
        raise ToolchainError(
            Diagnostic(
                "E0933",
                "this processor does not multiply bfloat16, which `precision = bfloat16` asks for",
                notes=(f"it lacks {', '.join(missing)}",),
                helps=(
                    "leave `precision` out, or set it to `float32`",
                    "run it with `--runtime reference`, which rounds with NumPy and is slow",
                ),
            )
        )
    return AMX if features >= _TILES and may_use_tiles() else AVX512_BF16


@lru_cache(maxsize=1)
def may_use_tiles() -> bool:
    """Ask Linux for AMX's registers, for this process and those that it forks; it may refuse."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return False
    syscall = ctypes.CDLL(None).syscall
    syscall.restype = ctypes.c_long
    return bool(
        syscall(ctypes.c_long(_ARCH_PRCTL), ctypes.c_long(_ARCH_REQ_XCOMP_PERM), ctypes.c_long(_TILE_DATA)) == 0
    )
