"""`precision = bfloat16` and `tf32` from the spec to the plan: read, refused where they do not fit, read back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nnc.compiler.options import CompileOptions
from nnc.compiler.pipeline import compile_source
from nnc.compiler.plan import Plan
from nnc.compiler.planfile import from_json, to_json
from nnc.compiler.verify import verify_plan
from nnc.grammar.diagnostics import NncError
from nnc.grammar.source import SourceFile

ROUNDED = ("bfloat16", "tf32")
SPEC = """
nn 1
model rounded
input x: {dtype}[5]
hidden = x -> Dense(7, relu)
output y = hidden -> Dense(3) {{ loss = mse }}
train {{ batch_size = 4{entry} }}
"""


def plan_of(entry: str, dtype: str = "float32") -> Plan:
    source = SourceFile("rounded.nn", SPEC.format(entry=entry, dtype=dtype))
    return compile_source(source, CompileOptions(), verify=True).plan


@pytest.mark.parametrize("precision", ROUNDED)
def test_a_plan_carries_its_precision(precision: str) -> None:
    plain, rounded = plan_of(""), plan_of(f", precision = {precision}")
    assert plain == plan_of(", precision = float32")
    assert rounded == replace(plain, precision=precision)


@pytest.mark.parametrize("precision", ROUNDED)
def test_a_plan_file_names_another_precision_than_float32_and_no_other(precision: str) -> None:
    rounded = plan_of(f", precision = {precision}")
    document = json.loads(to_json(rounded))
    assert document["precision"] == precision
    assert "precision" not in json.loads(to_json(replace(rounded, precision="float32")))
    assert from_json(to_json(rounded)) == rounded
    del document["precision"]
    assert from_json(json.dumps(document)).precision == "float32"


def test_an_unknown_precision_is_unsound() -> None:
    with pytest.raises(NncError, match="precision is unknown"):
        verify_plan(replace(plan_of(""), precision="float16"))


@pytest.mark.parametrize("precision", ROUNDED)
def test_products_of_float64_are_not_rounded(precision: str) -> None:
    with pytest.raises(NncError, match="E0605"):
        plan_of(f", precision = {precision}", dtype="float64")
    with pytest.raises(NncError, match=f"a product of float64 in {precision}"):
        verify_plan(replace(plan_of("", dtype="float64"), precision=precision))
