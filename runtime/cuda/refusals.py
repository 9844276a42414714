"""What is said where a GPU is there, but cannot do what it is asked to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nnc.grammar.diagnostics import Diagnostic, ToolchainError

_SHOWN_LINES: Final = 8
_BUG = "this is a bug of nnc: please report it with the spec and this text"


def too_little_memory(gpu: str, wanted_bytes: int, free_bytes: int, total_bytes: int) -> ToolchainError:
    """E0946: a plan does not fit into what is free of the GPU called `gpu`."""
    text = f"the plan needs {_size(wanted_bytes)} on {gpu}, where {_size(free_bytes)} are free"
    notes = (f"it has {_size(total_bytes)} in all",)
    helps = (
        *(("`nvidia-smi` shows which programs use the rest",) if wanted_bytes <= total_bytes else ()),
        f"take smaller batches: `--batch-size auto --max-memory {max(free_bytes >> 20, 1)}MiB`",
        "or compute on the processor: `--device cpu`",
    )
    return ToolchainError(Diagnostic("E0946", text, notes=notes, helps=helps))


def device_fails(gpu: str, doing: str, reason: str) -> ToolchainError:
    """E0947: the GPU, or its driver, fails while `doing` something. reason: in the driver's words."""
    helps = (
        "`nnc doctor` tries the GPU with the smallest kernel; `nvidia-smi` shows whether it is well",
        "or compute on the processor: `--device cpu`",
    )
    return ToolchainError(Diagnostic("E0947", f"{gpu} fails while {doing}", notes=(reason,), helps=helps))


def kernels_refused(arch: str, log: str) -> ToolchainError:
    """E0948: NVRTC makes no kernels of a program. log: what it says."""
    lines = [line.rstrip() for line in log.splitlines() if line.strip()]
    rest = len(lines) - _SHOWN_LINES
    notes = (*lines[:_SHOWN_LINES], *((f"... and {rest} more lines",) if rest > 0 else ()))
    return ToolchainError(Diagnostic("E0948", f"NVRTC makes no kernels for {arch}", notes=notes, helps=(_BUG,)))


def no_such_arch(arch: str, known: Sequence[str]) -> ToolchainError:
    """E0948: NVRTC here compiles nothing for `arch`. known: what it does compile for."""
    text = f"NVRTC here compiles nothing for `{arch}`"
    notes = (f"it compiles for {', '.join(known)}",)
    helps = ("sm_80 is an A100, sm_86 an RTX 30, sm_89 an RTX 40 or L4, sm_90 an H100 or H200",)
    return ToolchainError(Diagnostic("E0948", text, notes=notes, helps=helps))


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 2**30:.2f} GiB" if size_bytes >= 2**30 else f"{size_bytes / 2**20:.1f} MiB"
