"""Sessions whose products a library does: the real `cublaslt.Library` before a stand-in for cuBLASLt, in whole runs."""

from __future__ import annotations

import gc
from dataclasses import replace

import numpy as np
import pytest
from cuda_sessions import NOISY, NOISY_DOMAINS, plan_of, prepared
from emulated import needs_compiler
from emulated_device import EmulatedDevice
from host_cublaslt import HostCublasLt
from native_networks import Feeds, NetworkFeeds, check_session, spec_feeds, spec_plan
from recording_device import RecordingDevice

from nnc.compiler.codegen.cuda.library import chosen_products, library_products
from nnc.compiler.codegen.cuda.module import print_cuda_module
from nnc.compiler.codegen.cuda.records import LibraryCall, LibraryProduct
from nnc.compiler.plan import Plan
from nnc.runtime.cuda import choice
from nnc.runtime.cuda.choice import choose
from nnc.runtime.cuda.cublaslt import ProductUnsupportedError
from nnc.runtime.cuda.graphs import Code, GraphSteps
from nnc.runtime.cuda.session import CudaRuntime

pytestmark = needs_compiler


def network(name: str) -> tuple[Plan, Feeds]:
    if name == "noisy":
        plan = plan_of(NOISY)
        return plan, NetworkFeeds(plan, NOISY_DOMAINS).feeds
    if name == "bfloat16":
        plan = plan_of(NOISY.replace("train { ", "train { precision = bfloat16, "))
        return plan, NetworkFeeds(plan, NOISY_DOMAINS).feeds
    plan = spec_plan(name)
    return plan, spec_feeds(plan)


def all_products(plan: Plan) -> dict[tuple[str, int], LibraryProduct]:
    return chosen_products(library_products(plan), lambda product: True)


@pytest.mark.parametrize("name", ["digits", "noisy", "bfloat16"])
def test_every_program_computes_what_the_reference_does(name: str) -> None:
    plan, feeds = network(name)
    products = all_products(plan)
    assert {product.epilogue for product in products.values()} > {"none"}
    device = EmulatedDevice()
    session = prepared(plan, device=device, products=products)
    check_session(session, plan, feeds, steps=3)
    assert "product" in device.launched
    assert device.allocated[0] > plan.arena_bytes + (32 << 20)  # the workspace is part of the one allocation


def test_many_steps_and_a_ragged_end_are_those_of_many_calls() -> None:
    plan, feeds = network("digits")
    products = all_products(plan)
    together, apart = (prepared(plan, device=EmulatedDevice(late), products=products) for late in (True, False))
    rows = np.random.default_rng(0).permutation(500)
    for each in (together, apart):
        each.bind("train_step", feeds("train_step", 500))
    together.run("train_step", rows)
    for start in range(0, 500, plan.batch_size):
        apart.run("train_step", rows[start : start + plan.batch_size])
    for variable, _ in plan.variables:
        assert together.read(variable.name).tobytes() == apart.read(variable.name).tobytes(), variable.name


@pytest.mark.parametrize("name", ["digits", "noisy", "bfloat16"])
@pytest.mark.parametrize("late", [True, False])
def test_rows_that_the_library_refuses_are_left_to_the_kernels_of_the_plan(name: str, late: bool) -> None:
    """All but one of a batch: what the reference computes; to the byte what the plan's kernels compute alone. Whole
    batches stay with the library."""
    plan, feeds = network(name)
    refused = plan.batch_size - 1
    refusing = EmulatedDevice(late)
    refusing.cublaslt = lambda: HostCublasLt(refused_sizes=frozenset({refused}))
    session = prepared(plan, device=refusing, products=all_products(plan))
    check_session(session, plan, feeds, steps=2)
    alone = prepared(plan)
    for each in (session, alone):
        each.bind("train_step", feeds("train_step", plan.batch_size))
    for variable, _ in plan.variables:
        alone.write(variable.name, session.read(variable.name))
    for rows, is_by_library in ((refused, False), (plan.batch_size, True)):
        refusing.launched.clear()
        for each in (session, alone):
            each.run("train_step", np.arange(rows))
        found, wanted = ({variable.name: each.read(variable.name).tobytes() for variable, _ in plan.variables}
                         for each in (session, alone))  # fmt: skip
        assert ("product" in refusing.launched) == is_by_library
        assert is_by_library or found == wanted
    del session
    gc.collect()
    assert refusing.freed == len(refusing.allocated)  # nothing was written beside it, no descriptor is left


@pytest.mark.parametrize("part", ["piece_bytes", "scratch_bytes"])
def test_memory_is_enough_for_either_module(part: str) -> None:
    plan, _ = network("digits")
    device = RecordingDevice()
    known = prepared(plan, device=device, products=all_products(plan)).choice  # type: ignore[arg-type]
    sizes = []
    for module, own in ((1 << 20, 0), (0, 1 << 20)):
        modules = {"module": replace(known.module, **{part: module}), "own": replace(known.own, **{part: own})}  # type: ignore[arg-type, type-var]
        grown = replace(known, **modules)  # type: ignore[arg-type]
        code = Code(device, plan, grown.module)  # type: ignore[arg-type]
        sizes.append(choice.memory_for(code, grown).size_bytes)
    assert sizes[0] == sizes[1]


def test_a_batch_that_the_library_refuses_is_the_callers_without_kernels_of_the_plan() -> None:
    plan, _ = network("digits")
    device = EmulatedDevice()
    device.cublaslt = lambda: HostCublasLt(refused_sizes=frozenset({plan.batch_size}))
    products = all_products(plan)
    code = Code(device, plan, print_cuda_module(plan, products))
    memory = choice.memory_for(code, choice.Choice(code.module, {"predict": "graph"}, tuple(products.values())))
    library = device.library(plan, tuple(products.values()), memory.workspace)
    with pytest.raises(ProductUnsupportedError, match="no algorithm for rows x"):
        GraphSteps(code, memory, "predict", library, {}).run(plan.batch_size)
    library.close()  # looks for descriptors that are left


@pytest.mark.parametrize(("kept", "runs"), [(2, 2), (3, 0)])
def test_a_kept_algorithm_runs_if_the_library_still_offers_it(kept: int, runs: int) -> None:
    """The stand-in offers 3. Other numbers of rows than a whole batch begin with the first."""
    plan, feeds = network("digits")
    device = RecordingDevice()
    known = prepared(plan, device=device, products=all_products(plan)).choice  # type: ignore[arg-type]
    algorithms = {"predict": {product.number: kept for product in known.products if product.program == "predict"}}
    runtime = CudaRuntime(device, lambda plan, device: replace(known, algorithms=algorithms))  # type: ignore[arg-type]
    session = runtime.prepare(plan)
    session.bind("predict", feeds("predict", 100))
    device.take()
    session.run("predict", np.arange(plan.batch_size + 7))
    ran = {(rows, chosen) for _, _, rows, chosen in (call for call in device.calls if call[0] == "product")}
    assert ran == {(plan.batch_size, runs), (7, 0)}


def test_products_are_prepared_before_a_capture_and_run_in_their_phases() -> None:
    plan, feeds = network("digits")
    device = RecordingDevice()
    session = prepared(plan, device=device, products=all_products(plan))  # type: ignore[arg-type]
    session.bind("train_step", feeds("train_step", 100))
    device.take()
    session.run("train_step", np.arange(plan.batch_size + 7))
    calls = device.calls
    begins = [k for k, call in enumerate(calls) if call[0] == "begin capture"]
    ends = [k for k, call in enumerate(calls) if call[0] == "end capture"]
    phases = session.choice.module.programs[-1].phases
    order = [("product", p.product.number) if isinstance(p, LibraryCall) else ("launch", p.kernel) for p in phases]
    assert {"product", "launch"} == set(dict(order))
    for begin, end, rows in zip(begins, ends, (plan.batch_size, 7), strict=True):
        assert [call[:2] for call in calls[begin + 1 : end]] == order
        assert {call[2] for call in calls[begin + 1 : end] if call[0] == "product"} == {rows}
    for k, call in enumerate(calls):
        if call[0] == "prepare":
            assert not any(begin < k < end for begin, end in zip(begins, ends, strict=True))
    prepared_for = [call[3] for call in calls if call[0] == "prepare"]
    count = sum(isinstance(phase, LibraryCall) for phase in phases)
    assert prepared_for == [plan.batch_size] * count + [7] * count


def test_the_library_is_chosen_where_it_is_quicker_with_its_quickest_algorithms(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NNC_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(choice, "LEAST_LIBRARY_WORK", 1)
    plan, feeds = network("digits")
    device = EmulatedDevice()
    device.is_timed = True  # type: ignore[misc]
    measured: list[int] = []

    def cost(names: list[str]) -> float:
        if names == ["product"]:  # each candidate in turn: the second is the quickest
            measured.append(len(measured) % 3)
            return (3.0, 1.0, 2.0)[measured[-1]]
        return -float(names.count("product"))

    device.cost = cost
    session = CudaRuntime(device).prepare(plan)
    kinds, products = session.choice.kinds, session.choice.products
    assert set(kinds.values()) == {"graph"}
    assert {product.program for product in products} == set(kinds)
    chosen = {number for found in session.choice.algorithms.values() for number in found.values()}
    assert chosen == {1}
    assert device.freed == len(device.allocated) - 1
    check_session(session, plan, feeds, steps=2)
    assert choose(plan, device) == session.choice
