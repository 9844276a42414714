"""nnc, with one of its runtimes."""

from __future__ import annotations

import numpy as np

from nnc.grammar.diagnostics import NncError
from nnc.making import compile as nnc_compile
from nnc.model import Model

from .job import Job
from .peer import CHECKED_STEPS, MissingError, Peer


def _model(job: Job, runtime: str) -> Model:
    try:
        return nnc_compile(text=job.text, batch_size=job.batch_size, runtime=runtime)
    except NncError as error:
        raise MissingError("; ".join(diagnostic.message for diagnostic in error.diagnostics)) from error


class Training(Peer):
    """Steps through the session: many batches in a call where it can do that, or else one."""

    versions = ("nnc", "numpy")

    def __init__(self, job: Job, threads: int, runtime: str) -> None:
        super().__init__(job, threads)
        self.session = _model(job, runtime).session
        plan = self.session.plan
        dtypes = {f"input.{i.name}": i.type.dtype for i in plan.inputs}
        dtypes |= {f"target.{t.name}": t.type.dtype for t in plan.targets}
        feeds = {key.removeprefix("input."): job.arrays[key].astype(dtype) for key, dtype in dtypes.items()}
        self.session.bind("train_step", feeds)
        self.rows = np.tile(np.arange(job.batches * job.batch_size), job.steps // job.batches)
        self.batches = np.split(self.rows, job.steps)

    def check(self) -> list[float]:
        losses = []
        for rows in self.batches[:CHECKED_STEPS]:
            self.session.run("train_step", rows)
            losses.append(float(self.session.fetch("train_step", "loss")))
        return losses

    def run(self) -> None:
        self.session.run("train_step", self.rows)


class Prediction(Peer):
    """`model.predict`, from NumPy arrays to NumPy arrays."""

    versions = ("nnc", "numpy")

    def __init__(self, job: Job, threads: int, runtime: str) -> None:
        super().__init__(job, threads)
        self.model = _model(job, runtime)
        self.batches = [next(iter(job.batch("input", k).values())) for k in range(job.batches)]

    def check(self) -> list[float]:
        return [float(value) for value in np.asarray(self.model.predict(self.batches[0])).ravel()]

    def run(self) -> None:
        predict = self.model.predict
        for _ in range(self.job.steps // self.job.batches):
            for batch in self.batches:
                predict(batch)
