"""Compiled C against the reference runtime: every bundled spec, random networks, any number of threads."""

from __future__ import annotations

import platform
import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from native_networks import NetworkFeeds, check_against_reference, networks, outcome, spec_feeds, spec_plan

from nnc.commands.sources import bundled_names
from nnc.compiler.codegen import calls, maps, module, operands, products, reductions
from nnc.compiler.codegen.target import AVX2, VECTOR128, Target
from nnc.compiler.pipeline import compile_source
from nnc.grammar.source import SourceFile
from nnc.runtime.native import session
from nnc.runtime.native.session import NativeRuntime, target_of
from nnc.runtime.native.toolchain import find_toolchain, require_toolchain

pytestmark = pytest.mark.skipif(find_toolchain().toolchain is None, reason=find_toolchain().reason)
LARGE = """
input image: uint8[40, 30]
input word: int32[12]
seen = image -> Rescale(1/255) -> Flatten -> Dense(300, relu) -> Dropout(0.3) -> BatchNormalization
read = word -> Embedding(5000, 20) -> Flatten -> Dense(130, gelu) -> LayerNormalization
output digit = (seen, read) -> Concatenate -> Dense(100, tanh, kernel_regularizer = l2(0.01)) -> Dense(10, softmax) {
  loss = sparse_categorical_crossentropy, metrics = [accuracy]
}
train { optimizer = adam(learning_rate = 0.001), batch_size = 96, clip_norm = 1, seed = 3 }
"""
DEEP = """
input signal: float32[2300]
output kind = signal -> Dense(210, relu) -> Dense(2100, relu) -> Dense(5, softmax) {
  loss = sparse_categorical_crossentropy
}
train { optimizer = rmsprop, batch_size = 131, seed = 3 }
"""
DEEP_DOMAINS = {"signal": ("real", 0), "kind": ("class", 5)}
LARGE_DOMAINS = {"image": ("byte", 256), "word": ("index", 5000), "digit": ("class", 10)}


@pytest.mark.parametrize("name", bundled_names())
def test_bundled_specs_equal_the_reference(name: str) -> None:
    plan = spec_plan(name)
    check_against_reference(plan, spec_feeds(plan), steps=3)


@seed(20)
@settings(
    max_examples=40, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
@given(networks())
def test_random_networks_equal_the_reference(network: NetworkFeeds) -> None:
    check_against_reference(network.plan, network.feeds, steps=3)


COMPILERS = [cc for cc in ("gcc", "clang") if shutil.which(cc)]
FLAGS = {AVX2: ("-march=haswell",), VECTOR128: ()}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="instruction sets of x86")
@pytest.mark.parametrize("target", list(FLAGS), ids=lambda target: target.name)
@pytest.mark.parametrize("cc", COMPILERS)
def test_other_compilers_and_instruction_sets(cc: str, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine's own compiler and widest vectors do is tested everywhere else."""
    own = require_toolchain()
    if target not in (VECTOR128, target_of(own.cpu)) and target_of(own.cpu) == VECTOR128:
        pytest.skip("the processor has no such instructions")
    plain = tuple([flag for flag in own.flags if not flag.startswith("-m")])
    other = replace(own, command=(cc,), version=cc, flags=(*plain, *FLAGS[target]))
    monkeypatch.setattr(session, "require_toolchain", lambda: other)
    monkeypatch.setattr(session, "target_of", lambda cpu: target)
    plan = spec_plan("digits")
    check_against_reference(plan, spec_feeds(plan), steps=3)


def shared_everywhere(patch: pytest.MonkeyPatch) -> None:
    """Let threads share every step that has a loop, however small."""
    for part in (calls, maps, module, operands, products, reductions):
        patch.setattr(part, "SMALL_WORK", 0)


@pytest.mark.parametrize("name", ["digits", "residual", "wide_deep_aux"])
def test_threads_change_no_byte_of_small_steps(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shared_everywhere(monkeypatch)
    plan = spec_plan(name)
    feeds = spec_feeds(plan)
    alone = outcome(NativeRuntime(1).prepare(plan), feeds, steps=4)
    for threads in (2, 4):
        assert outcome(NativeRuntime(threads).prepare(plan), feeds, steps=4) == alone


def test_threads_change_no_byte_of_large_steps() -> None:
    plan = compile_source(SourceFile("large.nn", LARGE)).plan
    network = NetworkFeeds(plan, LARGE_DOMAINS)
    entries = {entry.name: entry for entry in NativeRuntime(1).prepare(plan)._module.entries}
    assert all(entries[name].is_shared for name in ("predict", "evaluate_step", "train_step"))
    alone = outcome(NativeRuntime(1).prepare(plan), network.feeds, steps=5)
    for threads in (2, 4):
        assert outcome(NativeRuntime(threads).prepare(plan), network.feeds, steps=5) == alone


NOTHING_VARIES = """
input pair: float32[3, 2]
same = (pair, pair) -> Subtract -> LayerNormalization(epsilon = 0.1, center = false) -> LayerNormalization
output y = same -> Flatten -> Dense(2) { loss = mse }
train { optimizer = sgd, batch_size = 3, seed = 1 }
"""


def test_short_rows_of_equal_numbers() -> None:
    """Of a row that lies across vectors, one number for all its columns is stored in each of them."""
    plan = compile_source(SourceFile("nothing.nn", NOTHING_VARIES)).plan
    check_against_reference(plan, NetworkFeeds(plan, {"pair": ("real", 0), "y": ("real", 0)}).feeds, steps=2)


def test_products_that_go_through_long_rows_part_by_part() -> None:
    """Their sums so far, and the rows that a thread copies for itself, with batches of whole and of broken tiles."""
    plan = compile_source(SourceFile("deep.nn", DEEP)).plan
    feeds = NetworkFeeds(plan, DEEP_DOMAINS).feeds
    text = NativeRuntime(1).prepare(plan)._module.text
    assert "far_panels_f32(" in text
    assert "pack_rows_f32(" in text
    check_against_reference(plan, feeds, steps=2)
    alone = outcome(NativeRuntime(1).prepare(plan), feeds, steps=2)
    assert outcome(NativeRuntime(3).prepare(plan), feeds, steps=2) == alone


def test_many_steps_in_one_call_are_those_of_many_calls() -> None:
    plan = compile_source(SourceFile("large.nn", LARGE)).plan
    feeds = NetworkFeeds(plan, LARGE_DOMAINS).feeds("train_step", 300)
    rows = np.random.default_rng(0).permutation(300)
    together, apart = NativeRuntime(2).prepare(plan), NativeRuntime(2).prepare(plan)
    for each in (together, apart):
        each.bind("train_step", feeds)
    together.run("train_step", rows)
    for start in range(0, 300, plan.batch_size):
        apart.run("train_step", rows[start : start + plan.batch_size])
    for variable, _ in plan.variables:
        assert together.read(variable.name).tobytes() == apart.read(variable.name).tobytes(), variable.name
