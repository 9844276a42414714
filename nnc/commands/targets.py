"""What a command may write over: never what it reads, nor a file of another kind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from nnc.grammar.diagnostics import Diagnostic, UsageError

if TYPE_CHECKING:
    from nnc.compiler.options import DataConfig


def check_target(target: Path, read: Mapping[str, Path | None]) -> None:
    """Refuse before the work what would be refused after it, and what would destroy what the command reads.

    read: what each file is, in words, and where it is; None for standard input.
    Raises: UsageError E0807.
    """
    from nnc.runtime.whole_file import check_writable

    check_writable(target)
    for what, path in read.items():
        if path is not None and target.exists() and path.exists() and target.samefile(path):
            _refuse(target, f"it is {what}")


def check_model_target(target: Path, read: Mapping[str, Path | None]) -> None:
    """The same for a model file, which may replace a model or an empty file, and nothing else."""
    from nnc.runtime.modelfile import is_model_file

    check_target(target, read)
    if target.exists() and target.stat().st_size and not is_model_file(target):
        _refuse(target, "there is a file that is no model of nnc")


def data_files(data: DataConfig | None, directory: Path) -> dict[str, Path]:
    """The files of a spec's data section, in words."""
    if data is None:
        return {}
    paths = dict.fromkeys(source.path for _, bound in data.groups for _, source in bound)
    return {f"the data `{path}`": directory / path for path in paths}


def _refuse(target: Path, reason: str) -> NoReturn:
    helps = ("choose another name with `-o`",)
    raise UsageError(Diagnostic("E0807", f"cannot write `{target}`: {reason}", helps=helps))
