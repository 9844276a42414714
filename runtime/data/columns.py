"""Columns of a table as they are read, block by block: of numbers, or of texts as positions in a list of words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import numpy as np

from nnc.grammar.diagnostics import Diagnostic
from nnc.runtime.protocol import Array

from .source import Request

MISSING: Final = frozenset({"", "na", "n/a", "null", "none", "?"})
_ALSO_MISSING: Final = "nan"                # only where the spec says what stands for a missing value
EXACT: Final = 2.0**53                     # the largest magnitude up to which float64 holds every whole number
HELP_MISSING: Final = (
    "say what to do in the data section: `missing = drop`, `mean`, `median` or a number among the table's options",
)


class Column:
    """One column while its cells arrive. `add` gives a block as numbers: NaN or, of a text, -1 where none is.

    `problem` is the first cell that cannot be, with a count in `guilty`. A column that may hold texts keeps a list of
    words until `finish` tells whether all of them are numbers after all. is_text: whether the file says that it holds
    texts, none of which is a number in disguise, or that it holds numbers; None where it does not say.
    """

    def __init__(
        self, request: Request, key: str, place_of: Callable[[int], str], is_text: bool | None = None
    ) -> None:
        self._request, self._key, self._place_of, self._is_text = request, key, place_of, is_text
        categories = request.options.get("categories", ())
        self.is_forced = isinstance(categories, tuple) and key in categories
        self.is_coded = self.is_forced or (key in request.texts and is_text is not False)
        self._codes: dict[str, int] = {}
        self._first_rows: list[int] = []
        self._problem: Diagnostic | None = None
        self._guilty = 0
        self._missing = 0

    def add(self, texts: Iterable[str], first: int) -> Array:
        """The cells of the next rows, of which the first is row `first`."""
        cells = tuple(texts)
        if self.is_coded:
            codes = (self._code(text.strip(), first + k) for k, text in enumerate(cells))
            return np.fromiter(codes, np.int64, len(cells))
        if self._is_text:
            return np.array([self._refused(text.strip(), first + k) for k, text in enumerate(cells)])
        try:
            return _numbers(cells)
        except ValueError:
            return np.array([self._number(text.strip(), first + k) for k, text in enumerate(cells)])

    def note_gaps(self, gaps: Array, first: int) -> None:
        """`gaps` tells of the next cells, which are no texts, whether one is missing; the first is row `first`."""
        for row in np.flatnonzero(gaps):
            self._note_missing("", first + int(row))

    def _code(self, text: str, row: int) -> int:
        code = self._codes.get(text)
        if code is not None:
            return code
        if is_missing(text):
            self._note_missing(text, row)
            return -1
        self._first_rows.append(row)
        return self._codes.setdefault(text, len(self._codes))

    def _number(self, text: str, row: int) -> float:
        value = as_number(text)
        if value is not None:
            return value
        return self._refused(text, row)

    def _refused(self, text: str, row: int) -> float:
        """What stands for a cell that is no number, which is noted."""
        if is_missing(text):
            self._note_missing(text, row)
        else:
            self._complain(text, row)
        return np.nan

    def _note_missing(self, text: str, row: int) -> None:
        self._missing += 1
        if self._request.may_miss:
            return
        if self._problem is None:
            shown = f"`{text}`" if text else "nothing"
            expected = "a text" if self.is_coded else "a number"
            self._problem = Diagnostic(
                "E0711", f"a value is missing in column `{self._key}`", place=self._place_of(row),
                notes=(f"expected {expected}, found {shown}",), helps=HELP_MISSING)
        self._guilty += 1

    def _complain(self, text: str, row: int) -> None:
        if self._problem is None:
            shown = text if len(text) <= 40 else text[:37] + "..."
            self._problem = Diagnostic(
                "E0710", f"column `{self._key}` holds text where numbers should be", place=self._place_of(row),
                notes=(f"expected a number, found `{shown}`",))
        self._guilty += 1

    def finish(self) -> tuple[Array | None, tuple[str, ...], list[Diagnostic]]:
        """What each code stands for if all are numbers, else the words; and what is wrong with the column."""
        if self._problem is not None:
            return None, (), [_counted(self._problem, self._guilty)]
        if not self.is_coded:
            return None, (), []
        words = tuple(self._codes)
        if not words:
            return np.empty(0), (), []                  # every cell is missing
        numbers = [as_number(word) for word in words]
        if self.is_forced or self._is_text or all(number is None for number in numbers):
            return None, words, []
        if None not in numbers:
            return _numbers(words), (), []
        return None, (), [self._mixed(words, numbers)]

    def _mixed(self, words: tuple[str, ...], numbers: list[float | None]) -> Diagnostic:
        index = next(k for k, number in enumerate(numbers) if number is None)
        other = next(k for k, number in enumerate(numbers) if number is not None)
        return Diagnostic(
            "E0710", f"column `{self._key}` holds texts and numbers", place=self._place_of(self._first_rows[index]),
            notes=(f"found `{words[index]}` here and `{words[other]}` in row {self._first_rows[other] + 1}",),
            helps=(f"if all are names of categories, say so: `categories = [{self._key}]` among the table's options",))


def is_missing(text: str) -> bool:
    return text.lower() in MISSING or text.lower() == _ALSO_MISSING


def as_number(text: str) -> float | None:
    """The number that a cell holds, if it holds one."""
    try:
        return float(text)
    except ValueError:
        return None


def _numbers(texts: Iterable[str]) -> Array:
    texts = tuple(texts)
    values = np.array([float(text) for text in texts])
    if np.any(np.abs(values) >= EXACT) and all(text.strip().lstrip("+-").isdigit() for text in texts):
        return np.array([int(text) for text in texts], np.int64)
    return values


def _counted(diagnostic: Diagnostic, count: int) -> Diagnostic:
    if count == 1:
        return diagnostic
    more = f"and {count - 1} more such value{'s' if count > 2 else ''} in this column"
    return Diagnostic(diagnostic.code, diagnostic.message, place=diagnostic.place,
                      notes=(*diagnostic.notes, more), helps=diagnostic.helps)
