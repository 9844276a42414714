"""`precision = tf32` where there is no TF32: processors compute in float32 and say so, once; a GPU is told nothing."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

import nnc
from nnc import runtimes
from nnc.cli import main
from nnc.runtimes import tell_precision

SPEC = """
nn 1
model tiny
input x: float32[2]
output y = x -> Dense(3, tanh) -> Dense(1) { loss = mse }
train { batch_size = 4, epochs = 2, precision = PRECISION }
data { table = csv("rows.csv"), x = table[a, b], y = table[y] }
"""
NATIVE = pytest.param("native", marks=pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runtimes, "_told", set())
    rows = "\n".join(f"{k},{k % 3},{k / 4}" for k in range(12))
    (tmp_path / "rows.csv").write_text(f"a,b,y\n{rows}\n")
    for precision in ("float32", "tf32"):
        (tmp_path / f"{precision}.nn").write_text(SPEC.replace("PRECISION", precision))
    return tmp_path


def remark(runtime: str) -> str:
    return f"`precision = tf32` rounds on a GPU alone; the runtime {runtime} computes products in float32"


@pytest.mark.parametrize("runtime", ["reference", NATIVE])
def test_every_command_that_runs_says_so_once(here: Path, capsys: pytest.CaptureFixture[str], runtime: str) -> None:
    for command in (
        ["run", "tf32.nn", "-o", "tiny.safetensors"],
        ["evaluate", "tiny.safetensors"],
        ["predict", "tiny.safetensors", "--input", "@rows.csv"],
    ):
        runtimes._told.clear()
        assert main([*command, "--runtime", runtime]) == 0
        assert capsys.readouterr().err.count(f"nnc: {remark(runtime)}\n") == 1, command


def test_float32_is_no_matter_for_a_remark(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "float32.nn", "--runtime", "reference"]) == 0
    assert "precision" not in capsys.readouterr().err


@pytest.mark.parametrize("runtime", ["reference", NATIVE])
def test_the_processor_computes_as_in_float32(here: Path, runtime: str) -> None:
    answers = []
    for precision in ("float32", "tf32"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            model = nnc.compile(f"{precision}.nn", runtime=runtime)
        model.fit(verbose=0)
        answers.append(model.predict(x=np.ones((3, 2), np.float32)))
    np.testing.assert_array_equal(*answers)


def test_python_warns_once(here: Path) -> None:
    with pytest.warns(RuntimeWarning, match="computes products in float32"):
        nnc.compile("tf32.nn", runtime="reference")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nnc.compile("tf32.nn", runtime="reference")


def test_a_gpu_is_told_nothing() -> None:
    warn, runtime = mock.Mock(), mock.Mock()
    runtime.name = "cuda"
    tell_precision(runtime, "tf32", warn)
    warn.assert_not_called()
