"""Every runtime on steps whose sizes meet no vector and no tile: rows, products, slices, dtypes. Against NumPy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hand_made import PlanMaker, body, numbers, run
from test_steps import runtime  # noqa: F401 - every test of this file runs on each runtime

from nnc.compiler.expr import apply, const, var, where
from nnc.compiler.plan import Reduction, Statement
from nnc.compiler.types import BATCH, ITEM_SIZE
from nnc.runtime.protocol import Array

ACC, X, Y, B = (var(name) for name in ("acc", "x", "y", "b"))
LENGTHS = (1, 2, 15, 16, 17, 31, 100, 1000)
ROW_KINDS = ("sum", "max", "min", "argmax")


def coarse(dtype: str, *shape: int) -> Array:
    """Few different numbers, so that many are alike; in floats one in fifty is NaN."""
    generator = np.random.default_rng(len(shape))
    found = generator.integers(0 if dtype == "uint8" else -4, 5, shape).astype(dtype)
    if dtype.startswith("float"):
        found[generator.random(shape) < 0.02] = np.nan
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8"])
def test_rows_of_any_length_with_ties_and_nan(dtype: str) -> None:
    plan = PlanMaker()
    data = {}
    for length in LENGTHS:
        name = f"x{length}"
        x, data[name] = plan.feed(name, length, dtype=dtype), coarse(dtype, 9, length)
        kinds = tuple([Statement(kind, kind, X, dtype) for kind in ROW_KINDS])
        above = Statement("above", "map", X - var("min"), dtype)       # reads the row a second time
        total = Statement("total", "sum", var("above"), dtype)         # and what follows reads it a third
        places = {plan.result(f"{kind}{length}", BATCH, 1, dtype=dtype): var(kind) for kind in (*ROW_KINDS, "total")}
        far = plan.result(f"far{length}", BATCH, length, dtype=dtype)
        last = Statement("far", "map", var("total") - var("above"), dtype)
        plan.step("map", (BATCH, length), body({"x": x}, (*kinds, above, total, last), {**places, far: var("far")}))
    session = plan.session(**data)
    for rows in ([0, 8, 3, 1], [5], [7, 2, 4]):
        results = run(session, *rows)
        for length in LENGTHS:
            x = data[f"x{length}"][rows]
            expected = {kind: getattr(np, kind)(x, axis=1, keepdims=True).astype(dtype) for kind in ROW_KINDS}
            above = x - expected["min"]
            expected["total"] = above.sum(axis=1, keepdims=True, dtype=dtype)
            expected["far"] = expected["total"] - above
            for name, wanted in expected.items():
                np.testing.assert_array_equal(results[f"{name}{length}"], wanted, err_msg=f"{name} of {length}")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_over_rows_of_any_length(dtype: str) -> None:
    plan = PlanMaker(batch_size=70)
    data = {}
    for length in LENGTHS[:-1]:
        name = f"x{length}"
        x, data[name] = plan.feed(name, 2, length, dtype=dtype), coarse(dtype, 80, 2, length)
        ends = [
            Reduction(operator, axes, Y, "float64", body({}, (), {plan.result(
                f"{operator} {axes} {length}", *([length] if axes == "leading" else []), dtype="float64"): ACC}))
            for operator, axes in product(("sum", "max", "min"), ("leading", "all"))
        ]  # fmt: skip
        doubled = Statement("y", "map", X * 2, dtype)
        plan.step("map", (BATCH, 2, length), body({"x": x}, (doubled,), {}), reductions=tuple(ends), dtype=dtype)
    session = plan.session(**data)
    for rows in (range(70), [5], range(3, 40)):
        results = run(session, *rows)
        for length, operator, axes in product(LENGTHS[:-1], ("sum", "max", "min"), ("leading", "all")):
            x = 2 * data[f"x{length}"][list(rows)].astype(np.float64)
            reduce = {"sum": np.add, "max": np.maximum, "min": np.minimum}[operator].reduce
            wanted = reduce(x, axis=(0, 1) if axes == "leading" else (0, 1, 2))
            np.testing.assert_array_equal(results[f"{operator} {axes} {length}"], wanted)


PRODUCTS = ((1, 1, 1), (1, 3, 1), (3, 1, 2), (7, 5, 15), (8, 16, 16), (9, 17, 17), (5, 33, 47), (17, 2, 48), (4, 8, 49),
            (13, 20, 64), (6, 50, 97), (33, 7, 130))  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)])
def test_products_of_any_size(turned: tuple[bool, bool], dtype: str) -> None:
    """Of whole numbers, so that every order of summing gives the same."""
    plan = PlanMaker()
    generator = np.random.default_rng(2)
    given: dict[str, Array] = {}
    for number, (rows, inner, columns) in enumerate(PRODUCTS):
        a = plan.variable(f"a{number}", *((inner, rows) if turned[0] else (rows, inner)), dtype=dtype)
        b = plan.variable(f"b{number}", *((columns, inner) if turned[1] else (inner, columns)), dtype=dtype)
        for letter, id in (("a", a), ("b", b)):
            given[f"{letter}{number}"] = generator.integers(-9, 10, plan.buffers[id].type.concrete(1)).astype(dtype)
        out, total = plan.result(f"out{number}", rows, columns, dtype=dtype), plan.result(
            f"sum{number}", columns, dtype="float64"
        )
        ends = [Reduction("sum", "leading", Y, "float64", body({}, (), {total: ACC}))]
        plan.step("matmul", (rows, columns), body({}, (Statement("y", "map", ACC - 1, dtype),), {out: Y}), (a, b),
                  tuple(ends), dtype, transpose_a=turned[0], transpose_b=turned[1])  # fmt: skip
    session = plan.session()
    for name, value in given.items():
        session.write(name, value)
        np.testing.assert_array_equal(session.read(name), value)
    results = run(session, 0)
    for number in range(len(PRODUCTS)):
        a, b = given[f"a{number}"], given[f"b{number}"]
        wanted = (a.T if turned[0] else a) @ (b.T if turned[1] else b) - 1
        np.testing.assert_array_equal(results[f"out{number}"], wanted)
        np.testing.assert_array_equal(results[f"sum{number}"], wanted.sum(axis=0))


def test_products_read_and_write_slices() -> None:
    """Layers beside a concatenation: left and right operands, results and targets of updates are columns of others."""
    plan = PlanMaker(batch_size=11)
    wide, count = plan.feed("wide", 40), plan.rows()
    left = plan.view(wide, BATCH, 19, strides=(40, 1), start=2)
    right = plan.view(wide, BATCH, 18, strides=(40, 1), start=21)
    one = plan.view(wide, BATCH, 1, strides=(40, 1), start=39)
    kernel, column, bias = plan.variable("kernel", 19, 18), plan.variable("column", 19, 1), plan.variable("bias", 18)
    one_bias = plan.variable("one_bias", 1)
    joined = plan.result("joined", BATCH, 25)
    out = plan.view(joined, BATCH, 18, strides=(25, 1), start=1)
    single = plan.view(joined, BATCH, 1, strides=(25, 1), start=19)
    total = plan.result("total", dtype="float64")
    plain = {"transpose_a": False, "transpose_b": False}
    plan.step("matmul", (BATCH, 18), body({}, (), {out: ACC}), (left, kernel), **plain)
    everything = Reduction("sum", "all", Y, "float64", body({}, (), {total: ACC}))
    plan.step("matmul", (BATCH, 1), body({}, (Statement("y", "map", ACC * 3),), {single: Y}), (left, column),
              (everything,), **plain)  # fmt: skip
    for grad, weight, offset, shape in ((right, kernel, bias, (19, 18)), (one, column, one_bias, (19, 1))):
        new = Statement("k1", "map", var("k") - ACC)
        on_bias = Reduction("sum", "leading", B, "float32",
                            body({"p": offset, "n": count}, (Statement("q", "map", var("p") - ACC / var("n")),),
                                 {offset: var("q")}))  # fmt: skip
        plan.step("matmul", shape, body({"k": weight}, (new,), {weight: var("k1")}), (left, grad), (on_bias,),
                  transpose_a=True, transpose_b=False)  # fmt: skip
    data = np.random.default_rng(5).integers(-3, 4, (20, 40)).astype(np.float32)
    session = plan.session(wide=data)
    weights = {name: np.zeros(shape, np.float32) for name, shape in
               (("kernel", (19, 18)), ("column", (19, 1)), ("bias", 18), ("one_bias", 1))}  # fmt: skip
    for rows in (list(range(11)), [19], [3, 4, 5]):
        results, x = run(session, *rows), data[rows]
        np.testing.assert_array_equal(results["joined"][:, 1:19], x[:, 2:21] @ weights["kernel"])
        np.testing.assert_array_equal(results["joined"][:, 19:20], 3 * x[:, 2:21] @ weights["column"])
        np.testing.assert_array_equal(results["total"], 3 * (x[:, 2:21] @ weights["column"]).sum())
        weights["kernel"] -= x[:, 2:21].T @ x[:, 21:39]
        weights["column"] -= x[:, 2:21].T @ x[:, 39:]
        weights["bias"] -= x[:, 21:39].sum(axis=0) / np.float32(len(rows))
        weights["one_bias"] -= x[:, 39:].sum(axis=0) / np.float32(len(rows))
        for name, wanted in weights.items():
            np.testing.assert_allclose(session.read(name), wanted, rtol=1e-6, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("kind", ["uint8", "int32", "int64"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_by_index_from_slices(kind: str, dtype: str) -> None:
    """Indices that repeat; indices, gathered rows and scattered rows each in a slice, so of two strides."""
    plan = PlanMaker()
    wide, rows = plan.feed("wide", 5, dtype=kind), plan.feed("rows_", 7, 18, dtype=dtype)
    index = plan.view(wide, BATCH, 3, strides=(5, 1), start=1)
    scattered = plan.view(rows, BATCH, 3, 18, strides=(7 * 18, 18, 1), start=36)
    table = plan.variable("table", 6, 18, dtype=dtype)
    joined = plan.result("joined", BATCH, 4, 20, dtype=dtype)
    gathered = plan.view(joined, BATCH, 3, 18, strides=(80, 20, 1), start=21)
    sums = plan.result("sums", 6, 18, dtype=dtype)
    plan.step("gather", (BATCH, 3, 18), body({}, (Statement("y", "map", ACC + 1, dtype),), {gathered: Y}),
              (table, index), dtype=dtype)  # fmt: skip
    plan.step("scatter_add", (6, 18), body({}, (), {sums: ACC}), (index, scattered), dtype=dtype)
    generator = np.random.default_rng(4)
    data = {"wide": generator.integers(0, 6, (9, 5)).astype(kind), "rows_": coarse("int32", 9, 7, 18).astype(dtype)}
    session = plan.session(**data)
    session.write("table", coarse("int32", 6, 18).astype(dtype))
    for chosen in ([0, 8, 3, 1], [5], [2, 2, 2]):
        results, indices = run(session, *chosen), data["wide"][chosen][:, 1:4]
        np.testing.assert_array_equal(results["joined"][:, 1:, 1:19], session.read("table")[indices] + 1)
        expected = np.zeros((6, 18), dtype)
        np.add.at(expected, indices, data["rows_"][chosen][:, 2:5])
        np.testing.assert_array_equal(results["sums"], expected)


def test_every_dtype_becomes_every_other() -> None:
    """A value is converted where a statement of another dtype reads it, and where it is stored."""
    plan = PlanMaker(batch_size=37)
    data, places = {}, {}
    for source in ITEM_SIZE:
        x = plan.feed(source, 1, dtype=source)
        low = 0 if source in ("bool", "uint8") else -3
        data[source] = np.random.default_rng(3).integers(low, 2 if source == "bool" else 4, (40, 1)).astype(source)
        for target in ITEM_SIZE:
            if target in ("bool", "uint8") and low < 0:
                continue        # what is below zero has no place there
            places[source, target] = read = plan.result(f"{source} read as {target}", BATCH, 1, dtype=target)
            stored = plan.result(f"{source} stored as {target}", BATCH, 1, dtype=target)
            copied = Statement("y", "map", X, target)
            plan.step("map", (BATCH, 1), body({"x": x}, (copied,), {read: Y, stored: X}), dtype=target)
    session = plan.session(**data)
    for rows in (list(range(37)), [5], [39, 38]):
        results = run(session, *rows)
        for source, target in places:
            wanted = data[source][rows].astype(target)
            np.testing.assert_array_equal(results[f"{source} read as {target}"], wanted, err_msg=f"{source} {target}")
            np.testing.assert_array_equal(results[f"{source} stored as {target}"], wanted, err_msg=f"{source} {target}")


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
def test_columns_and_repeated_axes(dtype: str) -> None:
    """Strides of all kinds, also in what is written: a transposed matrix, a row and a column for every plane."""
    plan = PlanMaker()
    flat = plan.feed("flat", 7 * 19, dtype=dtype)
    turned = plan.view(flat, BATCH, 19, 7, strides=(7 * 19, 1, 19))
    row, column = plan.feed("row", 1, 7, dtype=dtype), plan.feed("column", 19, 1, dtype=dtype)
    out = plan.result("out", BATCH, 7, 19, dtype=dtype)
    written = plan.view(out, BATCH, 19, 7, strides=(7 * 19, 1, 19))
    chosen = where(apply("gt", X, var("r")), X, apply("maximum", var("c"), X))
    plan.step("map", (BATCH, 19, 7), body({"x": turned, "r": row, "c": column}, (Statement("y", "map", chosen, dtype),),
                                          {written: Y}), dtype=dtype)  # fmt: skip
    generator = np.random.default_rng(8)
    shapes = {"flat": (9, 7 * 19), "row": (9, 1, 7), "column": (9, 19, 1)}
    data = {name: generator.integers(0, 2 if dtype == "bool" else 9, shape).astype(dtype)
            for name, shape in shapes.items()}  # fmt: skip
    session = plan.session(**data)
    for rows in ([0, 8, 3, 1], [5]):
        x, r, c = (data[name][rows] for name in ("flat", "row", "column"))
        x = x.reshape(-1, 7, 19).transpose(0, 2, 1)
        wanted = np.where(x > r, x, np.maximum(c, x)).transpose(0, 2, 1)
        np.testing.assert_array_equal(run(session, *rows)["out"], wanted)


def test_constants_and_scalars_fill_and_count_whole_batches() -> None:
    plan = PlanMaker(batch_size=50)
    x, count = plan.feed("x", 33), plan.rows()
    filled, mean = plan.result("filled", BATCH, 33), plan.result("mean", dtype="float64")
    quotient = body({"n": count}, (Statement("m", "map", ACC / var("n"), "float64"),), {mean: var("m")})
    plan.step("map", (BATCH, 33), body({"x": x}, (Statement("y", "map", X * X),), {filled: const(1.5)}),
              reductions=(Reduction("sum", "all", Y, "float64", quotient),))  # fmt: skip
    data = numbers(60, 33)
    session = plan.session(x=data)
    for rows in (range(50), [3], range(7, 30)):
        results = run(session, *rows)
        np.testing.assert_allclose(results["mean"], np.square(data[list(rows)]).sum(dtype=np.float64) / len(rows), 1e-6)
        np.testing.assert_array_equal(results["filled"], np.full((len(rows), 33), 1.5))
