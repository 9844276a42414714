"""What a session asks of the driver, in which order and with which arguments, before a stand-in that records it."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import numpy as np
import pytest
from recording_device import FIRST, RecordingDevice, RecordingKernels

sys.path[:0] = [str(Path(__file__).parent.parent / "native")]
from native_networks import spec_feeds, spec_plan  # noqa: E402

from nnc.compiler.codegen.cuda.module import print_cuda_module  # noqa: E402
from nnc.compiler.plan import Plan  # noqa: E402
from nnc.runtime import train  # noqa: E402
from nnc.runtime.cuda import feeds  # noqa: E402
from nnc.runtime.cuda.choice import Choice  # noqa: E402
from nnc.runtime.cuda.graphs import GRAPH_KERNELS, GRAPHS_KEPT, TEAMS, Code, Kind  # noqa: E402
from nnc.runtime.cuda.memory import FEED, JOB, MOST_NUMBERS  # noqa: E402
from nnc.runtime.cuda.session import CudaRuntime, CudaSession  # noqa: E402
from nnc.runtime.protocol import Array, Rows  # noqa: E402

PROGRAM = "train_step"


@pytest.fixture(scope="module")
def plan() -> Plan:
    return spec_plan("digits")


def prepared(plan: Plan, device: RecordingDevice, kind: Kind = "graph") -> CudaSession:
    module = print_cuda_module(plan)
    kinds = {program.name: kind for program in module.programs}
    return CudaRuntime(device, lambda plan, device: Choice(module, kinds)).prepare(plan)


def bound(plan: Plan, device: RecordingDevice, kind: Kind = "graph", samples: int = 1000) -> CudaSession:
    session = prepared(plan, device, kind)
    session.bind(PROGRAM, spec_feeds(plan)(PROGRAM, samples))
    device.take()
    return session


def rounded(size: int) -> int:
    return -(-size // 256) * 256


def test_all_memory_is_one_allocation_of_the_planned_bytes(plan: Plan) -> None:
    device = RecordingDevice()
    session = prepared(plan, device)
    module = session.choice.module
    numbers = MOST_NUMBERS // plan.batch_size * plan.batch_size
    most_feeds = max(len(program.feeds) for program in module.programs)
    warps = 8 * max(-(-phase.warps // 8) for program in module.programs for phase in program.phases)
    sizes = (
        plan.arena_bytes, module.piece_bytes, module.scratch_bytes * warps, 0, 4,
        JOB.itemsize + most_feeds * FEED.itemsize + 8 * numbers,
    )  # fmt: skip
    allocated = [call for call in device.calls if call[0] == "allocate"]
    assert allocated == [("allocate", sum(map(rounded, sizes)), FIRST)]
    device.take()
    session.bind(PROGRAM, spec_feeds(plan)(PROGRAM, 500))
    session.run(PROGRAM, np.arange(500))
    assert device.names().count("allocate") == 1  # the samples
    assert device.names().count("pinned") == 0


def test_everything_is_freed_after_the_work_is_done(plan: Plan) -> None:
    device = RecordingDevice()
    session = bound(plan, device)
    session.run(PROGRAM, np.arange(32))
    device.take()
    del session
    gc.collect()
    assert device.names() == ["synchronize", "free", "free"]


def test_variables_and_constants_are_written_where_the_plan_has_them(plan: Plan) -> None:
    device = RecordingDevice()
    session = prepared(plan, device)
    places = {call[1]: call[2] for call in device.calls if call[0] == "upload"}
    fixed = [buffer for buffer in plan.buffers if buffer.kind in ("variable", "constant")]
    assert places.keys() == {FIRST + buffer.offset for buffer in fixed}
    for variable, id in plan.variables:
        value = np.full(variable.type.concrete(1), 3, variable.type.dtype)
        device.take()
        session.write(variable.name, value)
        assert device.take() == [("upload", FIRST + plan.buffers[id].offset, value.tobytes())]
        session.read(variable.name)
        assert device.take() == [("download", FIRST + plan.buffers[id].offset, value.nbytes)]


def test_a_graph_is_captured_once_and_has_the_phases_in_their_order(plan: Plan) -> None:
    device = RecordingDevice()
    session = bound(plan, device)
    phases = session.choice.module.programs[-1].phases
    session.run(PROGRAM, np.arange(plan.batch_size))
    calls = device.take()
    begin, end = (next(k for k, call in enumerate(calls) if call[0] == f"{what} capture") for what in ("begin", "end"))
    captured = calls[begin + 1 : end]
    assert [call[1] for call in captured] == [phase.kernel for phase in phases]
    memory = (FIRST, FIRST, FIRST + rounded(plan.arena_bytes))
    for call, phase in zip(captured, phases, strict=True):
        grid, block, shared, addresses, job, rows, cooperative = call[2:]
        assert (grid, block, cooperative) == (-(-phase.warps // 8), 256, False)
        assert (shared, rows, addresses[:3]) == (session.choice.module.shared_bytes, plan.batch_size, memory)
        assert job > addresses[3] > addresses[2]
    session.run(PROGRAM, np.arange(plan.batch_size))
    assert "begin capture" not in device.names()


def test_a_call_is_told_before_it_is_launched_and_marked_behind(plan: Plan) -> None:
    device = RecordingDevice()
    session = bound(plan, device)
    session.run(PROGRAM, np.arange(plan.batch_size))
    assert [name for name in device.names() if "capture" not in name and name != "launch"] == [
        "upload_soon", "mark", "launch graph", "mark",
    ]  # fmt: skip


def calls_of_the_device(device: RecordingDevice) -> list[tuple[np.void, list[tuple[int, int]], Rows]]:
    """What each `upload_soon` told: the job, its feeds, its numbers."""
    found = []
    for call in device.calls:
        if call[0] == "upload_soon":
            content = np.frombuffer(call[2], np.uint8)
            job = content[: JOB.itemsize].view(JOB)[0]
            start = int(job["numbers"]) - call[1]
            assert int(job["feeds"]) == call[1] + JOB.itemsize
            feeds = [(int(f["data"]), int(f["stride"])) for f in content[JOB.itemsize : start].view(FEED)]
            found.append((job, feeds, content[start:].view(np.int64)))
    return found


def test_what_a_call_tells(plan: Plan) -> None:
    device = RecordingDevice()
    session = prepared(plan, device)
    device.take()
    samples = spec_feeds(plan)(PROGRAM, 100)
    session.bind(PROGRAM, samples)
    (allocated,) = [call for call in device.calls if call[0] == "allocate"]
    rows = np.random.default_rng(0).permutation(100)[:40]
    session.run(PROGRAM, rows)
    ((job, feeds, numbers),) = calls_of_the_device(device)
    assert (job["first"], job["count"], job["batch"]) == (0, 40, plan.batch_size)
    np.testing.assert_array_equal(numbers, rows)
    places, address = [], allocated[2]
    for feed in session.choice.module.programs[-1].feeds:
        places.append((address, feed.row_bytes))
        address += rounded(100 * feed.row_bytes)
    assert feeds == places
    uploads = {call[1]: call[2] for call in device.calls if call[0] == "upload"}
    for (place, _), feed in zip(places, session.choice.module.programs[-1].feeds, strict=True):
        assert uploads[place] == samples[feed.name].tobytes()
    assert job["barrier"] % 4 == 0
    assert FIRST < job["barrier"] < job["feeds"]


def test_many_steps_are_few_launches(plan: Plan) -> None:
    device = RecordingDevice()
    session = bound(plan, device, samples=3000)
    phases = session.choice.module.programs[-1].phases
    steps = GRAPH_KERNELS // len(phases)
    batch = plan.batch_size
    rows = np.arange((4 * steps + 2) * batch + 5)
    session.run(PROGRAM, rows)
    launches = [call for call in device.calls if call[0] == "launch"]
    kinds = {rows: sum(call[7] == rows for call in launches) for rows in (batch, 5)}
    assert kinds == {batch: (steps + 1) * len(phases), 5: len(phases)}
    counts = [int(job["count"]) for job, _, _ in calls_of_the_device(device)]
    assert counts == [-(-(4 * steps + 3) // 2) * batch, len(rows) - -(-(4 * steps + 3) // 2) * batch]
    np.testing.assert_array_equal(np.concatenate([numbers for _, _, numbers in calls_of_the_device(device)]), rows)
    # the whole batches of both halves, as many at once as fit, then one by one; what is left comes last
    halves = [divmod(count // batch, steps) for count in counts]
    assert device.names().count("launch graph") == sum(many + single for many, single in halves) + 1


def test_a_call_leaves_at_most_half_of_its_work(plan: Plan) -> None:
    """Each wait is for the half before the one that was asked for last."""
    device = RecordingDevice()
    session = bound(plan, device)
    ends = []
    for _ in range(3):
        session.run(PROGRAM, np.arange(20 * plan.batch_size))
        calls = [call for call in device.take() if call[0] in ("upload_soon", "mark", "wait", "launch graph")]
        assert calls[-1][0] == "wait"
        marks = [call[1] for call in calls if call[0] == "mark"]
        ends += marks[1::2]  # the others say when the device has been told
        assert calls[-1] == ("wait", ends[-2])


def test_graphs_of_odd_numbers_of_rows_are_forgotten(plan: Plan) -> None:
    device = RecordingDevice()
    session = bound(plan, device)
    for rows in range(1, GRAPHS_KEPT + 2):
        session.run(PROGRAM, np.arange(rows))
    assert device.names().count("begin capture") == GRAPHS_KEPT + 1
    device.take()
    session.run(PROGRAM, np.arange(GRAPHS_KEPT))
    assert "begin capture" not in device.take()
    session.run(PROGRAM, np.arange(1))
    assert device.names().count("begin capture") == 1


@pytest.mark.parametrize("kind", ["block", "wide block", "cluster", "grid"])
def test_a_resident_program_is_one_launch(plan: Plan, kind: Kind) -> None:
    device = RecordingDevice()
    session = prepared(plan, device, kind)
    assert ("load", "digits", dict(TEAMS[kind].macros)) in device.calls
    session.bind(PROGRAM, spec_feeds(plan)(PROGRAM, 1000))
    device.take()
    session.run(PROGRAM, np.arange(5 * plan.batch_size + 3))
    (launch,) = [call for call in device.calls if call[0] == "launch"]
    name, grid, block, shared, _, _, rows, cooperative = launch[1:]
    warps = max(phase.warps for phase in session.choice.module.programs[-1].phases)
    blocks = {"block": 1, "wide block": 1, "cluster": 8, "grid": -(-warps // 8)}[kind]
    assert (name, rows, cooperative) == (f"{PROGRAM}_resident", -1, kind == "grid")
    assert (grid, block) == (blocks, 32 * TEAMS[kind].warps)
    assert shared == session.choice.module.shared_bytes * TEAMS[kind].warps // 8
    assert "begin capture" not in device.names()


def test_what_a_gpu_has_decides_how_programs_can_be_launched(plan: Plan) -> None:
    device = RecordingDevice()
    module = print_cuda_module(plan)
    assert "cluster" in Code(device, plan, module).kinds(PROGRAM)
    device.arch = "sm_89"
    assert Code(device, plan, module).kinds(PROGRAM) == ("graph", "block", "wide block", "grid")
    device.shared_limit = module.shared_bytes
    assert Code(device, plan, module).kinds(PROGRAM) == ("graph", "block", "grid")


# --- samples that do not fit ------------------------------------------------------------------------------------------
def test_streamed_samples_go_through_two_buffers_in_turn(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    row = sum(feed.row_bytes for feed in print_cuda_module(plan).programs[-1].feeds)
    monkeypatch.setattr(feeds, "STAGED_BYTES", 2 * plan.batch_size * row)
    device = RecordingDevice(free=1 << 20)  # less than the margin
    session = bound(plan, device)
    samples = session._feeds.sources(PROGRAM)
    rows = np.random.default_rng(0).permutation(1000)[: 6 * plan.batch_size]
    session.run(PROGRAM, rows)
    calls = [call for call in device.calls if call[0] not in ("launch", "begin capture", "end capture")]
    beside = [call for call in calls if call[0] == "upload_beside"]
    (first, second, third) = beside
    assert first[1] == third[1] != second[1]  # on the device
    assert first[3] == third[3] != second[3]  # pinned
    names = [call[0] for call in calls]
    run = ["launch graph", "launch graph", "mark"]
    one = ["upload_beside", "work_after", "upload_soon", "mark", *run]
    assert names == [
        "allocate", "pinned", "allocate", "pinned", *one, *one, "wait",
        "wait", "beside_after", "upload_beside", "work_after", "wait", "upload_soon", "mark", *run, "wait",
    ]  # fmt: skip
    after = [call[1] for call in calls if call[0] == "work_after"]
    assert after == [call[4] for call in beside]
    waits = [call[1] for call in calls if call[0] == "wait"]
    marks = [call[1] for call in calls if call[0] == "mark"]
    assert waits[1] == first[4]  # before the pinned bytes are written again
    (again,) = [call[1] for call in calls if call[0] == "beside_after"]
    assert again == marks[1]  # the end of the steps that read the buffer before
    place = 0
    for feed in session.choice.module.programs[-1].feeds:
        size = 2 * plan.batch_size * feed.row_bytes
        wanted = samples[feed.name][rows[2 * plan.batch_size : 4 * plan.batch_size]]  # type: ignore[index]
        assert second[2][place : place + size] == wanted.tobytes()
        place += rounded(size)


def test_samples_make_room_for_those_of_another_program(plan: Plan) -> None:
    """They come again when their program runs; only what fits nowhere is streamed."""
    names = ("train_step", "evaluate_step")
    samples = {name: spec_feeds(plan)(name, 1000) for name in names}
    size = sum(rounded(array.nbytes) for array in samples["train_step"].values())
    device = RecordingDevice(free=1 << 40)
    session = prepared(plan, device)
    device._free = feeds.MARGIN_BYTES + size + 5
    device.free = lambda address: setattr(device, "_free", device._free + size)  # type: ignore[method-assign]
    for name in names:
        device.take()
        session.bind(name, samples[name])
        assert device.names().count("allocate") == 1
    device.take()
    session.run("train_step", np.arange(3))
    assert ("allocate", size) in [call[:2] for call in device.take()]
    assert "upload_beside" not in device.names()


# --- how long calls take ----------------------------------------------------------------------------------------------
class TimedDevice(RecordingDevice):
    """A step takes `seconds_per_step` of a clock that stands still unless the host waits."""

    def __init__(self, seconds_per_step: float, batch_size: int) -> None:
        super().__init__()
        self.seconds_per_step, self.batch_size = seconds_per_step, batch_size
        self.now = self.ends = self.idle = 0.0
        self._steps = 0
        self._moments: dict[int, float] = {}

    def clock(self) -> float:
        return self.now

    def upload_soon(self, address: int, pinned: Array) -> None:
        super().upload_soon(address, pinned)
        self._steps = -(-int(pinned[: JOB.itemsize].view(JOB)[0]["count"]) // self.batch_size)

    def launched(self) -> None:
        self.idle += max(0.0, self.now - self.ends)
        self.ends = max(self.now, self.ends) + self._steps * self.seconds_per_step

    def mark(self) -> int:
        event = super().mark()
        self._moments[event] = self.ends
        return event

    def wait(self, event: int) -> None:
        self.now = max(self.now, self._moments[event]) + 1e-5


@pytest.mark.parametrize("seconds_per_step", [3e-6, 2e-4, 0.004, 0.03, 0.3])
def test_training_asks_for_no_more_than_a_moment_of_work(
    plan: Plan, seconds_per_step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = TimedDevice(seconds_per_step, plan.batch_size)
    session = bound(plan, device, "block", samples=plan.batch_size)
    monkeypatch.setattr(RecordingKernels, "launch", lambda self, *arguments: device.launched())
    monkeypatch.setattr(train.time, "perf_counter", device.clock)
    rows = np.zeros(plan.batch_size * min(100_000, int(20 / seconds_per_step)), np.int64)
    left = []
    for some in train._calls(rows, plan.batch_size):
        session.run(PROGRAM, some)
        left.append(device.ends - device.now)
    assert max(left) <= max(0.15, 2 * seconds_per_step)
    assert np.median(left) <= max(0.05, seconds_per_step)
    assert device.idle < 0.01 * device.ends + 0.01
