"""Reads named number columns of a CSV file (RFC 4180: header, quotes, line breaks in quotes, any line ending).

Gives float64 columns (int64 where a whole number is too large for float64). The text is parsed in blocks, so that the
strings of a large file never exist all at once.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from typing import Final

import numpy as np

from nnc.grammar.diagnostics import DataError, Diagnostic
from nnc.runtime.protocol import Array

from .source import Contents, Request, expand, missing_key, unreadable

BLOCK_ROWS: Final = 4096
MISSING: Final = frozenset({"", "na", "n/a", "null", "none", "?"})
_EXACT: Final = 2.0**53                     # the largest magnitude up to which float64 holds every whole number


def read_csv(request: Request) -> Contents:
    """Columns `request.keys`, and those of `request.optional` that exist. Option `separator` (default ",").

    Raises: DataError E0701, E0702 (not text, torn row), E0703 (no such column), E0710 (text), E0711 (missing value).
    """
    separator = str(request.options.get("separator", ","))
    try:
        with request.path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, delimiter=separator, strict=True)
            header = tuple(name.strip() for name in next(rows, []))
            wanted = _wanted(request, header, separator)
            columns = _parse(request, rows, header, wanted)
    except UnicodeDecodeError as error:
        raise unreadable(request, f"is no UTF-8 text: {error.reason} at byte {error.start}") from None
    except csv.Error as error:
        place = f"{request.name}, line {rows.line_num}"
        raise unreadable(request, f"is no well-formed CSV: {error}", place=place) from None
    return Contents(columns, header, is_table=True, line_of=lambda row: _line_of(request, separator, row))


def _wanted(request: Request, header: tuple[str, ...], separator: str) -> dict[str, int]:
    """Column name -> position of every wanted column that is there."""
    if not header:
        raise DataError(Diagnostic("E0707", f"`{request.name}` is empty", place=request.name))
    problems = []
    helps = _header_helps(header, separator)
    keys = expand(request.keys, header)
    for key in keys:
        if header.count(key) > 1:
            text = f"`{request.name}` has {header.count(key)} columns named `{key}`"
            rename = "give each column a name of its own"
            problems.append(Diagnostic("E0703", text, place=f"{request.name}, line 1", helps=(rename,)))
        elif key not in header:
            problems.append(missing_key(request, key, header, "column", *helps))
    if problems:
        raise DataError(*problems)
    present = [key for key in request.optional if header.count(key) == 1]
    return {key: header.index(key) for key in dict.fromkeys((*keys, *present))}


def _header_helps(header: tuple[str, ...], separator: str) -> tuple[str, ...]:
    """What to do about a header that is none, or that was cut at the wrong character."""
    if all(_number(name) is not None for name in header):
        return ("the first line must name the columns, but it holds numbers only",)
    if len(header) == 1:
        for other, shown in ((";", ";"), ("\t", "\\t")):
            if other in header[0] and other != separator:
                return (f'the fields seem to be separated by `{shown}`: csv(..., separator = "{shown}")',)
    return ()


def _parse(
    request: Request, rows: Iterator[list[str]], header: tuple[str, ...], wanted: dict[str, int]
) -> dict[str, Array]:
    pieces: dict[str, list[Array]] = {key: [] for key in wanted}
    bad: dict[str, tuple[Diagnostic, int]] = {}
    first = 0
    while block := [row for row in islice(rows, BLOCK_ROWS) if row]:      # a blank line is no row
        if any(len(row) != len(header) for row in block):
            raise _torn(request, block, len(header), first)
        fields = list(zip(*block, strict=True))
        for key, position in wanted.items():
            try:
                pieces[key].append(_numbers(fields[position]))
            except ValueError:
                _collect(request, bad, key, fields[position], first)
        first += len(block)
    if bad:
        raise DataError(*(_counted(diagnostic, count) for diagnostic, count in bad.values()))
    return {key: np.concatenate(parts) if parts else np.empty(0) for key, parts in pieces.items()}


def _numbers(texts: tuple[str, ...]) -> Array:
    values = np.array([float(text) for text in texts])
    if np.any(np.abs(values) >= _EXACT) and all(text.strip().lstrip("+-").isdigit() for text in texts):
        return np.array([int(text) for text in texts], np.int64)
    return values


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _collect(
    request: Request, bad: dict[str, tuple[Diagnostic, int]], key: str, texts: tuple[str, ...], first: int
) -> None:
    """Note the first cell of a column that is no number, and count the others."""
    for index, text in enumerate(texts):
        if _number(text) is not None:
            continue
        if key not in bad:
            bad[key] = (_cell_problem(request, key, text.strip(), first + index), 0)
        bad[key] = (bad[key][0], bad[key][1] + 1)


def _cell_problem(request: Request, key: str, text: str, row: int) -> Diagnostic:
    separator = str(request.options.get("separator", ","))
    place = f"{request.name}, line {_line_of(request, separator, row)} (row {row + 1}), column {key}"
    if text.lower() in MISSING:
        shown = f"`{text}`" if text else "nothing"
        return Diagnostic("E0711", f"a value is missing in column `{key}`", place=place,
                          notes=(f"expected a number, found {shown}",),
                          helps=("fill the gap or leave out the row before training",))
    shown = text if len(text) <= 40 else text[:37] + "..."
    return Diagnostic("E0710", f"column `{key}` holds text where numbers should be", place=place,
                      notes=(f"expected a number, found `{shown}`",))


def _counted(diagnostic: Diagnostic, count: int) -> Diagnostic:
    if count == 1:
        return diagnostic
    more = f"and {count - 1} more such value{'s' if count > 2 else ''} in this column"
    return Diagnostic(diagnostic.code, diagnostic.message, place=diagnostic.place,
                      notes=(*diagnostic.notes, more), helps=diagnostic.helps)


def _torn(request: Request, block: list[list[str]], width: int, first: int) -> DataError:
    index = next(i for i, row in enumerate(block) if len(row) != width)
    separator = str(request.options.get("separator", ","))
    place = f"{request.name}, line {_line_of(request, separator, first + index)} (row {first + index + 1})"
    return unreadable(request, f"has a row of {len(block[index])} fields under a header of {width}", place=place)


def _line_of(request: Request, separator: str, row: int) -> int:
    """The line on which a row starts; read again, since only messages need it. Quoted fields may span lines."""
    with request.path.open(encoding="utf-8-sig", newline="", errors="replace") as file:
        rows = csv.reader(file, delimiter=separator)
        next(rows)
        start = rows.line_num + 1
        for fields in rows:
            if fields:
                if row == 0:
                    break
                row -= 1
            start = rows.line_num + 1
    return start
