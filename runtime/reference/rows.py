"""Rows by index: taken into a place that is there already, or added up, without an array being made."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from .arena import Array, Scratch

CHUNK: Final = 4096      # rows times columns added at once: the positions take eight bytes each


def take_rows(source: Array, indices: Array, out: Array) -> None:
    """`out[k] = source[indices[k]]`. Requires: the indices are within the source (`refuse_outside`).

    np.take would copy a source or a target with gaps as a whole, so such rows are copied one by one.
    """
    if source.flags.c_contiguous and out.flags.c_contiguous and source.dtype == out.dtype:
        source.take(indices, axis=0, out=out, mode="clip")      # "raise" would copy `out` first
        return
    for place, index in enumerate(indices.reshape(-1).tolist()):
        out[place] = source[index]


def refuse_outside(indices: Array, length: int) -> None:
    """Assert that all of `indices`, signed numbers without gaps, are from 0 to `length` - 1.

    A plan promises that (`nnc.compiler.verify_indices`), so one outside is our own mistake, whatever the data holds.
    """
    unsigned = indices.reshape(-1).view(f"u{indices.itemsize}")      # in which negative numbers are the largest
    assert np.maximum.reduce(unsigned, initial=0) < length, f"an index of {length} rows is not one of them"


class RowAdder:
    """Adds rows into a table at their indices, in the order of the rows, one part of the table after another.

    `sort` puts the rows in the order of their indices once; `add` then makes any part of the table.
    """

    def __init__(self, count: int, width: int, size: int, dtype: np.dtype[Any], scratch: Scratch) -> None:
        self._size, self._width = size, width
        self._chunk = max(1, min(count, CHUNK // width))
        self._number = np.arange(count, dtype=np.int64)
        self._keys = scratch.take((count,), np.int64)       # index * count + number: sorts by index, then by number
        self._order = scratch.take((count,), np.int64)
        self._sorted = scratch.take((count,), np.int64)
        self._columns = np.arange(width, dtype=np.int64)
        self._positions = scratch.take((self._chunk, width), np.int64)
        self._rows = scratch.take((self._chunk, width), dtype)
        self._count = np.array(count, np.int64)

    def sort(self, indices: Array) -> None:
        np.copyto(self._sorted.reshape(indices.shape), indices, casting="unsafe")
        refuse_outside(self._sorted, self._size)
        np.multiply(self._sorted, self._count, out=self._keys)
        np.add(self._keys, self._number, out=self._keys)
        self._keys.sort()
        np.floor_divide(self._keys, self._count, out=self._sorted)
        np.multiply(self._sorted, self._count, out=self._order)
        np.subtract(self._keys, self._order, out=self._order)

    def add(self, rows: Array, start: int, out: Array) -> None:
        """Rows `start`, `start + 1`, ... of the table into `out`, which has no gaps. `rows`: [count, width]."""
        out.fill(0)
        flat = out.reshape(-1)
        first, last = np.searchsorted(self._sorted, (start, start + len(out)))
        for place in range(int(first), int(last), self._chunk):
            count = min(self._chunk, int(last) - place)
            taken, positions = self._rows[:count], self._positions[:count]
            take_rows(rows, self._order[place : place + count], taken)
            begin = self._keys[place : place + count]    # of no more use once the order is known
            np.subtract(self._sorted[place : place + count], start, out=begin)
            np.multiply(begin, self._width, out=begin)
            np.add(begin[:, np.newaxis], self._columns, out=positions)
            np.add.at(flat, positions.reshape(-1), taken.reshape(-1))
