"""The CUDA runtime on a GPU, against the reference: `python -m pytest tests/cuda/test_gpu.py -m gpu`.

Without a GPU these are skipped, and a few of them run on the emulated device instead, so that the tests are known to
work. `nnc doctor --device gpu` fails where the tests are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from cuda_sessions import DOUBLE, DOUBLE_DOMAINS, NOISY, NOISY_DOMAINS, plan_of, prepared, runtime_for
from gpu_machines import Machine, is_by_library, on_machines, probed
from library_ways import written
from linear_session import config
from native_networks import Feeds, NetworkFeeds, check_session, outcome, spec_feeds, spec_plan
from random_networks import RandomNetwork, first_networks
from test_library import GELU, hidden_plan, with_plain_sums

from nnc.commands.sources import bundled_names, bundled_path
from nnc.compiler.codegen.cuda.library import chosen_products, has_mask, library_products, writes_mask
from nnc.compiler.codegen.cuda.records import LibraryProduct
from nnc.compiler.pipeline import Compiled, compile_source
from nnc.compiler.plan import ROWS_FEED, Plan
from nnc.grammar.diagnostics import DataError
from nnc.grammar.source import SourceFile
from nnc.runtime import agreement, data, train
from nnc.runtime.cuda import feeds as feeds_of_cuda
from nnc.runtime.cuda.cublaslt import EPILOGUES
from nnc.runtime.data import Samples
from nnc.runtime.data.made_up import made_up
from nnc.runtime.data.order import epoch_order
from nnc.runtime.protocol import Array, Rows
from nnc.runtime.reference import ReferenceRuntime
from nnc.runtime.state import all_variables, write_all

LOSS_TOLERANCE = 1e-5  # relative, of each of 100 steps in float32
Products = Mapping[tuple[str, int], LibraryProduct]


@pytest.fixture(autouse=True)
def _gpu_or_skip(machine: Machine) -> None:
    if machine.is_gpu and not probed().is_ready:
        pytest.skip(f"no GPU that works: {probed().reason}")


def network(name: str) -> tuple[Plan, Feeds]:
    """A bundled spec, or one of the networks written for sessions, with samples."""
    written = {"noisy": (NOISY, NOISY_DOMAINS), "float64": (DOUBLE, DOUBLE_DOMAINS)}
    if name not in written:
        plan = spec_plan(name)
        return plan, spec_feeds(plan)
    text, domains = written[name]
    plan = plan_of(text)
    return plan, NetworkFeeds(plan, domains).feeds


# --- bundled specs ----------------------------------------------------------------------------------------------------
def compiled_spec(name: str) -> tuple[Compiled, Samples]:
    """A bundled spec with its own samples, or with made-up ones where its data are not shipped."""
    path = bundled_path(name)
    assert path is not None
    compiled = compile_source(SourceFile(path.name, path.read_text("utf-8")))
    plan, network = compiled.plan, compiled.network
    assert network.data is not None
    try:
        return compiled, data.load(network.data, plan, path.parent, network.outputs).train
    except DataError:
        return compiled, made_up(plan, network.outputs, 20 * plan.batch_size - plan.batch_size // 3, plan.seed)


def batches(plan: Plan, samples: Samples) -> Iterator[Rows]:
    """Of epoch after epoch, shuffled, with what is left at the end of each."""
    for epoch in range(100):
        rows = samples.index[epoch_order(len(samples), plan.seed, epoch)]
        yield from (rows[start : start + plan.batch_size] for start in range(0, len(rows), plan.batch_size))


@pytest.mark.parametrize(
    ("machine", "name"), on_machines(bundled_names(), ("autoencoder", "breast_cancer", "logic_xor", "wide_deep_aux"))
)
def test_losses_of_100_steps_are_those_of_the_reference(machine: Machine, name: str) -> None:
    """From the same weights, with the same batches: led back to the reference's variables before each step, and free.

    Where the last bits of the reference's own numbers, left to chance, drive its losses further than that apart (as an
    activation flips in siamese), a free runtime may be as far away as `nnc verify` allows.
    """
    compiled, samples = compiled_spec(name)
    plan = compiled.plan
    reference, runtime = ReferenceRuntime().prepare(plan), machine.runtime()
    train.adapt(reference, samples)
    free, led = runtime.prepare(plan), runtime.prepare(plan)
    shaken = [agreement.ShakenSession(plan, seed) for seed in range(agreement.SHAKEN)]
    sessions = (reference, free, led, *shaken)
    bound = {name: samples.feeds[name] for name, _ in plan.program("train_step").feeds if name != ROWS_FEED}
    for session in sessions:
        session.bind("train_step", bound)
        write_all(session, all_variables(reference))
    losses = []
    for rows in islice(batches(plan, samples), machine.times(100, emulated=25)):
        write_all(led, all_variables(reference))
        for session in sessions:
            session.run("train_step", rows)
        losses.append([float(session.fetch("train_step", "loss")) for session in sessions])
    wanted, of_free, of_led, *of_shaken = np.array(losses).T
    assert len(wanted) == machine.times(100, emulated=25)
    assert len(set(wanted)) > 1, "the weights do not change"
    np.testing.assert_allclose(of_led, wanted, rtol=LOSS_TOLERANCE, atol=0)
    by_rounding = max(float(np.max(np.abs(found / wanted - 1))) for found in of_shaken)
    is_chaotic = by_rounding > LOSS_TOLERANCE
    limit = agreement.TIMES_ROUNDING * by_rounding if is_chaotic else LOSS_TOLERANCE
    np.testing.assert_allclose(of_free, wanted, rtol=limit, atol=0)


@pytest.mark.parametrize(("machine", "name"), on_machines(bundled_names(), ("wine", "logic_or")))
def test_every_tensor_is_as_near_as_rounding_allows(machine: Machine, name: str) -> None:
    """What `nnc verify` compares, by its own measure: variables and fetches, step by step and free."""
    compiled, samples = compiled_spec(name)
    tensors = agreement.compare(compiled.plan, samples, [machine.runtime()], machine.times(100, emulated=3))
    assert {tensor.kind for tensor in tensors} == {"variable", "fetch"}
    assert not [tensor for tensor in tensors if tensor.disagreeing()]


LAUNCHED = (*bundled_names(), "noisy", "float64")


@pytest.mark.parametrize(("machine", "name"), on_machines(LAUNCHED, ("noisy", "logic_xor")))
def test_however_a_program_is_launched_the_bytes_are_the_same(machine: Machine, name: str) -> None:
    """Graphs of phases, and kernels that stay on a block, a cluster or the grid; all programs, full and ragged."""
    plan, feeds = network(name)
    kinds = machine.kinds(plan)
    assert {"graph", "block", "grid"} <= set(kinds)  # clusters from sm_90 on, wide blocks where shared memory is enough
    outcomes = {kind: outcome(prepared(plan, kind, machine.device()), feeds, steps=4) for kind in kinds}
    for kind, bytes in outcomes.items():
        assert bytes == outcomes["graph"], kind


# --- training, evaluating, predicting ---------------------------------------------------------------------------------
@pytest.mark.parametrize(("machine", "name"), on_machines(("breast_cancer", "digits", "noisy"), ("breast_cancer",)))
def test_whole_trainings_end_as_the_reference_ends(machine: Machine, name: str) -> None:
    """Epochs with a ragged last batch and validation, then an evaluation and predictions, both with a ragged end."""
    plan, feeds = network(name)
    samples = feeds("train_step", 205)
    parts = Samples(dict(samples), np.arange(150)), Samples(dict(samples), np.arange(150, 205))
    ends = []
    for session in (machine.runtime().prepare(plan), ReferenceRuntime().prepare(plan)):
        history = train.fit(session, *parts, config(epochs=3))
        figures = [dict(epoch.figures) for epoch in history.epochs]
        figures.append(train.evaluate(session, parts[1]).figures())
        ends.append((figures, train.predict(session, Samples(dict(samples), np.arange(205)))))
    (figures, predictions), (wanted_figures, wanted_predictions) = ends
    assert len(wanted_figures) == 4
    for found, wanted in zip(figures, wanted_figures, strict=True):
        assert found == pytest.approx(wanted, rel=1e-3, abs=1e-4)
    for output, value in wanted_predictions.items():
        np.testing.assert_allclose(predictions[output], value, rtol=5e-3, atol=5e-3)


@pytest.mark.parametrize(("machine", "name"), on_machines(("digits", "noisy", "cifar10"), ("digits",)))
def test_streamed_samples_give_the_same_bytes(machine: Machine, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through buffers of three batches, since there is no room for more, beside samples that lie on the device."""
    plan, feeds = network(name)
    samples = feeds("train_step", 21 * plan.batch_size + 5)
    row = sum(array[:1].nbytes for array in samples.values())
    resident, streamed = (prepared(plan, device=machine.device()) for _ in range(2))
    resident.bind("train_step", samples)
    monkeypatch.setattr(feeds_of_cuda, "STAGED_BYTES", 3 * plan.batch_size * row + 7)
    monkeypatch.setattr(feeds_of_cuda, "MARGIN_BYTES", streamed._device.total_bytes)
    streamed.bind("train_step", samples)
    for seed in range(machine.times(20, emulated=2)):
        rows = np.random.default_rng(seed).permutation(len(samples[next(iter(samples))]))[5 * seed :]
        for session in (resident, streamed):
            session.run("train_step", rows)
    assert [bool(session._feeds._bound["train_step"].staged) for session in (resident, streamed)] == [False, True]
    for variable, _ in plan.variables:
        assert streamed.read(variable.name).tobytes() == resident.read(variable.name).tobytes(), variable.name


# --- precisions -------------------------------------------------------------------------------------------------------
ONE_PRODUCT = """
input x: float32[64]
output y = x -> Dense(24, use_bias = false) {{ loss = mse }}
train {{ batch_size = 32, precision = {precision} }}
"""
WAYS = [f"{precision}, {who}" for precision in ("float32", "tf32", "bfloat16") for who in ("own", "library")]


def shortened(matrix: Array, precision: str) -> Array:
    """float32 -> float64, the operand of a product in bfloat16 as that rounds it: to nearest, of two to even."""
    if precision != "bfloat16":
        return matrix.astype(np.float64)
    bits = matrix.view(np.uint32)
    kept = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(0xFFFF0000)
    return kept.view(np.float32).astype(np.float64)


@pytest.mark.parametrize(("machine", "way"), on_machines(WAYS, WAYS))
def test_a_product_rounds_as_its_precision_says_and_no_more(machine: Machine, way: str) -> None:
    """Every element within the bound of summing k products in float32, k 2**-24 of the sum of their sizes (Higham,
    Accuracy and Stability, 2002, 3.1), of what the rounded operands give exactly.

    bfloat16 rounds operands to 8 bits, as here; float32 not at all, which a product in TF32 would not pass. TF32 keeps
    10 bits behind the point and may cut the rest off: 2**-10 for each operand, twice 2**-11 where it rounds instead.
    """
    precision, who = way.split(", ")
    plan = plan_of(ONE_PRODUCT.format(precision=precision))
    products = chosen_products(library_products(plan), lambda way: way.program == "predict") if who == "library" else {}
    session = prepared(plan, device=machine.device(), products=products)
    x = np.random.default_rng(3).normal(size=(plan.batch_size, 64)).astype(np.float32)
    (feed,) = (name for name, _ in plan.program("predict").feeds if name != ROWS_FEED)
    session.bind("predict", {feed: x})
    session.run("predict", np.arange(plan.batch_size))
    found = session.fetch("predict", "prediction.y")
    if products and not is_by_library(session, "predict"):
        pytest.skip(f"cuBLASLt refuses a bare product in {precision}")
    kernel = session.read("y.kernel")
    a, b = shortened(x, precision), shortened(kernel, precision)
    sizes = np.abs(a) @ np.abs(b)
    unit = 64 * 2.0**-24 + (2 * 2.0**-10 if precision == "tf32" else 0)
    assert (np.abs(found - a @ b) <= unit * sizes).all()
    if precision == "bfloat16":
        exact = x.astype(np.float64) @ kernel.astype(np.float64)
        assert (np.abs(found - exact) > 64 * 2.0**-24 * sizes).any(), "the operands are not rounded"


@pytest.mark.parametrize(("machine", "way"), on_machines(WAYS, WAYS[3:5]))
def test_steps_in_every_precision_are_as_near_as_rounding_allows(machine: Machine, way: str) -> None:
    """By the measure of `nnc verify`, which leaves to chance as many bits as the precision may lose."""
    precision, who = way.split(", ")
    plan = plan_of(NOISY.replace("train { ", f"train {{ precision = {precision}, "))
    outputs = compile_source(SourceFile("network.nn", NOISY)).network.outputs
    products = all_products(plan) if who == "library" else {}
    samples = made_up(plan, outputs, 2 * plan.batch_size - 5, plan.seed)
    runtime = runtime_for(plan, device=machine.device(), products=products)
    tensors = agreement.compare(plan, samples, [runtime], machine.times(20, emulated=2))
    assert not [tensor for tensor in tensors if tensor.disagreeing()]


def all_products(plan: Plan) -> Products:
    return chosen_products(library_products(plan), lambda product: True)


# --- cuBLASLt's epilogues ---------------------------------------------------------------------------------------------
RELUS = ("relu", "relu, use_bias = false")


def plan_with(epilogue: str) -> tuple[Plan, Products]:
    """A plan of which products end in this epilogue, and those, with the ones that write or read their masks."""
    activation = "relu" if "relu" in epilogue else GELU
    hidden = [hidden_plan(layers, layers) for layers in (f"{activation}, use_bias = false", activation)]
    summing = with_plain_sums(hidden_plan(activation, activation, ", clip_norm = 1"))

    def is_asked_for(way: LibraryProduct) -> bool:
        is_counterpart = has_mask(way) and writes_mask(way) == ("drelu" in epilogue)
        return way.epilogue == epilogue or (is_counterpart and epilogue.startswith(("relu_aux", "drelu")))

    for plan in (*hidden, spec_plan("siamese"), summing):
        products = chosen_products(library_products(plan), is_asked_for)
        if epilogue in {product.epilogue for product in products.values()}:
            return plan, products
    raise AssertionError(f"no plan has a product with {epilogue}")


@pytest.mark.parametrize(("machine", "epilogue"), on_machines(EPILOGUES, EPILOGUES))
def test_every_epilogue_does_what_the_kernels_of_the_plan_do(machine: Machine, epilogue: str) -> None:
    """Of a program that ends with such a product, everything that this writes, full and ragged."""
    plan, products = plan_with(epilogue)
    way = max((way for way in products.values() if way.epilogue == epilogue), key=lambda way: (way.program, way.number))
    program = plan.program(way.program)
    ends = replace(plan, programs=(replace(program, steps=program.steps[: way.number + 1]),))
    earlier = {key: found for key, found in products.items() if key[0] == way.program and key[1] <= way.number}
    sessions = [prepared(ends, device=machine.device(), products=chosen) for chosen in (earlier, {})]
    for rows in (plan.batch_size, plan.batch_size - 1):
        for session in sessions:
            session.bind(way.program, spec_feeds(plan)(way.program, plan.batch_size))
            session.run(way.program, np.arange(rows))
        for id in written(program.steps[way.number]):
            found, wanted = (session._memory.read(id, rows) for session in sessions)
            largest = np.abs(wanted).max()
            assert largest > 0
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * largest, err_msg=plan.buffers[id].name)
    if not is_by_library(sessions[0], way.program):
        pytest.skip(f"cuBLASLt refuses {epilogue}")


@pytest.mark.parametrize(("machine", "layers"), on_machines((*RELUS, GELU), RELUS))
def test_steps_with_products_by_the_library_are_those_of_the_reference(machine: Machine, layers: str) -> None:
    plan = hidden_plan(layers, layers)
    session = prepared(plan, device=machine.device(), products=all_products(plan))
    check_session(session, plan, spec_feeds(plan), steps=machine.times(20, emulated=3))
    if not is_by_library(session, "train_step"):
        pytest.skip(f"cuBLASLt refuses products around {layers}")


@pytest.mark.parametrize(("machine", "layers"), on_machines(RELUS, RELUS))
def test_a_mask_of_relu_keeps_no_zeros(machine: Machine, layers: str) -> None:
    """A kernel of zeros brings every unit to exactly 0, where nothing may flow back: what the manual does not say of
    the mask, and what the plan's kernels do. So of all weights the last bias alone learns."""
    plan = hidden_plan(layers, layers)
    products = chosen_products(library_products(plan), has_mask)
    assert {product.epilogue.removesuffix("_bias") for product in products.values()} >= {"relu_aux", "drelu"}
    for chosen in (products, {}):
        session = prepared(plan, device=machine.device(), products=chosen)
        session.write("hidden.kernel", np.zeros_like(session.read("hidden.kernel")))
        before = all_variables(session)
        session.bind("train_step", spec_feeds(plan)("train_step", plan.batch_size))
        session.run("train_step", np.arange(plan.batch_size))
        learnt = {name for name, value in all_variables(session).items() if not np.array_equal(value, before[name])}
        assert {name for name in learnt if name.endswith((".kernel", ".bias"))} == {"y.bias"}
        if chosen and not is_by_library(session, "train_step"):
            pytest.skip("cuBLASLt refuses masks of relu")


# --- random networks --------------------------------------------------------------------------------------------------
COUNT = 50


@pytest.fixture(scope="module")
def random_ones() -> list[RandomNetwork]:
    return first_networks(COUNT, seed=5)


@pytest.mark.parametrize(("machine", "number"), on_machines(range(COUNT), (0, 1)))
def test_random_networks_compute_what_the_reference_does(
    machine: Machine, number: int, random_ones: list[RandomNetwork]
) -> None:
    chosen = random_ones[number]
    plan = plan_of(chosen.text)
    feeds = NetworkFeeds(plan, chosen.domains).feeds
    kinds = machine.kinds(plan)
    session = prepared(plan, kinds[number % len(kinds)], machine.device())
    check_session(session, plan, feeds, steps=machine.times(20, emulated=3))
