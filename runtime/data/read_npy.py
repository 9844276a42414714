"""Reads NumPy's own files, `.npy` and `.npz`. What is large is read row by row, where its rows lie one after another.

Pickled objects are refused: reading data never executes anything.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from math import prod
from tokenize import TokenError
from typing import BinaryIO, Final

import numpy as np

from nnc.grammar.diagnostics import DataError, Diagnostic
from nnc.runtime.protocol import Array, Feed

from . import stream
from .source import Contents, Request, missing_key, unreadable
from .stream import FileRows

# all that NumPy lets through from a header it cannot parse or a size that no memory holds
_DAMAGED = (ValueError, OSError, EOFError, KeyError, SyntaxError, TokenError, MemoryError, OverflowError,
            NotImplementedError, zipfile.BadZipFile, zlib.error)
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
            large = {key: rows for key in wanted if (rows := _large_member(request, key)) is not None}
            arrays: dict[str, Feed] = {key: large[key] if key in large else archive[key] for key in wanted}
            if len(names) == 1:
                only = arrays.get(names[0], _large_member(request, names[0]))
                arrays[""] = archive[names[0]] if only is None else only
    except _DAMAGED as error:
        raise unreadable(request, f"is no readable .npz file: {_reason(error)}") from None
    return Contents(arrays, names)


def _large_member(request: Request, key: str) -> FileRows | None:
    """An array of an archive that is stored uncompressed and is too large to be read ahead."""
    with zipfile.ZipFile(request.path) as archive:
        found = [info for info in archive.infolist() if info.filename.removesuffix(".npy") == key]
    if len(found) != 1 or found[0].compress_type != zipfile.ZIP_STORED or found[0].file_size <= stream.STREAMED_FROM:
        return None
    with request.path.open("rb") as file:
        file.seek(found[0].header_offset)
        head = file.read(_LOCAL_HEADER)
        if len(head) < _LOCAL_HEADER or head[:4] != b"PK\3\4":
            raise zipfile.BadZipFile("a member is not where the archive says")
        start = found[0].header_offset + _LOCAL_HEADER + sum(struct.unpack("<HH", head[26:30]))
        return _rows_in(request, file, start, start + found[0].file_size)


def _rows_in(request: Request, file: BinaryIO, start: int, end: int) -> FileRows | None:
    """The rows of an array in NumPy's format that fills the bytes from `start` to `end` of a file.

    None if they do not lie one after another. Raises: ValueError for anything but such an array.
    """
    file.seek(start)
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        return None
    shape, is_fortran, dtype = read(file)
    if dtype.hasobject or not shape or (is_fortran and len(shape) > 1):
        return None
    if end - file.tell() < prod(shape) * dtype.itemsize:
        raise ValueError(f"it is torn: {prod(shape) * dtype.itemsize:,} bytes of elements are promised")
    return FileRows(request.path, request.name, file.tell(), shape, dtype)


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
