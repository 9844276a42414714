"""The CUDA runtime: a plan printed as CUDA C, run on a GPU in one block of its memory.

`run` asks for work and returns while the device is at it; `fetch` and `read` wait for what they give.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from nnc.compiler.plan import ROWS_FEED, Plan
from nnc.runtime.initial import initial_values
from nnc.runtime.protocol import Array, Feed, Rows
from nnc.runtime.reference import ReferenceRuntime

from .choice import Choice, choose, memory_for
from .device import Device, Event, ProductLibrary
from .feeds import Feeds
from .graphs import Code, steps_of
from .memory import DeviceMemory

_LEAST_TO_HALVE: Final = 8  # steps of a call that is asked for in two halves


class CudaRuntime:
    """Executes plans on an NVIDIA GPU.

    device: the first one that CuPy finds, unless given. choose: decides how each program is launched, and what a
    library does of it.
    """

    name = "cuda"

    def __init__(self, device: Device | None = None, choose: Callable[[Plan, Device], Choice] = choose) -> None:
        self._device, self._choose = device, choose

    def prepare(self, plan: Plan) -> CudaSession:
        """Print, compile (or find in the cache) and load the plan's kernels; give every variable its initial value.

        Raises: ToolchainError E0940-E0948: no GPU that works, too little memory, kernels that do not compile.
        """
        return CudaSession(plan, self.device, self._choose(plan, self.device))

    @property
    def device(self) -> Device:
        """The GPU. Raises: ToolchainError E0940-E0945 where there is none that works."""
        if self._device is None:
            from .cupy_device import CupyDevice

            self._device = CupyDevice()
        return self._device


class CudaSession:
    """One prepared plan: its memory on the device, its kernels, and the samples that are bound."""

    def __init__(self, plan: Plan, device: Device, choice: Choice) -> None:
        self.plan, self.choice, self._device = plan, choice, device
        code = Code(device, plan, choice.module)
        own = Code(device, plan, choice.own) if choice.own is not None else None
        self._memory = memory_for(code, choice)
        self._feeds = Feeds(device, plan.batch_size)
        libraries: list[ProductLibrary] = []
        # a process that ends gives all back by itself
        weakref.finalize(self, _give_back, device, self._feeds, libraries, self._memory).atexit = False
        if choice.products:
            libraries.append(device.library(plan, choice.products, self._memory.workspace))
        library = libraries[0] if libraries else None
        self._steps = {
            name: steps_of(code, self._memory, name, kind, library, choice.algorithms.get(name), own)
            for name, kind in choice.kinds.items()
        }
        self._fed = {program.name: program.feeds for program in choice.module.programs}
        self._fetches = {program.name: dict(program.fetches) for program in plan.programs}
        self._variables = {variable.name: id for variable, id in plan.variables}
        self._rows: dict[str, int] = {}
        self._before: Event | None = None
        for name, value in initial_values(plan):
            self.write(name, value)

    def bind(self, program: str, feeds: Mapping[str, Feed]) -> None:
        places = {name: id for name, id in self.plan.program(program).feeds if name != ROWS_FEED}
        assert places.keys() == feeds.keys(), (sorted(places), sorted(feeds))
        assert len({len(source) for source in feeds.values()}) <= 1, {name: len(feeds[name]) for name in feeds}
        for name, source in feeds.items():
            type = self.plan.buffers[places[name]].type
            expected = (type.concrete(1)[1:], np.dtype(type.dtype))
            assert (source.shape[1:], source.dtype) == expected, (name, source.shape, source.dtype)
        self._feeds.bind(program, self._fed[program], feeds)

    def run(self, program: str, rows: Rows) -> None:
        """Steps over `rows`, a batch at a time. Work for the device may be left when it returns, at most half a call's.

        So whoever times a call knows how long such calls take, and the device does not wait for the next one.
        """
        rows = np.ascontiguousarray(rows, np.int64)
        assert len(rows), "a step has at least one row"
        length = self._feeds.length(program)
        assert not self._fed[program] or (rows.min() >= 0 and rows.max() < length), (rows, length)
        size, done = self._rows_at_once(len(rows)), 0
        while done < len(rows):
            places, numbers = self._feeds.place(program, rows[done : done + size])
            self._memory.call(places, numbers)
            self._steps[program].run(len(numbers))
            done += len(numbers)
            event = self._device.mark()
            self._feeds.used(program, event)
            if self._before is not None:
                self._device.wait(self._before)
            self._before = event
        batch_size = self.plan.batch_size
        self._rows[program] = len(rows) % batch_size or min(len(rows), batch_size)

    def _rows_at_once(self, rows: int) -> int:
        """What one call of the device gets of so many samples: whole batches."""
        batch_size = self.plan.batch_size
        steps = -(-rows // batch_size)
        half = -(-steps // 2) if steps >= _LEAST_TO_HALVE else steps
        return min(half * batch_size, self._memory.numbers)

    def trace(self, program: str, rows: Rows) -> Iterator[tuple[tuple[int, ...], tuple[Array, ...]]]:
        """Followed by the reference runtime, from the same variables; these then have what it computed."""
        reference = ReferenceRuntime().prepare(self.plan)
        for name in self._variables:
            reference.write(name, self.read(name))
        reference.bind(program, self._feeds.sources(program))
        yield from reference.trace(program, rows)
        for name in self._variables:
            self.write(name, reference.read(name))

    def fetch(self, program: str, name: str) -> Array:
        assert program in self._rows, f"{program} has not run"
        value = self._memory.read(self._fetches[program][name], self._rows[program])
        value.flags.writeable = False
        return value

    def read(self, variable: str) -> Array:
        return self._memory.read(self._variables[variable], 1)

    def write(self, variable: str, value: Array) -> None:
        id = self._variables[variable]
        type = self.plan.buffers[id].type
        expected = (type.concrete(1), np.dtype(type.dtype))
        assert (value.shape, value.dtype) == expected, (variable, value.shape, value.dtype)
        self._memory.write(id, 1, value)


def _give_back(device: Device, feeds: Feeds, libraries: Sequence[ProductLibrary], memory: DeviceMemory) -> None:
    """When a session goes: wait for its work, then free what it has on the device."""
    device.synchronize()
    feeds.free()
    for library in libraries:
        library.close()
    memory.free()
