"""What kind of file this is by its first bytes, for whoever gave it to a reader of another kind."""

from __future__ import annotations

import zipfile
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path
from typing import Final

from nnc.grammar.diagnostics import DataError

from .source import Request, unreadable

_HEAD_BYTES: Final = 512
_ZIP: Final = b"PK\3\4"
_READERS: Final = ((b"\x93NUMPY", "a NumPy array", "npy"), (b"PAR1", "a Parquet file", "parquet"))


def refuse_other_kind(request: Request, reader: str) -> None:
    """Raises: DataError E0702 for a file that is plainly not what `reader` (a word of the `data` section) reads.

    A file that cannot be opened, or be read from its beginning twice, is passed on as it is.
    """
    if not request.path.is_file():
        return
    with request.path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    for magic, name, other in _READERS:
        if head.startswith(magic) and other != reader:
            raise unreadable(request, f"is {name}", f'read it with {other}: {other}("{request.name}")')
    if head.startswith(_ZIP) and reader != "npz":
        raise _refused_archive(request)
    if reader == "csv":
        _refuse_no_utf8(request, head)


def _refused_archive(request: Request) -> DataError:
    try:
        with zipfile.ZipFile(request.path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        names = []
    if names and all(name.endswith(".npy") for name in names):
        return unreadable(request, "is an archive of NumPy arrays", f'read it with npz: npz("{request.name}")[NAME]')
    if "[Content_Types].xml" in names:
        return unreadable(request, "is a spreadsheet", "save it as CSV in UTF-8")
    return unreadable(request, "is a zip archive", "unpack it first")


def _refuse_no_utf8(request: Request, head: bytes) -> None:
    """Raises: DataError for what is no text of bytes."""
    if head.startswith(b"\x1f\x8b"):
        inner = Path(request.name).suffix == ".gz" and "idx" in request.name
        helps = f'read it with idx: idx("{request.name}")' if inner else f"unpack it first: gunzip {request.name}"
        raise unreadable(request, "is compressed with gzip", helps)
    if head.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) or _has_empty_halves(head):
        raise unreadable(request, "is UTF-16 text, not UTF-8", _converted(request, "UTF-16"))
    if b"\0" in head:
        raise unreadable(request, "is no text: it has zero bytes")


def _has_empty_halves(head: bytes) -> bool:
    """Whether every other byte is zero, as in UTF-16 text of mostly English letters."""
    pairs = len(head) // 2
    return pairs > 1 and max(head[0::2].count(0), head[1::2].count(0)) > 0.7 * pairs


def no_text(request: Request, error: UnicodeDecodeError) -> DataError:
    """The error of a file that was read as UTF-8 and is not."""
    # Latin-1 gives every byte a letter, so this is a guess; in UTF-16 zero bytes would have been seen before.
    return unreadable(request, f"is no UTF-8 text: {error.reason} at byte {error.start}",
                      f"save it as UTF-8; if it is Latin-1: {_converted(request, 'LATIN1')}")  # fmt: skip


def _converted(request: Request, encoding: str) -> str:
    path = Path(request.name)
    return f"iconv -f {encoding} -t UTF-8 {path} > {path.with_stem(path.stem + '_utf8')}"
