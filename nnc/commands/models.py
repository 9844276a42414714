"""From the name a user typed to a trained model: a file, or the folder of a run; its network, and where its data is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from nnc.grammar.diagnostics import DataError, Diagnostic, UsageError

from .console import narrate

if TYPE_CHECKING:
    from nnc.compiler.network import Network
    from nnc.compiler.options import DataConfig
    from nnc.compiler.pipeline import Compiled
    from nnc.runtime.data.source import Encoding
    from nnc.runtime.modelfile import SavedModel
    from nnc.runtime.protocol import Runtime, Session

IN_A_FOLDER = "model.safetensors"
_DATA = (".csv", ".parquet", ".npz", ".npy")
HELP = "a model file, or the folder of a run"


@dataclass(frozen=True, slots=True)
class OpenModel:
    """A model file that was read and checked: `name` is what the user calls it, `path` where it is."""

    name: str
    path: Path
    saved: SavedModel

    def network(self) -> Network:
        """The typed network of the model's own spec, with the params it was trained with."""
        from nnc.own_data import network_of

        return network_of(self.saved.spec, self.saved.params, self.name)

    def compiled(self) -> Compiled:
        """Every stage of the model's spec, at the batch size of its plan."""
        from nnc.compiler.options import CompileOptions
        from nnc.compiler.pipeline import compile_source
        from nnc.grammar.source import SourceFile

        plan = self.saved.plan
        options = CompileOptions(dict(self.saved.params), plan.batch_size, self.saved.train.epochs, plan.seed)
        return compile_source(SourceFile(self.name, self.saved.spec), options)

    def session(self, runtime: Runtime) -> Session:
        """The model's plan, ready to run with the model's variables."""
        from nnc.runtime.modelfile import write_variables

        session = runtime.prepare(self.saved.plan)
        write_variables(session, self.saved.variables)
        return session


def is_model(name: str) -> bool:
    """Whether a name is that of a model, not of a spec."""
    return name.endswith(".safetensors") or (Path(name) / IN_A_FOLDER).is_file()


def open_model(name: str) -> OpenModel:
    """Read a model file, or the model in the folder of a run. Raises: DataError E0920-E0924."""
    from nnc.runtime.checkpoint import load_model

    path = Path(name)
    if path.is_dir():
        path = path / IN_A_FOLDER
    _refuse_another_kind(name, path)
    return OpenModel(str(path), path, load_model(path))


def _refuse_another_kind(name: str, path: Path) -> None:
    """A spec and a table are no torn models: say what to do with them."""
    from .sources import bundled_path

    if path.suffix == ".nn" or (not path.exists() and bundled_path(name) is not None):
        what, helps = "a spec, not a model", (f"train it first: `nnc run {quote(name)}` writes a model",)
    elif path.is_file() and path.suffix in _DATA:
        what = "data, not a model"
        helps = ("name the model first: `nnc predict MODEL --input @FILE`, `nnc evaluate MODEL --data DIR`",)
    else:
        return
    raise DataError(Diagnostic("E0922", f"`{name}` is {what}", place=name, helps=helps))


def data_directory(given: str | None, model: OpenModel, data: DataConfig) -> Path:
    """Where the files are that the model's spec names: as `--data` says, or found. Raises UsageError (E0810)."""
    from nnc.own_data import directory_of

    if given is not None:
        if not Path(given).is_dir():
            raise UsageError(Diagnostic("E0810", f"`--data {given}` is no directory"))
        return Path(given)
    place = directory_of(data, model.path, model.saved.plan.model, model.saved.spec)
    if place != model.path.parent:
        narrate(f"nnc: the data is in {place.resolve() if place == Path() else place}")
    return place


def encodings(saved: SavedModel) -> dict[str, Encoding]:
    """What training learnt of texts and of missing values, by the name of the input or output."""
    from nnc.runtime.data.encoding import from_texts

    return from_texts(saved.vocabularies)
