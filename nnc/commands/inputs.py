"""`--input`: from what a user typed to sources of rows, one for each input of a model."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from nnc.grammar.diagnostics import DataError, Diagnostic, UsageError

if TYPE_CHECKING:
    from nnc.compiler.options import DataConfig, Source
    from nnc.compiler.plan import Plan
    from nnc.runtime.data.source import Encoding
    from nnc.runtime.prediction import sources
    from nnc.runtime.prediction.table import Binding

HELP = (
    "NAME=@FILE is one input's rows (npy, npz, idx, csv, tsv, parquet), @FILE (csv, tsv, parquet, npz) those of all "
    "inputs, - is stdin"
)
GROUPS = ("all", "train", "test", "validation")
_EXAMPLES = "write `--input x=@x.npy`, `--input @rows.csv` or, for stdin, `--input -`"
_TABLES = ("csv", "parquet")
_MAGIC = b"\x93NUMPY"


@dataclass(frozen=True, slots=True)
class Given:
    """One `--input`: the input it is for, or None for all that no other is for; and a file, `-` for stdin."""

    name: str | None
    file: str

    @property
    def origin(self) -> str:
        return "<stdin>" if self.file == "-" else self.file


def parse(texts: Sequence[str]) -> tuple[Given, ...]:
    """Raises: UsageError E0831 for what is no input, or given twice."""
    found: list[Given] = []
    for text in texts:
        name, equals, file = text.partition("=")
        if not equals or text.startswith("@"):
            name, file = "", text
        if file != "-":
            if not file.startswith("@") or file == "@":
                raise UsageError(Diagnostic("E0831", f"`--input {text}` names no file", helps=(_EXAMPLES,)))
            file = file[1:]
        found.append(Given(name or None, file))
    for key, said in (("name", "rows for the same inputs"), ("file", "standard input")):
        values = [getattr(given, key) for given in found if key == "name" or given.file == "-"]
        if len(set(values)) < len(values):
            raise UsageError(Diagnostic("E0831", f"`--input` takes {said} twice", helps=(_EXAMPLES,)))
    return tuple(found)


def open_sources(
    given: Iterable[Given], plan: Plan, bindings: Mapping[str, Binding], keys: Mapping[str, tuple[str, ...]],
    stack: ExitStack,
) -> list[sources.Source]:
    """A source for every input, each input in one of them. Files stay open until `stack` closes.

    bindings: the columns of each input in a table; keys: names that its array may have in an archive.
    Raises: DataError E0701-E0705.
    """  # fmt: skip
    names = tuple(signature.name for signature in plan.inputs)
    by_name = {one.name: one for one in given}
    _refuse_unknown(names, by_name)
    rest = tuple(name for name in names if name not in by_name)
    if None in by_name and not rest:
        raise UsageError(Diagnostic("E0831", f"`--input @{by_name[None].file}` is left without an input to give"))
    if None not in by_name and rest:
        problems = [
            Diagnostic("E0704", f"there is nothing for input `{name}`", notes=(f"expected {signature.type}",),
                       place="--input", helps=(_EXAMPLES,))
            for name, signature in zip(names, plan.inputs, strict=True) if name in rest
        ]  # fmt: skip
        raise DataError(*problems)
    found: list[sources.Source] = []
    for name, one in by_name.items():
        wanted = rest if name is None else (name,)
        found += _open(one, wanted, bindings, keys, stack)
    return found


def _refuse_unknown(names: tuple[str, ...], by_name: Mapping[str | None, Given]) -> None:
    from nnc.grammar.suggest import nearest

    problems = []
    for name in by_name:
        if name is not None and name not in names:
            near = nearest(name, names)
            helps = (f"did you mean {' or '.join(f'`{word}`' for word in near)}?",) if near else ()
            notes = (f"the model has {', '.join(f'`{word}`' for word in names)}",)
            text = f"`{name}` is no input of the model"
            problems.append(Diagnostic("E0705", text, place="--input", notes=notes, helps=helps))
    if problems:
        raise DataError(*problems)


# --- one file ---------------------------------------------------------------------------------------------------------
def _open(
    given: Given, wanted: tuple[str, ...], bindings: Mapping[str, Binding], keys: Mapping[str, tuple[str, ...]],
    stack: ExitStack,
) -> list[sources.Source]:  # fmt: skip
    from nnc.runtime.data.kinds import refuse_other_kind
    from nnc.runtime.data.source import Request
    from nnc.runtime.prediction.cells import ParquetCells
    from nnc.runtime.prediction.sources import ArrayRows, npy_rows
    from nnc.runtime.prediction.table import TableRows, csv_rows

    if given.file == "-":
        return _open_pipe(given, wanted, bindings, sys.stdin.buffer)
    path = Path(given.file)
    _refuse_absent(path)
    if not path.is_file():
        return _open_pipe(given, wanted, bindings, stack.enter_context(path.open("rb")))
    suffix, request = path.suffix.lower(), Request(path, given.origin)
    if suffix == ".npz":
        return _open_archive(given, wanted, keys, stack)
    columns = {name: bindings[name] for name in wanted}
    if suffix in (".csv", ".tsv"):
        refuse_other_kind(request, "csv")
        text = stack.enter_context(path.open(encoding="utf-8-sig", newline=""))
        return [csv_rows(text, given.origin, columns, "\t" if suffix == ".tsv" else None)]
    if suffix == ".parquet":
        return [TableRows(ParquetCells(path, given.origin), columns)]
    _refuse_several(given, wanted)
    if suffix == ".npy":
        return [npy_rows(wanted[0], stack.enter_context(path.open("rb")), given.origin)]
    if "idx" in path.name:
        from nnc.runtime.data.read_idx import read_idx

        contents = read_idx(request)
        return [ArrayRows(wanted[0], contents.arrays[""], given.origin)]
    raise DataError(Diagnostic("E0702", f"`{given.file}` is of no kind that can be predicted from", place=given.file,
                               notes=("expected .npy, .npz, .csv, .tsv, .parquet or an IDX file",)))  # fmt: skip


def _open_pipe(
    given: Given, wanted: tuple[str, ...], bindings: Mapping[str, Binding], stream: BinaryIO
) -> list[sources.Source]:
    """From what can be read but once: an array in NumPy's format if it begins like one, else a table."""  # fmt: skip
    import io

    from nnc.runtime.prediction.sources import npy_rows
    from nnc.runtime.prediction.table import csv_rows

    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream)  # type: ignore[type-var]
    if buffered.peek(len(_MAGIC))[: len(_MAGIC)] == _MAGIC:
        _refuse_several(given, wanted)
        return [npy_rows(wanted[0], buffered, given.origin)]
    text = io.TextIOWrapper(buffered, encoding="utf-8-sig", newline="")
    return [csv_rows(text, given.origin, {name: bindings[name] for name in wanted})]


def _open_archive(
    given: Given, wanted: tuple[str, ...], keys: Mapping[str, tuple[str, ...]], stack: ExitStack
) -> list[sources.Source]:
    import zipfile

    from nnc.runtime.data.source import Request, missing_key
    from nnc.runtime.prediction.sources import npy_rows

    try:
        archive = stack.enter_context(zipfile.ZipFile(given.file))
    except (zipfile.BadZipFile, OSError):
        raise DataError(Diagnostic("E0702", f"`{given.file}` is no readable .npz file", place=given.file)) from None
    names = tuple(name.removesuffix(".npy") for name in archive.namelist())
    found: list[sources.Source] = []
    problems: list[Diagnostic] = []
    for name in wanted:
        candidates = (name, *keys.get(name, ()), *(names if len(names) == 1 == len(wanted) else ()))
        key = next((key for key in candidates if key in names), None)
        if key is None:
            problems.append(missing_key(Request(Path(given.file), given.file), name, names, "array"))
        else:
            member: BinaryIO = stack.enter_context(archive.open(f"{key}.npy"))  # type: ignore[assignment]
            found.append(npy_rows(name, member, f"{given.file}[{key}]"))
    if problems:
        raise DataError(*problems)
    return found


def _refuse_several(given: Given, wanted: tuple[str, ...]) -> None:
    if len(wanted) > 1:
        names = " ".join(f"--input {name}=@..." for name in wanted)
        text = f"`{given.origin}` holds one array, and {len(wanted)} inputs need rows"
        raise DataError(Diagnostic("E0704", text, place=given.origin, helps=(f"give each its own: {names}",)))


def _refuse_absent(path: Path) -> None:
    if path.exists() and not path.is_dir():
        return                  # a file, or a pipe such as bash's `<(...)` gives
    from nnc.grammar.suggest import nearest

    if path.is_dir():
        raise DataError(Diagnostic("E0702", f"`{path}` is a directory, not a file", place=str(path)))
    here = sorted(entry.name for entry in path.parent.iterdir()) if path.parent.is_dir() else []
    near = nearest(path.name, here)
    helps = (f"did you mean {' or '.join(f'`{path.parent / name}`' for name in near)}?",) if near else ()
    raise DataError(Diagnostic("E0701", f"there is no file `{path}`", place=str(path), helps=helps))


# --- what a spec says of its inputs -----------------------------------------------------------------------------------
def table_bindings(plan: Plan, data: DataConfig | None, encodings: Mapping[str, Encoding]) -> dict[str, Binding]:
    """The columns of each input: those of the spec's data section, or else named as `nnc predict` names results."""
    from nnc.runtime.prediction.results import columns
    from nnc.runtime.prediction.table import Binding

    found: dict[str, Binding] = {}
    for signature in plan.inputs:
        name = signature.name
        source = next((source for source in _sources(data, name) if source.reader in _TABLES), None)
        if source is None:
            sample = tuple(int(dim) for dim in signature.type.shape[1:])
            found[name] = Binding(columns(name, sample), {}, encodings.get(name))
        else:
            found[name] = Binding(source.columns or (name,), dict(source.options), encodings.get(name))
    return found


def array_names(plan: Plan, data: DataConfig | None) -> dict[str, tuple[str, ...]]:
    """The names that each input's array has in the archives of the spec's data section."""
    return {
        signature.name: tuple(
            key for source in _sources(data, signature.name) if source.reader == "npz" for key in source.columns or ()
        )
        for signature in plan.inputs
    }


def _sources(data: DataConfig | None, name: str) -> list[Source]:
    """What the spec binds to an input, the training group's first."""
    if data is None:
        return []
    groups = {group: dict(bound) for group, bound in data.groups}
    return [groups[group][name] for group in GROUPS if name in groups.get(group, {})]
