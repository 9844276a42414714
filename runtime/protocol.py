"""The few verbs of a runtime. `reference` implements them; training, evaluation and prediction use nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from nnc.compiler.plan import Plan

Array = npt.NDArray[Any]
Rows = npt.NDArray[np.int64]


class RowSource(Protocol):
    """Samples that are read when they are asked for: what an array is to a session, without the memory."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __len__(self) -> int: ...

    def take(self, rows: Rows, out: Array) -> None:
        """`out[k] = samples[rows[k]]`; rows in any order, some perhaps twice. `out` has this source's dtype."""


Feed = Array | RowSource


class Session(Protocol):
    """One prepared plan: its arena, its variables, its programs ready to run."""

    plan: Plan

    def bind(self, program: str, feeds: Mapping[str, Feed]) -> None:
        """Name the data a program reads: feed name -> whole array, samples along axis 0, in the feed's dtype and shape.

        Arrays are read where they lie (they may be memory-mapped) and must stay unchanged while bound. A source of
        rows gives those of a step when the step asks for them.
        """

    def run(self, program: str, rows: Rows) -> None:
        """Steps on the bound samples `rows` (at least one): a step for each batch of them, the last perhaps smaller.

        Many steps in one call are the same as one call for each, only quicker: between them nothing can be fetched.
        """

    def trace(self, program: str, rows: Rows) -> Iterator[tuple[tuple[int, ...], tuple[Array, ...]]]:
        """As `run` for one batch, kernel by kernel: the ids of the buffers that each wrote, and views of them.

        A view is valid until the next kernel. For finding faults; it need not be quick. The step is done once all has
        been asked for.
        """

    def fetch(self, program: str, name: str) -> Array:
        """A result of the last `run` of `program`, as a read-only view, valid until the next run."""

    def read(self, variable: str) -> Array:
        """A copy of a variable's value."""

    def write(self, variable: str, value: Array) -> None:
        """Set a variable; shape and dtype must be its own."""


@runtime_checkable
class PredictingSession(Protocol):
    """A session that can hand out a quicker way to predict than `bind`, `run` and `fetch`."""

    def predictor(self, audit: Callable[[Any], Mapping[str, Array]], *, is_live: bool = False) -> Callable[..., Any]:
        """A handle as `runtime.predictor.Predictor`, with a copy of the weights or, `is_live`, the session's own.

        audit: makes feeds of what the handle is called with, and raises DataError where that cannot be done.
        """


class Runtime(Protocol):
    """A way to execute plans."""

    name: str

    def prepare(self, plan: Plan) -> Session:
        """Allocate the arena, set every variable to its initial value from the plan's seed, make the programs ready."""
