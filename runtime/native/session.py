"""The native runtime: a plan printed as C, compiled for this machine, called once for many steps."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from nnc.compiler.codegen.layouts import Run
from nnc.compiler.codegen.module import Entry, Module, print_module
from nnc.compiler.codegen.target import AVX2, AVX512, VECTOR128, Target
from nnc.compiler.plan import Plan
from nnc.runtime.initial import initial_values
from nnc.runtime.predictor import Audit
from nnc.runtime.protocol import Array, Feed, Rows
from nnc.runtime.reference import ReferenceRuntime
from nnc.runtime.reference.arena import Arena, aligned_bytes

from .bfloat16 import rounding_target
from .cache import compile_library
from .library import FeedRows, Job, Library, Memory
from .pace import Pace
from .predictor import Code, NativePredictor, Weights
from .toolchain import require_toolchain

STAGED_BYTES: Final = 8 << 20  # of samples that are read from a source before the steps that use them


class NativeRuntime:
    """Executes plans as compiled C.

    threads: how many work together; by default as many as the process may use, or one where that is quicker just then.
    Results do not depend on it.
    """

    name = "native"

    def __init__(self, threads: int | None = None) -> None:
        self._ways = (threads,) if threads is not None else (usable_processors(), 1)

    def prepare(self, plan: Plan) -> NativeSession:
        """Print, compile (or find in the cache) and load the plan's code; give every variable its initial value.

        Raises: ToolchainError E0930-E0932 where there is no working C compiler, E0933 where the processor lacks what
        the plan's precision needs.
        """
        toolchain = require_toolchain()
        module = print_module(plan, target_for(plan, toolchain.cpu))
        library = compile_library(module.text, name=plan.model, toolchain=toolchain, units=module.units)
        return NativeSession(plan, module, Library(str(library)), self._ways)


def usable_processors() -> int:
    """How many processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def target_for(plan: Plan, cpu: str) -> Target:
    """What a plan's code may use on the processor of this description (`cpu.cpu_text`).

    Raises: ToolchainError E0933 if the processor lacks what the plan's precision needs.
    """
    return rounding_target(cpu) if plan.precision == "bfloat16" else target_of(cpu)


def target_of(cpu: str) -> Target:
    """The same, for float32."""
    features = set(cpu.split())
    return AVX512 if "avx512f" in features else AVX2 if "avx2" in features else VECTOR128


# --- a session ------------------------------------------------------------------------------------------------------
class NativeSession:
    """One prepared plan: its arena, its code, and the threads that run it."""

    def __init__(self, plan: Plan, module: Module, library: Library, ways: Sequence[int]) -> None:
        threads = max(ways)
        self.plan = plan
        self._module, self._library = module, library
        self._arena = Arena(plan)
        self._variables = {variable.name: buffer for variable, buffer in plan.variables}
        self._pieces = aligned_bytes(max(module.piece_bytes, 64))
        scratch = -(-module.scratch_bytes // 128) * 128
        self._scratch = aligned_bytes(max(scratch * threads, 64))
        self._threads = threads
        self._pool: int | None = None
        base = self._arena.address
        memory = Memory(base, base, self._pieces.ctypes.data)
        self._programs = {
            entry.name: _Program(
                self, entry, _job(memory, self._scratch.ctypes.data, scratch, entry, plan, threads), ways
            )
            for entry in module.entries
        }
        for name, value in initial_values(plan):
            self.write(name, value)

    def __del__(self) -> None:
        if getattr(self, "_pool", None):
            self._library.end_pool(self._pool)

    def bind(self, program: str, feeds: Mapping[str, Feed]) -> None:
        self._programs[program].bind(feeds)

    def run(self, program: str, rows: Rows) -> None:
        self._programs[program].run(rows)

    def trace(self, program: str, rows: Rows) -> Iterator[tuple[tuple[int, ...], tuple[Array, ...]]]:
        """Followed by the reference runtime, from the same variables; these then have what it computed."""
        reference = ReferenceRuntime().prepare(self.plan)
        for name in self._variables:
            reference.write(name, self.read(name))
        reference.bind(program, self._programs[program].sources)
        yield from reference.trace(program, rows)
        for name in self._variables:
            self.write(name, reference.read(name))

    def fetch(self, program: str, name: str) -> Array:
        view = self._programs[program].result(name)
        view.flags.writeable = False
        return view

    def read(self, variable: str) -> Array:
        buffer = self._variables[variable]
        view = self._arena.view(buffer, 1)
        runs = self._module.panels.get(buffer)
        if runs is None:
            return view.copy()
        whole = np.empty_like(view)
        for columns, panel in _panels(view, runs):
            whole[:, columns] = panel
        return whole

    def write(self, variable: str, value: Array) -> None:
        buffer = self._variables[variable]
        view = self._arena.view(buffer, 1)
        assert (view.shape, view.dtype) == (value.shape, value.dtype), (variable, value.shape, value.dtype)
        runs = self._module.panels.get(buffer)
        if runs is None:
            np.copyto(view, value)
            return
        for columns, panel in _panels(view, runs):
            np.copyto(panel, value[:, columns])

    def view(self, buffer: int, rows: int) -> Array:
        """A buffer's first `rows` rows in the arena."""
        return self._arena.view(buffer, rows)

    def predictor(self, audit: Audit, *, is_live: bool = False) -> NativePredictor:
        """A handle that predicts on any thread: with a copy of the weights, or, `is_live`, with those of the session,
        which must then not change during a call. audit: what makes feeds of arrays that do not lie as the plan's do.
        """
        weights = Weights.live(self._arena) if is_live else Weights.copied(self._arena)
        return NativePredictor(Code(self.plan, self._module, self._library, self._threads), weights, audit)

    def call(self, entry: Entry, job: Job, threads: int) -> None:
        """Run a program's code on so many threads, all that there are or one; the interpreter is free meanwhile."""
        if threads > 1 and self._pool is None:
            self._pool = self._library.make_pool(self._threads)
        job.threads = threads
        self._library.run(self._pool if threads > 1 else None, entry.number, job)


def _lies_in_rows(array: Array) -> bool:
    """Whether C can read every sample where it is."""
    return array.flags.aligned and (len(array) == 0 or array[:1].flags.c_contiguous)


def _panels(view: Array, runs: tuple[Run, ...]) -> Iterator[tuple[slice, Array]]:
    """The columns of each panel, and the panel where it lies."""
    rows = view.shape[0]
    flat = view.reshape(-1)
    for run in runs:
        for number in range(run.count):
            start = run.column + number * run.columns
            panel = flat[start * rows : (start + run.columns) * rows].reshape(rows, run.columns)
            yield slice(start, start + run.columns), panel


def _job(memory: Memory, scratch: int, scratch_bytes: int, entry: Entry, plan: Plan, threads: int) -> Job:
    feeds = (FeedRows * max(len(entry.feeds), 1))()
    return Job(memory, scratch, scratch_bytes, feeds, None, 0, plan.batch_size, threads)


class _Program:
    """One program of a session: what is bound to it, and the job that its code is given."""

    def __init__(self, session: NativeSession, entry: Entry, job: Job, ways: Sequence[int]) -> None:
        self._session, self._entry, self._job = session, entry, job
        self._pace = Pace(ways if entry.is_shared else (1,))
        self._fetches = dict(session.plan.program(entry.name).fetches)
        self.sources: dict[str, Feed] = {}
        self._held: list[Any] = []
        self._staged: list[tuple[int, Feed, Array]] = []
        self._length = 0
        self._rows = 0

    def bind(self, feeds: Mapping[str, Feed]) -> None:
        names = [feed.name for feed in self._entry.feeds]
        assert set(names) == feeds.keys(), (sorted(names), sorted(feeds))
        lengths = {len(array) for array in feeds.values()}
        assert len(lengths) <= 1, {name: len(feeds[name]) for name in feeds}
        places = dict(self._session.plan.program(self._entry.name).feeds)
        self.sources, self._held, self._staged = dict(feeds), [], []
        self._length = max(lengths, default=0)
        for number, feed in enumerate(self._entry.feeds):
            source = feeds[feed.name]
            place = self._session.view(places[feed.name], 1)
            expected = (place.shape[1:], place.dtype)
            assert (source.shape[1:], source.dtype) == expected, (feed.name, source.shape, source.dtype)
            self._bind_one(number, feed.row_bytes, source)

    def _bind_one(self, number: int, row_bytes: int, source: Feed) -> None:
        if isinstance(source, np.ndarray) and _lies_in_rows(source):
            array = source
        else:
            rows = max(self._session.plan.batch_size, STAGED_BYTES // max(row_bytes, 1))
            array = np.empty((min(rows, max(len(source), 1)), *source.shape[1:]), source.dtype)
            self._staged.append((number, source, array))
        self._held.append(array)
        stride = array.strides[0] if len(array) > 1 else row_bytes
        self._job.feeds[number] = FeedRows(array.ctypes.data, stride)

    def run(self, rows: Rows) -> None:
        """Steps over `rows`, a batch at a time."""
        rows = np.ascontiguousarray(rows, np.int64)
        assert len(rows), "a step has at least one row"
        assert not self._entry.feeds or (rows.min() >= 0 and rows.max() < self._length), (rows, self._length)
        if not self._staged:
            self._run(rows)
            return
        batch = self._session.plan.batch_size
        size = max(min(len(array) for _, _, array in self._staged) // batch, 1) * batch
        for start in range(0, len(rows), size):
            piece = rows[start : start + size]
            self._stage(piece)

    def _stage(self, rows: Rows) -> None:
        """Steps whose samples are read first: everything fed is in the order of the rows then."""
        count = len(rows)
        for number, feed in enumerate(self._entry.feeds):
            found = next((s for s in self._staged if s[0] == number), None)
            if found is not None:
                found[1].take(rows, found[2][:count]) if not isinstance(found[1], np.ndarray) else np.take(
                    found[1], rows, axis=0, out=found[2][:count]
                )
            else:
                source = self.sources[feed.name]
                array = np.take(source, rows, axis=0)  # type: ignore[arg-type]
                self._job.feeds[number] = FeedRows(array.ctypes.data, feed.row_bytes)
                self._held.append(array)
        self._run(np.arange(count, dtype=np.int64))

    def _run(self, rows: Rows) -> None:
        self._job.numbers, self._job.count = rows.ctypes.data, len(rows)
        self._rows = len(rows) % self._session.plan.batch_size or min(len(rows), self._session.plan.batch_size)
        threads = self._pace.choose()
        began = time.perf_counter()
        self._session.call(self._entry, self._job, threads)
        self._pace.took(threads, len(rows), time.perf_counter() - began)

    def result(self, name: str) -> Array:
        assert self._rows, f"{self._entry.name} has not run"
        return self._session.view(self._fetches[name], self._rows)
