"""The data that a trained model's own spec names: what it is, where its files lie, and by which part to judge.

What `nnc evaluate MODEL` and `nnc.load(path).evaluate()` have in common.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nnc.grammar.diagnostics import DataError, Diagnostic, Place, UsageError

if TYPE_CHECKING:
    from nnc.compiler.network import Network
    from nnc.compiler.options import DataConfig, OutputConfig, Value
    from nnc.compiler.plan import Plan
    from nnc.runtime.data import Dataset, Samples
    from nnc.runtime.data.source import Encoding

PARTS: Final = ("test", "validation", "train")


@dataclass(slots=True)
class SpecData:
    """The data that a model's spec names, looked for when it is first asked for.

    config: the `data` section; None where there is none, or where `file`, a model's, keeps it as text. base: the
    directory that the paths in it begin at; None to find it.
    """

    spec: str
    params: tuple[tuple[str, Value], ...]
    config: DataConfig | None = None
    base: Path | None = None
    file: Path | None = None

    def data(self) -> DataConfig | None:
        """The `data` section of the spec, of a loaded model read from its text."""
        if self.config is None and self.file is not None:
            self.config = network_of(self.spec, self.params, str(self.file)).data
        return self.config

    def directory(self, model_name: str) -> Path:
        """The directory that the paths in the spec begin at. Raises: DataError E0701 where it is not found."""
        data = self.data()
        if self.base is None and self.file is not None and data is not None:
            return directory_of(data, self.file, model_name, self.spec)
        return self.base if self.base is not None else Path()

    def hashes(self, model_name: str) -> dict[str, str]:
        """The SHA-256 of each file."""
        from nnc.runtime.provenance import data_hashes

        data = self.data()
        return data_hashes(data, self.directory(model_name)) if data is not None else {}

    def load(self, plan: Plan, outputs: Iterable[OutputConfig], learnt: Mapping[str, Encoding] | None) -> Dataset:
        """All of it, as `load_own`."""
        return load_own(self.data(), plan, self.directory(plan.model), outputs, learnt)


def network_of(spec: str, params: Iterable[tuple[str, Value]], name: str) -> Network:
    """The typed network of a model's spec, with the params it was trained with; `name` stands in its diagnostics."""
    from nnc.compiler.options import CompileOptions
    from nnc.compiler.pipeline import check_source
    from nnc.grammar.source import SourceFile

    return check_source(SourceFile(name, spec), CompileOptions(dict(params)))


def directory_of(data: DataConfig, model: Path, model_name: str, spec: str) -> Path:
    """Where the files are that `data` names: beside the model file, here, or among the bundled specs if the model is
    of one of them, unchanged; the first of these that has them all.

    Raises: DataError E0701 where none has.
    """
    files = tuple(dict.fromkeys(source.path for _, bound in data.groups for _, source in bound))
    places = {model.parent: f"`{model.parent}`", Path(): "the current directory"}
    if _is_bundled(model_name, spec):
        from .commands.sources import specs_directory

        places[specs_directory()] = "the bundled specs"
    found = next((place for place in places if all((place / file).exists() for file in files)), None)
    if found is None:
        raise DataError(*_nowhere(files, places))
    return found


def _nowhere(files: Iterable[str], places: Mapping[Path, str]) -> Iterator[Diagnostic]:
    """What is said of each file that no place has, or else of files that are not together. places: with their names."""
    from nnc.compiler.report import suggestion
    from nnc.grammar.suggest import nearest

    homes = {file: [words for place, words in places.items() if (place / file).exists()] for file in files}
    option = "say where the data is: `--data DIR`, or from Python `nnc.load(path, data=DIR)`"
    for file in (file for file, found in homes.items() if not found):
        notes: tuple[str, ...] = () if Path(file).is_absolute() else (f"looked in {' and '.join(places.values())}",)
        near = nearest(Path(file).name, sorted({name for place in places for name in _beside(place / file)}))
        helps = (*suggestion(near), option)
        yield Diagnostic("E0701", f"there is no file `{file}`", place=Place(file, file), notes=notes, helps=helps)
    if all(homes.values()):
        text = "the files that the spec names are not all in one directory"
        notes = tuple(f"`{file}` is in {' and '.join(found)}" for file, found in homes.items())
        yield Diagnostic("E0701", text, notes=notes, helps=(option,))


def _beside(path: Path) -> list[str]:
    return [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []


def _is_bundled(model_name: str, spec: str) -> bool:
    from .commands.sources import bundled_path

    path = bundled_path(model_name)
    return path is not None and path.read_text(encoding="utf-8") == spec


def load_own(
    data: DataConfig | None,
    plan: Plan,
    directory: Path,
    outputs: Iterable[OutputConfig],
    learnt: Mapping[str, Encoding] | None,
) -> Dataset:
    """The data of a model's own spec, its texts read as training did.

    Every row weighs 1 where a Python program gave the weights that the model was trained with: its spec names none.
    Raises: DataError E0701-E0720, E0808.
    """
    import numpy as np

    from nnc.runtime.data import load
    from nnc.runtime.data.slots import WEIGHTS

    dataset = load(data, plan, directory, outputs, learnt or None)
    fed = {name: plan.buffers[buffer].type for program in plan.programs for name, buffer in program.feeds}
    weights = {name: type.dtype for name, type in fed.items() if name.startswith(WEIGHTS)}

    def weighted(samples: Samples | None) -> Samples | None:
        if samples is None:
            return None
        rows = len(next(iter(samples.feeds.values())))
        missing = {name: np.ones(rows, dtype) for name, dtype in weights.items() if name not in samples.feeds}
        return dataclasses.replace(samples, feeds={**samples.feeds, **missing})

    train = weighted(dataset.train)
    assert train is not None
    return dataclasses.replace(
        dataset, train=train, validation=weighted(dataset.validation), test=weighted(dataset.test)
    )


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
