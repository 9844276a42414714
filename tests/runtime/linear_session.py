"""A session of a dozen lines, for tests of what is above runtimes: `main = w * x + b`, mean squared error, plain SGD.

It counts rows and steps, and can be told to fail or to be interrupted at a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from nnc.compiler.expr import var
from nnc.compiler.graph import Adaptation, Term, Variable
from nnc.compiler.options import Choice, OutputConfig, TrainConfig
from nnc.compiler.plan import ROWS_FEED, Plan, Program, Signature
from nnc.compiler.types import BATCH, TensorType

ZEROS = Choice("zeros")
SCALAR = TensorType("float64", ())
COLUMN = TensorType("float32", (BATCH, 1))
OUTPUTS = (OutputConfig("main", "main", Choice("mse")),)
ADAPTATION = Adaptation("norm", 0, "norm.mean", "norm.variance", "sum.norm.mean", "sum.norm.variance", 1)


def config(**changes: Any) -> TrainConfig:
    return TrainConfig(**{"optimizer": Choice("sgd", (("learning_rate", 0.1),)), "epochs": 3, "seed": 7, **changes})


def linear_plan(batch_size: int = 4) -> Plan:
    names = {
        "w": "weight", "b": "weight", "norm.mean": "statistic", "norm.variance": "statistic", "step": "scalar",
        "learning_rate_scale": "scalar", "sum.main.loss.0": "accumulator", "sum.main.mae.0": "accumulator",
        "sum.penalty.0": "accumulator", "sum.norm.mean": "accumulator", "sum.norm.variance": "accumulator",
    }  # fmt: skip
    variables = tuple((Variable(name, SCALAR, role, ZEROS), k) for k, (name, role) in enumerate(names.items()))
    fed = (("x", 0), ("target.main", 1), (ROWS_FEED, 2))
    programs = tuple(
        Program(name, feeds, (), (), 0)
        for name, feeds in (
            ("predict", fed[:1]), ("evaluate_step", fed), ("train_step", fed), ("adapt_step", (fed[0], fed[2]))
        )
    )
    mean = var("a0") / var("rows")
    terms = (
        Term("main.loss", "loss", "main", 0.5, ("sum.main.loss.0",), mean),
        Term("main.mae", "metric", "main", 1.0, ("sum.main.mae.0",), mean),
        Term("w_regularizer", "regularizer", "", 1.0, ("sum.penalty.0",), mean),
    )
    out = (Signature("main", COLUMN),)
    return Plan("linear", 7, batch_size, 0, variables, (), programs, (Signature("x", COLUMN),), out, out, terms,
                (ADAPTATION,))


class LinearSession:
    """Follows the protocol; `seen` lists (program, rows) of every run."""

    def __init__(self, batch_size: int = 4, rate: float = 0.1, on_step: Callable[[int], None] | None = None) -> None:
        self.plan = linear_plan(batch_size)
        self.values = {variable.name: np.zeros(()) for variable, _ in self.plan.variables}
        self.values["learning_rate_scale"] = np.ones(())
        self.bound: dict[str, Mapping[str, Any]] = {}
        self.seen: list[tuple[str, tuple[int, ...]]] = []
        self.rate = rate
        self.on_step = on_step
        self.fetched: Any = None

    def bind(self, program: str, feeds: Mapping[str, Any]) -> None:
        assert set(feeds) == {name for name, _ in self.plan.program(program).feeds} - {ROWS_FEED}
        self.bound[program] = dict(feeds)

    def run(self, program: str, rows: Any) -> None:
        assert len(rows)
        for start in range(0, len(rows), self.plan.batch_size):
            self._step(program, rows[start : start + self.plan.batch_size])

    def _step(self, program: str, rows: Any) -> None:
        self.seen.append((program, tuple(int(row) for row in rows)))
        x = self.bound[program]["x"][rows].astype(np.float64)
        if program == "adapt_step":
            self._add("sum.norm.mean", x.sum())
            self._add("sum.norm.variance", np.square(x - self.values["norm.mean"]).sum())
            return
        prediction = self.values["w"] * x + self.values["b"]
        self.fetched = prediction
        if program == "predict":
            return
        error = prediction - self.bound[program]["target.main"][rows]
        self._add("sum.main.loss.0", np.square(error).sum())
        self._add("sum.main.mae.0", np.abs(error).sum())
        self._add("sum.penalty.0", 0.01 * self.values["w"] ** 2 * len(rows))
        if program == "train_step":
            rate = self.rate * self.values["learning_rate_scale"]
            self.values["w"] = self.values["w"] - rate * np.mean(error * x)
            self.values["b"] = self.values["b"] - rate * np.mean(error)
            self._add("step", 1.0)
            if self.on_step is not None:
                self.on_step(int(self.values["step"]))

    def trace(self, program: str, rows: Any) -> Iterator[tuple[tuple[int, ...], tuple[Any, ...]]]:
        self.run(program, rows)
        yield (), ()

    def fetch(self, program: str, name: str) -> Any:
        assert (program, name) == ("predict", "prediction.main")
        return self.fetched

    def read(self, variable: str) -> Any:
        return self.values[variable].copy()

    def write(self, variable: str, value: Any) -> None:
        assert value.dtype == np.float64
        assert value.shape == ()
        self.values[variable] = value.copy()

    def _add(self, name: str, amount: Any) -> None:
        self.values[name] = self.values[name] + amount
