"""`precision = bfloat16` from the spec to the plan: read, refused where it does not fit, written and read back."""

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


def test_a_plan_carries_its_precision() -> None:
    plain, rounded = plan_of(""), plan_of(", precision = bfloat16")
    assert plain == plan_of(", precision = float32")
    assert rounded == replace(plain, precision="bfloat16")


def test_a_plan_file_names_another_precision_than_float32_and_no_other() -> None:
    rounded = plan_of(", precision = bfloat16")
    document = json.loads(to_json(rounded))
    assert document["precision"] == "bfloat16"
    assert "precision" not in json.loads(to_json(replace(rounded, precision="float32")))
    assert from_json(to_json(rounded)) == rounded
    del document["precision"]
    assert from_json(json.dumps(document)).precision == "float32"


def test_an_unknown_precision_is_unsound() -> None:
    with pytest.raises(NncError, match="precision is unknown"):
        verify_plan(replace(plan_of(""), precision="float16"))


def test_products_of_float64_are_not_rounded() -> None:
    with pytest.raises(NncError, match="E0605"):
        plan_of(", precision = bfloat16", dtype="float64")
    with pytest.raises(NncError, match="a product of float64 in bfloat16"):
        verify_plan(replace(plan_of("", dtype="float64"), precision="bfloat16"))
