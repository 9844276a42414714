"""Model files: what is written is read back bit for bit; what was changed or torn is refused."""

from __future__ import annotations

import contextlib
import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnc
from nnc.compiler.plan import PLAN_VERSION
from nnc.grammar.diagnostics import DataError, NncError, UsageError
from nnc.runtime import modelfile, whole_file
from nnc.runtime.modelfile import SavedModel

SPEC = """
model line
param units: int = 3
input x: float32[2]
h = x -> Normalize -> Dense(units, tanh)
output y = h -> Dense(1) { loss = mse, metrics = [mae] }
train { optimizer = adam(learning_rate = 0.01), batch_size = 4, epochs = 2, seed = 5,
        early_stopping = early_stopping(monitor = loss, patience = 9) }
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = nnc.compile(text=SPEC, params={"units": 4})
    x = np.linspace(-1, 1, 20, dtype=np.float32).reshape(10, 2)
    model.fit(x, x.sum(axis=1), verbose=False)
    path = tmp_path_factory.mktemp("models") / "line.safetensors"
    model.save(path)
    return path


def header(content: bytes) -> tuple[dict[str, dict[str, str]], bytes]:
    (size,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def rewritten(path: Path, target: Path, change: Callable[[dict[str, str]], None]) -> Path:
    """A copy of a file with other metadata."""
    head, tensors = header(path.read_bytes())
    change(head["__metadata__"])
    text = json.dumps(head).encode()
    target.write_bytes(struct.pack("<Q", len(text)) + text + tensors)
    return target


def code_of(path: Path) -> str:
    with pytest.raises(NncError) as caught:
        modelfile.load(path)
    return caught.value.diagnostics[0].code


def test_a_file_holds_everything(saved: Path) -> None:
    found = modelfile.load(saved)
    assert "model line" in found.spec
    assert found.params == (("units", 4),)
    assert found.version == nnc.__version__
    assert len(found.history) == 2
    assert found.train.optimizer.name == "adam"
    assert found.train.early_stopping is not None
    assert [output.name for output in found.outputs] == ["y"]
    assert {"y.kernel", "y.bias", "step"} <= found.variables.keys()
    assert not any(name.startswith("sum.") for name in found.variables)


def test_saving_what_was_loaded_gives_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    modelfile.save(tmp_path / "again", modelfile.load(saved))
    assert (tmp_path / "again").read_bytes() == saved.read_bytes()


def test_any_safetensors_reader_opens_it(saved: Path) -> None:
    from safetensors.numpy import load_file

    assert load_file(saved)["y.kernel"].shape == (4, 1)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_flipped_bit_anywhere_is_refused(saved: Path, data: st.DataObject) -> None:
    content = bytearray(saved.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    path = saved.with_name("flipped")
    path.write_bytes(content)
    with contextlib.suppress(NncError):
        # a flip that survives has changed nothing, such as a letter of an escape
        found, original = modelfile.load(path), modelfile.load(saved)
        assert (found.spec, found.plan, found.train) == (original.spec, original.plan, original.train)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_torn_file_is_refused(saved: Path, data: st.DataObject) -> None:
    content = saved.read_bytes()
    path = saved.with_name("torn")
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    assert code_of(path) == "E0921"


def test_other_tensors_spec_or_plan_are_refused(saved: Path, tmp_path: Path) -> None:
    def change(key: str, old: str, new: str) -> Path:
        def replace(metadata: dict[str, str]) -> None:
            assert old in metadata[key]
            metadata[key] = metadata[key].replace(old, new, 1)
        return rewritten(saved, tmp_path / "changed", replace)

    assert code_of(change("spec", "tanh", "relu")) == "E0924"
    assert code_of(change("plan", "line", "lime")) == "E0924"
    assert code_of(rewritten(saved, tmp_path / "lost", lambda metadata: metadata.pop("plan") and None)) == "E0924"
    assert code_of(rewritten(saved, tmp_path / "other", dict.clear)) == "E0922"
    assert code_of(change("nnc_format", "1", "2")) == "E0923"
    assert code_of(change("train", "adam", "adam\\\\")) == "E0924"
    content = bytearray(saved.read_bytes())
    content[-1] ^= 1
    (tmp_path / "bits").write_bytes(content)
    assert code_of(tmp_path / "bits") == "E0924"


def rehashed(metadata: dict[str, str]) -> None:
    """Give settings the hash that the nnc would have given them that wrote them."""
    written = ("nnc_format", "nnc_version", "params", "train", "outputs", "history", "vocabularies", "provenance",
               "progress")
    text = "\0".join(metadata[key] for key in written if key in metadata)
    metadata["settings_sha256"] = hashlib.sha256(text.encode()).hexdigest()


def test_settings_that_are_younger_than_a_file_have_their_defaults(saved: Path, tmp_path: Path) -> None:
    def age(metadata: dict[str, str]) -> None:
        train, outputs = json.loads(metadata["train"]), json.loads(metadata["outputs"])
        for key in ("accumulate", "ema", "precision"):
            del train[key]
        del outputs[0]["sample_weight"]
        metadata |= {"train": json.dumps(train), "outputs": json.dumps(outputs)}
        for key in ("vocabularies", "provenance", "progress"):
            del metadata[key]
        rehashed(metadata)

    old = modelfile.load(rewritten(saved, tmp_path / "old", age))
    new = modelfile.load(saved)
    assert (old.train, old.outputs, old.variables.keys()) == (new.train, new.outputs, new.variables.keys())
    assert (old.vocabularies, old.provenance, old.progress) == ({}, {}, {})
    x = np.ones((2, 2))
    np.testing.assert_array_equal(nnc.load(tmp_path / "old").predict(x), nnc.load(saved).predict(x))


def test_a_setting_that_never_had_a_default_must_be_there(saved: Path, tmp_path: Path) -> None:
    def lose(metadata: dict[str, str]) -> None:
        metadata["train"] = json.dumps({k: v for k, v in json.loads(metadata["train"]).items() if k != "optimizer"})
        rehashed(metadata)

    assert code_of(rewritten(saved, tmp_path / "lost", lose)) == "E0924"


@pytest.mark.parametrize("key", ["train", "outputs"])
def test_a_setting_that_this_nnc_does_not_know_is_refused(saved: Path, tmp_path: Path, key: str) -> None:
    def add(metadata: dict[str, str]) -> None:
        value = json.loads(metadata[key])
        (value if key == "train" else value[0])["momentum_of_time"] = 3
        metadata |= {key: json.dumps(value)}
        rehashed(metadata)

    with pytest.raises(NncError, match="it has the setting `momentum_of_time`") as caught:
        modelfile.load(rewritten(saved, tmp_path / "new", add))
    assert [diagnostic.code for diagnostic in caught.value.diagnostics] == ["E0923"]


@pytest.mark.parametrize("key", ["vocabularies", "progress"])
def test_settings_that_are_taken_away_are_missed(saved: Path, tmp_path: Path, key: str) -> None:
    assert code_of(rewritten(saved, tmp_path / "lost", lambda metadata: metadata.pop(key) and None)) == "E0924"


def test_a_plan_that_needs_other_tensors_is_refused(saved: Path, tmp_path: Path) -> None:
    found = modelfile.load(saved)
    for variables in (
        {name: value for name, value in found.variables.items() if name != "y.bias"},
        {**found.variables, "y.bias": np.zeros(2, np.float32)},
        {**found.variables, "y.bias": np.zeros(1, np.float64)},
        {**found.variables, "more": np.zeros(1, np.float32)},
    ):
        modelfile.save(tmp_path / "m", SavedModel(found.spec, found.plan, variables, found.train, found.outputs))
        assert code_of(tmp_path / "m") == "E0924"


def test_a_plan_of_another_version_is_named_with_its_file(saved: Path, tmp_path: Path) -> None:
    def older(metadata: dict[str, str]) -> None:
        metadata["plan"] = metadata["plan"].replace(f'"nnc_plan":{PLAN_VERSION}', '"nnc_plan":1')
        metadata["plan_sha256"] = hashlib.sha256(metadata["plan"].encode()).hexdigest()

    with pytest.raises(DataError) as caught:
        modelfile.load(rewritten(saved, tmp_path / "old", older))
    (found,) = caught.value.diagnostics
    assert (found.code, found.place) == ("E0902", str(tmp_path / "old"))
    assert found.notes == ("an older nnc wrote it",)


def test_files_that_are_not_there_or_cannot_be_written(saved: Path, tmp_path: Path) -> None:
    assert code_of(tmp_path / "none.safetensors") == "E0920"
    assert code_of(tmp_path) == "E0920"
    with pytest.raises(UsageError) as caught:
        modelfile.save(tmp_path / "no" / "m.safetensors", modelfile.load(saved))
    assert caught.value.diagnostics[0].code == "E0807"
    assert isinstance(caught.value, UsageError)
    assert not issubclass(UsageError, DataError)


def test_a_failed_save_leaves_the_old_file(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "m.safetensors"
    target.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(whole_file.os, "replace", full)
    with pytest.raises(UsageError):
        modelfile.save(target, modelfile.load(saved))
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]
