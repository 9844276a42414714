"""`nnc run` with a folder: what it leaves, going on after Ctrl-C and kill -9, beginning with a model's weights."""

from __future__ import annotations

import csv
import errno
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nnc import cli
from nnc.grammar.diagnostics import UsageError
from nnc.runtime import modelfile
from nnc.runtime.checkpoint import load_checkpoint
from nnc.runtime.rundir import RunFolder

ROOT = Path(__file__).resolve().parents[2]
SPEC = """\
nn 1

model flowers

param units: int = 8

input x: float32[2]

output kind = x -> Normalize -> Dense(units, relu) -> Dropout(0.2) -> Dense(3, softmax) {
  loss = sparse_categorical_crossentropy, metrics = [accuracy]
}
output size = x -> Dense(1) { loss = mse, weight = 0.5 }

train { optimizer = adam(learning_rate = 0.01), batch_size = 8, epochs = 6, seed = 2, checkpoint = every(steps = 7) }

data {
  table = csv("flowers.csv")
  x = table[a, b]
  kind = table[kind]
  size = table[size]
  split { validation = 20%, test = 20%, seed = 1 }
}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rows = np.random.default_rng(0).normal(size=(80, 2))
    lines = [f"{a:.4f},{b:.4f},{int(a > 0) + int(a > b)},{a - b:.4f}" for a, b in rows]
    (tmp_path / "flowers.csv").write_text("\n".join(["a,b,kind,size", *lines]) + "\n")
    (tmp_path / "flowers.nn").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tensors(path: Path) -> dict[str, bytes]:
    return {name: value.tobytes() for name, value in modelfile.load(path).variables.items()}


def figures(folder: Path) -> list[tuple[int, dict[str, float]]]:
    rows = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return [(row["epoch"], row["figures"]) for row in rows]


def started(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "nnc", "run", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


# --- what a run leaves ----------------------------------------------------------------------------------------------
def test_a_run_leaves_a_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "flowers.nn", "--run", "out"]) == 0
    told = capsys.readouterr()
    assert "all of it is in out" in told.err
    out = here / "out"
    left = {path.name for path in out.iterdir()}
    assert {"model.safetensors", "history.csv", "history.jsonl", "summary.txt", "checkpoints"} <= left
    with (out / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [(int(row["epoch"]), {key: float(row[key]) for key in row if key not in ("epoch", "seconds")})
            for row in rows] == figures(out)
    with (out / "split.csv").open() as file:
        places = [(row["part"], int(row["row"])) for row in csv.DictReader(file)]
    given = "".join(f"{part} {sum(name == part for name, _ in places)}, " for part in dict(places))
    assert f"{given.removesuffix(', ')} samples" in told.err
    assert len(set(places)) == len(places)
    summary = (out / "summary.txt").read_text()
    assert "Dense(3, softmax)" in summary
    assert told.out.splitlines()[2:][-1] in summary
    assert re.search(r"data flowers.csv  sha256 [0-9a-f]{64}", summary)
    saved = modelfile.load(out / "model.safetensors")
    assert saved.provenance["seed"] == 2
    assert set(saved.provenance["versions"]) == {"nnc", "numpy", "python"}
    assert not saved.progress


def test_a_run_draws_its_curves_and_confusion(here: Path) -> None:
    pytest.importorskip("matplotlib")
    assert cli.main(["run", "flowers.nn", "--run", "out", "--plot"]) == 0
    assert (here / "out" / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert (here / "out" / "confusion.png").read_bytes().startswith(b"\x89PNG")
    picture = (here / "out" / "curves.svg").read_text()
    assert picture.startswith("<?xml")


def test_without_matplotlib_a_run_says_so_and_is_fine(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert cli.main(["run", "flowers.nn", "--run", "out", "--epochs", "1"]) == 0
    assert capsys.readouterr().err.count("no pictures without matplotlib") == 1
    assert not (here / "out" / "curves.png").exists()


def test_a_run_gives_json_lines(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "flowers.nn", "--run", "out", "--json", "--epochs", "3"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["epoch"] * 3 + ["result"]
    assert [(line["epoch"], line["figures"]) for line in lines[:3]] == figures(here / "out")
    total = sum(term["weight"] * term["value"] for term in lines[-1]["terms"] if term["kind"] != "metric")
    assert lines[-1]["total"] == pytest.approx(total, rel=1e-12)


def test_a_folder_keeps_the_run_that_it_has(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "flowers.nn", "--run", "out", "--epochs", "1"]) == 0
    before = (here / "out" / "model.safetensors").read_bytes()
    assert cli.main(["run", "flowers.nn", "--run", "out"]) == 2
    assert "nnc run --resume out" in capsys.readouterr().err
    assert (here / "out" / "model.safetensors").read_bytes() == before


# --- going on -------------------------------------------------------------------------------------------------------
def test_a_finished_run_goes_on_for_longer(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "flowers.nn", "--run", "whole"]) == 0
    assert cli.main(["run", "flowers.nn", "--run", "part", "--epochs", "2"]) == 0
    assert cli.main(["run", "--resume", "part", "--epochs", "6"]) == 0
    assert tensors(here / "whole" / "model.safetensors") == tensors(here / "part" / "model.safetensors")
    assert figures(here / "whole") == figures(here / "part")
    assert cli.main(["run", "--resume", "part"]) == 0    # nothing is left to do but to write the result
    assert tensors(here / "whole" / "model.safetensors") == tensors(here / "part" / "model.safetensors")
    assert cli.main(["run", "--resume", "part", "--epochs", "5"]) == 2
    assert "less than the run has done" in capsys.readouterr().err


def test_a_folder_may_be_moved(here: Path) -> None:
    assert cli.main(["run", "flowers.nn", "--run", "part", "--epochs", "2"]) == 0
    (here / "part").rename(here / "elsewhere")
    assert cli.main(["run", "--resume", "elsewhere", "--epochs", "3"]) == 0
    assert len(figures(here / "elsewhere")) == 3


def test_data_that_changed_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "flowers.nn", "--run", "out", "--epochs", "2"]) == 0
    text = (here / "flowers.csv").read_text()
    (here / "flowers.csv").write_text(text.replace("0.1", "0.2"))
    assert cli.main(["run", "--resume", "out", "--epochs", "3"]) == 3
    assert "error[E0926]" in capsys.readouterr().err


@pytest.mark.parametrize("folder", [True, False])
def test_ctrl_c_finishes_the_step_saves_and_says_how_to_go_on(
    here: Path, folder: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["--run", "out"] if folder else ["-o", "out.safetensors"]
    (here / "flowers.nn").write_text(SPEC.replace("epochs = 6", "epochs = 300").replace("every(steps = 7)", "best"))
    assert cli.main(["run", "flowers.nn", "-o", "whole.safetensors"]) == 0
    process = started("flowers.nn", *place)
    assert process.stderr is not None
    while "epoch" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    said = process.stderr.read()
    assert process.wait() == 130
    command = re.search(r"go on: `nnc (.*)`", said)
    assert command is not None
    assert "Traceback" not in said
    assert cli.main(command[1].split()) == 0
    model = here / "out" / "model.safetensors" if folder else here / "out.safetensors"
    assert tensors(model) == tensors(here / "whole.safetensors")


def test_kill_9_at_twenty_random_moments_loses_nothing(here: Path) -> None:
    """Each process is killed somewhere in the life of a run, loading and first checkpoint too; another goes on."""
    (here / "flowers.nn").write_text(SPEC.replace("epochs = 6", "epochs = 120"))
    began = time.monotonic()
    with started("flowers.nn", "--run", "whole") as process:
        process.communicate()
    lifetime = time.monotonic() - began
    assert process.returncode == 0
    expected = tensors(here / "whole" / "model.safetensors")
    moments = random.Random(5)
    kills, out = 0, here / "out"
    while kills < 20:
        is_begun = (out / "checkpoints" / "latest.safetensors").exists()
        process = started("--resume", "out") if is_begun else started("flowers.nn", "--run", "out")
        assert process.stderr is not None
        try:
            process.wait(timeout=moments.uniform(0, lifetime))
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
            process.wait()
        else:    # done before it was killed: again from the beginning
            assert process.returncode == 0, process.stderr.read()
            assert tensors(out / "model.safetensors") == expected
            shutil.rmtree(out)
        process.stderr.close()
        if (out / "checkpoints" / "latest.safetensors").exists():
            load_checkpoint(out / "checkpoints" / "latest.safetensors")
    assert cli.main(["run", "--resume", "out"]) == 0
    assert tensors(out / "model.safetensors") == expected
    assert figures(out) == figures(here / "whole")
    assert [path.name for path in (out / "checkpoints").iterdir()] == ["latest.safetensors"]


def test_two_processes_do_not_share_a_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "flowers.nn").write_text(SPEC.replace("epochs = 6", "epochs = 100000"))
    process = started("flowers.nn", "--run", "out")
    assert process.stderr is not None
    while "epoch" not in process.stderr.readline():
        pass
    for arguments in (["--resume", "out"], ["--resume", "out/checkpoints/latest.safetensors"]):
        assert cli.main(["run", *arguments]) == 2
        told = capsys.readouterr().err
        assert "error[E0844]" in told
        assert f"it is process {process.pid}" in told
    process.send_signal(signal.SIGINT)
    process.stderr.read()
    assert process.wait() == 130
    assert not (here / "out" / ".lock").exists()
    done = len(figures(here / "out"))
    assert cli.main(["run", "--resume", "out", "--epochs", str(done + 1)]) == 0
    assert len(figures(here / "out")) == done + 1


# --- beginning with a model's weights -------------------------------------------------------------------------------
def test_a_run_begins_with_a_models_weights(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "flowers.nn", "-o", "first.safetensors"]) == 0
    capsys.readouterr()
    assert cli.main(["run", "flowers.nn", "--from", "first.safetensors", "--json", "-o", "b.safetensors"]) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    history = modelfile.load(here / "first.safetensors").history
    assert first["figures"]["loss"] < history["loss"][1]


def test_another_spec_is_shown_and_refused_or_taken_in_part(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "flowers.nn", "-o", "first.safetensors", "--epochs", "1"]) == 0
    (here / "flowers.nn").write_text(SPEC.replace("Dense(3, softmax)", "Dense(5, relu) -> Dense(3, softmax)"))
    capsys.readouterr()
    from_model = ["run", "flowers.nn", "--from", "first.safetensors", "-o", "b.safetensors", "--epochs", "1"]
    assert cli.main(from_model) == 2
    told = capsys.readouterr().err
    assert "error[E0843]" in told
    assert "Dense(5, relu)" in told
    assert cli.main([*from_model, "--partial"]) == 0
    told = capsys.readouterr().err
    assert re.search(r"from first.safetensors: .*size\.kernel", told)
    assert re.search(r"new: .*kind\.", told)


def test_a_split_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    def lines() -> Iterator[str]:
        yield "part,row\n"
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(UsageError, match=r"E0807.*no space left"):
        RunFolder(tmp_path).write_split(lines())
    assert not list(tmp_path.iterdir())
