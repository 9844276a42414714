"""Bounds of inputs: found through all that moves whole numbers, and proved of a plan before it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from plan_checks import compiled

from nnc.compiler.bounds import input_bounds
from nnc.compiler.expr import Expr, var
from nnc.compiler.layers import LAYERS
from nnc.compiler.layers.definition import REQUIRED, LayerDef, ShapeProblem
from nnc.compiler.options import Choice, Value
from nnc.compiler.pipeline import check_source
from nnc.compiler.plan import Body, Bound, Plan, Statement, Step
from nnc.compiler.planfile import from_json, to_json
from nnc.compiler.types import BATCH, INTEGER_DTYPES, TensorType
from nnc.compiler.verify import verify_plan
from nnc.grammar.diagnostics import NncError
from nnc.grammar.source import SourceFile

JOINED = (
    "input a: int32[2]\ninput b: int32[3]\n"
    "output y = (a, b) -> Concatenate -> Reshape((5, 1)) -> Embedding(6, 2) -> Flatten -> Dense(1) { loss = mse }\n"
)


def bounds_of(text: str) -> dict[str, tuple[int, str, str]]:
    found = input_bounds(check_source(SourceFile("sample.nn", text)))
    named: dict[str, tuple[int, str, str]] = {}
    for bound in found:
        name = f"{bound.input} too" if bound.input in named else bound.input
        named[name] = bound.below, bound.layer, bound.kind
    return named


A, B = "input a: int32[2]\n", "input b: int32[3]\n"
IN_Y = (6, "y", "Embedding")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (A + "output y = a -> Embedding(6, 2)\n", {"a": IN_Y}),
        (A + "output y = a -> OneHot(4)\n", {"a": (4, "y", "OneHot")}),
        (A + "output y = a -> Reshape((1, 2)) -> Flatten -> Embedding(6, 2)\n", {"a": IN_Y}),
        (A + "output y = a -> Rescale(1) -> Dense(2)\n", {}),
        (
            A + B + "h = (a, b) -> Concatenate\nk = (h, a) -> Concatenate\noutput y = k -> Embedding(6, 2)\n",
            {"a": IN_Y, "b": IN_Y},
        ),
        (
            A + "h = a -> OneHot(4)\nk = a -> Embedding(6, 2)\noutput y = (h, k) -> Concatenate\n",
            {"a": (4, "h", "OneHot"), "a too": (6, "k", "Embedding")},
        ),
        (
            A + B + "layer table = Embedding(6, 2)\nh = a -> table\nk = b -> Reshape((3,)) -> table\n"
            "output y = (h, k) -> Concatenate(axis = 1)\n",
            {"a": (6, "h", "Embedding"), "b": (6, "k", "Embedding")},
        ),
        (
            A + "block look(x, n) {\n  h = x -> Reshape((2, 1))\n  return h -> Embedding(n, 2)\n}\n"
            "output y = a -> look(n = 9)\n",
            {"a": (9, "y", "Embedding")},
        ),
        (
            A + B + "h = a -> Normalize\nk = b -> Embedding(6, 2) -> Flatten\noutput y = (h, k) -> Concatenate\n",
            {"b": (6, "k.embedding", "Embedding")},
        ),
    ],
)  # fmt: skip
def test_bounds_are_found_through_all_that_moves_numbers(text: str, expected: dict[str, tuple[int, str, str]]) -> None:
    assert bounds_of(text) == expected


def test_every_layer_that_gives_whole_numbers_only_moves_them() -> None:
    """What `input_bounds` and the verifier rest on: no index is ever computed."""
    kinds = {name: definition for name, definition in LAYERS.items() if gives_integers(definition)}
    assert sorted(kinds) == ["Concatenate", "Flatten", "Reshape"]
    assert all(definition.moves for definition in kinds.values())
    assert {name for name, definition in LAYERS.items() if definition.moves} == set(kinds)


def gives_integers(definition: LayerDef) -> bool:
    given: dict[str, Value] = {"float": 0.5, "rate": 0.5, "shape": (-1,), "activation": Choice("linear")}
    arguments = {
        h.name: given.get(h.kind, 1) if h.default == REQUIRED else h.default for h in definition.hyperparameters
    }
    arriving = (TensorType("int32", (BATCH, 4)),) * definition.min_inputs
    try:
        return definition.infer(arguments, arriving).dtype in INTEGER_DTYPES
    except ShapeProblem:
        return False


# --- in a plan ------------------------------------------------------------------------------------------------------
PLAN = compiled(JOINED).plan


def refused(plan: Plan) -> str:
    with pytest.raises(NncError) as caught:
        verify_plan(plan)
    (found,) = caught.value.diagnostics
    assert found.code == "E0903"
    return found.message


def with_bounds(*bounds: Bound) -> Plan:
    return replace(PLAN, bounds=bounds)


OF_A, OF_B = PLAN.bounds


def test_a_plan_tells_its_bounds_and_reads_back() -> None:
    assert [(b.input, b.below, b.layer, b.kind) for b in PLAN.bounds] == [
        ("a", 6, "y.embedding", "Embedding"), ("b", 6, "y.embedding", "Embedding"),
    ]  # fmt: skip
    assert from_json(to_json(PLAN)) == PLAN
    verify_plan(PLAN)


def test_an_input_that_no_step_reads_has_no_bound() -> None:
    text = (
        "input a: int32[]\ninput x: float32[3]\nh = a -> OneHot(3) -> Rescale(0)\n"
        "output y = x + h -> Dense(1) { loss = mse }\n"
    )
    plan = compiled(text).plan
    verify_plan(plan)
    assert {bound.input for bound in plan.bounds} <= {signature.name for signature in plan.inputs}


def test_indices_without_a_bound_are_refused() -> None:
    for plan in (with_bounds(), with_bounds(OF_A), with_bounds(OF_A, replace(OF_B, below=7))):
        assert "nothing keeps its indices within 6 rows" in refused(plan)
    verify_plan(with_bounds(OF_A, replace(OF_B, below=1)))


def test_a_bound_that_lets_one_more_through_keeps_no_index_inside() -> None:
    """A OneHot takes the number of all other texts for none of its classes; no table has a row for it."""
    loose = replace(OF_B, kind="OneHot")
    assert "nothing keeps its indices within 6 rows" in refused(with_bounds(OF_A, loose))
    verify_plan(with_bounds(OF_A, OF_B, loose))


def test_bounds_that_are_none_are_refused() -> None:
    assert "bounded twice" in refused(with_bounds(OF_A, OF_A))
    assert "out of range" in refused(with_bounds(OF_A, replace(OF_B, below=0)))
    assert "no input of whole numbers" in refused(with_bounds(OF_A, OF_B, replace(OF_A, input="c")))
    of_floats = compiled("input x: float32[3]\noutput y = x -> Dense(1) { loss = mse }\n").plan
    assert "no input of whole numbers" in refused(replace(of_floats, bounds=(replace(OF_A, input="x"),)))


def with_copies(value: Callable[[str], Expr], dtype: str) -> Plan:
    """PLAN, whose Concatenate puts `value` of what it is given, worked out in `dtype`, where it copies numbers."""

    def changed(step: Step) -> Step:
        copied = [id for id, _ in step.body.stores if PLAN.buffers[id].type.dtype == "int32"]
        if not copied:
            return step
        ((name, _),) = step.body.operands
        body = Body(step.body.operands, (Statement("t", "map", value(name), dtype),), ((copied[0], var("t")),))
        return replace(step, body=body)

    return replace(PLAN, programs=tuple(replace(p, steps=tuple(map(changed, p.steps))) for p in PLAN.programs))


def test_an_index_that_is_computed_or_converted_is_refused() -> None:
    assert with_copies(var, "int32") != PLAN
    verify_plan(with_copies(var, "int32"))
    one_more = with_copies(lambda name: var(name) + 1, "int32")
    for plan in (one_more, with_copies(var, "float32"), with_copies(var, "uint8")):
        assert "nothing keeps its indices within 6 rows" in refused(plan)
