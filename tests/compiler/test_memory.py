"""Memory: nothing overlaps, little is lost, and a bound is kept or refused with reasons."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plan_checks import compiled, planned, programs_of, variable
from random_models import networks
from random_models import programs_of as programs_of_network

from nnc.compiler.bounds import input_bounds
from nnc.compiler.builder import Builder
from nnc.compiler.expr import var
from nnc.compiler.memory import plan_memory
from nnc.compiler.network import Network
from nnc.compiler.options import CompileOptions
from nnc.compiler.pipeline import compile_source
from nnc.compiler.plan import Plan
from nnc.compiler.planning import first_fit
from nnc.compiler.planning.budget import LARGEST_BATCH, largest_batch
from nnc.compiler.planning.lifetimes import lifetimes, program_lower_bound
from nnc.compiler.planning.placement import place
from nnc.compiler.planning.tenants import Tenant, alignment, lower_bound
from nnc.compiler.types import BATCH, TensorType
from nnc.grammar.diagnostics import BudgetError, UsageError
from nnc.grammar.source import SourceFile

SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*.nn"))
X0, X1 = var("x0"), var("x1")
WIDE = """
input x: float32[100]
hidden = x -> Dense(64, relu)
output y = hidden -> Dense(1) { loss = mse }
train { optimizer = sgd(learning_rate = 0.01), batch_size = 256 }
"""

BRANCHES = """
input x: float32[3]
a = x -> Dense(9, relu) -> Dense(2)
b = x -> Dense(2, tanh) -> Dense(7, relu) -> Dense(2)
c = (x -> Dense(5, sigmoid), b) -> Concatenate -> Dense(2)
output y = a + b + c -> Dense(1) { loss = mse }
"""


# --- bounds ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_bundled_specs_stay_within_a_tenth_of_the_lower_bound(spec: Path) -> None:
    found = compile_source(SourceFile(spec.name, spec.read_text("utf-8"), spec), verify=True)
    for program, placed in zip(found.scheduled.programs, found.plan.programs, strict=True):
        bound = program_lower_bound(program, found.plan.batch_size)
        assert bound <= placed.peak_bytes <= 1.1 * bound


@settings(max_examples=500, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(networks(layers=12, widest=40))
def test_random_networks_stay_within_a_tenth_of_the_lower_bound(network: Network) -> None:
    batch_size = network.train.batch_size
    assert isinstance(batch_size, int)
    scheduled, plan = planned(programs_of_network(network), batch_size, input_bounds(network))
    for program, placed in zip(scheduled.programs, plan.programs, strict=True):
        assert placed.peak_bytes <= 1.1 * program_lower_bound(program, batch_size)
    assert plan.arena_bytes <= 1.1 * max(p.peak_bytes for p in plan.programs) + _unused_bytes(plan)


def _unused_bytes(plan: Plan) -> int:
    """Variables that the hungriest program does not touch lie in the arena all the same."""
    return sum(v.type.size_bytes(1) for v, _ in plan.variables)


def test_the_lower_bound_is_what_is_live_at_once() -> None:
    tenants = (Tenant(100, 0, 1, 4), Tenant(50, 1, 2, 4), Tenant(70, 2, 3, 4))
    assert lower_bound(tenants) == 150
    assert lower_bound(()) == 0


tenants = st.builds(
    lambda size, first, length: Tenant(size, first, first + length, alignment(size, 4)),
    st.integers(1, 500).map(lambda n: 4 * n), st.integers(0, 20), st.integers(0, 10),
)  # fmt: skip


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(tenants, max_size=40))
def test_packings_never_overlap(found: list[Tenant]) -> None:
    offsets, extent = place(found)
    assert extent >= lower_bound(found)
    for k, (offset, tenant) in enumerate(zip(offsets, found, strict=True)):
        assert 0 <= offset <= extent - tenant.size
        assert offset % tenant.alignment == 0
        for other_offset, other in zip(offsets[:k], found[:k], strict=True):
            together = tenant.first <= other.last and other.first <= tenant.last
            apart = offset + tenant.size <= other_offset or other_offset + other.size <= offset
            assert apart or not together


def test_a_chain_of_any_widths_needs_no_more_than_its_two_widest_neighbours() -> None:
    widths = [64 * (k * 31 % 57 + 1) for k in range(300)]
    lives = [Tenant(width, k, k + 1, 64) for k, width in enumerate(widths)]
    assert place(lives)[1] <= 1.01 * lower_bound(lives)
    both_ways = lives + [Tenant(width, k, 600 - k, 64) for k, width in enumerate(widths)]
    assert place(both_ways)[1] <= 1.01 * lower_bound(both_ways)


def test_many_tenants_are_packed_without_comparing_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> object:
        raise AssertionError("quadratic")

    monkeypatch.setattr(first_fit, "_neighbours", refused)
    kept = [Tenant(64 * (k * 7919 % 97 + 1), 2 * k, 20_000 - 2 * k, 64) for k in range(5000)]
    passing = [Tenant(64 * (k * 31 % 57 + 1), k, k + 2, 64) for k in range(20_000)]
    assert place(kept + passing)[1] <= 1.1 * lower_bound(kept + passing)


def test_many_tenants_few_of_which_meet_are_packed_tightly() -> None:
    passing = [Tenant(64 * (k * 31 % 57 + 1), k, k + 2, 64) for k in range(20_000)]
    assert place(passing)[1] <= 1.1 * lower_bound(passing)


# --- in place -------------------------------------------------------------------------------------------------------
def softmax_kernel(b: Builder) -> int:
    x = b.input("x", TensorType("float32", (BATCH, 4)))
    product = b.matmul(x, b.variable("w"))
    return b.map(X0 / X1, product, b.reduce("sum", product, (1,)))


def test_a_map_writes_over_an_operand_that_dies_there() -> None:
    b = Builder("predict", {"w": variable("w", 4, 4)})
    b.result("prediction.y", softmax_kernel(b))
    scheduled, plan = planned(programs_of(b), 8)
    lives = lifetimes(scheduled.programs[0], 8)
    assert len(lives.tenants) == 2
    places = [plan.buffers[id].offset for step in plan.programs[0].steps for id, _ in step.body.stores]
    assert places[0] == places[1]


def test_a_map_does_not_write_over_what_is_read_later() -> None:
    b = Builder("predict", {"w": variable("w", 4, 4)})
    y = softmax_kernel(b)
    b.result("prediction.y", y)
    b.result("prediction.z", b.matmul(b.nodes[y].inputs[0], b.variable("w")))
    scheduled, _ = planned(programs_of(b), 8)
    assert len(lifetimes(scheduled.programs[0], 8).tenants) == 4


def test_variables_have_places_of_their_own_and_programs_share_the_rest() -> None:
    plan = compiled(WIDE).plan
    fixed = max(plan.buffers[id].offset + v.type.size_bytes(1) for v, id in plan.variables)
    lowest = {p.name: min(plan.buffers[id].offset for _, id in p.feeds) for p in plan.programs}
    assert set(lowest) == {"predict", "evaluate_step", "train_step"}
    assert all(offset >= fixed for offset in lowest.values())
    assert max(lowest.values()) < fixed + 64 * 1024 * 2


def test_large_buffers_are_aligned_to_cache_lines() -> None:
    plan = compiled(WIDE).plan
    for buffer in plan.buffers:
        if buffer.root < 0 and buffer.type.size_bytes(plan.batch_size) >= 1280:
            assert buffer.offset % 64 == 0


# --- budgets --------------------------------------------------------------------------------------------------------
def limited(text: str, batch_size: int | str | None, bound: int | None) -> Plan:
    options = CompileOptions(batch_size=batch_size, max_memory_bytes=bound)
    return compile_source(SourceFile("wide.nn", text), options).plan


def test_a_bound_that_is_kept_changes_nothing() -> None:
    assert limited(WIDE, None, 1 << 20) == limited(WIDE, None, None)


def test_a_bound_too_low_names_the_largest_tenants_and_the_batch_that_fits() -> None:
    with pytest.raises(BudgetError) as caught:
        limited(WIDE, None, 65536)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E0910"
    assert diagnostic.message == "needs 255.6 KiB of memory at batch size 256, more than the 64.0 KiB allowed"
    assert len(diagnostic.notes) == 3
    assert diagnostic.notes[0] == "the data of `x`, float32[batch, 100], takes 100.0 KiB"
    assert "the largest batch that fits is 42" in diagnostic.helps[0]


@pytest.mark.parametrize("bound", [40_000, 65_536, 300_000, 5_000_000])
def test_auto_takes_the_largest_batch_that_fits(bound: int) -> None:
    plan = limited(WIDE, "auto", bound)
    assert plan.arena_bytes <= bound
    with pytest.raises(BudgetError):
        limited(WIDE, plan.batch_size + 1, bound)


@pytest.mark.parametrize("bound", range(1_600, 4_000, 300))
def test_auto_orders_the_steps_for_the_batch_it_finds(bound: int) -> None:
    """Which order is best depends on the batch, and which batch fits on the order."""
    plan = limited(BRANCHES, "auto", bound)
    assert plan.arena_bytes <= bound
    with pytest.raises(BudgetError):
        limited(BRANCHES, plan.batch_size + 1, bound)


def test_auto_needs_a_bound() -> None:
    with pytest.raises(UsageError, match="E0911"):
        limited(WIDE, "auto", None)


def test_a_bound_below_one_sample_is_refused() -> None:
    with pytest.raises(BudgetError) as caught:
        limited(WIDE, "auto", 1000)
    assert "not even a batch of one sample fits" in caught.value.diagnostics[0].notes
    assert largest_batch(compiled(WIDE).scheduled, 1000) == 0
    assert largest_batch(compiled(WIDE).scheduled, 2**48) == LARGEST_BATCH


def test_the_plan_for_a_batch_is_the_same_whoever_asked_for_it() -> None:
    scheduled = compiled(WIDE).scheduled
    auto = plan_memory(scheduled, model="m", seed=0, batch_size="auto", max_memory_bytes=65536)
    assert auto == plan_memory(scheduled, model="m", seed=0, batch_size=auto.batch_size)
