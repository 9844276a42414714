"""`--device`, `device=` and NNC_RUNTIME: which runtime is taken, what is said of it, and never another in silence."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

import nnc
from nnc import runtimes
from nnc.cli import main
from nnc.grammar.diagnostics import NncError, ToolchainError, UsageError
from nnc.runtime.cuda import probe as cuda_probe
from nnc.runtime.cuda.driver import Driver, Gpu, ask_driver
from nnc.runtime.cuda.probe import Probe, require_gpu
from nnc.runtime.finding import Finding
from nnc.runtimes import Execution

ROOT = Path(__file__).resolve().parents[2]
H100 = Gpu("NVIDIA H100 80GB HBM3", (9, 0), 80 << 30, 132)
READY = Probe((Finding("driver", "NVIDIA's"), Finding("GPU", H100.name)), H100)
LACKING = Probe((Finding("driver", "", "there is no NVIDIA driver", code="E0940"), Finding("GPU", untried="...")), None)
SPEC = """
nn 1
model tiny
input x: float32[2]
output y = x -> Dense(1) { loss = mse }
train { batch_size = 4, epochs = 1 }
data { table = csv("rows.csv"), x = table[a, b], y = table[y] }
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runtimes, "_told", set())
    rows = "\n".join(f"{k},{k % 3},{k / 4}" for k in range(12))
    (tmp_path / "rows.csv").write_text(f"a,b,y\n{rows}\n")
    (tmp_path / "tiny.nn").write_text(SPEC)
    return tmp_path


def found(monkeypatch: pytest.MonkeyPatch, probe: Probe) -> None:
    """Let the probe find this, whatever machine the test runs on."""
    monkeypatch.setattr(cuda_probe, "probe", lambda: probe)


# --- which runtime it is ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("execution", "environment", "expected"),
    [
        (Execution(), "reference", "reference"),
        (Execution(), "cuda", "cuda"),
        (Execution(device="cpu"), "reference", "reference"),
        (Execution("reference"), "cuda", "reference"),
        (Execution("reference", "auto"), "cuda", "reference"),
        (Execution("cuda"), "reference", "cuda"),
        (Execution(device="gpu"), "reference", "cuda"),
        (Execution(device="auto"), "reference", "cuda"),
        (Execution("cuda", "gpu"), "native", "cuda"),
    ],
    ids=str,
)
def test_what_is_named_goes_before_the_environment(
    execution: Execution, environment: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found(monkeypatch, READY)
    monkeypatch.setenv("NNC_RUNTIME", environment)
    assert execution.open().name == expected


def test_the_processor_stays_the_processor_under_a_runtime_for_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNC_RUNTIME", "cuda")
    assert Execution(device="cpu").open().name in ("native", "reference")


@pytest.mark.parametrize(
    ("execution", "code"),
    [
        (Execution("native", "gpu"), "E0826"),
        (Execution("reference", "gpu"), "E0826"),
        (Execution("cuda", "cpu"), "E0826"),
        (Execution(device="tpu"), "E0826"),
        (Execution("gpu"), "E0823"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(execution: Execution, code: str) -> None:
    with pytest.raises(UsageError, match=code):
        execution.open()


def test_a_wrong_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNC_RUNTIME", "gpu")
    with pytest.raises(UsageError, match=r"E0823.*from NNC_RUNTIME"):
        Execution().open()


# --- what is said -----------------------------------------------------------------------------------------------------
def test_auto_says_once_which_gpu_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, READY)
    monkeypatch.setattr(runtimes, "_told", set())
    warnings, notes = mock.Mock(), mock.Mock()
    for _ in range(2):
        assert Execution(device="auto").open(warnings, notes).name == "cuda"
    notes.assert_called_once_with("device auto: the GPU NVIDIA H100 80GB HBM3, since all that it needs is there")
    warnings.assert_not_called()


def test_auto_says_why_it_took_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, LACKING)
    monkeypatch.setattr(runtimes, "_told", set())
    monkeypatch.setenv("NNC_RUNTIME", "reference")
    warnings = mock.Mock()
    assert Execution(device="auto").open(warnings).name == "reference"
    text = warnings.call_args.args[0]
    assert "the processor (runtime reference), since there is no NVIDIA driver" in text


def test_the_command_line_tells_on_stderr(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found(monkeypatch, LACKING)
    assert main(["run", "tiny.nn", "--device", "auto"]) == 0
    assert "nnc: device auto: the processor (runtime reference), since there is no" in capsys.readouterr().err


def test_python_warns(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, LACKING)
    with pytest.warns(RuntimeWarning, match="device auto: the processor"):
        nnc.compile("tiny.nn", device="auto")


# --- no silent run on the processor -----------------------------------------------------------------------------------
def test_without_a_gpu_nothing_is_computed(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "tiny.nn"]) == 0
    model = (here / "tiny.safetensors").read_bytes()
    capsys.readouterr()
    found(monkeypatch, LACKING)
    np.save("x.npy", np.zeros((3, 2), np.float32))
    predict = ["predict", "tiny.safetensors", "--input", "@x.npy", "-o", "answers.csv", "--device", "gpu"]
    run, evaluate = ["run", "tiny.nn", "--runtime", "cuda"], ["evaluate", "tiny.safetensors", "--device", "gpu"]
    for command in (run, evaluate, predict):
        assert main(command) == ToolchainError.exit_code == 4
        out, err = capsys.readouterr()
        assert "E0940" in err
        assert out == ""
    assert (here / "tiny.safetensors").read_bytes() == model
    assert not (here / "answers.csv").exists()
    for make in (lambda: nnc.compile("tiny.nn", device="gpu"), lambda: nnc.load("tiny.safetensors", runtime="cuda")):
        with pytest.raises(ToolchainError, match="E0940"):
            make()


def test_cupy_is_imported_only_for_a_gpu(here: Path) -> None:
    """A CuPy that leaves a trace when it is imported."""
    (here / "cupy.py").write_text("open('imported', 'w').close()\nraise ImportError('a stand-in')\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(ROOT)]), "NNC_RUNTIME": "reference"}
    for device, is_imported in ((None, False), ("cpu", False), ("auto", True)):
        call = f"import nnc; nnc.compile('tiny.nn', device={device!r}).fit(verbose=False)"
        subprocess.run([sys.executable, "-W", "ignore", "-c", call], env=environment, check=True)
        assert (here / "imported").exists() == is_imported, device


# --- the driver -------------------------------------------------------------------------------------------------------
STAND_IN = """
#include <stdio.h>
#include <stdlib.h>
static int number(const char *name) { const char *text = getenv(name); return text ? atoi(text) : 0; }
int cuDriverGetVersion(int *version) { *version = number("CUDA"); return 0; }
int cuInit(unsigned flags) { return number("INIT"); }
int cuDeviceGetCount(int *count) { *count = number("GPUS"); return 0; }
int cuDeviceGet(int *device, int index) { *device = index; return 0; }
int cuDeviceGetName(char *name, int length, int device) { snprintf(name, length, "GPU %d", device); return 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = (size_t)24 << 30; return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
  *value = attribute == 75 ? 8 : attribute == 76 ? 9 : attribute == 16 ? 58 : -1; return 0;
}
int cuGetErrorName(int code, const char **text) { *text = "CUDA_ERROR_NO_DEVICE"; return 0; }
int cuGetErrorString(int code, const char **text) { *text = "no CUDA-capable device is detected"; return 0; }
"""


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with the driver's name that says what the environment tells it to."""
    if shutil.which("gcc") is None or sys.platform != "linux":
        pytest.skip("the stand-in for the driver is compiled by gcc, for Linux")
    folder = tmp_path_factory.mktemp("driver")
    (folder / "cuda.c").write_text(STAND_IN)
    command = ["gcc", "-shared", "-fPIC", "-w", "-o", str(folder / "libcuda.so.1"), str(folder / "cuda.c")]
    subprocess.run(command, check=True)
    return folder


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ({"CUDA": "12080", "GPUS": "2"},
         Driver((12, 8), tuple(Gpu(name, (8, 9), 24 << 30, 58) for name in ("GPU 0", "GPU 1")))),
        ({"CUDA": "13000"}, Driver((13, 0))),
        ({"CUDA": "13000", "INIT": "100"},
         Driver((13, 0), problem="CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected")),
    ],
)  # fmt: skip
def test_the_driver_is_asked_through_its_library(says: dict[str, str], expected: Driver, stand_in: Path) -> None:
    code = "from nnc.runtime.cuda.driver import *; print(repr(ask_driver()))"
    paths = {"LD_LIBRARY_PATH": str(stand_in), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **paths, **says}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == repr(expected)


def test_a_machine_without_a_driver_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnc.runtime.cuda.driver.LIBRARY", "libcuda-that-is-not-there.so.1")
    assert ask_driver() is None


def test_every_lack_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lacks = (Finding("driver", "", "no driver", code="E0940"), Finding("CuPy", "", "no CuPy", code="E0942"))
    found(monkeypatch, Probe(lacks, None))
    with pytest.raises(NncError) as error:
        require_gpu()
    assert [problem.code for problem in error.value.diagnostics] == ["E0940", "E0942"]
