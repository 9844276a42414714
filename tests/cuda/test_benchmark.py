"""benchmarks/gpu: nnc's side of it, on an emulated device, and what PyTorch and JAX compute through the same code.

These two need an interpreter that has them, named by NNC_PEERS_PYTHON; they run on the processor then.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from emulated import needs_compiler
from emulated_device import EmulatedDevice

from benchmarks.gpu import nnc_peer, worker
from benchmarks.gpu.peer import CHECKED_STEPS
from benchmarks.gpu.rows import TOLERANCES, in_precision, on_gpu
from benchmarks.peers.job import Job
from benchmarks.peers.rounds import deviation
from benchmarks.peers.rows import job_from_text
from nnc.runtime.cuda.session import CudaRuntime
from nnc.runtime.reference import ReferenceRuntime

ROOT = Path(__file__).resolve().parents[2]
PEERS_PYTHON = os.environ.get("NNC_PEERS_PYTHON", "")
TWO_OUTPUTS = """
model tiny
input x: float32[30]
input z: float32[2]
h = x -> Dense(40, relu) -> Dense(24, relu)
output y = (h, z) -> Concatenate -> Dense(5, softmax) { loss = sparse_categorical_crossentropy, weight = 0.5 }
output w = h -> Dense(1) { loss = mse }
train { optimizer = OPTIMIZER, batch_size = 8, seed = 3 }
"""
JOBS = [("sgd", "float32"), ("rmsprop", "tf32"), ("adam", "float32"), ("adam", "bfloat16")]

# Run by the peers' interpreter: losses or predictions of each peer for each job, on the processor.
SCRIPT = """
import json, sys
from pathlib import Path
from benchmarks.gpu import worker
from benchmarks.peers.job import load
from benchmarks.peers.peer import MissingError

found = {}
for folder in sys.argv[1:]:
    job = load(Path(folder))
    for peer in worker.PEERS if job.mode == "train" else ("torch", "torch-compile", "jax"):
        try:
            worker.prepare(peer, job, 1)
        except MissingError as missing:
            found.setdefault(peer, {})["on a GPU"] = str(missing)
        made = worker.prepare(peer, job, 1, device="cpu")
        found.setdefault(peer, {})[Path(folder).name] = made.check()
        made.run()
print(json.dumps(found))
"""


def small_job(optimizer: str, precision: str, mode: str = "train") -> Job:
    text = in_precision(TWO_OUTPUTS.replace("OPTIMIZER", optimizer), precision)
    job = on_gpu(job_from_text("tiny", text, mode=mode))
    return replace(job, steps=job.batches)


@needs_compiler
@pytest.mark.parametrize(("optimizer", "precision"), JOBS)
def test_nnc_trains_as_its_reference_does(optimizer: str, precision: str) -> None:
    job = small_job(optimizer, precision)
    expected = nnc_peer.Training(job, 1, ReferenceRuntime()).check()
    trained = nnc_peer.Training(job, 1, CudaRuntime(EmulatedDevice()))
    found = trained.check()
    assert len(found) == CHECKED_STEPS
    assert deviation(found, expected) < 1e-5
    trained.run()
    assert trained.session.fetch("train_step", "loss") != found[-1]


@needs_compiler
def test_nnc_predicts_as_its_reference_does() -> None:
    job = small_job("adam", "float32", "predict")
    expected = nnc_peer.Prediction(job, 1, ReferenceRuntime()).check()
    prediction = nnc_peer.Prediction(job, 1, CudaRuntime(EmulatedDevice()))
    assert len(expected) == job.batch_size * 5
    assert deviation(prediction.check(), expected) < 1e-5
    prediction.run()


@pytest.mark.slow
@pytest.mark.skipif(not PEERS_PYTHON, reason="NNC_PEERS_PYTHON names no interpreter that has PyTorch and JAX")
def test_peers_compute_what_the_reference_does(tmp_path: Path) -> None:
    """On the processor through the same functions as on a GPU; asked for a GPU that is not there, they refuse."""
    expected: dict[str, list[float]] = {}
    for mode, optimizer, precision in [*(("train", *job) for job in JOBS), ("predict", "sgd", "bfloat16")]:
        job = small_job(optimizer, precision, mode)
        name = f"{mode}-{optimizer}-{precision}"
        (tmp_path / name).mkdir()
        job.save(tmp_path / name)
        expected[name] = worker.prepare(worker.ORACLE, job, 1).check()
    command = [PEERS_PYTHON, "-c", SCRIPT, *(str(tmp_path / name) for name in expected)]
    settings = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=settings, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.keys() == worker.PEERS.keys()
    for peer, figures in found.items():
        assert "GPU" in figures["on a GPU"]
        for name, values in figures.items():
            if name != "on a GPU":
                tolerance = TOLERANCES[name.rpartition("-")[2]]
                assert deviation(values, expected[name]) < tolerance, (peer, name, values, expected[name])


def test_a_worker_without_a_gpu_says_why(tmp_path: Path) -> None:
    job = small_job("sgd", "float32")
    job.save(tmp_path)
    command = [sys.executable, "-m", "benchmarks.gpu.worker", str(tmp_path), worker.OWN, "1"]
    settings = {**worker.environment(worker.OWN, 1), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, check=False)
    answer = json.loads(done.stdout)
    assert "driver" in answer["missing"]
