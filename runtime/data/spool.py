"""Samples of files in which no row can be found by its number: text, Parquet, and whatever is compressed.

Such a file is read once, from its beginning to its end, into memory. What does not fit there goes piece by piece to a
file without a name in the directory for temporary files (`TMPDIR`), of which rows are then read by position. Having
no name, it is gone with the process that wrote it, however that ends.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from math import prod
from typing import Any, Final, Protocol

import numpy as np

from nnc.grammar.diagnostics import DataError, Diagnostic
from nnc.runtime.protocol import Array, Feed

from . import stream
from .columns import EXACT, not_exact, of_one_type
from .source import Request, unreadable
from .stream import FileRows, Picked, PickedColumns

_PIECE_BYTES: Final = 1 << 22


class Unpacking(Protocol):
    """What gives the bytes of a compressed file in their order."""

    def read(self, size: int, /) -> bytes: ...


class Spool:
    """A temporary file without a name, written from its beginning to its end. Raises: DataError E0702 (disk full)."""

    def __init__(self, request: Request) -> None:
        self._request = request
        try:
            self._file = tempfile.TemporaryFile(prefix="nnc-", buffering=0)  # noqa: SIM115 - lives as long as its rows
        except OSError as error:
            raise self._unwritable(error) from None

    def write(self, content: bytes | memoryview) -> None:
        """Append bytes."""
        left = memoryview(content)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise self._unwritable(error) from None

    def rows(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> FileRows:
        """All that was written, as samples in C order."""
        return FileRows(os.dup(self._file.fileno()), self._request.name, 0, shape, dtype)

    def _unwritable(self, error: OSError) -> DataError:
        reason = (error.strerror or "unknown reason").lower()
        folder = tempfile.tempdir or "a temporary file"
        text = f"the numbers of `{self._request.name}` cannot be written to {folder}: {reason}"
        return DataError(Diagnostic("E0702", text, place=self._request.name,
                                    helps=("set TMPDIR to a directory with more room",)))  # fmt: skip


# --- compressed arrays ------------------------------------------------------------------------------------------------
def unpack(request: Request, packed: Unpacking, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Feed:
    """The array whose elements, in C order, are all that `packed` still gives.

    A header of 2**32 rows in a short file takes neither memory nor disk: both grow only as bytes arrive.
    Raises: DataError E0702 (too few bytes, too many, disk full), and what `packed` raises.
    """
    expected = prod(shape) * dtype.itemsize
    spool = Spool(request) if expected > stream.STREAMED_FROM else None
    content = bytearray()
    found = 0
    while found < expected and (piece := packed.read(min(_PIECE_BYTES, expected - found))):
        found += len(piece)
        if spool is None:
            content += piece
        else:
            spool.write(piece)
    if found < expected or packed.read(1):      # to read past the end is also what makes checksums be looked at
        raise torn(request, expected, found if found < expected else found + 1)
    return np.frombuffer(content, dtype).reshape(shape) if spool is None else spool.rows(shape, dtype)


def unpack_columns(request: Request, packed: Unpacking, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Feed:
    """The same of an array of this shape whose elements come in Fortran order."""
    columns = unpack(request, packed, shape[::-1], dtype)
    if isinstance(columns, np.ndarray):
        return columns.T
    assert isinstance(columns, FileRows)
    return rows_first(request, columns)


def torn(request: Request, expected: int, found: int) -> DataError:
    """The error of a file whose header promises another number of bytes than there are."""
    there = f"{found:,} are there" if found < expected else "more are there"
    return unreadable(request, f"is torn: its header promises {expected:,} bytes of elements, and {there}")


def rows_first(request: Request, columns: FileRows) -> FileRows:
    """The transpose of `columns`, an array in Fortran order as it lies in its file, copied in blocks.

    columns: `[..., rows]`, C order. Gives `[rows, ...]`. Raises: DataError E0702 (disk full).
    """
    rows, width = columns.shape[-1], prod(columns.shape[:-1])
    count = max(1, stream.BLOCK_BYTES // max(1, width * columns.dtype.itemsize))
    spool = Spool(request)
    for first in range(0, rows, count):
        block = np.empty((width, min(count, rows - first)), columns.dtype)
        for column in range(width):
            columns.read_elements(column * rows + first, block[column])
        turned = np.ascontiguousarray(block.reshape(*columns.shape[:-1], -1).T)
        spool.write(turned.reshape(-1).view(np.uint8).data)
    return spool.rows(columns.shape[::-1], columns.dtype)


# --- tables -----------------------------------------------------------------------------------------------------------
class Table:
    """Columns that grow block by block: arrays of their own in memory, or float64, row by row, in a file.

    expected_bytes: as much is known to come, into this table and others that go with it. `replace` turns codes into
    the numbers they stand for.
    """

    def __init__(self, request: Request, keys: tuple[str, ...], expected_bytes: int = 0) -> None:
        self._request, self._keys = request, keys
        self._pieces: dict[str, list[Array]] = {key: [] for key in keys}
        self._expected_bytes, self._bytes = expected_bytes, 0
        self._rows = 0
        self._spool: Spool | None = None
        self._numbers: dict[str, Array] = {}

    def append(self, block: Iterable[Array]) -> None:
        """One array per key, all of the same length."""
        arrays = dict(zip(self._keys, block, strict=True))
        for key, array in arrays.items():
            self._pieces[key].append(array)
            self._bytes += array.nbytes
        if self._spool is None and max(self._bytes, self._expected_bytes) > stream.STREAMED_FROM:
            self._spool = Spool(self._request)
        if self._spool is not None:
            self._write_out(self._spool)

    def replace(self, key: str, numbers: Array) -> None:
        """Code k of a column stands for numbers[k], and -1 for a missing value."""
        if self._spool is None:
            self._pieces[key] = [_looked_up(codes, numbers) for codes in self._pieces[key]]
        elif numbers.dtype.kind == "i" and not_exact(numbers).any():
            raise self._too_exact()
        else:
            self._numbers[key] = _with_gap(numbers)

    def columns(self) -> dict[str, Feed]:
        """The whole columns. They leave the table, so that two copies of all never exist at once."""
        if self._spool is None:
            whole: dict[str, Feed] = {}
            for key in self._keys:
                parts = self._pieces.pop(key)
                whole[key] = np.concatenate(of_one_type(parts)) if parts else np.empty(0)
            return whole
        table = self._spool.rows((self._rows, len(self._keys)), np.dtype(np.float64))
        return {key: PickedColumns((Picked(table, k, self._numbers.get(key)),)) for k, key in enumerate(self._keys)}

    def _write_out(self, spool: Spool) -> None:
        for block in zip(*self._pieces.values(), strict=True):
            if any(array.dtype.kind in "iu" and np.any(np.abs(array) >= EXACT) for array in block):
                raise self._too_exact()
            spool.write(np.stack(block, axis=1, dtype=np.float64).data.cast("B"))
            self._rows += len(block[0])
        for parts in self._pieces.values():
            parts.clear()

    def _too_exact(self) -> DataError:
        return unreadable(self._request, "holds whole numbers above 2**53 and is too large for memory",
                          "convert it to .npy files")  # fmt: skip


def _with_gap(numbers: Array) -> Array:
    """What codes stand for, with NaN for -1."""
    return np.append(numbers.astype(np.float64), np.nan)


def _looked_up(codes: Array, numbers: Array) -> Array:
    return _with_gap(numbers)[codes] if np.any(codes < 0) else np.asarray(numbers[codes])
