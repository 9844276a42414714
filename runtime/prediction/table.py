"""Rows to predict from a table, some thousands at a time: columns become inputs as they did in training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO

import numpy as np

from nnc.compiler.options import Value
from nnc.grammar.diagnostics import DataError, Diagnostic
from nnc.runtime.data.columns import HELP_PREDICTED, is_missing, of_one_type
from nnc.runtime.data.source import Encoding, Request, Values, expand, unusable
from nnc.runtime.protocol import Array

from .cells import Block, Cells, CsvCells, place


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


class TableRows:
    """Inputs from the columns of a table.

    Raises: DataError E0703 (no such column), E0710 (text), E0711 (gap), and what the table's `Cells` raise.
    """

    def __init__(self, cells: Cells, bindings: Mapping[str, Binding]) -> None:
        self.names, self.origin, self.rows = tuple(bindings), cells.origin, cells.rows
        self._cells, self._bindings = cells, bindings
        self._request = Request(Path(cells.origin), cells.origin)
        self._columns = {name: expand(binding.columns, cells.names) for name, binding in bindings.items()}
        self._wanted = tuple(dict.fromkeys(key for keys in self._columns.values() for key in keys))
        problems = unusable(self._request, self._wanted, cells.names, cells.header)
        if problems:
            raise DataError(*problems)

    def take(self, count: int) -> Mapping[str, Values]:
        """The next rows."""
        block = self._cells.next(self._wanted, count)
        values: dict[str, Values] = {}
        problems: list[Diagnostic] = []
        for name in self.names:
            try:
                values[name] = self._values(name, block)
            except DataError as error:
                problems += error.diagnostics
        if problems:
            raise DataError(*dict.fromkeys(problems))
        return values

    def _values(self, name: str, block: Block) -> Values:
        binding, keys = self._bindings[name], self._columns[name]
        words: tuple[str, ...] = ()
        if binding.encoding is not None and binding.encoding.words:
            array, words = self._coded(block, keys, binding)
        else:
            array = self._numbers(block, keys, binding)
        return Values(
            array, self.origin, keys, block.cell_of, words, binding.missing,
            binding.options.get("unknown", "error"), binding.encoding,
            np.arange(block.first, block.first + len(block)),
        )  # fmt: skip

    def _numbers(self, block: Block, keys: tuple[str, ...], binding: Binding) -> Array:
        request = Request(self._request.path, self.origin, options={"missing": binding.missing})
        problems: list[Diagnostic] = []
        arrays = []
        for key in keys:
            array, wrong = block.numbers(request, key)
            arrays.append(array)
            problems += wrong
        if problems:
            raise DataError(*(replace(p, helps=HELP_PREDICTED) if p.code == "E0711" else p for p in problems))
        return np.stack(of_one_type(arrays), axis=1)

    def _coded(self, block: Block, keys: tuple[str, ...], binding: Binding) -> tuple[Array, tuple[str, ...]]:
        """Positions in the texts that these rows have; -1 where one is missing."""
        codes: dict[str, int] = {}
        arrays = []
        for key in keys:
            stripped = [text.strip() for text in block.texts(key)]
            gap = next((k for k, text in enumerate(stripped) if is_missing(text)), None)
            if gap is not None and binding.missing == "error":
                raise DataError(Diagnostic(
                    "E0711", f"a value is missing in column `{key}`",
                    place=place(block, self.origin, key, block.first + gap), notes=("expected a text",),
                    helps=HELP_PREDICTED))  # fmt: skip
            arrays.append([-1 if is_missing(text) else codes.setdefault(text, len(codes)) for text in stripped])
        return np.array(arrays, np.int64).reshape(len(arrays), -1).T, tuple(codes) or ("",)


def csv_rows(file: TextIO, origin: str, bindings: Mapping[str, Binding], separator: str | None = None) -> TableRows:
    """Inputs from a text, whose fields are parted by `separator`, or else as those of the training data were."""
    if separator is None:
        separators = {str(binding.options.get("separator", ",")) for binding in bindings.values()}
        separator = separators.pop() if len(separators) == 1 else ","
    return TableRows(CsvCells(file, origin, separator), bindings)
