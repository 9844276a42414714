"""The driver: stages in order, each with a text, stopped where asked, checked where asked."""

from __future__ import annotations

import gc

import pytest
from plan_checks import compiled
from test_fuse import DIGITS

from nnc.compiler.pipeline import NAMES, STAGES, check_source, compile_source
from nnc.compiler.planfile import from_json
from nnc.grammar.diagnostics import NncError
from nnc.grammar.source import SourceFile

SOURCE = SourceFile("digits.nn", DIGITS)


def test_every_stage_has_a_value_a_text_and_a_time() -> None:
    found = compiled(DIGITS)
    assert tuple(found.values) == NAMES
    assert tuple(name for name, _ in found.timings) == NAMES
    assert all(seconds >= 0 for _, seconds in found.timings)
    for stage in STAGES:
        assert found.text(stage.name).strip()
    assert from_json(found.text("plan")) == found.plan
    assert found.module is found.values["ast"]
    assert found.scheduled is found.values["schedule"]


@pytest.mark.parametrize("stage", NAMES)
def test_nothing_runs_after_the_stage_asked_for(stage: str) -> None:
    found = compile_source(SOURCE, stop_after=stage)
    assert tuple(found.values) == NAMES[: NAMES.index(stage) + 1]


def test_texts_name_what_they_show() -> None:
    found = compiled(DIGITS)
    assert "callee: Name name='Dense'" in found.text("ast")
    assert "hidden = Dense(units=8" in found.text("network")
    assert "program train_step" in found.text("grad")
    assert "step 0: " in found.text("fused")


def test_checking_types_every_layer_and_goes_no_further() -> None:
    network = check_source(SOURCE)
    assert all(layer.type is not None for layer in network.layers())


def test_faults_of_all_early_stages_come_together() -> None:
    text = "input x: float32[3]\ny = = x\noutput z = x -> Dens(1) { loss = mse }\n"
    with pytest.raises(NncError) as caught:
        check_source(SourceFile("broken.nn", text))
    codes = {diagnostic.code[:3] for diagnostic in caught.value.diagnostics}
    assert codes == {"E01", "E03"}
    with pytest.raises(NncError):
        compile_source(SourceFile("broken.nn", text), stop_after="ast")


def test_the_garbage_collector_is_as_it_was() -> None:
    compiled(DIGITS)
    assert gc.isenabled()
    gc.disable()
    try:
        compiled(DIGITS)
        assert not gc.isenabled()
    finally:
        gc.enable()
