"""`nnc doctor`: what it finds, what it tries, what it says of what is missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from nnc.cli import main
from nnc.runtime.cuda import driver as cuda_driver
from nnc.runtime.cuda import probe as cuda_probe
from nnc.runtime.cuda import trial
from nnc.runtime.cuda.driver import Gpu
from nnc.runtime.cuda.probe import Probe
from nnc.runtime.cuda.refusals import device_fails
from nnc.runtime.finding import Finding
from nnc.runtime.native import probe as native_probe
from nnc.runtime.native.toolchain import Toolchain, find_toolchain

ROOT = Path(__file__).resolve().parents[2]
L4 = Gpu("NVIDIA L4", (8, 9), 24 << 30, 58)
SUBJECTS = ["Python", "processor", "NumPy", "cache", "C compiler"]
GPU_SUBJECTS = ["driver", "GPU", "CuPy", "NVRTC", "cuBLASLt", "kernel", "trial"]
LACKING = Probe(
    (
        Finding("driver", "", "there is no NVIDIA driver", remedies=("install it",), code="E0940"),
        Finding("GPU", untried="the driver is what finds it"),
        Finding("CuPy", "", "CuPy is not installed", remedies=("pip install 'nnc[cuda13]'",), code="E0942"),
        Finding("NVRTC", untried="it is found through CuPy"),
    ),
    None,
)
READY = Probe(tuple(Finding(name, "there") for name in GPU_SUBJECTS[:5]), L4)


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_probe, "probe", lambda: LACKING)


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_probe, "probe", lambda: READY)
    tries = {"try_compiler": lambda: Finding("kernel", "compiled"), "try_gpu": lambda: trial.try_gpu(L4)}
    monkeypatch.setattr(trial, "in_own_process", lambda name: tries[name]())


def test_it_names_what_is_missing_and_what_mends_it(lacking: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    for words in ("missing   driver", "-> install it", "-> pip install 'nnc[cuda13]'", "not tried NVRTC"):
        assert words in text
    assert text.endswith("`--device gpu` does not work: there is no NVIDIA driver; CuPy is not installed\n")


def test_exit_4_only_if_a_gpu_was_asked_for(lacking: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--device", "gpu"]) == 4
    assert main(["doctor", "--device", "cpu"]) == 0
    assert "driver" not in capsys.readouterr().out.rpartition("nnc ")[2]


def test_json(lacking: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json", "--device", "gpu"]) == 4
    facts = json.loads(capsys.readouterr().out)
    assert [finding["subject"] for finding in facts["cpu"]["findings"]] == SUBJECTS
    assert [finding["subject"] for finding in facts["gpu"]["findings"]] == [*GPU_SUBJECTS[:4], "kernel", "trial"]
    assert facts["gpu"]["works"] is False
    assert facts["gpu"]["findings"][0] | {"status": "missing", "code": "E0940"} == facts["gpu"]["findings"][0]
    expected = "native" if find_toolchain().toolchain is not None else "reference"
    assert facts["cpu"] | {"works": True, "runtime": expected} == facts["cpu"]


def test_with_everything_it_runs_a_kernel(
    ready: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(trial, "_started", lambda: StandIn(np.arange(32, dtype=np.float32) * 3 + 1))
    assert main(["doctor", "--device", "gpu"]) == 0
    text = capsys.readouterr().out
    assert "ok        trial       a kernel ran and is right" in text
    assert "`--device gpu` works\n" in text


class StandIn:
    """A stand-in for a device, whose kernels leave `result`, or that fails."""

    total_bytes = 24 << 30

    def __init__(self, result: np.ndarray | None) -> None:
        self._result = result

    def allocate(self, size: int) -> int:
        if self._result is None:
            raise device_fails("NVIDIA L4", "allocating memory", "cudaErrorECCUncorrectable: uncorrectable ECC error")
        return 64

    def free_bytes(self) -> int:
        return 20 << 30

    def download(self, array: np.ndarray, address: int) -> None:
        array[:] = self._result

    def load(self, text: str, name: str, macros: dict[str, int]) -> StandIn:
        return self

    def ignore(self, *arguments: object) -> None:
        pass

    upload = launch = free = ignore


def test_a_gpu_that_is_wrong_is_found_out(
    ready: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = np.arange(32, dtype=np.float32) * 3 + 1
    found = trial.try_gpu(L4, lambda: StandIn(right))
    assert found.status == "ok"
    assert found.found.endswith("20.0 of 24.0 GiB are free")
    right[7] += 1
    monkeypatch.setattr(trial, "_started", lambda: StandIn(right))
    assert main(["doctor", "--device", "gpu"]) == 4
    assert "NVIDIA L4 computes wrong numbers" in capsys.readouterr().out


def test_a_gpu_that_fails_is_found_out(ready: None) -> None:
    found = trial.try_gpu(L4, lambda: StandIn(None))
    assert (found.status, found.code) == ("wrong", "E0947")
    assert "uncorrectable ECC error" in found.notes[0]


@pytest.mark.parametrize(
    ("script", "status", "words"),
    [
        ("kill -SEGV $$", "wrong", "signal 11 (Segmentation fault)"),
        ("echo CUDA is lost >&2; exit 3", "wrong", "exit code 3"),
        ("exec sleep 20", "wrong", "no answer within 0.5 seconds"),
        ("""echo '{"subject": "trial", "found": "fine", "notes": ["a", "b"]}'""", "ok", ""),
    ],
)
def test_a_driver_that_ends_or_hangs_a_process(
    script: str, status: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(trial, "TIMEOUT_SECONDS", 0.5)
    found = trial.in_own_process("try_gpu")
    assert (found.subject, found.status) == ("trial", status)
    assert words in found.problem
    if "lost" in script:
        assert found.notes == ("CUDA is lost",)


def test_the_other_process_tells_what_it_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(trial, "ask_driver", lambda: None)
    monkeypatch.setattr(trial, "try_compiler", lambda gpu: Finding("kernel", f"compiled for {gpu}", notes=("x",)))
    trial.tell("try_compiler")
    told = json.loads(capsys.readouterr().out)
    assert told | {"found": "compiled for None", "notes": ["x"]} == told


# --- the processor ----------------------------------------------------------------------------------------------------
def test_the_processor_of_this_machine_works() -> None:
    findings = native_probe.probe()
    assert [finding.subject for finding in findings] == SUBJECTS
    assert [finding.status for finding in findings[:3]] == ["ok"] * 3
    assert np.__version__ in findings[2].found


def test_the_compiler_is_tried_and_not_only_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that makes no library of what it is given, and one whose libraries compute something else."""
    for script, words in (("exit 3", "exit code 3"), ('echo no > "${o}"', "do not load")):
        path = tmp_path / "cc.sh"
        path.write_text(f'while [ "$1" != -o ]; do shift; done; o="$2"\n{script}\n')
        toolchain = Toolchain(("sh", str(path)), "cc 1.0", (), "any")
        found = mock.Mock(toolchain=toolchain)
        monkeypatch.setattr(native_probe, "find_toolchain", lambda found=found: found)
        finding = native_probe.probe()[-1]
        assert finding.status == "wrong"
        assert words in finding.problem, finding


@pytest.mark.skipif(find_toolchain().toolchain is None, reason="no C compiler")
def test_wrong_numbers_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_probe, "_PROGRAM", "double trial(double x) { return x; }\n")
    assert native_probe.probe()[-1].problem == "what it compiles computes wrong numbers"


def test_without_a_compiler_the_reference_works(lacking: None, tmp_path: Path) -> None:
    environment = {**os.environ, "CC": "no-such-compiler", "PYTHONPATH": str(ROOT), "NNC_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "nnc", "doctor", "--device", "cpu"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "missing   C compiler" in done.stdout
    assert "set CC to a compiler that works" in done.stdout
    assert "with the runtime reference, NumPy, alone" in done.stdout


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("NNC_CACHE_DIR", str(tmp_path / "file" / "cache"))
    cache = native_probe.probe()[3]
    assert cache.status == "wrong"
    assert "NNC_CACHE_DIR" in cache.remedies[0]


def test_gpus_on_the_bus_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_driver, "_PCI", tmp_path)
    assert cuda_driver.pci_gpus() is None
    for name, vendor, kind in (("a", "0x10de", "0x030200"), ("b", "0x10de", "0x068000"), ("c", "0x8086", "0x030000")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "vendor").write_text(f"{vendor}\n")
        (tmp_path / name / "class").write_text(f"{kind}\n")
    assert cuda_driver.pci_gpus() == 1
