"""Plan files and the verifier: what is written reads back, and what is damaged or hostile is refused, never run."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plan_checks import compiled, planned
from random_models import networks
from random_models import programs_of as programs_of_network
from test_fuse import SPECS, TOWER

from nnc.compiler.bounds import input_bounds
from nnc.compiler.expr import apply, const, exp, var, where
from nnc.compiler.network import Network
from nnc.compiler.options import Choice
from nnc.compiler.plan import Body, Buffer, Plan, Program, Statement, Step
from nnc.compiler.planfile import from_json, to_json
from nnc.compiler.types import TensorType
from nnc.compiler.verify import verify_plan
from nnc.grammar.diagnostics import NncError

GOLDEN = Path(__file__).parent / "golden"
PLANS = {name: compiled(text).plan for name, text in SPECS.items()}
DIGITS_PLAN = PLANS["digits"]


# --- files ----------------------------------------------------------------------------------------------------------
def test_a_plan_file_is_as_recorded(golden: Callable[[Path, str], None]) -> None:
    golden(GOLDEN / "digits.plan.json", to_json(DIGITS_PLAN))


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_reads_back_as_it_was_written(name: str) -> None:
    text = to_json(PLANS[name])
    assert from_json(text) == PLANS[name]
    assert to_json(from_json(text)) == text


def test_equal_sources_give_byte_equal_plans() -> None:
    assert to_json(compiled(TOWER).plan) == to_json(PLANS["tower"])


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(networks())
def test_any_plan_reads_back(network: Network) -> None:
    batch_size = network.train.batch_size
    assert isinstance(batch_size, int)
    _, plan = planned(programs_of_network(network), batch_size, input_bounds(network))
    assert from_json(to_json(plan)) == plan


def test_floats_are_exact_and_infinity_has_a_form() -> None:
    odd = 0.1 + 0.2
    term = replace(DIGITS_PLAN.terms[0], weight=odd, finish=var("a0") * odd)
    again = from_json(to_json(replace(DIGITS_PLAN, terms=(term,))))
    assert again.terms == (term,)
    endless = replace(DIGITS_PLAN.buffers[0], value=(float("inf"), -0.0))
    text = to_json(replace(DIGITS_PLAN, buffers=(endless, *DIGITS_PLAN.buffers[1:])))
    assert repr(from_json(text).buffers[0].value) == "(inf, -0.0)"


@pytest.mark.parametrize("version", [0, 1, 3, "2", None, True, 2.5, [2], "x" * 100])
def test_another_version_is_refused(version: object) -> None:
    document = json.loads(to_json(DIGITS_PLAN))
    document["nnc_plan"] = version
    with pytest.raises(NncError, match="E0902"):
        from_json(json.dumps(document))


@pytest.mark.parametrize("text", [
    "", "{", "[]", "null", "1", '"plan"', "{}", '{"nnc_plan": 2}', "[" * 100_000, '{"nnc_plan": NaN}',
    '{"nnc_plan": 2, "seed": ' + "9" * 5000 + "}", "\ud800",
])  # fmt: skip
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(NncError, match="E0901"):
        from_json(text)


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to every value in a document."""
    found = [path] if path else []
    if isinstance(document, dict | list):
        for key, child in document.items() if isinstance(document, dict) else enumerate(document):
            found += places(child, (*path, key))
    return found


DOCUMENT = json.loads(to_json(PLANS["wide_deep"]))
PLACES = places(DOCUMENT)
JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=8),
    st.sampled_from(["batch", "float32", "float64[2]", "float32[batch, -1]", "(add x0", "(mul x0 x0)", "acc", "nan"]),
    st.sampled_from(["inf", "x0", "matmul", "map", "variable", "temporary", "all", "sum"]),
    st.lists(st.integers(-2, 4), max_size=3), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip


@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_mutated_plan_is_refused_or_sound(data: st.DataObject) -> None:
    """Whatever is changed in the text, reading and verifying end in a plan or in an error that says what is wrong."""
    document = copy.deepcopy(DOCUMENT)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(PLACES))
        mutate(document, path, data)
    try:
        verify_plan(from_json(json.dumps(document)))
    except NncError as error:
        (diagnostic,) = error.diagnostics
        assert diagnostic.code in ("E0901", "E0902", "E0903")
        assert len(diagnostic.message) < 400


def mutate(document: Any, path: tuple[Any, ...], data: st.DataObject) -> None:
    target = document
    try:
        for key in path[:-1]:
            target = target[key]
        old = target[path[-1]]
    except (KeyError, IndexError, TypeError):
        return      # an earlier mutation took it away
    kind = data.draw(st.sampled_from(["replace", "nudge", "drop", "swap"]))
    if kind == "drop":
        del target[path[-1]]
    elif kind == "nudge" and isinstance(old, int) and not isinstance(old, bool):
        target[path[-1]] = old + data.draw(st.sampled_from([-8, -4, -1, 1, 4, 8, 64]))
    elif kind == "swap" and isinstance(target, list) and len(target) > 1:
        other = data.draw(st.integers(0, len(target) - 1))
        target[path[-1]], target[other] = target[other], target[path[-1]]
    else:
        target[path[-1]] = data.draw(JUNK)


# --- the verifier ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", PLANS)
def test_what_the_compiler_plans_is_sound(name: str) -> None:
    verify_plan(PLANS[name])


def with_buffer(plan: Plan, id: int, **changes: Any) -> Plan:
    buffers = list(plan.buffers)
    buffers[id] = replace(buffers[id], **changes)
    return replace(plan, buffers=tuple(buffers))


def with_step(plan: Plan, program: str, number: int, change: Callable[[Step], Step]) -> Plan:
    def changed(found: Program) -> Program:
        steps = list(found.steps)
        steps[number] = change(steps[number])
        return replace(found, steps=tuple(steps))

    return replace(plan, programs=tuple(changed(p) if p.name == program else p for p in plan.programs))


def buffer_id(plan: Plan, fits: Callable[[Buffer], bool]) -> int:
    return next(id for id, buffer in enumerate(plan.buffers) if fits(buffer))


def temporary(plan: Plan) -> int:
    """A buffer of the forward pass that no view shows."""
    roots = {buffer.root for buffer in plan.buffers}
    return next(
        id for id, b in enumerate(plan.buffers)
        if b.kind == "temporary" and b.root < 0 and b.type.has_batch and id not in roots
    )  # fmt: skip


def refused(plan: Plan) -> str:
    with pytest.raises(NncError) as caught:
        verify_plan(plan)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E0903"
    return diagnostic.message


def test_hostile_buffers_are_refused() -> None:
    id = temporary(DIGITS_PLAN)
    buffer = DIGITS_PLAN.buffers[id]
    assert "negative" in refused(with_buffer(DIGITS_PLAN, id, offset=-4))
    assert "not aligned" in refused(with_buffer(DIGITS_PLAN, id, offset=buffer.offset + 1))
    assert "after the arena" in refused(with_buffer(DIGITS_PLAN, id, offset=DIGITS_PLAN.arena_bytes))
    assert "stride" in refused(with_buffer(DIGITS_PLAN, id, strides=(2**50, *buffer.strides[1:])))
    assert "stride" in refused(with_buffer(DIGITS_PLAN, id, strides=(-1, *buffer.strides[1:])))
    assert "differ in length" in refused(with_buffer(DIGITS_PLAN, id, strides=()))
    assert "kind" in refused(with_buffer(DIGITS_PLAN, id, kind="register"))
    assert "dtype" in refused(with_buffer(DIGITS_PLAN, id, type=TensorType("float16", buffer.type.shape)))
    assert "length" in refused(with_buffer(DIGITS_PLAN, id, type=TensorType("float32", ("batch", 0))))
    assert "root" in refused(with_buffer(DIGITS_PLAN, id, root=10**6))
    assert "one after the other" in refused(with_buffer(DIGITS_PLAN, id, strides=tuple(0 for _ in buffer.strides)))


def test_a_batch_or_an_arena_out_of_range_is_refused() -> None:
    assert "batch size" in refused(replace(DIGITS_PLAN, batch_size=0))
    assert "arena" in refused(replace(DIGITS_PLAN, arena_bytes=2**60))
    assert "after the arena" in refused(replace(DIGITS_PLAN, batch_size=DIGITS_PLAN.batch_size + 1))


def test_variables_that_share_bytes_are_refused() -> None:
    (_, first), (_, second) = DIGITS_PLAN.variables[:2]
    moved = with_buffer(DIGITS_PLAN, second, offset=DIGITS_PLAN.buffers[first].offset)
    assert "overlap" in refused(moved)


def test_a_temporary_on_top_of_a_variable_is_refused() -> None:
    weights = DIGITS_PLAN.buffers[DIGITS_PLAN.variables[0][1]]
    assert "overwritten" in refused(with_buffer(DIGITS_PLAN, temporary(DIGITS_PLAN), offset=weights.offset))


def test_values_in_use_that_share_bytes_are_refused() -> None:
    """The hidden layer's value is read in the backward pass: nothing may take its bytes before."""
    plan = PLANS["digits"]
    hidden = buffer_id(plan, lambda b: b.name == "hidden.value" and b.kind == "temporary")
    logits = buffer_id(plan, lambda b: b.name == "digit.value" and b.kind == "temporary")
    moved = with_buffer(plan, logits, offset=plan.buffers[hidden].offset)
    assert "overwritten" in refused(moved)
    gradient = buffer_id(plan, lambda b: b.name == "hidden.gradient")
    hidden = next(
        id for step in plan.program("train_step").steps for id, _ in step.body.stores
        if plan.buffers[id].name == "hidden.value"
    )  # fmt: skip
    moved = with_buffer(plan, gradient, offset=plan.buffers[hidden].offset)
    assert "before it is written" in refused(moved)


def test_a_read_before_the_write_is_refused() -> None:
    def swapped(program: Program) -> Program:
        return replace(program, steps=(program.steps[1], program.steps[0], *program.steps[2:]))

    programs = tuple(swapped(p) if p.name == "predict" else p for p in DIGITS_PLAN.programs)
    assert "before it is written" in refused(replace(DIGITS_PLAN, programs=programs))


def test_an_update_of_what_its_own_product_still_reads_is_refused() -> None:
    """The product that carries the gradient back reads the weights as a whole; it must not overwrite them."""
    plan = PLANS["tower"]
    kernel = next(id for v, id in plan.variables if v.name == "shared.kernel")
    number = next(k for k, s in enumerate(plan.program("train_step").steps) if kernel in s.operands)
    square = TensorType("float32", (6, 6))

    def overwriting(step: Step) -> Step:
        return replace(step, space=square, operands=(kernel, kernel), body=Body(stores=((kernel, var("acc")),)))

    assert "an operand of the kernel is overwritten" in refused(with_step(plan, "train_step", number, overwriting))


def test_a_product_of_matrices_that_do_not_fit_is_refused() -> None:
    predict = DIGITS_PLAN.program("predict")
    number = next(k for k, s in enumerate(predict.steps) if s.kernel == "matmul")
    turned = with_step(DIGITS_PLAN, "predict", number, lambda s: replace(s, operands=s.operands[::-1]))
    assert "do not fit" in refused(turned)
    assert "operands" in refused(with_step(DIGITS_PLAN, "predict", number, lambda s: replace(s, operands=())))
    assert "no buffer" in refused(with_step(DIGITS_PLAN, "predict", number, lambda s: replace(s, operands=(999, -1))))
    assert "no kernel" in refused(with_step(DIGITS_PLAN, "predict", number, lambda s: replace(s, kernel="system")))
    assert "attributes" in refused(with_step(DIGITS_PLAN, "predict", number, lambda s: replace(s, attrs=())))


def test_a_product_that_overwrites_its_own_operand_is_refused() -> None:
    plan = PLANS["tower"]
    predict = plan.program("predict")
    for step in predict.steps:
        a = step.operands[0] if step.kernel == "matmul" else -1
        stored = step.body.stores[0][0]
        if a >= 0 and plan.buffers[a].type == plan.buffers[stored].type and plan.buffers[a].root < 0:
            moved = with_buffer(plan, stored, offset=plan.buffers[a].offset)
            assert "overwritten" in refused(moved)
            return
    raise AssertionError("no square product")


def with_statement(statement: Statement) -> Plan:
    predict = DIGITS_PLAN.program("predict")
    number = next(k for k, s in enumerate(predict.steps) if s.kernel == "matmul")

    def changed(step: Step) -> Step:
        return replace(step, body=replace(step.body, statements=(*step.body.statements, statement)))

    return with_step(DIGITS_PLAN, "predict", number, changed)


@pytest.mark.parametrize(("statement", "words"), [
    (Statement("t9", "map", var("nowhere")), "not defined"),
    (Statement("t0", "map", var("acc")), "taken"),
    (Statement("2t", "map", var("acc")), "taken or none"),
    (Statement("t9", "median", var("acc")), "no statement"),
    (Statement("t9", "sum", var("acc")), "rows where there are none"),
    (Statement("t9", "map", var("acc"), "complex64"), "dtype"),
    (Statement("t9", "map", const(1) + var("b")), "not defined"),
    (Statement("t9", "map", exp(var("acc")), "int32"), "`t9` is int32, which has no `exp`"),
    (Statement("t9", "map", 1 + where(var("acc") / 2 > 0, 1, 0), "int64"), "int64, which has no `div`"),
    (Statement("t9", "map", apply("not", var("acc") + 1), "bool"), "bool, which has no `add`"),
])  # fmt: skip
def test_statements_that_make_no_sense_are_refused(statement: Statement, words: str) -> None:
    assert words in refused(with_statement(statement))


def test_what_no_runtime_reduces_is_refused() -> None:
    number, step = next((k, s) for k, s in enumerate(DIGITS_PLAN.program("train_step").steps) if s.reductions)
    whole = replace(step.reductions[0], dtype="int32")
    changed = with_step(DIGITS_PLAN, "train_step", number, lambda s: replace(s, reductions=(whole,)))
    assert "a reduction is of floats" in refused(changed)
    predict = DIGITS_PLAN.program("predict")
    number = next(k for k, s in enumerate(predict.steps) if any(t.kind == "max" for t in s.body.statements))
    truths = Statement("t9", "max", const(1), "bool")
    changed = with_step(
        DIGITS_PLAN,
        "predict",
        number,
        lambda s: replace(s, body=replace(s.body, statements=(truths, *s.body.statements))),
    )
    assert "rows of bool" in refused(changed)


def test_stores_to_what_is_fed_constant_or_of_another_shape_are_refused() -> None:
    fed = next(id for name, id in DIGITS_PLAN.program("train_step").feeds if name == "target.digit")
    constant = buffer_id(PLANS["digits"], lambda b: b.kind == "constant")
    wrong = buffer_id(DIGITS_PLAN, lambda b: b.type.shape == (8, 3))
    for id in (fed, constant, wrong):
        def stored(step: Step, id: int = id) -> Step:
            return replace(step, body=replace(step.body, stores=((id, var("acc")),)))

        predict = DIGITS_PLAN.program("predict")
        number = next(k for k, s in enumerate(predict.steps) if s.kernel == "matmul")
        assert refused(with_step(DIGITS_PLAN, "predict", number, stored))


def test_names_that_do_not_belong_are_refused() -> None:
    (variable, id), *rest = DIGITS_PLAN.variables
    unknown = replace(variable, initializer=Choice("os.system"))
    assert "initializer" in refused(replace(DIGITS_PLAN, variables=((unknown, id), *rest)))
    assert "role" in refused(replace(DIGITS_PLAN, variables=((replace(variable, role="root"), id), *rest)))
    assert "no name" in refused(replace(DIGITS_PLAN, variables=tuple(rest)))
    term = replace(DIGITS_PLAN.terms[0], accumulators=("hidden.kernel",))
    assert "no accumulator" in refused(replace(DIGITS_PLAN, terms=(term,)))
    term = replace(DIGITS_PLAN.terms[0], finish=var("hidden"))
    assert "unknown name" in refused(replace(DIGITS_PLAN, terms=(term,)))
    first, *others = DIGITS_PLAN.programs
    assert "no such program" in refused(replace(DIGITS_PLAN, programs=(replace(first, name="boot"), *others)))
    assert "two programs" in refused(replace(DIGITS_PLAN, programs=(first, *DIGITS_PLAN.programs)))
    assert "nothing says so" in refused(replace(DIGITS_PLAN, inputs=()))
    assert "nothing says so" in refused(replace(DIGITS_PLAN, outputs=()))


def test_constants_must_fit_their_type() -> None:
    id = buffer_id(DIGITS_PLAN, lambda b: b.kind == "constant")
    assert "values for" in refused(with_buffer(DIGITS_PLAN, id, value=(1.0,)))
    whole = TensorType("uint8", DIGITS_PLAN.buffers[id].type.shape)
    assert "do not fit" in refused(with_buffer(DIGITS_PLAN, id, type=whole, value=(0.5, 1.0, 2.0)))


def test_views_stay_in_their_root() -> None:
    plan = PLANS["wide_deep"]
    id = buffer_id(plan, lambda b: b.root >= 0 and b.kind == "temporary" and b.type.has_batch and b.strides[0] > 7)
    view = plan.buffers[id]
    root = plan.buffers[view.root]
    assert "row" in refused(with_buffer(plan, id, strides=(view.strides[0] + 1, *view.strides[1:])))
    assert "before its root" in refused(with_buffer(plan, id, offset=root.offset - 4))
    assert refused(with_buffer(plan, id, offset=view.offset + 4 * root.strides[0]))
    assert refused(with_buffer(plan, id, root=plan.variables[0][1]))


def test_wide_deep_is_sound_with_its_concatenation_in_place() -> None:
    plan = PLANS["wide_deep"]
    assert any(b.root >= 0 and b.kind == "temporary" for b in plan.buffers)
    verify_plan(plan)
