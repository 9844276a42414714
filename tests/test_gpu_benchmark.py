"""benchmarks/gpu: its arguments, what it says where a GPU or a peer is missing, its rows, and its tables."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import report, requirements, worker
from benchmarks.gpu.rows import ROWS, goal, in_precision, job_of
from benchmarks.peers.rounds import Result, spread
from nnc.runtime.cuda.driver import Driver, Gpu

GPU = Gpu("a made-up GPU", (9, 0), 80 << 30, 132)


@pytest.fixture
def made_up_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "require_gpu", lambda: GPU)
    monkeypatch.setattr(command, "ask_driver", lambda: Driver((13, 0), (GPU,)))
    monkeypatch.setattr(command.shutil, "which", lambda name: None)


@pytest.mark.parametrize(
    "words", ["--rows dogits", "--peers numpy", "--peers nnc-cuda", "--parts sizes", "--rounds 0", "--seconds 0"]
)
def test_unknown_arguments_are_refused(words: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        command.parse(words.split())
    assert stopped.value.code == 2


def test_without_a_gpu_nothing_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Of a machine that has one, all are hidden."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert command.main(["--out", str(tmp_path / "gpu.json")]) == 4
    said = capsys.readouterr()
    assert "error[E094" in said.err
    assert "help:" in said.err
    assert "--device cpu" not in said.err
    assert said.err.endswith("nothing was measured: that takes a GPU, and every peer that is asked for\n")
    assert not said.out
    assert not (tmp_path / "gpu.json").exists()


@pytest.mark.usefixtures("made_up_gpu")
def test_without_a_peer_nothing_is_measured(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Each that is missing is named with the command that sets it up, for the driver's CUDA."""
    assert command.main(["--environments", str(tmp_path), "--out", str(tmp_path / "gpu.json")]) == 4
    said = capsys.readouterr().err
    assert f"error: torch cannot be measured: there is no interpreter {tmp_path}/torch/bin/python" in said
    python = tmp_path / "jax" / "bin" / "python"
    assert f"help: python -m venv {tmp_path}/jax && {python} -m pip install --upgrade 'jax[cuda13]' 'numpy'" in said
    assert not (tmp_path / "gpu.json").exists()


@pytest.mark.usefixtures("made_up_gpu")
def test_only_libraries_that_are_needed_are_looked_for(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert command.main(["--peers", "jax", "--parts", "rows", "--environments", str(tmp_path)]) == 4
    assert "torch" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("""echo '{"version": "2.9", "cuda": null, "gpu": null}'""", "torch 2.9 of {python} finds no GPU"),
        ("echo 'ImportError: libcublas' >&2; exit 1", "{python} does not load torch: ImportError: libcublas"),
    ],
)
def test_a_library_that_cannot_use_the_gpu_is_missing(tmp_path: Path, script: str, reason: str) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    answers, (lack,) = requirements.look(["torch"], {"torch": python}, cuda=12)
    assert answers == {}
    assert lack.problem == f"torch cannot be measured: {reason.format(python=python)}"
    assert lack.command == f"{python} -m pip install --upgrade 'torch' 'numpy'"


def test_jax_never_computes_elsewhere() -> None:
    assert worker.environment("jax", 2)["JAX_PLATFORMS"] == "cuda"


@pytest.mark.parametrize("name", [name for name in ROWS if not name.startswith("large")])
def test_every_row_has_a_job(name: str) -> None:
    job = job_of(name)
    assert job.mode == ROWS[name].mode
    assert job.steps % job.batches == 0
    assert job.steps >= 64
    assert job.precision == "float32"


def test_rows_are_those_of_the_goal() -> None:
    assert [name for name in ROWS if name.startswith("large")] == ["large", "large-tf32", "large-bfloat16"]
    assert {row.batch_size for row in ROWS.values() if row.mode == "predict"} == {1, 32, 1024}
    assert goal(job_of("digits").flops()) == 5
    assert goal(job_of("mnist").flops()) == 1.2


def test_precision_goes_into_the_train_section() -> None:
    text = in_precision("train { optimizer = sgd, seed = 1 }", "tf32")
    assert text == "train { precision = tf32, optimizer = sgd, seed = 1 }"


def made_up_figures() -> dict[str, Any]:
    """As the command writes them; none of the numbers was measured."""
    result = Result("digits", 16, notes={"torch-compile": "torch.compile left out 2 CUDA graphs"})
    for peer, seconds in {worker.OWN: 2e-6, "torch": 4e-4, "jax": 5e-5}.items():
        turn = spread([seconds, seconds, 2 * seconds])
        result.rounds[peer] = [{**turn, "samples": 3, "others": 0.0}] * 2
        result.overall[peer] = turn
    result.missing["jax-scan"] = "it computes something else: off by 1.0e-01"
    row = report.record(result, job_of("digits"))
    return {
        "date": "2000-01-01",
        "machine": {"processor": "a made-up processor", "system": "Linux", "python": "3.12.1"},
        "device": command.describe(Driver((13, 0), (GPU,))),
        "versions": {"nnc": "0", "torch": "1"},
        "settings": {"rounds": 2, "seconds": 0.5},
        "ceilings": {
            "size": 8192,
            "matmul": {"float32": {"cublaslt": 5e13, "cublas": 4e13}, "bfloat16": {"cublaslt": 7e14, "cublas": 6e14}},
            "copy_bytes": 1 << 30,
            "copy": 2.5e12,
        },
        "rows": [row],
    }


@pytest.mark.usefixtures("made_up_gpu")
def test_tables_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--show` needs no GPU. 323,584 FLOPs in 2 us are 0.16 TFLOP/s, of 50 that were measured."""
    place = tmp_path / "gpu.json"
    place.write_text(json.dumps(made_up_figures()))
    assert command.main(["--show", str(place)]) == 0
    shown = capsys.readouterr().out
    assert "Measured 2000-01-01: a made-up GPU, sm_90, 80 GiB, driver ? (CUDA up to 13.0); a made-up processor" in shown
    assert "| TFLOP/s, 8192 x 8192 | cublaslt | cublas |" in shown
    assert "| bfloat16 | 700.0 | 600.0 |" in shown
    assert "Copies in its memory: 2,500 GB/s" in shown
    (line,) = [line for line in shown.splitlines() if line.startswith("| digits")]
    assert line == (
        "| digits | 32 | float32 | **2.00** (2.00 .. 3.60) | 400 (400 .. 720) | 50.0 (50.0 .. 90.0) | - "
        "| 25.00 (jax) | 5.0, met | 0.16, 0% |"
    )
    assert "- jax-scan, digits: it computes something else" in shown
    assert "- torch-compile, digits: torch.compile left out 2 CUDA graphs" in shown


def test_a_row_without_nnc_has_no_ratio() -> None:
    figures = made_up_figures()
    (row,) = figures["rows"]
    del row["overall"][worker.OWN], row["ratios"]
    row["missing"][worker.OWN] = "there is no NVIDIA driver"
    (line,) = [line for line in report.tables(figures).splitlines() if line.startswith("| digits")]
    assert line.endswith("| - | 5.0 | - |")


@pytest.mark.usefixtures("made_up_gpu")
def test_what_is_measured_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the measuring itself replaced; a peer that is missing from a row makes the status 1."""
    figures = made_up_figures()
    result = Result("digits", 16, versions={"torch": "1"})
    monkeypatch.setattr(requirements, "ask", lambda library, python: {"version": "1", "gpu": GPU.name})
    monkeypatch.setattr(command, "measure_ceilings", lambda python: figures["ceilings"])
    monkeypatch.setattr(command, "measure_row", lambda name, arguments, pythons: (result, figures["rows"][0]))
    place = tmp_path / "results" / "gpu.json"
    assert command.main(["--rows", "digits", "--out", str(place)]) == 1
    written = json.loads(place.read_text())
    assert written["device"]["name"] == GPU.name
    assert written["libraries"]["jax"]["gpu"] == GPU.name
    assert written["versions"] == {"torch": "1"}
    assert written["date"]
    assert written["rows"] == json.loads(json.dumps(figures["rows"]))
    figures["rows"][0]["missing"] = {}
    assert command.main(["--rows", "digits", "--out", str(place)]) == 0
