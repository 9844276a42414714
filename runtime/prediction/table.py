"""Rows to predict from a CSV text, some thousands at a time: columns become inputs as they did in training."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TextIO

import numpy as np

from nnc.compiler.options import Value
from nnc.grammar.diagnostics import DataError, Diagnostic
from nnc.runtime.data.columns import Column, is_missing
from nnc.runtime.data.source import Encoding, Request, Values, expand, missing_key, unreadable
from nnc.runtime.protocol import Array


@dataclass(frozen=True, slots=True)
class Binding:
    """The columns of one input (`a..b` is a run), how they were read in training, and what training learnt of them."""

    columns: tuple[str, ...]
    options: Mapping[str, Value] = field(default_factory=dict)
    encoding: Encoding | None = None

    @property
    def missing(self) -> Value:
        """A row to predict is never left out, so a gap that training would leave out is an error."""
        option = self.options.get("missing", "error")
        return "error" if option == "drop" else option


class CsvRows:
    """Inputs from the columns of a table whose first line names them.

    Raises: DataError E0702 (no text, torn row), E0703 (no such column), E0707 (empty), E0710 (text), E0711 (gap).
    """

    rows: int | None = None

    def __init__(self, file: TextIO, origin: str, bindings: Mapping[str, Binding]) -> None:
        self.names, self.origin = tuple(bindings), origin
        separators = {str(binding.options.get("separator", ",")) for binding in bindings.values()}
        self._reader = csv.reader(file, delimiter=separators.pop() if len(separators) == 1 else ",", strict=True)
        self._request = Request(Path(origin), origin)
        self._bindings, self._done = bindings, 0
        header = self._next(1)
        if not header:
            raise DataError(Diagnostic("E0707", f"`{origin}` is empty: it lacks even the line that names its columns",
                                       place=origin))  # fmt: skip
        self._header = tuple(name.strip() for name in header[0][1])
        self._positions = self._find_columns()

    def take(self, count: int) -> Mapping[str, Values]:
        """The next rows; a blank line is none."""
        found = self._next(count)
        lines = [line for line, _ in found]
        for number, (line, row) in enumerate(found, self._done + 1):
            if len(row) != len(self._header):
                text = f"has a row of {len(row)} fields under a header of {len(self._header)}"
                raise unreadable(self._request, text, place=f"{self.origin}, line {line} (row {number})")
        cells = list(zip(*(row for _, row in found), strict=True)) if found else [()] * len(self._header)
        values: dict[str, Values] = {}
        problems: list[Diagnostic] = []
        for name in self.names:
            try:
                values[name] = self._values(name, cells, lines)
            except DataError as error:
                problems += error.diagnostics
        if problems:
            raise DataError(*dict.fromkeys(problems))
        self._done += len(found)
        return values

    def _next(self, count: int) -> list[tuple[int, list[str]]]:
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
            raise unreadable(self._request, f"is no UTF-8 text: {error.reason} at byte {error.start}") from None
        except csv.Error as error:
            place = f"{self.origin}, line {self._reader.line_num}"
            raise unreadable(self._request, f"is no well-formed CSV: {error}", place=place) from None
        return found

    def _find_columns(self) -> dict[str, tuple[str, ...]]:
        """Input -> its columns. Raises: DataError E0703."""
        found = {name: expand(binding.columns, self._header) for name, binding in self._bindings.items()}
        wanted = dict.fromkeys(key for keys in found.values() for key in keys)
        absent = [key for key in wanted if key not in self._header]
        problems = [missing_key(self._request, key, self._header, "column") for key in absent]
        problems += [
            Diagnostic("E0703", f"`{self.origin}` has {self._header.count(key)} columns named `{key}`",
                       place=f"{self.origin}, line 1", helps=("give each column a name of its own",))
            for key in wanted if self._header.count(key) > 1
        ]  # fmt: skip
        if problems:
            raise DataError(*problems)
        return found

    def _values(self, name: str, cells: Sequence[tuple[str, ...]], lines: Sequence[int]) -> Values:
        binding, keys, first = self._bindings[name], self._positions[name], self._done
        columns = [cells[self._header.index(key)] for key in keys]
        words: tuple[str, ...] = ()
        if binding.encoding is not None and binding.encoding.words:
            array, words = self._coded(columns, keys, binding, lines)
        else:
            array = self._numbers(columns, keys, binding, lines)
        return Values(
            array, self.origin, keys, lambda row: lines[row - first], words, binding.missing,
            binding.options.get("unknown", "error"), binding.encoding, np.arange(first, first + len(lines)),
        )  # fmt: skip

    def _numbers(
        self, columns: Iterable[tuple[str, ...]], keys: Iterable[str], binding: Binding, lines: Sequence[int]
    ) -> Array:
        request = Request(self._request.path, self.origin, options={"missing": binding.missing})
        problems: list[Diagnostic] = []
        arrays = []
        for key, texts in zip(keys, columns, strict=True):
            column = Column(request, key, partial(self._place, key, lines))
            arrays.append(column.add(texts, self._done))
            problems += column.finish()[2]
        if problems:
            raise DataError(*problems)
        return np.stack(arrays, axis=1)

    def _coded(
        self, columns: Iterable[tuple[str, ...]], keys: Iterable[str], binding: Binding, lines: Sequence[int]
    ) -> tuple[Array, tuple[str, ...]]:
        """Positions in the texts that these rows have; -1 where one is missing."""
        codes: dict[str, int] = {}
        arrays = []
        for key, texts in zip(keys, columns, strict=True):
            stripped = [text.strip() for text in texts]
            gap = next((k for k, text in enumerate(stripped) if is_missing(text)), None)
            if gap is not None and binding.missing == "error":
                raise DataError(Diagnostic(
                    "E0711", f"a value is missing in column `{key}`", place=self._place(key, lines, self._done + gap),
                    notes=("expected a text",)))  # fmt: skip
            arrays.append([-1 if is_missing(text) else codes.setdefault(text, len(codes)) for text in stripped])
        return np.array(arrays, np.int64).reshape(len(arrays), -1).T, tuple(codes) or ("",)

    def _place(self, key: str, lines: Sequence[int], row: int) -> str:
        return f"{self.origin}, line {lines[row - self._done]} (row {row + 1}), column {key}"
