"""The data that a trained model's own spec names: what it is, where its files lie, and by which part to judge.

What `nnc evaluate MODEL` and `nnc.load(path).evaluate()` have in common.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nnc.compiler.options import CompileOptions, DataConfig, Value
from nnc.grammar.diagnostics import Diagnostic, UsageError

if TYPE_CHECKING:
    from nnc.compiler.network import Network
    from nnc.runtime.data import Dataset, Samples

PARTS: Final = ("test", "validation", "train")


def network_of(spec: str, params: Iterable[tuple[str, Value]], name: str) -> Network:
    """The typed network of a model's spec, with the params it was trained with; `name` stands in its diagnostics."""
    from nnc.compiler.pipeline import check_source
    from nnc.grammar.source import SourceFile

    return check_source(SourceFile(name, spec), CompileOptions(dict(params)))


def directory_of(data: DataConfig, model: Path, model_name: str, spec: str) -> Path:
    """Where the files are that `data` names: beside the model file, here, or among the bundled
    specs if the model is of one of them, unchanged; the first of these that has them all, else the first.
    """
    files = {source.path for _, bound in data.groups for _, source in bound}
    places = [model.parent, Path()]
    if _is_bundled(model_name, spec):
        from .commands.sources import specs_directory

        places.append(specs_directory())
    return next((place for place in places if all((place / file).is_file() for file in files)), places[0])


def _is_bundled(model_name: str, spec: str) -> bool:
    from .commands.sources import bundled_path

    path = bundled_path(model_name)
    return path is not None and path.read_text(encoding="utf-8") == spec


def part_of(dataset: Dataset, asked: str | None, name: str) -> tuple[str, Samples]:
    """The part that was asked for, or the one that says most about unseen data: the first of `PARTS` that there is.

    Raises: UsageError E0830 for a part that the data of the model `name` does not have.
    """
    there = {part: dataset.parts[part] for part in PARTS if part in dataset.parts}
    if asked is None:
        return next(iter(there.items()))
    if asked in there:
        return asked, there[asked]
    text = f"the data of `{name}` has no {asked} part"
    raise UsageError(Diagnostic("E0830", text, notes=(f"it has {' and '.join(there)}",)))
