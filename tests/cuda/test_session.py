"""Whole runs of a CUDA session on an emulated device, against the reference runtime.

The kernels are the printed ones, through the shim; graphs, streams, buffers and addresses are the session's own.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping

import numpy as np
import pytest
from cuda_sessions import DOUBLE, DOUBLE_DOMAINS, NOISY, NOISY_DOMAINS, plan_of, prepared
from emulated import needs_compiler
from emulated_device import EmulatedDevice
from linear_session import config
from native_networks import Feeds, NetworkFeeds, check_session, compare, outcome, spec_feeds, spec_plan

from nnc.compiler.plan import Plan
from nnc.runtime import train
from nnc.runtime.cuda import feeds as feeds_of_cuda
from nnc.runtime.cuda.graphs import TEAMS, Kind
from nnc.runtime.data import Samples
from nnc.runtime.predictor import Predictor
from nnc.runtime.protocol import Array, Rows, Session
from nnc.runtime.reference import ReferenceRuntime

pytestmark = needs_compiler
NETWORKS = {"noisy": (NOISY, NOISY_DOMAINS), "float64": (DOUBLE, DOUBLE_DOMAINS)}


def network(name: str) -> tuple[Plan, Feeds]:
    if name not in NETWORKS:
        plan = spec_plan(name)
        return plan, spec_feeds(plan)
    text, domains = NETWORKS[name]
    plan = plan_of(text)
    return plan, NetworkFeeds(plan, domains).feeds


@pytest.mark.parametrize("name", ["digits", "wide_deep_aux", "noisy", "float64"])
@pytest.mark.parametrize("kind", ["graph", "grid"])
def test_every_program_computes_what_the_reference_does(name: str, kind: Kind) -> None:
    plan, feeds = network(name)
    check_session(prepared(plan, kind), plan, feeds, steps=3)


def test_however_a_program_is_launched_the_bytes_are_the_same() -> None:
    plan, feeds = network("noisy")
    outcomes = {kind: outcome(prepared(plan, kind), feeds, steps=4) for kind in TEAMS}
    for kind, found in outcomes.items():
        assert found == outcomes["graph"], kind


@pytest.mark.parametrize("kind", ["graph", "block"])
@pytest.mark.parametrize("late", [True, False])
def test_many_steps_in_one_call_are_those_of_many_calls(kind: Kind, late: bool) -> None:
    plan, feeds = network("digits")
    samples = feeds("train_step", 1000)
    rows = np.random.default_rng(0).permutation(1000)
    together, apart = (prepared(plan, kind, EmulatedDevice(late)) for _ in range(2))
    for each in (together, apart):
        each.bind("train_step", samples)
    together.run("train_step", rows)
    for start in range(0, 1000, plan.batch_size):
        apart.run("train_step", rows[start : start + plan.batch_size])
    for variable, _ in plan.variables:
        assert together.read(variable.name).tobytes() == apart.read(variable.name).tobytes(), variable.name


@pytest.mark.parametrize("name", ["noisy", "float64"])
def test_dropout_leaves_the_same_numbers_as_the_reference(name: str) -> None:
    plan, feeds = network(name)
    cuda, reference = prepared(plan), ReferenceRuntime().prepare(plan)
    rows = np.arange(plan.batch_size)
    for session in (cuda, reference):
        session.bind("train_step", feeds("train_step", plan.batch_size))
    for _ in range(2):
        found = dict(zeros(plan, cuda, rows))
        wanted = dict(zeros(plan, reference, rows))
        assert wanted
        assert any(mask.any() and not mask.all() for mask in wanted.values())
        for id, mask in wanted.items():
            np.testing.assert_array_equal(found[id], mask, plan.buffers[id].name)


def zeros(plan: Plan, session: Session, rows: Rows) -> list[tuple[int, Array]]:
    """Where the numbers are 0 that steps with random numbers store: run without a trace, which the reference makes."""
    session.run("train_step", rows)
    random = [step for step in plan.program("train_step").steps if step.kernel == "random"]
    ids = [id for step in random for id, _ in step.body.stores]
    read = session._memory.read if hasattr(session, "_memory") else session._arena.view  # type: ignore[attr-defined]
    return [(id, read(id, len(rows)) == 0) for id in ids]


# --- training -----------------------------------------------------------------------------------------------------
def samples_of(feeds: Mapping[str, Array], first: int, last: int) -> Samples:
    return Samples(dict(feeds), np.arange(first, last))


@pytest.mark.parametrize("name", ["breast_cancer", "noisy"])
@pytest.mark.parametrize("kind", ["graph", "cluster"])
def test_whole_trainings_end_as_the_reference_ends(name: str, kind: Kind) -> None:
    """Statistics of Normalize, epochs with a ragged last batch, validation, early figures: all through `fit`."""
    plan, feeds = network(name)
    samples = feeds("train_step", 205)
    histories, sessions = [], (prepared(plan, kind), ReferenceRuntime().prepare(plan))
    parts = samples_of(samples, 0, 150), samples_of(samples, 150, 205)
    for session in sessions:
        histories.append(train.fit(session, *parts, config(epochs=3)))
    for found, wanted in zip(*(history.epochs for history in histories), strict=True):
        assert found.figures.keys() == wanted.figures.keys()
        for figure, value in wanted.figures.items():
            assert found.figures[figure] == pytest.approx(value, rel=1e-3, abs=1e-4), figure
    found, wanted = (train.predict(session, samples_of(samples, 0, 205)) for session in sessions)
    for output, value in wanted.items():
        np.testing.assert_allclose(found[output], value, rtol=5e-3, atol=5e-3)


# --- samples on their way -------------------------------------------------------------------------------------------
class Source:
    """Rows that are read when they are asked for."""

    def __init__(self, array: Array) -> None:
        self._array, self.shape, self.dtype = array, array.shape, array.dtype
        self.asked = 0

    def __len__(self) -> int:
        return len(self._array)

    def take(self, rows: Rows, out: Array) -> None:
        self.asked += len(rows)
        np.copyto(out, self._array[rows])


@pytest.mark.parametrize("kind", ["graph", "block"])
@pytest.mark.parametrize("late", [True, False])
@pytest.mark.parametrize("is_file", [True, False])
def test_streamed_samples_give_the_same_bytes(
    kind: Kind, late: bool, is_file: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through buffers that hold three batches, in calls of many pieces; beside samples that lie on the device."""
    plan, feeds = network("digits")
    samples = feeds("train_step", 700)
    row = sum(array[:1].nbytes for array in samples.values())
    monkeypatch.setattr(feeds_of_cuda, "STAGED_BYTES", 3 * plan.batch_size * row + 7)
    small = EmulatedDevice(late, total_bytes=feeds_of_cuda.MARGIN_BYTES + (1 << 20))
    resident, streamed = prepared(plan, kind, EmulatedDevice(late)), prepared(plan, kind, small)
    monkeypatch.setattr(small, "total_bytes", feeds_of_cuda.MARGIN_BYTES)
    resident.bind("train_step", samples)
    streamed.bind("train_step", {name: Source(array) if is_file else array for name, array in samples.items()})
    for seed in range(3):
        rows = np.random.default_rng(seed).permutation(700)[: 700 - 5 * seed]
        for session in (resident, streamed):
            session.run("train_step", rows)
    for variable, _ in plan.variables:
        assert streamed.read(variable.name).tobytes() == resident.read(variable.name).tobytes(), variable.name
    assert len(small.allocated) == 3  # the plan's memory, and two buffers


def test_a_file_is_read_once_for_many_epochs_if_it_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, feeds = network("digits")
    sources = {name: Source(array) for name, array in feeds("train_step", 100).items()}
    session = prepared(plan)
    session.bind("train_step", sources)
    for _ in range(3):
        session.run("train_step", np.arange(100))
    assert {source.asked for source in sources.values()} == {100}


def test_samples_that_had_to_make_room_come_again() -> None:
    plan, feeds = network("digits")
    samples = {name: feeds(name, 300) for name in ("train_step", "evaluate_step")}
    device = EmulatedDevice()
    crowded, roomy = prepared(plan, "graph", device), prepared(plan)
    size = sum(array.nbytes for array in samples["train_step"].values())
    device.total_bytes = device.allocated[0] + feeds_of_cuda.MARGIN_BYTES + size + 2048
    for session in (crowded, roomy):
        for name, arrays in samples.items():
            session.bind(name, arrays)
        for name in ("train_step", "evaluate_step", "train_step"):
            session.run(name, np.arange(250))
    assert len(device.allocated) == 1 + 2 + 3
    for variable, _ in plan.variables:
        assert crowded.read(variable.name).tobytes() == roomy.read(variable.name).tobytes(), variable.name


def test_arrays_may_have_gaps_and_change_between_binds() -> None:
    plan, feeds = network("digits")
    samples = dict(feeds("predict", 80))
    (name,) = samples
    wide = np.zeros((160, *samples[name].shape[1:]), samples[name].dtype)
    wide[::2] = samples[name]
    session = prepared(plan)
    expected = []
    for _ in range(2):
        plain = prepared(plan)
        plain.bind("predict", {name: np.ascontiguousarray(wide[::2])})
        session.bind("predict", {name: wide[::2]})
        for each in (plain, session):
            each.run("predict", np.arange(32))
        fetched = [each.fetch("predict", "prediction.digit") for each in (plain, session)]
        assert fetched[0].tobytes() == fetched[1].tobytes()
        expected.append(fetched[0].tobytes())
        wide += 1
    assert expected[0] != expected[1]


# --- the rest of a session --------------------------------------------------------------------------------------------
def test_a_trace_is_a_step_of_the_reference() -> None:
    plan, feeds = network("noisy")
    cuda, reference = prepared(plan), ReferenceRuntime().prepare(plan)
    samples = feeds("train_step", 50)
    rows = np.arange(20, 40)
    for session in (cuda, reference):
        session.bind("train_step", samples)
    for (found, values), (wanted, expected) in zip(
        cuda.trace("train_step", rows), reference.trace("train_step", rows), strict=True
    ):
        assert found == wanted
        for value, other in zip(values, expected, strict=True):
            np.testing.assert_array_equal(value, other)
    for variable, _ in plan.variables:
        np.testing.assert_array_equal(cuda.read(variable.name), reference.read(variable.name))


def test_variables_are_copies_and_fetches_are_read_only() -> None:
    plan, feeds = network("digits")
    session = prepared(plan)
    name = plan.variables[0][0].name
    value = session.read(name)
    value += 1
    assert not np.array_equal(session.read(name), value)
    session.write(name, value)
    np.testing.assert_array_equal(session.read(name), value)
    session.bind("predict", feeds("predict", 5))
    session.run("predict", np.arange(5))
    found = session.fetch("predict", "prediction.digit")
    assert found.shape[0] == 5
    assert not found.flags.writeable


def test_predictions_through_a_handle() -> None:
    plan, feeds = network("digits")
    samples = feeds("predict", 75)
    handles = [Predictor(each, lambda given: given) for each in (prepared(plan), ReferenceRuntime().prepare(plan))]
    found, wanted = (handle(samples) for handle in handles)
    compare(found, wanted, "float32", "predictions")


@pytest.mark.parametrize("kind", TEAMS)
def test_memory_is_one_allocation_and_nothing_is_written_beside_it(kind: Kind) -> None:
    """`EmulatedDevice.free` looks at the bytes around an allocation."""
    plan, feeds = network("noisy")
    device = EmulatedDevice()
    session = prepared(plan, kind, device)
    assert len(device.allocated) == 1
    assert plan.arena_bytes < device.allocated[0] < plan.arena_bytes + (1 << 21)
    for program in plan.programs:
        session.bind(program.name, feeds(program.name, 40))
        session.run(program.name, np.arange(40))
    assert len(device.allocated) == 1 + len(plan.programs)
    del session
    gc.collect()
    assert device.freed == len(device.allocated)
