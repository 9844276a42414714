"""A stand-in for the part of CuPy that `cupy_device.py` and `cubins.py` use, over the host's memory and the shim.

It takes what CuPy takes (positions and names as in CuPy 14's source) and refuses what CuPy refuses while a stream is
captured. `calls` has the names of all that was asked. A "cubin" is the text with its options.
"""

from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from emulated import Kernels


class CUDARuntimeError(RuntimeError):
    pass


class CUDADriverError(RuntimeError):
    pass


class NVRTCError(RuntimeError):
    pass


class StandIn:
    """A GPU of `total` bytes. fails: name of a call -> what it raises."""

    def __init__(self, total: int = 1 << 30) -> None:
        self.total = total
        self.calls: list[str] = []
        self.fails: dict[str, Exception] = {}
        self.memory: dict[int, Any] = {}
        self.programs: dict[int, Any] = {}
        self.refuses = ""  # text that the compiler refuses
        self.capturing: list[Callable[[], None]] | None = None

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Take the place of CuPy in imports."""
        runtime, driver, nvrtc = self._runtime(), self._driver(), self._nvrtc()
        cuda = _module(
            "cupy.cuda", runtime=runtime, Stream=lambda **options: Stream(self, **options), Event=Event,
            get_elapsed_time=lambda begun, ended: 2.0, alloc_pinned_memory=self._pinned,
            function=_module("cupy.cuda.function", Module=lambda: Module(self)),
        )  # fmt: skip
        api, libs = _module("api", runtime=runtime, driver=driver), _module("libs", nvrtc=nvrtc)
        modules = {
            "cupy": _module("cupy", cuda=cuda), "cupy_backends": _module("cupy_backends"),
            "cupy_backends.cuda": _module("cuda"), "cupy_backends.cuda.api": api, "cupy_backends.cuda.libs": libs,
        }  # fmt: skip
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)

    def asked(self, name: str) -> None:
        self.calls.append(name)
        if name in self.fails:
            raise self.fails[name]

    def ask(self, work: Callable[[], None]) -> None:
        if self.capturing is not None:
            self.capturing.append(work)
        else:
            work()

    # --- modules ------------------------------------------------------------------------------------------------------
    def _runtime(self) -> ModuleType:
        def malloc(size: int) -> int:
            self.asked("malloc")
            if size > self.free():
                raise CUDARuntimeError("cudaErrorMemoryAllocation: out of memory")
            block = np.full(size + 256, 0xA5, np.uint8)
            address = -(-block.ctypes.data // 256) * 256
            self.memory[address] = block
            return address

        def free(ptr: int) -> None:
            self.asked("free")
            del self.memory[ptr]

        def memset(ptr: int, value: int, size: int, stream: int) -> None:
            self.asked("memsetAsync")
            ctypes.memset(ptr, value, size)

        def memcpy(dst: int, src: int, size: int, kind: int, stream: int) -> None:
            self.asked("memcpyAsync")
            assert kind in (1, 2)
            self.ask(lambda: ctypes.memmove(dst, src, size) and None)

        return _module(
            "runtime", malloc=malloc, free=free, memsetAsync=memset, memcpyAsync=memcpy, driverGetVersion=lambda: 13010,
            setDevice=lambda device: self.asked("setDevice"), memGetInfo=lambda: (self.free(), self.total),
            deviceGetAttribute=lambda attrib, device: {97: 227 << 10}[attrib], CUDARuntimeError=CUDARuntimeError,
            runtimeGetVersion=lambda: 13000,
        )  # fmt: skip

    def free(self) -> int:
        return self.total - sum(len(block) for block in self.memory.values())

    def _driver(self) -> ModuleType:
        def occupancy(func: int, blockSize: int, dynamicSMemSize: int) -> int:  # noqa: N803
            return 2

        return _module(
            "driver", occupancyMaxActiveBlocksPerMultiprocessor=occupancy, CUDADriverError=CUDADriverError,
            funcSetAttribute=lambda f, attribute, value: self.asked(f"funcSetAttribute {attribute} {value}"),
        )  # fmt: skip

    def _nvrtc(self) -> ModuleType:
        def create(src: str, name: str, headers: tuple[bytes, ...], include_names: tuple[bytes, ...]) -> int:
            self.asked("createProgram")
            assert len(headers) == len(include_names)
            assert all(isinstance(part, bytes) for part in (*headers, *include_names))
            number = len(self.programs) + 1
            self.programs[number] = {"text": src, "headers": [name.decode() for name in include_names]}
            return number

        def compile_program(prog: int, options: tuple[str, ...]) -> None:
            self.asked("compileProgram")
            self.programs[prog]["options"] = list(options)
            if self.refuses and self.refuses in self.programs[prog]["text"]:
                raise NVRTCError("NVRTC_ERROR_COMPILATION (6)")

        return _module(
            "nvrtc", NVRTCError=NVRTCError, getVersion=lambda: (13, 0), getSupportedArchs=lambda: (80, 90),
            createProgram=create, compileProgram=compile_program,
            destroyProgram=lambda prog: self.asked("destroyProgram"),
            getCUBIN=lambda prog: json.dumps(self.programs[prog]).encode(),
            getProgramLog=lambda prog: "kernels.cu(3): error: no such thing\n",
        )  # fmt: skip

    def _pinned(self, size: int) -> bytearray:
        self.asked("alloc_pinned_memory")
        return bytearray(size + 7)


class Event:
    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False) -> None:
        self.is_recorded = False

    def synchronize(self) -> None:
        assert self.is_recorded


class Stream:
    def __init__(self, stand_in: StandIn, non_blocking: bool = False) -> None:
        assert non_blocking
        self._stand_in, self.ptr = stand_in, id(self)

    def synchronize(self) -> None:
        assert self._stand_in.capturing is None, "cudaErrorStreamCaptureUnsupported"
        self._stand_in.asked("synchronize")

    def record(self, event: Event) -> Event:
        event.is_recorded = True
        return event

    def wait_event(self, event: Event) -> None:
        assert event.is_recorded

    def begin_capture(self, mode: int | None = None) -> None:
        self._stand_in.asked("begin_capture")
        self._stand_in.capturing = []

    def end_capture(self) -> Graph:
        captured, self._stand_in.capturing = self._stand_in.capturing, None
        assert captured is not None
        return Graph(captured)


class Graph:
    def __init__(self, captured: list[Callable[[], None]]) -> None:
        self._captured = captured

    def launch(self, stream: Stream) -> None:
        for work in self._captured:
            work()


class Module:
    def __init__(self, stand_in: StandIn) -> None:
        self._stand_in = stand_in

    def load(self, cubin: bytes) -> None:
        self._stand_in.asked("load")
        program = json.loads(cubin)
        defines = [option[2:].removesuffix("=1") for option in program["options"] if option.startswith("-D")]
        self._kernels = Kernels(program["text"], defines)

    def get_function(self, name: str) -> Function:
        assert name in self._kernels.names, name
        return Function(self._stand_in, self._kernels, name)


class Function:
    def __init__(self, stand_in: StandIn, kernels: Kernels, name: str) -> None:
        self._stand_in, self._kernels, self._name, self.ptr = stand_in, kernels, name, id(self)

    def __call__(
        self, grid: tuple[int, ...], block: tuple[int, ...], args: list[Any], shared_mem: int = 0,
        stream: Stream | None = None, enable_cooperative_groups: bool = False,
    ) -> None:  # fmt: skip
        self._stand_in.asked("launch")
        assert all(isinstance(value, np.ndarray) and value.size == 1 for value in args)
        values = [(ctypes.c_char * value.nbytes).from_buffer_copy(value.tobytes()) for value in args]
        self._stand_in.ask(
            lambda: self._kernels.launch(self._name, *grid, *block, shared_mem, values, enable_cooperative_groups)
        )


def _module(name: str, **content: Any) -> ModuleType:
    module = ModuleType(name)
    module.__dict__.update(content)
    return module
