"""Columns of a table as they are read, block by block: of numbers, or of texts as positions in a list of words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

import numpy as np

from nnc.grammar.diagnostics import Diagnostic
from nnc.runtime.protocol import Array

from .source import Request

MISSING: Final = frozenset({"", "na", "n/a", "null", "none", "?"})
_ALSO_MISSING: Final = "nan"                # only where the spec says what stands for a missing value
EXACT: Final = 2.0**53                     # the largest magnitude up to which float64 holds every whole number
_INT64: Final = 2**63
_LONGEST: Final = 400           # digits: more than any float64 has
_DECIMAL_COMMA: Final = re.compile(r"[+-]?[\d.]*,\d+(?:[eE][+-]?\d+)?")
HELP_MISSING: Final = (
    "say what to do in the data section: `missing = drop`, `mean`, `median` or a number among the table's options",
)
HELP_PREDICTED: Final = (
    "give a value; or train with `missing = mean`, `median` or a number among the table's options",
)


class Column:
    """One column while its cells arrive. `add` gives a block as numbers: NaN or, of a text, -1 where none is.

    Of each sort of problem the first cell is kept, with a count of all. A column that may hold texts keeps a list of
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
        self._problems: dict[str, tuple[Diagnostic, int]] = {}      # by code
        self._missing = 0
        self._rounded: int | None = None        # the first row with a whole number that float64 does not hold

    def add(self, texts: Iterable[str], first: int) -> Array:
        """The cells of the next rows, of which the first is row `first`."""
        cells = tuple(texts)
        if self.is_coded:
            codes = (self._code(text.strip(), first + k) for k, text in enumerate(cells))
            return np.fromiter(codes, np.int64, len(cells))
        if self._is_text:
            return np.array([self._refused(text.strip(), first + k) for k, text in enumerate(cells)])
        try:
            numbers = _numbers(cells)
        except ValueError:
            numbers = np.array([self._number(text.strip(), first + k) for k, text in enumerate(cells)])
            self._note_rounded_texts(cells, numbers, first)
        self.note_rounded(numbers, first)
        return numbers

    def note_gaps(self, gaps: Array, first: int) -> None:
        """`gaps` tells of the next cells, which are no texts, whether one is missing; the first is row `first`."""
        for row in np.flatnonzero(gaps):
            self._note_missing("", first + int(row))

    def note_rounded(self, numbers: Array, first: int) -> None:
        """Note whole numbers that float64 would round; the first is row `first`."""
        if self._rounded is None and numbers.dtype.kind in "iu" and numbers.dtype.itemsize == 8:
            rounded = not_exact(numbers)
            if rounded.any():
                self._rounded = first + int(np.argmax(rounded))

    def _note_rounded_texts(self, cells: tuple[str, ...], numbers: Array, first: int) -> None:
        """The same of numbers that were rounded as they were read, since others beside them are no whole ones."""
        for k in np.flatnonzero(np.abs(numbers) >= EXACT) if self._rounded is None else ():
            if _is_whole(cells[k]) and int(cells[k]) != float(numbers[k]):      # exact, as Python compares them
                self._rounded = first + int(k)
                return

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
        if self._is_first("E0711"):
            shown = f"`{text}`" if text else "nothing"
            expected = "a text" if self.is_coded else "a number"
            self._keep(Diagnostic(
                "E0711", f"a value is missing in column `{self._key}`", place=self._place_of(row),
                notes=(f"expected {expected}, found {shown}",), helps=HELP_MISSING))

    def _complain(self, text: str, row: int) -> None:
        if self._is_first("E0710"):
            shown = text if len(text) <= 40 else text[:37] + "..."
            self._keep(Diagnostic(
                "E0710", f"column `{self._key}` holds text where numbers should be", place=self._place_of(row),
                notes=(f"expected a number, found `{shown}`",), helps=_helps_for(text)))

    def _is_first(self, code: str) -> bool:
        """Whether nothing of the sort was found in the column before; if something was, it is counted."""
        if code not in self._problems:
            return True
        first, count = self._problems[code]
        self._problems[code] = first, count + 1
        return False

    def _keep(self, problem: Diagnostic) -> None:
        self._problems[problem.code] = problem, 1

    def finish(self) -> tuple[Array | None, tuple[str, ...], list[Diagnostic]]:
        """What each code stands for if all are numbers, else the words; and what is wrong with the column."""
        if self._problems:
            return None, (), [_counted(problem, count) for problem, count in self._problems.values()]
        if not self.is_coded:
            return None, (), self._beside_gaps()
        words = tuple(self._codes)
        if not words:
            return np.empty(0), (), []                  # every cell is missing
        numbers = [as_number(word) for word in words]
        if self.is_forced or self._is_text or all(number is None for number in numbers):
            return None, words, []
        if None in numbers:
            return None, (), [self._mixed(words, numbers)]
        exact = _numbers(words)
        if exact.dtype.kind == "i" and (rounded := not_exact(exact)).any():
            self._rounded = self._first_rows[int(np.argmax(rounded))]
        return exact, (), self._beside_gaps()

    def _beside_gaps(self) -> list[Diagnostic]:
        """A gap is NaN, which makes floats of a column, and no float64 holds some of this column's whole numbers."""
        if self._rounded is None or not self._missing:
            return []
        text = f"column `{self._key}` has missing values beside whole numbers above 2**53, which would lose digits"
        help = f"if these are names of things, say so: `categories = [{self._key}]` among the table's options"
        return [Diagnostic("E0702", text, place=self._place_of(self._rounded), helps=(help,))]

    def _mixed(self, words: tuple[str, ...], numbers: list[float | None]) -> Diagnostic:
        index = next(k for k, number in enumerate(numbers) if number is None)
        other = next(k for k, number in enumerate(numbers) if number is not None)
        return Diagnostic(
            "E0710", f"column `{self._key}` holds texts and numbers", place=self._place_of(self._first_rows[index]),
            notes=(f"found `{words[index]}` here and `{words[other]}` in row {self._first_rows[other] + 1}",),
            helps=_helps_for(words[index]) or (
                f"if all are names of categories, say so: `categories = [{self._key}]` among the table's options",))


def is_missing(text: str) -> bool:
    return text.lower() in MISSING or text.lower() == _ALSO_MISSING


def as_number(text: str) -> float | None:
    """The number that a cell holds, if it holds one; `1_2`, which is 12 in Python, is none."""
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def has_decimal_comma(text: str) -> bool:
    """Whether a cell holds a number as `1.234,5` is written in much of Europe."""
    return _DECIMAL_COMMA.fullmatch(text) is not None


def not_exact(numbers: Array) -> Array:
    """For each whole number whether float64 rounds it."""
    with np.errstate(invalid="ignore"):         # of a number next to 2**63, whose float64 no int64 holds
        return np.asarray(numbers.astype(np.float64).astype(numbers.dtype) != numbers)


def of_one_type(arrays: list[Array]) -> list[Array]:
    """Arrays to be put together: where some are of integers, those of floats become so too if all of them are whole."""
    if len({array.dtype for array in arrays}) > 1 and all(map(_fits_int64, arrays)):
        return [array.astype(np.int64) for array in arrays]
    return arrays


def _fits_int64(array: Array) -> bool:
    if array.dtype.kind != "f":
        return array.dtype != np.uint64
    return bool(np.all(array == np.floor(array)) and np.all(np.abs(array) < 2.0**63))


def _numbers(texts: tuple[str, ...]) -> Array:
    """float64, or int64 where all are whole and float64 might not hold one. Raises: ValueError for what is no number.

    Whole numbers that not even int64 holds are rounded: no integer type has a place for them.
    """
    if "_" in "".join(texts):
        raise ValueError("an underscore")
    values = np.array([float(text) for text in texts])
    if not np.any(np.abs(values) >= EXACT) or np.any(values != np.floor(values)) or np.any(np.isinf(values)):
        return values
    exact = [int(text) if _is_whole(text) else int(value) for text, value in zip(texts, values.tolist(), strict=True)]
    return np.array(exact, np.int64) if min(exact) >= -_INT64 and max(exact) < _INT64 else values


def _is_whole(text: str) -> bool:
    return text.strip().lstrip("+-").isdigit() and len(text) < _LONGEST


def _helps_for(text: str) -> tuple[str, ...]:
    """What to do about a cell that is a number to somebody else."""
    if has_decimal_comma(text):
        return (f"numbers are written with a decimal point: `{text.replace('.', '').replace(',', '.')}`, "
                f"not `{text}`; save the table with one",)
    return ()


def _counted(diagnostic: Diagnostic, count: int) -> Diagnostic:
    if count == 1:
        return diagnostic
    more = f"and {count - 1} more such value{'s' if count > 2 else ''} in this column"
    return Diagnostic(diagnostic.code, diagnostic.message, place=diagnostic.place,
                      notes=(*diagnostic.notes, more), helps=diagnostic.helps)
