"""How far runtimes are from the reference: the same steps on each, every variable and fetch compared.

Each program is run twice. Step by step, where every step begins with the reference's variables, so that a difference is
that step's own; and free, where each runtime goes its way from the same first variables in as few calls as training
makes, so that differences grow as they do in use.

What rounding alone may do is measured and not guessed, by Monte Carlo arithmetic: other references leave the last
bit of every number that a kernel stores to chance. A runtime agrees while it is no further from the reference than some
times as far as they are. Source: Parker, Monte Carlo Arithmetic, UCLA CSD-970002, 1997.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from nnc.compiler.plan import ROWS_FEED, Plan, Step
from nnc.compiler.types import BATCH
from nnc.runtime.data import Samples
from nnc.runtime.data.order import epoch_order
from nnc.runtime.protocol import Array, Rows, Runtime, Session
from nnc.runtime.reference import ReferenceRuntime
from nnc.runtime.reference.session import ReferenceSession
from nnc.runtime.state import all_variables, write_all
from nnc.runtime.train import adapt

TRAINING: Final = "train_step"
SHAKEN: Final = 2  # references whose last bits are left to chance
TIMES_ROUNDING: Final = 32  # a runtime may be so many times further away than those
LEAST_ULPS: Final = 64  # or so many units in the last place of a tensor's largest number, if that is more
TF32_BITS: Final = 10         # left to chance where products may drop 13: a sum of many loses fewer than each
_BITS: Final = {4: np.uint32, 8: np.uint64}
# The last place of what a product rounds its operands to, where a difference in the last bit of float32 may tip it.
COARSE: Final = {"bfloat16": 2.0**-8, "tf32": 2.0**-10}


@dataclass(frozen=True, slots=True)
class Tensor:
    """A variable or a fetch of a program, with the largest deviation from the reference: of each runtime, and allowed.

    A deviation is the largest difference of an element over the tensor's largest number, in all steps; infinite where
    only one of the two is a number. step: with every step from the reference's variables. free: on its own.
    """

    program: str
    name: str
    kind: str  # "variable" | "fetch"
    step: Mapping[str, float]
    step_limit: float
    free: Mapping[str, float]
    free_limit: float

    def disagreeing(self) -> tuple[str, ...]:
        """The runtimes beyond a limit."""
        return tuple(
            name for name in self.step if self.step[name] > self.step_limit or self.free[name] > self.free_limit
        )


def compare(plan: Plan, samples: Samples, runtimes: Sequence[Runtime], steps: int) -> tuple[Tensor, ...]:
    """Every tensor of every program after `steps` steps of each: full batches, and what an epoch leaves at its end.

    A variable is listed where the program writes it. Raises: ToolchainError where a runtime cannot prepare the plan.
    """
    others = {runtime.name: runtime.prepare(plan) for runtime in runtimes}
    reference = ReferenceRuntime().prepare(plan)
    shaken = [ShakenSession(plan, seed) for seed in range(SHAKEN)]
    adapt(reference, samples)
    first = all_variables(reference)
    epochs = list(_epochs(plan, samples, steps))
    for session in (reference, *others.values(), *shaken):
        for program in plan.programs:
            names = (name for name, _ in program.feeds if name != ROWS_FEED)
            session.bind(program.name, {name: samples.feeds[name] for name in names})
    by_step, free = _Walk(plan, reference, others, shaken), _Walk(plan, reference, others, shaken)
    by_step.step_by_step(first, epochs)
    free.on_their_own(first, epochs)
    return tuple(_tensors(plan, by_step, free))


def _epochs(plan: Plan, samples: Samples, steps: int) -> Iterator[Rows]:
    """The rows of as many epochs as `steps` steps take, each in its shuffled order."""
    epoch = 0
    while steps > 0:
        rows = samples.index[epoch_order(len(samples), plan.seed, epoch)][: steps * plan.batch_size]
        yield rows
        steps -= -(-len(rows) // plan.batch_size)
        epoch += 1


def _tensors(plan: Plan, by_step: _Walk, free: _Walk) -> Iterator[Tensor]:
    least = LEAST_ULPS * _last_place(plan)
    for key in by_step.seen:
        program, kind, name = key
        yield Tensor(
            program, name, kind,
            {other: largest[key] for other, largest in by_step.largest.items()}, by_step.limit(key, least),
            {other: largest.get(key, 0.0) for other, largest in free.largest.items()}, free.limit(key, least),
        )  # fmt: skip


def _last_place(plan: Plan) -> float:
    """The unit in the last place of 1, in what the plan computes with."""
    dtypes = {buffer.type.dtype for buffer in plan.buffers if buffer.type.is_float}
    place = float(np.finfo(np.float32 if "float32" in dtypes or not dtypes else np.float64).eps)
    return max(place, COARSE.get(plan.precision, 0.0) / LEAST_ULPS)


# --- one way through the programs -------------------------------------------------------------------------------------
Key = tuple[str, str, str]  # program, kind, name


@dataclass(slots=True)
class _Walk:
    """Sessions that make the same steps, and the largest deviations so far. seen: what is to be told, in order."""

    plan: Plan
    reference: Session
    others: Mapping[str, Session]
    shaken: Sequence[ShakenSession]
    largest: dict[str, dict[Key, float]] = field(default_factory=dict)
    rounding: dict[Key, float] = field(default_factory=dict)
    seen: dict[Key, None] = field(default_factory=dict)

    def step_by_step(self, first: Mapping[str, Array], epochs: Sequence[Rows]) -> None:
        """Every step of training from the reference's variables; of other programs a full and the smallest batch."""
        size = self.plan.batch_size
        batches = [rows[start : start + size] for rows in epochs for start in range(0, len(rows), size)]
        for program in self.plan.programs:
            write_all(self.reference, first)
            for rows in batches if program.name == TRAINING else (batches[0], min(batches, key=len)):
                self._begin(all_variables(self.reference))
                self._run(program.name, rows)

    def on_their_own(self, first: Mapping[str, Array], epochs: Sequence[Rows]) -> None:
        """A call for each epoch, the programs one after the other, nothing carried over but first variables."""
        write_all(self.reference, first)
        self._begin(first)
        for program in sorted(self.plan.programs, key=lambda program: program.name != TRAINING):
            for rows in epochs:
                self._run(program.name, rows)

    def limit(self, key: Key, least: float) -> float:
        """How far a runtime may be from the reference in this tensor."""
        return max(TIMES_ROUNDING * self.rounding.get(key, 0.0), least)

    def _begin(self, variables: Mapping[str, Array]) -> None:
        for session in (*self.others.values(), *self.shaken):
            write_all(session, variables)

    def _run(self, program: str, rows: Rows) -> None:
        """One call of every session, and what it led to."""
        before = all_variables(self.reference)
        for session in (self.reference, *self.others.values(), *self.shaken):
            session.run(program, rows)
        expected = self._values(self.reference, program, rows)
        after = all_variables(self.reference)
        others = {name: self._values(session, program, rows) for name, session in self.others.items()}
        for key, value in expected.items():
            for name, values in others.items():
                found = deviation(values[key], value)
                self._note(self.largest.setdefault(name, {}), key, found)
                if key not in self.seen and (found or self._is_written(key, before, after)):
                    self.seen[key] = None
        for session in self.shaken:
            values = self._values(session, program, rows)
            for key, value in expected.items():
                self._note(self.rounding, key, deviation(values[key], value))

    def _is_written(self, key: Key, before: Mapping[str, Array], after: Mapping[str, Array]) -> bool:
        _, kind, name = key
        return kind == "fetch" or not np.array_equal(before[name], after[name], equal_nan=True)

    def _note(self, largest: dict[Key, float], key: Key, found: float) -> None:
        largest[key] = max(largest.get(key, 0.0), found)

    def _values(self, session: Session, program: str, rows: Rows) -> dict[Key, Array]:
        """Copies of what a call left: its fetches, of the rows of its last batch, and every variable."""
        count = (len(rows) - 1) % self.plan.batch_size + 1
        values: dict[Key, Array] = {}
        for name, buffer in self.plan.program(program).fetches:
            value = session.fetch(program, name)
            has_rows = self.plan.buffers[buffer].type.shape[:1] == (BATCH,)
            values[program, "fetch", name] = (value[:count] if has_rows else value).copy()
        for name, value in all_variables(session).items():
            values[program, "variable", name] = value
        return values


def deviation(found: Array, expected: Array) -> float:
    """The largest difference of two tensors over the largest number of `expected`; over 1 where that has only zeros.

    0 where both are NaN or the same infinity; infinite where only one of them is.
    """
    if expected.dtype.kind != "f":
        found, expected = found.astype(np.float64), expected.astype(np.float64)
    with np.errstate(invalid="ignore"):
        difference = np.abs(found - expected)
    if not np.isfinite(difference.max(initial=0)):
        same = (found == expected) | (np.isnan(found) & np.isnan(expected))
        difference = np.where(same, 0, difference)
        if not np.isfinite(difference).all():
            return np.inf
    largest = np.max(np.abs(expected), initial=0, where=np.isfinite(expected))
    return float(difference.max(initial=0)) / (float(largest) or 1.0)


class ShakenSession(ReferenceSession):
    """The reference, but the last bit of every number that a kernel stores is left to chance. Zeros stay zero.

    Of a plan whose products may round to TF32, some more bits.
    """

    def __init__(self, plan: Plan, seed: int) -> None:
        super().__init__(plan)
        self._generator = np.random.default_rng(seed)
        self._bits = TF32_BITS if plan.precision == "tf32" else 1

    def run(self, program: str, rows: Rows) -> None:
        size, steps = self.plan.batch_size, self.plan.program(program).steps
        for start in range(0, len(rows), size):
            traced = self.trace(program, rows[start : start + size])
            for step, (buffers, views) in zip(steps, traced, strict=True):
                exact = set(_exact(step))
                for buffer, view in zip(buffers, views, strict=True):
                    if buffer not in exact:
                        self._shake(view)

    def _shake(self, view: Array) -> None:
        """In place. Neither a sign changes, nor zero, infinity or NaN."""
        if view.dtype.kind == "f":
            last_bits = self._generator.integers(0, 1 << self._bits, view.shape, np.uint16)
            last_bits[(view == 0) | ~np.isfinite(view)] = 0
            bits = view.view(_BITS[view.dtype.itemsize])
            bits ^= last_bits


def _exact(step: Step) -> Iterator[int]:
    """Buffers of numbers that a step only chooses or moves: nothing is rounded, and they are compared for equality."""
    chosen = {statement.name for statement in step.body.statements if statement.kind not in ("map", "sum")}
    moved = {name for name, _ in step.body.operands} | ({"acc"} if step.kernel == "gather" else set())
    for buffer, expr in step.body.stores:
        if expr.op == "var" and expr.value in chosen | moved:
            yield buffer
    for reduction in step.reductions:
        if reduction.operator != "sum":
            yield from (buffer for buffer, expr in reduction.body.stores if expr.op == "var" and expr.value == "acc")
