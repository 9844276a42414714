"""Every primitive: its shape rule against its meaning, its gradient against finite differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sample_networks import numeric_gradient

from nnc.compiler.autodiff import gradients_of
from nnc.compiler.builder import Builder
from nnc.compiler.evaluate import evaluate
from nnc.compiler.expr import cos, exp, maximum, var, where
from nnc.compiler.graph import Variable
from nnc.compiler.ops import OPS, philox
from nnc.compiler.ops.elementwise import broadcast_shapes
from nnc.compiler.options import Choice
from nnc.compiler.types import BATCH, TensorType
from nnc.compiler.verify_graph import verify_graph

ROWS = 3
X0, X1 = var("x0"), var("x1")


def weight(name: str, *shape: int) -> Variable:
    return Variable(name, TensorType("float64", shape), "weight", Choice("zeros"), "", True)


WEIGHTS = {v.name: v for v in (weight("a", 4, 5), weight("b", 5), weight("s"), weight("c", 5, 4), weight("r", 5, 5))}
STEP = {"step": Variable("step", TensorType("float64", ()), "scalar", Choice("zeros"))}


def rows_of_a(b: Builder) -> int:
    """float64[batch, 5] that depends on the weight `a`."""
    return b.matmul(b.input("x", TensorType("float64", (BATCH, 4))), b.variable("a"))


def indices(b: Builder) -> int:
    return b.input("i", TensorType("int32", (BATCH, 2)))


EXAMPLES: dict[str, Callable[[Builder], int]] = {
    "map": lambda b: b.map(exp(X0 * 0.3) * cos(X1), rows_of_a(b), b.variable("b")),
    "map broadcast to the left": lambda b: b.map(X0 * X1, b.variable("s"), rows_of_a(b)),
    "map of a row's sum": lambda b: b.map(X0 / (1 + X1 * X1), rows_of_a(b), b.reduce("sum", rows_of_a(b), (1,))),
    "map to a shape": lambda b: b.map(X0 * X0, b.variable("b"), shape=(BATCH, 5), dtype="float64"),
    "map from its output": lambda b: b.map(exp(X0), rows_of_a(b), from_output=var("y")),
    "map through a kink": lambda b: b.map(maximum(where(X0 > 0, X0, 0.1 * X0), X1), rows_of_a(b), b.variable("b")),
    "stop_gradient": lambda b: b.map(X0 * X1, b.variable("b"), b.add("stop_gradient", (b.input("y", T5),))),
    "reduce": lambda b: b.reduce("sum", rows_of_a(b), (0, 1)),
    "reduce max": lambda b: b.reduce("max", rows_of_a(b), (1,)),
    "reduce min": lambda b: b.reduce("min", rows_of_a(b), (0,)),
    "matmul": lambda b: b.matmul(rows_of_a(b), b.variable("r")),
    "matmul a'": lambda b: b.matmul(b.variable("a"), b.variable("c"), transpose_a=True, transpose_b=True),
    "matmul ab'": lambda b: b.matmul(b.variable("a"), b.variable("r"), transpose_b=True),
    "matmul a'b": lambda b: b.matmul(rows_of_a(b), rows_of_a(b), transpose_a=True),
    "reshape": lambda b: b.reshape(b.variable("a"), (2, 10)),
    "concat": lambda b: b.concat((rows_of_a(b), b.map(X0 * 2, rows_of_a(b))), 1),
    "slice": lambda b: b.slice(rows_of_a(b), 1, 1, 4),
    "slice from the start": lambda b: b.slice(b.variable("a"), 0, 0, 2),
    "gather": lambda b: b.gather(b.variable("a"), indices(b)),
    "scatter_add": lambda b: b.add("scatter_add", (indices(b), b.gather(b.variable("a"), indices(b))), size=6),
    "random": lambda b: b.map(X0 * X1, rows_of_a(b), b.random("normal", (BATCH, 5), 3, b.variable("step"))),
    "rows": lambda b: b.map(X0 * X1, b.variable("b"), b.rows()),
    "constant": lambda b: b.map(X0 * X1, b.variable("b"), b.table((1.0, 2.0, 3.0, 4.0, 5.0), "float64")),
    "iota": lambda b: b.map(X0 * X1, b.variable("b"), b.iota(5)),
    "variable": lambda b: b.variable("a"),
    "input": lambda b: b.map(X0 * X1, b.variable("b"), b.input("y", T5)),
}
T5 = TensorType("float64", (BATCH, 5))


def feeds() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {"x": rng.normal(size=(ROWS, 4)), "y": rng.normal(size=(ROWS, 5)), "i": np.array([[0, 1], [1, 1], [3, 0]])}


def test_every_op_has_an_example() -> None:
    assert {name.split()[0] for name in EXAMPLES} == set(OPS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_gradient_agrees_with_finite_differences(name: str) -> None:
    builder = Builder("train_step", WEIGHTS | STEP)
    value = EXAMPLES[name](builder)
    # an uneven, curved function of every element, so that a transposed or misplaced gradient shows
    curved = builder.map(X0 * X0 * 0.3 + X0, value)
    size = builder.type(curved).shape[-1] if builder.type(curved).shape else 1
    assert isinstance(size, int)
    uneven = builder.map(X0 * cos(X1 + 1), curved, builder.iota(size))
    axes = tuple(range(len(builder.type(uneven).shape)))
    builder.result("loss", builder.reshape(builder.reduce("sum", uneven, axes, dtype="float64"), ()))
    graph = gradients_of(builder.build(), WEIGHTS | STEP, "loss", set(WEIGHTS))
    verify_graph(graph, WEIGHTS | STEP)
    rng = np.random.default_rng(2)
    values = {v: rng.normal(size=WEIGHTS[v].type.concrete(1)) for v in WEIGHTS} | {"step": np.array(4.0)}
    results, _ = evaluate(graph, feeds(), values, 7, ROWS)
    found = {key.removeprefix("gradient."): value for key, value in results.items() if key != "loss"}
    assert found, "no weight is reached"
    for weight_name, gradient in found.items():
        expected = numeric_gradient(graph, "loss", weight_name, feeds(), values, ROWS)
        np.testing.assert_allclose(gradient, expected, rtol=2e-6, atol=2e-7)


def test_no_gradient_passes_stop_gradient() -> None:
    builder = Builder("train_step", WEIGHTS)
    stopped = builder.add("stop_gradient", (builder.variable("s"),))
    builder.result("loss", builder.map(X0 * X1, stopped, builder.variable("s")))
    graph = gradients_of(builder.build(), WEIGHTS, "loss", {"s"})
    results, _ = evaluate(graph, {}, {"s": np.array(3.0)}, 0, 1)
    assert results["gradient.s"] == 3.0  # of s * 3, not of s * s


@pytest.mark.parametrize("operator", ["max", "min"])
def test_an_extreme_shares_its_gradient_among_equals(operator: str) -> None:
    builder = Builder("train_step", WEIGHTS)
    builder.result("loss", builder.reshape(builder.reduce(operator, builder.variable("b"), (0,)), ()))
    graph = gradients_of(builder.build(), WEIGHTS, "loss", {"b"})
    results, _ = evaluate(graph, {}, {"b": np.array([2.0, 2.0, 2.0, 2.0, 2.0])}, 0, 1)
    np.testing.assert_array_equal(results["gradient.b"], np.full(5, 0.2))


def test_argmax_takes_the_first_of_equals_and_has_no_gradient() -> None:
    builder = Builder("train_step", WEIGHTS)
    found = builder.reduce("argmax", builder.variable("b"), (0,))
    builder.result("class", found)
    builder.result("loss", builder.reshape(builder.map(X0 * 2, found, dtype="float64"), ()))
    graph = gradients_of(builder.build(), WEIGHTS, "loss", {"b"})
    results, _ = evaluate(graph, {}, {"b": np.array([0.0, 5.0, 5.0, 1.0, 2.0])}, 0, 1)
    assert results["class"].tolist() == [1]
    assert "gradient.b" not in results


def test_an_update_reads_only_old_values() -> None:
    builder = Builder("train_step", WEIGHTS)
    s, b = builder.variable("s"), builder.variable("b")
    builder.update(("s",), (s,), (X0 + 1,))
    builder.update(("b",), (b, s), (X0 * X1,))
    before = {"s": np.array(3.0), "b": np.ones(5)}
    _, after = evaluate(builder.build(), {}, before, 0, 1)
    assert after["s"] == 4.0
    np.testing.assert_array_equal(after["b"], np.full(5, 3.0))
    np.testing.assert_array_equal(before["b"], np.ones(5))


def test_the_same_node_is_made_once() -> None:
    builder = Builder("predict", WEIGHTS)
    first, second = rows_of_a(builder), rows_of_a(builder)
    assert first == second
    assert len(builder.nodes) == 3


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        (((BATCH, 5), (5,)), (BATCH, 5)),
        (((BATCH, 1), (1, 5)), (BATCH, 5)),
        (((), (3, 1), (4,)), (3, 4)),
        (((), ()), ()),
        (((BATCH,), (1,)), (BATCH,)),
    ],
)
def test_shapes_broadcast_as_in_numpy(shapes: tuple[tuple[int, ...], ...], expected: tuple[int, ...]) -> None:
    assert broadcast_shapes(shapes) == expected


@pytest.mark.parametrize("shapes", [((3,), (4,)), ((BATCH,), (BATCH, 5)), ((BATCH, 5), (4, 5))])
def test_shapes_that_do_not_fit_are_refused(shapes: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(AssertionError):
        broadcast_shapes(shapes)


# --- random numbers -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [  # the known answers that come with the authors' Random123 library
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_known_answers(
    counter: tuple[int, int, int, int], key: tuple[int, int], expected: tuple[int, ...]
) -> None:
    assert tuple(int(word) for word in philox.philox4x32(counter, key)) == expected


def test_a_random_element_does_not_depend_on_how_many_are_drawn() -> None:
    for draw in (philox.uniform, philox.normal):
        np.testing.assert_array_equal(draw(3, 5, 9, 2), draw(1000, 5, 9, 2)[:3])


def test_streams_steps_and_seeds_differ() -> None:
    keys = [(1, 2, 3), (2, 2, 3), (1, 3, 3), (1, 2, 4), (1 + 2**32, 2, 3)]
    drawn = [philox.uniform(8, seed, step, stream) for seed, step, stream in keys]
    assert len({tuple(d.tolist()) for d in drawn}) == len(drawn)


def test_random_numbers_have_their_distributions() -> None:
    uniform, normal = philox.uniform(100_000, 11, 0, 0), philox.normal(100_001, 11, 0, 0)
    assert uniform.dtype == normal.dtype == np.float32
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 0.005
    assert normal.shape == (100_001,)
    assert abs(normal.mean()) < 0.01
    assert abs(normal.std() - 1) < 0.01
    assert abs(np.mean(normal**4) - 3) < 0.1
