"""Commands on trained models: evaluate, predict, summary."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import nnc
from nnc import cli
from nnc.compiler.pipeline import compile_source
from nnc.grammar.source import SourceFile
from nnc.runtime import data, modelfile, train
from nnc.runtime.prediction.classes import classifiers
from nnc.runtime.reference import ReferenceRuntime

DIGITS = Path(nnc.__path__[-1]) / "specs" / "data" / "digits.npz"
SPEC = """\
nn 1

model tiny

input x: float32[2]
input z: float32[]

hidden = (x, z -> Reshape((1,))) -> Concatenate

output y = hidden -> Dense(3, softmax) { loss = sparse_categorical_crossentropy, metrics = [accuracy, confusion] }
output p = hidden -> Dense(1, sigmoid) { loss = binary_crossentropy }
output q = hidden -> Dense(2) { loss = mse }

train { optimizer = sgd(learning_rate = 0.05), batch_size = 8, epochs = 2 }

data {
  table = csv("tiny.csv")
  x = table[a..b]
  z = table[c]
  y = table[y]
  p = table[p]
  q = table[a, c]
  split { test = 25% }
}
"""
ROWS = "a,b,c,y,p\n" + "".join(f"{i % 3},{i % 5},{i % 7},{i % 3},{i % 2}\n" for i in range(50))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a spec, its data and the model that `nnc run` made of them."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "tiny.nn").write_text(SPEC)
    (folder / "tiny.csv").write_text(ROWS)
    assert cli.main(["run", str(folder / "tiny.nn"), "-o", str(folder / "tiny.safetensors")]) == 0
    return folder


@pytest.fixture
def here(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh directory with copies of these."""
    for file in trained.iterdir():
        if file.is_file():
            shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def arrays() -> dict[str, np.ndarray]:
    """The inputs in `ROWS`."""
    rows = np.array([line.split(",") for line in ROWS.splitlines()[1:]], np.float32)
    return {"x": rows[:, :2], "z": rows[:, 2]}


def answers(count: int = 50) -> dict[str, np.ndarray]:
    """What the Python API predicts for the first rows."""
    predicted = nnc.load("tiny.safetensors").predict({name: array[:count] for name, array in arrays().items()})
    assert isinstance(predicted, dict)
    return predicted


def table(text: str) -> tuple[list[str], np.ndarray]:
    header, *lines = text.splitlines()
    return header.split(","), np.array([line.split(",") for line in lines], np.float32)


# --- evaluate ---------------------------------------------------------------------------------------------------------
def test_evaluate_prints_what_run_printed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "tiny.nn"]) == 0
    printed = capsys.readouterr().out
    assert cli.main(["evaluate", "tiny.safetensors"]) == 0
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize(("part", "rows"), [("test", 13), ("train", 37)])
def test_evaluate_takes_the_part_asked_for(
    here: Path, capsys: pytest.CaptureFixture[str], part: str, rows: int
) -> None:
    assert cli.main(["evaluate", "tiny.safetensors", "--split", part, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["split"], told["samples"]) == (part, rows)
    assert np.sum(told["tables"]["y.confusion"]) == rows
    parts = [term for term in told["terms"] if term["kind"] != "metric"]
    assert told["total"] == pytest.approx(sum(term["weight"] * term["value"] for term in parts))


def test_evaluate_finds_data_here_or_where_it_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "models").mkdir()
    (here / "elsewhere").mkdir()
    (here / "tiny.safetensors").rename(here / "models" / "model.safetensors")
    assert cli.main(["evaluate", "models"]) == 0  # the folder of a run; the data is where the command runs
    printed = capsys.readouterr().out
    (here / "tiny.csv").rename(here / "elsewhere" / "tiny.csv")
    assert cli.main(["evaluate", "models"]) == 3
    told = capsys.readouterr().err
    for said in ("E0701", "looked in `models` and the current directory", "--data DIR"):
        assert said in told
    assert cli.main(["evaluate", "models", "--data", "elsewhere"]) == 0
    assert capsys.readouterr().out == printed


def test_evaluate_finds_the_data_of_a_bundled_spec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run", "wine", "--epochs", "1"]) == 0
    printed = capsys.readouterr().out
    assert cli.main(["evaluate", "wine.safetensors"]) == 0
    assert capsys.readouterr().out == printed


# --- predict ----------------------------------------------------------------------------------------------------------
def test_predict_arrays_to_an_archive(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = arrays()
    np.save("x.npy", given["x"])
    np.savez("both.npz", x=given["x"], z=given["z"])
    expected = answers()
    for inputs in (["x=@x.npy", "z=@both.npz"], ["x=@x.npy", "@both.npz"], ["@both.npz"]):
        words = [word for one in inputs for word in ("--input", one)]
        assert cli.main(["predict", "tiny.safetensors", *words, "-o", "out.npz"]) == 0
        told = capsys.readouterr()
        assert (told.out, told.err) == ("", "the answers for 50 rows are in out.npz\n")
        with np.load("out.npz") as found:
            assert sorted(found.files) == ["p", "q", "y"]
            for name, array in expected.items():
                assert found[name].dtype == array.dtype
                np.testing.assert_array_equal(found[name], array)


def test_predict_is_the_same_twice_to_the_byte(here: Path) -> None:
    for name in ("one.npz", "two.npz"):
        assert cli.main(["predict", "tiny.safetensors", "--input", "@tiny.csv", "-o", name]) == 0
    assert (here / "one.npz").read_bytes() == (here / "two.npz").read_bytes()
    assert not [path.name for path in here.iterdir() if path.name.startswith(".")]


def test_predict_a_table_to_a_table(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Columns are found by the names that the spec's data section gives; no digit of a float32 is lost."""
    assert cli.main(["predict", "tiny.safetensors", "--input", "@tiny.csv"]) == 0
    header, found = table(capsys.readouterr().out)
    assert header == ["y_0", "y_1", "y_2", "p", "q_0", "q_1"]
    expected = answers()
    np.testing.assert_array_equal(found, np.concatenate([expected[name] for name in ("y", "p", "q")], axis=1))
    assert cli.main(["predict", "tiny.safetensors", "--input", "@tiny.csv", "-o", "out.csv"]) == 0
    np.testing.assert_array_equal(table((here / "out.csv").read_text())[1], found)


def test_predict_reads_columns_in_any_order_and_blank_lines(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "rows.csv").write_text('name,c,a,b\n"two\nlines",1,0,4\n\nx,2,1,3\n')
    assert cli.main(["predict", "tiny.safetensors", "--input", "@rows.csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    (here / "rows.csv").write_text('name,c,a,b\n"two\nlines",1,0,4\n\nx,2,1,three\n')
    assert cli.main(["predict", "tiny.safetensors", "--input", "@rows.csv"]) == 3
    assert "rows.csv, line 5 (row 2), column b" in capsys.readouterr().err


def test_predict_classes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["predict", "tiny.safetensors", "--input", "@tiny.csv", "--classes"]) == 0
    header, found = table(capsys.readouterr().out)
    assert header == ["y", "p", "q_0", "q_1"]  # q is a quantity and stays one
    expected = answers()
    np.testing.assert_array_equal(found[:, 0], expected["y"].argmax(axis=-1))
    np.testing.assert_array_equal(found[:, 1], expected["p"][:, 0] > 0.5)
    np.testing.assert_array_equal(found[:, 2:], expected["q"])


def test_predict_no_rows(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "none.csv").write_text("a,b,c\n")
    assert cli.main(["predict", "tiny.safetensors", "--input", "@none.csv"]) == 0
    assert capsys.readouterr().out == "y_0,y_1,y_2,p,q_0,q_1\n"
    assert cli.main(["predict", "tiny.safetensors", "--input", "@none.csv", "-o", "none.npz"]) == 0
    assert {name: array.shape for name, array in np.load("none.npz").items()} == {"y": (0, 3), "p": (0, 1), "q": (0, 2)}


@pytest.mark.parametrize("kind", ["csv", "npy"])
def test_predict_from_stdin_to_stdout(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    given, content = arrays(), io.BytesIO()
    if kind == "npy":
        np.save(content, given["x"])
        np.save("z.npy", given["z"])
        words = ["--input", "x=-", "--input", "z=@z.npy"]
    else:
        content.write(ROWS.encode())
        words = ["--input", "-"]
    content.seek(0)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(content))
    assert cli.main(["predict", "tiny.safetensors", *words, "-o", "-"]) == 0
    np.testing.assert_array_equal(table(capsys.readouterr().out)[1][:, :3], answers()["y"])


def test_predict_finds_arrays_under_the_names_of_the_data_section(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run", "digits", "--epochs", "1"]) == 0
    assert cli.main(["predict", "digits.safetensors", "--input", f"@{DIGITS}", "--classes", "-o", "y.npy"]) == 0
    with np.load(DIGITS) as data:
        assert np.mean(np.load("y.npy") == data["y"]) > 0.7


def test_a_file_stays_as_it_was_when_prediction_fails(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "out.npz").write_text("mine")
    (here / "rows.csv").write_text("a,b,c\n1,2,3\n1,2\n")
    assert cli.main(["predict", "tiny.safetensors", "--input", "@rows.csv", "-o", "out.npz"]) == 3
    assert "rows.csv, line 3 (row 2)" in capsys.readouterr().err
    assert (here / "out.npz").read_text() == "mine"
    assert not [path.name for path in here.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"\x93NUMPY\x01\x00v\x00{'descr': '|O'", "E0702"), (b"\x93NUMPYabc", "E0702"), (b"", "E0702"), (b"PK", "E0702")],
)
def test_damaged_arrays_are_refused(
    here: Path, capsys: pytest.CaptureFixture[str], content: bytes, code: str
) -> None:
    (here / "x.npy").write_bytes(content)
    assert cli.main(["predict", "tiny.safetensors", "--input", "x=@x.npy", "--input", "z=@x.npy"]) == 3
    assert f"error[{code}]" in capsys.readouterr().err


def test_prediction_holds_a_block_of_rows_whatever_the_number_of_rows(here: Path) -> None:
    """Eight times the rows take no more memory, though their fields alone would take 50 MB."""
    line = "1,2,3\n"
    peaks = []
    for copies in (20_000, 160_000):
        with (here / "rows.csv").open("w") as file:
            file.write("a,b,c\n")
            for _ in range(copies // 1000):
                file.write(line * 1000)
        program = (
            "import resource; from nnc.cli import main;"
            "main(['predict', 'tiny.safetensors', '--input', '@rows.csv', '-o', 'out.npz']);"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        root = str(Path(nnc.__path__[-1]))
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONPATH": root}
        )
        peaks.append(int(done.stdout))
    assert np.load("out.npz")["y"].shape == (160_000, 3)
    assert peaks[1] < peaks[0] + 4 * 1024, peaks


@pytest.mark.parametrize(
    ("words", "code", "exit_code"),
    [
        (["--input", "x=@x.npy"], "E0704", 3),
        (["--input", "@x.npy"], "E0704", 3),
        (["--input", "@tiny.csv", "--input", "x=@x.npy", "--input", "x=@x.npy"], "E0831", 2),
        (["--input", "x=-", "--input", "z=-"], "E0831", 2),
        (["--input", "x=@x.npy", "--input", "z=@z.npy", "--input", "@tiny.csv"], "E0831", 2),
        (["--input", "x=@x.npy", "--input", "z=@short.npy"], "E0706", 3),
        (["--input", "x=@short.npy", "--input", "@tiny.csv"], "E0706", 3),
        (["--input", "x=@z.npy", "--input", "z=@x.npy"], "E0708", 3),
        (["--input", "x=@nan.npy", "--input", "z=@z.npy"], "E0712", 3),
        (["--input", "x=@objects.npy", "--input", "z=@z.npy"], "E0702", 3),
        (["--input", "@none.csv"], "E0701", 3),
        (["--input", "@tiny.nn", "--input", "z=@z.npy"], "E0702", 3),
        (["--input", "@tiny.csv", "-o", "y.npy"], "E0832", 2),
        (["--input", "@tiny.csv", "-o", "none/y.npz"], "E0807", 2),
    ],
)
def test_what_cannot_be_predicted_is_said(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: str, exit_code: int
) -> None:
    given = arrays()
    np.save("x.npy", given["x"])
    np.save("z.npy", given["z"])
    np.save("short.npy", given["x"][:7] if "x=@short.npy" in words else given["z"][:7])
    np.save("nan.npy", np.where(np.arange(100).reshape(50, 2) == 31, np.nan, given["x"]))
    np.save("objects.npy", np.array([{}] * 50))
    assert cli.main(["predict", "tiny.safetensors", *words]) == exit_code
    told = capsys.readouterr()
    assert set(re.findall(r"error\[(\w+)\]", told.err)) == {code}
    assert told.out == ""


def test_predict_from_an_array_in_fortran_order(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = arrays()
    np.save("z.npy", given["z"])
    np.save("x.npy", np.asfortranarray(given["x"]))
    np.savez_compressed("all.npz", x=np.asfortranarray(given["x"]), z=given["z"])
    for words, limit in (("x=@x.npy z=@z.npy", 1 << 28), ("x=@x.npy z=@z.npy", 64), ("@all.npz", 1 << 28)):
        monkeypatch.setattr(data.stream, "STREAMED_FROM", limit)
        options = [word for text in words.split() for word in ("--input", text)]
        assert cli.main(["predict", "tiny.safetensors", *options]) == 0
        np.testing.assert_array_equal(table(capsys.readouterr().out)[1][:, :3], answers()["y"])


def test_predict_from_pipes_and_by_suffixes_of_any_case(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bash's `<(...)` gives /dev/fd/63, which is no regular file and has no suffix."""
    assert cli.main(["predict", "tiny.safetensors", "--input", "@tiny.csv"]) == 0
    expected = capsys.readouterr().out
    text = (here / "tiny.csv").read_text()
    (here / "UPPER.CSV").write_text(text)
    (here / "rows.TSV").write_text(text.replace(",", "\t"))
    for name in ("UPPER.CSV", "rows.TSV"):
        assert cli.main(["predict", "tiny.safetensors", "--input", f"@{name}"]) == 0
        assert capsys.readouterr().out == expected
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    assert cli.main(["predict", "tiny.safetensors", "--input", f"@/dev/fd/{reading}"]) == 0
    os.close(reading)
    assert capsys.readouterr().out == expected


def test_nan_among_rows_to_predict_says_what_to_do_about_those(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = arrays()
    np.save("z.npy", given["z"])
    np.save("x.npy", np.where(np.arange(100).reshape(50, 2) == 31, np.nan, given["x"]))
    assert cli.main(["predict", "tiny.safetensors", "--input", "x=@x.npy", "--input", "z=@z.npy"]) == 3
    told = capsys.readouterr().err
    assert "its answer would be NaN" in told
    assert "training" not in told
    header, first, *_ = ROWS.splitlines()
    (here / "rows.csv").write_text(f"{header}\n,{first.partition(',')[2]}\n")
    assert cli.main(["predict", "tiny.safetensors", "--input", "@rows.csv"]) == 3
    told = capsys.readouterr().err
    assert "E0711" in told
    assert "drop" not in told


@pytest.mark.parametrize(("head", "said"), [(b"\x1f\x8b", "gunzip"), ("a,b".encode("utf-16"), "UTF-16")])
def test_rows_to_predict_of_another_kind(
    here: Path, capsys: pytest.CaptureFixture[str], head: bytes, said: str
) -> None:
    (here / "rows.csv").write_bytes(head)
    assert cli.main(["predict", "tiny.safetensors", "--input", "@rows.csv"]) == 3
    assert said in capsys.readouterr().err


def test_predict_from_an_idx_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = nnc.compile("digits")
    model.save("digits.safetensors")
    images = np.random.default_rng(0).integers(0, 17, (40, 8, 8), np.uint8)
    header = bytes([0, 0, 8, 3]) + b"".join(size.to_bytes(4, "big") for size in images.shape)
    Path("images-idx3-ubyte").write_bytes(header + images.tobytes())
    assert cli.main(["predict", "digits.safetensors", "--input", "image=@images-idx3-ubyte", "-o", "y.npy"]) == 0
    np.testing.assert_array_equal(np.load("y.npy"), model.predict(images))


# --- texts and missing values -----------------------------------------------------------------------------------------
NAMED = """\
nn 1
model named
input colour: int32[]
input size: float32[2]
h = (colour -> OneHot(3), size) -> Concatenate
output kind = h -> Dense(3, softmax) { loss = sparse_categorical_crossentropy, target = species }
output good = h -> Dense(1, sigmoid) { loss = binary_crossentropy }
train { optimizer = adam(learning_rate = 0.1), batch_size = 8, epochs = 40, seed = 3 }
data {
  t = csv("named.csv", missing = mean, unknown = other)
  colour = t[colour]
  size = t[width, height]
  species = t[species]
  good = t[good]
}
"""
KINDS = ("ash", "elm", "oak")


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a model whose classes and whose first input have names."""
    monkeypatch.chdir(tmp_path)
    rows = [f"{'red' if i % 3 == 1 else 'blue'},{i % 3},{2 * (i % 3)},{KINDS[i % 3]},{'yes' if i % 3 else 'no'}"
            for i in range(60)]  # fmt: skip
    rows[0] = rows[0].replace(",0,", ",,", 1)  # the mean of the others stands for it
    (tmp_path / "named.csv").write_text("\n".join(["colour,width,height,species,good", *rows, ""]))
    (tmp_path / "named.nn").write_text(NAMED)
    compiled = compile_source(SourceFile("named.nn", NAMED))
    dataset = data.load(compiled.network.data, compiled.plan, tmp_path, compiled.network.outputs)
    session = ReferenceRuntime().prepare(compiled.plan)
    train.fit(session, dataset.train, None, compiled.network.train)
    saved = modelfile.SavedModel(
        NAMED, compiled.plan, modelfile.variables_of(session), compiled.network.train, compiled.network.outputs,
        vocabularies=dataset.vocabularies,
    )  # fmt: skip
    modelfile.save("named.safetensors", saved)
    return tmp_path


def test_predicted_classes_have_their_names(named: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["predict", "named.safetensors", "--input", "@named.csv", "--classes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "kind,good"
    truth = [",".join(line.split(",")[-2:]) for line in (named / "named.csv").read_text().splitlines()[1:]]
    assert lines[2:] == truth[1:]
    assert cli.main(["predict", "named.safetensors", "--input", "@named.csv", "--classes", "-o", "out.npz"]) == 0
    assert np.load("out.npz")["kind"].tolist() == [line.split(",")[0] for line in lines[1:]]


def test_a_unit_without_a_text_has_its_number(named: Path) -> None:
    model = modelfile.load("named.safetensors")
    less = {**model.vocabularies, "kind": ("ash", "elm")} if "kind" in model.vocabularies else {}
    found = classifiers(model.plan, model.outputs, less)["kind"]
    assert found.names == ("ash", "elm", "class 2")
    assert found.classes(np.array([[0, 0, 1], [0, 1, 0]])).tolist() == ["class 2", "elm"]


def test_new_rows_are_read_with_what_training_learnt(named: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever else is in the file: a text's number, an unknown text's and a gap's are those of the training."""
    (named / "rows.csv").write_text("colour,width,height\nred,1,2\ngreen,1,2\nred,,2\n")
    assert cli.main(["predict", "named.safetensors", "--input", "@rows.csv"]) == 0
    found = table(capsys.readouterr().out)[1]
    model = nnc.load("named.safetensors")
    widths = [i % 3 for i in range(1, 60)]
    size = np.array([[1, 2], [1, 2], [np.mean(widths), 2]], np.float32)
    expected = model.predict({"colour": np.array([1, 2, 1], np.int32), "size": size})
    np.testing.assert_array_equal(found, np.concatenate([expected["kind"], expected["good"]], axis=1))


def test_evaluate_reads_texts_as_training_did(named: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evaluate", "named.safetensors", "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)["total"]
    header, *lines = (named / "named.csv").read_text().splitlines()
    (named / "elsewhere").mkdir()
    (named / "elsewhere" / "named.csv").write_text("\n".join([header, *lines[1::3], ""]))  # elms alone
    assert cli.main(["evaluate", "named.safetensors", "--data", "elsewhere", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["total"] < whole * 2


# --- summary ----------------------------------------------------------------------------------------------------------
def test_summary_says_what_is_in_a_model(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["summary", "tiny.safetensors"]) == 0
    told = capsys.readouterr().out
    assert "y: Dense(3, softmax)" in told
    assert re.search(r"^trained +2 epochs, at the end loss ", told, re.MULTILINE)
    kernel = nnc.load("tiny.safetensors").weights["y.kernel"]
    row = next(line for line in told.splitlines() if line.startswith("y.kernel"))
    assert row.split()[3] == f"{kernel.size}"
    assert row.split()[4:7] == [f"{value:.4g}" for value in (kernel.min(), kernel.mean(dtype=np.float64), kernel.max())]


def test_summary_as_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["summary", "tiny.safetensors", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [weight["name"] for weight in told["weights"]] == list(nnc.load("tiny.safetensors").weights)
    assert told["origin"]["epochs"] == 2
    assert told["summary"]["parameters"] == sum(weight["elements"] for weight in told["weights"])


def test_summary_tells_what_a_model_was_made_of(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = modelfile.load("tiny.safetensors")
    made_of = {"seed": 0, "versions": {"numpy": "2.1.0", "python": "3.12.3"}, "machine": "x86_64"}
    modelfile.save("made.safetensors", replace(saved, provenance=made_of))
    assert cli.main(["summary", "made.safetensors"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "versions  numpy 2.1.0, python 3.12.3" in lines
    assert "machine   x86_64" in lines
    assert sum(line.startswith("seed ") for line in lines) == 1
