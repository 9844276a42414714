"""Samples made up for a plan: random numbers that pass every rule of the audit, where a spec names no data."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from nnc.compiler.options import OutputConfig
from nnc.compiler.plan import Plan
from nnc.compiler.types import INTEGER_DTYPES
from nnc.runtime.protocol import Array

from .arrays import from_arrays
from .dataset import Samples
from .slots import WEIGHTS, Slot, input_slots, strictest, target_slots, weight_slots

_WORDS = 100  # different numbers of an input that stands for categories and has no bound of its own
_MOST_COUNTED = 10  # of targets that count something


def made_up(plan: Plan, outputs: Iterable[OutputConfig], rows: int, seed: int) -> Samples:
    """`rows` samples, the same for the same plan, outputs and seed.

    Inputs: normal numbers, bytes over their whole range, numbers below a layer's bound where one counts with them.
    Targets: what their loss expects, by chance, so that nothing can be learnt from them.
    """
    outputs = tuple(outputs)
    generator = np.random.Generator(np.random.Philox(seed & ((1 << 64) - 1)))
    inputs, targets, weights = input_slots(plan), target_slots(plan, outputs), weight_slots(plan, outputs)
    x = {slot.name: _input(slot, rows, generator) for slot in inputs}
    named = {slot.name for slot in inputs}
    y = {slot.name: _target(slot, rows, generator) for slot in targets if slot.column not in named}
    given = {slot.feed.removeprefix(WEIGHTS): generator.uniform(0.5, 1.5, rows) for slot in weights}
    return from_arrays(plan, outputs, x, y or None, given or None, needs_targets=bool(targets), encodings={})


def _input(slot: Slot, rows: int, generator: np.random.Generator) -> Array:
    shape, dtype = slot.type.concrete(rows), np.dtype(slot.type.dtype)
    if slot.bounds:
        return generator.integers(0, strictest(slot.bounds, False)[1], shape).astype(dtype)
    if dtype.kind == "b":
        return generator.integers(0, 2, shape).astype(dtype)
    if slot.type.dtype in INTEGER_DTYPES:
        most = 256 if dtype == np.uint8 else min(_WORDS, int(np.iinfo(dtype).max) + 1)
        return generator.integers(0, most, shape).astype(dtype)
    return generator.normal(size=shape).astype(dtype)


def _target(slot: Slot, rows: int, generator: np.random.Generator) -> Array:
    shape = slot.type.concrete(rows)
    if slot.kind == "class":
        return generator.integers(0, slot.classes, shape)
    if slot.is_distribution:
        shares: Array = generator.uniform(0.1, 1.0, shape)
        shares /= shares.sum(axis=-1, keepdims=True)
        return shares
    if slot.high == np.inf:
        counts = slot.low == 0 or slot.type.dtype in INTEGER_DTYPES
        return generator.integers(0, _MOST_COUNTED, shape) if counts else generator.normal(size=shape)
    return np.where(generator.integers(0, 2, shape) == 1, slot.high, slot.low)
