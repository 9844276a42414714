"""Gradient accumulation as ops of the train program: gradients of several steps are summed, and their mean is used.

Source: Keras 3, `gradient_accumulation_steps`. A step that is not the last of its group updates nothing but the sums;
what is left over when an epoch ends goes on in the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .builder import Builder
from .expr import equal, floor, var, where
from .graph import Variable
from .options import Choice, TrainConfig

SUM = "gradient_sum"
_X0, _X1 = var("x0"), var("x1")


@dataclass(frozen=True, slots=True)
class Sums:
    """The gradients to update by: `means`, weight -> node.

    Where there is accumulation: `totals`, weight -> node of the sum with this step's gradient; `is_due`, a float64
    scalar, 1 at a step that updates and else 0. `updates`, a float64 scalar, is how many updates are done.
    """

    means: dict[str, int]
    updates: int
    totals: Mapping[str, int]
    is_due: int | None = None

    @classmethod
    def variable_of(cls, weight: Variable) -> Variable:
        """Where the gradients of a weight are summed."""
        return Variable(f"{weight.name}.{SUM}", weight.type, "slot", Choice("zeros"), weight.layer)


def accumulated(
    builder: Builder, gradients: dict[str, int], by_name: Mapping[str, Variable], train: TrainConfig
) -> Sums:
    """The means over `train.accumulate` steps of `gradients`, right at the steps that are due."""
    step, count = builder.variable("step"), train.accumulate
    if count == 1:
        return Sums(gradients, step, {})
    totals: dict[str, int] = {}
    for name, gradient in gradients.items():
        variable = Sums.variable_of(by_name[name])
        before = builder.add("variable", name=variable.name, type=variable.type)
        totals[name] = builder.map(_X0 + _X1, before, gradient)
    means = {name: builder.map(_X0 / count, total) for name, total in totals.items()}
    updates = builder.map(floor(_X0 / count), step, dtype="float64")
    is_due = builder.map(where(equal(_X0 - _X1 * count, count - 1), 1, 0), step, updates, dtype="float64")
    return Sums(means, updates, totals, is_due)
