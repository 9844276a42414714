"""Predictions on compiled code by any number of threads at once.

Each call works in memory of its own, taken from the idle places and put back, so that no call waits for another. C
reads samples where the caller has them and writes answers where the caller wants them. An array that does not lie as
the plan's does, or holds what a network cannot take, goes through the audit that `Model.predict` has for all arrays.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from array import array as numbers_of
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np
from numpy import empty, ndarray

from nnc.compiler.codegen.module import Module
from nnc.compiler.plan import Buffer, Plan, Step
from nnc.compiler.types import ITEM_SIZE
from nnc.runtime.predictor import Audit, checked_out, handed_over
from nnc.runtime.protocol import Array
from nnc.runtime.reference.arena import ALIGNMENT, Arena, aligned_bytes, extent

from .library import Library, Memory, Prediction
from .pace import Rhythm

POOL_WORK: Final = 1_500_000  # multiplications of one call: from here on it is worth waking threads for
AWAKE_WORK: Final = 750_000  # these, and bytes of weights: worth sharing with threads that are awake
ROWS, ARE_FIT, ENDS = range(3)  # of what a call gives: how many, whether audited, the first of the addresses
FIXED: Final = ("variable", "constant")
SCRATCH_ALIGNMENT: Final = 128  # bytes: two threads never write to one line


@dataclass(frozen=True, slots=True)
class Code:
    """A compiled plan. threads: how many may work on one large call."""

    plan: Plan
    module: Module
    library: Library
    threads: int


def _header_bytes() -> int:
    """Where the object of an array has the address of its data; 0 if that cannot be relied upon.

    It is the first field of `PyArrayObject_fields`, which NumPy's compiled users read in the same way. To ask for it by
    `array.ctypes.data` takes longer than all else that a call does.
    """
    header = object.__basicsize__
    some = np.arange(6).reshape(2, 3)
    views = (some, some[1:], some[:, 1:])
    found = [ctypes.c_void_p.from_address(id(view) + header).value for view in views]
    return header if found == [view.ctypes.data for view in views] else 0


HEADER_BYTES: Final = _header_bytes()
_address: Callable[[Array], int] = id if HEADER_BYTES else lambda array: int(array.ctypes.data)


class Weights:
    """The variables and constants that predictions read, at their offsets in the plan's arena."""

    def __init__(self, address: int, held: object) -> None:
        self.address, self._held = address, held

    @classmethod
    def live(cls, arena: Arena) -> Weights:
        """Those of a session; whoever predicts sees to it that nothing changes them meanwhile."""
        return cls(arena.address, arena)

    @classmethod
    def copied(cls, arena: Arena) -> Weights:
        """As they are now."""
        plan = arena.plan
        spans = [extent(b, plan.batch_size) for b in _touched(plan) if b.kind in FIXED]
        block = aligned_bytes(max([64, *(end for _, end in spans)]))
        address = int(block.ctypes.data)
        for start, end in spans:
            ctypes.memmove(address + start, arena.address + start, end - start)
        return cls(address, block)


class NativePredictor:
    """As `runtime.predictor.Predictor`, but no call waits for another."""

    def __init__(self, code: Code, weights: Weights, audit: Audit) -> None:
        plan = code.plan
        self._code, self._weights, self._audit = code, weights, audit
        self._outputs = plan.outputs
        self._names = tuple([i.name for i in plan.inputs])
        self._needs = tuple([(np.dtype(i.type.dtype), i.type.shape[1:]) for i in plan.inputs])
        self._makes = tuple([(np.dtype(o.type.dtype), o.type.concrete(1)[1:]) for o in plan.outputs])
        self._dtype: np.dtype[Any] | None  # none is None: with several inputs or outputs all calls go to `_any`
        self._dtype, self._sample = self._needs[0]
        if len(self._needs) > 1 or len(self._makes) > 1:
            self._dtype = None
        self._made, self._answer = self._makes[0]
        self._last_shapes: tuple[tuple[int, ...], tuple[int, ...]] = (
            (-1,),
            (),
        )  # of samples and their answers: a pair, set at once
        self._predict = code.library.predict
        self._idle: list[_Place] = []
        self._shared_rows, self._pool_rows = _rows_for_pool(code)
        self._rhythm = Rhythm(code.threads)
        self._pool_lock = threading.Lock()
        self._pool_place: _Place | None = None

    def __call__(self, x: Any, out: Any = None) -> Any:
        """Each output's value by name, or the one array of a model with one output; one row per sample.

        x: as for `Model.predict`; C-contiguous arrays of the plan's dtypes are read where they lie. out: where to put
        the answers, an array of the output's dtype and shape, or a dict of them by name; it is what is given back. It
        may be `x` itself.
        Raises: DataError as `Model.predict`; UsageError E0822 for an `out` that does not fit.
        """
        # `_any` does all of this for any number of arrays; a row of a small network takes less time than its loops.
        if type(x) is ndarray and x.dtype is self._dtype and x.flags.c_contiguous:
            shape = x.shape
            known, answer = self._last_shapes
            if shape != known and shape[1:] == self._sample and shape and 0 < shape[0] < self._shared_rows:
                known, answer = self._last_shapes = shape, (shape[0], *self._answer)
            if shape == known:
                if out is None:
                    result = empty(answer, self._made)
                elif (
                    type(out) is ndarray
                    and out.dtype is self._made
                    and out.shape == answer
                    and out.flags.c_contiguous
                    and out.flags.writeable
                ):
                    result = out
                else:
                    return self._any(x, out)
                try:
                    place = self._idle.pop()
                except IndexError:
                    place = _Place(self._code, self._weights, 1)
                given = place.given
                given[ROWS] = shape[0]
                given[ENDS], given[ENDS + 1] = _address(x), _address(result)
                is_done = self._predict(place.address)
                self._idle.append(place)
                if is_done:
                    return result
        return self._any(x, out)

    def _any(self, x: Any, out: Any) -> Any:
        """One array or several, whether or not they lie as the plan's do."""
        inputs = self._as_they_lie(x)
        if inputs is not None:
            rows = len(inputs[0])
            results = self._empty(rows) if out is None else self._as_the_plan_makes(out, rows)
            if results is not None and self._run(rows, False, inputs, results):
                if out is not None:
                    return out
                return results[0] if len(results) == 1 else self._by_name(results)
        return handed_over(self._outputs, self._audited(x), out)

    def _as_they_lie(self, x: Any) -> Sequence[Array] | None:
        """The inputs in the plan's order, if C can read all of them where they are."""
        if len(self._needs) == 1 and type(x) is np.ndarray:
            inputs: Sequence[Any] = (x,)
        elif isinstance(x, Mapping) and x.keys() == set(self._names):
            inputs = [x[name] for name in self._names]
        else:
            return None
        rows = 0
        for array, (dtype, sample) in zip(inputs, self._needs, strict=True):
            if type(array) is not np.ndarray or array.dtype is not dtype or not array.flags.c_contiguous:
                return None
            shape = array.shape
            if not shape or shape[1:] != sample or not shape[0] or shape[0] != (rows or shape[0]):
                return None
            rows = shape[0]
        return inputs

    def _empty(self, rows: int) -> list[Array]:
        return [np.empty((rows, *answer), dtype) for dtype, answer in self._makes]

    def _as_the_plan_makes(self, out: Any, rows: int) -> Sequence[Array] | None:
        """The arrays of `out`, if C can write all of them where they are. Raises: UsageError E0822."""
        if len(self._makes) > 1 or type(out) is not np.ndarray or out.shape != (rows, *self._makes[0][1]):
            arrays: Sequence[Array] = list(self._ordered(checked_out(self._outputs, out, rows)))
        else:
            arrays = (out,)
        for array, (dtype, _) in zip(arrays, self._makes, strict=True):
            if array.dtype is not dtype or not array.flags.carray:
                return None
        return arrays

    def _ordered(self, arrays: Mapping[str, Array]) -> list[Array]:
        return [arrays[output.name] for output in self._outputs]

    def _by_name(self, arrays: Sequence[Array]) -> dict[str, Array]:
        return {output.name: array for output, array in zip(self._outputs, arrays, strict=True)}

    def _audited(self, x: Any) -> dict[str, Array]:
        """The answers to arrays of any kind, checked and converted first. Raises: DataError."""
        feeds = self._audit(x)
        inputs = [np.require(feeds[name], requirements=["C", "ALIGNED"]) for name in self._names]
        results = self._empty(len(inputs[0]))
        is_done = self._run(len(inputs[0]), True, inputs, results)
        assert is_done, "audited inputs and new outputs suit the plan"
        return self._by_name(results)

    def _run(self, rows: int, are_fit: bool, inputs: Sequence[Array], results: Sequence[Array]) -> bool:
        """Whether it was done: not if the inputs would have to be audited first, or overlap the results."""
        if rows >= self._shared_rows:
            if self._pool_lock.acquire(blocking=False):
                try:
                    return self._run_shared(rows, are_fit, inputs, results)
                finally:
                    self._pool_lock.release()
            self._rhythm.interrupt()
        return self._run_alone(rows, are_fit, inputs, results)

    def _run_shared(self, rows: int, are_fit: bool, inputs: Sequence[Array], results: Sequence[Array]) -> bool:
        """On the pool, one call at a time, if the call is worth waking threads for, or follows others closely."""
        if rows >= self._pool_rows:
            return self._run_pooled(rows, are_fit, inputs, results)
        began = time.perf_counter()
        threads = self._rhythm.choose(began)
        run = self._run_alone if threads == 1 else self._run_pooled
        is_done = run(rows, are_fit, inputs, results)
        self._rhythm.took(threads, rows, time.perf_counter() - began)
        return is_done

    def _run_pooled(self, rows: int, are_fit: bool, inputs: Sequence[Array], results: Sequence[Array]) -> bool:
        if self._pool_place is None:
            self._pool_place = _Place(self._code, self._weights, self._code.threads)
        return self._run_in(self._pool_place, rows, are_fit, inputs, results)

    def _run_alone(self, rows: int, are_fit: bool, inputs: Sequence[Array], results: Sequence[Array]) -> bool:
        place = self._place()
        is_done = self._run_in(place, rows, are_fit, inputs, results)
        self._idle.append(place)
        return is_done

    def _place(self) -> _Place:
        """Somewhere to work, which no other call is using."""
        try:
            return self._idle.pop()
        except IndexError:
            return _Place(self._code, self._weights, 1)

    def _run_in(
        self, place: _Place, rows: int, are_fit: bool, inputs: Sequence[Array], results: Sequence[Array]
    ) -> bool:
        given = place.given
        given[ROWS], given[ARE_FIT] = rows, are_fit
        for number, array in enumerate((*inputs, *results), ENDS):
            given[number] = _address(array)
        is_done = self._predict(place.address)
        given[ARE_FIT] = False
        return bool(is_done)


class _Place:
    """What one call at a time works in. `given`: see `struct prediction` in the printed C."""

    def __init__(self, code: Code, weights: Weights, threads: int) -> None:
        plan, module = code.plan, code.module
        spans = [extent(b, plan.batch_size) for b in _touched(plan) if b.kind not in FIXED]
        start = min(first for first, _ in spans) // ALIGNMENT * ALIGNMENT
        size = max(end for _, end in spans) - start
        scratch = -(-module.scratch_bytes // SCRATCH_ALIGNMENT) * SCRATCH_ALIGNMENT
        self._held = [aligned_bytes(max(n, ALIGNMENT)) for n in (size, module.piece_bytes, scratch * threads)]
        work, pieces, rows = (int(block.ctypes.data) for block in self._held)
        ends = len(plan.inputs) + len(plan.outputs)
        self.given = numbers_of("q", [0] * (ENDS + ends))
        given, _ = self.given.buffer_info()
        self._library = code.library
        self._pool = code.library.make_pool(threads) if threads > 1 else None
        memory = Memory(weights.address, work - start, pieces)
        prediction = Prediction(memory, rows, scratch, plan.batch_size, threads, self._pool, HEADER_BYTES, given, 0, 0)
        self._struct = aligned_bytes(ctypes.sizeof(prediction) + 8 * ends)
        self.address = int(self._struct.ctypes.data)
        ctypes.memmove(self.address, ctypes.byref(prediction), ctypes.sizeof(prediction))

    def __del__(self) -> None:
        if getattr(self, "_pool", None):
            self._library.end_pool(self._pool)


def _touched(plan: Plan) -> list[Buffer]:
    """The buffers that a prediction reads or writes."""
    program = plan.program("predict")
    used = {id for _, id in (*program.feeds, *program.fetches)}
    for step in program.steps:
        used.update(step.operands)
        for body in (step.body, *(reduction.body for reduction in step.reductions)):
            used.update([*(id for _, id in body.operands), *(id for id, _ in body.stores)])
    return [plan.buffers[id] for id in sorted(used)]


def _rows_for_pool(code: Code) -> tuple[int, int]:
    """From how many rows on a call is worth several threads that are awake, and several that are not."""
    plan = code.plan
    entry = next(entry for entry in code.module.entries if entry.name == "predict")
    if code.threads == 1 or not entry.is_shared:
        return sys.maxsize, sys.maxsize
    work, weight_bytes = 1, 0
    for step in plan.program("predict").steps:
        if step.kernel == "matmul":
            work += prod(step.space.concrete(1)) * _summed(plan, step)
            weight_bytes += sum(_fixed_bytes(plan.buffers[id]) for id in step.operands)
        else:
            work += prod(step.space.concrete(1))
    return max(1, (AWAKE_WORK - weight_bytes) // work), max(1, POOL_WORK // work)


def _fixed_bytes(buffer: Buffer) -> int:
    return prod(buffer.type.concrete(1)) * ITEM_SIZE[buffer.type.dtype] if buffer.kind in FIXED else 0


def _summed(plan: Plan, step: Step) -> int:
    """The length of a product's summed index."""
    rows, columns = plan.buffers[step.operands[0]].type.concrete(1)
    return rows if dict(step.attrs)["transpose_a"] else columns
