"""A device in the host's memory, whose kernels run through the shim, for whole training runs of the CUDA runtime.

Work is done as late as the order of streams and events allows (`late`), or at once. What depends on an order that
nothing asks for (pinned bytes that are written again too early, samples that are not there yet) differs between the
two. Copies beyond an allocation are refused, kernels that write beyond one are found out when it is freed. In the place
of cuBLASLt stands `HostCublasLt`, before it the runtime's own `cublaslt.Library`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from emulated import Kernels
from host_cublaslt import STREAM, HostCublasLt

from nnc.compiler.codegen.cuda.records import LibraryProduct
from nnc.compiler.plan import Plan
from nnc.runtime.cuda.cublaslt import Library, PreparedProduct, rounding_text
from nnc.runtime.cuda.device import Arguments
from nnc.runtime.protocol import Array

Work = Callable[[], None]
GUARD = 1 << 12  # bytes on either side of an allocation
MARK = 0xA5


@dataclass
class Queue:
    """A stream: work that was asked for, `done` of it so far."""

    asked: list[Work] = field(default_factory=list)
    done: int = 0

    def run(self, until: int) -> None:
        while self.done < until:
            self.done += 1
            self.asked[self.done - 1]()


@dataclass(frozen=True)
class Moment:
    queue: Queue
    until: int

    def come(self) -> None:
        self.queue.run(self.until)


class EmulatedDevice:
    """late: do work as late as may be. allocated: bytes of each allocation ever made, in order. freed: how many of them
    are gone. launched: the kernels that ran. cublaslt: makes the stand-in for cuBLASLt."""

    arch, driver, is_timed = "sm_90", "0", False
    name, shared_limit = "an emulated GPU", 227 << 10

    def __init__(self, late: bool = True, multiprocessors: int = 2, total_bytes: int = 1 << 30) -> None:
        self.late, self.multiprocessors, self.total_bytes = late, multiprocessors, total_bytes
        self.allocated: list[int] = []
        self.freed = 0
        self.launched: list[str] = []
        self.cublaslt: Callable[[], HostCublasLt] = HostCublasLt
        self.cost: Callable[[list[str]], float] = lambda names: float(len(names))
        self._blocks: dict[int, Array] = {}
        self._work, self._beside = Queue(), Queue()
        self._captured: list[Work] | None = None

    # --- memory ---
    def free_bytes(self) -> int:
        return self.total_bytes - sum(len(block) - 2 * GUARD for block in self._blocks.values())

    def allocate(self, size: int) -> int:
        assert self._captured is None
        assert size <= self.free_bytes(), "the test asks for more than there is"
        room = np.full(size + 2 * GUARD + 256, MARK, np.uint8)
        start = -(room.ctypes.data + GUARD) % 256
        block = room[start : start + size + 2 * GUARD]
        block[GUARD : GUARD + size] = 0
        address = int(block.ctypes.data) + GUARD
        self._blocks[address] = block
        self.allocated.append(size)
        return address

    def free(self, address: int) -> None:
        self.synchronize()
        block = self._blocks.pop(address)
        self.freed += 1
        assert (block[:GUARD] == MARK).all(), "written before the allocation"
        assert (block[-GUARD:] == MARK).all(), "written behind the allocation"

    def pinned(self, size: int) -> Array:
        return np.full(size, MARK, np.uint8)

    def place(self, address: int, size: int) -> Array:
        """The bytes of the device at an address."""
        for start, block in self._blocks.items():
            if start <= address and address + size <= start + len(block) - 2 * GUARD:
                first = GUARD + address - start
                return block[first : first + size]
        raise AssertionError(f"{size} bytes at {address} are in no allocation")

    # --- copies ---
    def upload(self, address: int, array: Array) -> None:
        self.synchronize_work(lambda: self._put(address, array))

    def download(self, array: Array, address: int) -> None:
        def get() -> None:
            array.reshape(-1).view(np.uint8)[:] = self.place(address, array.nbytes)

        self.synchronize_work(get)

    def upload_soon(self, address: int, pinned: Array) -> None:
        self._ask(self._work, lambda: self._put(address, pinned))

    def upload_beside(self, address: int, pinned: Array) -> Moment:
        self._ask(self._beside, lambda: self._put(address, pinned))
        return Moment(self._beside, len(self._beside.asked))

    def _put(self, address: int, array: Array) -> None:
        assert array.flags.c_contiguous
        self.place(address, array.nbytes)[:] = array.reshape(-1).view(np.uint8)

    # --- moments ---
    def mark(self) -> Moment:
        assert self._captured is None
        return Moment(self._work, len(self._work.asked))

    def wait(self, event: Moment) -> None:
        assert self._captured is None
        event.come()

    def work_after(self, event: Moment) -> None:
        self._ask(self._work, event.come)

    def beside_after(self, event: Moment) -> None:
        self._ask(self._beside, event.come)

    def synchronize(self) -> None:
        assert self._captured is None
        for queue in (self._work, self._beside):
            queue.run(len(queue.asked))

    def synchronize_work(self, work: Work) -> None:
        """Ask for it, and wait for it and all before."""
        self._ask(self._work, work)
        self._work.run(len(self._work.asked))

    def seconds(self, work: Work) -> float:
        """What `cost` says of the kernels that ran, and of the products, which are called "product"."""
        self.synchronize()
        before = len(self.launched)
        work()
        self.synchronize()
        return self.cost(self.launched[before:])

    def _ask(self, queue: Queue, work: Work) -> None:
        if self._captured is not None:
            assert queue is self._work, "only work is captured"
            self._captured.append(work)
            return
        queue.asked.append(work)
        if not self.late:
            queue.run(len(queue.asked))

    # --- kernels ---
    def load(self, text: str, name: str, macros: Mapping[str, int]) -> EmulatedKernels:
        return EmulatedKernels(self, Kernels(text, [f"{macro}={value}" if value != 1 else macro
                                                    for macro, value in sorted(macros.items())]))  # fmt: skip

    def library(self, plan: Plan, products: Sequence[LibraryProduct], memory: int) -> EmulatedLibrary:
        return EmulatedLibrary(self, plan, products, memory)

    def capture(self, work: Work) -> EmulatedGraph:
        assert self._captured is None
        self._captured = []
        work()
        captured, self._captured = self._captured, None
        return EmulatedGraph(self, captured)

    @property
    def is_capturing(self) -> bool:
        return self._captured is not None

    def ask(self, work: Work) -> None:
        """Work in the order of the stream."""
        self._ask(self._work, work)


@dataclass(frozen=True)
class EmulatedGraph:
    device: EmulatedDevice
    captured: list[Work]

    def launch(self) -> None:
        for work in self.captured:
            self.device.ask(work)


class EmulatedLibrary:
    """`cublaslt.Library`, whose work is done in the order of the stream. api: the stand-in for cuBLASLt."""

    def __init__(self, device: EmulatedDevice, plan: Plan, products: Sequence[LibraryProduct], memory: int) -> None:
        self.device, self.api = device, device.cublaslt()
        self._library = Library(plan, products, memory, lambda: STREAM, Kernels(rounding_text()), self.api)

    def prepare(
        self, product: LibraryProduct, rows: int, address: Callable[[int], int], piece: int = 0
    ) -> EmulatedProduct:
        assert not self.device.is_capturing, "heuristics are not asked while capturing"
        return EmulatedProduct(self.device, self._library.prepare(product, rows, address, piece))

    def close(self) -> None:
        self._library.close()
        assert not self.api.alive, "descriptors that nobody destroyed"


class EmulatedProduct:
    def __init__(self, device: EmulatedDevice, product: PreparedProduct) -> None:
        self._device, self._product, self.candidates = device, product, product.candidates

    @property
    def chosen(self) -> int:
        return self._product.chosen

    @chosen.setter
    def chosen(self, number: int) -> None:
        self._product.chosen = number

    def run(self) -> None:
        self._device.ask(self._run)

    def _run(self) -> None:
        self._device.launched.append("product")
        self._product.run()

    def measure(self, seconds: Callable[[Work], float]) -> float:
        self._device.synchronize()
        return self._product.measure(lambda work: seconds(self.run))

    def close(self) -> None:
        self._device.synchronize()
        self._product.close()


class EmulatedKernels:
    """Arguments are taken when a launch is asked for, as CUDA does it."""

    def __init__(self, device: EmulatedDevice, kernels: Kernels) -> None:
        self._device, self._kernels = device, kernels

    def launch(
        self, name: str, grid: int, block: int, shared_bytes: int, arguments: Arguments, cooperative: bool = False
    ) -> None:
        values = [_by_value(value) for value in arguments]

        def run() -> None:
            self._device.launched.append(name)
            self._kernels.launch(name, grid, block, shared_bytes, values, cooperative)

        self._device.ask(run)

    def blocks_at_once(self, name: str, block: int, shared_bytes: int) -> int:
        assert name in self._kernels.names
        return 2 * self._device.multiprocessors


def _by_value(value: Array | int) -> Any:
    if isinstance(value, int):
        return ctypes.c_int64(value)
    return (ctypes.c_char * value.nbytes).from_buffer_copy(value.tobytes())
