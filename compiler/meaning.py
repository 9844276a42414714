"""Whether outputs, losses and metrics make sense together: what Keras finds after an hour, or never.

Reads the fields of the formula tables: what a loss expects of a prediction and of a target, which values an activation can
take. Nothing here knows a loss by its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final

from nnc.grammar.diagnostics import NncError
from nnc.grammar.source import Span

from .derivative import simplify
from .expr import const
from .formulas.activations import ACTIVATIONS
from .formulas.definition import Loss, Metric
from .formulas.losses import LOSSES
from .formulas.metrics import METRICS
from .layers import LAYERS
from .layers.definition import Weight
from .network import Layer, Network
from .options import Choice, OutputConfig
from .report import Problems, counted, did_you_mean, fault, listed
from .types import TensorType

Interval = tuple[float, float]
_EVERYTHING: Final = (float("-inf"), float("inf"))
_SAMPLES: Final = tuple(x / 4 for x in range(-160, 161))
_UNBOUNDED: Final = frozenset({"Maxout", "BatchNormalization", "LayerNormalization", "Normalize", "GaussianNoise"})
_PASSING: Final = frozenset({"Flatten", "Reshape"})


def meaning_problems(network: Network, weights: Mapping[str, tuple[Weight, ...]]) -> tuple[object, ...]:
    return ()
