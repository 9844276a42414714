"""The table of readers: a word of the `data` section -> the function that reads such a file."""

from __future__ import annotations

from typing import Final

from .read_csv import read_csv
from .read_idx import read_idx
from .read_npy import read_npy, read_npz
from .read_parquet import read_parquet
from .source import Reader

READERS: Final[dict[str, Reader]] = {
    "csv": read_csv,
    "idx": read_idx,
    "npy": read_npy,
    "npz": read_npz,
    "parquet": read_parquet,
}
