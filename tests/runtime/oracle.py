"""Runs a plan on the reference runtime beside the op graph it came from, and compares everything after each step."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from nnc.compiler.evaluate import evaluate
from nnc.compiler.graph import Graph
from nnc.compiler.pipeline import Compiled, compile_source
from nnc.compiler.plan import ROWS_FEED, Plan
from nnc.compiler.types import TensorType
from nnc.grammar.source import SourceFile
from nnc.runtime.protocol import Array, Session
from nnc.runtime.reference import ReferenceRuntime

TOLERANCE = {"float32": 1e-4, "float64": 1e-10}
LARGEST = 1e4    # numbers beyond this say that the network explodes: no two ways to compute it need agree

Feeds = Callable[[Mapping[str, TensorType], int], Mapping[str, Array]]


def compile_text(text: str) -> Compiled:
    return compile_source(SourceFile("network.nn", text), verify=True)


def check(compiled: Compiled, feeds: Feeds, dtype: str, steps: int = 3, follow: bool = True) -> None:
    """Assert that every program gives what its graph means, for full and ragged batches.

    feeds: arrays of some samples for the feeds of a program. follow: after each step the plan goes on from the oracle's
    variables, so that rounding does not add up; else both go their own ways.
    """
    plan = compiled.plan
    session = ReferenceRuntime().prepare(plan)
    samples = 2 * plan.batch_size
    bound = {graph.program: feeds(feed_types(plan, graph.program), samples) for graph in compiled.simplified.graphs}
    for program, arrays in bound.items():
        session.bind(program, arrays)
    variables = {variable.name: session.read(variable.name) for variable, _ in plan.variables}
    for step in range(steps):
        count = (plan.batch_size, max(1, plan.batch_size - 1), 1)[step % 3]
        rows = np.random.default_rng(step).permutation(samples)[:count]
        for graph in compiled.simplified.graphs:
            batch = {name: array[rows] for name, array in bound[graph.program].items()}
            results, variables = evaluate(graph, batch, variables, plan.seed, count)
            session.run(graph.program, rows)
            if not all(is_tame(value) for value in (*results.values(), *variables.values())):
                return
            compare(session, graph, results, variables, TOLERANCE[dtype])
            for name, value in variables.items() if follow else ():
                session.write(name, value)


def compare(
    session: Session, graph: Graph, results: Mapping[str, Array], variables: Mapping[str, Array], tolerance: float
) -> None:
    for name, wanted in results.items():
        found = session.fetch(graph.program, name)
        label = f"{graph.program}: {name}"
        assert found.dtype == wanted.dtype, label
        np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance, err_msg=label)
    for name, wanted in variables.items():
        label = f"{graph.program}: variable {name}"
        np.testing.assert_allclose(session.read(name), wanted, rtol=tolerance, atol=tolerance, err_msg=label)


def feed_types(plan: Plan, program: str) -> dict[str, TensorType]:
    return {name: plan.buffers[buffer].type for name, buffer in plan.program(program).feeds if name != ROWS_FEED}


def is_tame(value: Array) -> bool:
    return bool(np.all(np.abs(value.astype(np.float64)) < LARGEST))
