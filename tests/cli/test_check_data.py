"""`nnc check --data`: the audit of data without a step of training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nnc.cli import main
from nnc.runtime.data import stream

SPEC = """nn 1
model pets

input age: float32[]
input kind: int32[]

features = (age -> Reshape((1,)), kind -> OneHot(2)) -> Concatenate

output happy = features -> Dense(1, sigmoid) { loss = binary_crossentropy }

data {
  table = csv("pets.csv", missing = drop)
  age   = table[age]
  kind  = table[kind]
  happy = table[happy]
  split { test = 25%, seed = 1 }
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pets.nn").write_text(SPEC)
    (tmp_path / "d").mkdir()
    rows = [f"{i if i % 4 else ''},{['dog', 'cat'][i % 2]},{['yes', 'no'][i % 3 > 0]}" for i in range(16)]
    (tmp_path / "d" / "pets.csv").write_text("\n".join(["age,kind,happy", *rows]))
    return tmp_path


def test_what_is_fine_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "pets.nn", "--data", "d"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "pets.nn: data ok, train 9, test 3 samples; 4 left out for missing values",
        "pets.nn: kind has 2 texts: `cat`, `dog`", "pets.nn: happy has 2 texts: `no`, `yes`",
    ]  # fmt: skip
    assert not list(folder.glob("*.safetensors"))


@pytest.mark.parametrize(("arguments", "code"), [(["--data", "nowhere"], "E0810"), (["--data", "."], "E0701")])
def test_data_that_is_not_there(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: str
) -> None:
    assert main(["check", "pets.nn", *arguments]) == (2 if code == "E0810" else 3)
    assert code in capsys.readouterr().err


def test_a_spec_without_data(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bare.nn").write_text("input x: float32[2]\noutput y = x -> Dense(1) { loss = mse }\n")
    assert main(["check", "bare.nn", "--data", "d"]) == 2
    assert "E0808" in capsys.readouterr().err


def test_what_streams_is_gone_through_too(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "STREAMED_FROM", 0)
    x = np.ones((100, 2), np.float32)
    x[77, 1] = np.inf
    np.savez("d/a.npz", x=x, y=np.ones(100))
    data = 'data { a = npz("a.npz"), x = a[x], y = a[y] }'
    Path("a.nn").write_text(f"input x: float32[2]\noutput y = x -> Dense(1) {{ loss = mse }}\n{data}\n")
    assert main(["check", "a.nn", "--data", "d"]) == 3
    assert "a.npz[x], row 78, position [1]" in capsys.readouterr().err


def test_problems_of_data_have_places_for_programs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files as they can be opened from here; lines and columns of their text."""
    spec = SPEC.replace(", missing = drop", "").replace("int32[]", "uint8[]").replace("OneHot(2)", "OneHot(3)")
    (folder / "pets.nn").write_text(spec)
    (folder / "d" / "pets.csv").write_text("kind,age,happy\n0,1,0\n\n1,old,1\n7,3,1\n")
    assert main(["check", "pets.nn", "--data", "d", "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    found = {one["code"]: (one["file"], one["line"], one["column"]) for one in told}
    path = str(Path("d") / "pets.csv")
    assert found == {"E0710": (path, 4, 3), "E0713": (path, 5, 1)}
    (folder / "d" / "pets.csv").unlink()
    assert main(["check", "pets.nn", "--data", "d", "--json"]) == 3
    (one,) = json.loads(capsys.readouterr().out)
    assert (one["code"], one["file"], one["line"], one["place"]) == ("E0701", path, None, "pets.csv")
