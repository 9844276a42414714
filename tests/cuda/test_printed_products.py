"""Every way to cut a product into tiles, on networks whose products are small enough to be emulated."""

from __future__ import annotations

import pytest
from emulated import needs_compiler, needs_gcc
from printed_programs import PHASES, WIDE_BLOCK, EmulatedSession, Way
from test_printed import NetworkFeeds, check_session, words

from nnc.compiler.codegen.cuda import products
from nnc.compiler.codegen.cuda.module import print_cuda_module
from nnc.compiler.codegen.cuda.tiles import _TILES, _WIDE_ELEMENTS, Tile, tile_for
from nnc.compiler.pipeline import compile_source
from nnc.compiler.plan import Plan
from nnc.grammar.source import SourceFile

pytestmark = needs_compiler
DOUBLES = """
input a: float64[70]
hidden = a -> Dense(90, tanh) -> BatchNormalization -> Dense(33, gelu)
output y = (hidden, a) -> Concatenate -> Dense(5) { loss = mse }
train { optimizer = adam(learning_rate = 0.001), batch_size = 41 }
"""
SINGLES = """
input a: float32[70]
output y = a -> Dense(40, relu) -> Dense(3) { loss = mse }
train { optimizer = sgd(learning_rate = 0.01), batch_size = 20 }
"""
DOUBLES_DOMAINS = {"a": ("real", 0), "y": ("real", 0)}
NAMES = [tile.text() for tile in _TILES]


def cut(monkeypatch: pytest.MonkeyPatch, tile: Tile, plan: Plan) -> None:
    monkeypatch.setattr(products, "tile_for", lambda rows, columns, dtype: tile)
    assert tile.text() in print_cuda_module(plan).text


@pytest.mark.parametrize("way", [PHASES, WIDE_BLOCK], ids=["phases", "wide block"])
@pytest.mark.parametrize("tile", _TILES, ids=NAMES)
def test_float32(tile: Tile, way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    network = words()
    cut(monkeypatch, tile, network.plan)
    check_session(EmulatedSession(network.plan, way), network.plan, network.feeds, steps=2)


@pytest.mark.parametrize("tile", _WIDE_ELEMENTS, ids=[tile.text() for tile in _WIDE_ELEMENTS])
def test_float64(tile: Tile, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = compile_source(SourceFile("doubles.nn", DOUBLES)).plan
    cut(monkeypatch, tile, plan)
    check_session(EmulatedSession(plan, PHASES), plan, NetworkFeeds(plan, DOUBLES_DOMAINS).feeds, steps=2)


@needs_gcc
@pytest.mark.parametrize("tile", _TILES, ids=NAMES)
def test_no_two_threads_race(tile: Tile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several slices, and several tiles for each squad."""
    plan = compile_source(SourceFile("singles.nn", SINGLES)).plan
    cut(monkeypatch, tile, plan)
    feeds = NetworkFeeds(plan, DOUBLES_DOMAINS).feeds
    check_session(EmulatedSession(plan, WIDE_BLOCK, finds_races=True), plan, feeds, steps=1)


def test_large_results_have_large_tiles_and_small_ones_enough_of_them() -> None:
    assert tile_for(4096, 4096, "float32") == _TILES[0]
    assert tile_for(784, 512, "float32") == _TILES[1]
    assert tile_for(32, 10, "float32") == _TILES[-1]
    assert tile_for(32, 10, "float32").count(32, 10) == 4
    assert tile_for(4096, 4096, "float64") == _WIDE_ELEMENTS[0]
