"""NaN and infinity: noticed while training goes on, then traced to the first tensor that held one.

Looking at every tensor of every step would cost more than the steps. So training looks at its sums ten times a second
and keeps a copy of the variables now and then; once something is not finite, the steps since that copy are done again,
one by one (they give the same numbers bit for bit), until the first bad one, which is then followed kernel by kernel.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Final

import numpy as np

from nnc.compiler.graph import ACCUMULATOR
from nnc.compiler.options import Choice, TrainConfig
from nnc.compiler.plan import Buffer
from nnc.grammar.diagnostics import Diagnostic, DivergedError
from nnc.runtime.protocol import Array, Rows, Session

from .state import all_variables, write_all

_LEAST_SECONDS: Final = 2.0    # between two copies
_LARGEST_SHARE: Final = 0.01   # of the time that copying may take

Found = tuple[int, int]        # a kernel's place in the program, and the buffer it wrote


class Guard:
    """Watches one epoch's numbers; `index` is the order in which the epoch meets its samples."""

    def __init__(self, session: Session, config: TrainConfig) -> None:
        self._session, self._config = session, config
        sums = {name for term in session.plan.terms if term.kind != "metric" for name in term.accumulators}
        self._watched = [
            v.name
            for v, _ in session.plan.variables
            if v.type.dtype.startswith("float") and (v.role != ACCUMULATOR or v.name in sums)
        ]
        self._copy: dict[str, Array] = {}
        self._copied_rows = 0
        self._due = 0.0

    def begin(self, epoch: int, index: Rows, rows_done: int) -> None:
        """Epoch `epoch` (from 0) begins, or goes on after `rows_done` samples."""
        self._epoch, self._index = epoch, index
        self._keep(rows_done)

    def look(self, total: float, rows_done: int) -> None:
        """Raises: DivergedError E0690 if the total loss is not finite, or a variable once it is time to copy them."""
        if not math.isfinite(total):
            raise self._diverged(total, rows_done)
        if time.perf_counter() >= self._due:
            self.look_closely(total, rows_done)
            self._keep(rows_done)

    def look_closely(self, total: float, rows_done: int) -> None:
        """As `look`, at every variable: a gradient of the very last step shows nowhere else."""
        if not math.isfinite(total) or not self._is_finite():
            raise self._diverged(total, rows_done)

    def _keep(self, rows_done: int) -> None:
        began = time.perf_counter()
        self._copy, self._copied_rows = all_variables(self._session), rows_done
        now = time.perf_counter()
        self._due = now + max(_LEAST_SECONDS, (now - began) / _LARGEST_SHARE)

    def _is_finite(self) -> bool:
        return all(np.isfinite(self._session.read(name)).all() for name in self._watched)

    # --- doing the steps again --------------------------------------------------------------------------------------
    def _diverged(self, total: float, rows_done: int) -> DivergedError:
        batch_size = self._session.plan.batch_size
        steps = -(-len(self._index) // batch_size)
        step, note = self._first_bad_step(rows_done)
        shown = "NaN" if math.isnan(total) else "infinite"
        what = f"the loss is {shown}" if not math.isfinite(total) else "the weights are no longer finite"
        return DivergedError(
            Diagnostic(
                "E0690",
                f"training diverged in epoch {self._epoch + 1}: {what}",
                place=f"epoch {self._epoch + 1}, step {step} of {steps}",
                notes=(note,) if note else (),
                helps=_helps(self._config),
            )
        )

    def _first_bad_step(self, rows_done: int) -> tuple[int, str]:
        """The number (from 1) of the first step that gave something not finite, and what; variables as before it."""
        session, batch_size = self._session, self._session.plan.batch_size
        write_all(session, self._copy)
        before, before_last, last = self._copy, None, None
        for start in range(self._copied_rows, rows_done, batch_size):
            rows = self._index[start : min(start + batch_size, len(self._index))]
            session.run("train_step", rows)
            if not self._is_finite():
                usual = set() if before_last is None or last is None else {place for place, _ in self._trace(
                    before_last, last)}
                note = next((text for place, text in self._trace(before, rows) if place not in usual), "")
                write_all(session, before)
                return start // batch_size + 1, note
            before_last, last, before = before, rows, all_variables(session)
        return -(-rows_done // batch_size), ""

    def _trace(self, variables: dict[str, Array], rows: Rows) -> Iterator[tuple[Found, str]]:
        """Where a step writes NaN or infinity, in order. A step that goes well may do so too: log(0) times 0 rows."""
        write_all(self._session, variables)
        plan = self._session.plan
        results = {buffer: name for name, buffer in plan.program("train_step").fetches}
        for number, (buffers, arrays) in enumerate(self._session.trace("train_step", rows)):
            for buffer, array in zip(buffers, arrays, strict=True):
                if array.dtype.kind == "f" and not np.isfinite(array).all():
                    yield (number, buffer), _described(plan.buffers[buffer], array, results.get(buffer, ""))


def _described(buffer: Buffer, array: Array, result: str) -> str:
    nans = int(np.isnan(array).sum())
    found, count = ("NaN", nans) if nans else ("infinite", int(np.isinf(array).sum()))
    many = f"{count:,} of {array.size:,} numbers are {found}" if array.size > 1 else f"it is {found}"
    return f"the first tensor to break is {_tensor_text(buffer, result)}: {many}"


def _tensor_text(buffer: Buffer, result: str) -> str:
    if result:
        return f"the loss of this step, `{result}`"
    layer = f" of layer `{buffer.layer}`" if buffer.layer else ""
    if buffer.kind == "variable":
        return f"`{buffer.name}`{layer}, as the step has left it"
    kind = "the gradient" if ".gradient" in buffer.name else "the value"
    return f"{kind}{layer}, {buffer.type}"


def _helps(config: TrainConfig) -> tuple[str, ...]:
    helps = [f"lower the learning rate{_rate_text(config)}"]
    if config.clip_norm is None and config.clip_value is None:
        helps.append("bound the gradients: `clip_norm = 1.0` in `train`")
    helps.append("put `Normalize` or `Rescale` after inputs with large values")
    return tuple(helps)


def _rate_text(config: TrainConfig) -> str:
    """`: it is 0.01`, where it is a plain number."""
    rate = dict(config.optimizer.arguments).get("learning_rate")
    if isinstance(rate, Choice):
        rate = dict(rate.arguments).get("initial_learning_rate")
    return f": it is {rate:g}" if isinstance(rate, int | float) else ""
