"""From syntax to a network: names, params, constants, blocks, shared layers, sections and their defaults."""

from __future__ import annotations

import pytest
from specs_text import codes, faults, network_of

from nnc.compiler.network import Network
from nnc.compiler.options import Choice, Source
from nnc.compiler.resolve import build_network
from nnc.grammar.diagnostics import NncError, UsageError
from nnc.grammar.parse import parse
from nnc.grammar.source import SourceFile

X = "input x: float32[4]\n"
MSE = " { loss = mse }\n"


def names(network: Network) -> list[str]:
    return [layer.name for layer in network.layers()]


def layer_of(expression: str, name: str, before: str = "", **params: object) -> dict[str, object]:
    """The arguments of layer `name` of `output y = x -> expression`."""
    network = network_of(f"{before}{X}output y = x -> {expression}\n", **params)
    return dict(network.layer(name).arguments)


# --- names of layers ------------------------------------------------------------------------------------------------
def test_the_last_layer_bears_the_name_of_its_binding() -> None:
    network = network_of(f"{X}h = x -> Rescale(2) -> Dense(8, relu)\noutput y = h -> Dense(1)\n")
    assert names(network) == ["x", "h.rescale", "h", "y"]
    assert network.layer("y").inputs == ("h",)
    assert list(network.graph.edges) == [("x", "h.rescale"), ("h.rescale", "h"), ("h", "y")]


def test_two_of_a_kind_are_numbered() -> None:
    network = network_of(f"{X}output y = x -> Dense(8) -> relu -> Dense(7) -> BatchNormalization -> Dense(1)\n")
    assert names(network) == ["x", "y.dense_1", "y.relu", "y.dense_2", "y.batch_normalization", "y"]


def test_stacked_copies_are_counted_and_have_weights_of_their_own() -> None:
    network = network_of(f"{X}output y = x -> Dense(4) * 3\n")
    assert names(network) == ["x", "y.1", "y.2", "y.3"]
    assert network.outputs[0].layer == "y.3"
    assert {layer.weights_of for layer in network.layers()[1:]} == {"y.1", "y.2", "y.3"}


def test_layers_of_a_block_are_named_after_its_use() -> None:
    block = "block residual(x, units) {\n h = x -> Dense(units, relu) -> Dense(units)\n return x + h -> relu\n}\n"
    network = network_of(f"{X}{block}t = x -> residual(units = 4) * 2 -> Dropout(0.1)\noutput y = t -> Dense(1)\n")
    assert names(network) == [
        "x",
        *[f"t.residual.{k}.{part}" for k in (1, 2) for part in ("h.dense", "h", "add")][:3],
        "t.residual.1",
        "t.residual.2.h.dense", "t.residual.2.h", "t.residual.2.add",
        "t.residual.2",
        "t", "y",
    ]  # fmt: skip


def test_names_never_collide() -> None:
    block = "block b(x) {\n dense = x -> Dense(3)\n return dense -> Dense(4) -> Dense(5)\n}\n"
    network = network_of(f"{X}{block}output y = x -> Dense(2) -> b\n")
    assert len(set(names(network))) == len(names(network)) == 5


def test_an_alias_makes_no_layer() -> None:
    network = network_of(f"{X}h = x -> Dense(2)\nsame = h\noutput y = same{MSE}")
    assert names(network) == ["x", "h"]
    assert (network.outputs[0].name, network.outputs[0].layer) == ("y", "h")


def test_inputs_come_first_wherever_they_stand() -> None:
    network = network_of(f"{X}h = x -> Dense(2)\ninput z: float32[2]\noutput y = h + z{MSE}")
    assert names(network) == ["x", "z", "h", "y"]
    assert network.inputs == ("x", "z")


def test_unicode_names() -> None:
    assert names(network_of(f"{X}은닉층 = x -> Dense(2)\noutput y = 은닉층 -> Dense(1)\n")) == ["x", "은닉층", "y"]


# --- shared layers --------------------------------------------------------------------------------------------------
def test_a_shared_layer_has_one_set_of_weights() -> None:
    text = f"{X}input z: float32[4]\nlayer enc = Dense(3, tanh)\na = x -> enc\nb = z -> enc -> relu\noutput y = a + b\n"
    network = network_of(text)
    assert {n: network.layer(n).weights_of for n in ("a", "b.enc")} == {"a": "enc", "b.enc": "enc"}


def test_a_shared_block_shares_each_of_its_layers() -> None:
    block = "block tower(v) {\n h = v -> Dense(4, relu) -> Dense(4)\n return v + h -> Dense(2)\n}\n"
    text = f"{X}input z: float32[4]\n{block}layer t = tower\na = x -> t\nb = z -> Dense(4) -> t\noutput y = a + b\n"
    network = network_of(text)
    owners = {name: network.layer(name).weights_of for name in names(network) if network.layer(name).kind == "Dense"}
    assert owners == {
        "a.h.dense": "t.h.dense", "a.h": "t.h", "a": "t",
        "b.dense": "b.dense", "b.h.dense": "t.h.dense", "b.h": "t.h", "b": "t",
    }  # fmt: skip


# --- arithmetic -----------------------------------------------------------------------------------------------------
def test_tensors_are_added_from_left_to_right() -> None:
    network = network_of(f"{X}a = x -> Dense(4)\nb = x -> Dense(4)\noutput y = x + a - b * a\n")
    made = {layer.name: (layer.kind, layer.inputs) for layer in network.layers()[3:]}
    assert made == {
        "y.add": ("Add", ("x", "a")),
        "y.multiply": ("Multiply", ("b", "a")),
        "y": ("Subtract", ("y.add", "y.multiply")),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "scale", "offset"),
    [
        ("2 * x", 2.0, 0.0), ("x * (1 + 1)", 2.0, 0.0), ("x / 4", 0.25, 0.0), ("x + 3", 1.0, 3.0), ("3 + x", 1.0, 3.0),
        ("x - 3", 1.0, -3.0), ("3 - x", -1.0, 3.0), ("-x", -1.0, 0.0), ("k * x", 5.0, 0.0),
    ],
)  # fmt: skip
def test_a_number_with_a_tensor_rescales_it(expression: str, scale: float, offset: float) -> None:
    network = network_of(
        f"param k: int = 5\nparam unused: int = k\n{X}output y = {expression} -> Dropout(1/(9 + unused))\n"
    )
    assert dict(network.layer("y.rescale").arguments) == {"scale": scale, "offset": offset}


def test_what_is_no_tensor() -> None:
    assert codes(f"{X}output y = x // 2 -> Dense(1)\n") == ["E0309"]
    assert codes(f"{X}h = 1 + 2\noutput y = x -> Dense(1)\nz = h\n") == ["E0309"]


# --- constants and params -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("28*28", 784),
        ("2**10", 1024),
        ("7 // 2", 3),
        ("1_000", 1000),
        ("-(-3)", 3),
        ("2 ** 3 ** 1", 8),
        ("(-1) ** 4", 1),
    ],
)
def test_whole_constants_stay_whole(expression: str, value: int) -> None:
    units = layer_of(f"Dense({expression})", "y")["units"]
    assert (units, type(units)) == (value, int)


@pytest.mark.parametrize(("expression", "value"), [("1/4", 0.25), ("25%", 0.25), ("1e-3", 0.001), ("2 ** -1", 0.5)])
def test_fractions(expression: str, value: float) -> None:
    assert layer_of(f"Dropout({expression})", "y") == {"rate": value}


@pytest.mark.parametrize(
    "expression",
    ["1 / 0", "1 // 0", "2 ** 64", "9 ** 999_999_999", "1e308 * 10", "(-8) ** 0.5", "0 ** -1", "10 ** 400 * 1.0"],
)
def test_arithmetic_without_a_result(expression: str) -> None:
    assert codes(f"{X}output y = x -> Rescale({expression})\n") == ["E0411"]


def test_params_are_overridden_within_their_range() -> None:
    param = "param units: int = 8 in 1..16\nparam rate: float = 0.5\n"
    network = network_of(f"{param}{X}output y = x -> Dense(units) -> Dropout(rate)\n", units="12", rate="20%")
    assert network.params == (("units", 12), ("rate", 0.2))
    assert network.layer("y.dense").argument("units") == 12


@pytest.mark.parametrize(
    ("kind", "default", "given", "value", "use"),
    [
        ("int", "1", 3, 3, "Dense(p)"),
        ("float", "1", 3, 3.0, "Rescale(p)"),
        ("float", "0.5", "1e-3", 0.001, "Rescale(p)"),
        ("bool", "true", "false", False, "Dense(1, use_bias = p)"),
        ("bool", "true", False, False, "Dense(1, use_bias = p)"),
        ("str", '"relu"', "tanh", "tanh", "Activation(p)"),
    ],
)
def test_set_values_have_the_type_of_their_param(
    kind: str, default: str, given: object, value: object, use: str
) -> None:
    network = network_of(f"param p: {kind} = {default}\n{X}output y = x -> {use}\n", p=given)
    assert network.params == (("p", value),)
    assert type(network.params[0][1]) is type(value)


@pytest.mark.parametrize("given", ["17", "0", "2.5", "many", 2.5, True, None])
def test_set_values_that_do_not_fit(given: object) -> None:
    assert codes(f"param p: int = 1 in 1..16\n{X}output y = x -> Dense(p)\n", p=given) == ["E0414"]


def test_a_wrong_set_is_an_error_of_usage() -> None:
    with pytest.raises(UsageError) as caught:
        network_of(f"param units: int = 1\n{X}output y = x -> Dense(units)\n", unit="2")
    assert caught.value.diagnostics[0].helps == ("did you mean `units`?",)


def test_a_param_of_a_param() -> None:
    network = network_of(f"param a: int = 3\nparam b: int = a * 2 in [3, 6]\n{X}output y = x -> Dense(b)\n", a=3)
    assert network.params == (("a", 3), ("b", 6))


# --- arguments ------------------------------------------------------------------------------------------------------
def test_every_default_is_filled_in() -> None:
    arguments = layer_of("Dense(8, leaky_relu, kernel_regularizer = l2(0.5))", "y")
    assert arguments == {
        "units": 8,
        "activation": Choice("leaky_relu", (("negative_slope", 0.2),)),
        "use_bias": True,
        "kernel_initializer": Choice("glorot_uniform"),
        "bias_initializer": Choice("zeros"),
        "kernel_regularizer": Choice("l2", (("l2", 0.5),)),
        "bias_regularizer": None,
        "trainable": True,
        "learning_rate_multiplier": 1.0,
    }


def test_keras_names_are_understood() -> None:
    assert layer_of("Rescaling(1/255)", "y") == {"scale": 1 / 255, "offset": 0.0}
    assert layer_of("swish", "y") == {}
    network = network_of("input x: int32[]\noutput y = x -> OneHot(num_tokens = 4)\n")
    assert network.layer("y").argument("depth") == 4


def test_all_faults_of_a_call_are_reported() -> None:
    found = codes(f"{X}output y = x -> Dense(0, rellu, use_bias = 3, unit = 2) -> Dropout(2) -> dense(1)\n")
    assert sorted(found) == ["E0308", "E0401", "E0405", "E0406", "E0406", "E0407"]


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ("Dense(2.0)", "E0405"), ("Dense(true)", "E0405"), ("Dense([2])", "E0405"), ("Dense(relu)", "E0405"),
        ("Dense(2, 3)", "E0405"), ("Reshape(0)", "E0406"), ("Reshape((4, 1.5))", "E0405"),
        ("GaussianNoise(-1)", "E0406"),
        ("BatchNormalization(momentum = 2)", "E0406"), ("Dense(1, use_bias = none)", "E0405"),
        ("Dense(1, kernel_initializer = variance_scaling(mode = fan))", "E0405"), ("relu(slope = 1)", "E0401"),
        ("Dense(units)", "E0405"), ("Dense(1, activation = l2)", "E0407"), ("Dense(1, l2)", "E0407"),
    ],
)  # fmt: skip
def test_wrong_arguments(step: str, code: str) -> None:
    assert codes(f"{X}output y = x -> {step}\n") == [code]


# --- blocks ---------------------------------------------------------------------------------------------------------
def test_hyperparameters_of_a_block_are_read_where_they_are_used() -> None:
    block = "block b(v, units = 4, f = relu, step = tanh) {\n return v -> Dense(units, f) -> step\n}\n"
    network = network_of(f"param k: int = 3\n{X}{block}output y = x -> b(k * 2, f = gelu(approximate = true))\n")
    assert network.layer("y").kind == "tanh"
    dense = network.layer("y.dense")
    assert (dense.argument("units"), dense.argument("activation")) == (6, Choice("gelu", (("approximate", True),)))


def test_a_fault_in_a_block_is_reported_once() -> None:
    block = "block b(v) {\n h = v -> Dense(4, rellu)\n return h + v\n}\n"
    assert codes(f"{X}{block}output y = x -> b * 5\n") == ["E0407"]


@pytest.mark.parametrize(
    ("block", "call", "code"),
    [
        ("block b(v) { return v -> Dense(4) }", "b(3)", "E0403"),
        ("block b(v, units) { return v -> Dense(units) }", "b", "E0402"),
        ("block b(v, units) { return v -> Dense(units) }", "b(unit = 3)", "E0401"),
        ("block b(v, units) { return v -> Dense(units) }", "b(units = x)", "E0410"),
        ("block b(v, w) { return v + w -> Dense(4) }", "b(w = 3)", ""),
        ("block b(v, w) { return (v, w) -> Add }", "b", "E0311"),
        ("block b(v, v) { return v -> Dense(4) }", "b", "E0302"),
        ("block b(v) { return v -> c }\nblock c(v) { return v -> b }", "b", "E0313"),
        ("block b(v) {\n h = v -> Dense(4)\n return v\n}", "b", "E0306"),
    ],
)
def test_calls_of_blocks(block: str, call: str, code: str) -> None:
    assert codes(f"{X}{block}\noutput y = x -> {call}\n") == ([code] if code else [])


# --- names ----------------------------------------------------------------------------------------------------------
def test_independent_faults_come_in_one_run_and_none_twice() -> None:
    text = (
        "nn 1\nmodel m\ninput image: uint8[8, 8]\ninput idle: float32[2]\n"
        "hidden = image -> Dense(3, rellu)\nh2 = hidden -> Dense(4)\noutput y = hidn -> Dense(1) { los = mse }\n"
        "other = image -> Dense(3)\noutput z = other -> Dense(1) { loss = msee }\ntrain { epochs = 0 }\n"
    )
    assert codes(text) == ["E0305", "E0407", "E0301", "E0501", "E0201", "E0502", "E0406"]


def test_a_broken_statement_hides_what_follows_from_it_alone() -> None:
    text = f"{X}h = x -> Dense(3\ninput z: float32[2]\noutput y = h -> Dense(1, use_bais = true)\n"
    found = codes(text)
    assert [code for code in found if not code.startswith("E01")] == ["E0305", "E0401"]
    assert any(code.startswith("E01") for code in found)


def test_a_misspelt_name_is_not_reported_as_unused_too() -> None:
    assert codes(f"{X}hidden = x -> Dense(3)\noutput y = hiden -> Dense(1)\n") == ["E0301"]


# --- sections -------------------------------------------------------------------------------------------------------
def test_without_sections_keras_defaults_hold() -> None:
    train = network_of(f"{X}output y = x -> Dense(1)\n").train
    assert (train.optimizer.name, train.batch_size, train.epochs, train.shuffle) == ("rmsprop", 32, 1, True)
    assert train.optimizer["rho"] == 0.9


def test_train_and_output_entries() -> None:
    network = network_of(
        f"""{X}output y = x -> Dense(3, softmax) {{
  loss = categorical_crossentropy(label_smoothing = 10%)
  weight = 1/2
  class_weight = {{ 2: 3 }}
  metrics = [accuracy, top_k_accuracy(k = 2)]
  target = label
}}
train {{
  optimizer = sgd(cosine(0.1, decay_steps = 100), nesterov = true)
  batch_size = auto
  clip_norm = 1
  early_stopping = early_stopping(monitor = val_accuracy, patience = 3, restore_best = true)
}}
"""
    )
    (output,) = network.outputs
    assert output.loss is not None
    assert output.loss["label_smoothing"] == 0.1
    assert (output.weight, output.class_weight, output.target) == (0.5, (1.0, 1.0, 3.0), "label")
    assert output.metrics == (Choice("accuracy"), Choice("top_k_accuracy", (("k", 2),)))
    assert isinstance(schedule := network.train.optimizer["learning_rate"], Choice)
    assert (schedule.name, schedule["decay_steps"]) == ("cosine", 100.0)
    assert (network.train.batch_size, network.train.clip_norm) == ("auto", 1.0)
    assert network.train.early_stopping is not None
    assert dict(network.train.early_stopping.arguments)["patience"] == 3


DATA = """input z: float32[2]
output y = (x, z) -> Concatenate -> Dense(1) { loss = mse }
"""


def test_data_by_columns_with_a_split() -> None:
    network = network_of(
        f"""{X}{DATA}data {{
  table = csv("a.csv", separator = ";")
  x = table[a..c, "d e"]
  z = npz("b.npz")[z]
  y = npy("y.npy")
  split {{ test = 20%, seed = 4 }}
}}
"""
    )
    assert network.data is not None
    ((group, bound),) = network.data.groups
    options = (("separator", ";"),)
    assert group == "all"
    assert dict(bound) == {
        "x": Source("csv", "a.csv", options, ("a..c", "d e")),
        "z": Source("npz", "b.npz", (), ("z",)),
        "y": Source("npy", "y.npy"),
    }
    assert network.data.split is not None
    assert (network.data.split.test, network.data.split.seed) == (0.2, 4)


def test_data_by_groups() -> None:
    group = "{ x = t[a], z = t[b], y = t[c] }"
    network = network_of(f'{X}{DATA}data {{\n t = npz("a.npz")\n train {group}\n test {group}\n}}\n')
    assert network.data is not None
    assert [name for name, _ in network.data.groups] == ["train", "test"]


def test_beside_groups_a_table_may_bear_the_name_of_a_target() -> None:
    data = 'data { y = npz("a.npz"), train { x = y[a], y = y[b] } }'
    network = network_of(f"{X}output y = x -> Dense(1) {{ loss = mse }}\n{data}\n")
    assert network.data is not None
    ((group, bound),) = network.data.groups
    assert (group, dict(bound)["y"].columns) == ("train", ("b",))


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ("x = t[a], z = t[b]", ["E0651"]),
        ("x = t[a], z = t[b], y = t[c], w = t[d]", ["E0650"]),
        ("x = u[a], z = t[b], y = t[c]", ["E0653"]),
        ("x = t[a], z = t[b], y = t[c], split { test = 1.0 }", ["E0406"]),
        ("x = t[a], z = t[b], y = t[c], split { test = 0.5, validation = 0.5 }", ["E0655"]),
        ("x = t[a], z = t[b], y = t[c], train { x = t[a], z = t[b], y = t[c] }", ["E0655"]),
        ("test { x = t[a], z = t[b], y = t[c] }", ["E0655"]),
        ("train { x = t[a], z = t[b] }", ["E0651"]),
        ("trian { x = t[a], z = t[b], y = t[c] }", ["E0650"]),
        ("x = t[a][b], z = t[b], y = t[c]", ["E0654"]),
        ("x = x[a], z = t[b], y = t[c]", ["E0653"]),
        ("x = t[a], x = t[a], z = t[b], y = t[c]", ["E0302"]),
    ],
)
def test_data_that_does_not_fit(data: str, found: list[str]) -> None:
    assert sorted(codes(f'{X}{DATA}data {{ t = csv("a.csv"), {data} }}\n')) == found


def test_the_place_of_a_fault_is_the_smallest() -> None:
    (fault,) = faults(f"{X}output y = x -> Dense(4, activation = rellu)\n")
    assert fault.span is not None
    assert (fault.span.text, fault.helps) == ("rellu", ("did you mean `relu`?",))


def test_equal_sources_give_equal_networks() -> None:
    source = SourceFile("a.nn", f"{X}h = x -> Dense(3) * 4\noutput y = h -> Dense(1){MSE}")
    first, second = build_network(parse(source)), build_network(parse(source))
    assert first.layers() == second.layers()
    assert (first.outputs, first.train, first.output_spans) == (second.outputs, second.train, second.output_spans)


def test_nesting_has_a_bottom() -> None:
    blocks = "block b0(v) { return v -> relu }\n" + "".join(
        f"block b{k}(v) {{ return v -> b{k - 1} -> b{k - 1} }}\n" for k in range(1, 40)
    )
    with pytest.raises(NncError) as caught:
        network_of(f"{X}{blocks}output y = x -> b39\n")
    assert [diagnostic.code for diagnostic in caught.value.diagnostics] == ["E0314"]
