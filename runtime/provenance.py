"""What a model was made from: hashes of the data files, the seed, versions. No absolute paths and no times."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path
from typing import Any

import numpy as np

from nnc.compiler.options import DataConfig
from nnc.grammar.diagnostics import DataError, Diagnostic


def data_hashes(data: DataConfig, base_dir: Path) -> dict[str, str]:
    """The SHA-256 of every file that a `data` section names, by its path as written."""
    paths = dict.fromkeys(source.path for _, bound in data.groups for _, source in bound)
    return {path: _file_sha256(base_dir / path) for path in paths}


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def provenance(version: str, seed: int, data: dict[str, str]) -> dict[str, Any]:
    """As plain JSON; a model file holds the hashes of its spec and plan itself."""
    versions = {"nnc": version, "numpy": np.__version__, "python": platform.python_version()}
    return {"seed": seed, "data_sha256": data, "versions": versions, "machine": platform.machine()}


def refuse_other_data(before: dict[str, str], now: dict[str, str], checkpoint: str) -> None:
    """Raises: DataError E0926 if a file is not the one that the run began with."""
    changed = [path for path, digest in now.items() if before.get(path) != digest]
    if not changed:
        return
    text = f"{' and '.join(f'`{path}`' for path in changed)} changed since the run began"
    helps = ("bring the old data back, or begin a new run; `--from MODEL` lets it begin with a model's weights",)
    raise DataError(Diagnostic("E0926", text, place=checkpoint, helps=helps))
