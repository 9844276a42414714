"""Which processor this is: a text that differs where a library compiled for this machine might not run."""

from __future__ import annotations

import platform
from functools import lru_cache
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
# x86 names its model and its instruction sets; ARM numbers its parts and calls the sets features.
_TELLING = ("vendor_id", "model name", "cpu family", "model", "flags", "cpu implementer", "cpu part", "features", "isa")


@lru_cache(maxsize=1)
def cpu_text() -> str:
    """Machine, model and instruction sets of the first processor, read without starting a process."""
    parts = [platform.system(), platform.machine(), *(_linux_lines() if _CPUINFO.exists() else _macos_lines())]
    return "; ".join(part for part in parts if part)


def cpu_name() -> str:
    """The processor's name for people, "Intel(R) Xeon(R) Gold 6248"; the machine's kind where it has none."""
    if not _CPUINFO.exists():
        return next((part for part in _macos_lines() if part), platform.machine())
    with _CPUINFO.open(encoding="utf-8", errors="replace") as file:
        named = (line.partition(":")[2].strip() for line in file if line.lower().startswith("model name"))
        return next(named, "") or platform.machine()


def _linux_lines() -> list[str]:
    """The first block alone: the others differ in numbers, and a large machine needs long to tell them."""
    lines = []
    with _CPUINFO.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            key, _, value = line.partition(":")
            if not line.strip():
                break
            if key.strip().lower() in _TELLING:
                lines.append(value.strip())
    return lines


def _macos_lines() -> list[str]:
    """What `sysctl machdep.cpu.brand_string` prints, asked of the C library directly."""
    import ctypes

    value = ctypes.create_string_buffer(256)
    size = ctypes.c_size_t(len(value))
    ask = getattr(ctypes.CDLL(None), "sysctlbyname", None)
    if ask is None or ask(b"machdep.cpu.brand_string", value, ctypes.byref(size), None, ctypes.c_size_t(0)):
        return [platform.processor()]
    return [value.value.decode("utf-8", "replace")]
