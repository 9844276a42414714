"""Printed kernels, run by the processor, against the reference runtime: bundled specs, random networks, all ways."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from emulated import Kernels, needs_compiler, needs_gcc
from hypothesis import HealthCheck, Phase, given, seed, settings
from printed_programs import BLOCK, CLUSTERED, GRID, MANY_BLOCKS, PHASES, WIDE_BLOCK, EmulatedSession, Way

sys.path.insert(0, str(Path(__file__).parent.parent / "native"))
from native_networks import NetworkFeeds, check_session, networks, outcome, spec_feeds, spec_plan
from test_emitters import every_word

from nnc.commands.sources import bundled_names
from nnc.compiler.codegen.cuda.library import chosen_products, library_products
from nnc.compiler.codegen.cuda.module import _HEADERS, print_cuda_module
from nnc.compiler.codegen.cuda.records import LibraryCall
from nnc.compiler.pipeline import compile_source
from nnc.grammar.source import SourceFile

pytestmark = needs_compiler
WAYS = {
    "phases": PHASES, "many blocks": MANY_BLOCKS, "block": BLOCK, "wide block": WIDE_BLOCK, "cluster": CLUSTERED,
    "grid": GRID,
}  # fmt: skip
WORDS = """
input word: int32[7]
input image: uint8[9, 5]
read = word -> Embedding(40, 6) -> LayerNormalization -> Flatten -> Dense(70, gelu)
seen = image -> Rescale(1/255) -> Flatten -> Dense(33, relu) -> Dropout(0.3) -> BatchNormalization
output kind = (seen, read) -> Concatenate -> Dense(40, tanh, kernel_regularizer = l2(0.01)) -> Dense(10, softmax) {
  loss = sparse_categorical_crossentropy, metrics = [accuracy]
}
train { optimizer = adam(learning_rate = 0.001), batch_size = 37, clip_norm = 1, seed = 3 }
"""
_EMPTY_KERNEL = 'extern "C" __global__ void nothing() {}'
WORDS_DOMAINS = {"image": ("byte", 256), "word": ("index", 40), "kind": ("class", 10)}


def words(precision: str = "") -> NetworkFeeds:
    text = WORDS.replace("seed = 3", f"seed = 3, precision = {precision}") if precision else WORDS
    return NetworkFeeds(compile_source(SourceFile("words.nn", text)).plan, WORDS_DOMAINS)


@pytest.mark.parametrize("name", bundled_names())
def test_bundled_specs_equal_the_reference(name: str) -> None:
    plan = spec_plan(name)
    check_session(EmulatedSession(plan, MANY_BLOCKS), plan, spec_feeds(plan), steps=3)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_all_ways_equal_the_reference(way: Way) -> None:
    network = words()
    check_session(EmulatedSession(network.plan, way), network.plan, network.feeds, steps=3)


@seed(20)
@settings(
    max_examples=12, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
@given(networks())
def test_random_networks_equal_the_reference(network: NetworkFeeds) -> None:
    ways = list(WAYS.values())
    way = ways[len(network.plan.buffers) % len(ways)]
    check_session(EmulatedSession(network.plan, way), network.plan, network.feeds, steps=3)


def test_the_number_of_warps_changes_no_byte() -> None:
    network = words()
    module = print_cuda_module(network.plan)
    results = [
        outcome(EmulatedSession(network.plan, way, module), network.feeds, steps=3)
        for way in (PHASES, MANY_BLOCKS, BLOCK, WIDE_BLOCK, GRID)
    ]
    assert all(result == results[0] for result in results[1:])


def test_products_of_bfloat16_equal_the_reference() -> None:
    network = words("bfloat16")
    check_session(EmulatedSession(network.plan, PHASES), network.plan, network.feeds, steps=3)


@pytest.mark.parametrize("name", ["digits", "residual", "wide_deep_aux", "words", "words in bfloat16"])
def test_products_of_a_library_and_the_rest_equal_the_reference(name: str) -> None:
    """The ways that cover most of a step, and the bare products, whose steps are left almost whole."""
    plan = words("bfloat16" if "bfloat16" in name else "").plan if "words" in name else spec_plan(name)
    feeds = NetworkFeeds(plan, WORDS_DOMAINS).feeds if "words" in name else spec_feeds(plan)
    ways = library_products(plan)
    for chosen in (chosen_products(ways, lambda way: True), {key: each[-1] for key, each in ways.items()}):
        module = print_cuda_module(plan, chosen)
        programs = {program.name: program for program in module.programs}
        calls = {
            (phase.product.program, phase.product.number): phase.product
            for program in programs.values()
            for phase in program.phases
            if isinstance(phase, LibraryCall)
        }
        assert calls == chosen, "each is a phase"
        assert not any(programs[name].resident for name, _ in chosen)
        check_session(EmulatedSession(plan, PHASES, module), plan, feeds, steps=3)


@needs_gcc
@pytest.mark.parametrize("way", [MANY_BLOCKS, GRID], ids=["many blocks", "grid"])
def test_no_two_threads_race(way: Way) -> None:
    network = words()
    session = EmulatedSession(network.plan, way, finds_races=True)
    for program in network.plan.programs:
        session.bind(program.name, network.feeds(program.name, 50))
        session.run(program.name, np.random.default_rng(1).permutation(50))


def test_every_word_of_the_printers_is_in_the_headers() -> None:
    """The same words as those of C: a compiler refuses what is declared nowhere."""
    lines = [f'#include "{header}"' for header in _HEADERS]
    lines += [f"INLINE {head} {{ {body} }}" for head, body in every_word()]
    assert Kernels("\n".join([*lines, _EMPTY_KERNEL])).names == ("nothing",)


def test_two_paths_as_recorded(golden: Callable[[Path, str], None]) -> None:
    folder = Path(__file__).parent
    source = (folder.parent / "golden" / "two_paths.nn").read_text("utf-8")
    text = print_cuda_module(compile_source(SourceFile("two_paths.nn", source)).plan).text
    golden(folder / "two_paths.cu.txt", text)
