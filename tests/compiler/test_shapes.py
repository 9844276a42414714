"""Types on every edge, the trail of a fault, and whether outputs, losses and metrics make sense together."""

from __future__ import annotations

import pytest
from specs_text import codes, faults, network_of, typed

from nnc.compiler.formulas.activations import ACTIVATIONS
from nnc.compiler.formulas.losses import LOSSES
from nnc.compiler.meaning.values import known_values
from nnc.compiler.network import Layer, Network
from nnc.compiler.network_text import network_to_text
from nnc.compiler.shapes import check_shapes
from nnc.compiler.types import TensorType
from nnc.grammar.source import SourceFile, Span

X = "input x: float32[4]\n"


def types(network: Network) -> dict[str, str]:
    return {layer.name: str(layer.type) for layer in network.layers()}


def judged(step: str, entries: str) -> list[str]:
    """Codes of a model whose output ends with `step` and is judged by `entries`."""
    return codes(f"{X}output y = x -> {step} {{ {entries} }}\n")


def test_every_layer_is_typed_and_the_network_given_is_not_changed() -> None:
    network = network_of("input image: uint8[2, 3]\noutput y = image -> Rescale(2) -> Flatten -> Dense(5)\n")
    before = network.layers()
    assert types(check_shapes(network)) == {
        "image": "uint8[batch, 2, 3]",
        "y.rescale": "float32[batch, 2, 3]",
        "y.flatten": "float32[batch, 6]",
        "y": "float32[batch, 5]",
    }
    assert network.layers() == before


def test_float64_inputs_make_float64_layers() -> None:
    assert set(types(typed("input x: float64[4]\noutput y = x -> Normalize -> Dense(5, relu)\n")).values()) == {
        "float64[batch, 4]",
        "float64[batch, 5]",
    }


def test_scalars_per_sample() -> None:
    network = typed("input k: int32[]\ninput v: float32[]\na = k -> Embedding(9, 3)\nb = v -> Flatten\n"
                    "output y = (a, b) -> Concatenate -> Dense(1)\n")  # fmt: skip
    assert types(network) == {
        "k": "int32[batch]", "v": "float32[batch]", "a": "float32[batch, 3]", "b": "float32[batch, 1]",
        "y.concatenate": "float32[batch, 4]", "y": "float32[batch, 1]",
    }  # fmt: skip


# --- trails ---------------------------------------------------------------------------------------------------------
def test_the_trail_leads_to_the_input_that_gave_the_shape() -> None:
    (fault,) = faults("input image: uint8[8, 8]\nr = image -> Rescale(2) -> relu\noutput y = r -> Dense(3)\n")
    assert (fault.code, fault.span and fault.span.text, fault.label) == (
        "E0203",
        "Dense(3)",
        "expects float32[batch, n]",
    )
    assert [(label.span.text, label.text) for label in fault.labels] == [
        ("uint8[8, 8]", "float32[batch, 8, 8] after `relu`")
    ]
    assert fault.helps


def test_the_trail_leads_to_the_layer_that_gave_the_shape() -> None:
    (fault,) = faults(f"{X}a = x -> Dense(3) -> relu\nb = x -> Dense(2)\noutput y = a - b\n")
    assert [(label.span.text, label.text) for label in fault.labels] == [
        ("Dense(3)", "float32[batch, 3] after `relu`"),
        ("Dense(2)", "float32[batch, 2]"),
    ]


def test_independent_faults_are_all_found_and_what_follows_is_not() -> None:
    text = f"{X}a = x -> Reshape((3, 3)) -> Dense(4)\nb = x -> Reshape((2, 2)) -> Dense(4)\noutput y = a + b\n"
    assert codes(text) == ["E0207", "E0203"]


def test_a_fault_in_stacked_copies_is_told_once() -> None:
    block = "block b(v) {\n h = v -> Dense(3)\n return v + h\n}\n"
    assert codes(f"{X}{block}output y = x -> b * 4\n") == ["E0204"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("input i: uint8[4]\noutput y = i -> Dense(1)\n", "E0201"),
        ("input i: bool[4]\noutput y = i -> relu\n", "E0201"),
        ("input i: float32[4]\noutput y = i -> OneHot(3)\n", "E0202"),
        ("input i: float32[]\noutput y = i -> softmax\n", "E0203"),
        ("input i: float32[3, 1]\ninput j: float32[3]\noutput y = i + j\n", "E0204"),
        ("input i: float32[3]\ninput j: float32[3, 3]\noutput y = (i, j) -> Concatenate\n", "E0205"),
        ("input i: float32[3]\ninput j: float32[3]\noutput y = (i, j) -> Concatenate(axis = 0)\n", "E0206"),
        ("input i: float32[3, 3]\noutput y = i -> LayerNormalization(axis = 1)\n", "E0206"),
        ("input i: float32[]\noutput y = i -> BatchNormalization\n", "E0206"),
        ("input i: float32[3]\ninput j: int32[3]\noutput y = (i, j) -> Concatenate\n", "E0209"),
        ("input i: float32[3]\noutput y = i -> Normalize(mean = [1, 2], variance = 1)\n", "E0213"),
        ("input i: float32[3]\nlayer l = Dense(2)\na = i -> l\noutput y = (i, a -> l) -> Concatenate\n", "E0208"),
        ("input i: float32[99999]\noutput y = i -> Dense(99999)\n", "E0212"),
    ],
)
def test_misfits(body: str, code: str) -> None:
    assert codes(body) == [code]


def test_shared_layers_may_be_used_as_often_as_they_fit() -> None:
    network = typed(f"{X}layer l = Dense(4, tanh)\noutput y = x -> l -> l -> l\n")
    assert {layer.weights_of for layer in network.layers()[1:]} == {"l"}


# --- losses ---------------------------------------------------------------------------------------------------------
SPARSE, CATEGORICAL, BINARY = (
    "loss = sparse_categorical_crossentropy",
    "loss = categorical_crossentropy",
    "loss = binary_crossentropy",
)


@pytest.mark.parametrize(
    ("step", "entries", "found"),
    [
        ("Dense(3, softmax)", SPARSE, []),
        ("Dense(3) -> softmax", CATEGORICAL, []),
        ("Dense(3) -> Activation(softmax)", CATEGORICAL, []),
        ("Dense(6) -> softmax -> Reshape((2, 3))", CATEGORICAL, []),
        ("Dense(1, sigmoid)", BINARY, []),
        ("Dense(5, hard_sigmoid)", BINARY, []),
        ("Dense(3)", SPARSE + "(from_logits = true)", []),
        ("Dense(3)", SPARSE, ["E0508"]),
        ("Dense(3, relu)", SPARSE, ["E0508"]),
        ("Dense(3, log_softmax)", SPARSE, ["E0508"]),
        ("Dense(3, tanh)", BINARY, ["E0508"]),
        ("Dense(3) -> BatchNormalization", SPARSE, ["E0508"]),
        ("Dense(3, softmax)", SPARSE + "(from_logits = true)", ["E0504"]),
        ("Dense(1, softmax)", BINARY, ["E0507"]),
        ("Dense(1) -> softmax -> Dense(1)", "loss = mse", ["E0507"]),
        ("Dense(1, sigmoid)", SPARSE, ["E0509"]),
        ("Dense(1)", CATEGORICAL + "(from_logits = true)", ["E0509"]),
        ("Dense(3, softmax)", BINARY, ["E0510"]),
        ("Dense(3, sigmoid)", CATEGORICAL, ["E0510"]),
        ("Dense(1, softplus)", "loss = poisson", []),
        ("Dense(1, relu)", "loss = poisson", []),
        ("Dense(1)", "loss = poisson", ["E0511"]),
        ("Dense(1, elu)", "loss = msle", ["E0511"]),
        ("Dense(1, tanh)", "loss = hinge", []),
        ("Dense(1)", "loss = squared_hinge", []),
        ("Dense(1, sigmoid)", "loss = hinge", ["E0511"]),
        ("Rescale(2)", BINARY, []),
    ],
)
def test_activation_and_loss(step: str, entries: str, found: list[str]) -> None:
    assert judged(step, entries) == found


@pytest.mark.parametrize("loss", LOSSES)
def test_each_loss_has_an_output_that_suits_it(loss: str) -> None:
    entry = LOSSES[loss]
    activation = entry.activation or {"probability": "softmax", "positive": "softplus"}.get(entry.prediction, "linear")
    assert judged(f"Dense(3, {activation})", f"loss = {loss}") == []


# --- metrics and class weights --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("step", "loss", "metrics", "found"),
    [
        ("Dense(3, softmax)", SPARSE, "accuracy, top_k_accuracy(k = 2), sparse_categorical_accuracy", []),
        ("Dense(3, softmax)", CATEGORICAL, "accuracy, categorical_accuracy, mse, precision", []),
        ("Dense(1, sigmoid)", BINARY, "accuracy, precision, recall, f1_score, mae", []),
        ("Dense(1)", "loss = mse", "mae, rmse, r2_score", []),
        ("Dense(3)", SPARSE + "(from_logits = true)", "accuracy", []),
        ("Dense(1)", BINARY + "(from_logits = true)", "binary_accuracy(threshold = 0)", []),
        ("Dense(1)", BINARY + "(from_logits = true)", "accuracy", ["E0512"]),
        ("Dense(1)", BINARY + "(from_logits = true)", "precision", ["E0512"]),
        ("Dense(1)", BINARY + "(from_logits = true)", "binary_crossentropy", ["E0512"]),
        ("Dense(3, softmax)", SPARSE, "categorical_accuracy", ["E0512"]),
        ("Dense(3, softmax)", SPARSE, "mae", ["E0512"]),
        ("Dense(3, softmax)", CATEGORICAL, "sparse_categorical_accuracy", ["E0512"]),
        ("Dense(3, softmax)", SPARSE, "top_k_accuracy", ["E0512"]),
        ("Dense(2)", "loss = mse", "r2_score, rmse", []),
        ("Dense(1)", "loss = mse", "accuracy", ["E0512"]),
        ("Dense(1)", "loss = mse", "mae, mae", ["E0506"]),
    ],
)
def test_metrics(step: str, loss: str, metrics: str, found: list[str]) -> None:
    assert judged(step, f"{loss}, metrics = [{metrics}]") == found


@pytest.mark.parametrize(
    ("step", "loss", "weights", "complete"),
    [
        ("Dense(3, softmax)", SPARSE, "{ 1: 2 }", (1.0, 2.0, 1.0)),
        ("Dense(3, softmax)", CATEGORICAL, "[1, 2, 3]", (1.0, 2.0, 3.0)),
        ("Dense(1, sigmoid)", BINARY, "{ 0: 2 }", (2.0, 1.0)),
    ],
)
def test_class_weights_reach_every_class(step: str, loss: str, weights: str, complete: tuple[float, ...]) -> None:
    network = typed(f"{X}output y = x -> {step} {{ {loss}, class_weight = {weights} }}\n")
    assert network.outputs[0].class_weight == complete


@pytest.mark.parametrize(
    ("step", "loss", "weights"),
    [
        ("Dense(3, softmax)", SPARSE, "[1, 2]"),
        ("Dense(3, softmax)", SPARSE, "{ 3: 2 }"),
        ("Dense(1, sigmoid)", BINARY, "[1, 2, 3]"),
        ("Dense(2, sigmoid)", BINARY, "[1, 2]"),
        ("Dense(1)", "loss = mse", "[1, 2]"),
    ],
)
def test_class_weights_that_do_not_fit(step: str, loss: str, weights: str) -> None:
    assert judged(step, f"{loss}, class_weight = {weights}") == ["E0513"]


# --- training -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("output", "train", "found"),
    [
        ("x -> Dense(1) { loss = mse }", "epochs = 1", []),
        ("x -> Dense(1)", "epochs = 1", ["E0515"]),
        ("x -> relu { loss = mse }", "epochs = 1", ["E0516"]),
        ("x -> Dense(1, trainable = false) { loss = mse }", "epochs = 1", ["E0516"]),
        ("x -> Normalize { loss = mse }", "epochs = 1", ["E0516"]),
        ("x -> Dense(1) { loss = mse, metrics = mae }", "early_stopping = early_stopping(val_mae)", []),
        ("x -> Dense(1) { loss = mse, metrics = r2 }", "early_stopping = early_stopping(val_r2)", []),
        ("x -> Dense(1) { loss = mse, metrics = r2 }", "early_stopping = early_stopping(val_r2_score)", []),
        ("x -> Dense(1) { loss = mse, metrics = r2_score }", 'early_stopping = early_stopping("val_y.r2")', []),
        ("x -> Dense(1) { loss = mse, metrics = r2 }", "checkpoint = best(monitor = val_r2)", []),
        ("x -> Dense(1) { loss = mse, metrics = r2 }", "optimizer = sgd(plateau(0.1, monitor = r2))", []),
        ("x -> Dense(1) { loss = mse, metrics = r2 }", "early_stopping = early_stopping(val_f1)", ["E0691"]),
        ("x -> Dense(1) { loss = mse }", 'early_stopping = early_stopping("val_y.loss")', []),
        ("x -> Dense(1) { loss = mse }", "early_stopping = early_stopping", []),
        ("x -> Dense(1) { loss = mse }", "early_stopping = early_stopping(val_mae)", ["E0691"]),
        ("x -> Dense(1) { loss = mse }", "optimizer = sgd(plateau(0.1, monitor = mae))", ["E0691"]),
    ],
)
def test_training_has_something_to_do(output: str, train: str, found: list[str]) -> None:
    assert codes(f"{X}output y = {output}\ntrain {{ {train} }}\n") == found


# --- what activations give ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_range_of_an_activation_is_known(name: str) -> None:
    span = Span(SourceFile("a.nn", ""), 0, 0)
    arguments = tuple(ACTIVATIONS[name].defaults.items())
    values = known_values(Layer("h", name, arguments, ("x",), "h", span, type=TensorType("float32", ("batch", 3))))
    assert values is not None
    low, high = values
    assert (low >= 0) == (name in {
        "relu", "relu6", "sigmoid", "hard_sigmoid", "softmax", "softplus", "exponential",
    })  # fmt: skip
    assert (high <= 1) == (name in {
        "sigmoid", "hard_sigmoid", "softmax", "softsign", "tanh", "hard_tanh", "log_sigmoid",
    })  # fmt: skip


# --- text -----------------------------------------------------------------------------------------------------------
def test_a_network_as_text() -> None:
    spec = (
        f"model m\n{X}layer e = Dropout(0.5)\nh = x -> e -> Dense(2, relu, use_bias = false)\n"
        'output y = h { loss = mse, target = t }\ndata { t = csv("a.csv"), x = t }\n'
    )
    text = network_to_text(typed(spec))
    assert text.splitlines()[:3] == [
        "network m",
        "x = Input() : float32[batch, 4]",
        "h.e = Dropout(rate=0.5) <- x : float32[batch, 4]",
    ]
    assert "output y = h, loss mse, weight 1.0, target t" in text
    assert 'data all x = csv("a.csv", separator=",")' in text
