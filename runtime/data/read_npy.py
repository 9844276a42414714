"""Reads NumPy's own files: `.npy` (memory-mapped, so that only the samples of a batch are ever in memory) and `.npz`.

Pickled objects are refused: reading data never executes anything.
"""

from __future__ import annotations

import zipfile
import zlib
from tokenize import TokenError

import numpy as np

from nnc.grammar.diagnostics import DataError, Diagnostic
from nnc.runtime.protocol import Array

from .source import Contents, Request, missing_key, unreadable

# all that NumPy lets through from a header it cannot parse or a size that no memory holds
_DAMAGED = (ValueError, OSError, EOFError, KeyError, SyntaxError, TokenError, MemoryError, OverflowError,
            NotImplementedError, zipfile.BadZipFile, zlib.error)


def read_npy(request: Request) -> Contents:
    """The array of a `.npy` file, under the key "". Raises: DataError E0702."""
    try:
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
            arrays = {key: archive[key] for key in wanted}
            if len(names) == 1:
                arrays[""] = arrays[names[0]] if names[0] in arrays else archive[names[0]]
    except _DAMAGED as error:
        raise unreadable(request, f"is no readable .npz file: {_reason(error)}") from None
    return Contents(arrays, names)


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
