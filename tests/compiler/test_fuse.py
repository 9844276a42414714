"""Fusion: what ends in one step, what does not and why, and that the steps still compute what the graphs mean."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from plan_checks import (
    check_plan,
    compiled,
    fused_program,
    kernels,
    planned,
    programs_of,
    step_that_updates,
    variable,
)
from random_models import networks, widened
from random_models import programs_of as programs_of_network

from nnc.compiler import expr
from nnc.compiler.bounds import input_bounds
from nnc.compiler.builder import Builder
from nnc.compiler.expr import var
from nnc.compiler.fuse import fuse
from nnc.compiler.fusion.words import explain
from nnc.compiler.kernels import FusedProgram
from nnc.compiler.network import Network
from nnc.compiler.types import BATCH, TensorType

GOLDEN = Path(__file__).parent / "golden"
X0, X1 = var("x0"), var("x1")

DIGITS = """
input image: uint8[4, 4]
hidden = image -> Rescale(1/16) -> Flatten -> Dense(8, relu)
output digit = hidden -> Dense(3, softmax) { loss = sparse_categorical_crossentropy, metrics = [accuracy] }
train { optimizer = sgd(learning_rate = 0.1), batch_size = 4 }
"""
WIDE_DEEP = """
input wide: float32[5]
input deep: float32[6]
hidden = deep -> Dense(7, relu) -> Dense(7, relu)
both = (hidden, wide) -> Concatenate
output main = both -> Dense(1) { loss = mse, weight = 0.9 }
output aux = hidden -> Dense(1) { loss = mse, weight = 0.1 }
train { optimizer = sgd(learning_rate = 0.1), batch_size = 4, clip_norm = 1 }
"""
TOWER = """
input x: float32[6]
block residual(x) {
  h = x -> LayerNormalization -> Dense(6, gelu) -> Dropout(0.5)
  return x + h
}
layer shared = Dense(6, tanh, kernel_regularizer = l2(0.01))
tower = x -> residual * 2 -> BatchNormalization -> shared -> shared
output y = tower -> Dense(2, sigmoid) { loss = binary_crossentropy }
train { optimizer = adam(), batch_size = 4 }
"""
SPECS = {"digits": DIGITS, "wide_deep": WIDE_DEEP, "tower": TOWER}


@pytest.mark.parametrize("name", SPECS)
def test_steps_are_as_recorded(name: str, golden: Callable[[Path, str], None]) -> None:
    golden(GOLDEN / f"{name}.fused.txt", f"{compiled(SPECS[name]).fused}\n")


@pytest.mark.parametrize("name", SPECS)
def test_explanations_are_as_recorded(name: str, golden: Callable[[Path, str], None]) -> None:
    golden(GOLDEN / f"{name}.explained.txt", f"{explain(compiled(SPECS[name]).fused)}\n")


def train_step(text: str) -> FusedProgram:
    return next(p for p in compiled(text).fused.programs if p.name == "train_step")


# --- what the issue asks for ----------------------------------------------------------------------------------------
def test_softmax_crossentropy_metric_and_gradient_are_one_step() -> None:
    head = step_that_updates(train_step(DIGITS), "sum.digit.loss.0")
    assert [s.kind for s in head.body.statements if s.kind != "map"] == ["max", "sum", "sum", "argmax"]
    assert len(head.body.stores) == 1              # the gradient of the logits: no probabilities are kept
    assert [r.axes for r in head.reductions] == ["all", "all"]


def test_bias_and_activation_are_in_the_product() -> None:
    predict = compiled(DIGITS).fused.programs[0]
    hidden = next(step for step in predict.steps if step.layer == "hidden")
    assert (hidden.kernel, hidden.fused) == ("matmul", ("bias", "relu"))
    assert len(hidden.body.stores) == 1


def test_bias_gradient_and_both_updates_are_in_the_product_that_makes_the_gradient() -> None:
    step = step_that_updates(train_step(DIGITS), "hidden.kernel")
    assert step.kernel == "matmul"
    (reduction,) = step.reductions
    assert (str(reduction.expr), reduction.axes) == ("b", "leading")
    assert step.fused == ("update of hidden.kernel", "bias gradient", "update of hidden.bias")


def test_derivative_of_the_activation_is_in_the_product_that_carries_the_gradient_back() -> None:
    step = next(s for s in train_step(DIGITS).steps if dict(s.attrs).get("transpose_b"))
    assert "where" in str(step.body.statements[-1].expr)


def test_flatten_costs_nothing() -> None:
    predict = compiled(DIGITS).fused.programs[0]
    assert kernels(predict) == ["map", "matmul", "matmul", "map"]


def test_concatenation_is_written_in_place_except_for_what_is_fed() -> None:
    predict = compiled(WIDE_DEEP).fused.programs[0]
    copies = [step for step in predict.steps if step.fused == ("copy",)]
    assert len(copies) == 1
    joined = predict.values[copies[0].body.stores[0][0]].root
    hidden = [step for step in predict.steps if step.layer.startswith("hidden")][-1]
    assert predict.values[hidden.body.stores[0][0]].root == joined
    texts = [note.text for note in predict.notes if note.layer == "both"]
    assert texts == ["concatenation copies wide"]


def test_shared_weights_are_updated_after_their_last_use() -> None:
    program = train_step(TOWER)
    kernel = next(id for id, v in enumerate(program.values) if v.name == "shared.kernel")
    readers = [n for n, step in enumerate(program.steps) if kernel in step.operands]
    writer = next(n for n, step in enumerate(program.steps) if kernel in (id for id, _ in step.body.stores))
    assert readers
    assert writer > max(readers)
    assert program.steps[writer].kernel == "matmul"


# --- small graphs ---------------------------------------------------------------------------------------------------
def builder(*variables: object, program: str = "predict") -> Builder:
    return Builder(program, {v.name: v for v in variables})  # type: ignore[attr-defined]


def test_a_reduction_over_a_middle_axis_reads_a_permuted_view() -> None:
    b = builder()
    x = b.input("x", TensorType("float32", (BATCH, 3, 4)))
    b.result("prediction.y", b.reshape(b.reduce("sum", x, (1,)), (BATCH, 4)))
    program = fused_program(b)
    assert kernels(program) == ["map"]
    assert program.values[program.steps[0].body.operands[0][1]].strides == (12, 1, 4)
    check_plan(programs_of(b), planned(programs_of(b), 4)[1], rtol=1e-5)


@pytest.mark.parametrize(("shape", "axes"), [
    ((BATCH, 3, 4), (0,)), ((BATCH, 3, 4), (0, 2)), ((BATCH, 3, 4), (1, 2)), ((BATCH, 3, 4), (0, 1, 2)),
    ((BATCH, 2, 3, 4), (1, 3)), ((BATCH, 1, 4), (1,)), ((BATCH, 3, 1), (0, 2)), ((BATCH, 2, 3), (2,)), ((BATCH,), (0,)),
])  # fmt: skip
@pytest.mark.parametrize("operator", ["sum", "max"])
def test_any_reduction_is_run(shape: tuple[int, ...], axes: tuple[int, ...], operator: str) -> None:
    b = builder(variable("kept", *[1 if a in axes else d for a, d in enumerate(shape)][1:]), program="train_step")
    x = b.input("x", TensorType("float32", shape))
    reduced = b.map(X0 * 2, b.reduce(operator, b.map(X0 + 1, x), axes))
    total = b.reduce("sum", reduced, tuple(range(len(shape))), "float64")
    b.result("loss", b.reshape(total, ()))
    check_plan(programs_of(b), planned(programs_of(b), 4)[1], rtol=1e-5)


def test_a_value_repeated_along_the_batch_counts_once_per_row_in_a_sum() -> None:
    """Read in its kernel the broadcast has the shape of one number; the sum has to see all rows."""
    b = builder()
    rows = b.rows()
    wide = b.broadcast(b.map(1 / X0, rows, dtype="float32"), (BATCH, 3), "float32")
    x = b.input("x", TensorType("float32", (BATCH, 3)))
    b.result("loss", b.reshape(b.reduce("sum", b.map(X0 * 1, wide), (0, 1), "float64"), ()))
    b.result("prediction.y", b.map(X0 * X1, x, wide))
    check_plan(programs_of(b), planned(programs_of(b), 4)[1], rtol=1e-5)


def test_a_map_that_only_the_backward_pass_reads_waits_for_it() -> None:
    """relu's mask could be made in the forward pass, but would then lie in memory until the gradient arrives."""
    w = variable("w", 3, 3)
    b = builder(w, program="train_step")
    x = b.input("x", TensorType("float32", (BATCH, 3)))
    y = b.map(expr.maximum(X0, 0), b.matmul(x, b.variable("w")))
    gradient = b.map(X0 * 2, b.matmul(y, b.variable("w"), transpose_b=True))
    mask = b.map(expr.where(X0 > 0, 1, 0), y)
    b.update(("w",), (b.variable("w"), b.matmul(x, b.map(X0 * X1, gradient, mask), transpose_a=True)), (X0 - X1,))
    b.result("loss", b.reshape(b.reduce("sum", y, (0, 1), "float64"), ()))
    program = fused_program(b)
    forward = program.steps[0]
    assert len(forward.body.stores) == 1
    assert kernels(program) == ["matmul", "matmul", "matmul"]
    assert any("waits for the backward pass" in note.text for note in program.notes)
    check_plan(programs_of(b), planned(programs_of(b), 4)[1], rtol=1e-5)


def test_an_update_that_reads_another_s_target_comes_first() -> None:
    a, c = variable("a", 3), variable("c", 3)
    b = builder(a, c, program="train_step")
    b.update(("c",), (b.variable("c"),), (X0 * 3,))
    b.update(("a",), (b.variable("a"), b.variable("c")), (X0 + X1,))
    program = fused_program(b)
    assert [step.fused for step in program.steps] == [("update of a",), ("update of c",)]
    check_plan(programs_of(b), planned(programs_of(b), 4)[1])


def test_an_old_value_that_is_fetched_is_copied_before_it_is_overwritten() -> None:
    a = variable("a", dtype="float64")
    b = builder(a, program="train_step")
    b.update(("a",), (b.variable("a"),), (X0 + 1,))
    b.result("loss", b.variable("a"))
    assert len(fused_program(b).steps) == 2
    check_plan(programs_of(b), planned(programs_of(b), 4)[1])


def test_a_kernel_does_not_take_an_update_of_what_is_read_later() -> None:
    a = variable("a", 4, 4)
    b = builder(a, program="train_step")
    x = b.input("x", TensorType("float32", (BATCH, 4)))
    gradient = b.matmul(x, x, transpose_a=True)
    later = b.matmul(b.map(X0 + 1, b.matmul(x, gradient)), b.variable("a"))
    b.update(("a",), (b.variable("a"), gradient), (X0 - X1,))
    b.result("prediction.y", later)
    program = fused_program(b)
    assert program.steps[-1].fused == ("update of a",)
    assert any("step of its own" in note.text for note in program.notes)
    check_plan(programs_of(b), planned(programs_of(b), 4)[1], rtol=1e-5)


def test_a_member_of_two_concatenations_is_copied_into_one() -> None:
    b = builder()
    x = b.input("x", TensorType("float32", (BATCH, 2)))
    y, z = b.map(X0 + 1, x), b.map(X0 * 2, x)
    b.result("prediction.a", b.concat((y, z), 1))
    b.result("prediction.b", b.concat((z, y, z), 1))
    program = fused_program(b)
    assert sum(step.fused == ("copy",) for step in program.steps) == 3
    check_plan(programs_of(b), planned(programs_of(b), 4)[1])


def test_nested_concatenations_share_one_place() -> None:
    b = builder()
    x = b.input("x", TensorType("float32", (BATCH, 2)))
    inner = b.concat((b.map(X0 + 1, x), b.map(X0 * 2, x)), 1)
    b.result("prediction.a", b.concat((b.map(X0 - 1, x), inner), 1))
    program = fused_program(b)
    assert "copy" not in [word for step in program.steps for word in step.fused]
    check_plan(programs_of(b), planned(programs_of(b), 4)[1])


def test_a_reshape_of_what_lies_with_gaps_is_copied() -> None:
    b = builder()
    x = b.input("x", TensorType("float32", (BATCH, 4, 3)))
    b.result("prediction.y", b.map(X0 + 1, b.reshape(b.slice(x, 2, 0, 2), (BATCH, 8))))
    program = fused_program(b)
    assert kernels(program) == ["map", "map"]
    check_plan(programs_of(b), planned(programs_of(b), 4)[1])


def test_a_long_chain_of_maps_becomes_several_steps() -> None:
    b = builder()
    y = b.input("x", TensorType("float32", (BATCH, 4)))
    for k in range(1000):
        y = b.map(X0 + k, y)
    b.result("prediction.y", y)
    program = fused_program(b)
    assert 4 < len(program.steps) < 12
    assert any("formulas already" in note.text for note in program.notes)


def test_shared_terms_of_an_update_are_computed_once() -> None:
    adam = step_that_updates(train_step(TOWER), "y.kernel")
    exprs = [str(s.expr) for s in adam.body.statements]
    assert len(adam.body.stores) == 3
    assert not any("(square" in text for text in exprs[-1:])


# --- the same numbers -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", SPECS)
def test_recorded_specs_compute_what_their_graphs_mean(name: str) -> None:
    programs = widened(compiled(SPECS[name]).simplified)
    check_plan(programs, planned(programs, 4)[1])


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(networks())
def test_random_networks_compute_what_their_graphs_mean(network: Network) -> None:
    programs = widened(programs_of_network(network))
    batch_size = network.train.batch_size
    assert isinstance(batch_size, int)
    check_plan(programs, planned(programs, batch_size, input_bounds(network))[1])


def test_equal_programs_fuse_to_equal_text() -> None:
    programs = compiled(TOWER).simplified
    assert str(fuse(programs)) == str(fuse(programs))
