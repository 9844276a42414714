"""Samples that stay in their file: only the rows of a batch are read, by position, whatever the size of the file.

The file is not mapped into memory: a limit on the address space counts a mapping as a whole.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np

from nnc.grammar.diagnostics import DataError, Diagnostic
from nnc.runtime.protocol import Array, Feed, Rows

STREAMED_FROM: Final = 1 << 28          # bytes of samples: a file with more is not read ahead
BLOCK_BYTES: Final = 1 << 24
_ROWS_AT_ONCE: Final = 512              # what one system call may be asked for is bounded


class FileRows:
    """Samples that lie one after another in a file, C order, from byte `offset` on. `file`: a path, or an open one."""

    def __init__(self, file: Path | int, name: str, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape, self.dtype = shape, dtype
        self._name, self._offset = name, offset
        self._row_bytes = prod(shape[1:]) * dtype.itemsize
        self._file = file if isinstance(file, int) else os.open(file, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self._file)

    def __len__(self) -> int:
        return self.shape[0]

    def take(self, rows: Rows, out: Array) -> None:
        """In the order of the file; rows that follow each other there are read at once, each to its place."""
        whole = out if out.flags.c_contiguous else np.empty(out.shape, out.dtype)
        view = whole.reshape(-1).view(np.uint8).data
        size = self._row_bytes
        order = np.argsort(rows, kind="stable")
        wanted = rows[order]
        starts = np.flatnonzero(np.diff(wanted, prepend=wanted[:1] - 2) != 1).tolist()
        firsts, places = wanted[starts].tolist(), (order * size).tolist()
        for first, start, stop in zip(firsts, starts, [*starts[1:], len(rows)], strict=True):
            for begin in range(start, stop, _ROWS_AT_ONCE):
                row = first + begin - start
                end = min(begin + _ROWS_AT_ONCE, stop)
                self._read(row, [view[place : place + size] for place in places[begin:end]])
        if whole is not out:
            np.copyto(out, whole)

    def _read(self, row: int, places: list[memoryview]) -> None:
        """Row `row` and those after it."""
        position = self._offset + row * self._row_bytes
        if os.preadv(self._file, places, position) == len(places) * self._row_bytes:
            return
        for number, place in enumerate(places):     # a read may end early, and at a network's file often does
            self._fill(row + number, position + number * self._row_bytes, place)

    def read_elements(self, first: int, out: Array) -> None:
        """The elements from `first` on, all samples' counted on, into an array in C order."""
        row = first // max(1, prod(self.shape[1:]))
        self._fill(row, self._offset + first * self.dtype.itemsize, out.reshape(-1).view(np.uint8).data)

    def _fill(self, row: int, position: int, place: memoryview) -> None:
        """The bytes from `position` on, which begin in row `row`."""
        done = 0
        while done < len(place):
            piece = os.pread(self._file, len(place) - done, position + done)
            if not piece:
                text = f"`{self._name}` became shorter while it was read"
                raise DataError(Diagnostic("E0702", text, place=f"{self._name}, row {row + 1}"))
            place[done : done + len(piece)] = piece
            done += len(piece)


@dataclass(frozen=True, slots=True)
class Picked:
    """One column of a table of rows. `numbers`, if any, says what each of its codes stands for."""

    table: FileRows
    position: int
    numbers: Array | None = None


class PickedColumns:
    """Columns of tables that have the same rows, in the order given."""

    def __init__(self, columns: tuple[Picked, ...]) -> None:
        self.columns = columns
        self._tables = tuple({id(column.table): column.table for column in columns}.values())
        self.shape: tuple[int, ...] = (len(self._tables[0]), len(columns))
        self.dtype = self._tables[0].dtype

    def __len__(self) -> int:
        return self.shape[0]

    def take(self, rows: Rows, out: Array) -> None:
        """The wanted columns of the rows, whose others are read too."""
        for table in self._tables:
            whole = np.empty((len(rows), table.shape[1]), self.dtype)
            table.take(rows, whole)
            for k, picked in enumerate(self.columns):
                if picked.table is table:
                    column = whole[:, picked.position]
                    out[:, k] = column if picked.numbers is None else picked.numbers[column.astype(np.int64)]


def recoded(column: Feed, numbers: Array) -> Feed:
    """A column of codes with `numbers[code]` for each; their last entry is that of -1."""
    if isinstance(column, np.ndarray):
        return np.asarray(numbers[column])
    assert isinstance(column, PickedColumns)
    (picked,) = column.columns
    assert picked.numbers is None
    return PickedColumns((replace(picked, numbers=numbers),))


def side_by_side(columns: list[Feed]) -> Feed:
    """Columns as one table."""
    arrays = [column for column in columns if isinstance(column, np.ndarray)]
    if len(arrays) == len(columns):
        return np.stack(arrays, axis=1)
    picked = [column for column in columns if isinstance(column, PickedColumns)]
    assert len(picked) == len(columns)
    return PickedColumns(tuple(one for column in picked for one in column.columns))


def blocks(feed: Feed, rows: Rows | None = None) -> Iterator[tuple[Rows, Array]]:
    """All samples, or those of `rows`, in blocks of about 16 MiB, each with the numbers of its rows."""
    shape, itemsize = feed.shape, feed.dtype.itemsize
    count = max(1, BLOCK_BYTES // max(1, itemsize * prod(shape[1:])))
    total = len(feed) if rows is None else len(rows)
    for start in range(0, total, count):
        stop = min(start + count, total)
        numbers = np.arange(start, stop, dtype=np.int64) if rows is None else rows[start:stop]
        if isinstance(feed, np.ndarray):
            yield numbers, feed[start:stop] if rows is None else feed[numbers]
        else:
            block = np.empty((len(numbers), *shape[1:]), feed.dtype)
            feed.take(numbers, block)
            yield numbers, block
