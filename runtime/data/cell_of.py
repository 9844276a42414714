"""Where in the text of a CSV file a cell begins. The file is read again, since only messages need to know."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path


def cell_of(path: Path, separator: str, row: int, key: str | None = None) -> tuple[int, int]:
    """Line and column, from 1, of the cell in column `key` of row `row` (from 0), or of the row's first.

    Blank lines are no rows, and quoted fields may span lines. Requires: the header has `key`, and the file the row.
    """
    with path.open(encoding="utf-8-sig", newline="", errors="replace") as file:
        lines: list[str] = []                   # of the record that was read last
        records = csv.reader(_recorded(file, lines), delimiter=separator)
        header = [name.strip() for name in next(filter(None, records))]
        while row >= 0:
            lines.clear()
            line = records.line_num + 1
            row -= bool(next(records))
    start = _starts("".join(lines), separator)[header.index(key) if key is not None else 0]
    for text in lines:
        if start <= len(text):
            break
        start -= len(text)
        line += 1
    return line, start + 1


def _starts(record: str, separator: str) -> list[int]:
    """Where the fields of a record begin."""
    starts, is_quoted, closed = [0], False, -1
    for position, char in enumerate(record):
        if char == '"':
            if is_quoted:
                is_quoted, closed = False, position
            elif position == starts[-1] or closed == position - 1 >= 0:     # the second of two is a quote itself
                is_quoted = True
        elif char == separator and not is_quoted:
            starts.append(position + 1)
    return starts


def _recorded(lines: Iterator[str], kept: list[str]) -> Iterator[str]:
    """`lines`, of which each that is taken is kept too."""
    for line in lines:
        kept.append(line)
        yield line
