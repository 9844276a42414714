"""A handle for predictions from many threads: what it is given, what it gives, and how it reports what does not fit.

`Predictor` works on any session, one call after another; the native runtime has a quicker one that never waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nnc.compiler.plan import Signature
from nnc.grammar.diagnostics import Diagnostic, UsageError

from . import train
from .data import Samples
from .protocol import Array, Session

Handle = Callable[..., Any]  # called as a `Predictor` is
Audit = Callable[[Any], Mapping[str, Array]]  # what a caller gives -> arrays as the plan is fed them, by input


class Predictor:
    """Predicts with the weights that its session has; any number of threads may call it at once.

    The session is the handle's own: training the model, or assigning its weights, changes nothing here.
    """

    def __init__(self, session: Session, audit: Audit) -> None:
        self._session, self._audit = session, audit
        self._outputs = session.plan.outputs
        self._lock = threading.Lock()

    def __call__(self, x: Any, out: Any = None) -> Any:
        """Each output's value by name, or the one array of a model with one output; one row per sample.

        x: as for `Model.predict`. out: where to put the answers, an array of the output's dtype and shape, or a dict
        of them by name; it is what is given back. It may be `x` itself.
        Raises: DataError as `Model.predict`; UsageError E0822 for an `out` that does not fit.
        """
        samples = Samples.whole(self._audit(x))
        with self._lock:
            results = train.predict(self._session, samples)
        return handed_over(self._outputs, results, out)


def handed_over(outputs: tuple[Signature, ...], results: dict[str, Array], out: Any) -> Any:
    """What a prediction gives its caller: `results`, or `out` with them in it. Raises: UsageError E0822."""
    if out is not None:
        rows = len(next(iter(results.values())))
        for name, array in checked_out(outputs, out, rows).items():
            array[...] = results[name]
        return out
    return results if len(outputs) > 1 else next(iter(results.values()))


def checked_out(outputs: tuple[Signature, ...], out: Any, rows: int) -> dict[str, Array]:
    """The arrays that `out` has for the outputs, by name. Raises: UsageError E0822 for one that does not fit."""
    names = [output.name for output in outputs]
    found = out if isinstance(out, Mapping) else {names[0]: out} if len(names) == 1 else {}
    if set(found) != set(names):
        notes = (f"expected {', '.join(f'`{name}`' for name in names)}",)
        helps = ("give them by name: out = {" + ", ".join(f'"{name}": ...' for name in names) + "}",)
        raise UsageError(Diagnostic("E0822", "`out` has not one array for each output", notes=notes, helps=helps))
    for output in outputs:
        array, shape = found[output.name], output.type.concrete(rows)
        expected = f"expected {output.type.dtype}{list(shape)}"
        if not isinstance(array, np.ndarray):
            notes = (f"{expected}, found {type(array).__name__}",)
            raise UsageError(Diagnostic("E0822", f"`out` has no array for output `{output.name}`", notes=notes))
        if array.dtype != output.type.dtype or array.shape != shape:
            notes = (f"{expected}, found {array.dtype}{list(array.shape)}",)
            raise UsageError(Diagnostic("E0822", f"`out` does not fit output `{output.name}`", notes=notes))
        if not array.flags.writeable:
            raise UsageError(Diagnostic("E0822", f"`out` for output `{output.name}` is read-only"))
    return dict(found)
