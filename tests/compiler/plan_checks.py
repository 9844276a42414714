"""From programs to a plan in one call, and the plan run beside the op graphs it came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnc.compiler.builder import Builder
from nnc.compiler.evaluate import evaluate
from nnc.compiler.fuse import fuse
from nnc.compiler.graph import Programs, Variable
from nnc.compiler.kernels import FusedProgram, FusedPrograms
from nnc.compiler.memory import plan_memory
from nnc.compiler.options import Choice
from nnc.compiler.pipeline import Compiled, compile_source
from nnc.compiler.plan import ROWS_FEED, Bound, Plan, Step
from nnc.compiler.schedule import schedule
from nnc.compiler.types import TensorType
from nnc.compiler.verify import verify_plan
from nnc.compiler.verify_steps import verify_fused
from nnc.grammar.source import SourceFile
from nnc.runtime.reference import ReferenceRuntime

Array = np.ndarray[Any, Any]


def compiled(text: str) -> Compiled:
    return compile_source(SourceFile("sample.nn", text), verify=True)


def variable(name: str, *shape: int, dtype: str = "float32", role: str = "weight") -> Variable:
    return Variable(name, TensorType(dtype, shape), role, Choice("ones"))


def programs_of(builder: Builder) -> Programs:
    """One graph made by hand, with its variables."""
    return Programs((builder.build(),), tuple(builder.variables.values()), ())


def fused_program(builder: Builder) -> FusedProgram:
    """The one program of a graph made by hand, verified."""
    fused = fuse(programs_of(builder))
    verify_fused(fused)
    return fused.programs[0]


def planned(programs: Programs, batch_size: int, bounds: tuple[Bound, ...] = ()) -> tuple[FusedPrograms, Plan]:
    """Scheduled steps and plan, every stage verified."""
    fused = fuse(programs)
    verify_fused(fused)
    scheduled = schedule(fused, batch_size)
    verify_fused(scheduled)
    plan = plan_memory(scheduled, model="sample", seed=3, batch_size=batch_size, bounds=bounds)
    verify_plan(plan)
    return scheduled, plan


def step_that_updates(program: FusedProgram, name: str) -> Step:
    (found,) = [step for step in program.steps if f"update of {name}" in step.fused]
    return found


def kernels(program: FusedProgram) -> list[str]:
    return [step.kernel for step in program.steps]


def check_plan(programs: Programs, plan: Plan, rtol: float = 1e-7, atol: float = 1e-9) -> None:
    """Assert that each program, run on a whole batch and on a ragged one, gives what its graph means."""
    session = ReferenceRuntime().prepare(plan)
    rng = np.random.default_rng(0)
    for graph in programs.graphs:
        feeds = _feeds(plan, graph.program, rng)
        session.bind(graph.program, feeds)
        for count in (plan.batch_size, max(1, plan.batch_size // 2)):
            rows = rng.permutation(2 * plan.batch_size)[:count]
            before = {v.name: session.read(v.name) for v, _ in plan.variables}
            session.run(graph.program, rows)
            batch = {name: array[rows] for name, array in feeds.items()}
            results, after = evaluate(graph, batch, before, plan.seed, count)
            found = {name: session.fetch(graph.program, name) for name in results}
            _compare(graph.program, found, results, rtol, atol)
            _compare(graph.program, {name: session.read(name) for name in after}, after, rtol, atol)


def _compare(program: str, found: Mapping[str, Array], wanted: Mapping[str, Array], rtol: float, atol: float) -> None:
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=rtol, atol=atol, err_msg=f"{program}: {name}")


def _feeds(plan: Plan, program: str, rng: np.random.Generator) -> dict[str, Array]:
    feeds = {}
    for name, id in plan.program(program).feeds:
        type = plan.buffers[id].type
        if name == ROWS_FEED:
            continue
        shape = type.concrete(2 * plan.batch_size)
        drawn = rng.uniform(0.1, 0.9, shape) if type.is_float else rng.integers(0, 2, shape)
        feeds[name] = np.array(drawn, type.dtype)
    return feeds


