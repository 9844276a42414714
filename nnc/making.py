"""How a `Model` is made: `compile` a spec, `load` a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nnc.compiler.options import CompileOptions
from nnc.grammar.diagnostics import Diagnostic, UsageError
from nnc.grammar.source import SourceFile
from nnc.runtime import modelfile
from nnc.runtime.checkpoint import load_model

from .model import Model, opened
from .runtimes import Execution


def compile(
    spec: str | Path | SourceFile | None = None,
    *,
    text: str | None = None,
    params: Mapping[str, object] | None = None,
    batch_size: int | str | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    max_memory_bytes: int | None = None,
    runtime: str = "auto",
    device: str | None = None,
    threads: int | None = None,
) -> Model:
    """Compile a spec, given as a path, as the name of a bundled one, or as `text`, and make it ready to run.

    params: values for the spec's `param`s. batch_size ("auto": the largest that `max_memory_bytes` allows), epochs and
    seed go before those of the spec's `train` section. runtime: what executes the plan: "native" compiled C,
    "reference" NumPy, which runs everywhere, "cuda" kernels on an NVIDIA GPU, "auto" native where there is a C
    compiler. device: "cpu", the default; "gpu", which is the runtime "cuda"; "auto", a GPU if one works, else the
    processor, with a warning that says why. threads: how many "native" uses, by default all that the process may use,
    or one where that is quicker; results do not depend on it.
    Raises: NncError with every diagnostic of the spec; BudgetError above `max_memory_bytes`; UsageError E0806 for an
    argument out of its range, E0822, E0823, E0826 for one of the wrong kind; ToolchainError E0930-E0948 where what
    was asked for cannot be used here.
    """
    from nnc.compiler.pipeline import compile_source

    source = _source(spec, text)
    options = CompileOptions({} if params is None else params, batch_size, epochs, seed, max_memory_bytes)
    return Model.of(compile_source(source, options), Execution(runtime, device, threads))


def load(
    path: str | Path,
    *,
    runtime: str = "auto",
    device: str | None = None,
    threads: int | None = None,
    data: str | Path | None = None,
) -> Model:
    """The model at `path`, a file that `Model.save` or `nnc run` wrote, or a run's checkpoint.

    runtime, device, threads: as for `compile`. data: the directory of the files that the spec names, if they are
    neither beside the model nor here; they are looked for when a call without arrays needs them.
    Raises: DataError E0920-E0924; as `compile` for runtime and device.
    """
    saved = load_model(path)
    execution = Execution(runtime, device, threads)
    session = opened(execution, saved.plan).prepare(saved.plan)
    modelfile.write_variables(session, saved.variables)
    return Model(
        session, saved.spec, saved.train, saved.outputs, saved.params, saved.history,
        base_dir=None if data is None else Path(data), execution=execution,
        vocabularies=saved.vocabularies, file=Path(path), provenance=saved.provenance,
    )  # fmt: skip


def _source(spec: str | Path | SourceFile | None, text: str | None) -> SourceFile:
    if (spec is None) == (text is None):
        raise UsageError(Diagnostic("E0822", "`compile` takes a path or `text=`, one of the two"))
    if isinstance(spec, SourceFile):
        return spec
    if text is not None:
        if not isinstance(text, str):
            raise UsageError(Diagnostic("E0822", f"`text` is {text!r}", notes=("expected the text of a spec",)))
        return SourceFile("<text>", text)
    if not isinstance(spec, str | Path):
        raise UsageError(Diagnostic("E0822", f"`spec` is {spec!r}", notes=("expected a path, or a bundled name",)))
    from .commands.sources import read_source

    return read_source(str(spec))
