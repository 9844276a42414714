"""Reads NumPy's own files, `.npy` and `.npz`. What is large is read row by row.

An array whose rows do not lie one after another in the file, since it is compressed or in Fortran order, is copied
first to a temporary file in which they do (`spool.py`).

Pickled objects are refused: reading data never executes anything.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from math import prod
from tokenize import TokenError
from typing import IO, Any, Final

import numpy as np

from nnc.grammar.diagnostics import DataError, Diagnostic
from nnc.runtime.protocol import Array, Feed

from . import stream
from .source import Contents, Request, missing_key, unreadable
from .spool import rows_first, unpack, unpack_columns
from .stream import FileRows

# all that NumPy lets through from a header it cannot parse or a size that no memory holds
_DAMAGED = (ValueError, OSError, EOFError, KeyError, SyntaxError, TokenError, MemoryError, OverflowError,
            RuntimeError, zipfile.BadZipFile, zlib.error)
_LOCAL_HEADER: Final = 30       # bytes before the name of a member, whose length and that of its extras end them


def read_npy(request: Request) -> Contents:
    """The array of a `.npy` file, under the key "". Raises: DataError E0702."""
    try:
        if request.path.stat().st_size > stream.STREAMED_FROM:
            with request.path.open("rb") as file:
                if (rows := _rows_in(request, file, 0, request.path.stat().st_size)) is not None:
                    return Contents({"": rows})
        array: Array = np.lib.format.open_memmap(request.path, mode="r")
    except _DAMAGED as error:
        raise unreadable(request, f"is no readable .npy file: {_reason(error)}") from None
    return Contents({"": array})


def read_npz(request: Request) -> Contents:
    """Arrays `request.keys` of a `.npz` file, and those of `request.optional` that it has.

    A file of one array also gives it under the key "". Raises: DataError E0702, E0703 (no such array).
    """
    try:
        with np.load(request.path, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise unreadable(request, "is no .npz file", "a file of one array is read with npy(...)")
            names = tuple(archive.files)
            _refuse_missing(request, names)
            wanted = [key for key in dict.fromkeys((*request.keys, *request.optional)) if key in names]
            arrays: dict[str, Feed] = {}
            for key in dict.fromkeys((*wanted, *names)) if len(names) == 1 else wanted:
                rows = _large_member(request, key)
                arrays[key] = archive[key] if rows is None else rows
            if len(names) == 1:
                arrays[""] = arrays[names[0]]
    except _DAMAGED as error:
        raise unreadable(request, f"is no readable .npz file: {_reason(error)}") from None
    return Contents(arrays, names)


def _large_member(request: Request, key: str) -> Feed | None:
    """An array of an archive that is too large to be read ahead; None if it is small, or no array of numbers."""
    with zipfile.ZipFile(request.path) as archive:
        found = [info for info in archive.infolist() if info.filename.removesuffix(".npy") == key]
        if len(found) != 1 or found[0].file_size <= stream.STREAMED_FROM:
            return None
        if found[0].compress_type != zipfile.ZIP_STORED:
            with archive.open(found[0]) as member:
                return _unpacked(request, member)
    with request.path.open("rb") as file:
        file.seek(found[0].header_offset)
        head = file.read(_LOCAL_HEADER)
        if len(head) < _LOCAL_HEADER or head[:4] != b"PK\3\4":
            raise zipfile.BadZipFile("a member is not where the archive says")
        start = found[0].header_offset + _LOCAL_HEADER + sum(struct.unpack("<HH", head[26:30]))
        return _rows_in(request, file, start, start + found[0].file_size)


def _rows_in(request: Request, file: IO[bytes], start: int, end: int) -> FileRows | None:
    """The rows of an array in NumPy's format that fills the bytes from `start` to `end` of a file.

    None for an array of anything but numbers. Raises: ValueError for what is no array, DataError E0702 (disk full).
    """
    file.seek(start)
    if (head := _read_head(file)) is None:
        return None
    shape, is_fortran, dtype = head
    if end - file.tell() < prod(shape) * dtype.itemsize:
        raise ValueError(f"it is torn: {prod(shape) * dtype.itemsize:,} bytes of elements are promised")
    rows = FileRows(request.path, request.name, file.tell(), shape[::-1] if is_fortran else shape, dtype)
    return rows_first(request, rows) if is_fortran else rows


def _unpacked(request: Request, member: IO[bytes]) -> Feed | None:
    """The same of an array that `member` unpacks. Raises also: DataError E0702 (torn)."""
    if (head := _read_head(member)) is None:
        return None
    shape, is_fortran, dtype = head
    return (unpack_columns if is_fortran else unpack)(request, member, shape, dtype)


def _read_head(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]] | None:
    """Shape, whether columns come first, and type of elements; None for one number and for what are no numbers."""
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        return None
    shape, is_fortran, dtype = read(file)
    return None if dtype.hasobject or not shape else (shape, is_fortran and len(shape) > 1, dtype)


def _refuse_missing(request: Request, names: tuple[str, ...]) -> None:
    problems: list[Diagnostic] = [missing_key(request, key, names, "array") for key in request.keys if key not in names]
    if problems:
        raise DataError(*problems)


def _reason(error: Exception) -> str:
    """NumPy's reason in a few words."""
    text = str(error)
    if "pickle" in text.lower():
        return "it holds Python objects instead of numbers"
    return text.splitlines()[0] if text else type(error).__name__
