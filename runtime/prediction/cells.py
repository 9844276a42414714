"""Tables read from their first row on, some thousand rows at a time: CSV text and Parquet files."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

from nnc.grammar.diagnostics import DataError, Diagnostic, Place
from nnc.runtime.data.columns import Column
from nnc.runtime.data.kinds import no_text
from nnc.runtime.data.read_parquet import ParquetColumn, ParquetFile, texts
from nnc.runtime.data.source import CellOf, Request, cell_place, unreadable
from nnc.runtime.protocol import Array


class Block(Protocol):
    """Rows of a table, the first of which is row `first` of the whole.

    `cell_of` gives the line of the file on which a row of the whole begins, where there are lines.
    """

    @property
    def first(self) -> int: ...

    @property
    def cell_of(self) -> CellOf | None: ...

    def __len__(self) -> int: ...

    def texts(self, key: str) -> Sequence[str]:
        """A column as texts, "" for a cell that is missing."""

    def numbers(self, request: Request, key: str) -> tuple[Array, list[Diagnostic]]:
        """A column as numbers, NaN where one is missing, and what is wrong with it."""


class Cells(Protocol):
    """A table. `names`: of its columns, which `header` is the place of; `rows`: how many, where that is known."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def origin(self) -> str: ...

    @property
    def header(self) -> str: ...

    @property
    def rows(self) -> int | None: ...

    def next(self, keys: tuple[str, ...], count: int) -> Block:
        """The next `count` rows, or as many as are left, of columns `keys`, each time the same."""


# --- CSV --------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class CsvBlock:
    """Columns of texts with the lines on which their rows begin."""

    first: int
    lines: tuple[int, ...]
    columns: dict[str, tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def cell_of(self) -> CellOf:
        return lambda row, key: (self.lines[row - self.first], None)

    def texts(self, key: str) -> Sequence[str]:
        """As they stand in the file."""
        return self.columns[key]

    def numbers(self, request: Request, key: str) -> tuple[Array, list[Diagnostic]]:
        """Parsed."""
        column = Column(request, key, lambda row: place(self, request.name, key, row))
        return column.add(self.columns[key], self.first), column.finish()[2]


class CsvCells:
    """A text whose first line, blank ones apart, names its columns.

    Raises: DataError E0702 (no text, torn row), E0707 (empty).
    """

    rows: int | None = None

    def __init__(self, file: TextIO, origin: str, separator: str) -> None:
        self.origin = origin
        self._reader = csv.reader(file, delimiter=separator, strict=True)
        self._request, self._done = Request(Path(origin), origin), 0
        header = self._read(1)
        if not header:
            text = f"`{origin}` is empty: it lacks even the line that names its columns"
            raise DataError(Diagnostic("E0707", text, place=origin))
        line, names = header[0]
        self.header, self.names = f"{origin}, line {line}", tuple(name.strip() for name in names)

    def next(self, keys: tuple[str, ...], count: int) -> CsvBlock:
        """A blank line is no row."""
        found = self._read(count)
        for number, (line, row) in enumerate(found, self._done + 1):
            if len(row) != len(self.names):
                text = f"has a row of {len(row)} fields under a header of {len(self.names)}"
                raise unreadable(self._request, text, place=f"{self.origin}, line {line} (row {number})")
        cells = list(zip(*(row for _, row in found), strict=True)) if found else [()] * len(self.names)
        columns = {key: cells[self.names.index(key)] for key in keys}
        block = CsvBlock(self._done, tuple(line for line, _ in found), columns)
        self._done += len(found)
        return block

    def _read(self, count: int) -> list[tuple[int, list[str]]]:
        """Rows with the lines on which they begin; quoted fields may span lines."""
        found: list[tuple[int, list[str]]] = []
        try:
            while len(found) < count:
                line = self._reader.line_num + 1
                row = next(self._reader, None)
                if row is None:
                    break
                if row:
                    found.append((line, row))
        except UnicodeDecodeError as error:
            raise no_text(self._request, error) from None
        except csv.Error as error:
            where = f"{self.origin}, line {self._reader.line_num}"
            raise unreadable(self._request, f"is no well-formed CSV: {error}", place=where) from None
        return found


# --- Parquet ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class ParquetBlock:
    """Columns of an Arrow table."""

    first: int
    file: ParquetFile
    table: Any
    cell_of: None = None

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def texts(self, key: str) -> Sequence[str]:
        """Numbers too, as Python writes them."""
        return texts(self.table.column(key))

    def numbers(self, request: Request, key: str) -> tuple[Array, list[Diagnostic]]:
        """Converted. Raises: DataError E0710 for a column that holds neither numbers nor texts."""
        column = ParquetColumn(request, self.file, key)
        return column.add(self.table.column(key), self.first), column.finish()[2]


class ParquetCells:
    """A Parquet file. Raises: DataError E0702, E0718 (no pyarrow)."""

    def __init__(self, path: Path, origin: str) -> None:
        self._file = ParquetFile(Request(path, origin))
        self.origin, self.header, self.names, self.rows = origin, origin, self._file.names, self._file.rows
        self._batches: Iterator[Any] | None = None
        self._left: Any = None              # rows of the last batch that nobody took yet
        self._done = 0

    def next(self, keys: tuple[str, ...], count: int) -> ParquetBlock:
        """Batches end where row groups do, so several may make a block."""
        if self._batches is None:
            self._batches = self._file.batches(keys)
            self._left = self._file.schema.empty_table().select(list(keys))
        parts, wanted = [self._left[:0]], count
        while wanted:
            if not self._left.num_rows:
                self._left = next(self._batches, self._left)
                if not self._left.num_rows:
                    break
            part = self._left[:wanted]
            self._left = self._left[part.num_rows :]
            wanted -= part.num_rows
            parts.append(part)
        block = ParquetBlock(self._done, self._file, self._file.arrow.concat_tables(parts))
        self._done += len(block)
        return block


def place(block: Block, origin: str, key: str, row: int) -> Place:
    """`rows.csv, line 18 (row 17), column petal_length`; rows are counted from 1, those given from 0."""
    return cell_place(origin, origin, row, key, block.cell_of)
