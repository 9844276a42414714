"""Asks NVIDIA's driver what it is and which GPUs it has, through its C library alone: no CuPy, no CUDA toolkit."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LIBRARY: Final = "libcuda.so.1"
_MODULE: Final = Path("/proc/driver/nvidia/version")
_PCI: Final = Path("/sys/bus/pci/devices")
_NVIDIA, _DISPLAY, _ACCELERATOR = "0x10de", "0x03", "0x12"  # PCI's vendor, and the first byte of its classes
_MAJOR, _MINOR, _MULTIPROCESSORS = 75, 76, 16  # CU_DEVICE_ATTRIBUTE_...


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU as the driver describes it. capability: (9, 0) for an H100; memory_bytes: in all, free or not."""

    name: str
    capability: tuple[int, int]
    memory_bytes: int
    multiprocessors: int

    @property
    def arch(self) -> str:
        """What kernels for it are compiled for: "sm_90"."""
        return f"sm_{self.capability[0]}{self.capability[1]}"


@dataclass(frozen=True, slots=True)
class Driver:
    """NVIDIA's driver. cuda: the newest CUDA it runs, (12, 8). problem: why it finds no GPU, in its own words."""

    cuda: tuple[int, int]
    gpus: tuple[Gpu, ...] = ()
    problem: str = ""


def ask_driver() -> Driver | None:
    """What the driver says; None where its library is not found or does not load."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        return None
    version = ctypes.c_int(0)
    library.cuDriverGetVersion(ctypes.byref(version))
    cuda = (version.value // 1000, version.value % 1000 // 10)
    if status := library.cuInit(0):
        return Driver(cuda, problem=_words(library, status))
    count = ctypes.c_int(0)
    if status := library.cuDeviceGetCount(ctypes.byref(count)):
        return Driver(cuda, problem=_words(library, status))
    return Driver(cuda, tuple(_gpu(library, number) for number in range(count.value)))


def _words(library: ctypes.CDLL, status: int) -> str:
    """`CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected`."""
    texts = []
    for ask in (library.cuGetErrorName, library.cuGetErrorString):
        text = ctypes.c_char_p()
        ask(status, ctypes.byref(text))
        texts.append((text.value or b"").decode("ascii", "replace"))
    return ": ".join(text for text in texts if text) or f"error {status}"


def _gpu(library: ctypes.CDLL, number: int) -> Gpu:
    device, name, memory = ctypes.c_int(0), ctypes.create_string_buffer(256), ctypes.c_size_t(0)
    library.cuDeviceGet(ctypes.byref(device), number)
    library.cuDeviceGetName(name, len(name), device)
    library.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    figures = []
    for attribute in (_MAJOR, _MINOR, _MULTIPROCESSORS):
        value = ctypes.c_int(0)
        library.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
        figures.append(value.value)
    major, minor, multiprocessors = figures
    return Gpu(name.value.decode("utf-8", "replace"), (major, minor), memory.value, multiprocessors)


def is_module_loaded() -> bool:
    """Whether the driver's part in the kernel is there: then only its library is missing, as in a container."""
    return _MODULE.exists()


def pci_gpus() -> int | None:
    """How many NVIDIA GPUs are on the PCI bus; None where the bus cannot be read (WSL has none, macOS no such file)."""
    try:
        devices = [(_read(path / "vendor"), _read(path / "class")) for path in _PCI.iterdir()]
    except OSError:
        return None
    if not devices:
        return None
    return sum(vendor == _NVIDIA and kind[:4] in (_DISPLAY, _ACCELERATOR) for vendor, kind in devices)


def _read(path: Path) -> str:
    return path.read_text("ascii", "replace").strip()


def visible_devices() -> str | None:
    """CUDA_VISIBLE_DEVICES, which hides GPUs from programs; None if it is not set."""
    return os.environ.get("CUDA_VISIBLE_DEVICES")
