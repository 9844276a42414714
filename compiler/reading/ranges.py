"""Ranges of numbers that a spec may give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Bounds:
    """The range of a number; `open_low` and `open_high` say that an end does not belong to it."""

    low: float
    high: float = float("inf")
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.open_low else value >= self.low
        return above and (value < self.high if self.open_high else value <= self.high)

    def __str__(self) -> str:
        low = f"more than {self.low:g}" if self.open_low else f"at least {self.low:g}"
        if self.high == float("inf"):
            return low
        return f"{low} and {'less than' if self.open_high else 'at most'} {self.high:g}"


_POSITIVE, _NOT_NEGATIVE = Bounds(0, open_low=True), Bounds(0)
_PART, OPEN_PART = Bounds(0, 1), Bounds(0, 1, open_high=True)
# what a number may be, by the name of its argument: a name means the same wherever it stands
RANGES: Final[dict[str, Bounds]] = {
    "learning_rate": _POSITIVE, "initial_learning_rate": _NOT_NEGATIVE, "epsilon": _POSITIVE, "delta": _POSITIVE,
    "momentum": _PART, "rho": OPEN_PART, "beta_1": OPEN_PART, "beta_2": OPEN_PART, "label_smoothing": _PART,
    "weight_decay": _NOT_NEGATIVE, "l1": _NOT_NEGATIVE, "l2": _NOT_NEGATIVE, "stddev": _NOT_NEGATIVE,
    "variance": _NOT_NEGATIVE, "initial_accumulator_value": _NOT_NEGATIVE, "weight": _NOT_NEGATIVE,
    "clip_norm": _POSITIVE, "clip_value": _POSITIVE, "seed": Bounds(0, 2**63 - 1), "k": Bounds(1),
    "patience": _NOT_NEGATIVE, "cooldown": _NOT_NEGATIVE, "min_delta": _NOT_NEGATIVE, "min_lr": _NOT_NEGATIVE,
    "decay_steps": Bounds(1), "warmup_steps": _NOT_NEGATIVE, "warmup_target": _POSITIVE, "decay_rate": _POSITIVE,
    "factor": Bounds(0, 1, open_low=True, open_high=True),
    "ema": OPEN_PART, "learning_rate_multiplier": _NOT_NEGATIVE,
    "class_weight": _NOT_NEGATIVE, "validation": OPEN_PART, "test": OPEN_PART,
}  # fmt: skip
