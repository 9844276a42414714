"""nnc with one of its runtimes, on samples that are bound: on a GPU they lie in its memory."""

from __future__ import annotations

import numpy as np

from benchmarks.peers import nnc_peer
from benchmarks.peers.job import Job
from benchmarks.peers.peer import Peer
from nnc.runtime.protocol import Runtime

from .peer import CHECKED_STEPS

_VERSIONS = (
    *("nnc", "numpy", "nvmath-python", "cupy-cuda12x", "cupy-cuda13x", "nvidia-cublas", "nvidia-cublas-cu12"),
    *("nvidia-cuda-nvrtc", "nvidia-cuda-nvrtc-cu12"),
)


class Training(nnc_peer.Training):
    versions: tuple[str, ...] = _VERSIONS

    def __init__(self, job: Job, threads: int, runtime: Runtime) -> None:
        super().__init__(job, threads, runtime)

    def check(self) -> list[float]:
        losses = []
        for rows in self.batches[:CHECKED_STEPS]:
            self.session.run("train_step", rows)
            losses.append(float(self.session.fetch("train_step", "loss")))
        return losses

    def run(self) -> None:
        self.session.run("train_step", self.rows)
        self.session.fetch("train_step", "loss")  # which waits for all steps


class Prediction(Peer):
    """The program behind `model.predict`, without the copies to the GPU and back."""

    versions: tuple[str, ...] = _VERSIONS

    def __init__(self, job: Job, threads: int, runtime: Runtime) -> None:
        super().__init__(job, threads)
        self.session = nnc_peer.session_of(job, runtime)
        self.result = f"prediction.{job.outputs[0].name}"
        dtypes = {i.name: i.type.dtype for i in self.session.plan.inputs}
        self.session.bind("predict", {name: job.arrays[f"input.{name}"].astype(d) for name, d in dtypes.items()})
        self.rows = np.tile(np.arange(job.batches * job.batch_size), job.steps // job.batches)

    def check(self) -> list[float]:
        self.session.run("predict", self.rows[: self.job.batch_size])
        return [float(value) for value in self.session.fetch("predict", self.result).ravel()]

    def run(self) -> None:
        self.session.run("predict", self.rows)
        self.session.fetch("predict", self.result)
