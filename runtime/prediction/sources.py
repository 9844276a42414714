"""Where rows to predict come from: each source gives the next rows of some inputs, until it has none left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import numpy as np

from nnc.compiler.plan import Plan
from nnc.grammar.diagnostics import DataError, Diagnostic
from nnc.runtime.data.audit import to_feed
from nnc.runtime.data.slots import input_slots
from nnc.runtime.data.source import Request, Values
from nnc.runtime.data.spool import unpack_columns
from nnc.runtime.protocol import Array, Feed

_BLOCK_BYTES: Final = 1 << 22
_MOST_ROWS: Final = 1 << 13


class Source(Protocol):
    """Rows of the inputs `names`; `rows` is their number where it is known beforehand."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def origin(self) -> str: ...

    @property
    def rows(self) -> int | None: ...

    def take(self, count: int) -> Mapping[str, Values]:
        """The next `count` rows of each input, or as many as are left."""


class ArrayRows:
    """One input's array, which is there already, memory-mapped or read by position."""

    def __init__(self, name: str, array: Feed, origin: str) -> None:
        if not array.shape:
            raise DataError(Diagnostic("E0708", f"`{origin}` holds one number, not a list of samples", place=origin))
        self.names, self.origin, self.rows = (name,), origin, len(array)
        self._array, self._done = array, 0

    def take(self, count: int) -> Mapping[str, Values]:
        """The next rows; what is there already is not copied."""
        first, self._done = self._done, min(self._done + count, len(self._array))
        rows = np.arange(first, self._done)
        if isinstance(self._array, np.ndarray):
            part: Array = self._array[first : self._done]
        else:
            part = np.empty((len(rows), *self._array.shape[1:]), self._array.dtype)
            self._array.take(rows, part)
        return {self.names[0]: Values(part, self.origin, rows=rows)}


def npy_rows(name: str, file: BinaryIO, origin: str) -> Source:
    """One input's array in NumPy's format, from a file, a pipe or out of an archive.

    Rows in C order are read as they arrive. In Fortran order none is whole before all have come: these are unpacked.
    Raises: DataError E0702 for anything else, Python objects included; E0708 for a single number.
    """
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, is_fortran, dtype = read(file)
    except (ValueError, SyntaxError, EOFError, OSError):
        raise _refused(origin, "is no array in NumPy's format") from None
    if dtype.hasobject:
        raise _refused(origin, "holds Python objects instead of numbers")
    if not shape:
        raise DataError(Diagnostic("E0708", f"`{origin}` holds one number, not a list of samples", place=origin))
    if is_fortran and len(shape) > 1:
        return ArrayRows(name, unpack_columns(Request(Path(origin), origin), file, shape, dtype), origin)
    return NpyStream(name, file, origin, shape, dtype)


def _refused(origin: str, problem: str) -> DataError:
    return DataError(Diagnostic("E0702", f"`{origin}` {problem}", place=origin))


class NpyStream:
    """The rows of an array as a file gives them, one after another. Raises: DataError E0702 if it ends too early."""

    def __init__(
        self, name: str, file: BinaryIO, origin: str, shape: tuple[int, ...], dtype: np.dtype[np.generic]
    ) -> None:
        self.names, self.origin = (name,), origin
        self.rows, self._shape, self._dtype = shape[0], shape[1:], dtype
        self._file, self._done = file, 0

    def take(self, count: int) -> Mapping[str, Values]:
        """The next rows, read."""
        first, self._done = self._done, min(self._done + count, self.rows)
        rows = self._done - first
        wanted = rows * prod(self._shape) * self._dtype.itemsize
        content = bytearray()
        while len(content) < wanted and (piece := self._file.read(wanted - len(content))):
            content += piece
        if len(content) < wanted:
            raise _refused(self.origin, f"ends before its {self.rows:,} rows do")
        array = np.frombuffer(content, self._dtype).reshape(rows, *self._shape)
        return {self.names[0]: Values(array, self.origin, rows=np.arange(first, self._done))}


def feed_blocks(plan: Plan, sources: Sequence[Source]) -> Iterator[Mapping[str, Array]]:
    """The rows of all sources side by side, audited, in blocks of whole batches.

    Requires: the sources' names are the plan's inputs, each once.
    Raises: DataError E0706 (different numbers of rows), E0708-E0712, and what the sources raise.
    """
    known = {source.origin: source.rows for source in sources if source.rows is not None}
    if len(set(known.values())) > 1:
        raise _different(known)
    slots, size = input_slots(plan), _block_rows(plan)
    while True:
        values: dict[str, Values] = {}
        counts: dict[str, int] = {}
        for source in sources:
            taken = source.take(size)
            values |= taken
            counts[source.origin] = len(taken[source.names[0]].array)
        if len(set(counts.values())) > 1:
            raise _different(known | {name: count for name, count in counts.items() if name not in known})
        if not next(iter(counts.values())):
            return
        problems: list[Diagnostic] = []
        feeds: dict[str, Array] = {}
        for slot in slots:
            try:
                feeds[slot.feed] = np.asarray(to_feed(slot, replace(values[slot.name], is_predicted=True)))
            except DataError as error:
                problems += error.diagnostics
        if problems:
            raise DataError(*problems)
        yield feeds
        if next(iter(counts.values())) < size:
            return


def _block_rows(plan: Plan) -> int:
    """A whole number of batches of a few megabytes: the same batches as if all rows were there at once."""
    row = sum(s.type.size_bytes(1) for s in (*plan.inputs, *plan.outputs))
    wanted = min(_MOST_ROWS, _BLOCK_BYTES // max(1, row))
    return max(1, wanted // plan.batch_size) * plan.batch_size


def _different(counts: Mapping[str, int]) -> DataError:
    notes = tuple(f"{origin}: {count:,} rows" for origin, count in counts.items())
    return DataError(Diagnostic("E0706", "the inputs have different numbers of rows", notes=notes))
