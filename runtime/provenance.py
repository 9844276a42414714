"""What a model was made from: hashes of the data files, the seed, versions. No absolute paths and no times."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from nnc.compiler.options import DataConfig
from nnc.grammar.diagnostics import DataError, Diagnostic
from nnc.runtime.data import Samples
from nnc.runtime.protocol import Feed, Rows

_BLOCK_ROWS: Final = 4096
_SHOWN: Final = 6        # texts that are gone, or new


def data_hashes(data: DataConfig, base_dir: Path) -> dict[str, str]:
    """The SHA-256 of every file that a `data` section names, by its path as written."""
    paths = dict.fromkeys(source.path for _, bound in data.groups for _, source in bound)
    return {path: _file_sha256(base_dir / path) for path in paths}


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sample_hashes(parts: Mapping[str, Samples | None]) -> dict[str, str]:
    """The SHA-256 of the rows of every feed, in their order, by part and feed: what a program gave as arrays."""
    return {
        f"{part} {name}": _feed_sha256(feed, samples.index)
        for part, samples in parts.items()
        if samples is not None
        for name, feed in samples.feeds.items()
    }


def _feed_sha256(feed: Feed, index: Rows) -> str:
    digest = hashlib.sha256(f"{feed.dtype} {feed.shape[1:]}".encode())
    for start in range(0, len(index), _BLOCK_ROWS):
        rows = index[start : start + _BLOCK_ROWS]
        if isinstance(feed, np.ndarray):
            block = feed[rows]
        else:
            block = np.empty((len(rows), *feed.shape[1:]), feed.dtype)
            feed.take(rows, block)
        digest.update(np.ascontiguousarray(block).tobytes())
    return digest.hexdigest()


def provenance(version: str, seed: int, data: dict[str, str]) -> dict[str, Any]:
    """As plain JSON; a model file holds the hashes of its spec and plan itself."""
    versions = {"nnc": version, "numpy": np.__version__, "python": platform.python_version()}
    return {"seed": seed, "data_sha256": data, "versions": versions, "machine": platform.machine()}


def refuse_other_data(before: dict[str, str], now: dict[str, str], checkpoint: str) -> None:
    """Raises: DataError E0926 if a file, or an array, is not the one that the run began with."""
    changed = [path for path in {**before, **now} if before.get(path) != now.get(path)]
    if not changed:
        return
    text = f"{' and '.join(f'`{path}`' for path in changed)} changed since the run began"
    helps = ("bring the old data back, or begin a new run; `--from MODEL` lets it begin with a model's weights",)
    raise DataError(Diagnostic("E0926", text, place=checkpoint, helps=helps))


def refuse_other_texts(before: Mapping[str, Sequence[str]], now: Mapping[str, Sequence[str]], checkpoint: str) -> None:
    """As `refuse_other_data`, of the texts that numbers stand for, by input or output: their arrays may be equal."""
    changed = [name for name in {**before, **now} if tuple(before.get(name, ())) != tuple(now.get(name, ()))]
    if not changed:
        return
    text = f"the texts of {' and '.join(f'`{name}`' for name in changed)} changed since the run began"
    notes: list[str] = []
    for name in changed:
        for sign, words, others in (("-", before, now), ("+", now, before)):
            lines = [f"{sign}{name} `{word}`" for word in words.get(name, ()) if word not in others.get(name, ())]
            notes += [*lines[:_SHOWN], f"and {len(lines) - _SHOWN:,} more"] if len(lines) > _SHOWN + 1 else lines
    helps = ("bring the old texts back, or begin a new run in another folder",)
    raise DataError(Diagnostic("E0926", text, place=checkpoint, notes=tuple(notes), helps=helps))
