"""The GPU that CuPy drives. CuPy is imported here alone, and only once somebody asks for a GPU.

Only CuPy's thin functions over the driver are used, on addresses: no arrays of CuPy's, no memory pool of the device's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import numpy as np

from nnc.compiler.codegen.cuda.records import LibraryProduct
from nnc.compiler.plan import Plan
from nnc.runtime.finding import refuse
from nnc.runtime.protocol import Array

from .cubins import kept_cubin
from .cublaslt import Library, LibraryUnavailableError, rounding_text
from .device import Arguments, Event, Graph, Kernels
from .probe import probe, require_gpu
from .refusals import device_fails, too_little_memory

_TO_DEVICE, _TO_HOST = 1, 2  # cudaMemcpyKind
_MAX_DYNAMIC_SHARED_BYTES: Final = 8  # CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
_SHARED_LIMIT: Final = 97  # cudaDevAttrMaxSharedMemoryPerBlockOptin
_STATIC_SHARED_LIMIT: Final = 48 << 10  # bytes a kernel may have without asking


class CupyDevice:
    """The first GPU that CUDA_VISIBLE_DEVICES leaves to see. Raises: ToolchainError E0940-E0945, E0947."""

    is_timed = True

    def __init__(self) -> None:
        gpu = require_gpu()
        self.name, self.arch = gpu.name, gpu.arch
        self.multiprocessors, self.total_bytes = gpu.multiprocessors, gpu.memory_bytes
        import cupy
        from cupy_backends.cuda.api import driver

        self._cuda, self._driver, self._runtime = cupy.cuda, driver, cupy.cuda.runtime
        with self.refused("starting"):
            self._runtime.setDevice(0)
            self.driver = str(self._runtime.driverGetVersion())
            self.shared_limit = int(self._runtime.deviceGetAttribute(_SHARED_LIMIT, 0))
            self._stream = self._cuda.Stream(non_blocking=True)
            self._beside = self._cuda.Stream(non_blocking=True)

    # --- memory ---
    def free_bytes(self) -> int:
        with self.refused("asking for its free memory"):
            return int(self._runtime.memGetInfo()[0])

    def allocate(self, size: int) -> int:
        """Raises: ToolchainError E0946 where there are not so many bytes."""
        free = self.free_bytes()
        try:
            address = int(self._runtime.malloc(max(size, 1)))
        except self._runtime.CUDARuntimeError as error:
            if "MemoryAllocation" not in str(error):
                raise device_fails(self.name, "allocating memory", _said(error)) from None
            raise too_little_memory(self.name, size, free, self.total_bytes) from None
        with self.refused("clearing its memory"):
            self._runtime.memsetAsync(address, 0, size, self._stream.ptr)
        return address

    def free(self, address: int) -> None:
        with self.refused("freeing memory"):
            self._runtime.free(address)

    def pinned(self, size: int) -> Array:
        with self.refused("pinning memory of the host"):
            return np.frombuffer(self._cuda.alloc_pinned_memory(size), np.uint8, size)

    # --- copies ---
    def upload(self, address: int, array: Array) -> None:
        assert array.flags.c_contiguous
        with self.refused("copying to it"):
            self._runtime.memcpyAsync(address, array.ctypes.data, array.nbytes, _TO_DEVICE, self._stream.ptr)
            self._stream.synchronize()

    def download(self, array: Array, address: int) -> None:
        assert array.flags.c_contiguous
        with self.refused("running a program"):  # which is what the copy waits for
            self._runtime.memcpyAsync(array.ctypes.data, address, array.nbytes, _TO_HOST, self._stream.ptr)
            self._stream.synchronize()

    def upload_soon(self, address: int, pinned: Array) -> None:
        with self.refused("copying to it"):
            self._runtime.memcpyAsync(address, pinned.ctypes.data, pinned.nbytes, _TO_DEVICE, self._stream.ptr)

    def upload_beside(self, address: int, pinned: Array) -> Event:
        with self.refused("copying samples to it"):
            self._runtime.memcpyAsync(address, pinned.ctypes.data, pinned.nbytes, _TO_DEVICE, self._beside.ptr)
            return self._beside.record(self._cuda.Event(disable_timing=True))

    # --- moments ---
    def mark(self) -> Event:
        with self.refused("marking a moment"):
            return self._stream.record(self._cuda.Event(disable_timing=True))

    def wait(self, event: Event) -> None:
        with self.refused("running a program"):
            event.synchronize()

    def work_after(self, event: Event) -> None:
        with self.refused("ordering its work"):
            self._stream.wait_event(event)

    def beside_after(self, event: Event) -> None:
        with self.refused("ordering its work"):
            self._beside.wait_event(event)

    def synchronize(self) -> None:
        with self.refused("running a program"):
            self._stream.synchronize()
            self._beside.synchronize()

    def seconds(self, work: Callable[[], None]) -> float:
        with self.refused("measuring"):
            begun, ended = self._cuda.Event(), self._cuda.Event()
            self._stream.record(begun)
            work()
            self._stream.record(ended)
            ended.synchronize()
            return float(self._cuda.get_elapsed_time(begun, ended)) / 1000

    # --- kernels ---
    def load(self, text: str, name: str, macros: Mapping[str, int]) -> Kernels:
        """Raises: ToolchainError E0948 where it does not compile."""
        cubin = kept_cubin(text, name, self.arch, macros)
        with self.refused("loading kernels"):
            module = self._cuda.function.Module()
            module.load(cubin)
        return _CupyKernels(self, module, self._driver, self._stream)

    def library(self, plan: Plan, products: Sequence[LibraryProduct], memory: int) -> Library:
        """cuBLASLt. Raises: ToolchainError E0944 where it or its binding is missing."""
        is_rounding = any(product.compute == "bfloat16" for product in products)
        kernels: Any = self.load(rounding_text(), "rounding", {}) if is_rounding else None
        try:
            return Library(plan, products, memory, lambda: int(self._stream.ptr), kernels)
        except LibraryUnavailableError as error:
            refuse(finding for finding in probe().findings if finding.subject == "cuBLASLt")
            raise device_fails(self.name, "loading cuBLASLt", str(error)) from None

    def capture(self, work: Callable[[], None]) -> Graph:
        with self.refused("capturing a graph"):
            self._stream.begin_capture()
            try:
                work()
            except BaseException:
                with suppress(self._runtime.CUDARuntimeError):  # what went wrong in the block is what matters
                    self._stream.end_capture()
                raise
            return _CupyGraph(self, self._stream.end_capture(), self._stream)

    @contextmanager
    def refused(self, doing: str) -> Iterator[None]:
        """Raises: ToolchainError E0947 for what the driver refuses in the block."""
        try:
            yield
        except (self._runtime.CUDARuntimeError, self._driver.CUDADriverError) as error:
            raise device_fails(self.name, doing, _said(error)) from None


class _CupyKernels:
    """A loaded module of the driver's."""

    def __init__(self, device: CupyDevice, module: Any, driver: Any, stream: Any) -> None:
        self._device, self._module, self._driver, self._stream = device, module, driver, stream
        self._functions: dict[str, Any] = {}

    def launch(
        self, name: str, grid: int, block: int, shared_bytes: int, arguments: Arguments, cooperative: bool = False
    ) -> None:
        function = self._function(name, shared_bytes)
        values = [np.array([value], np.int64) if isinstance(value, int) else value for value in arguments]
        with self._device.refused(f"launching {name}"):
            function((grid,), (block,), values, shared_bytes, self._stream, cooperative)

    def blocks_at_once(self, name: str, block: int, shared_bytes: int) -> int:
        function = self._function(name, shared_bytes)
        with self._device.refused(f"asking about {name}"):
            each = self._driver.occupancyMaxActiveBlocksPerMultiprocessor(function.ptr, block, shared_bytes)
        return int(each) * self._device.multiprocessors

    def _function(self, name: str, shared_bytes: int) -> Any:
        if name not in self._functions:
            with self._device.refused(f"finding {name}"):
                function = self._module.get_function(name)
                if shared_bytes > _STATIC_SHARED_LIMIT:
                    self._driver.funcSetAttribute(function.ptr, _MAX_DYNAMIC_SHARED_BYTES, shared_bytes)
                self._functions[name] = function
        return self._functions[name]


class _CupyGraph:
    def __init__(self, device: CupyDevice, graph: Any, stream: Any) -> None:
        self._device, self._graph, self._stream = device, graph, stream

    def launch(self) -> None:
        with self._device.refused("launching a graph"):
            self._graph.launch(self._stream)


def _said(error: Exception) -> str:
    """`cudaErrorLaunchFailure: unspecified launch failure`."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
