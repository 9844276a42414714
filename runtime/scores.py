"""What is measured by ranking all scores of an evaluation: the area under the ROC curve.

`Scores(plan)` before the first step, `gather(session)` after each step of `evaluate_step`, then `auc(output)`.
"""

from __future__ import annotations

import numpy as np

from nnc.compiler.plan import Plan
from nnc.runtime.protocol import Array, Session


class Scores:
    """The scores and true answers of the samples seen, for the outputs that are measured by them."""

    def __init__(self, plan: Plan) -> None:
        outputs = {term.output for term in plan.terms if term.measure == "auc"}
        self._batches: dict[str, list[tuple[Array, Array]]] = {name: [] for name in sorted(outputs)}

    @property
    def are_kept(self) -> bool:
        """Whether some output is measured by its scores, so that each step has to be gathered."""
        return bool(self._batches)

    def gather(self, session: Session) -> None:
        """Keep what the last step gave."""
        for output, batches in self._batches.items():
            scores = session.fetch("evaluate_step", f"scores.{output}")
            truth = session.fetch("evaluate_step", f"truth.{output}")
            batches.append((scores.copy(), truth.copy()))

    def auc(self, output: str) -> float:
        """The area under the ROC curve; of several units the mean of each one's, NaN where one is not defined.

        Of classes, each against all others.
        """
        scores = np.concatenate([batch for batch, _ in self._batches[output]])
        truth = np.concatenate([batch for _, batch in self._batches[output]])
        width = scores.shape[-1]
        scores = scores.reshape(-1, width)
        if truth.shape[-1] == width:
            is_yes = truth.reshape(-1, width) > 0.5
        else:
            is_yes = np.equal(truth.reshape(-1, 1), np.arange(width))
        areas = [area_under_roc(is_yes[:, k], scores[:, k]) for k in range(width)]
        return float(np.mean(areas))


def area_under_roc(is_yes: Array, scores: Array) -> float:
    """How often a yes scores above a no, ties counting half: bool[n], float[n]. NaN where one of the two is missing.

    Source: Mann and Whitney, "On a test of whether one of two random variables is stochastically larger" (1947).
    """
    yes = int(is_yes.sum())
    no = len(is_yes) - yes
    if not yes or not no:
        return float("nan")
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(count) - (count - 1) / 2
    return float((ranks[place][is_yes].sum() - yes * (yes + 1) / 2) / (yes * no))
