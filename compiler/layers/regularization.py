"""Dropout and GaussianNoise: random in training, the identity otherwise."""

from __future__ import annotations

from ..builder import Builder
from ..expr import not_equal, var, where
from ..types import TensorType
from .definition import Arguments, Expansion, Hyperparameter, LayerDef
from .reading import float_of, require_float


def _infer(name: str, inputs: tuple[TensorType, ...]) -> TensorType:
    require_float(name, inputs[0])
    return inputs[0]


def _expand_dropout(builder: Builder, arguments: Arguments, inputs: tuple[int, ...], expansion: Expansion) -> int:
    rate = float_of(arguments, "rate")
    if not expansion.training or rate == 0:
        return inputs[0]
    uniform = builder.random("uniform", builder.type(inputs[0]).shape, expansion.stream, expansion.step)
    # a mask of its own: the backward pass keeps one byte per value, not the random number
    kept = builder.map(var("x0") >= rate, uniform, dtype="bool")
    return builder.map(where(not_equal(var("x1"), 0), var("x0") * (1 / (1 - rate)), 0.0), inputs[0], kept)


def _expand_noise(builder: Builder, arguments: Arguments, inputs: tuple[int, ...], expansion: Expansion) -> int:
    stddev = float_of(arguments, "stddev")
    if not expansion.training or stddev == 0:
        return inputs[0]
    normal = builder.random("normal", builder.type(inputs[0]).shape, expansion.stream, expansion.step)
    return builder.map(var("x0") + stddev * var("x1"), inputs[0], normal)


REGULARIZATION = (
    LayerDef(
        name="Dropout",
        doc="In training, sets a random part of the values to 0 and scales the others so that the mean stays.",
        infer=lambda arguments, inputs: _infer("Dropout", inputs),
        expand=_expand_dropout,
        hyperparameters=(Hyperparameter("rate", "rate", doc="part of the values to drop, from 0 to below 1"),),
    ),
    LayerDef(
        name="GaussianNoise",
        doc="In training, adds normal noise of mean 0.",
        infer=lambda arguments, inputs: _infer("GaussianNoise", inputs),
        expand=_expand_noise,
        hyperparameters=(Hyperparameter("stddev", "float", doc="standard deviation of the noise"),),
    ),
)
