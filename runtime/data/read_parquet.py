"""Reads number columns of a Parquet file. Needs the optional extra `data` (pyarrow)."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from nnc.grammar.diagnostics import DataError, Diagnostic
from nnc.runtime.protocol import Array

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
    return Contents({key: _column(request, key, table.column(key)) for key in wanted}, names, is_table=True)


def _column(request: Request, key: str, column: Any) -> Array:
    if column.null_count:
        row = next(i for i, value in enumerate(column) if not value.is_valid)
        more = (f"and {column.null_count - 1} more in this column",) if column.null_count > 1 else ()
        raise DataError(Diagnostic("E0711", f"a value is missing in column `{key}`", notes=more,
                                   place=f"{request.name}, row {row + 1}, column {key}",
                                   helps=("fill the gap or leave out the row before training",)))
    array: Array = np.asarray(column.to_numpy())
    if array.dtype.kind not in "buif":
        raise DataError(Diagnostic("E0710", f"column `{key}` holds {column.type} where numbers should be",
                                   place=f"{request.name}, column {key}"))
    return array
