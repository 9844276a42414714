"""`nnc run`: compile a spec, train it on the data it names, evaluate it, write the model; or go on with such a run."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nnc.grammar.diagnostics import DataError, Diagnostic, UsageError

from . import settings
from .sources import read_source

if TYPE_CHECKING:
    from nnc.compiler.network import Network
    from nnc.runtime.modelfile import SavedModel
    from nnc.runtime.protocol import Session
    from nnc.runtime.state import TrainingState

    from .training import Job, Places

NAME = "run"
SUMMARY = "train a spec on the data it names, evaluate it and write the model"
_OF_A_NEW_RUN = ("set", "batch_size", "max_memory", "seed", "output", "run_folder", "from_model", "partial")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC", nargs="?", help="a .nn file, a bundled spec's name, or - for stdin")
    settings.add_set(parser)
    settings.add_sizes(parser)
    settings.add_runtime(parser)
    parser.add_argument("--epochs", metavar="N", help="how often to go through the training data")
    parser.add_argument("--seed", metavar="N", help="seed of weights, shuffles and dropout")
    parser.add_argument("--data", metavar="DIR", help="where the data files are, if not beside the spec")
    parser.add_argument("-o", "--output", metavar="FILE", help="the model to write (default: MODEL.safetensors)")
    parser.add_argument(
        "--run", metavar="DIR", dest="run_folder", help="write model, history, checkpoints, summary and pictures there"
    )
    parser.add_argument("--resume", metavar="DIR", help="go on with the run in DIR, or from a checkpoint file")
    parser.add_argument("--from", metavar="MODEL", dest="from_model", help="begin with the weights of a trained model")
    parser.add_argument("--partial", action="store_true", help="with --from: take what fits and say what that is")
    parser.add_argument("--plot", action="store_true", help="insist on pictures of the run, which need matplotlib")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each epoch and for the result")


def run(arguments: argparse.Namespace) -> int:
    _check_usage(arguments)
    from .training import carry_out

    with ExitStack() as held:    # the lock of the folder, until all is written
        job = _resumed(arguments, held) if arguments.resume is not None else _new(arguments, held)
        return carry_out(dataclasses.replace(job, as_json=arguments.json, draws=arguments.plot))


def _check_usage(arguments: argparse.Namespace) -> None:
    """Raises UsageError: E0841 for options that contradict each other, E0824 for pictures that cannot be drawn."""
    if arguments.resume is None and arguments.spec is None:
        raise UsageError(Diagnostic("E0801", "`nnc run` needs SPEC", helps=("`nnc run --help` shows what there is",)))
    if arguments.resume is not None:
        chosen = [name for name in _OF_A_NEW_RUN if getattr(arguments, name)]
        if arguments.spec is not None or chosen:
            option = {"run_folder": "run", "from_model": "from"}
            what = f"`--{option.get(chosen[0], chosen[0]).replace('_', '-')}`" if chosen else f"`{arguments.spec}`"
            helps = ("leave it out; `--epochs N` lets the run go on for longer",)
            raise UsageError(Diagnostic("E0841", f"`--resume` goes on as the run began, so {what} has no place",
                                        helps=helps))
    if arguments.run_folder and arguments.output:
        raise UsageError(Diagnostic("E0841", "`--run` and `--output` are two places: the folder holds the model"))
    if arguments.partial and not arguments.from_model:
        raise UsageError(Diagnostic("E0841", "`--partial` belongs to `--from MODEL`"))
    if arguments.plot:
        if not arguments.run_folder and arguments.resume is None:
            raise UsageError(Diagnostic("E0841", "`--plot` draws into the folder of a run: add `--run DIR`"))
        _check_drawing()


def _check_drawing() -> None:
    from importlib.util import find_spec

    from nnc.grammar.diagnostics import missing_package

    if find_spec("matplotlib") is None:
        raise missing_package("`--plot`", "matplotlib", "plot")


# --- a new run ------------------------------------------------------------------------------------------------------
def _new(arguments: argparse.Namespace, held: ExitStack) -> Job:
    from nnc import __version__
    from nnc.compiler.pipeline import compile_source
    from nnc.model import Model
    from nnc.runtime import data
    from nnc.runtime.modelfile import SavedModel
    from nnc.runtime.provenance import data_hashes, provenance

    from .models import open_model
    from .targets import data_files
    from .training import Job

    options = settings.compile_options(arguments)
    directory = _data_directory(arguments)
    source = read_source(arguments.spec)
    compiled = compile_source(source, options)
    network = compiled.network
    _check_trainable(network)
    assert network.data is not None
    base = directory or (source.path.parent if source.path is not None else Path())
    load = partial(data.load, network.data, compiled.plan, base, network.outputs)
    places = _places(arguments, network, {"the spec": source.path, **data_files(network.data, base)})
    settings.runtime(arguments, compiled.plan)
    model = Model.of(compiled, settings.execution(arguments))
    is_adapted = False
    if arguments.from_model is not None:
        from .carry import carry_weights, load_as_trained

        trained = open_model(arguments.from_model)
        is_adapted = carry_weights(trained, model.session, model.spec, model.params, takes_part=arguments.partial)
        dataset = load_as_trained(trained, compiled.plan, load, takes_part=arguments.partial)
    else:
        dataset = load()
    if places.folder is not None:
        held.enter_context(places.folder.new())
    made_of = provenance(__version__, compiled.plan.seed, data_hashes(network.data, base))
    going_on = {"run": {"data": str(base.resolve()), "model": str(places.model.resolve())}}
    saved = SavedModel(
        model.spec, compiled.plan, {}, network.train, network.outputs, network.params, version=__version__,
        vocabularies=dataset.vocabularies, provenance=made_of, progress=going_on)
    return Job(compiled, model, dataset, saved, _first_moment(saved, model.session, is_adapted), places)


def _first_moment(saved: SavedModel, session: Session, is_adapted: bool) -> TrainingState:
    from nnc.runtime.history import History
    from nnc.runtime.state import TrainingState, all_variables

    return TrainingState(0, 0, saved.train.epochs, is_adapted, all_variables(session), History())


def _places(arguments: argparse.Namespace, network: Network, read: Mapping[str, Path | None]) -> Places:
    """Where the run goes; `read` is what it reads, which it may not write over. Raises: UsageError E0807."""
    from .training import Places

    if arguments.run_folder is not None:
        return Places.of_folder(Path(arguments.run_folder))
    places = Places.of_file(Path(arguments.output or f"{network.name}.safetensors"))
    places.check_writable(read)
    return places


def _data_directory(arguments: argparse.Namespace) -> Path | None:
    if arguments.data is None:
        return None
    directory = Path(arguments.data)
    if not directory.is_dir():
        raise UsageError(Diagnostic("E0810", f"`--data {arguments.data}` is no directory"))
    return directory


def _check_trainable(network: Network) -> None:
    if network.data is None:
        raise UsageError(
            Diagnostic(
                "E0808",
                f"`{network.source.name}` names no data to train on",
                helps=("add a `data { ... }` section; `nnc explain E0808` shows one",),
            )
        )
    if all(output.loss is None for output in network.outputs):
        raise UsageError(
            Diagnostic(
                "E0809",
                f"no output of `{network.source.name}` has a loss, so there is nothing to train",
                helps=("give an output one: `output y = ... { loss = mse }`",),
            )
        )


# --- going on -------------------------------------------------------------------------------------------------------
def _resumed(arguments: argparse.Namespace, held: ExitStack) -> Job:
    from nnc.model import Model
    from nnc.runtime import data
    from nnc.runtime.checkpoint import load_checkpoint
    from nnc.runtime.provenance import data_hashes, refuse_other_data
    from nnc.runtime.rundir import RunFolder

    from .models import OpenModel, encodings
    from .training import Job

    latest = _latest(Path(arguments.resume))
    if (folder := RunFolder.around(latest)) is not None:
        held.enter_context(folder.again())
    saved, moment = load_checkpoint(latest)
    begun = _begun(saved, latest)
    compiled = OpenModel(str(latest), latest, saved).compiled()
    config = compiled.network.data
    assert config is not None
    base = _data_directory(arguments) or begun[0]
    dataset = data.load(config, saved.plan, base, saved.outputs, encodings(saved) or None)
    refuse_other_data(saved.provenance["data_sha256"], data_hashes(config, base), str(latest))
    places = _places_of(Path(arguments.resume), begun[1])
    moment = _until(moment, settings.whole_number(arguments, "epochs", 1))
    session = settings.runtime(arguments, saved.plan).prepare(saved.plan)
    model = Model(session, saved.spec, saved.train, saved.outputs, saved.params, moment.history, config, base,
                  settings.execution(arguments))
    template = dataclasses.replace(saved, variables={}, progress={"run": saved.progress["run"]}, progress_arrays={})
    return Job(compiled, model, dataset, template, moment, places)


def _latest(path: Path) -> Path:
    """The checkpoint of a run's folder, or the file itself. Raises UsageError (E0842)."""
    from nnc.runtime.rundir import RunFolder

    if not path.is_dir():
        return path
    latest = RunFolder(path).latest
    if not latest.is_file():
        helps = (f"begin one: `nnc run SPEC --run {path}`",)
        raise UsageError(Diagnostic("E0842", f"there is no run in `{path}` to go on with", helps=helps))
    return latest


def _begun(saved: SavedModel, latest: Path) -> tuple[Path, Path]:
    """Where the data is and where the model goes, as the run's first command said."""
    try:
        begun = saved.progress["run"]
        saved.provenance["data_sha256"].items()
        return Path(begun["data"]), Path(begun["model"])
    except (KeyError, TypeError, AttributeError):
        text = f"`{latest}` cannot be resumed here: it does not say where its data is"
        helps = ("where a Python program gave the data, it goes on: `model.fit(x, y, folder=..., resume=True)`",)
        raise DataError(Diagnostic("E0924", text, place=str(latest), helps=helps)) from None


def _places_of(resumed: Path, model: Path) -> Places:
    from .training import Places

    if resumed.is_dir():
        return Places.of_folder(resumed)
    found = dataclasses.replace(Places.of_file(model), latest=resumed)
    found.check_writable({})
    return found


def _until(moment: TrainingState, epochs: int | None) -> TrainingState:
    """The moment of a run that is to have `epochs` epochs in all. Raises UsageError (E0806) if it has more already."""
    if epochs is None:
        return moment
    if epochs < moment.begun_epochs:
        raise UsageError(Diagnostic("E0806", f"`--epochs {epochs}` is less than the run has done",
                                    notes=(f"it has done {moment.epoch}",)))
    return moment.until(epochs)
