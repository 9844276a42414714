"""Which way a program is launched: measured once, with times that the tests make up, or by the work of a step."""

from __future__ import annotations

from pathlib import Path

import pytest
from cuda_sessions import prepared
from emulated import needs_compiler
from emulated_device import EmulatedDevice
from native_networks import check_session, spec_feeds, spec_plan
from recording_device import RecordingDevice

from nnc.compiler.codegen.cuda.module import print_cuda_module
from nnc.compiler.codegen.cuda.records import Launch
from nnc.compiler.plan import Plan
from nnc.runtime import store
from nnc.runtime.cuda import choice
from nnc.runtime.cuda.choice import by_rule, choose
from nnc.runtime.cuda.graphs import TEAMS, Code
from nnc.runtime.cuda.session import CudaRuntime


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NNC_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def plan() -> Plan:
    return spec_plan("logic_xor")


def timed() -> EmulatedDevice:
    device = EmulatedDevice()
    device.is_timed = True  # type: ignore[misc]
    return device


@needs_compiler
def test_the_quickest_way_is_chosen_and_remembered(plan: Plan, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = timed()
    session = CudaRuntime(device).prepare(plan)  # a cost of 1 for each kernel: what stays costs least
    assert set(session.choice.kinds.values()) == {"block"}
    assert session.choice.products == ()
    (entry,) = store.entries(folder)
    assert entry.path.name.startswith("logic_xor-")
    assert len(device.allocated) > 1
    assert device.freed == len(device.allocated) - 1  # but for the session's memory
    check_session(session, plan, spec_feeds(plan), steps=2)

    again = timed()
    monkeypatch.setattr(choice, "_measured", None)
    assert CudaRuntime(again).prepare(plan).choice == session.choice
    assert len(again.allocated) == 1


@needs_compiler
def test_each_program_is_launched_in_its_own_quickest_way(plan: Plan) -> None:
    device = timed()
    device.cost = lambda names: -len(names) if "predict" in names[0] else len(names)
    kinds = choose(plan, device).kinds
    assert kinds["predict"] == "graph"
    assert {kind for name, kind in kinds.items() if name != "predict"} == {"block"}


@needs_compiler
def test_another_gpu_or_driver_is_measured_anew(plan: Plan, folder: Path) -> None:
    for name, driver in (("a GPU", "13000"), ("another GPU", "13000"), ("a GPU", "13010"), ("a GPU", "13010")):
        device = timed()
        device.name, device.driver = name, driver  # type: ignore[misc]
        choose(plan, device)
    assert len(store.entries(folder)) == 3


@pytest.mark.parametrize("name", ["logic_xor", "digits", "mnist"])
def test_the_rule_takes_the_smallest_team_that_is_large_enough(name: str) -> None:
    plan = spec_plan(name)
    module = print_cuda_module(plan)
    for program in module.programs:
        warps = max(phase.warps for phase in program.phases if isinstance(phase, Launch))
        kind = by_rule(plan, RecordingDevice(), module).kinds[program.name]
        sizes = {kind: team.size for kind, team in TEAMS.items() if team.size}
        assert kind == min((k for k, size in sizes.items() if size >= warps), key=lambda k: sizes[k], default="graph")
    assert prepared(plan, device=RecordingDevice()).choice.kinds  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("warps", "tried"),
    [
        (4, ("graph", "block")),
        (30, ("graph", "block", "wide block")),
        (60, ("graph", "block", "wide block", "cluster")),
        (100, ("graph", "wide block", "cluster", "grid")),
        (5000, ("graph", "grid")),
    ],
)
def test_only_teams_that_may_be_quickest_are_tried(
    plan: Plan, warps: int, tried: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    code = Code(RecordingDevice(), plan, print_cuda_module(plan))
    monkeypatch.setattr(Code, "most_warps", lambda self, program: warps)
    assert tuple(choice._kinds_to_try(code, "train_step")) == tried
