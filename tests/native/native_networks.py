"""Plans with data that fits them, and what compiled C must have in common with the reference runtime."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent.parent / "runtime")]
from oracle import LARGEST, feed_types, is_tame  # noqa: E402
from random_networks import RandomNetwork, random_networks  # noqa: E402

from nnc.commands.sources import bundled_path  # noqa: E402
from nnc.compiler.pipeline import compile_source  # noqa: E402
from nnc.compiler.plan import Plan  # noqa: E402
from nnc.grammar.source import SourceFile  # noqa: E402
from nnc.runtime.native.session import NativeRuntime  # noqa: E402
from nnc.runtime.protocol import Array, Session  # noqa: E402
from nnc.runtime.reference import ReferenceRuntime  # noqa: E402

Feeds = Callable[[str, int], Mapping[str, Array]]       # (program, samples) -> arrays by the name of the feed
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


class NetworkFeeds:
    """A plan, and random samples for its programs; `domains` as in random_networks.py."""

    def __init__(self, plan: Plan, domains: Mapping[str, tuple[str, int]]) -> None:
        self.plan, self._network = plan, RandomNetwork("", "", domains)

    def feeds(self, program: str, samples: int) -> Mapping[str, Array]:
        return self._network.feeds(feed_types(self.plan, program), samples, 7)


@st.composite
def networks(draw: Any) -> NetworkFeeds:
    network = draw(random_networks())
    return NetworkFeeds(compile_source(SourceFile("random.nn", network.text)).plan, network.domains)


def spec_plan(name: str) -> Plan:
    path = bundled_path(name)
    return compile_source(SourceFile(path.name, path.read_text("utf-8"))).plan


def spec_feeds(plan: Plan) -> Feeds:
    """Whole numbers within the plan's bounds, everything else uniform in [0, 1); classes below the output's width."""
    bounds = {bound.input: bound.below for bound in plan.bounds}
    widths = {f"target.{output.name}": output.type.shape[-1] for output in plan.outputs}

    def feeds(program: str, samples: int) -> dict[str, Array]:
        generator = np.random.default_rng(11)
        result = {}
        for name, type in feed_types(plan, program).items():
            shape = type.concrete(samples)
            if type.is_float:
                result[name] = generator.random(shape).astype(type.dtype)
            else:
                below = bounds.get(name) or widths.get(name) or (2 if type.dtype == "bool" else 256)
                result[name] = generator.integers(0, max(int(below), 2), shape).astype(type.dtype)
        return result

    return feeds


def check_against_reference(plan: Plan, feeds: Feeds, steps: int, threads: int = 2) -> None:
    """Compiled C gives what the reference gives."""
    check_session(NativeRuntime(threads).prepare(plan), plan, feeds, steps)


def check_session(native: Any, plan: Plan, feeds: Feeds, steps: int) -> None:
    """Every fetch and every variable after each of some steps, full and ragged, is the reference's.

    A fetch may differ by the tolerance times the largest number of its tensor, or times 1 where that is less. So may a
    variable, in the root mean square. One element of it may also differ by a tenth of the largest change that the step
    made: where a gradient is zero but for rounding (a bias before BatchNormalization, a unit that hardly counts), an
    optimizer that divides by the gradient's size makes whole steps of that rounding. After each step compiled C goes on
    from the reference's variables, so that such differences do not grow.
    """
    reference = ReferenceRuntime().prepare(plan)
    # the sums of a float32 network are float64, but of numbers that were rounded before
    precision = "float32" if any(buffer.type.dtype == "float32" for buffer in plan.buffers) else "float64"
    samples = 2 * plan.batch_size
    for program in plan.programs:
        arrays = feeds(program.name, samples)
        for session in (native, reference):
            session.bind(program.name, arrays)
    for step in range(steps):
        count = (plan.batch_size, max(1, plan.batch_size - 1), 1)[step % 3]
        rows = np.random.default_rng(step).permutation(samples)[:count]
        for program in plan.programs:
            before = {variable.name: reference.read(variable.name) for variable, _ in plan.variables}
            for session in (native, reference):
                session.run(program.name, rows)
            for name, _ in program.fetches:
                wanted = reference.fetch(program.name, name)
                compare(native.fetch(program.name, name), wanted, precision, f"step {step} of {program.name}: {name}")
            for variable, _ in plan.variables:
                wanted = reference.read(variable.name)
                if not is_tame(wanted):
                    return
                label = f"step {step} of {program.name}: {variable.name}"
                change = float(np.max(np.abs(wanted - before[variable.name]), initial=0.0))
                found = native.read(variable.name)
                compare(found, wanted, precision, label, change / 10)
                largest = max(float(np.max(np.abs(wanted), initial=0.0)), 1.0)
                assert np.sqrt(np.mean((found - wanted) ** 2)) <= TOLERANCE[precision] * largest, label
                native.write(variable.name, wanted)


def compare(found: Array, wanted: Array, precision: str, what: str, slack: float = 0.0) -> None:
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape), what
    if wanted.dtype.kind != "f":
        np.testing.assert_array_equal(found, wanted, err_msg=what)
        return
    largest = float(np.max(np.abs(wanted), initial=0.0))
    if not largest < LARGEST:
        return      # the network explodes: no two ways to compute it need agree
    limit = TOLERANCE[precision] * max(largest, 1.0) + slack
    np.testing.assert_allclose(found, wanted, rtol=0, atol=limit, err_msg=what)


def outcome(session: Session, feeds: Feeds, steps: int) -> dict[str, bytes]:
    """Every byte of every variable and fetch after some steps of each program, full and ragged."""
    plan = session.plan
    samples = 2 * plan.batch_size
    result = {}
    for program in plan.programs:
        session.bind(program.name, feeds(program.name, samples))
    for step in range(steps):
        count = (plan.batch_size, max(1, plan.batch_size - 1), 1)[step % 3]
        rows = np.random.default_rng(step).permutation(samples)[:count]
        for program in plan.programs:
            session.run(program.name, rows)
            for name, _ in program.fetches:
                result[f"{step} {program.name} {name}"] = session.fetch(program.name, name).tobytes()
    return result | {variable.name: session.read(variable.name).tobytes() for variable, _ in plan.variables}
