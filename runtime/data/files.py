"""Reads every file that a data section names once, with all columns that anything wants of it."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from nnc.compiler.options import Source
from nnc.grammar.diagnostics import DataError, Diagnostic, Place
from nnc.grammar.suggest import nearest
from nnc.runtime.protocol import Feed

from .columns import not_exact, of_one_type
from .kinds import refuse_other_kind
from .readers import READERS
from .source import Contents, Request, Values, expand, missing_key
from .stream import recoded, side_by_side

_FileKey = tuple[str, str, tuple[tuple[str, object], ...]]


class FileSet:
    """The files below one directory. Problems are collected in `problems`, each once; what could be read is given."""

    def __init__(self, base_dir: Path) -> None:
        self.base_dir = base_dir
        self.problems: list[Diagnostic] = []
        self._contents: dict[_FileKey, Contents | None] = {}

    def read(self, bound: Iterable[tuple[str, Source]], takes_text: Container[str] = ()) -> dict[str, Values]:
        """The values of each bound name whose source could be read; those in `takes_text` may be texts."""
        pairs = tuple(bound)
        texts: dict[_FileKey, dict[str, None]] = {}
        for name, source in pairs:
            if name in takes_text:
                texts.setdefault(_key(source), {}).update(dict.fromkeys(source.columns or (name,)))
        wanted: dict[_FileKey, tuple[dict[str, None], dict[str, None]]] = {}
        for name, source in pairs:
            keys, optional = wanted.setdefault(_key(source), ({}, {}))
            if source.columns is None:
                optional[name] = None
            else:
                keys.update(dict.fromkeys(source.columns))
        values: dict[str, Values] = {}
        for name, source in pairs:
            keys, optional = wanted[_key(source)]
            contents = self._open(source, tuple(keys), tuple(optional), tuple(texts.get(_key(source), ())))
            if contents is None:
                continue
            try:
                found = _select(name, source, contents)
                if found is not None:
                    values[name] = replace(found, file=str(self.base_dir / source.path))
            except DataError as error:
                self.problems += error.diagnostics
        return values

    def _open(
        self, source: Source, keys: tuple[str, ...], optional: tuple[str, ...], texts: tuple[str, ...]
    ) -> Contents | None:
        """A file's contents; None if it cannot be read, which is reported once."""
        key = (*_key(source)[:2], (*_key(source)[2], ("keys", keys), ("optional", optional), ("texts", texts)))
        if key not in self._contents:
            path = self.base_dir / source.path
            request = Request(path, source.path, keys, optional, dict(source.options), texts)
            try:
                _refuse_absent(path, source.path)
                refuse_other_kind(request, source.reader)
                contents = READERS[source.reader](request)
                self.problems += contents.problems
                self._contents[key] = contents
            except DataError as error:
                self.problems += error.diagnostics
                self._contents[key] = None
            except OSError as error:
                text = f"cannot read `{source.path}`: {error.strerror}"
                self.problems.append(Diagnostic("E0702", text, place=Place(source.path, str(path))))
                self._contents[key] = None
        return self._contents[key]


def _key(source: Source) -> _FileKey:
    return source.reader, source.path, source.options


def _refuse_absent(path: Path, name: str) -> None:
    if path.is_file():
        return
    place = Place(name, str(path))
    if path.is_dir():
        raise DataError(Diagnostic("E0702", f"`{name}` is a directory, not a file", place=place))
    folder = path.parent
    notes: tuple[str, ...]
    helps: tuple[str, ...] = ("paths are relative to the .nn file; `--data DIR` names another directory",)
    if folder.is_dir():
        notes = () if folder == Path() else (f"looked in {folder}",)
        near = nearest(path.name, tuple(sorted(entry.name for entry in folder.iterdir())))
        if near:
            helps = (f"did you mean {' or '.join(f'`{n}`' for n in near)}?",)
    else:
        notes = (f"there is no directory {folder}",)
    raise DataError(Diagnostic("E0701", f"there is no file `{name}`", place=place, notes=notes, helps=helps))


def _select(name: str, source: Source, contents: Contents) -> Values | None:
    """The array, or the columns side by side, that `source` asks for under `name`; None if one could not be read."""
    if source.columns is None:
        keys = _implied_keys(name, source, contents)
    elif contents.is_table:
        keys = expand(source.columns, contents.names)
    else:
        keys = source.columns[:1]
    if not contents.is_table:
        label = f"{source.path}[{keys[0]}]" if keys[0] else source.path
        return Values(contents.arrays[keys[0]], label)
    if not all(key in contents.arrays for key in keys):
        return None
    stacked, words = _side_by_side(source, contents, keys)
    options = dict(source.options)
    missing, unknown = options.get("missing", "error"), options.get("unknown", "error")
    return Values(stacked, source.path, keys, contents.cell_of, words, missing, unknown)


def _side_by_side(source: Source, contents: Contents, keys: tuple[str, ...]) -> tuple[Feed, tuple[str, ...]]:
    """Columns as one table, and the words of columns of texts, which share one list."""
    of_text = [key for key in keys if key in contents.words]
    if of_text and len(of_text) < len(keys):
        other = next(key for key in keys if key not in contents.words)
        text = f"column `{other}` holds numbers beside the texts of `{of_text[0]}`"
        raise DataError(Diagnostic("E0710", text, place=f"{source.path}, column {other}", helps=(
            f"give each an input of its own, or read both as texts: `categories = [{other}]`",)))
    columns = [contents.arrays[key] for key in keys]
    words = contents.words[keys[0]] if of_text else ()
    if any(contents.words[key] != words for key in of_text):
        words = tuple(dict.fromkeys(word for key in of_text for word in contents.words[key]))
        place = {word: index for index, word in enumerate(words)}
        tables = [np.array([*(place[word] for word in contents.words[key]), -1], np.int64) for key in of_text]
        columns = [recoded(column, table) for column, table in zip(columns, tables, strict=True)]
    return side_by_side(_exactly(source, keys, columns)), words


def _exactly(source: Source, keys: tuple[str, ...], columns: list[Feed]) -> list[Feed]:
    """The same in types whose common one loses no digits. Raises: DataError E0702 where gaps leave no such type."""
    arrays = [column for column in columns if isinstance(column, np.ndarray)]
    if len(arrays) < len(columns):
        return columns
    arrays = of_one_type(arrays)
    pairs = list(zip(keys, arrays, strict=True))
    gap = next((key for key, array in pairs if array.dtype.kind == "f" and np.isnan(array).any()), None)
    for key, array in pairs if gap is not None else ():
        if array.dtype.kind in "iu" and not_exact(array).any():
            text = f"column `{key}` has whole numbers above 2**53 beside the missing values of `{gap}`"
            raise DataError(Diagnostic("E0702", text, place=f"{source.path}, column {key}",
                                       helps=("give each an input of its own",)))  # fmt: skip
    return [*arrays]


def _implied_keys(name: str, source: Source, contents: Contents) -> tuple[str, ...]:
    """What a source without columns stands for: the file's one array, or the column or array of the name itself."""
    if name in contents.arrays or (contents.is_table and contents.names.count(name) == 1):
        return (name,)
    if "" in contents.arrays:
        return ("",)
    what = "column" if contents.is_table else "array"
    request = Request(Path(source.path), source.path)
    example = f"name it: {source.reader}(\"{source.path}\")[{contents.names[0] if contents.names else name}]"
    raise DataError(missing_key(request, name, contents.names, what, example))
