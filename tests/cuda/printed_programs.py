"""Printed modules as sessions on the processor: every launch goes to `emulated.py`.

What a session on a GPU does about memory, graphs and streams is not tried here; only what kernels compute, launched
phase by phase or resident, by teams of several kinds.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from emulated import CLUSTER, Kernels
from library_ways import ManualInNumpy

from nnc.compiler.codegen.cuda.module import print_cuda_module
from nnc.compiler.codegen.cuda.records import CudaModule, CudaProgram, Launch, LibraryCall
from nnc.compiler.plan import Plan
from nnc.runtime.initial import initial_values
from nnc.runtime.protocol import Array, Feed, Rows
from nnc.runtime.reference.arena import Arena, aligned_bytes

_SQUAD = 8
_LANES = 32


class Memory(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("fixed", "work", "pieces", "scratch")]


class FeedRows(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("stride", ctypes.c_int64)]


class Job(ctypes.Structure):
    _fields_ = [
        ("feeds", ctypes.c_void_p), ("numbers", ctypes.c_void_p), ("first", ctypes.c_int64), ("count", ctypes.c_int64),
        ("batch", ctypes.c_int64), ("barrier", ctypes.c_void_p),
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Way:
    """How programs are launched. team: "" for phase by phase, else the macro; warps: of a block; blocks: at most."""

    team: str
    warps: int
    blocks: int

    @property
    def defines(self) -> tuple[str, ...]:
        return (*((self.team,) if self.team else ()), f"WARPS={self.warps}")


PHASES = Way("", 8, 3)
MANY_BLOCKS = Way("", 8, 1000)   # enough for each call of a phase to have warps of its own
BLOCK = Way("TEAM_BLOCK", 8, 1)
WIDE_BLOCK = Way("TEAM_BLOCK", 16, 1)
CLUSTERED = Way("TEAM_CLUSTER", 8, CLUSTER)
GRID = Way("TEAM_GRID", 8, 3)


class EmulatedSession:
    """A plan's variables and data in memory of the processor, its programs launched in one of the ways."""

    def __init__(self, plan: Plan, way: Way, module: CudaModule | None = None, finds_races: bool = False) -> None:
        self.plan, self.way = plan, way
        self.module = module or print_cuda_module(plan)
        self._kernels = Kernels(self.module.text, way.defines, finds_races)
        self._arena = Arena(plan)
        self._variables = {variable.name: self._arena.view(id, 1) for variable, id in plan.variables}
        self._pieces = aligned_bytes(max(self.module.piece_bytes, 1))
        self._scratch = aligned_bytes(max(self.module.scratch_bytes * way.blocks * way.warps, 1))
        self._barrier = np.zeros(1, np.uint32)
        phases = [phase for program in self.module.programs for phase in program.phases]
        products = tuple([phase.product for phase in phases if isinstance(phase, LibraryCall)])
        self._library = ManualInNumpy(self._arena, products)
        base = self._arena.address
        self._memory = Memory(base, base, self._pieces.ctypes.data, self._scratch.ctypes.data)
        self._programs = {program.name: program for program in self.module.programs}
        self._sources: dict[str, Mapping[str, Array]] = {}
        self._rows = 0
        for name, value in initial_values(plan):
            self.write(name, value)

    def bind(self, program: str, feeds: Mapping[str, Feed]) -> None:
        self._sources[program] = {name: np.ascontiguousarray(array) for name, array in feeds.items()}

    def run(self, program: str, rows: Rows) -> None:
        own = self._programs[program]
        numbers = np.ascontiguousarray(rows, np.int64)
        sources = self._sources[program]
        feeds = (FeedRows * max(len(own.feeds), 1))()
        for place, feed in zip(feeds, own.feeds, strict=False):
            place.data, place.stride = sources[feed.name].ctypes.data, feed.row_bytes
        batch, count = self.plan.batch_size, len(rows)
        job = Job(ctypes.addressof(feeds), numbers.ctypes.data, 0, count, batch, self._barrier.ctypes.data)
        if self.way.team:
            self._launch(own.resident, self.way.blocks, job, -1)
        else:
            self._run_phases(own, job)
        self._rows = (count - 1) % batch + 1

    def _run_phases(self, program: CudaProgram, job: Job) -> None:
        while job.first < job.count:
            before, rows = job.first, min(job.batch, job.count - job.first)
            for phase in program.phases:
                if isinstance(phase, Launch):
                    self._launch(phase.kernel, min(-(-phase.warps // self.way.warps), self.way.blocks), job, rows)
                else:
                    self._multiply(phase, rows)
            assert job.first == before + rows, "the last phase counts the batch"

    def _multiply(self, call: LibraryCall, rows: int) -> None:
        """As the library's manual says, into the piece that the next kernels read."""
        result = self._library.run(call.product, rows)
        if call.piece is not None:
            assert call.piece.end - call.piece.start >= result.nbytes
            self._pieces[call.piece.start :][: result.nbytes].view(np.float32)[:] = result.ravel()

    def _launch(self, kernel: str, blocks: int, job: Job, rows: int) -> None:
        shared = self.module.shared_bytes * (self.way.warps // _SQUAD)
        arguments = [self._memory, ctypes.c_void_p(ctypes.addressof(job)), ctypes.c_long(rows)]
        together = self.way.team == "TEAM_GRID"
        self._kernels.launch(kernel, blocks, self.way.warps * _LANES, shared, arguments, together)

    def fetch(self, program: str, name: str) -> Array:
        return self._arena.view(dict(self.plan.program(program).fetches)[name], self._rows)

    def read(self, variable: str) -> Array:
        return self._variables[variable].copy()

    def write(self, variable: str, value: Array) -> None:
        np.copyto(self._variables[variable], value)
