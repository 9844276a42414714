"""Every runtime on plans written by hand: one kind of step at a time, against plain NumPy.

Each test of a step runs on the reference runtime, whole and cut into small tiles, and on compiled C, once on one thread
and once with every step shared by three.
"""

from __future__ import annotations

import numpy as np
import pytest
from hand_made import PlanMaker, body, numbers, run

from nnc.compiler.codegen import calls, maps, module, operands, products, reductions
from nnc.compiler.expr import OPERATORS, PREDICATES, apply, const, exp, sqrt, var, where
from nnc.compiler.ops import philox
from nnc.compiler.ops.scalar import evaluate
from nnc.compiler.plan import Reduction, Statement
from nnc.compiler.types import BATCH
from nnc.compiler.verify_steps import OPERATORS_OF
from nnc.runtime.native.session import NativeRuntime
from nnc.runtime.native.toolchain import find_toolchain
from nnc.runtime.reference import ReferenceRuntime, steps, tiles

ACC, X, Y, Z, B = (var(name) for name in ("acc", "x", "y", "z", "b"))
TILE_ELEMENTS = {"one tile": tiles.TILE_ELEMENTS, "some tiles": 20, "a row each": 3}


@pytest.fixture(params=[*TILE_ELEMENTS, "native", "native, shared"], autouse=True)
def runtime(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    if name in TILE_ELEMENTS:
        limit = TILE_ELEMENTS[name]
        monkeypatch.setattr(steps, "cut", lambda space, whole_rows: tiles.cut(space, whole_rows, limit))
        monkeypatch.setattr(PlanMaker, "runtime", ReferenceRuntime())
        return name
    if find_toolchain().toolchain is None:
        pytest.skip(find_toolchain().reason)
    if name == "native, shared":
        for part in (calls, maps, module, operands, products, reductions):
            monkeypatch.setattr(part, "SMALL_WORK", 0)
    monkeypatch.setattr(PlanMaker, "runtime", NativeRuntime(3 if name == "native, shared" else 1))
    return name


def test_map_broadcasts_a_row_and_a_column() -> None:
    plan = PlanMaker()
    x, column, row = plan.feed("x", 5), plan.feed("column", 1), plan.place("constant", 5, value=(1, 2, 3, 4, 5))
    out = plan.result("out", BATCH, 5)
    scaled = Statement("z", "map", (X + var("r")) * var("c"))
    plan.step("map", (BATCH, 5), body({"x": x, "r": row, "c": column}, (scaled,), {out: Z}))
    data, scale = numbers(9, 5), numbers(9, 1, seed=1)
    session = plan.session(x=data, column=scale)
    for rows in ([0, 8, 3, 1], [5], [7, 2]):
        expected = (data[rows] + np.arange(1, 6, dtype=np.float32)) * scale[rows]
        np.testing.assert_array_equal(run(session, *rows)["out"], expected)


def test_softmax_and_its_crossentropy_in_one_step() -> None:
    plan = PlanMaker()
    x, target = plan.feed("x", 6), plan.feed("target", 1, dtype="int32")
    iota = plan.place("constant", 6, value=(0, 1, 2, 3, 4, 5))
    out, total = plan.result("out", BATCH, 6), plan.result("total", dtype="float64")
    body_ = body(
        {"x": x, "t": target, "i": iota},
        (
            Statement("m", "max", X),
            Statement("e", "map", exp(X - var("m"))),
            Statement("s", "sum", var("e")),
            Statement("p", "map", var("e") / var("s")),
            Statement("hit", "map", where(apply("eq", var("i"), var("t")), X, 0)),
            Statement("chosen", "sum", var("hit")),
            Statement("loss", "map", apply("log", var("s")) + var("m") - var("chosen")),
        ),
        {out: var("p")},
    )
    loss = Reduction("sum", "all", var("loss"), "float64", body({}, (), {total: ACC}))
    plan.step("map", (BATCH, 6), body_, reductions=(loss,))
    data, classes = 30 * numbers(9, 6), np.arange(9, dtype=np.int32).reshape(9, 1) % 6
    session = plan.session(x=data, target=classes)
    for rows in ([0, 8, 3, 1], [5, 6]):
        results = run(session, *rows)
        wide = data[rows].astype(np.float64)
        shifted = np.exp(wide - wide.max(axis=1, keepdims=True))
        expected = shifted / shifted.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(results["out"], expected, rtol=1e-5, atol=1e-30)
        losses = np.log(shifted.sum(axis=1)) + wide.max(axis=1) - wide[range(len(rows)), classes[rows, 0]]
        # a row value counts once per row, not once per element of the space
        np.testing.assert_allclose(results["total"], losses.sum(), rtol=1e-5)


@pytest.mark.parametrize("kind", ["sum", "max", "min", "argmax"])
def test_row_reductions(kind: str) -> None:
    plan = PlanMaker()
    x, out = plan.feed("x", 3, 5), plan.result("out", BATCH, 3, 1)
    plan.step("map", (BATCH, 3, 5), body({"x": x}, (Statement("r", kind, X * 2),), {out: var("r")}))
    data = numbers(4, 3, 5)
    expected = getattr(np, kind)(data * 2, axis=-1, keepdims=True)
    np.testing.assert_allclose(run(plan.session(x=data), 0, 1, 2, 3)["out"], expected, rtol=1e-6)


def test_a_row_sum_of_a_number_counts_every_element() -> None:
    plan = PlanMaker()
    column, out = plan.feed("column", 1), plan.result("out", BATCH, 1)
    plan.step("map", (BATCH, 7), body({"x": column}, (Statement("r", "sum", X),), {out: var("r")}))
    data = numbers(4, 1)
    np.testing.assert_allclose(run(plan.session(column=data), 0, 1, 2, 3)["out"], 7 * data, rtol=1e-6)


@pytest.mark.parametrize("axes", ["all", "leading"])
@pytest.mark.parametrize("operator", ["sum", "max", "min"])
def test_reductions_over_rows_run_a_body_on_their_result(operator: str, axes: str) -> None:
    plan = PlanMaker(batch_size=9)
    x = plan.feed("x", 2, 5)
    out = plan.result("out", *(() if axes == "all" else (5,)), dtype="float64")
    end = body({}, (Statement("h", "map", ACC / 2, "float64"),), {out: var("h")})
    reduction = Reduction(operator, axes, Y, "float64", end)
    plan.step("map", (BATCH, 2, 5), body({"x": x}, (Statement("y", "map", X * X),), {}), reductions=(reduction,))
    data = numbers(9, 2, 5)
    function = {"sum": np.add, "max": np.maximum, "min": np.minimum}[operator].reduce
    expected = function((data * data).astype(np.float64), axis=(0, 1, 2) if axes == "all" else (0, 1)) / 2
    np.testing.assert_allclose(run(plan.session(x=data), *range(9))["out"], expected, rtol=1e-12)


def test_dense_layer_with_bias_and_relu() -> None:
    plan = PlanMaker()
    x, kernel, bias = plan.feed("x", 6), plan.variable("kernel", 6, 5), plan.variable("bias", 5)
    out = plan.result("out", BATCH, 5)
    relu = Statement("y", "map", where(ACC + B > 0, ACC + B, 0))
    plan.step(
        "matmul", (BATCH, 5), body({"b": bias}, (relu,), {out: Y}), (x, kernel), transpose_a=False, transpose_b=False
    )
    data = numbers(9, 6)
    session = plan.session(x=data)
    session.write("kernel", numbers(6, 5, seed=1))
    session.write("bias", numbers(5, seed=2))
    for rows in ([0, 8, 3, 1], [5]):
        expected = np.maximum(data[rows] @ session.read("kernel") + session.read("bias"), 0)
        np.testing.assert_allclose(run(session, *rows)["out"], expected, rtol=1e-5, atol=1e-6)


def test_gradient_product_updates_kernel_and_bias_in_place() -> None:
    """The optimizer runs on each tile of the product, so the gradient never exists as a whole."""
    plan = PlanMaker()
    x, gradient, count = plan.feed("x", 6), plan.feed("gradient", 5), plan.rows()
    kernel, velocity, bias = plan.variable("kernel", 6, 5), plan.variable("velocity", 6, 5), plan.variable("bias", 5)
    new_velocity = Statement("v1", "map", var("v") * 0.9 - ACC * 0.1)
    new_kernel = Statement("k1", "map", var("k") + var("v1") * 0.9 - ACC * 0.1)
    main = body({"k": kernel, "v": velocity}, (new_velocity, new_kernel), {kernel: var("k1"), velocity: var("v1")})
    rate = Statement("rate", "map", 0.1 * var("n"), "float64")
    step = Statement("p1", "map", var("p") - var("rate") * ACC)
    on_bias = Reduction("sum", "leading", B, "float32", body({"p": bias, "n": count}, (rate, step), {bias: var("p1")}))
    plan.step("matmul", (6, 5), main, (x, gradient), (on_bias,), transpose_a=True, transpose_b=False)
    data, gradients = numbers(9, 6), numbers(9, 5, seed=1)
    session = plan.session(x=data, gradient=gradients)
    expected_kernel, expected_velocity, expected_bias = np.zeros((6, 5)), np.zeros((6, 5)), np.zeros(5)
    for rows in ([0, 8, 3, 1], [5, 2], [7, 6, 4, 3]):
        run(session, *rows)
        product = data[rows].T @ gradients[rows]
        expected_velocity = 0.9 * expected_velocity - 0.1 * product
        expected_kernel = expected_kernel + 0.9 * expected_velocity - 0.1 * product
        expected_bias = expected_bias - 0.1 * len(rows) * gradients[rows].sum(axis=0)
        np.testing.assert_allclose(session.read("velocity"), expected_velocity, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(session.read("kernel"), expected_kernel, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(session.read("bias"), expected_bias, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("transpose_a", "transpose_b"), [(False, False), (True, False), (False, True), (True, True)])
def test_products_of_turned_matrices(transpose_a: bool, transpose_b: bool) -> None:
    plan = PlanMaker()
    a = plan.variable("a", *((3, 7) if transpose_a else (7, 3)))
    b = plan.variable("b", *((5, 3) if transpose_b else (3, 5)))
    out, sums = plan.result("out", 7, 5), plan.result("sums", 5, dtype="float64")
    total = Reduction("sum", "leading", B, "float64", body({}, (), {sums: ACC}))
    plan.step(
        "matmul", (7, 5), body({}, (), {out: ACC}), (a, b), (total,), transpose_a=transpose_a, transpose_b=transpose_b
    )
    session = plan.session()
    session.write("a", numbers(*session.read("a").shape))
    session.write("b", numbers(*session.read("b").shape, seed=1))
    left = session.read("a").T if transpose_a else session.read("a")
    right = session.read("b").T if transpose_b else session.read("b")
    results = run(session, 0)
    np.testing.assert_allclose(results["out"], left @ right, rtol=1e-5)
    np.testing.assert_allclose(results["sums"], right.sum(axis=0), rtol=1e-6)


def test_gather_takes_rows_and_scatter_adds_them() -> None:
    plan = PlanMaker()
    index, rows = plan.feed("index", 3, dtype="int32"), plan.feed("rows_", 3, 4)
    table, sums = plan.variable("table", 7, 4), plan.variable("sums", 7, 4)
    out, plain = plan.result("out", BATCH, 3, 4), plan.result("plain", 7, 4)
    twice = Statement("y", "map", ACC * 2)
    plan.step("gather", (BATCH, 3, 4), body({}, (twice,), {out: Y}), (table, index))
    plan.step("scatter_add", (7, 4), body({}, (), {plain: ACC}), (index, rows))
    update = Statement("s1", "map", var("s") - ACC)
    plan.step("scatter_add", (7, 4), body({"s": sums}, (update,), {sums: var("s1")}), (index, rows))
    indices = np.random.default_rng(3).integers(0, 7, (9, 3)).astype(np.int32)
    data = numbers(9, 3, 4)
    session = plan.session(index=indices, rows_=data)
    session.write("table", numbers(7, 4, seed=1))
    accumulated = np.zeros((7, 4))
    for chosen in ([0, 8, 3, 1], [5, 2]):
        results = run(session, *chosen)
        np.testing.assert_array_equal(results["out"], 2 * session.read("table")[indices[chosen]])
        expected = np.zeros((7, 4))
        np.add.at(expected, indices[chosen], data[chosen])
        np.testing.assert_allclose(results["plain"], expected, rtol=1e-5, atol=1e-6)
        accumulated -= expected
        np.testing.assert_allclose(session.read("sums"), accumulated, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
@pytest.mark.parametrize("shape", [(5,), (3, 7), (20_000,)])
def test_random_numbers_are_those_of_the_definition(
    distribution: str, shape: tuple[int, ...], runtime: str
) -> None:
    if runtime in ("some tiles", "a row each") and shape == (20_000,):
        shape = (500,)  # a tile for every few elements: as many tiles, in less time
    seed = 0x1234_5678_9ABC_DEF0
    plan = PlanMaker(seed=seed)
    step, out = plan.variable("step", dtype="float64"), plan.result("out", BATCH, *shape)
    plan.step("random", (BATCH, *shape), body({}, (), {out: ACC}), (step,), distribution=distribution, stream=3)
    session = plan.session()
    session.write("step", np.array(2.0**33 + 17))
    draw = philox.uniform if distribution == "uniform" else philox.normal
    for rows in (4, 1, 3):
        size = rows * int(np.prod(shape))
        expected = draw(size, seed, 2**33 + 17, 3).reshape(rows, *shape)
        np.testing.assert_array_equal(run(session, *range(rows))["out"], expected)


def test_dropout_in_one_step() -> None:
    plan = PlanMaker(seed=5)
    x, step, out = plan.feed("x", 6), plan.variable("step", dtype="float64"), plan.result("out", BATCH, 6)
    kept = Statement("y", "map", where(ACC >= 0.25, X / 0.75, 0))
    plan.step("random", (BATCH, 6), body({"x": x}, (kept,), {out: Y}), (step,), distribution="uniform", stream=0)
    data = numbers(4, 6)
    mask = philox.uniform(24, 5, 0, 0).reshape(4, 6) >= 0.25
    np.testing.assert_allclose(run(plan.session(x=data), 0, 1, 2, 3)["out"], np.where(mask, data / 0.75, 0), rtol=1e-6)


def test_slices_of_one_tensor_are_written_in_place() -> None:
    """Concatenate: two producers write into the columns of one buffer, which a third step overwrites where it lies."""
    plan = PlanMaker()
    x, kernel = plan.feed("x", 3), plan.variable("kernel", 3, 2)
    whole = plan.result("whole", BATCH, 5)
    left = plan.view(whole, BATCH, 3, strides=(5, 1))
    right = plan.view(whole, BATCH, 2, strides=(5, 1), start=3)
    plan.step("map", (BATCH, 3), body({"x": x}, (Statement("y", "map", X * 2),), {left: Y}))
    plan.step("matmul", (BATCH, 2), body({}, (), {right: ACC}), (x, kernel), transpose_a=False, transpose_b=False)
    negated = Statement("y", "map", where(X < 0, -X, X + 1))
    plan.step("map", (BATCH, 5), body({"x": whole}, (negated,), {whole: Y}))
    data = numbers(4, 3)
    session = plan.session(x=data)
    session.write("kernel", numbers(3, 2, seed=1))
    joined = np.concatenate([data * 2, data @ session.read("kernel")], axis=1)
    np.testing.assert_allclose(run(session, 0, 1, 2)["whole"], np.where(joined < 0, -joined, joined + 1)[:3], rtol=1e-5)


def test_stores_may_exchange_their_operands() -> None:
    """All reads of an element come before its stores."""
    plan = PlanMaker()
    a, b, c = (plan.variable(name, 40) for name in "abc")
    total = Statement("z", "map", X + Y)
    plan.step("map", (40,), body({"x": a, "y": b}, (total,), {a: Y, b: X, c: Z}))
    session = plan.session()
    first, second = numbers(40), numbers(40, seed=1)
    session.write("a", first)
    session.write("b", second)
    run(session, 0)
    np.testing.assert_array_equal(session.read("a"), second)
    np.testing.assert_array_equal(session.read("b"), first)
    np.testing.assert_array_equal(session.read("c"), first + second)


def test_a_result_made_in_place_does_not_spoil_later_reads() -> None:
    plan = PlanMaker()
    x, other = plan.variable("x", 40), plan.variable("other", 40)
    new = Statement("n", "map", X * 2)
    late = Statement("l", "map", X + var("n"))
    plan.step("map", (40,), body({"x": x}, (new, late), {x: var("n"), other: var("l")}))
    session = plan.session()
    start = numbers(40)
    session.write("x", start)
    run(session, 0)
    np.testing.assert_array_equal(session.read("x"), 2 * start)
    np.testing.assert_array_equal(session.read("other"), 3 * start)


def test_a_sum_of_one_row_for_all_rows() -> None:
    """A number that is made of a row: no scalar of the operands, though it varies along no axis."""
    plan = PlanMaker()
    x, row, out = plan.feed("x", 5), plan.place("constant", 5, value=(1, 2, 3, 4, 5)), plan.result("out", BATCH, 5)
    statements = (
        Statement("d", "map", var("r") * 2),
        Statement("s", "sum", var("d")),
        Statement("h", "map", var("s") / 3),
        Statement("y", "map", X * var("h")),
    )
    plan.step("map", (BATCH, 5), body({"x": x, "r": row}, statements, {out: Y}))
    data = numbers(4, 5)
    np.testing.assert_allclose(run(plan.session(x=data), 0, 1, 2, 3)["out"], 10 * data, rtol=1e-6)


def test_a_reduction_reads_what_its_step_overwrites() -> None:
    plan = PlanMaker()
    x, total = plan.variable("x", 8, 5), plan.result("total", 5)
    end = Reduction("sum", "leading", X, "float32", body({}, (), {total: ACC}))
    plan.step("map", (8, 5), body({"x": x}, (Statement("n", "map", X * 2),), {x: var("n")}), reductions=(end,))
    session = plan.session()
    start = numbers(8, 5)
    session.write("x", start)
    np.testing.assert_allclose(run(session, 0)["total"], start.sum(axis=0), rtol=1e-5)
    np.testing.assert_array_equal(session.read("x"), 2 * start)


def test_dtypes_meet_in_the_statement_s_own() -> None:
    plan = PlanMaker()
    pixels, flags, wide = plan.feed("pixels", 3, dtype="uint8"), plan.feed("flags", 3, dtype="bool"), plan.rows()
    out, truth, exact = plan.result("out", BATCH, 3), plan.result("truth", BATCH, 3, dtype="bool"), plan.result(
        "exact", BATCH, 3, dtype="float64"
    )
    statements = (
        Statement("y", "map", where(var("f"), X / 255, -1)),
        Statement("t", "map", apply("and", Y > 0.5, var("f"))),
        Statement("e", "map", X / var("n") + var("t"), "float64"),
    )
    plan.step(
        "map",
        (BATCH, 3),
        body({"x": pixels, "f": flags, "n": wide}, statements, {out: Y, truth: var("t"), exact: var("e")}),
    )
    data = np.array([[0, 128, 255], [250, 251, 3]], np.uint8)
    marks = np.array([[True, True, False], [True, False, True]])
    results = run(plan.session(pixels=data, flags=marks), 0, 1)
    expected = np.where(marks, data.astype(np.float32) / np.float32(255), np.float32(-1))
    np.testing.assert_allclose(results["out"], expected, rtol=1.5e-7)   # a quotient of float32 may be an ulp off
    np.testing.assert_array_equal(results["truth"], (expected > 0.5) & marks)
    np.testing.assert_array_equal(results["exact"], data / 2.0 + results["truth"])


def test_constants_are_stored_everywhere() -> None:
    plan = PlanMaker()
    out = plan.result("out", BATCH, 3)
    plan.step("map", (BATCH, 3), body({}, (), {out: const(2.5)}))
    np.testing.assert_array_equal(run(plan.session(), 0, 1)["out"], np.full((2, 3), 2.5))


def test_scalar_steps_count() -> None:
    plan = PlanMaker()
    step, rate = plan.variable("step", dtype="float64"), plan.result("rate", dtype="float64")
    counted = Statement("s1", "map", var("s") + 1, "float64")
    scaled = Statement("r", "map", 1 / sqrt(var("s1")), "float64")
    plan.step("map", (), body({"s": step}, (counted, scaled), {step: var("s1"), rate: var("r")}), dtype="float64")
    session = plan.session()
    for expected in (1, 2, 3):
        assert run(session, 0)["rate"] == 1 / np.sqrt(expected)
    assert session.read("step") == 3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_operator_means_what_the_table_says(dtype: str) -> None:
    special = [0.0, -0.0, 1.0, -1.0, 0.4, 3.0, 40.0, -40.0, 1e30, -1e30, np.inf, -np.inf, np.nan, 0.46875, 4.0]
    grid = np.array(np.meshgrid(special, special, special)).reshape(3, -1).T.astype(dtype)
    plan = PlanMaker(batch_size=len(grid))
    feeds = {name: plan.feed(name, 1, dtype=dtype) for name in "xyz"}
    exprs = {operator: apply(operator, *map(var, "xyz"[:count])) for operator, count in OPERATORS.items()}
    for operator, expr in exprs.items():
        out = plan.result(operator, BATCH, 1, dtype="bool" if operator in PREDICATES else dtype)
        operands = {name: feeds[name] for name in "xyz"[: OPERATORS[operator]]}
        plan.step("map", (BATCH, 1), body(operands, (Statement("r", "map", expr, dtype),), {out: var("r")}))
    data = {name: np.ascontiguousarray(grid[:, k : k + 1]) for k, name in enumerate("xyz")}
    results = run(plan.session(**data), *range(len(grid)))
    for operator, expr in exprs.items():
        result, expected = results[operator], evaluate(expr, data, dtype)
        np.testing.assert_allclose(result, expected, rtol=3e-6 if dtype == "float32" else 1e-14, err_msg=operator)
        if operator in ("where", "neg", "maximum", "abs"):
            np.testing.assert_array_equal(np.signbit(result), np.signbit(expected), err_msg=operator)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "bool"])
def test_every_operator_of_whole_numbers_and_truths(dtype: str) -> None:
    """Each by itself, and each on what some others give: uint8 wraps at 256, true is more than false."""
    values = {"bool": [0, 1], "uint8": [0, 1, 2, 100, 255]}.get(dtype, [0, 1, -1, 7, -40, 90])
    grid = np.array(np.meshgrid(values, values, values)).reshape(3, -1).T.astype(dtype)
    plan = PlanMaker(batch_size=len(grid))
    feeds = {name: plan.feed(name, 1, dtype=dtype) for name in "xyz"}
    single = {name: apply(name, *map(var, "xyz"[: OPERATORS[name]])) for name in sorted(OPERATORS_OF[dtype])}
    nested = {
        f"{outer} {inner}": apply(outer, *[value, Y, Z][: OPERATORS[outer]])
        for inner, value in single.items() if inner in ("neg", "square", "gt") for outer in single
    }  # fmt: skip
    exprs = single | nested
    for name, expr in exprs.items():
        out = plan.result(name, BATCH, 1, dtype="bool" if expr.op in PREDICATES else dtype)
        plan.step("map", (BATCH, 1), body(feeds, (Statement("r", "map", expr, dtype),), {out: var("r")}))
    data = {name: np.ascontiguousarray(grid[:, k : k + 1]) for k, name in enumerate("xyz")}
    results = run(plan.session(**data), *range(len(grid)))
    for name, expr in exprs.items():
        np.testing.assert_array_equal(results[name], evaluate(expr, data, dtype), err_msg=name)


def test_an_operand_with_gaps_is_read_from_disk_order() -> None:
    """A fed array may lie in column order, or be every other row of a larger one."""
    plan = PlanMaker()
    x, out = plan.feed("x", 3), plan.result("out", BATCH, 3)
    plan.step("map", (BATCH, 3), body({"x": x}, (), {out: X}))
    data = np.asfortranarray(numbers(8, 3))
    np.testing.assert_array_equal(run(plan.session(x=data), 5, 0)["out"], data[[5, 0]])
    np.testing.assert_array_equal(run(plan.session(x=data[::2]), 3, 1)["out"], data[[6, 2]])


def test_results_are_read_only_and_reads_are_copies() -> None:
    plan = PlanMaker()
    weight, out = plan.variable("w", 3, initializer="ones"), plan.result("out", 3)
    plan.step("map", (3,), body({"x": weight}, (), {out: X}))
    session = plan.session()
    run(session, 0)
    with pytest.raises(ValueError, match="read-only"):
        session.fetch("train_step", "out")[0] = 1
    session.read("w")[0] = 7
    np.testing.assert_array_equal(session.read("w"), np.ones(3))
