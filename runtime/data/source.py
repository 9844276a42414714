"""What a reader takes and gives. One reader per kind of file, each in a file of its own, listed in `readers.py`.

A reader is a function `Request -> Contents`; it reads only what it was asked for and raises `DataError`
with the file, and where it can the row and the column, of everything it cannot make sense of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nnc.compiler.options import Value
from nnc.grammar.diagnostics import DataError, Diagnostic, Place
from nnc.grammar.suggest import nearest
from nnc.runtime.protocol import Array, Feed, Rows


@dataclass(frozen=True, slots=True)
class Request:
    """One file and what is wanted of it.

    `name` is the path as the user wrote it, for messages. `keys`: names of columns (csv, parquet), where `a..b` is a
    run of columns, or of arrays (npz); a wish in `optional` is passed over if the file has it not. `texts`: keys (or
    runs of them) whose columns may hold texts.
    """

    path: Path
    name: str
    keys: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    options: Mapping[str, Value] = field(default_factory=dict)
    texts: tuple[str, ...] = ()

    @property
    def may_miss(self) -> bool:
        """Whether the spec says what to do about missing values."""
        return self.options.get("missing", "error") != "error"


CellOf = Callable[[int, str | None], tuple[int, int | None]]


@dataclass(frozen=True, slots=True)
class Contents:
    """Arrays found in a file, rows along axis 0, by key; the one array of a file without names has the key "".

    `names` are all keys the file has, read or not. `is_table`: each array is one column, so one-dimensional.
    `cell_of` gives the line and the column of the file's text, from 1, where the cell of a row (from 0) and of a key,
    or without one the row, begins. A column of texts holds
    positions in `words[key]`. Where values may be missing, NaN stands for one, and -1 for a text. `problems` tell what
    is wrong with the columns that were wanted and are not among `arrays`.
    """

    arrays: Mapping[str, Feed]
    names: tuple[str, ...] = ()
    is_table: bool = False
    cell_of: CellOf | None = None
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problems: tuple[Diagnostic, ...] = ()




Reader = Callable[[Request], Contents]


@dataclass(frozen=True, slots=True)
class Encoding:
    """What was learnt from training rows to make numbers of a name's values.

    words: the texts, each standing for its position; a last one that is empty stands for every other text. fills: what
    stands for a missing value, per column (of texts: a position); empty if nothing does.
    """

    words: tuple[str, ...] = ()
    fills: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Values:
    """The samples bound to one name, with what it takes to point at one of them.

    `origin` is a file's or an argument's name; `columns`, if any, name the entries of the last axis. With `words` the
    array holds positions in them. `missing` and `unknown` are the table's options. `encoding`, once learnt, makes the
    numbers. `rows`: the numbers that the rows have in the file, if this is but a part of it. `gone` tells of every row
    of the file whether it is left out, so that its texts do not matter. `is_predicted`: rows that nothing is learnt
    from. `file`: the path of the file, if it is one.
    """

    array: Feed
    origin: str
    columns: tuple[str, ...] = ()
    cell_of: CellOf | None = None
    words: tuple[str, ...] = ()
    missing: Value = "error"
    unknown: Value = "error"
    encoding: Encoding | None = None
    rows: Rows | None = None
    gone: Array | None = None
    is_predicted: bool = False
    file: str = ""

    @property
    def whole(self) -> Place:
        """The file or argument as a whole."""
        return Place(self.origin, self.file)

    def place(self, row: int, position: tuple[int, ...] = ()) -> str:
        """`data/iris.csv, line 18 (row 17), column petal_length`; rows are counted from 1 after the header."""
        if self.columns:
            return self.row_place(row, self.columns[position[-1] if position else 0])
        where = self.row_place(row)
        return Place(f"{where}, position [{', '.join(map(str, position))}]", self.file) if position else where

    def row_place(self, row: int, key: str | None = None) -> Place:
        """`data/iris.csv, line 18 (row 17)`, and the column `key` of it."""
        row = row if self.rows is None else int(self.rows[row])
        return cell_place(self.origin, self.file, row, key, self.cell_of)


def cell_place(origin: str, file: str, row: int, key: str | None, cell_of: CellOf | None = None) -> Place:
    """Where row `row` (from 0) of a table stands, and column `key` of it. file: the path of what is called `origin`."""
    line: int | None
    line, column = cell_of(row, key) if cell_of is not None else (None, None)
    where = f"row {row + 1}" if line is None else f"line {line} (row {row + 1})"
    return Place(f"{origin}, {where}" + (f", column {key}" if key is not None else ""), file, line, column)


def unreadable(request: Request, problem: str, *helps: str, place: str = "") -> DataError:
    """The error of a file that is not what its reader expects."""
    found = place or Place(request.name, str(request.path))
    return DataError(Diagnostic("E0702", f"`{request.name}` {problem}", place=found, helps=helps))


def missing_key(request: Request, key: str, names: tuple[str, ...], what: str, *helps: str) -> Diagnostic:
    """A column or an array that the file has not, with near misses."""
    near = nearest(key, names)
    if near:
        helps = (f"did you mean {' or '.join(f'`{name}`' for name in near)}?", *helps)
    notes = (f"the file has {_shown(names, what)}",)
    return Diagnostic("E0703", f"`{request.name}` has no {what} `{key}`", place=Place(request.name, str(request.path)),
                      notes=notes, helps=helps)


def _shown(names: tuple[str, ...], what: str) -> str:
    """Names that a file has; those that are blank are counted."""
    named = [f"`{name}`" for name in names if name]
    blank = len(names) - len(named)
    parts = [", ".join(named[:12])] if named else []
    if len(named) > 12:
        parts.append(f"{len(named) - 12} more")
    if blank:
        parts.append(f"{blank} {what}{'s' * (blank > 1)} without a name")
    return " and ".join(parts) or "none"


def unusable(
    request: Request, keys: Iterable[str], names: tuple[str, ...], place: str = "", helps: tuple[str, ...] = ()
) -> list[Diagnostic]:
    """What is wrong with the wish for columns `keys` of a table with columns `names`: absent, or there twice.

    place: where the file names its columns; helps: what to do if one is absent.
    """
    found: list[Diagnostic] = []
    for key in dict.fromkeys(keys):
        if key not in names:
            found.append(missing_key(request, key, names, "column", *helps))
        elif names.count(key) > 1:
            called = f"named `{key}`" if key else "without a name"
            text = f"`{request.name}` has {names.count(key)} columns {called}"
            rename = "give each column a name of its own"
            found.append(Diagnostic("E0703", text, place=place or request.name, helps=(rename,)))
    return found


def absent_categories(request: Request, names: tuple[str, ...]) -> list[Diagnostic]:
    """Columns that the option `categories` names and that the table has not."""
    categories = request.options.get("categories", ())
    assert isinstance(categories, tuple)
    return [missing_key(request, str(key), names, "column", "`categories` names columns of the file")
            for key in categories if key not in names]  # fmt: skip


def expand(keys: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """`keys` with each run `a..b` replaced by the columns from `a` to `b`, both included.

    A run with an end that is no column of `names` becomes its two ends, so that the missing one is reported by name.
    """
    found: list[str] = []
    for key in keys:
        first, dots, last = key.partition("..")
        if not dots or key in names:
            found.append(key)
        elif first in names and last in names:
            start, stop = names.index(first), names.index(last)
            found += names[start : stop + 1] if start <= stop else names[stop : start + 1][::-1]
        else:
            found += (first, last)
    return tuple(found)
