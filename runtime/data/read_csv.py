"""Reads named columns of a CSV file (RFC 4180: header, quotes, line breaks in quotes, any line ending).

Gives float64 columns (int64 where a whole number is too large for float64), and of columns that may hold texts their
positions in a list of words. The text is parsed in blocks, so that the strings of a large file never exist all at
once; columns too large for memory go to a file (`spool.py`).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Final

from nnc.grammar.diagnostics import DataError, Diagnostic
from nnc.runtime.protocol import Feed

from .columns import Column, as_number
from .source import Contents, Request, expand, unreadable, unusable
from .spool import Table

BLOCK_ROWS: Final = 4096


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
            columns, words = _parse(request, rows, header, wanted)
    except UnicodeDecodeError as error:
        raise unreadable(request, f"is no UTF-8 text: {error.reason} at byte {error.start}") from None
    except csv.Error as error:
        place = f"{request.name}, line {rows.line_num}"
        raise unreadable(request, f"is no well-formed CSV: {error}", place=place) from None
    line_of = partial(_line_of, request, separator)
    return Contents(columns, header, is_table=True, line_of=line_of, words=words)


def _wanted(request: Request, header: tuple[str, ...], separator: str) -> dict[str, int]:
    """Column name -> position of every wanted column that is there."""
    if not header:
        raise DataError(Diagnostic("E0707", f"`{request.name}` is empty", place=request.name))
    keys = expand(request.keys, header)
    problems = unusable(request, keys, header, f"{request.name}, line 1", _header_helps(header, separator))
    if problems:
        raise DataError(*problems)
    present = [key for key in request.optional if header.count(key) == 1]
    return {key: header.index(key) for key in dict.fromkeys((*keys, *present))}


def _header_helps(header: tuple[str, ...], separator: str) -> tuple[str, ...]:
    """What to do about a header that is none, or that was cut at the wrong character."""
    if all(as_number(name) is not None for name in header):
        return ("the first line must name the columns, but it holds numbers only",)
    if len(header) == 1:
        for other, shown in ((";", ";"), ("\t", "\\t")):
            if other in header[0] and other != separator:
                return (f'the fields seem to be separated by `{shown}`: csv(..., separator = "{shown}")',)
    return ()


def _parse(
    request: Request, rows: Iterator[list[str]], header: tuple[str, ...], wanted: dict[str, int]
) -> tuple[dict[str, Feed], dict[str, tuple[str, ...]]]:
    """The columns, and the words of those that hold texts."""
    columns = {key: Column(request, key, partial(_place, request, key)) for key in wanted}
    table = Table(request, tuple(wanted))
    first = 0
    while block := [row for row in islice(rows, BLOCK_ROWS) if row]:      # a blank line is no row
        if any(len(row) != len(header) for row in block):
            raise _torn(request, block, len(header), first)
        fields = list(zip(*block, strict=True))
        table.append([columns[key].add(fields[position], first) for key, position in wanted.items()])
        first += len(block)
    words: dict[str, tuple[str, ...]] = {}
    problems: list[Diagnostic] = []
    for key, column in columns.items():
        numbers, texts, wrong = column.finish()
        problems += wrong
        if texts:
            words[key] = texts
        elif numbers is not None and not problems:
            table.replace(key, numbers)
    if problems:
        raise DataError(*problems)
    return table.columns(), words


def _place(request: Request, key: str, row: int) -> str:
    separator = str(request.options.get("separator", ","))
    return f"{request.name}, line {_line_of(request, separator, row)} (row {row + 1}), column {key}"


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
