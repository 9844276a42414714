"""Gradient clipping as ops of the train program, with Keras's formulas."""

from __future__ import annotations

from .builder import Builder
from .expr import const, maximum, minimum, sqrt, square, var
from .judging import total_of, total_of_elements
from .options import TrainConfig

_X0, _X1 = var("x0"), var("x1")


def clipped(builder: Builder, gradients: dict[str, int], train: TrainConfig) -> dict[str, int]:
    """`gradients` bounded by the global norm `clip_norm`, then element by element by `clip_value`, where they are set.

    Source: Keras 3, `global_clipnorm` and `clipvalue`: with norm n of all gradients together, each is multiplied by
    `clip_norm * min(1 / n, 1 / clip_norm)`.
    """
    if train.clip_norm is not None and gradients:
        scale_of_norm = train.clip_norm * minimum(1 / sqrt(_X0), const(1 / train.clip_norm))
        scale = builder.map(scale_of_norm, _sum_of_squares(builder, list(gradients.values())))
        gradients = {name: builder.map(_X0 * _X1, node, _as(builder, scale, node)) for name, node in gradients.items()}
    if train.clip_value is not None:
        bounded = maximum(minimum(_X0, const(abs(train.clip_value))), const(-abs(train.clip_value)))
        gradients = {name: builder.map(bounded, node) for name, node in gradients.items()}
    return gradients


def _as(builder: Builder, scale: int, gradient: int) -> int:
    return builder.identity(scale, builder.type(gradient).dtype)


def _sum_of_squares(builder: Builder, gradients: list[int]) -> int:
    """float64 scalar."""
    return total_of(builder, [total_of_elements(builder, builder.map(square(_X0), node)) for node in gradients])
