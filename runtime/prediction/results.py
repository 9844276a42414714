"""Where predictions go: CSV text, or arrays in NumPy's formats, block by block."""

from __future__ import annotations

import csv
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import FileIO, TextIOWrapper
from itertools import product
from math import prod
from pathlib import Path
from typing import IO, Any, Protocol, TextIO

import numpy as np

from nnc.grammar.diagnostics import Diagnostic, UsageError
from nnc.runtime.protocol import Array
from nnc.runtime.whole_file import whole_file

SUFFIXES = (".csv", ".npz", ".npy")


class Results(Protocol):
    """Takes one block of predictions after another."""

    def add(self, block: Mapping[str, Array]) -> None:
        """Rows of every output, by its name."""


class CsvResults:
    """A column per number: `y` where an output is one number, `y_0`, `y_1`, ... (`y_0_1`, ...) where it is several."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._writer = file, csv.writer(file, lineterminator="\n")
        self._has_header = False

    def add(self, block: Mapping[str, Array]) -> None:
        """The header before the first block, then a line per row."""
        if not self._has_header:
            header = [column for name, array in block.items() for column in columns(name, array.shape[1:])]
            self._writer.writerow(header)
            self._has_header = True
        rows = len(next(iter(block.values())))
        texts = [text for array in block.values() for text in _texts(array.reshape(rows, prod(array.shape[1:])))]
        self._writer.writerows(zip(*texts, strict=True))


class NpzResults:
    """Arrays that are kept in temporary files until their length is known. Raises: UsageError E0807 (disk full)."""

    def __init__(self, file: IO[bytes], *, is_archive: bool) -> None:
        self._file, self._is_archive = file, is_archive
        self._spools: dict[str, tuple[FileIO, tuple[int, ...], np.dtype[Any]]] = {}
        self._rows = 0

    def add(self, block: Mapping[str, Array]) -> None:
        """Write the rows beside the others of their output."""
        for name, array in block.items():
            try:
                if name not in self._spools:
                    spool = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by `finish`
                    self._spools[name] = (spool, array.shape[1:], array.dtype)
                left = memoryview(np.ascontiguousarray(array).tobytes())
                while left:
                    left = left[self._spools[name][0].write(left) :]
            except OSError as error:
                raise _no_room(error) from None
        self._rows += len(next(iter(block.values())))

    def finish(self) -> None:
        """Write the file: its header can only now be known."""
        if self._is_archive:
            with zipfile.ZipFile(self._file, "w", zipfile.ZIP_STORED) as archive:
                for name in self._spools:
                    entry = zipfile.ZipInfo(f"{name}.npy")  # no time of day: equal predictions give equal files
                    with archive.open(entry, "w", force_zip64=True) as member:
                        self._write(name, member)
        else:
            (name,) = self._spools
            self._write(name, self._file)

    def _write(self, name: str, file: IO[bytes]) -> None:
        spool, shape, dtype = self._spools[name]
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (self._rows, *shape)}
        np.lib.format.write_array_header_1_0(file, header)
        spool.seek(0)
        shutil.copyfileobj(spool, file, 1 << 20)
        spool.close()


def columns(name: str, shape: tuple[int, ...]) -> tuple[str, ...]:
    """The names of a table's columns for one output or input with samples of this shape."""
    if all(dim == 1 for dim in shape):
        return (name,)
    return tuple("_".join([name, *map(str, index)]) for index in product(*map(range, shape)))


@contextmanager
def results_file(target: Path) -> Iterator[Results]:
    """A file that is there as a whole when all went well, and is not touched otherwise. Raises: UsageError E0807."""
    with whole_file(target) as file:
        if target.suffix == ".csv":
            text = TextIOWrapper(file, encoding="utf-8", newline="")
            yield CsvResults(text)
            text.detach()    # the file is closed once the disk has it
        else:
            results = NpzResults(file, is_archive=target.suffix == ".npz")
            yield results
            results.finish()


def _no_room(error: OSError) -> UsageError:
    reason = (error.strerror or "unknown reason").lower()
    text = f"the answers cannot be kept in {tempfile.tempdir or 'a temporary file'}: {reason}"
    return UsageError(Diagnostic("E0807", text, helps=("set TMPDIR to a directory with more room",)))


def _texts(array: Array) -> list[list[str]]:
    """The columns of an array, each number in as few digits as tell it from others of its type."""
    return [column.astype(np.str_).tolist() for column in array.T]
