"""Schedules: legal orders with low peaks, found in little more than linear time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from plan_checks import compiled, fused_program, programs_of, variable
from random_models import networks
from random_models import programs_of as programs_of_network
from test_fuse import WIDE_DEEP

from nnc.compiler import schedule as scheduling
from nnc.compiler.builder import Builder
from nnc.compiler.expr import var
from nnc.compiler.fuse import fuse
from nnc.compiler.kernels import FusedProgram
from nnc.compiler.network import Network
from nnc.compiler.schedule import Work, dependencies, schedule
from nnc.compiler.types import BATCH, TensorType
from nnc.compiler.verify_steps import verify_fused

X0, X1 = var("x0"), var("x1")
GOLDEN = Path(__file__).parent / "golden"


def test_an_order_is_as_recorded(golden: Callable[[Path, str], None]) -> None:
    programs = compiled(WIDE_DEEP).scheduled.programs
    lines = []
    for program in programs:
        lines.append(f"{program.name}\n")
        lines += [f"  {step.kernel} @{step.layer}: {', '.join(step.fused)}\n" for step in program.steps]
    golden(GOLDEN / "wide_deep.schedule.txt", "".join(lines))


def peak(program: FusedProgram, batch_size: int) -> int:
    return Work.of(program, batch_size).peak(range(len(program.steps)))


def scheduled(builder: Builder, batch_size: int = 4) -> FusedProgram:
    found = schedule(fuse(programs_of(builder)), batch_size)
    verify_fused(found)
    return found.programs[0]


def test_branches_are_finished_one_by_one() -> None:
    """Eight wide products, each narrowed by another: side by side they would need eight times the bytes of one."""
    weights = [variable(f"w{k}", 2, 64) for k in range(8)] + [variable(f"n{k}", 64, 1) for k in range(8)]
    b = Builder("predict", {v.name: v for v in weights})
    x = b.input("x", TensorType("float32", (BATCH, 2)))
    wide = [b.matmul(x, b.variable(f"w{k}")) for k in range(8)]
    narrow = [b.matmul(y, b.variable(f"n{k}")) for k, y in enumerate(wide)]
    for k, y in enumerate(narrow):
        b.result(f"prediction.{k}", y)
    fused = fused_program(b)
    assert peak(fused, 4) > 8 * 4 * 64 * 4
    assert peak(scheduled(b), 4) < 2 * 4 * 64 * 4


def test_an_overwritten_variable_is_read_first() -> None:
    w = variable("w", 3, 3)
    b = Builder("train_step", {"w": w})
    x = b.input("x", TensorType("float32", (BATCH, 3)))
    b.update(("w",), (b.variable("w"),), (X0 * 2,))
    b.result("prediction.y", b.matmul(x, b.variable("w")))
    program = fused_program(b)
    writer = next(k for k, step in enumerate(program.steps) if step.kernel == "map")
    reader = next(k for k, step in enumerate(program.steps) if step.kernel == "matmul")
    assert reader in dependencies(program)[writer]
    assert [step.kernel for step in scheduled(b).steps] == ["matmul", "map"]


def test_parts_of_a_concatenation_are_waited_for_together() -> None:
    """Many readers of many parts: edges grow with their sum, not with their product."""
    b = Builder("predict", {f"w{k}": variable(f"w{k}", 2, 2) for k in range(30)} | {"n": variable("n", 60, 1)})
    x = b.input("x", TensorType("float32", (BATCH, 2)))
    joined = b.concat([b.matmul(x, b.variable(f"w{k}")) for k in range(30)], 1)
    for k in range(30):
        b.result(f"prediction.{k}", b.matmul(b.map(X0 + k, joined), b.variable("n")))
    before = dependencies(fused_program(b))
    assert sum(map(len, before)) < 200


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(networks())
def test_no_schedule_is_worse_than_the_order_it_came_in(network: Network) -> None:
    batch_size = network.train.batch_size
    assert isinstance(batch_size, int)
    fused = fuse(programs_of_network(network))
    found = schedule(fused, batch_size)
    verify_fused(found)
    for before, after in zip(fused.programs, found.programs, strict=True):
        assert sorted(map(str, before.steps)) == sorted(map(str, after.steps))
        candidates = Work.of(before, batch_size)
        orders = (scheduling._program_order(candidates), scheduling._greedy_order(candidates))
        assert peak(after, batch_size) == min(map(candidates.peak, orders))


def test_equal_programs_have_equal_schedules() -> None:
    fused = compiled(WIDE_DEEP).fused
    assert str(schedule(fused, 8)) == str(schedule(fused, 8))
