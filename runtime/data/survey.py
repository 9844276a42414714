"""What a table holds, column by column: enough to write a first spec for it. Reads the file once, in bounded memory."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from nnc.grammar.diagnostics import DataError, Diagnostic

from .columns import as_number, has_decimal_comma, is_missing
from .kinds import no_text, refuse_other_kind
from .source import Request, unreadable

SEPARATORS: Final = (",", ";", "\t")
_DISTINCT_KEPT: Final = 10_000


@dataclass(slots=True)
class ColumnSurvey:
    """One column. `values` counts its different texts, up to a bound that `many` says was passed.

    `numbers` and `texts` count cells that are one and that are not; the sums are of the numbers.
    """

    name: str
    values: Counter[str] = field(default_factory=Counter)
    many: bool = False
    missing: int = 0
    numbers: int = 0
    texts: int = 0
    whole: int = 0
    total: float = 0.0
    squares: float = 0.0
    rises: bool = True           # each number is the one before it and 1
    last: float = math.nan

    def add(self, text: str) -> None:
        """Count one cell."""
        text = text.strip()
        number = as_number(text)
        if is_missing(text):
            self.missing += 1
            return
        if text in self.values or len(self.values) < _DISTINCT_KEPT:
            self.values[text] += 1
        else:
            self.many = True
        if number is None:
            self.texts += 1
            return
        self.numbers += 1
        self.whole += number == math.floor(number) if math.isfinite(number) else 0
        self.rises = self.rises and (math.isnan(self.last) or number == self.last + 1)
        self.last = number
        delta = number - self.total / max(1, self.numbers - 1) if self.numbers > 1 else 0.0
        self.total += number
        self.squares += delta * (number - self.total / self.numbers)     # Welford: loses nothing to large means

    @property
    def filled(self) -> int:
        return self.numbers + self.texts

    @property
    def is_numeric(self) -> bool:
        return self.texts == 0

    @property
    def distinct(self) -> int:
        """How many different values were kept; `1` and `1.0` are one number."""
        return len({float(text) for text in self.values}) if self.is_numeric else len(self.values)

    @property
    def is_whole(self) -> bool:
        return self.is_numeric and self.whole == self.numbers

    @property
    def mean(self) -> float:
        return self.total / self.numbers if self.numbers else 0.0

    @property
    def deviation(self) -> float:
        return math.sqrt(self.squares / self.numbers) if self.numbers else 0.0


@dataclass(frozen=True, slots=True)
class Survey:
    """A whole table: how its fields are parted, how many rows it has, and its columns in their order."""

    separator: str
    rows: int
    columns: tuple[ColumnSurvey, ...]

    def column(self, name: str) -> ColumnSurvey | None:
        """The column of that name; None for a name that no column has, or that is blank."""
        return next((column for column in self.columns if column.name == name != ""), None)


def survey(path: Path, name: str) -> Survey:
    """Read the table at `path`, of which messages speak as `name`.

    Raises: DataError E0701 (not there), E0702 (no text, torn), E0703 (two columns of one name), E0707 (no rows).
    """
    request = Request(path, name)
    refuse_other_kind(request, "csv")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            separator = _separator(next((line for line in file if line.strip()), ""))
            file.seek(0)
            rows = csv.reader(file, delimiter=separator, strict=True)
            return _count(request, separator, rows)
    except FileNotFoundError:
        raise DataError(Diagnostic("E0701", f"there is no file `{name}`", place=name)) from None
    except UnicodeDecodeError as error:
        raise no_text(request, error) from None
    except csv.Error as error:
        raise unreadable(request, f"is no well-formed CSV: {error}", place=f"{name}, line {rows.line_num}") from None
    except OSError as error:
        raise unreadable(request, f"cannot be read: {(error.strerror or str(error)).lower()}") from None


def _separator(header: str) -> str:
    return max(SEPARATORS, key=header.count)


def _count(request: Request, separator: str, rows: Iterable[list[str]]) -> Survey:
    lines = filter(None, rows)                  # a blank line is no row
    header = tuple(name.strip() for name in next(lines, ()))
    if header and all(as_number(name) is not None for name in header):
        raise unreadable(request, "has a first line of numbers", "the first line must name the columns")
    twice = next((name for name in header if name and header.count(name) > 1), None)
    if twice is not None:
        text = f"`{request.name}` has {header.count(twice)} columns named `{twice}`"
        raise DataError(Diagnostic("E0703", text, place=f"{request.name}, line 1"))
    columns = tuple(ColumnSurvey(name) for name in header)
    count = 0
    for row in lines:
        count += 1
        if len(row) != len(header):
            raise unreadable(request, f"has a row of {len(row)} fields under a header of {len(header)}",
                             place=f"{request.name}, row {count}")
        for column, cell in zip(columns, row, strict=True):
            column.add(cell)
    if not count:
        raise DataError(Diagnostic("E0707", f"`{request.name}` has no rows", place=request.name))
    _refuse_decimal_commas(request, columns)
    return Survey(separator, count, columns)


def _refuse_decimal_commas(request: Request, columns: Iterable[ColumnSurvey]) -> None:
    """Raises: DataError E0710 for a column whose texts all are numbers with a comma, which would be read as names."""
    for column in columns:
        texts = [text for text in column.values if as_number(text) is None]
        if column.name and texts and all(map(has_decimal_comma, texts)):
            text = f"column `{column.name}` holds numbers with a decimal comma"
            raise DataError(Diagnostic("E0710", text, place=f"{request.name}, column {column.name}",
                                       notes=(f"found `{texts[0]}`",),
                                       helps=("save the table with decimal points",)))  # fmt: skip
