"""Arrays from a Python call, bound by name like files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from nnc.compiler.options import OutputConfig
from nnc.compiler.plan import Plan
from nnc.grammar.diagnostics import DataError, Diagnostic
from nnc.grammar.suggest import nearest

from .dataset import Samples, bind
from .encoding import learn
from .slots import WEIGHTS, Slot, input_slots, target_slots, weight_slots
from .source import Encoding, Values


def from_arrays(
    plan: Plan,
    outputs: Iterable[OutputConfig],
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    needs_targets: bool = True,
    encodings: Mapping[str, Encoding] | None = None,
) -> Samples:
    """Samples of arrays, lists or anything NumPy makes an array of; memory-mapped arrays stay so.

    x, y: a dict by name of input and of output, or one array where there is one. A target that is an input
    (an autoencoder's) may be left out of `y`. sample_weight: the same by name of output; without it every sample
    counts 1. encodings: what a trained model knows of texts, by input and output; without it these samples teach it.
    Raises: DataError E0704 (missing), E0705 (superfluous), E0706-E0715, E0711, E0719, E0720 (of texts).
    """
    inputs = input_slots(plan)
    outputs = tuple(outputs)
    targets = target_slots(plan, outputs) if needs_targets else ()
    weights = weight_slots(plan, outputs) if needs_targets else ()
    problems: list[Diagnostic] = []
    values = _by_feed(inputs, inputs, x, "x", problems)
    if needs_targets:
        sources = {slot.name: values[slot.feed] for slot in inputs if slot.feed in values}
        needed = tuple(slot for slot in targets if slot.column not in sources)
        values.update({slot.feed: sources[slot.column] for slot in targets if slot.column in sources})
        values.update(_by_feed(targets, needed, y, "y", problems))
        values.update(_weights(weights, outputs, sample_weight, values, problems))
    if problems:
        raise DataError(*problems)
    slots = (*inputs, *targets, *weights)
    values = {slot.feed: _coded(values[slot.feed], slot) for slot in slots if slot.feed in values}
    learnt = _learnt(slots, values) if encodings is None else encodings
    return bind(slots, values, "", learnt, is_predicted=not needs_targets)


def _coded(values: Values, slot: Slot) -> Values:
    """Texts, where the slot takes them, as positions in a list of words; None, NaN and "" are missing."""
    array = values.array
    if not slot.takes_text or not isinstance(array, np.ndarray) or array.dtype.kind not in "UO" or not array.size:
        return values
    cells = ["" if cell is None or cell != cell else cell for cell in array.reshape(-1).tolist()]
    if not all(isinstance(cell, str) for cell in cells):
        return values
    words = tuple(dict.fromkeys(cell for cell in cells if cell))
    place = {word: index for index, word in enumerate(words)} | {"": -1}
    codes = np.array([place[cell] for cell in cells], np.int64).reshape(array.shape)
    return replace(values, array=codes, words=words)


def _learnt(slots: Iterable[Slot], values: Mapping[str, Values]) -> dict[str, Encoding]:
    """What these samples teach of texts."""
    found: dict[str, Encoding] = {}
    problems: list[Diagnostic] = []
    for slot in slots:
        if slot.feed not in values or not values[slot.feed].words or not values[slot.feed].array.shape:
            continue                             # one text is no list of samples, which `bind` reports
        try:
            encoding = learn(slot, values[slot.feed], np.arange(len(values[slot.feed].array), dtype=np.int64))
            found |= {slot.name: encoding} if encoding is not None else {}
        except DataError as error:
            problems += error.diagnostics
    if problems:
        raise DataError(*problems)
    return found


def _weights(
    slots: tuple[Slot, ...],
    outputs: Iterable[OutputConfig],
    given: Any,
    values: Mapping[str, Values],
    problems: list[Diagnostic],
) -> dict[str, Values]:
    """Sample weights by feed, for as many samples as there are of the rest; they go by the names of their outputs."""
    named = tuple(replace(slot, name=slot.feed.removeprefix(WEIGHTS)) for slot in slots)
    if given is not None:
        if not slots:
            text = "the model was compiled without sample weights"
            names = ", ".join(f"`{output.name}`" for output in outputs)
            helps = (f"name them in an output, `sample_weight = NAME`: {names}",)
            problems.append(Diagnostic("E0705", text, place="argument `sample_weight`", helps=helps))
            return {}
        found = _by_feed(named, (), given, "sample_weight", problems)
    else:
        found = {}
    rows = next((len(value.array) for value in values.values() if value.array.shape), 0)
    ones = Values(np.ones(rows, np.float32), "weights of 1")
    return {slot.feed: found.get(slot.feed, ones) for slot in slots}


def _by_feed(
    slots: tuple[Slot, ...], needed: tuple[Slot, ...], given: Any, argument: str, problems: list[Diagnostic]
) -> dict[str, Values]:
    """What an argument gives for `slots`, by feed; every slot of `needed` must be among it."""
    if given is None and not needed:
        return {}
    if isinstance(given, Mapping):
        return _from_mapping(slots, needed, given, argument, problems)
    if given is None:
        problems += [_missing(slot, argument) for slot in needed]
        return {}
    if len({slot.column for slot in slots}) != 1:
        names = ", ".join(f'"{slot.name}": ...' for slot in slots)
        kind = {"x": "inputs", "y": "targets"}.get(argument, "outputs with sample weights")
        text = f"`{argument}` is one array, but the model has {len(slots)} {kind}"
        helps = (f"give them by name: {argument} = {{{names}}}",) if slots else ()
        problems.append(Diagnostic("E0704", text, place=f"argument `{argument}`", helps=helps))
        return {}
    array = _as_array(given, slots[0].name, problems)
    return {} if array is None else {slot.feed: array for slot in slots}


def _from_mapping(
    slots: tuple[Slot, ...], needed: tuple[Slot, ...], given: Mapping[Any, Any], argument: str,
    problems: list[Diagnostic],
) -> dict[str, Values]:
    known = tuple(dict.fromkeys(name for slot in slots for name in (slot.name, slot.column)))
    found: dict[str, Values] = {}
    served = set[str]()
    for name, array in given.items():
        if name not in known:
            problems.append(_superfluous(str(name), known, argument))
            continue
        value = _as_array(array, str(name), problems)
        # the name of an output goes before the name of a column, which several outputs may share
        is_column = all(slot.column == name for slot in slots if slot.name == name)
        for slot in slots:
            if slot.name == name or (is_column and slot.column == name and slot.name not in given):
                served.add(slot.feed)
                if value is not None:
                    found[slot.feed] = value
    problems += [_missing(slot, argument) for slot in needed if slot.feed not in served]
    return found


def _superfluous(name: str, known: tuple[str, ...], argument: str) -> Diagnostic:
    near = nearest(name, known)
    helps = (f"did you mean {' or '.join(f'`{word}`' for word in near)}?",) if near else ()
    kind = {"x": "input", "y": "target"}.get(argument, "output with sample weights")
    return Diagnostic("E0705", f"`{name}` is no {kind} of the model", place=f"argument `{argument}`",
                      notes=(f"the model has {', '.join(f'`{word}`' for word in known)}",), helps=helps)


def _missing(slot: Slot, argument: str) -> Diagnostic:
    return Diagnostic("E0704", f"there is nothing for {slot.role} `{slot.name}`", place=f"argument `{argument}`",
                      notes=(f"expected {slot.type}",))


def _as_array(given: Any, name: str, problems: list[Diagnostic]) -> Values | None:
    origin = f"array `{name}`"
    if isinstance(given, np.ma.MaskedArray) and (masked := np.ma.getmaskarray(given)).any():
        row = int(np.unravel_index(int(np.argmax(masked)), masked.shape)[0]) + 1 if masked.shape else 1
        helps = ("leave such rows out, or give numbers for them: `array.filled(...)`",)
        text = f"`{name}` is a masked array, {int(masked.sum()):,} of whose values are masked"
        problems.append(Diagnostic("E0711", text, place=f"{origin}, row {row}", helps=helps))
        return None
    try:
        return Values(np.asarray(given), origin)
    except (ValueError, TypeError):
        problems.append(Diagnostic("E0708", f"`{name}` makes no array: its rows have different lengths", place=origin))
        return None
