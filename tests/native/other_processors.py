"""Processors that this machine has not: cross compilers, and QEMU, which runs what they make as processes here.

That shows what numbers a program computes there. It does not show how quickly, nor in which order one core sees what
another writes: the memory is this machine's.
"""

from __future__ import annotations

import atexit
import platform
import shutil
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

SERVER = Path(__file__).parent / "serve_calls.c"
NAME_BYTES = 64  # as serve_calls.c reads them


@dataclass(frozen=True, slots=True)
class Processor:
    """A kind of processor as QEMU names it, and what starts a compiler for it. packages: Debian's that bring both."""

    name: str
    compiler: tuple[str, ...]
    packages: str

    def __str__(self) -> str:
        return " ".join((self.name, *self.compiler))


OTHERS = (
    Processor("aarch64", ("aarch64-linux-gnu-gcc",), "gcc-aarch64-linux-gnu qemu-user-static"),
    Processor("aarch64", ("clang", "--target=aarch64-linux-gnu"), "clang gcc-aarch64-linux-gnu qemu-user-static"),
    Processor("riscv64", ("riscv64-linux-gnu-gcc",), "gcc-riscv64-linux-gnu qemu-user-static"),
)


@cache
def _library_folder(processor: Processor) -> Path | None:
    """The folder in which `lib` holds the C library that the compiler's programs load; None where it knows of none."""
    command = [*processor.compiler, "-print-file-name=libc.so.6"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    folder = Path(asked.stdout.strip()).resolve().parent.parent
    return folder if any(folder.glob(f"lib/ld-linux-{processor.name}*")) else None


def _emulator(processor: Processor) -> str | None:
    return shutil.which(f"qemu-{processor.name}-static") or shutil.which(f"qemu-{processor.name}")


def lacking(processor: Processor) -> str:
    """Why this processor's programs cannot be made and run here; empty where they can."""
    if platform.machine() == processor.name:
        return f"this machine is {processor.name} itself"
    if platform.system() != "Linux":
        return "QEMU runs single programs on Linux alone"
    compiler = processor.compiler
    if shutil.which(compiler[0]) is None:
        problem = f"no {compiler[0]} here"
    elif _emulator(processor) is None:
        problem = f"no qemu-{processor.name} here"
    elif _library_folder(processor) is None:
        problem = f"{' '.join(compiler)} finds no C library"
    else:
        return ""
    return f"{problem}; Debian: apt-get install {processor.packages}"


def emulation(processor: Processor) -> tuple[str, ...]:
    """The words before a program of this processor that make QEMU run it; nothing must be `lacking`."""
    emulator, folder = _emulator(processor), _library_folder(processor)
    assert emulator is not None
    assert folder is not None
    return (emulator, "-L", str(folder))


class EmulatedLibrary:
    """A shared library of another processor, in a process that an emulator runs as long as this one."""

    def __init__(self, processor: Processor, library: Path, folder: TemporaryDirectory[str]) -> None:
        """folder: where `library` lies, kept as long as it is called."""
        self._folder = folder
        server = Path(folder.name, "serve_calls")
        command = [*processor.compiler, "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", str(SERVER)]
        built = subprocess.run([*command, "-o", str(server), "-ldl"], capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stderr
        self._process = subprocess.Popen(
            [*emulation(processor), str(server), str(library)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        atexit.register(self._process.communicate)  # the end of its input is its own

    def call(self, name: str, *arguments: npt.NDArray[Any] | int) -> int:
        """Call a function with addresses of arrays and with numbers as C longs; gives what it returns, as a long."""
        whole = [_memory_of(argument) for argument in arguments]
        sent = [struct.pack(f"{NAME_BYTES}sq", name.encode(), len(arguments))]
        for argument, memory in zip(arguments, whole, strict=True):
            if memory is None:
                sent.append(struct.pack("qq", -1, argument))
            else:
                assert isinstance(argument, np.ndarray)
                sent += (struct.pack("qq", memory.size, argument.ctypes.data - memory.ctypes.data), memory.tobytes())
        assert self._process.stdin is not None
        self._process.stdin.write(b"".join(sent))
        self._process.stdin.flush()
        (result,) = struct.unpack("q", self._receive(8, name))
        for memory in whole:
            if memory is not None:
                found = np.frombuffer(self._receive(memory.size, name), np.uint8)
                if memory.flags.writeable:
                    memory[:] = found
        return int(result)

    def _receive(self, count: int, name: str) -> bytes:
        assert self._process.stdout is not None
        received = self._process.stdout.read(count)
        assert len(received) == count, f"{name} ends its process with exit code {self._process.wait()}"
        return received


def _memory_of(argument: npt.NDArray[Any] | int) -> npt.NDArray[np.uint8] | None:
    """The bytes of the array, and of the whole of which it is a part: a function may step back in it."""
    if not isinstance(argument, np.ndarray):
        return None
    whole = argument.base if isinstance(argument.base, np.ndarray) else argument
    assert whole.flags.c_contiguous
    return whole.reshape(-1).view(np.uint8)


def emulated_library(processor: Processor, sources: Sequence[str]) -> EmulatedLibrary:
    """sources: the compiler's arguments but for the output, as for a shared library."""
    folder = TemporaryDirectory(prefix="nnc-emulated-")
    library = Path(folder.name, "harness.so")
    built = subprocess.run(
        [*processor.compiler, *sources, "-o", str(library)], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    return EmulatedLibrary(processor, library, folder)
