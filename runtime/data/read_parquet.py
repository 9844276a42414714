"""Reads a Parquet file: numbers, or texts as positions in a list. Needs the optional extra `data` (pyarrow)."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from nnc.grammar.diagnostics import DataError, Diagnostic
from nnc.runtime.protocol import Array, Feed

from .columns import HELP_MISSING, Column
from .source import Contents, Request, expand, missing_key, unreadable


def read_parquet(request: Request) -> Contents:
    """Columns `request.keys`, and those of `request.optional` that exist.

    Raises: DataError E0718 (no pyarrow), E0702, E0703 (no such column), E0710 (text), E0711 (missing value).
    """
    try:
        arrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        text = f"`{request.name}` is a Parquet file, and the package that reads them is not installed"
        raise DataError(Diagnostic("E0718", text, place=request.name, helps=("pip install 'nnc[data]'",))) from None
    try:
        file = parquet.ParquetFile(request.path)
        names = tuple(file.schema_arrow.names)
        keys = expand(request.keys, names)
        problems = [missing_key(request, key, names, "column") for key in keys if key not in names]
        if problems:
            raise DataError(*problems)
        wanted = [key for key in dict.fromkeys((*keys, *request.optional)) if key in names]
        table = file.read(columns=wanted)
    except (arrow.ArrowException, OSError) as error:
        raise unreadable(request, f"is no readable Parquet file: {str(error).splitlines()[0]}") from None
    arrays: dict[str, Feed] = {}
    words: dict[str, tuple[str, ...]] = {}
    for key in wanted:
        try:
            arrays[key], found = _column(request, arrow, key, table.column(key))
            words |= {key: found} if found else {}
        except DataError as error:
            problems += error.diagnostics
    if problems:
        raise DataError(*problems)
    return Contents(arrays, names, is_table=True, words=words)


def _column(request: Request, arrow: Any, key: str, column: Any) -> tuple[Array, tuple[str, ...]]:
    """A column's numbers, or its codes and their words."""
    cells = Column(request, key, lambda row: f"{request.name}, row {row + 1}, column {key}")
    kinds = arrow.types
    if kinds.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    is_text = kinds.is_string(column.type) or kinds.is_large_string(column.type)
    if is_text or cells.is_forced:
        values = ("" if cell is None else str(cell) for cell in column.to_pylist())
        return cells.codes(values)
    if not (kinds.is_integer(column.type) or kinds.is_floating(column.type) or kinds.is_boolean(column.type)):
        raise DataError(Diagnostic("E0710", f"column `{key}` holds {column.type} where numbers should be",
                                   place=f"{request.name}, column {key}"))
    if column.null_count and not request.may_miss:
        row = next(i for i, value in enumerate(column) if not value.is_valid)
        more = (f"and {column.null_count - 1} more in this column",) if column.null_count > 1 else ()
        raise DataError(Diagnostic("E0711", f"a value is missing in column `{key}`", notes=more,
                                   place=f"{request.name}, row {row + 1}, column {key}", helps=HELP_MISSING))
    return np.asarray(column.to_numpy() if not column.null_count else column.cast(arrow.float64()).to_numpy()), ()
