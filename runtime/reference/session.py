"""The reference runtime: NumPy following a plan inside its arena.

Every buffer is a view made beforehand and every operation a prepared call with its output, so a step is a loop over
calls and makes no array.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import numpy as np

from nnc.compiler.plan import ROWS_FEED, Plan, Program
from nnc.runtime.initial import initial_values
from nnc.runtime.protocol import Array, Feed, Rows

from .arena import Arena, Scratch
from .frame import Call
from .rows import take_rows
from .steps import CompiledStep

BINDINGS_KEPT: Final = 8      # row counts for which a program stays bound; an epoch has two
_SMALLEST_BUFFER: Final = 16  # elements


class ReferenceRuntime:
    """Executes plans with NumPy: it runs everywhere, and what it computes is what the other runtimes must."""

    name = "reference"

    def prepare(self, plan: Plan) -> ReferenceSession:
        """Allocate the arena and give every variable its initial value."""
        return ReferenceSession(plan)


class ReferenceSession:
    """One prepared plan. A program's calls are made when it first runs with a number of rows."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._arena = Arena(plan)
        self._scratch = Scratch()
        self._programs = {program.name: _PreparedProgram(program, self._arena) for program in plan.programs}
        self._variables = {variable.name: self._arena.view(buffer, 1) for variable, buffer in plan.variables}
        for name, value in initial_values(plan):
            self.write(name, value)

    def bind(self, program: str, feeds: Mapping[str, Feed]) -> None:
        self._programs[program].bind(feeds)

    def run(self, program: str, rows: Rows) -> None:
        size = self.plan.batch_size
        with _quiet():
            for start in range(0, len(rows), size):
                self._programs[program].run(rows[start : start + size], self._scratch)

    def trace(self, program: str, rows: Rows) -> Iterator[tuple[tuple[int, ...], tuple[Array, ...]]]:
        with _quiet():
            yield from self._programs[program].trace(rows, self._scratch)

    def fetch(self, program: str, name: str) -> Array:
        view = self._programs[program].result(name)
        view.flags.writeable = False
        return view

    def read(self, variable: str) -> Array:
        return self._variables[variable].copy()

    def write(self, variable: str, value: Array) -> None:
        place = self._variables[variable]
        assert (place.shape, place.dtype) == (value.shape, value.dtype), (variable, value.shape, value.dtype)
        np.copyto(place, value)


class _PreparedProgram:
    """A program's feeds, and what it runs for each of the row counts that were seen last."""

    def __init__(self, program: Program, arena: Arena) -> None:
        self._program, self._arena = program, arena
        self._places = {name: buffer for name, buffer in program.feeds if name != ROWS_FEED}
        self._fetches = dict(program.fetches)
        self._sources: dict[str, Feed] | None = None
        self._steps: list[CompiledStep] = []
        self._bound: OrderedDict[int, tuple[list[Call], dict[str, Array]]] = OrderedDict()
        self._rows = 0

    def bind(self, feeds: Mapping[str, Feed]) -> None:
        assert self._places.keys() == feeds.keys(), (sorted(self._places), sorted(feeds))
        for name, array in feeds.items():
            place = self._arena.view(self._places[name], 1)
            assert (array.shape[1:], array.dtype) == (place.shape[1:], place.dtype), (name, array.shape, array.dtype)
        assert len({len(array) for array in feeds.values()}) <= 1, {name: len(feeds[name]) for name in feeds}
        self._sources = dict(feeds)

    def run(self, rows: Rows, scratch: Scratch) -> None:
        for call in self._fed(rows, scratch):
            call()

    def trace(self, rows: Rows, scratch: Scratch) -> Iterator[tuple[tuple[int, ...], tuple[Array, ...]]]:
        """As `run`; after each kernel the buffers it wrote and what is in them."""
        self._fed(rows, scratch)
        for step in self._steps:
            for call in step.bind(scratch, len(rows)):
                call()
            bodies = (step.step.body, *(reduction.body for reduction in step.step.reductions))
            written = tuple(dict.fromkeys(buffer for body in bodies for buffer, _ in body.stores))
            yield written, tuple(self._arena.view(buffer, len(rows)) for buffer in written)

    def _fed(self, rows: Rows, scratch: Scratch) -> list[Call]:
        """Put a batch where the program reads it; the calls that run the program."""
        assert self._sources is not None, f"nothing is bound to {self._program.name}"
        assert 1 <= len(rows) <= self._arena.plan.batch_size, len(rows)
        self._rows = len(rows)
        calls, places = self._binding(scratch)
        for name, source in self._sources.items():
            assert rows.min() >= 0, rows
            assert rows.max() < len(source), (name, rows, len(source))
            if isinstance(source, np.ndarray):
                take_rows(source, rows, places[name])
            else:
                source.take(rows, places[name])
        if ROWS_FEED in places:
            places[ROWS_FEED][()] = len(rows)
        return calls

    def result(self, name: str) -> Array:
        assert self._rows, f"{self._program.name} has not run"
        return self._arena.view(self._fetches[name], self._rows)

    def _binding(self, scratch: Scratch) -> tuple[list[Call], dict[str, Array]]:
        """The calls for this number of rows, and where the feeds go."""
        rows = self._rows
        if rows in self._bound:
            self._bound.move_to_end(rows)
            return self._bound[rows]
        self._steps = self._steps or [CompiledStep(step, self._arena) for step in self._program.steps]
        calls = [call for step in self._steps for call in step.bind(scratch, rows)]
        places = {name: self._arena.view(buffer, rows) for name, buffer in self._program.feeds}
        self._bound[rows] = calls, places
        if len(self._bound) > BINDINGS_KEPT:
            self._bound.popitem(last=False)
        return self._bound[rows]


@contextmanager
def _quiet() -> Iterator[None]:
    """No warnings for infinities, which are the caller's to see; and the smallest buffers for ufuncs that broadcast.

    NumPy sets aside a buffer of 8192 elements for these though it never needs it here, where no ufunc converts.
    """
    before = np.setbufsize(_SMALLEST_BUFFER)
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        np.setbufsize(before)
