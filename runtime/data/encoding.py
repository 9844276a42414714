"""What is learnt from the training rows to make numbers of texts and to fill gaps; and the making.

A vocabulary is the texts of the training rows in the order of their code points, so it depends on which rows are
trained on and on nothing else. It is kept with the model: rows that come later are read with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Final

import numpy as np

from nnc.compiler.plan import Bound
from nnc.grammar.diagnostics import DataError, Diagnostic, Place
from nnc.grammar.suggest import nearest
from nnc.runtime.protocol import Array, Rows

from .columns import HELP_MISSING, HELP_PREDICTED
from .slots import Slot, counted_by, strictest
from .source import Encoding, Values
from .stream import blocks

OTHER: Final = ""        # ends a vocabulary in which every text that training did not see has a number too
_SHOWN: Final = 8
_FILLS: Final = ".missing"


def learn(slot: Slot, values: Values, rows: Rows) -> Encoding | None:
    """What `rows`, those of the training part, teach; None where the values are numbers without gaps to fill.

    Raises: DataError E0720 (more texts than there are numbers for), E0711 (no value to take a mean of).
    """
    if values.words:
        return _learn_words(slot, values, rows)
    if values.missing in ("error", "drop") or slot.is_target:
        return None
    return Encoding((), _learn_fills(slot, values, rows))


def _learn_words(slot: Slot, values: Values, rows: Rows) -> Encoding:
    counts = np.zeros(len(values.words) + 1, np.int64)            # the last one counts missing values
    for _, block in blocks(values.array, rows):
        counts += np.bincount(block.astype(np.int64).reshape(-1) % len(counts), minlength=len(counts))
    seen = {word: int(count) for word, count in zip(values.words, counts[:-1], strict=True) if count}
    words = tuple(sorted(seen))
    if values.unknown == "other" and not slot.is_target:
        words = (*words, OTHER)
    if slot.bounds:
        bound, limit = strictest(slot.bounds, has_other(words))
        if len(words) > limit:
            raise DataError(_too_many_texts(slot, values, words, bound))
    if slot.text_classes and len(words) > slot.text_classes:
        raise DataError(_too_many_classes(slot, values, words))
    fills: tuple[float, ...] = ()
    if values.missing in ("mean", "median") and seen and not slot.is_target:
        most = max(sorted(seen), key=lambda word: seen[word])             # of equals, the first in the vocabulary
        fills = (float(words.index(most)),) * prod(values.array.shape[1:])
    return Encoding(words, fills)


def _too_many_texts(slot: Slot, values: Values, words: tuple[str, ...], bound: Bound) -> Diagnostic:
    """More numbers for texts than the layer that an input feeds can count."""
    texts = tuple(word for word in words if word != OTHER)
    found = f"{len(texts)} texts" + (" and a number for all others" if has_other(words) else "")
    needed = len(words) if bound.is_exact else len(texts)
    return Diagnostic("E0720", f"input `{slot.name}` has {found}, more than the {counted_by(bound)}",
                      place=_column_place(values), notes=(f"found {shown(texts)}",),
                      helps=(f"give `{bound.kind}` {needed}",))


def _too_many_classes(slot: Slot, values: Values, words: tuple[str, ...]) -> Diagnostic:
    count = len(words)
    helps = (f"give the output {count} units",) if slot.kind == "class" else (
        f"use `Dense({count}, softmax)` and the loss `sparse_categorical_crossentropy`",)
    return Diagnostic("E0720", f"target `{slot.name}` has {count} classes, its output {slot.text_classes}",
                      place=_column_place(values), notes=(f"found {shown(words)}",), helps=helps)


def has_other(words: tuple[str, ...]) -> bool:
    """Whether the last number of a vocabulary stands for all texts that training did not see."""
    return words[-1:] == (OTHER,)


def _learn_fills(slot: Slot, values: Values, rows: Rows) -> tuple[float, ...]:
    """One number per column."""
    width = prod(values.array.shape[1:])
    if isinstance(values.missing, float):
        return (values.missing,) * width
    if values.missing == "mean":
        sums, counts = np.zeros(width), np.zeros(width)
        for _, block in blocks(values.array, rows):
            flat = block.reshape(len(block), -1)
            sums += np.nansum(flat, axis=0)
            counts += np.count_nonzero(~np.isnan(flat), axis=0)
    else:
        parts = [block.reshape(len(block), -1) for _, block in blocks(values.array, rows)]
        whole = np.concatenate(parts) if parts else np.empty((0, width))
        counts = np.count_nonzero(~np.isnan(whole), axis=0)
        sums = np.array([np.median(column[~np.isnan(column)]) * len(column[~np.isnan(column)]) if count else 0.0
                         for column, count in zip(whole.T, counts, strict=True)])
    for position, count in enumerate(counts):
        if not count:
            text = f"no training row has a value to take the {values.missing} of"
            raise DataError(Diagnostic("E0711", text, place=_column_place(values, position)))
    return tuple(float(value) for value in sums / counts)


def _column_place(values: Values, position: int = 0) -> Place:
    column = f", column {values.columns[position]}" if values.columns else ""
    return Place(values.origin + column, values.file)


def incomplete(values: Values) -> Array:
    """For each row whether a value is missing."""
    found = [_gaps(values, block).reshape(len(block), -1).any(axis=1) for _, block in blocks(values.array)]
    whole: Array = np.concatenate(found) if found else np.zeros(0, np.bool_)
    return whole


def _gaps(values: Values, block: Array) -> Array:
    if values.words:
        return np.asarray(block == -1)
    return np.isnan(block) if block.dtype.kind == "f" else np.zeros(block.shape, np.bool_)


def numbers(slot: Slot, values: Values, block: Array) -> Array:
    """`block`, of which `values` tells the rows, as numbers: texts by their vocabulary, gaps filled.

    Raises: DataError E0711 (a gap that nothing fills), E0719 (a text that training did not see).
    """
    if not values.words and values.missing == "error" and (values.encoding is None or not values.encoding.fills):
        return block
    gaps = _gaps(values, block)
    encoding = values.encoding if values.encoding is not None else Encoding()
    if values.words:
        block = _positions(slot, values, encoding, block)
    if not gaps.any():
        return block
    if values.missing == "drop":
        return np.where(gaps, 0, block)            # such rows are in no part: their value is never used
    if not encoding.fills:
        index = np.unravel_index(int(np.argmax(gaps)), gaps.shape)
        place = values.place(int(index[0]), tuple(map(int, index[1:])))
        helps = HELP_PREDICTED if values.is_predicted else HELP_MISSING
        if slot.is_target:
            helps = ("what a target should be cannot be made up: `missing = drop` leaves such rows out",)
        raise DataError(Diagnostic("E0711", f"{slot.role} `{slot.name}` has no value", place=place, helps=helps))
    fills = np.array(encoding.fills).reshape(block.shape[1:])
    return np.where(gaps, fills.astype(block.dtype) if values.words else fills, block)


def _positions(slot: Slot, values: Values, encoding: Encoding, block: Array) -> Array:
    """Positions in the file's words as positions in the vocabulary."""
    known = {word: index for index, word in enumerate(encoding.words)}
    other = known.pop(OTHER, -1)
    table = np.array([*(known.get(word, other) for word in values.words), 0], np.int64)    # -1, a gap: the last one
    codes = block.astype(np.int64)
    found = table[codes]
    if values.gone is not None:
        found[values.gone if values.rows is None else values.gone[values.rows]] = 0
    if (found < 0).any():
        index = np.unravel_index(int(np.argmax(found < 0)), found.shape)
        word = values.words[int(codes[index])]
        place = values.place(int(index[0]), tuple(map(int, index[1:])))
        raise DataError(_unknown(slot, word, tuple(known), place, values.is_predicted))
    return found


def _unknown(slot: Slot, word: str, known: tuple[str, ...], place: str, is_predicted: bool) -> Diagnostic:
    near = nearest(word, known)
    helps = [f"did you mean {' or '.join(f'`{name}`' for name in near)}?"] if near else []
    if not slot.is_target:
        after = ", if the model is trained with it" if is_predicted else ""
        option = "the table option `unknown = other`"
        helps.append(f"{option} gives all such texts the number after the last known one{after}")
    return Diagnostic("E0719", f"{slot.role} `{slot.name}` has the text `{word}`, which no training row has",
                      place=place, notes=(f"training saw {shown(known) or 'no texts'}",), helps=tuple(helps))


def shown(words: tuple[str, ...]) -> str:
    """The first few words in quotes."""
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return ", ".join(f"`{word}`" for word in words[:_SHOWN]) + more


def to_texts(encodings: Mapping[str, Encoding]) -> dict[str, tuple[str, ...]]:
    """What a model file keeps: the words under the name, and under `NAME.missing` what stands for a missing value."""
    words = {name: encoding.words for name, encoding in encodings.items() if encoding.words}
    fills = {name + _FILLS: tuple(map(repr, encoding.fills)) for name, encoding in encodings.items() if encoding.fills}
    return words | fills


def from_texts(texts: Mapping[str, Sequence[str]]) -> dict[str, Encoding]:
    """Inverse of `to_texts`. Raises: ValueError for a fill that is no number."""
    names = dict.fromkeys(name.removesuffix(_FILLS) for name in texts)
    return {
        name: Encoding(tuple(texts.get(name, ())), tuple(float(fill) for fill in texts.get(name + _FILLS, ())))
        for name in names
    }
