"""Products of bfloat16 in compiled C against the reference runtime, for AMX and for AVX512_BF16 alone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import test_sanitizers
from native_networks import NetworkFeeds, spec_feeds
from test_native_networks import shared_everywhere

from nnc.commands.sources import bundled_path
from nnc.compiler.codegen import products_bf16
from nnc.compiler.codegen.target import AMX, AVX512_BF16, Target
from nnc.compiler.pipeline import compile_source
from nnc.compiler.plan import Plan
from nnc.grammar.diagnostics import ToolchainError
from nnc.grammar.source import SourceFile
from nnc.runtime.native import bfloat16, session
from nnc.runtime.native.cpu import cpu_text
from nnc.runtime.native.session import NativeRuntime
from nnc.runtime.native.toolchain import find_toolchain, require_toolchain
from nnc.runtime.protocol import Array, Session
from nnc.runtime.reference import ReferenceRuntime
from nnc.runtimes import Execution


def _targets() -> list[Target]:
    """Those that this processor can run."""
    try:
        best = bfloat16.rounding_target(cpu_text())
    except ToolchainError:
        return []
    return [AMX, AVX512_BF16] if best == AMX else [best]


TARGETS = _targets() if find_toolchain().toolchain is not None else []
needs_bfloat16 = pytest.mark.skipif(not TARGETS, reason="no compiler, or a processor without bfloat16")
COMPILERS = [cc for cc in ("gcc", "clang") if shutil.which(cc)]


@pytest.fixture(params=TARGETS, ids=lambda target: target.name)
def target(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Target:
    """What code is printed for in the test."""
    monkeypatch.setattr(session, "rounding_target", lambda cpu: request.param)
    chosen: Target = request.param
    return chosen


def plan_of(body: str, optimizer: str = "sgd(0.125)", batch_size: int = 16) -> Plan:
    train = f"train {{ optimizer = {optimizer}, batch_size = {batch_size}, precision = bfloat16 }}\n"
    return compile_source(SourceFile("rounded.nn", body + train), verify=True).plan


def two_layers(inputs: int, hidden: int, outputs: int, batch_size: int, optimizer: str = "sgd(0.125)") -> Plan:
    return plan_of(
        f"input x: float32[{inputs}]\nh = x -> Dense({hidden})\noutput y = h -> Dense({outputs}) {{ loss = mse }}\n",
        optimizer,
        batch_size,
    )


def set_whole_weights(sessions: list[Session], largest: int) -> None:
    generator = np.random.default_rng(5)
    for variable, _ in sessions[0].plan.variables:
        if variable.role == "weight":
            shape = sessions[0].read(variable.name).shape
            value = generator.integers(-largest, largest + 1, shape).astype(np.float32)
            for each in sessions:
                each.write(variable.name, value)


SHAPES = [(1, 1, 1, 1), (2, 3, 1, 2), (31, 33, 8, 16), (47, 49, 8, 13), (201, 97, 5, 33), (64, 160, 50, 70)]


@needs_bfloat16
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_whole_numbers_are_multiplied_exactly(shape: tuple[int, int, int, int], target: Target) -> None:
    """Numbers up to 511, of which the odd ones above 256 lie in the middle of two bfloat16; no sum is rounded."""
    inputs, outputs, _, batch_size = shape
    plan = plan_of(f"input x: float32[{inputs}]\noutput y = x -> Dense({outputs}) {{ loss = mse }}\n",
                   batch_size=batch_size)  # fmt: skip
    x = np.random.default_rng(1).integers(-511, 512, (batch_size, inputs)).astype(np.float32)
    sessions: list[Session] = [ReferenceRuntime().prepare(plan), NativeRuntime(2).prepare(plan)]
    set_whole_weights(sessions, 300)
    for rows in {batch_size, max(batch_size - 1, 1), 1}:
        for each in sessions:
            each.bind("predict", {"x": x})
            each.run("predict", np.arange(rows))
        wanted, found = (each.fetch("predict", "prediction.y") for each in sessions)
        np.testing.assert_array_equal(found, wanted)


@needs_bfloat16
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_product_of_a_step_equals_the_reference(shape: tuple[int, int, int, int], target: Target) -> None:
    """The biases of the first layer have the sums of dX, the weights of the second those of dW."""
    inputs, _, outputs, batch_size = shape
    plan = two_layers(*shape)
    generator = np.random.default_rng(2)
    data = {
        "x": generator.integers(-40, 41, (batch_size, inputs)).astype(np.float32),
        "target.y": generator.integers(-40, 41, (batch_size, outputs)).astype(np.float32),
    }
    for rows in (batch_size, max(batch_size - 1, 1)):
        sessions: list[Session] = [ReferenceRuntime().prepare(plan), NativeRuntime(2).prepare(plan)]
        set_whole_weights(sessions, 2)
        before = {variable.name: sessions[0].read(variable.name) for variable, _ in plan.variables}
        for each in sessions:
            each.bind("train_step", data)
            each.run("train_step", np.arange(rows))
        for name, old in before.items():
            wanted, found = (each.read(name) - old for each in sessions)
            largest = max(float(np.abs(wanted).max()), 1e-6)
            assert np.sqrt(np.mean((found - wanted) ** 2)) <= 1e-5 * largest, (name, rows)


def losses(each: Session, data: dict[str, Array], steps: int) -> Array:
    samples, size = len(data["x"]), each.plan.batch_size
    each.bind("train_step", data)
    found = []
    for step in range(steps):
        rows = np.random.default_rng(step).permutation(samples)[: size - step % 3]
        each.run("train_step", rows)
        found.append(float(each.fetch("train_step", "loss")))
    return np.array(found)


@needs_bfloat16
@pytest.mark.parametrize(
    ("layers", "batch_size", "optimizer"),
    [((64, 128, 10), 32, "adam(0.001)"), ((784, 512, 10), 128, "rmsprop(0.0001)"), ((75, 50, 7), 21, "sgd(0.05)")],
)
def test_losses_of_fifty_steps_equal_the_reference(
    layers: tuple[int, int, int], batch_size: int, optimizer: str, target: Target
) -> None:
    inputs, hidden, classes = layers
    plan = plan_of(
        f"input x: float32[{inputs}]\nh = x -> Dense({hidden}, relu)\noutput y = h -> Dense({classes}, softmax) "
        "{ loss = sparse_categorical_crossentropy }\n", optimizer, batch_size)  # fmt: skip
    generator = np.random.default_rng(3)
    kinds = generator.standard_normal((classes, inputs)).astype(np.float32)
    y = generator.integers(0, classes, 400).astype(np.int32)
    data = {"x": kinds[y] + generator.standard_normal((400, inputs)).astype(np.float32), "target.y": y}
    wanted = losses(ReferenceRuntime().prepare(plan), data, 50)
    found = losses(NativeRuntime(2).prepare(plan), data, 50)
    assert wanted[-10:].mean() < wanted[0] / 2, "it learns"
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)


@needs_bfloat16
def test_threads_change_no_byte(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    shared_everywhere(monkeypatch)
    monkeypatch.setattr(products_bf16, "SMALL_WORK", 0)
    plan = two_layers(100, 131, 70, 50, "adam(0.01)")
    generator = np.random.default_rng(4)
    data = {
        "x": generator.standard_normal((90, 100)).astype(np.float32),
        "target.y": generator.standard_normal((90, 70)).astype(np.float32),
    }
    results = []
    for threads in (1, 2, 4):
        each = NativeRuntime(threads).prepare(plan)
        found = losses(each, data, 5)
        results.append([found.tobytes(), *(each.read(variable.name).tobytes() for variable, _ in plan.variables)])
    assert results[0] == results[1] == results[2]


@needs_bfloat16
@pytest.mark.parametrize("cc", COMPILERS)
def test_every_compiler_knows_the_instructions(cc: str, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    own = require_toolchain()
    monkeypatch.setattr(session, "require_toolchain", lambda: replace(own, command=(cc,), version=cc))
    test_every_product_of_a_step_equals_the_reference((47, 49, 8, 13), target)


@needs_bfloat16
def test_columns_of_a_concatenation_are_multiplied_where_they_lie(target: Target) -> None:
    plan = plan_of("""
input a: float32[5]
input b: float32[7]
left = a -> Dense(9, relu)
right = (left, b) -> Concatenate -> Dense(20, relu)
output y = (right, left) -> Concatenate -> Dense(3) { loss = mse }
""")
    feeds = NetworkFeeds(plan, {"a": ("real", 0), "b": ("real", 0), "y": ("real", 0)}).feeds("train_step", 16)
    results = []
    for each_runtime in (ReferenceRuntime(), NativeRuntime(2)):
        each = each_runtime.prepare(plan)
        each.bind("train_step", feeds)
        each.run("train_step", np.arange(16))
        results.append({variable.name: each.read(variable.name) for variable, _ in plan.variables})
    for name, wanted in results[0].items():
        np.testing.assert_allclose(results[1][name], wanted, rtol=1e-4, atol=1e-5, err_msg=name)


@needs_bfloat16
@pytest.mark.parametrize("sanitizer", list(test_sanitizers.SANITIZERS))
def test_sanitizers_have_nothing_to_say(sanitizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without AMX, whose loads no sanitizer sees."""
    shared_everywhere(monkeypatch)
    monkeypatch.setattr(products_bf16, "SMALL_WORK", 0)
    text = bundled_path("digits").read_text("utf-8").replace("batch_size = 32", "batch_size = 13, precision = bfloat16")
    plan = compile_source(SourceFile("digits.nn", text)).plan
    assert plan.precision == "bfloat16"
    module = test_sanitizers.build(plan, sanitizer, tmp_path, AVX512_BF16)
    assert test_sanitizers.report(plan, module, spec_feeds(plan), tmp_path) == ""


def test_a_refusal_names_what_the_processor_lacks() -> None:
    with pytest.raises(ToolchainError, match="E0933") as raised:
        bfloat16.rounding_target("Linux; x86_64; avx2 avx512f avx512bw")
    assert "it lacks avx512_bf16" in raised.value.diagnostics[0].notes


@pytest.mark.skipif(find_toolchain().toolchain is None, reason=find_toolchain().reason)
@pytest.mark.parametrize("name", ["native", "auto"])
def test_native_and_auto_refuse_a_plan_that_the_processor_cannot_run(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NNC_RUNTIME", raising=False)
    older = replace(require_toolchain(), cpu="Linux; x86_64; avx2 avx512f avx512bw")
    monkeypatch.setattr(session, "require_toolchain", lambda: older)
    with pytest.raises(ToolchainError, match="E0933"):
        Execution(name).open().prepare(two_layers(4, 3, 2, 5))
    Execution("reference").open().prepare(two_layers(4, 3, 2, 5))


def test_without_leave_for_tiles_there_is_avx512(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = "Linux; x86_64; avx512f avx512bw avx512_bf16 amx_tile amx_bf16"
    monkeypatch.setattr(bfloat16, "may_use_tiles", lambda: False)
    assert bfloat16.rounding_target(cpu) == AVX512_BF16
    monkeypatch.setattr(bfloat16, "may_use_tiles", lambda: True)
    assert bfloat16.rounding_target(cpu) == AMX
