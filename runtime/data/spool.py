"""The columns of a table that was text: in memory, or once they are too large for that in a temporary file of numbers.

A line of text cannot be found by its number, so text is read once, in blocks; what does not fit into memory is
written as float64, row by row, to a file without a name in the directory for temporary files (`TMPDIR`).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from typing import IO

import numpy as np

from nnc.grammar.diagnostics import DataError, Diagnostic
from nnc.runtime.protocol import Array, Feed

from . import stream
from .columns import EXACT
from .source import Request, unreadable
from .stream import FileRows, PickedColumns


class Table:
    """Columns that grow block by block. `replace` turns codes into the numbers they stand for."""

    def __init__(self, request: Request, keys: tuple[str, ...]) -> None:
        self._request, self._keys = request, keys
        self._pieces: dict[str, list[Array]] = {key: [] for key in keys}
        self._bytes = 0
        self._rows = 0
        self._file: IO[bytes] | None = None
        self._numbers: dict[str, Array] = {}

    def append(self, block: Iterable[Array]) -> None:
        """One array per key, all of the same length."""
        arrays = dict(zip(self._keys, block, strict=True))
        for key, array in arrays.items():
            self._pieces[key].append(array)
            self._bytes += array.nbytes
        if self._file is None and self._bytes > stream.STREAMED_FROM:
            self._file = tempfile.TemporaryFile(prefix="nnc-")  # noqa: SIM115 - lives as long as the rows are read
        if self._file is not None:
            self._write_out()

    def replace(self, key: str, numbers: Array) -> None:
        """Code k of a column stands for numbers[k], and -1 for a missing value."""
        if self._file is None:
            self._pieces[key] = [_looked_up(codes, numbers) for codes in self._pieces[key]]
        else:
            self._numbers[key] = _with_gap(numbers)

    def columns(self) -> dict[str, Feed]:
        """The whole columns."""
        if self._file is None:
            return {key: np.concatenate(parts) if parts else np.empty(0) for key, parts in self._pieces.items()}
        self._file.flush()
        shape = (self._rows, len(self._keys))
        table = FileRows(os.dup(self._file.fileno()), self._request.name, 0, shape, np.dtype(np.float64))
        return {key: PickedColumns(table, (k,), (self._numbers.get(key),)) for k, key in enumerate(self._keys)}

    def _write_out(self) -> None:
        assert self._file is not None
        for block in zip(*self._pieces.values(), strict=True):
            if any(array.dtype.kind == "i" and np.any(np.abs(array) >= EXACT) for array in block):
                raise unreadable(self._request, "holds whole numbers above 2**53 and is too large for memory",
                                 "convert it to .npy files")
            try:
                self._file.write(np.stack(block, axis=1, dtype=np.float64).tobytes())
            except OSError as error:
                reason = (error.strerror or "unknown reason").lower()
                folder = tempfile.gettempdir()
                text = f"the numbers of `{self._request.name}` cannot be written to {folder}: {reason}"
                raise DataError(Diagnostic("E0702", text, place=self._request.name,
                                           helps=("set TMPDIR to a directory with more room",))) from None
            self._rows += len(block[0])
        for parts in self._pieces.values():
            parts.clear()


def _with_gap(numbers: Array) -> Array:
    """What codes stand for, with NaN for -1."""
    return np.append(numbers.astype(np.float64), np.nan)


def _looked_up(codes: Array, numbers: Array) -> Array:
    return _with_gap(numbers)[codes] if np.any(codes < 0) else np.asarray(numbers[codes])
