"""The printed C as several files: the same functions, the same results."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import nnc
from nnc.compiler.codegen import module as printed
from nnc.compiler.codegen.module import Module, print_module
from nnc.compiler.codegen.target import VECTOR128
from nnc.compiler.options import CompileOptions
from nnc.compiler.pipeline import compile_source
from nnc.compiler.plan import Plan
from nnc.grammar.diagnostics import ToolchainError
from nnc.grammar.source import SourceFile
from nnc.runtime.native.cache import compile_library
from nnc.runtime.native.toolchain import find_toolchain

SPECS = Path(__file__).parents[2] / "specs"
_HEAD = re.compile(r"^(?:SHARED|STEP) void (\w+)\(.*\) \{$", re.MULTILINE)
_PROTOTYPE = re.compile(r"^STEP void (\w+)\(.*\);$", re.MULTILINE)
needs_compiler = pytest.mark.skipif(find_toolchain().toolchain is None, reason=find_toolchain().reason)


def plan_of(name: str) -> Plan:
    path = SPECS / f"{name}.nn"
    source = SourceFile(path, path.read_text("utf-8"))
    return compile_source(source, CompileOptions({}, None, None, None, None)).plan


def module_of(name: str) -> Module:
    return print_module(plan_of(name), VECTOR128)


@pytest.mark.parametrize("name", ["digits", "residual", "siamese", "wide_deep_aux"])
def test_each_step_is_in_one_file_and_known_where_it_is_called(name: str) -> None:
    module = module_of(name)
    assert len(module.units) > 1
    wanted = sorted(set(_HEAD.findall(module.text)) - {"meet"})
    assert sorted(found for unit in module.units for found in _HEAD.findall(unit) if found != "meet") == wanted
    first = module.units[0]
    assert sorted({*_HEAD.findall(first), *_PROTOTYPE.findall(first)} - {"meet"}) == wanted
    sizes = [len(unit) for unit in module.units[1:]]
    assert max(sizes) < 2 * min(sizes)


def test_a_small_program_is_one_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module_of("logic_and").units
    monkeypatch.setattr("nnc.compiler.codegen.units.UNIT_COST", 1_000_000)
    assert module_of("logic_and").units == ()


@needs_compiler
@pytest.mark.parametrize("name", ["digits", "residual"])
def test_files_and_the_whole_compute_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNC_CACHE_DIR", str(tmp_path))
    several = trained(name)
    monkeypatch.setattr(printed, "units_of", lambda head, functions, programs: ())
    monkeypatch.setenv("NNC_CACHE_DIR", str(tmp_path / "whole"))
    whole = trained(name)
    assert several.keys() == whole.keys()
    for key, value in several.items():
        np.testing.assert_array_equal(value, whole[key], key)


def trained(name: str) -> dict[str, np.ndarray]:
    model = nnc.compile(SPECS / f"{name}.nn", runtime="native", threads=2)
    data = np.random.default_rng(0)
    plan = model.plan
    x = {i.name: data.integers(0, 16, i.type.concrete(100)).astype(i.type.dtype) for i in plan.inputs}
    y = {t.name: data.integers(0, 10, t.type.concrete(100)).astype(t.type.dtype) for t in plan.targets}
    model.fit(x, y, epochs=2, verbose=False)
    return {key: np.array(model.weights[key]) for key in model.weights}


@needs_compiler
def test_a_file_that_does_not_compile_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNC_CACHE_DIR", str(tmp_path))
    units = ("int f(void) { return 1; }\n", "int g(void) { return wrong; }\n")
    with pytest.raises(ToolchainError) as caught:
        compile_library("".join(units), name="net", units=units)
    diagnostic = caught.value.diagnostics[0]
    assert diagnostic.code == "E0931"
    assert "net.2.c:1" in "\n".join(diagnostic.notes)
    assert diagnostic.place is not None
    assert {"net.c", "net.1.c", "net.2.c"} <= {path.name for path in Path(diagnostic.place).parent.iterdir()}
