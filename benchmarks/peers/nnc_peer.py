"""nnc, with one of its runtimes."""

from __future__ import annotations

import numpy as np

from nnc.compiler.options import CompileOptions
from nnc.compiler.pipeline import compile_source
from nnc.grammar.diagnostics import NncError
from nnc.grammar.source import SourceFile
from nnc.making import compile as nnc_compile
from nnc.model import Model
from nnc.runtime.protocol import Runtime, Session

from .job import Job
from .peer import CHECKED_STEPS, MissingError, Peer


def _model(job: Job, runtime: str) -> Model:
    try:
        return nnc_compile(text=job.text, batch_size=job.batch_size, runtime=runtime)
    except NncError as error:
        raise MissingError("; ".join(diagnostic.message for diagnostic in error.diagnostics)) from error


def session_of(job: Job, runtime: str | Runtime) -> Session:
    """The job's plan, prepared by a runtime or by that of a name. Raises: MissingError."""
    if isinstance(runtime, str):
        return _model(job, runtime).session
    options = CompileOptions(batch_size=job.batch_size)
    return runtime.prepare(compile_source(SourceFile(f"{job.name}.nn", job.text), options).plan)


class Training(Peer):
    """Steps through the session: many batches in a call where it can do that, or else one."""

    versions = ("nnc", "numpy")

    def __init__(self, job: Job, threads: int, runtime: str | Runtime) -> None:
        super().__init__(job, threads)
        self.session = session_of(job, runtime)
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
