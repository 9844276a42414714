"""Figures of an epoch or an evaluation, from the accumulators that a plan's programs add to.

`clear(session)` before the first step, `report(session, rows)` after the last: losses, metrics and regularisers, each
over exactly the samples seen, and the total. What needs every score is gathered by `scores.Scores`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nnc.compiler.graph import ACCUMULATOR, Term
from nnc.compiler.ops.scalar import evaluate
from nnc.runtime.protocol import Array, Session

from .scores import Scores

TABLE = "confusion"


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
    """What `rows` samples gave. `total` is the sum of weight * value over losses and regularisers, in their order.

    tables: what is no single number, by name: a confusion matrix, int64[classes, classes], a row per true class.
    """

    total: float
    terms: tuple[Figure, ...]
    rows: int
    tables: Mapping[str, Array] = field(default_factory=dict, compare=False)

    def figures(self, prefix: str = "") -> dict[str, float]:
        """The total as `loss`, then every term under its own name, each name with `prefix` before it."""
        return {f"{prefix}loss": self.total} | {f"{prefix}{figure.name}": figure.value for figure in self.terms}


def clear(session: Session) -> None:
    """Set every accumulator to zero."""
    for variable, _ in session.plan.variables:
        if variable.role == ACCUMULATOR:
            session.write(variable.name, np.zeros(variable.type.concrete(0), variable.type.dtype))


def report(session: Session, rows: int, scores: Scores | None = None) -> Report:
    """The figures of the `rows` samples seen since `clear`.

    scores: of an evaluation, those of the same samples. Without them, only what training reports as well.
    """
    terms = [term for term in session.plan.terms if not term.measure or scores is not None]
    figures = tuple(
        Figure(term.name, term.kind, term.output, term.weight, _value(session, term, rows, scores))
        for term in terms
        if term.measure != TABLE
    )
    total = 0.0
    for figure in figures:
        if figure.kind != "metric":
            total += figure.weight * figure.value
    tables = {t.name: session.read(t.accumulators[0]).astype(np.int64) for t in terms if t.measure == TABLE}
    return Report(total, figures, rows, tables)


def _value(session: Session, term: Term, rows: int, scores: Scores | None) -> float:
    if scores is not None and term.measure == "auc":
        return scores.auc(term.output)
    return finished(term, [session.read(name) for name in term.accumulators], rows)


def finished(term: Term, sums: Sequence[Array], rows: int) -> float:
    """A term's figure from its sums: the mean of `finish` over the elements at which `counted` holds."""
    bindings = {f"a{k}": value for k, value in enumerate(sums)} | {"rows": np.asarray(float(rows))}
    values = evaluate(term.finish, bindings, np.float64)
    if term.counted is not None:
        values = values[evaluate(term.counted, bindings, np.float64).astype(bool)]
    return float(values.mean())
