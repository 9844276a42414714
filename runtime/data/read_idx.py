"""Reads IDX files, the format of MNIST: a magic number, the shape, then the elements, big-endian; plain or gzipped.

A plain file is memory-mapped, a large one is read row by row; a gzipped one is unpacked once (`spool.py`).
Source: http://yann.lecun.com/exdb/mnist, "THE IDX FILE FORMAT".
"""

from __future__ import annotations

import gzip
import struct
import zlib
from math import prod
from typing import Final

import numpy as np

from . import stream
from .source import Contents, Request, unreadable
from .spool import Unpacking, torn, unpack

_DTYPES: Final = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP_MAGIC: Final = b"\x1f\x8b"


def read_idx(request: Request) -> Contents:
    """The array of an IDX file, under the key "". Gzip is known by its content. Raises: DataError E0702."""
    with request.path.open("rb") as file:
        zipped = file.read(2) == _GZIP_MAGIC
    try:
        if zipped:
            with gzip.open(request.path, "rb") as packed:
                dtype, shape, _ = _read_head(request, packed)
                return Contents({"": unpack(request, packed, shape, dtype)})
        with request.path.open("rb") as file:
            dtype, shape, offset = _read_head(request, file)
        size = request.path.stat().st_size - offset
        if size != prod(shape) * dtype.itemsize:
            raise torn(request, prod(shape) * dtype.itemsize, size)
        if not prod(shape):
            return Contents({"": np.empty(shape, dtype)})
        if size > stream.STREAMED_FROM:
            return Contents({"": stream.FileRows(request.path, request.name, offset, shape, dtype)})
        return Contents({"": np.memmap(request.path, dtype, "r", offset, shape)})
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(request, f"is damaged: {error}") from None


def _read_head(request: Request, file: Unpacking) -> tuple[np.dtype[np.generic], tuple[int, ...], int]:
    """Element type, shape, and where the elements start."""
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _DTYPES or head[3] == 0:
        raise unreadable(request, "is no IDX file: its first four bytes are no magic number of the format")
    sizes = file.read(4 * head[3])
    if len(sizes) < 4 * head[3]:
        raise unreadable(request, "ends within its header")
    return np.dtype(_DTYPES[head[2]]), struct.unpack(f">{head[3]}I", sizes), 4 + len(sizes)
