"""Gradients of every layer, loss and regularizer against finite differences; clipping and updates against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sample_networks import (
    NetworkBuilder,
    batch_of,
    in_float64,
    loss,
    numeric_gradient,
    optimizer,
    values_for,
)

from nnc.compiler.autodiff import differentiate, gradients_of
from nnc.compiler.evaluate import evaluate
from nnc.compiler.formulas.losses import LOSSES
from nnc.compiler.formulas.optimizers import OPTIMIZERS
from nnc.compiler.formulas.regularizers import REGULARIZERS
from nnc.compiler.graph import Graph, Programs, Variable
from nnc.compiler.layers import LAYERS
from nnc.compiler.lower import lower
from nnc.compiler.network import Network
from nnc.compiler.options import Choice, OutputConfig
from nnc.compiler.simplify import simplify_graph
from nnc.compiler.types import BATCH, TensorType
from nnc.compiler.verify_graph import verify_graph, verify_programs

ROWS = 4
VECTOR, MATRIX, CLASSES = batch_of(5), batch_of(2, 3), batch_of(dtype="int32")

# layer -> the arguments that have no default, and the types of its inputs
LAYER_EXAMPLES: dict[str, tuple[dict[str, Any], tuple[TensorType, ...]]] = {
    "Dense": ({"units": 3, "activation": Choice("tanh")}, (VECTOR,)),
    "Maxout": ({"units": 3, "pieces": 2}, (VECTOR,)),
    "Flatten": ({}, (MATRIX,)),
    "Reshape": ({"target_shape": (3, 2)}, (MATRIX,)),
    "Concatenate": ({}, (VECTOR, batch_of(3))),
    "Rescale": ({"scale": 0.5, "offset": 1.0}, (VECTOR,)),
    "Normalize": ({}, (VECTOR,)),
    "OneHot": ({"depth": 4}, (CLASSES,)),
    "Embedding": ({"input_dim": 4, "output_dim": 3}, (CLASSES,)),
    "Add": ({}, (VECTOR, VECTOR)),
    "Subtract": ({}, (VECTOR, VECTOR)),
    "Multiply": ({}, (VECTOR, batch_of(1))),
    "Average": ({}, (VECTOR, VECTOR, VECTOR)),
    "Maximum": ({}, (VECTOR, VECTOR)),
    "Minimum": ({}, (VECTOR, VECTOR)),
    "Dropout": ({"rate": 0.4}, (VECTOR,)),
    "GaussianNoise": ({"stddev": 0.3}, (VECTOR,)),
    "BatchNormalization": ({}, (VECTOR,)),
    "LayerNormalization": ({}, (MATRIX,)),
    "Activation": ({"activation": Choice("softsign")}, (VECTOR,)),
}


def example(kind: str) -> tuple[dict[str, Any], tuple[TensorType, ...]]:
    return LAYER_EXAMPLES.get(kind, ({}, (VECTOR,)))


def network_around(kind: str) -> Network:
    """The layer between trained layers where it takes floats, so that gradients must pass it; then a squared error."""
    given, types = example(kind)
    b = NetworkBuilder()
    inputs = []
    for k, type in enumerate(types):
        name = b.input(f"in{k}", type)
        if type.is_float:  # a trained scale and shift of the input
            name = b.layer(f"before{k}", "LayerNormalization", name)
        inputs.append(name)
    value = b.layer("middle", kind, *inputs, **given)
    flat = b.layer("flat", "Flatten", value)
    out = b.layer("out", "Dense", flat, units=2)
    return b.network(OutputConfig("out", out, loss("mse")))


def feeds_for(graph: Graph, rng: np.random.Generator) -> dict[str, np.ndarray]:
    feeds = {}
    for node in graph.nodes:
        if node.op == "input":
            shape = node.type.concrete(ROWS)
            integers = not node.type.is_float
            feeds[str(node.attr("name"))] = rng.integers(0, 3, shape) if integers else rng.normal(size=shape)
    return feeds


def check_gradients(programs: Programs, feeds: dict[str, np.ndarray] | None = None) -> None:
    """Every trainable weight of train_step, with and without simplification, in float64."""
    (train,) = [graph for graph in programs.graphs if graph.program == "train_step"]
    wide, by_name = in_float64(train, programs.variables)
    weights = {variable.name for variable in programs.variables if variable.trainable}
    graph = gradients_of(wide, by_name, "loss", weights)
    simple = simplify_graph(graph, by_name)
    rng = np.random.default_rng(3)
    values = values_for(by_name, rng)
    feeds = feeds_for(wide, rng) if feeds is None else feeds
    for each in (graph, simple):
        verify_graph(each, by_name)
        results, _ = evaluate(each, feeds, values, 7, ROWS)
        for name in weights:
            expected = numeric_gradient(simple, "loss", name, feeds, values, ROWS)
            np.testing.assert_allclose(results[f"gradient.{name}"], expected, rtol=1e-5, atol=3e-7, err_msg=name)


@pytest.mark.parametrize("kind", LAYERS)
def test_gradient_of_every_layer(kind: str) -> None:
    programs = lower(network_around(kind))
    verify_programs(programs)
    check_gradients(programs)


def loss_network(name: str, *activation: str, **arguments: Any) -> Network:
    b = NetworkBuilder()
    value = b.layer("hidden", "Dense", b.input("x", VECTOR), units=3)
    for kind in activation:
        value = b.layer(kind, kind, value)
    return b.network(OutputConfig("y", value, loss(name, **arguments)))


def target_for(name: str) -> np.ndarray:
    rng = np.random.default_rng(5)
    match LOSSES[name].target, LOSSES[name].prediction:
        case "class", _:
            return rng.integers(0, 3, ROWS)
        case "one_hot", _:
            return rng.dirichlet((1.0, 1.0, 1.0), ROWS)
        case _, "probability":
            return rng.integers(0, 2, (ROWS, 3)).astype(float)
        case _, "sign":
            return rng.choice([-1.0, 1.0], (ROWS, 3))
        case _:
            return rng.uniform(0.2, 3.0, (ROWS, 3))


RANGES = {"probability": ("softmax", "linear"), "positive": ("softplus",), "any": (), "sign": ("tanh",)}


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_of_every_loss(name: str) -> None:
    """From probabilities, where the loss takes them: `linear` after softmax hides the logits from the lowering."""
    programs = lower(loss_network(name, *RANGES[LOSSES[name].prediction]))
    check_gradients(programs, {"x": np.random.default_rng(4).normal(size=(ROWS, 5)), "target.y": target_for(name)})


STABLE = [name for name, entry in LOSSES.items() if entry.from_logits is not None]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("name", STABLE)
def test_gradient_of_every_loss_of_logits(name: str, smoothing: float) -> None:
    feeds = {"x": np.random.default_rng(4).normal(size=(ROWS, 5)), "target.y": target_for(name)}
    for network in (
        loss_network(name, from_logits=True, label_smoothing=smoothing),
        loss_network(name, LOSSES[name].activation, label_smoothing=smoothing),
    ):
        check_gradients(lower(network), feeds)


@pytest.mark.parametrize("name", STABLE)
def test_a_saturated_crossentropy_keeps_its_gradient(name: str) -> None:
    """Where a probability rounds to 0, only the form taken of logits still pulls it back."""
    programs = lower(loss_network(name, LOSSES[name].activation))
    (train,) = [graph for graph in programs.graphs if graph.program == "train_step"]
    by_name = {variable.name: variable for variable in programs.variables}
    graph = simplify_graph(gradients_of(train, by_name, "loss", {"hidden.bias"}), by_name)
    bias = np.array([-200.0, 200.0, 0.0], np.float32)
    target = np.array([0]) if LOSSES[name].target == "class" else np.array([[1.0, 0.0, 0.0]])
    values = values_for(by_name, np.random.default_rng(0)) | {"hidden.bias": bias}
    results, _ = evaluate(graph, {"x": np.zeros((1, 5)), "target.y": target}, values, 0, 1)
    assert np.isfinite(results["loss"])
    assert abs(results["gradient.hidden.bias"][0]) > 0.3


@pytest.mark.parametrize("name", REGULARIZERS)
def test_gradient_of_every_regularizer(name: str) -> None:
    b = NetworkBuilder()
    given = {"l1": 0.1, "l2": 0.2}
    arguments = tuple((key, given[key]) for key in REGULARIZERS[name].defaults)
    penalty = Choice(name, arguments)
    hidden = b.layer("hidden", "Dense", b.input("x", VECTOR), units=2, kernel_regularizer=penalty)
    check_gradients(lower(b.network(OutputConfig("y", hidden, loss("mse")))))


def test_gradient_with_class_and_output_weights() -> None:
    b = NetworkBuilder()
    hidden = b.layer("hidden", "Dense", b.input("x", VECTOR), units=3)
    first = b.layer("first", "softmax", hidden)
    second = b.layer("second", "Dense", hidden, units=1)
    outputs = (
        OutputConfig("first", first, loss("sparse_categorical_crossentropy"), 0.9, (1.0, 5.0, 0.5)),
        OutputConfig("second", second, loss("huber"), 0.1),
    )
    check_gradients(lower(b.network(*outputs)))


def test_gradient_through_a_shared_layer_used_twice() -> None:
    b = NetworkBuilder()
    left, right = b.input("left", VECTOR), b.input("right", VECTOR)
    one = b.layer("one", "Dense", left, weights_of="encoder", units=3)
    two = b.layer("two", "Dense", right, weights_of="encoder", units=3)
    out = b.layer("out", "Multiply", one, two)
    programs = lower(b.network(OutputConfig("out", out, loss("mse"))))
    assert [v.name for v in programs.variables if v.trainable] == ["encoder.kernel", "encoder.bias"]
    check_gradients(programs)


# --- the optimizer --------------------------------------------------------------------------------------------------
def trained(network: Network) -> tuple[Graph, dict[str, Variable]]:
    programs = differentiate(lower(network), network)
    verify_programs(programs)
    (train,) = [graph for graph in programs.graphs if graph.program == "train_step"]
    return train, {variable.name: variable for variable in programs.variables}


def one_weight(**train: Any) -> Network:
    """A single trained vector w, whose gradient is w - target of each of its elements, over the elements' number."""
    b = NetworkBuilder()
    dense = b.layer("w", "Dense", b.input("x", batch_of(1)), units=4, use_bias=False)
    return b.network(OutputConfig("y", dense, loss("mse")), **train)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_lowers_the_loss(name: str) -> None:
    graph, by_name = trained(one_weight(optimizer=optimizer(name, learning_rate=0.05)))
    feeds = {"x": np.ones((2, 1)), "target.y": np.array([[1.0, -1.0, 2.0, 0.5]] * 2)}
    values = values_for(by_name, np.random.default_rng(8))
    losses = []
    for _ in range(40):
        results, values = evaluate(graph, feeds, values, 0, 2)
        losses.append(float(results["loss"]))
    assert values["step"] == 40
    assert losses[-1] < 0.98 * losses[0]


def test_one_step_of_momentum_is_keras_formula() -> None:
    graph, by_name = trained(one_weight(optimizer=optimizer("sgd", learning_rate=0.1, momentum=0.9, nesterov=True)))
    assert by_name["w.kernel.momentum"].role == "slot"
    w, v = np.array([[1.0, 2.0, 3.0, 4.0]], np.float32), np.array([[0.5, 0.5, 0.5, 0.5]], np.float32)
    values = values_for(by_name, np.random.default_rng(0)) | {"w.kernel": w, "w.kernel.momentum": v}
    _, after = evaluate(graph, {"x": np.ones((2, 1)), "target.y": np.zeros((2, 4))}, values, 0, 2)
    gradient = 2 * w / 4
    velocity = 0.9 * v - 0.1 * gradient
    np.testing.assert_allclose(after["w.kernel.momentum"], velocity, rtol=1e-6)
    np.testing.assert_allclose(after["w.kernel"], w + 0.9 * velocity - 0.1 * gradient, rtol=1e-6)


def step_of(network: Network, w: list[float]) -> np.ndarray:
    """How far one step moves the weight w from `w` towards a target of 0, by sgd with learning rate 1."""
    graph, by_name = trained(network)
    before = np.array([w], np.float32)
    values = values_for(by_name, np.random.default_rng(0)) | {"w.kernel": before}
    _, after = evaluate(graph, {"x": np.ones((1, 1)), "target.y": np.zeros((1, 4))}, values, 0, 1)
    return np.asarray(before - after["w.kernel"])[0]


def test_clipping_by_global_norm_keeps_the_direction() -> None:
    sgd = optimizer("sgd", learning_rate=1.0)
    gradient = np.array([3.0, 0.0, 4.0, 0.0])
    np.testing.assert_allclose(step_of(one_weight(optimizer=sgd, clip_norm=1.0), [6, 0, 8, 0]), gradient / 5, rtol=1e-6)
    np.testing.assert_allclose(step_of(one_weight(optimizer=sgd, clip_norm=9.0), [6, 0, 8, 0]), gradient, rtol=1e-6)


def test_clipping_by_value_bounds_each_element() -> None:
    network = one_weight(optimizer=optimizer("sgd", learning_rate=1.0), clip_value=2.0)
    np.testing.assert_allclose(step_of(network, [6, -8, 2, 0]), [2, -2, 1, 0], rtol=1e-6)


def test_the_schedule_reads_finished_steps_and_the_scale() -> None:
    schedule = Choice(
        "exponential",
        (("initial_learning_rate", 1.0), ("decay_steps", 1), ("decay_rate", 0.5), ("staircase", False)),
    )
    graph, by_name = trained(one_weight(optimizer=optimizer("sgd", learning_rate=schedule)))
    feeds = {"x": np.ones((1, 1)), "target.y": np.zeros((1, 4))}
    w = np.array([[2.0, 2.0, 2.0, 2.0]], np.float32)
    values = values_for(by_name, np.random.default_rng(0)) | {"w.kernel": w, "step": np.array(2.0)}
    values["learning_rate_scale"] = np.array(0.1)
    _, after = evaluate(graph, feeds, values, 0, 1)
    np.testing.assert_allclose(w - after["w.kernel"], np.full((1, 4), 0.25 * 0.1), rtol=1e-6)


def test_a_weight_that_the_loss_does_not_reach_is_left_alone() -> None:
    b = NetworkBuilder()
    x = b.input("x", VECTOR)
    judged, other = b.layer("judged", "Dense", x, units=1), b.layer("other", "Dense", x, units=1)
    network = b.network(
        OutputConfig("judged", judged, loss("mse")), OutputConfig("other", other, None), optimizer=optimizer("adam")
    )
    graph, by_name = trained(network)
    targets = {target for update in graph.updates for target in update.targets}
    assert "judged.kernel" in targets
    assert "other.kernel" not in targets
    assert "other.kernel.momentum" not in by_name


def test_a_frozen_layer_passes_gradients_but_does_not_move() -> None:
    b = NetworkBuilder()
    first = b.layer("first", "Dense", b.input("x", VECTOR), units=3)
    penalty = Choice("l2", (("l2", 1.0),))
    frozen = b.layer("frozen", "Dense", first, units=3, trainable=False, kernel_regularizer=penalty)
    network = b.network(OutputConfig("y", frozen, loss("mse")))
    graph, _ = trained(network)
    targets = {target for update in graph.updates for target in update.targets}
    assert "first.kernel" in targets
    assert "frozen.kernel" not in targets
    assert "frozen.kernel_regularizer" not in dict(graph.results)  # Keras regularizes what it trains
    check_gradients(lower(network))


def test_the_graph_grows_with_the_layers_and_no_faster() -> None:
    def size(depth: int) -> int:
        b = NetworkBuilder()
        value = b.input("x", VECTOR)
        for k in range(depth):
            value = b.layer(f"h{k}", "Dense", value, units=5, activation=Choice("relu"))
        return len(trained(b.network(OutputConfig("y", value, loss("mse"))))[0].nodes)

    assert size(30) - size(20) == size(20) - size(10)


def test_ten_thousand_layers_need_no_recursion() -> None:
    b = NetworkBuilder()
    value = b.layer("first", "Dense", b.input("x", VECTOR), units=5)
    for k in range(10_000):
        value = b.layer(f"h{k}", "tanh", value)
    graph, _ = trained(b.network(OutputConfig("y", value, loss("mse"))))
    assert len(graph.nodes) > 20_000


def test_gradients_have_the_type_of_their_weights() -> None:
    graph, by_name = trained(network_around("BatchNormalization"))
    for update in graph.updates:
        for target in update.targets:
            if by_name[target].trainable:
                types = [graph.nodes[i].type for i in update.operands]
                assert by_name[target].type in types
                assert all(t == by_name[target].type or t.shape == () for t in types)
    assert BATCH not in {dim for v in by_name.values() for dim in v.type.shape}
