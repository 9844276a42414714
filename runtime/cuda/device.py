"""What the CUDA runtime asks of a device.

All work goes into one stream and is done in the order in which it was asked for; the host goes on meanwhile and waits
only where a method says so. A second stream, "beside" it, is for samples on their way to the device. `cupy_device.py`
is the device that CuPy drives. Whatever is asked of a device raises ToolchainError E0947 where the device fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from nnc.compiler.codegen.cuda.records import LibraryProduct
from nnc.compiler.plan import Plan
from nnc.runtime.protocol import Array

Arguments = tuple[Array | int, ...]  # of a kernel: arrays of one element, passed by value; an int has 64 bits
Event = Any  # a moment of a stream, which one device made and only that one understands


class Kernels(Protocol):
    """Compiled kernels on a device."""

    def launch(
        self, name: str, grid: int, block: int, shared_bytes: int, arguments: Arguments, cooperative: bool = False
    ) -> None:
        """Ask for a kernel on `grid` blocks of `block` threads. cooperative: all blocks must run at the same time."""

    def blocks_at_once(self, name: str, block: int, shared_bytes: int) -> int:
        """How many blocks of a kernel the whole device runs at the same time."""


class Graph(Protocol):
    """Work that was captured: one launch asks for all of it."""

    def launch(self) -> None: ...


class PreparedProduct(Protocol):
    """A product of matrices by a library. candidates: ways to compute it. chosen: the number of the one that runs."""

    candidates: tuple[Any, ...]
    chosen: int

    def run(self) -> None:
        """Ask for it, captured or not."""

    def measure(self, seconds: Callable[[Callable[[], None]], float]) -> float:
        """Choose the quickest candidate; gives its time. Overwrites what the product writes."""

    def close(self) -> None: ...


class ProductLibrary(Protocol):
    """A library that does products of one plan, as `cublaslt.Library`."""

    def prepare(
        self, product: LibraryProduct, rows: int, address: Callable[[int], int], piece: int = 0
    ) -> PreparedProduct:
        """For a batch of `rows`, never while capturing. address: of a buffer; piece: of a result without one."""

    def close(self) -> None: ...


class Device(Protocol):
    """One GPU. Addresses are bytes in its memory; sizes are bytes.

    name: "NVIDIA H100 80GB HBM3". arch: what kernels are compiled for, "sm_90". driver: its version. shared_limit: the
    most dynamic shared memory of a block. is_timed: whether times taken on it mean anything.
    """

    name: str
    arch: str
    driver: str
    multiprocessors: int
    total_bytes: int
    shared_limit: int
    is_timed: bool

    # --- memory ---
    def free_bytes(self) -> int:
        """What can be allocated now."""

    def allocate(self, size: int) -> int:
        """The address of zeroed bytes, a multiple of 256. Raises: ToolchainError E0946 for more than
        there are."""

    def free(self, address: int) -> None: ...

    def pinned(self, size: int) -> Array:
        """uint8[size] of the host's memory that copies read while the host goes on."""

    # --- copies ---
    def upload(self, address: int, array: Array) -> None:
        """Copy a C-contiguous array to the device; waits until it is there."""

    def download(self, array: Array, address: int) -> None:
        """Fill a C-contiguous array from the device; waits for it and all that was asked for before."""

    def upload_soon(self, address: int, pinned: Array) -> None:
        """Copy pinned bytes in the order of the work; they must stay as they are until it is done."""

    def upload_beside(self, address: int, pinned: Array) -> Event:
        """Copy pinned bytes in the second stream; the event is when they are there."""

    # --- moments ---
    def mark(self) -> Event:
        """When all is done that has been asked for so far."""

    def wait(self, event: Event) -> None:
        """The host waits."""

    def work_after(self, event: Event) -> None:
        """What is asked for from now on begins after the event."""

    def beside_after(self, event: Event) -> None:
        """So do copies in the second stream."""

    def synchronize(self) -> None:
        """The host waits for everything."""

    def seconds(self, work: Callable[[], None]) -> float:
        """How long the device takes for what `work` asks for."""

    # --- kernels ---
    def load(self, text: str, name: str, macros: Mapping[str, int]) -> Kernels:
        """Compile CUDA C, or find it in the cache, and load it. name: of the model, for people.

        Raises: ToolchainError E0948 where it does not compile.
        """

    def library(self, plan: Plan, products: Sequence[LibraryProduct], memory: int) -> ProductLibrary:
        """The library for products of a plan. memory: of as many bytes as `cublaslt.library_memory` counts."""

    def capture(self, work: Callable[[], None]) -> Graph:
        """What `work` asks for, as a graph; nothing of it is done."""
