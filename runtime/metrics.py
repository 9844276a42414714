"""Figures of an epoch or an evaluation, from the accumulators that a plan's programs add to.

`clear(session)` before the first step, `report(session, rows)` after the last: losses, metrics and regularisers, each a
mean over exactly the samples seen, and their total.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnc.compiler.graph import Term
from nnc.compiler.ops.scalar import evaluate
from nnc.runtime.protocol import Session

ACCUMULATOR = "accumulator"


@dataclass(frozen=True, slots=True)
class Figure:
    """One term's value: `kind` is "loss", "metric" or "regularizer"; metrics have no part in the total."""

    name: str
    kind: str
    output: str
    weight: float
    value: float


@dataclass(frozen=True, slots=True)
class Report:
    """What `rows` samples gave. `total` is the sum of weight * value over losses and regularisers, in their order."""

    total: float
    terms: tuple[Figure, ...]
    rows: int

    def figures(self, prefix: str = "") -> dict[str, float]:
        """The total as `loss`, then every term under its own name, each name with `prefix` before it."""
        return {f"{prefix}loss": self.total} | {f"{prefix}{figure.name}": figure.value for figure in self.terms}


def clear(session: Session) -> None:
    """Set every accumulator to zero."""
    for variable, _ in session.plan.variables:
        if variable.role == ACCUMULATOR:
            session.write(variable.name, np.zeros(variable.type.concrete(0), variable.type.dtype))


def report(session: Session, rows: int) -> Report:
    """The figures of the `rows` samples seen since `clear`."""
    terms = tuple(
        Figure(term.name, term.kind, term.output, term.weight, _finish(session, term, rows))
        for term in session.plan.terms
    )
    total = 0.0
    for figure in terms:
        if figure.kind != "metric":
            total += figure.weight * figure.value
    return Report(total, terms, rows)


def _finish(session: Session, term: Term, rows: int) -> float:
    bindings = {f"a{k}": session.read(name) for k, name in enumerate(term.accumulators)}
    bindings["rows"] = np.asarray(float(rows))
    return float(evaluate(term.finish, bindings, np.float64))
