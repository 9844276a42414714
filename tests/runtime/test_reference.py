"""What is the reference runtime's own: tiles, registers, NumPy's settings. What its steps mean is in test_steps.py."""

from __future__ import annotations

import numpy as np
import pytest
from hand_made import PlanMaker, body, numbers, run

from nnc.compiler.expr import exp, maximum, var
from nnc.compiler.plan import Statement
from nnc.compiler.types import BATCH
from nnc.runtime.reference import registers, steps, tiles

ACC, X, Y, Z = (var(name) for name in ("acc", "x", "y", "z"))


@pytest.mark.parametrize("wrong", [-1, -(2**63), 3, 2**62])
@pytest.mark.parametrize("kernel", ["gather", "scatter_add"])
def test_an_index_outside_its_table_is_never_moved_inside(kernel: str, wrong: int) -> None:
    """Plans promise indices within their tables, and the data audit keeps the promise: one outside is a bug of ours."""
    plan = PlanMaker()
    index, rows = plan.feed("index", 1, dtype="int64"), plan.feed("rows_", 1, 2)
    if kernel == "gather":
        table, out = plan.variable("table", 3, 2), plan.result("out", BATCH, 1, 2)
        plan.step("gather", (BATCH, 1, 2), body({}, (), {out: ACC}), (table, index))
    else:
        plan.step("scatter_add", (3, 2), body({}, (), {plan.result("out", 3, 2): ACC}), (index, rows))
    session = plan.session(index=np.array([[0], [2], [wrong]]), rows_=np.ones((3, 1, 2), np.float32))
    run(session, 0, 1)
    with pytest.raises(AssertionError, match="an index of 3 rows is not one of them"):
        run(session, 0, 2)


def test_a_conversion_never_lies_on_its_operand() -> None:
    """NumPy would make an array to keep them apart."""
    plan = PlanMaker()
    x, out = plan.feed("x", 5), plan.result("out", BATCH, 5, dtype="int32")
    tripled, whole = Statement("y", "map", X * 3), Statement("z", "map", Y, "int32")
    more = Statement("w", "map", Z + 1, "int32")
    plan.step("map", (BATCH, 5), body({"x": x}, (tripled, whole, more), {out: var("w")}))
    session = plan.session(x=numbers(4, 5))
    code = steps.CompiledStep(plan.steps[0], session._arena).code
    place = registers.assign_registers(code).place
    conversions = [i for i in code.instructions if i.op == "copy" and i.inputs[0] in place]
    assert conversions
    assert all(place[i.inputs[0]] != place[i.output] for i in conversions)
    np.testing.assert_array_equal(run(session, 0, 1)["out"], (numbers(4, 5)[:2] * 3).astype(np.int32) + 1)


def test_operations_keep_quiet_about_infinities_and_leave_the_settings_alone() -> None:
    plan = PlanMaker()
    weight, out = plan.variable("w", 3), plan.result("out", 3)
    plan.step("map", (3,), body({"x": weight}, (Statement("y", "map", 1 / X),), {out: Y}))
    before = (np.geterr(), np.getbufsize())
    with np.errstate(all="raise"):
        assert np.isinf(run(plan.session(), 0)["out"]).all()
    assert (np.geterr(), np.getbufsize()) == before


def test_scalars_are_computed_once_for_all_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "cut", lambda space, whole_rows: tiles.cut(space, whole_rows, 3))
    plan = PlanMaker()
    x, rate, out = plan.feed("x", 3), plan.variable("rate", dtype="float64"), plan.result("out", BATCH, 3)
    statements = (Statement("r", "map", exp(var("rate")), "float64"), Statement("y", "map", X * maximum(var("r"), 2)))
    plan.step("map", (BATCH, 3), body({"x": x, "rate": rate}, statements, {out: Y}))
    compiled = steps.CompiledStep(plan.steps[0], plan.session(x=numbers(4, 3))._arena)
    calls = compiled.bind(plan.session(x=numbers(4, 3))._scratch, 4)
    assert len(calls) == 3 + 4      # exp, conversion, maximum; then one product per tile


@pytest.mark.parametrize(
    ("space", "whole_rows", "limit", "count"),
    [((10, 4), False, 8, 5), ((10, 4), True, 2, 10), ((3, 5, 4), True, 8, 9), ((40,), True, 8, 1), ((40,), False, 8, 5),
     ((), False, 8, 1), ((2, 3, 50), False, 20, 18), ((7, 1), True, 3, 3)],
)  # fmt: skip
def test_tiles_cover_a_space_in_order(space: tuple[int, ...], whole_rows: bool, limit: int, count: int) -> None:
    pieces = tiles.cut(space, whole_rows, limit)
    assert len(pieces) == count
    order = np.arange(int(np.prod(space))).reshape(space)
    joined = np.concatenate([order[piece].reshape(-1) for piece in pieces])
    np.testing.assert_array_equal(joined, order.reshape(-1))
