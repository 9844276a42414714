"""A stand-in for the driver that records what it is asked for and does nothing: it proves order and arguments only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nnc.compiler.codegen.cuda.records import LibraryProduct
from nnc.compiler.plan import Plan
from nnc.runtime.cuda.device import Arguments
from nnc.runtime.protocol import Array

FIRST = 1 << 32  # the first address; allocations lie 1 GiB apart
Call = tuple[Any, ...]


class RecordingDevice:
    """calls: (what, arguments...), in the order in which they were asked for; events are numbers."""

    name, arch, driver, is_timed = "a recorded GPU", "sm_90", "13000", False
    multiprocessors, total_bytes, shared_limit = 132, 8 << 30, 227 << 10

    def __init__(self, free: int = 8 << 30) -> None:
        self.calls: list[Call] = []
        self._free, self._next, self._events = free, FIRST, 0

    def names(self) -> list[str]:
        return [call[0] for call in self.calls]

    def take(self) -> list[Call]:
        """The calls since the last time."""
        taken, self.calls = self.calls, []
        return taken

    def free_bytes(self) -> int:
        self.calls.append(("free_bytes",))
        return self._free

    def allocate(self, size: int) -> int:
        address, self._next = self._next, self._next + (1 << 30)
        self._free -= size
        self.calls.append(("allocate", size, address))
        return address

    def free(self, address: int) -> None:
        self.calls.append(("free", address))

    def pinned(self, size: int) -> Array:
        self.calls.append(("pinned", size))
        return np.zeros(size, np.uint8)

    def upload(self, address: int, array: Array) -> None:
        self.calls.append(("upload", address, array.tobytes()))

    def download(self, array: Array, address: int) -> None:
        self.calls.append(("download", address, array.nbytes))
        array[...] = 0

    def upload_soon(self, address: int, pinned: Array) -> None:
        self.calls.append(("upload_soon", address, pinned.tobytes(), pinned.ctypes.data))

    def upload_beside(self, address: int, pinned: Array) -> int:
        self.calls.append(("upload_beside", address, pinned.tobytes(), pinned.ctypes.data, self._event()))
        return self._events

    def mark(self) -> int:
        self.calls.append(("mark", self._event()))
        return self._events

    def wait(self, event: int) -> None:
        self.calls.append(("wait", event))

    def work_after(self, event: int) -> None:
        self.calls.append(("work_after", event))

    def beside_after(self, event: int) -> None:
        self.calls.append(("beside_after", event))

    def synchronize(self) -> None:
        self.calls.append(("synchronize",))

    def seconds(self, work: Callable[[], None]) -> float:
        raise AssertionError("nothing is timed here")

    def load(self, text: str, name: str, macros: Mapping[str, int]) -> RecordingKernels:
        self.calls.append(("load", name, dict(macros)))
        return RecordingKernels(self)

    def library(self, plan: Plan, products: Sequence[LibraryProduct], memory: int) -> RecordingLibrary:
        self.calls.append(("library", memory))
        return RecordingLibrary(self)

    def capture(self, work: Callable[[], None]) -> RecordingGraph:
        self.calls.append(("begin capture",))
        work()
        self.calls.append(("end capture", self._event()))
        return RecordingGraph(self, self._events)

    def _event(self) -> int:
        self._events += 1
        return self._events


class RecordingKernels:
    """Of each launch: name, grid, block, shared bytes, the addresses in struct memory, the job's, rows, cooperative."""

    def __init__(self, device: RecordingDevice) -> None:
        self._device = device

    def launch(
        self, name: str, grid: int, block: int, shared_bytes: int, arguments: Arguments, cooperative: bool = False
    ) -> None:
        memory, job, rows = arguments
        assert isinstance(memory, np.ndarray)
        assert isinstance(job, np.ndarray)
        assert isinstance(rows, np.ndarray)
        values = (tuple(memory[0].tolist()), int(job[0]), int(rows[0]))
        self._device.calls.append(("launch", name, grid, block, shared_bytes, *values, cooperative))

    def blocks_at_once(self, name: str, block: int, shared_bytes: int) -> int:
        return 2 * self._device.multiprocessors


class RecordingLibrary:
    def __init__(self, device: RecordingDevice) -> None:
        self._device = device

    def prepare(
        self, product: LibraryProduct, rows: int, address: Callable[[int], int], piece: int = 0
    ) -> RecordingProduct:
        self._device.calls.append(("prepare", product.program, product.number, rows, address(product.a), piece))
        return RecordingProduct(self._device, product, rows)

    def close(self) -> None:
        self._device.calls.append(("close",))


class RecordingProduct:
    candidates = (0, 1, 2)

    def __init__(self, device: RecordingDevice, product: LibraryProduct, rows: int) -> None:
        self._device, self._product, self._rows = device, product, rows
        self.chosen = 0

    def run(self) -> None:
        self._device.calls.append(("product", self._product.number, self._rows, self.chosen))

    def measure(self, seconds: Callable[[Callable[[], None]], float]) -> float:
        raise AssertionError("nothing is timed here")

    def close(self) -> None:
        self._device.calls.append(("close product", self._product.number, self._rows))


class RecordingGraph:
    def __init__(self, device: RecordingDevice, number: int) -> None:
        self._device, self._number = device, number

    def launch(self) -> None:
        self._device.calls.append(("launch graph", self._number))
