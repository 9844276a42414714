"""Learning-rate schedules, with Keras's formulas, argument names and defaults: value at `step` finished steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from ..expr import Expr, const, cos, floor, minimum, where
from .definition import REQUIRED, Schedule


def _exponential(
    step: Expr, initial_learning_rate: float, decay_steps: float, decay_rate: float, staircase: bool = False
) -> Expr:
    decays = step / decay_steps
    return initial_learning_rate * const(decay_rate) ** (floor(decays) if staircase else decays)


def _piecewise_constant(step: Expr, boundaries: Sequence[float], values: Sequence[float]) -> Expr:
    assert len(values) == len(boundaries) + 1, (boundaries, values)
    rate = const(values[-1])
    for boundary, value in zip(reversed(boundaries), reversed(values[:-1]), strict=True):
        rate = where(step <= boundary, value, rate)
    return rate


def _cosine(
    step: Expr,
    initial_learning_rate: float,
    decay_steps: float,
    alpha: float = 0.0,
    warmup_target: float | None = None,
    warmup_steps: float = 0,
) -> Expr:
    if warmup_target is None:
        return _cosine_decay(minimum(step, decay_steps), initial_learning_rate, decay_steps, alpha)
    decay = _cosine_decay(minimum(step - warmup_steps, decay_steps), warmup_target, decay_steps, alpha)
    if not warmup_steps:
        return decay
    warm_up = (warmup_target - initial_learning_rate) * (step / warmup_steps) + initial_learning_rate
    return where(step < warmup_steps, warm_up, decay)


def _cosine_decay(step: Expr, start: float, decay_steps: float, alpha: float) -> Expr:
    return start * ((1 - alpha) * (0.5 * (1 + cos(math.pi * (step / decay_steps)))) + alpha)


SCHEDULES: Final[dict[str, Schedule]] = {
    "constant": Schedule(
        "the same at every step",
        lambda step, learning_rate: const(learning_rate),
        {"learning_rate": REQUIRED},
    ),
    "step": Schedule(
        "times `decay_rate` after every `decay_steps` steps",
        lambda step, initial_learning_rate, decay_steps, decay_rate=0.1: _exponential(
            step, initial_learning_rate, decay_steps, decay_rate, True
        ),
        {"initial_learning_rate": REQUIRED, "decay_steps": REQUIRED, "decay_rate": 0.1},
    ),
    "exponential": Schedule(
        "times `decay_rate` per `decay_steps` steps, smoothly, or in steps where `staircase`",
        _exponential,
        {"initial_learning_rate": REQUIRED, "decay_steps": REQUIRED, "decay_rate": REQUIRED, "staircase": False},
    ),
    "cosine": Schedule(
        "half a cosine from `initial_learning_rate` down to `alpha` times it, in `decay_steps` steps; with a"
        " `warmup_target` first a straight line up to that, in `warmup_steps` steps",
        _cosine,
        {
            "initial_learning_rate": REQUIRED,
            "decay_steps": REQUIRED,
            "alpha": 0.0,
            "warmup_target": None,
            "warmup_steps": 0,
        },
    ),
    "piecewise_constant": Schedule(
        "`values`, one more than the `boundaries`, each up to and including its boundary",
        _piecewise_constant,
        {"boundaries": REQUIRED, "values": REQUIRED},
    ),
    "plateau": Schedule(
        "times `factor` whenever `monitor` has not improved by `min_delta` for `patience` epochs, never below `min_lr`;"
        " the trainer writes the factor in force to the variable learning_rate_scale",
        lambda step, initial_learning_rate, **arguments: const(initial_learning_rate),
        {
            "initial_learning_rate": REQUIRED,
            "monitor": "val_loss",
            "factor": 0.1,
            "patience": 10,
            "min_delta": 1e-4,
            "cooldown": 0,
            "min_lr": 0.0,
        },
    ),
}

ALIASES: Final = {
    "exponential_decay": "exponential",
    "ExponentialDecay": "exponential",
    "cosine_decay": "cosine",
    "CosineDecay": "cosine",
    "step_decay": "step",
    "piecewise_constant_decay": "piecewise_constant",
    "PiecewiseConstantDecay": "piecewise_constant",
    "reduce_lr_on_plateau": "plateau",
    "ReduceLROnPlateau": "plateau",
}
