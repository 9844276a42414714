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

from nnc.grammar.diagnostics import DataError, Diagnostic, Place
from nnc.runtime.protocol import Feed

from .cell_of import cell_of
from .columns import Column, as_number
from .kinds import no_text
from .source import Contents, Request, absent_categories, cell_place, expand, unreadable, unusable
from .spool import Table

BLOCK_ROWS: Final = 4096


def read_csv(request: Request) -> Contents:
    """Columns `request.keys`, and those of `request.optional` that exist. Option `separator` (default ",").

    Problems of columns: E0702 (digits would be lost), E0703 (no such column), E0710 (text), E0711 (missing value).
    Raises: DataError E0702 (no text, torn row), E0707 (empty).
    """
    separator = str(request.options.get("separator", ","))
    try:
        with request.path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, delimiter=separator, strict=True)
            header = tuple(name.strip() for name in next(filter(None, rows), ()))      # a blank line is no row
            wanted, absent = _wanted(request, header, separator, rows.line_num)
            if absent and not wanted:
                raise DataError(*absent)            # perhaps the separator is another one
            table = _parse(request, filter(None, rows), header, wanted)
    except UnicodeDecodeError as error:
        raise no_text(request, error) from None
    except csv.Error as error:
        place = Place(f"{request.name}, line {rows.line_num}", str(request.path), rows.line_num, 1)
        raise unreadable(request, f"is no well-formed CSV: {error}", place=place) from None
    columns, words, problems = table
    return Contents(
        columns, header, is_table=True, cell_of=partial(cell_of, request.path, separator), words=words,
        problems=(*absent, *problems))  # fmt: skip


def _wanted(
    request: Request, header: tuple[str, ...], separator: str, line: int
) -> tuple[dict[str, int], list[Diagnostic]]:
    """Column name -> position of every wanted column that is there, and what is wrong with the others."""
    if not header:
        raise DataError(Diagnostic("E0707", f"`{request.name}` is empty", place=Place(request.name, str(request.path))))
    keys = expand(request.keys, header)
    place = Place(f"{request.name}, line {line}", str(request.path), line, 1)
    problems = unusable(request, keys, header, place, _header_helps(header, separator))
    problems += absent_categories(request, header)
    present = [key for key in (*keys, *request.optional) if header.count(key) == 1]
    return {key: header.index(key) for key in dict.fromkeys(present)}, problems


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
) -> tuple[dict[str, Feed], dict[str, tuple[str, ...]], list[Diagnostic]]:
    """The columns that are right, the words of those that hold texts, and what is wrong with the others."""
    columns = {key: Column(request, key, partial(_place, request, key)) for key in wanted}
    table = Table(request, tuple(wanted))
    first = 0
    while block := list(islice(rows, BLOCK_ROWS)):
        if any(len(row) != len(header) for row in block):
            raise _torn(request, block, len(header), first)
        fields = list(zip(*block, strict=True))
        table.append([columns[key].add(fields[position], first) for key, position in wanted.items()])
        first += len(block)
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
    right = {key: array for key, array in table.columns().items() if key not in wrong}
    return right, words, [problem for problems in wrong.values() for problem in problems]


def _place(request: Request, key: str | None, row: int) -> Place:
    separator = str(request.options.get("separator", ","))
    return cell_place(request.name, str(request.path), row, key, partial(cell_of, request.path, separator))


def _torn(request: Request, block: list[list[str]], width: int, first: int) -> DataError:
    index = next(i for i, row in enumerate(block) if len(row) != width)
    text = f"has a row of {len(block[index])} fields under a header of {width}"
    return unreadable(request, text, place=_place(request, None, first + index))
