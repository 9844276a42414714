"""The bundled specs work as they are: they check, have their canonical layout, fit their memory bound, and learn."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnc.commands.sources import bundled_names, bundled_path, specs_directory
from nnc.compiler.options import CompileOptions
from nnc.compiler.pipeline import Compiled, compile_source
from nnc.compiler.planning.lifetimes import program_lower_bound
from nnc.grammar.format import format_module
from nnc.grammar.parse import parse
from nnc.grammar.source import SourceFile
from nnc.runtime import data, train
from nnc.runtime.reference import ReferenceRuntime

NEED_DATA = {"mnist", "fashion_mnist", "cifar10", "california"}
NAMES = bundled_names()
BUNDLED = [name for name in NAMES if name not in NEED_DATA]
# what a full run reaches on the samples it is judged by, with some room: (figure, at least) or (figure, at most)
AT_LEAST = {
    "digits": ("digit.accuracy", 0.97),
    "digits_multilabel": ("large_odd.binary_accuracy", 0.95),
    "breast_cancer": ("benign.accuracy", 0.94),
    "wine": ("cultivar.accuracy", 0.93),
    "siamese": ("same.accuracy", 0.9),
    "logic_and": ("both.accuracy", 1.0),
    "logic_or": ("either.accuracy", 1.0),
    "logic_xor": ("network.accuracy", 1.0),
    "maxout": ("digit.accuracy", 0.95),
    "residual": ("digit.accuracy", 0.95),
}
AT_MOST = {
    "diabetes": ("progression.mae", 50.0),
    "wide_deep": ("progression.mae", 50.0),
    "wide_deep_aux": ("main.mae", 50.0),
    "autoencoder": ("copy.mae", 1.5),
    "denoising_autoencoder": ("clean.mae", 1.5),
    "logic_xor": ("perceptron.accuracy", 0.75),
}


def source_of(name: str) -> SourceFile:
    path = bundled_path(name)
    assert path is not None
    return SourceFile(path.name, path.read_text("utf-8"), path)


@pytest.fixture(scope="module", params=NAMES)
def compiled(request: pytest.FixtureRequest) -> Compiled:
    return compile_source(source_of(request.param), CompileOptions(), verify=True)


def test_every_bundled_spec_has_a_bar_to_reach() -> None:
    assert set(BUNDLED) == AT_LEAST.keys() | AT_MOST.keys()
    assert set(NAMES) >= NEED_DATA


def test_spec_bears_its_name_and_says_what_it_shows(compiled: Compiled) -> None:
    assert compiled.network.name == Path(compiled.source.name).stem
    assert any(line.startswith("## ") for line in compiled.source.text.splitlines())


def test_spec_has_its_canonical_layout(compiled: Compiled) -> None:
    once = format_module(parse(compiled.source))
    assert once == compiled.source.text
    assert format_module(parse(SourceFile("again", once))) == once


@pytest.mark.parametrize("batch_size", [1, 7, None])
def test_peak_is_within_a_tenth_of_what_no_plan_can_beat(compiled: Compiled, batch_size: int | None) -> None:
    size = batch_size or compiled.plan.batch_size
    plan = compile_source(compiled.source, CompileOptions(batch_size=size)).plan
    for program, scheduled in zip(plan.programs, compiled.scheduled.programs, strict=True):
        assert program.peak_bytes <= 1.1 * program_lower_bound(scheduled, size)


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_spec_learns(name: str) -> None:
    compiled = compile_source(source_of(name))
    network, session = compiled.network, ReferenceRuntime().prepare(compiled.plan)
    dataset = data.load(network.data, compiled.plan, specs_directory(), network.outputs)
    history = train.fit(session, dataset.train, dataset.validation, network.train)
    assert history["loss"][-1] < history["loss"][0]
    figures = train.evaluate(session, dataset.test or dataset.train).figures()
    if name in AT_LEAST:
        figure, bar = AT_LEAST[name]
        assert figures[figure] >= bar
    if name in AT_MOST:
        figure, bar = AT_MOST[name]
        assert figures[figure] <= bar
