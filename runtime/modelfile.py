"""A trained model as one `.safetensors` file.

Tensors: every variable of the plan that outlives an epoch (weights, statistics, optimizer slots, scalars), by name.
Metadata: the canonical spec, the plan as JSON, versions, params, training settings, history, provenance and the texts
that categories stand for, with a SHA-256 of each part and of the tensors. A checkpoint is a model file that also has
`progress` and, under names that begin with `progress/`, the arrays that going on needs. Any safetensors reader opens a
model file; nothing in it can execute code. `load` believes nothing: hashes, types and the plan's proof are checked
before a model is made of it. Settings that are younger than a file have their defaults; only what cannot be read in
that way takes another FORMAT.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from nnc.compiler.graph import ACCUMULATOR
from nnc.compiler.options import OutputConfig, TrainConfig, Value
from nnc.compiler.plan import Plan
from nnc.grammar.diagnostics import DataError, Diagnostic, NncError
from nnc.runtime.protocol import Array, Session

from .history import History
from .settings import UnknownSettingError, outputs_from_json, outputs_to_json, train_from_json, train_to_json
from .whole_file import write_whole

FORMAT: Final = 1
_DTYPES: Final = {"float32": "F32", "float64": "F64", "uint8": "U8", "int32": "I32", "int64": "I64", "bool": "BOOL"}
_HASHED: Final = ("spec", "plan")
_SETTINGS: Final = (
    "nnc_format", "nnc_version", "params", "train", "outputs", "history", "vocabularies", "provenance", "progress"
)  # fmt: skip
_PROGRESS: Final = "progress/"
_LATER: Final = {"vocabularies", "provenance", "progress"}    # which the first files of this format do not have
_FROM_THE_FIRST: Final = tuple(key for key in _SETTINGS if key not in _LATER)
_KEYS: Final = (*_HASHED, *_FROM_THE_FIRST, "spec_sha256", "plan_sha256", "settings_sha256", "tensors_sha256")


@dataclass(frozen=True, slots=True)
class SavedModel:
    """All that a model file holds. `spec` is canonical text; `version` that of the nnc that wrote the file.

    vocabularies: for a column of texts, the text of each number. provenance: what the model was made from, as plain
    JSON. progress and progress_arrays: where training stands, in a checkpoint; else empty.
    """

    spec: str
    plan: Plan
    variables: Mapping[str, Array]
    train: TrainConfig
    outputs: tuple[OutputConfig, ...]
    params: tuple[tuple[str, Value], ...] = ()
    history: History = field(default_factory=History)
    version: str = ""
    vocabularies: Mapping[str, Sequence[str]] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    progress: Mapping[str, Any] = field(default_factory=dict)
    progress_arrays: Mapping[str, Array] = field(default_factory=dict)


def variables_of(session: Session) -> dict[str, Array]:
    """Copies of the variables that a model file keeps."""
    return {name: session.read(name) for name in _kept(session.plan)}


def write_variables(session: Session, variables: Mapping[str, Array]) -> None:
    """Set a session's variables to those of a file."""
    for name, value in variables.items():
        session.write(name, value)


def save(path: Path | str, model: SavedModel) -> None:
    """Write `model`; the file appears whole or not at all. Raises: UsageError E0807."""
    from nnc.compiler.planfile import to_json

    texts = {"spec": model.spec, "plan": to_json(model.plan)}
    arrays = {**model.variables, **{f"{_PROGRESS}{name}": value for name, value in model.progress_arrays.items()}}
    tensors = {name: np.asarray(value, order="C") for name, value in arrays.items()}
    metadata = {
        "nnc_format": str(FORMAT),
        "nnc_version": model.version,
        **texts,
        **{f"{name}_sha256": _sha256(texts[name]) for name in _HASHED},
        "params": json.dumps([list(pair) for pair in model.params]),
        "train": json.dumps(train_to_json(model.train)),
        "outputs": json.dumps(outputs_to_json(model.outputs)),
        "history": json.dumps(model.history.to_json()),
        "vocabularies": json.dumps({name: list(texts) for name, texts in model.vocabularies.items()}),
        "provenance": json.dumps(model.provenance),
        "progress": json.dumps(model.progress),
    }
    metadata["settings_sha256"] = _settings_sha256(metadata)
    metadata["tensors_sha256"] = _tensors_sha256(tensors)
    write_whole(Path(path), _to_bytes(tensors, metadata))


def load(path: Path | str) -> SavedModel:
    """Read and check a model file.

    Raises: DataError E0920 (not there), E0921 (no safetensors, or torn), E0922 (not made by nnc), E0923 (made by a
    newer nnc), E0924 (changed since it was written), E0902 (its plan is of another version), E0901 and E0903 (its plan
    is not sound).
    """
    metadata, tensors = _read(Path(path))
    name = str(path)
    if "nnc_format" not in metadata:
        raise _refusal("E0922", name, "is a safetensors file, but no model of nnc",
                       helps=("`nnc run SPEC` writes one, and so does model.save(path)",))
    if not metadata["nnc_format"].isdecimal() or int(metadata["nnc_format"]) > FORMAT:
        raise _newer(name, metadata)
    _refuse_changes(name, metadata, tensors)
    return _assemble(name, metadata, tensors)


def is_model_file(path: Path) -> bool:
    """Whether a file begins as those of nnc do, whatever became of the rest: such a one may be written over."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size)) if size <= path.stat().st_size else {}
        return "nnc_format" in header["__metadata__"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _assemble(name: str, metadata: Mapping[str, str], tensors: Mapping[str, Array]) -> SavedModel:
    from nnc.compiler.planfile import from_json
    from nnc.compiler.verify import verify_plan

    try:
        plan = from_json(metadata["plan"])
        verify_plan(plan)
    except NncError as error:
        raise DataError(*(replace(found, place=name) for found in error.diagnostics)) from None
    beside = {key.removeprefix(_PROGRESS): value for key, value in tensors.items() if key.startswith(_PROGRESS)}
    variables = {key: value for key, value in tensors.items() if not key.startswith(_PROGRESS)}
    _refuse_other_tensors(name, plan, variables)
    try:
        later = {key: json.loads(metadata.get(key, "{}")) for key in _LATER}
        vocabularies = {str(key): [str(text) for text in texts] for key, texts in later["vocabularies"].items()}
        return SavedModel(
            metadata["spec"], plan, variables, train_from_json(json.loads(metadata["train"])),
            outputs_from_json(json.loads(metadata["outputs"])),
            tuple((str(key), value) for key, value in json.loads(metadata["params"])),
            History.from_json(json.loads(metadata["history"])), metadata["nnc_version"], vocabularies,
            dict(later["provenance"]), dict(later["progress"]), beside)
    except UnknownSettingError as unknown:
        raise _newer(name, metadata, f": it has the setting `{unknown}`") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _refusal("E0924", name, f"holds settings that make no sense: {error}") from None


# --- checks ---------------------------------------------------------------------------------------------------------
def _refuse_changes(name: str, metadata: Mapping[str, str], tensors: Mapping[str, Array]) -> None:
    missing = [key for key in _KEYS if key not in metadata]
    if missing:
        raise _refusal("E0924", name, f"has lost its `{missing[0]}`")
    hashes = {key: _sha256(metadata[key]) for key in _HASHED}
    hashes |= {"settings": _settings_sha256(metadata), "tensors": _tensors_sha256(tensors)}
    for key, found in hashes.items():
        if found != metadata[f"{key}_sha256"]:
            raise _refusal("E0924", name, f"was changed after it was written: the hash of its {key} is another",
                           helps=("take an unchanged copy, or train again",))


def _refuse_other_tensors(name: str, plan: Plan, tensors: Mapping[str, Array]) -> None:
    """Every kept variable must be there in its own type, and nothing else."""
    types = {variable.name: variable.type for variable, _ in plan.variables if variable.role != ACCUMULATOR}
    for variable, type in types.items():
        if variable not in tensors:
            raise _refusal("E0924", name, f"has no tensor `{variable}`, which its plan needs")
        found = tensors[variable]
        if found.dtype != type.dtype or found.shape != type.concrete(0):
            raise _refusal("E0924", name, f"has `{variable}` as {found.dtype}{list(found.shape)}",
                           notes=(f"its plan needs {type}",))
    for variable in tensors.keys() - types.keys():
        raise _refusal("E0924", name, f"has a tensor `{variable}`, which its plan does not know")


def _newer(name: str, metadata: Mapping[str, str], reason: str = "") -> DataError:
    version = metadata.get("nnc_version", "a newer version")
    return _refusal("E0923", name, f"was written by nnc {version}, which is newer than this one{reason}",
                    helps=("pip install --upgrade nnc",))


def _refusal(
    code: str, name: str, problem: str, *, notes: tuple[str, ...] = (), helps: tuple[str, ...] = ()
) -> DataError:
    return DataError(Diagnostic(code, f"`{name}` {problem}", place=name, notes=notes, helps=helps))


# --- bytes ----------------------------------------------------------------------------------------------------------
def _read(path: Path) -> tuple[dict[str, str], dict[str, Array]]:
    from safetensors import SafetensorError, safe_open

    try:
        path.open("rb").close()
        with safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {}), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except OSError as error:
        raise _refusal("E0920", str(path), f"cannot be read: {(error.strerror or str(error)).lower()}") from None
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError):
        raise _refusal("E0921", str(path), "is no safetensors file, or is torn",
                       helps=("take another copy of the file: this one cannot be mended",)) from None


def _to_bytes(tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> bytes:
    """The file's bytes: equal models give equal files, which the library's own writer does not promise.

    Source: https://github.com/huggingface/safetensors, "Format": length, JSON header, tensors without gaps.
    """
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0]))    # so that each is aligned
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    offset = 0
    for name, value in ordered:
        span = [offset, offset + value.nbytes]
        header[name] = {"dtype": _DTYPES[value.dtype.name], "shape": list(value.shape), "data_offsets": span}
        offset += value.nbytes
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([struct.pack("<Q", len(text)), text, *(value.tobytes() for _, value in ordered)])


def _kept(plan: Plan) -> tuple[str, ...]:
    return tuple(variable.name for variable, _ in plan.variables if variable.role != ACCUMULATOR)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _settings_sha256(metadata: Mapping[str, str]) -> str:
    return _sha256("\0".join(metadata[key] for key in _SETTINGS if key in metadata))


def _tensors_sha256(tensors: Mapping[str, Array]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name}\0{value.dtype}\0{value.shape}\0".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()
