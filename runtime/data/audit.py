"""Turns what a reader found into what a plan is fed, and finds before the first step what is wrong with it.

An array that has the right type already is passed on as it lies, memory-mapped or not; all checks go through it in
blocks. What is too large to read ahead is checked batch by batch, each before it is used. Nothing is ever broadcast
into place or rounded: a value that does not fit is an error with its place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import prod
from typing import Final

import numpy as np

from nnc.compiler.types import BATCH
from nnc.grammar.diagnostics import DataError, Diagnostic
from nnc.runtime.protocol import Array, Feed, Rows

from . import encoding, stream
from .slots import Slot, counted_by, strictest
from .source import Values

SUM_TOLERANCE: Final = 0.02      # of a row of probabilities: three that were rounded to 0.33 are let through
_KIND_NAMES: Final = {"U": "text", "S": "text", "O": "Python objects", "c": "complex numbers", "M": "dates",
                      "m": "time spans", "V": "records"}


def to_feed(slot: Slot, values: Values) -> Feed:
    """`values` as the array that `slot` is fed, shape and dtype exactly the plan's.

    Raises: DataError E0707 (no rows), E0708 (shape), E0709 (dtype, or a value that its dtype cannot hold), E0712 (NaN,
    infinity), E0713 (label, target or index out of range), E0714 (fractional label),
    E0715 (class indices for one-hot, or back), E0711, E0719 (of texts and gaps). Of data that is streamed, those of
    values come from `take`.
    """
    if values.words and not slot.takes_text:
        raise DataError(_wrong_kind(slot, values))
    if values.array.dtype.kind not in "buif":
        raise DataError(_wrong_kind(slot, values))
    if values.array.shape and not len(values.array):
        text = f"there are no samples for {slot.role} `{slot.name}`"
        raise DataError(Diagnostic("E0707", text, place=values.whole))
    shape = _shape(slot, values)
    if not isinstance(values.array, np.ndarray):
        return AuditedRows(slot, values, (len(values.array), *shape))
    return _checked(slot, values, values.array, shape)


def _checked(slot: Slot, values: Values, block: Array, shape: tuple[int, ...]) -> Array:
    """`block`, all of `values` or the rows of it that `values.rows` tells, as the slot is fed."""
    array = encoding.numbers(slot, values, block)
    array = array if array.shape[1:] == shape else array.reshape(len(array), *shape)
    _refuse_values(slot, values, array)
    return _converted(slot, array)


class AuditedRows:
    """Samples that are read, checked and converted when a batch asks for them."""

    def __init__(self, slot: Slot, values: Values, shape: tuple[int, ...]) -> None:
        self.shape, self.dtype = shape, np.dtype(slot.type.dtype)
        self._slot, self._values = slot, values

    def __len__(self) -> int:
        return self.shape[0]

    def take(self, rows: Rows, out: Array) -> None:
        """Raises: DataError for the first value that does not fit, with its row in the file."""
        source = self._values.array
        assert not isinstance(source, np.ndarray)
        is_ready = source.dtype == self.dtype and out.flags.c_contiguous and not self._values.words
        shape = (len(rows), *source.shape[1:])
        raw = out.reshape(shape) if is_ready else np.empty(shape, source.dtype)
        source.take(rows, raw)
        checked = _checked(self._slot, replace(self._values, rows=rows), raw, self.shape[1:])
        if not np.may_share_memory(checked, out):
            out[...] = checked

    def audit(self) -> None:
        """Go through all samples once. Raises: DataError as `take` does."""
        for _ in stream.blocks(self):
            pass


def _wrong_kind(slot: Slot, values: Values) -> Diagnostic:
    found = _KIND_NAMES.get(values.array.dtype.kind, str(values.array.dtype))
    return Diagnostic("E0709", f"{slot.role} `{slot.name}` needs numbers", place=values.whole,
                      notes=(f"expected {slot.type}, found {found}",))


# --- shape ----------------------------------------------------------------------------------------------------------
def _shape(slot: Slot, values: Values) -> tuple[int, ...]:
    """The slot's sample shape, if the samples fit: a table's columns fill it in order, `[n]` is as good as `[n, 1]`."""
    array = values.array
    if array.shape == ():
        raise DataError(_wrong_shape(slot, values, "one value is not a list of samples"))
    expected = tuple(int(dim) for dim in slot.sample_shape)
    found = array.shape[1:]
    if found == expected:
        return expected
    if (values.columns or prod(found) == prod(expected) == 1) and prod(found) == prod(expected):
        return expected
    raise DataError(_confused_targets(slot, values) or _wrong_shape(slot, values))


def _wrong_shape(slot: Slot, values: Values, *notes: str) -> Diagnostic:
    if values.columns:
        found = f"{len(values.columns)} column{'s' if len(values.columns) > 1 else ''}"
    else:
        found = str(list(values.array.shape))
    expected = ", ".join("n" if dim == BATCH else str(dim) for dim in slot.type.shape)
    helps: tuple[str, ...] = ()
    if not slot.is_target and slot.sample_shape == values.array.shape:
        helps = ("one sample still needs the axis of samples: array[None]",)
    return Diagnostic("E0708", f"{slot.role} `{slot.name}` does not have the shape that the model expects",
                      place=values.whole, notes=(f"expected [{expected}], found {found}", *notes), helps=helps)


def _confused_targets(slot: Slot, values: Values) -> Diagnostic | None:
    """Class indices where one-hot rows are expected, or the reverse."""
    found = values.array.shape[1:]
    if slot.kind == "class" and found == (slot.classes,):
        return Diagnostic(
            "E0715", f"target `{slot.name}` is one-hot, but its loss expects class indices", place=values.whole,
            notes=(f"expected [n], found {list(values.array.shape)}",),
            helps=("use the loss `categorical_crossentropy`, or give the class of each row: y.argmax(axis=-1)",))
    if slot.kind == "one_hot" and prod(found) == 1:
        return Diagnostic(
            "E0715", f"target `{slot.name}` holds class indices, but its loss expects one-hot rows",
            place=values.whole,
            notes=(f"expected [n, {slot.sample_shape[-1]}], found {list(values.array.shape)}",),
            helps=("use the loss `sparse_categorical_crossentropy`",))
    return None


# --- values ---------------------------------------------------------------------------------------------------------
def _refuse_values(slot: Slot, values: Values, array: Array) -> None:
    """The first value of each sort that does not fit."""
    problems: list[Diagnostic] = []
    values = replace(values, array=array)
    if array.dtype.kind == "f":
        problems = _find(slot, values, lambda block: ~np.isfinite(block),
                         partial(_not_finite, is_predicted=values.is_predicted))
    if slot.kind == "class":
        if array.dtype.kind == "f" and not problems:
            problems = _find(slot, values, lambda block: block != np.floor(block), _fractional)
        if not problems:
            problems = _find(slot, values, lambda block: (block < 0) | (block >= slot.classes), _no_class)
    elif not problems:
        if slot.bounds:
            problems = _beyond_bounds(slot, values)
        elif (slot.low, slot.high) != (-np.inf, np.inf):
            problems = _find(slot, values, lambda block: (block < slot.low) | (block > slot.high), _out_of_range)
        problems = problems or _unfit(slot, values)
        if slot.is_distribution and not problems:
            problems = _no_distributions(slot, values)
    if problems:
        raise DataError(*problems)


def _beyond_bounds(slot: Slot, values: Values) -> list[Diagnostic]:
    """Numbers that a layer counts with and has no place for."""
    has_other = values.encoding is not None and encoding.has_other(values.encoding.words)
    bound, limit = strictest(slot.bounds, has_other)

    def describe(slot: Slot, value: float, place: str) -> Diagnostic:
        shown = int(value) if value == int(value) else value
        text = f"input `{slot.name}` has the value {shown}, outside the {counted_by(bound)}"
        helps = (f"numbers count from 0: subtract 1 from each, or give `{bound.kind}` one more",)
        return Diagnostic("E0713", text, place=place, notes=(f"expected 0 to {limit - 1}",),
                          helps=helps if value == limit else ())

    return _find(slot, values, lambda block: (block < 0) | (block >= limit), describe)


def _find(
    slot: Slot, values: Values, is_wrong: Callable[[Array], Array], describe: Callable[[Slot, float, str], Diagnostic]
) -> list[Diagnostic]:
    """One diagnostic of the first wrong value, with a count of all."""
    first: tuple[int, ...] | None = None
    count = 0
    array = values.array
    assert isinstance(array, np.ndarray)
    for numbers, block in stream.blocks(array):
        wrong = is_wrong(block)
        found = int(np.count_nonzero(wrong))
        if found and first is None:
            index = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
            first = (int(numbers[0]) + int(index[0]), *map(int, index[1:]))
        count += found
    if first is None:
        return []
    diagnostic = describe(slot, array[first].item(), values.place(first[0], _position(values, first[1:])))
    notes = (_in_all(values, count, "values"),) if count > 1 else ()
    return [Diagnostic(diagnostic.code, diagnostic.message, place=diagnostic.place,
                       notes=(*diagnostic.notes, *notes), helps=diagnostic.helps)]


def _in_all(values: Values, count: int, what: str) -> str:
    return f"{count:,} such {what} {'in all' if values.rows is None else 'in this batch'}"


def _position(values: Values, index: tuple[int, ...]) -> tuple[int, ...]:
    """The index within a sample; for a table, the number of the column."""
    if not values.columns:
        return () if values.array.shape[1:] == (1,) else index
    return (int(np.ravel_multi_index(index, values.array.shape[1:])) if index else 0,)


def _not_finite(slot: Slot, value: float, place: str, *, is_predicted: bool) -> Diagnostic:
    help = ("leave the row out, or give a number for it: its answer would be NaN" if is_predicted else
            "clean the data before training: one such value spoils every weight")  # fmt: skip
    name = "NaN" if value != value else "infinity"
    return Diagnostic("E0712", f"{slot.role} `{slot.name}` holds {name}", place=place, helps=(help,))


def _fractional(slot: Slot, value: float, place: str) -> Diagnostic:
    return Diagnostic("E0714", f"target `{slot.name}` has the label {value}, which is no class index", place=place,
                      notes=(f"expected a whole number from 0 to {slot.classes - 1}",),
                      helps=("for a quantity use a regression loss such as `mse`",))


def _no_class(slot: Slot, value: float, place: str) -> Diagnostic:
    shown = int(value)
    helps: tuple[str, ...] = ()
    if shown == slot.classes:
        helps = (f"labels count from 0: subtract 1 from each, or give the output {slot.classes + 1} units",)
    elif shown == -1:
        helps = ("give -1 and 1 as 0 and 1",)
    text = f"target `{slot.name}` has the label {shown}, outside its {slot.classes} classes"
    return Diagnostic("E0713", text, place=place, notes=(f"expected 0 to {slot.classes - 1}",), helps=helps)


def _out_of_range(slot: Slot, value: float, place: str) -> Diagnostic:
    if slot.kind == "weight":
        return Diagnostic("E0713", f"{slot.role} `{slot.name}` have the value {value:g}", place=place,
                          notes=("expected at least 0",))
    bounds = f"at least {slot.low:g}" if slot.high == np.inf else f"from {slot.low:g} to {slot.high:g}"
    return Diagnostic("E0713", f"target `{slot.name}` has the value {value:g}", place=place,
                      notes=(f"`{slot.loss}` expects targets {bounds}",))


def _no_distributions(slot: Slot, values: Values) -> list[Diagnostic]:
    """The first row of probabilities that do not sum to 1, as rows of rounded ones nearly do."""
    count, first, found = 0, 0, 0.0
    for numbers, block in stream.blocks(values.array):
        sums = block.sum(axis=-1, dtype=np.float64)
        wrong = np.abs(sums - 1) > SUM_TOLERANCE
        if values.gone is not None:                     # of rows that are left out, gaps became zeros
            wrong[values.gone[numbers if values.rows is None else values.rows[numbers]]] = False
        if wrong.any() and not count:
            index = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
            first, found = int(numbers[0]) + int(index[0]), float(sums[index])
        count += int(np.count_nonzero(wrong))
    if not count:
        return []
    text = f"target `{slot.name}` has a row that sums to {found:g}, which is no distribution over its classes"
    more = (_in_all(values, count, "rows"),) if count > 1 else ()
    return [Diagnostic("E0713", text, place=values.row_place(first), notes=(
        f"`{slot.loss}` expects rows that sum to 1", *more), helps=_helps_for_sum(slot))]


def _helps_for_sum(slot: Slot) -> tuple[str, ...]:
    if slot.kind != "one_hot":
        return ("divide each row by its sum",)
    return ("divide each row by its sum; for samples of several classes, or of none, use `sigmoid` and "
            "`binary_crossentropy`",)  # fmt: skip


# --- dtype ----------------------------------------------------------------------------------------------------------
def _unfit(slot: Slot, values: Values) -> list[Diagnostic]:
    """A value that the plan's dtype cannot hold: a fraction or too large a number for an integer, 2 for a bool."""
    expected, found = np.dtype(slot.type.dtype), values.array.dtype
    if np.can_cast(found, expected, "safe") or (expected.kind == "f" and found.kind in "bui"):
        return []
    if expected.kind == "f":
        limit = float(np.finfo(expected.name).max)
        wrong: Callable[[Array], Array] = lambda block: np.abs(block) > limit  # noqa: E731
    elif expected.kind == "b":
        wrong = lambda block: (block != 0) & (block != 1)  # noqa: E731
    else:
        low, end = np.iinfo(expected.name).min, np.iinfo(expected.name).max + 1     # a power of two: exact as a float
        if found.kind == "f":
            wrong = lambda block: (block < low) | (block >= float(end)) | (block != np.floor(block))  # noqa: E731
        else:
            wrong = lambda block: (block < low) | (block > end - 1)  # noqa: E731
    return _find(slot, values, wrong, _cannot_hold)


def _cannot_hold(slot: Slot, value: float, place: str) -> Diagnostic:
    shown = int(value) if abs(value) < 1e15 and value == int(value) else value
    text = f"{slot.role} `{slot.name}` has the value {shown}, which {slot.type.dtype} cannot hold"
    helps = () if slot.is_target else ("declare the input with a wider type, or convert the data",)
    return Diagnostic("E0709", text, place=place, helps=helps)


def _converted(slot: Slot, array: Array) -> Array:
    """The array in the plan's dtype and in C order; itself where it is so already."""
    dtype = np.dtype(slot.type.dtype)
    if array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned:
        return array
    return np.ascontiguousarray(array, dtype)
