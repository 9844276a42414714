"""Reads a Parquet file: numbers, or texts as positions in a list. Needs the optional extra `data` (pyarrow).

The file is read batch by batch, whatever the size of its row groups, and some columns at a time: of each of these one
page is in memory, and of all that are wanted as much as `spool.py` lets be there.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

from nnc.grammar.diagnostics import DataError, Diagnostic, Place
from nnc.runtime.protocol import Array, Feed

from . import stream
from .columns import Column
from .source import Contents, Request, absent_categories, cell_place, expand, unreadable, unusable
from .spool import Table

COLUMNS_AT_ONCE: Final = 32
_MOST_ROWS: Final = 1 << 14
_BUFFER_BYTES: Final = 1 << 22          # of the file, shared by its columns; a page is read through a part of it


def read_parquet(request: Request) -> Contents:
    """Columns `request.keys`, and those of `request.optional` that exist.

    Problems of columns: E0702 (digits would be lost), E0703 (no such column), E0710 (text), E0711 (missing value).
    Raises: DataError E0718 (no pyarrow), E0702.
    """
    file = ParquetFile(request)
    keys = expand(request.keys, file.names)
    problems = unusable(request, keys, file.names) + absent_categories(request, file.names)
    wanted = tuple(dict.fromkeys(key for key in (*keys, *request.optional) if file.names.count(key) == 1))
    columns: dict[str, ParquetColumn] = {}
    for key in wanted:
        try:
            columns[key] = ParquetColumn(request, file, key)
        except DataError as error:
            problems += error.diagnostics
    expected_bytes = file.rows * len(columns) * np.dtype(np.float64).itemsize
    arrays: dict[str, Feed] = {}
    words: dict[str, tuple[str, ...]] = {}
    every = tuple(columns)
    for start in range(0, len(every), COLUMNS_AT_ONCE):
        keys = every[start : start + COLUMNS_AT_ONCE]
        table = Table(request, keys, expected_bytes)
        try:
            texts, wrong = _fill(table, file, {key: columns[key] for key in keys})
        except DataError as error:
            problems += error.diagnostics
        else:
            words |= texts
            problems += [problem for found in wrong.values() for problem in found]
            arrays |= {key: array for key, array in table.columns().items() if key not in wrong}
    return Contents(arrays, file.names, is_table=True, words=words, problems=tuple(problems))


def _fill(
    table: Table, file: ParquetFile, columns: Mapping[str, ParquetColumn]
) -> tuple[dict[str, tuple[str, ...]], dict[str, list[Diagnostic]]]:
    """Read whole columns into a table; gives the words of those that hold texts, and what is wrong with others."""
    first = 0
    for batch in file.batches(tuple(columns)):
        table.append([column.add(batch.column(key), first) for key, column in columns.items()])
        first += batch.num_rows
    words: dict[str, tuple[str, ...]] = {}
    wrong: dict[str, list[Diagnostic]] = {}
    for key, column in columns.items():
        numbers, texts, problems = column.finish()
        if problems:
            wrong[key] = problems
        elif texts:
            words[key] = texts
        elif numbers is not None:
            table.replace(key, numbers)
    return words, wrong


class ParquetFile:
    """An open file. `names`: of its columns; `rows`: how many it has. Raises: DataError E0718 (no pyarrow), E0702."""

    def __init__(self, request: Request) -> None:
        self._request = request
        try:
            self.arrow: Any = importlib.import_module("pyarrow")
            self._parquet: Any = importlib.import_module("pyarrow.parquet")
        except ImportError:
            text = f"`{request.name}` is a Parquet file, and the package that reads them is not installed"
            helps = ("pip install 'nnc[data]'",)
            raise DataError(Diagnostic("E0718", text, place=request.name, helps=helps)) from None
        with self._readable():
            with self._parquet.ParquetFile(request.path) as file:
                self._metadata: Any = file.metadata
                self.schema: Any = file.schema_arrow
            self.names = tuple(self.schema.names)
            self.rows = int(self._metadata.num_rows)

    def batches(self, keys: tuple[str, ...]) -> Iterator[Any]:
        """Columns `keys` as Arrow tables of some thousand rows each. Raises: DataError E0702."""
        if not keys:
            return
        rows = max(1, min(_MOST_ROWS, stream.BLOCK_BYTES // (8 * len(keys))))
        # without a buffer, and with read-ahead, a whole column of a row group would be in memory at once
        buffer = max(1 << 12, _BUFFER_BYTES // len(keys))
        with self._readable(), self._parquet.ParquetFile(
            self._request.path, metadata=self._metadata, buffer_size=buffer, pre_buffer=False
        ) as file:
            for batch in file.iter_batches(batch_size=rows, columns=list(keys), use_threads=False):
                yield self.arrow.Table.from_batches([batch])

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (self.arrow.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise unreadable(self._request, f"is no readable Parquet file: {reason}") from None


class ParquetColumn:
    """One column while its cells arrive, as Arrow arrays. Raises: DataError E0710 (neither numbers nor texts)."""

    def __init__(self, request: Request, file: ParquetFile, key: str) -> None:
        self._request, self._arrow, self._key = request, file.arrow, key
        kinds, kind = file.arrow.types, file.schema.field(key).type
        if kinds.is_dictionary(kind):
            kind = kind.value_type
        self._type = kind
        is_text = kinds.is_string(kind) or kinds.is_large_string(kind)
        is_number = kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind) or kinds.is_null(kind)
        self._cells = Column(request, key, self._place, is_text)
        self._is_read_as_text = is_text or self._cells.is_forced
        if not is_number and not self._is_read_as_text:
            text = f"column `{key}` holds {kind} where numbers should be"
            raise DataError(Diagnostic("E0710", text, place=f"{request.name}, column {key}"))

    def add(self, cells: Any, first: int) -> Array:
        """The next rows, the first of them row `first`: numbers, NaN where one is missing, or positions of texts."""
        if self._is_read_as_text:
            return self._cells.add(texts(cells), first)
        if not cells.null_count:
            numbers: Array = cells.cast(self._type).to_numpy()
            self._cells.note_rounded(numbers, first)
            return numbers
        self._cells.note_gaps(cells.is_null().to_numpy(), first)
        try:
            filled: Array = cells.cast(self._type).cast(self._arrow.float64()).to_numpy()
        except self._arrow.ArrowInvalid:
            text = f"has whole numbers above 2**53 beside missing values in column `{self._key}`"
            raise unreadable(self._request, text, place=f"{self._request.name}, column {self._key}") from None
        return filled

    def finish(self) -> tuple[Array | None, tuple[str, ...], list[Diagnostic]]:
        """As `Column.finish` does."""
        return self._cells.finish()

    def _place(self, row: int) -> Place:
        return cell_place(self._request.name, str(self._request.path), row, self._key)


def texts(cells: Any) -> list[str]:
    """The cells of an Arrow array as texts, "" for one that is missing."""
    return ["" if cell is None else str(cell) for cell in cells.to_pylist()]
