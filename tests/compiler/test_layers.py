"""Every layer of the registry is documented and expands to what its shape rule says; and what the layers compute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from nnc.compiler.builder import Builder
from nnc.compiler.evaluate import evaluate
from nnc.compiler.graph import Variable
from nnc.compiler.layers import ALIASES, LAYERS
from nnc.compiler.layers.definition import REQUIRED, Expansion, Hyperparameter, LayerDef, ShapeProblem
from nnc.compiler.options import Choice, Value
from nnc.compiler.reading.arguments import READERS
from nnc.compiler.reading.binding import completed
from nnc.compiler.types import BATCH, TensorType

ROWS = 5
KINDS: dict[str, Value] = {
    "int": 6, "integer": 2, "float": 0.5, "rate": 0.25, "shape": (2, -1), "activation": Choice("tanh"),
}  # fmt: skip
INTEGERS = ("OneHot", "Embedding")
STEP = Variable("step", TensorType("float64", ()), "scalar", Choice("zeros"))


def arguments_of(layer: LayerDef, **given: Value) -> dict[str, Value]:
    values = {p.name: KINDS[p.kind] if p.default == REQUIRED else completed(p) for p in layer.hyperparameters}
    assert given.keys() <= values.keys()
    return values | given


def inputs_of(layer: LayerDef, dtype: str = "float32") -> tuple[TensorType, ...]:
    if layer.name in INTEGERS:
        return (TensorType("int32", (BATCH,)),)
    return (TensorType(dtype, (BATCH, 4)),) * layer.min_inputs


class Expanded:
    """One layer expanded alone, with its weights."""

    def __init__(
        self, layer: LayerDef, arguments: Mapping[str, Value], inputs: tuple[TensorType, ...], training: bool
    ) -> None:
        weights = layer.weights(arguments, inputs)
        self.variables = {w.name: Variable(w.name, w.type, w.role, w.initializer) for w in weights}
        self.builder = Builder("train_step", {**self.variables, "step": STEP})
        self.nodes = tuple(self.builder.input(f"x{k}", type) for k, type in enumerate(inputs))
        step = self.builder.variable("step")
        expansion = Expansion(training, {name: name for name in self.variables}, 1, step)
        self.result = layer.expand(self.builder, arguments, self.nodes, expansion)
        self.logits = expansion.logits
        self.builder.result("y", self.result)

    @property
    def type(self) -> TensorType:
        return self.builder.type(self.result)

    def run(self, *inputs: Any, **variables: Any) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        feeds = {f"x{k}": np.asarray(value) for k, value in enumerate(inputs)}
        values = {name: np.asarray(value, self.variables[name].type.dtype) for name, value in variables.items()}
        values["step"] = np.asarray(0.0)
        results, after = evaluate(self.builder.build(), feeds, values, seed=3, rows=len(feeds["x0"]))
        return results["y"], after


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_expansion_has_the_inferred_type(name: str, training: bool, dtype: str) -> None:
    layer = LAYERS[name]
    arguments, inputs = arguments_of(layer), inputs_of(layer, dtype)
    assert Expanded(layer, arguments, inputs, training).type == layer.infer(arguments, inputs)


@pytest.mark.parametrize("name", LAYERS)
def test_layer_is_documented(name: str) -> None:
    layer = LAYERS[name]
    assert layer.name == name
    assert layer.doc
    for parameter in layer.hyperparameters:
        assert parameter.doc, parameter.name
        assert parameter.kind in READERS, parameter.kind


@pytest.mark.parametrize("name", LAYERS)
def test_weights_can_be_frozen_and_regularized(name: str) -> None:
    layer = LAYERS[name]
    arguments = arguments_of(layer)
    names = {parameter.name for parameter in layer.hyperparameters}
    learned = [weight for weight in layer.weights(arguments, inputs_of(layer)) if weight.role == "weight"]
    assert ("trainable" in names) == bool(learned)
    for weight in learned:
        given = {
            f"{weight.name}_regularizer": Choice("l2", (("l2", 0.5),)),
            f"{weight.name}_initializer": Choice("ones"),
        }
        changed = {w.name: w for w in layer.weights(arguments | given, inputs_of(layer))}[weight.name]
        assert changed.regularizer == given[f"{weight.name}_regularizer"]
        assert changed.initializer == Choice("ones")


def test_second_names_lead_to_layers() -> None:
    assert {ALIASES["Rescaling"], ALIASES["Normalization"]} == {"Rescale", "Normalize"}
    assert set(ALIASES.values()) <= LAYERS.keys()


TAKES_BYTES = {"Rescale": True, "Normalize": True, "Flatten": False, "Reshape": False, "Concatenate": False}


@pytest.mark.parametrize(("name", "gives_floats"), TAKES_BYTES.items())
def test_bytes_become_floats_or_stay(name: str, gives_floats: bool) -> None:
    layer = LAYERS[name]
    arguments, inputs = arguments_of(layer), (TensorType("uint8", (BATCH, 4)),) * layer.min_inputs
    type = layer.infer(arguments, inputs)
    assert type.is_float == gives_floats
    assert Expanded(layer, arguments, inputs, training=True).type == type


@pytest.mark.parametrize("name", [name for name in LAYERS if name not in TAKES_BYTES and name not in INTEGERS])
def test_all_other_layers_refuse_bytes(name: str) -> None:
    layer = LAYERS[name]
    with pytest.raises(ShapeProblem) as caught:
        layer.infer(arguments_of(layer), (TensorType("uint8", (BATCH, 4)),) * layer.min_inputs)
    assert caught.value.code == "E0201"
    assert caught.value.help


# --- numbers --------------------------------------------------------------------------------------------------------
X = np.random.default_rng(0).normal(size=(ROWS, 4)).astype(np.float32)
VECTOR = TensorType("float32", (BATCH, 4))


def expand(name: str, *inputs: TensorType, training: bool = False, **given: Value) -> Expanded:
    layer = LAYERS[name]
    return Expanded(layer, arguments_of(layer, **given), inputs, training)


def test_dense() -> None:
    kernel, bias = np.ones((4, 6), np.float32), np.arange(6, dtype=np.float32)
    y, _ = expand("Dense", VECTOR, activation=Choice("tanh")).run(X, kernel=kernel, bias=bias)
    np.testing.assert_allclose(y, np.tanh(X @ kernel + bias), rtol=1e-6)


def test_dense_without_bias_owns_a_kernel_alone() -> None:
    assert list(expand("Dense", VECTOR, use_bias=False).variables) == ["kernel"]


def test_maxout_takes_the_largest_piece() -> None:
    kernel = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
    y, _ = expand("Maxout", VECTOR, units=3, pieces=2).run(X, kernel=kernel, bias=np.zeros(6))
    np.testing.assert_allclose(y, (X @ kernel).reshape(ROWS, 3, 2).max(axis=2), rtol=1e-5)


def test_softmax_of_dense_leaves_its_logits() -> None:
    dense = expand("Dense", VECTOR, activation=Choice("softmax"))
    ((kind, logits),) = dense.logits.values()
    assert kind == "softmax"
    assert dense.builder.type(logits) == dense.type
    assert list(dense.logits) == [dense.result]


def test_normalize_keeps_a_constant_column_finite() -> None:
    mean, variance = X.mean(axis=0), np.array([1.0, 4.0, 0.25, 0.0])
    y, _ = expand("Normalize", VECTOR).run(X, mean=mean, variance=variance)
    np.testing.assert_allclose(y, (X - mean) / np.maximum(np.sqrt(variance), 1e-7).astype(np.float32), rtol=1e-5)
    assert np.isfinite(y).all()


@pytest.mark.parametrize(("axis", "shape"), [(-1, (4,)), (None, ())])
def test_normalize_statistics_follow_the_axis(axis: int | None, shape: tuple[int, ...]) -> None:
    layer = expand("Normalize", VECTOR, axis=axis)
    assert {v.type.shape for v in layer.variables.values()} == {shape}
    assert {v.role for v in layer.variables.values()} == {"statistic"}


def test_normalize_with_known_statistics_learns_nothing() -> None:
    layer = expand("Normalize", VECTOR, mean=(0.0, 1.0, 2.0, 3.0), variance=4.0)
    assert not layer.variables
    y, _ = layer.run(X)
    np.testing.assert_allclose(y, (X - np.arange(4)) / 2, rtol=1e-6)


def test_rescale_converts_bytes() -> None:
    layer = expand("Rescale", TensorType("uint8", (BATCH, 2)), scale=1 / 255, offset=-0.5)
    y, _ = layer.run(np.array([[0, 255]], np.uint8))
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, [[-0.5, 0.5]])


def test_one_hot_and_embedding_look_up() -> None:
    classes = np.array([2, 0, 3, 1, 2], np.int32)
    scalar = TensorType("int32", (BATCH,))
    y, _ = expand("OneHot", scalar, depth=4).run(classes)
    np.testing.assert_array_equal(y, np.eye(4)[classes])
    table = np.arange(12, dtype=np.float32).reshape(4, 3)
    y, _ = expand("Embedding", scalar, input_dim=4, output_dim=3).run(classes, embeddings=table)
    np.testing.assert_array_equal(y, table[classes])


def test_layer_normalization() -> None:
    gamma, beta = np.arange(1.0, 5.0), np.ones(4)
    y, _ = expand("LayerNormalization", VECTOR).run(X, gamma=gamma, beta=beta)
    centred = X - X.mean(axis=1, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-3) * gamma + beta
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(4,), (3, 4)])
def test_batch_normalization_in_training(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(2).normal(size=(ROWS, *shape)).astype(np.float32)
    layer = expand("BatchNormalization", TensorType("float32", (BATCH, *shape)), training=True, momentum=0.9)
    start = {"gamma": np.ones(4), "beta": np.zeros(4), "moving_mean": np.zeros(4), "moving_variance": np.ones(4)}
    y, after = layer.run(x, **start)
    axes = tuple(range(x.ndim - 1))
    mean, variance = x.mean(axis=axes), x.var(axis=axes)
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(variance + 1e-3), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(after["moving_mean"], 0.1 * mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(after["moving_variance"], 0.9 + 0.1 * variance, rtol=1e-5)


@pytest.mark.parametrize(("training", "trainable"), [(False, True), (True, False)])
def test_batch_normalization_with_moving_statistics(training: bool, trainable: bool) -> None:
    layer = expand("BatchNormalization", VECTOR, training=training, trainable=trainable)
    start = {"gamma": np.ones(4), "beta": np.zeros(4), "moving_mean": np.ones(4), "moving_variance": np.full(4, 4.0)}
    y, after = layer.run(X, **start)
    np.testing.assert_allclose(y, (X - 1) / np.sqrt(4 + 1e-3), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(after["moving_mean"], np.ones(4))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Add", lambda a, b: a + b),
        ("Subtract", lambda a, b: a - b),
        ("Multiply", lambda a, b: a * b),
        ("Average", lambda a, b: (a + b) / 2),
        ("Maximum", np.maximum),
        ("Minimum", np.minimum),
    ],
)
def test_merging_repeats_an_axis_of_one(name: str, expected: Any) -> None:
    column = X[:, :1]
    y, _ = expand(name, VECTOR, TensorType("float32", (BATCH, 1))).run(X, column)
    np.testing.assert_allclose(y, expected(X, column), rtol=1e-6)


def test_many_summands_stay_shallow() -> None:
    layer = expand("Add", *[VECTOR] * 100)
    y, _ = layer.run(*[X] * 100)
    np.testing.assert_allclose(y, 100 * X, rtol=1e-5)


def test_dropout_keeps_the_mean_and_rests_outside_training() -> None:
    type = TensorType("float32", (BATCH, 1000))
    ones = np.ones((ROWS, 1000), np.float32)
    y, _ = expand("Dropout", type, training=True, rate=0.25).run(ones)
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs(y.mean() - 1) < 0.05
    idle = expand("Dropout", type, rate=0.25)
    assert idle.result == idle.nodes[0]


def test_gaussian_noise_rests_outside_training() -> None:
    type = TensorType("float32", (BATCH, 1000))
    zeros = np.zeros((ROWS, 1000), np.float32)
    y, _ = expand("GaussianNoise", type, training=True, stddev=2.0).run(zeros)
    assert abs(y.std() - 2) < 0.1
    idle = expand("GaussianNoise", type, stddev=2.0)
    assert idle.result == idle.nodes[0]


def test_reshape_works_out_one_size() -> None:
    layer = expand("Reshape", TensorType("float32", (BATCH, 2, 6)), target_shape=(3, -1))
    assert layer.type.shape == (BATCH, 3, 4)


@pytest.mark.parametrize("target", [(5, 3), (-1, -1), (5, -1)])
def test_reshape_refuses_what_does_not_fit(target: tuple[int, ...]) -> None:
    with pytest.raises(ShapeProblem) as caught:
        expand("Reshape", TensorType("float32", (BATCH, 12)), target_shape=target)
    assert caught.value.code == "E0207"


def test_a_required_hyperparameter_has_no_default() -> None:
    required = [p for layer in LAYERS.values() for p in layer.hyperparameters if p.default == REQUIRED]
    assert all(isinstance(p, Hyperparameter) and not p.optional for p in required)
    assert required
