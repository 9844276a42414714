"""What is trained for a hundred steps: one small network under every optimizer, loss, schedule and so on."""

from __future__ import annotations

from typing import Any

INPUTS, HIDDEN, OUTPUTS = 12, 16, 4

# name here, class of Keras, arguments
SCHEDULES: list[tuple[str, str, dict[str, Any]]] = [
    ("exponential", "ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 30, "decay_rate": 0.5}),
    (
        "exponential",
        "ExponentialDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 30, "decay_rate": 0.5, "staircase": True},
    ),
    ("cosine", "CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 80}),
    ("cosine", "CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 60, "alpha": 0.1}),
    (
        "cosine",
        "CosineDecay",
        {"initial_learning_rate": 0.01, "decay_steps": 70, "alpha": 0.05, "warmup_target": 0.15, "warmup_steps": 20},
    ),
    ("piecewise_constant", "PiecewiseConstantDecay", {"boundaries": [20, 60], "values": [0.1, 0.05, 0.01]}),
]

HIDDEN_LAYER = ["Dense", {"units": HIDDEN, "activation": "tanh"}]


def network(activation: str | None = None, *middle: Any, hidden: Any = HIDDEN_LAYER, **arguments: Any) -> list[Any]:
    last = {"units": OUTPUTS, **({"activation": activation} if activation else {}), **arguments}
    return [hidden, *middle, ["Dense", last]]


def regularized(**regularizers: Any) -> Any:
    return ["Dense", {"units": HIDDEN, "activation": "tanh", **regularizers}]


LINEAR = network()
SGD = ["sgd", {"learning_rate": 0.1}]


def case(
    name: str,
    layers: Any = LINEAR,
    loss: Any = ("mse", {}),
    target: str = "real",
    optimizer: Any = SGD,
    **more: Any,
) -> dict[str, Any]:
    return {"name": name, "layers": layers, "loss": list(loss), "target": target, "optimizer": list(optimizer), **more}


def optimizer_cases() -> list[dict[str, Any]]:
    variants: list[tuple[str, dict[str, Any]]] = [
        ("sgd", {"learning_rate": 0.05}),
        ("sgd", {"learning_rate": 0.02, "momentum": 0.9}),
        ("sgd", {"learning_rate": 0.02, "momentum": 0.9, "nesterov": True}),
        ("sgd", {"learning_rate": 0.05, "momentum": 0.5, "weight_decay": 0.1}),
        ("rmsprop", {}),
        ("rmsprop", {"learning_rate": 0.005, "rho": 0.8}),
        ("rmsprop", {"learning_rate": 0.002, "momentum": 0.5}),
        ("rmsprop", {"learning_rate": 0.002, "centered": True}),
        ("rmsprop", {"learning_rate": 0.002, "momentum": 0.5, "centered": True, "weight_decay": 0.1}),
        ("adam", {}),
        ("adam", {"learning_rate": 0.01, "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-4}),
        ("adam", {"learning_rate": 0.01, "amsgrad": True}),
        ("adamw", {"learning_rate": 0.01}),
        ("adamw", {"learning_rate": 0.01, "weight_decay": 0.1}),
        ("nadam", {}),
        ("nadam", {"learning_rate": 0.01, "beta_1": 0.8}),
        ("adagrad", {"learning_rate": 0.05}),
        ("adagrad", {"learning_rate": 0.05, "initial_accumulator_value": 0.5}),
        ("adamax", {"learning_rate": 0.01}),
        ("lion", {"learning_rate": 0.002}),
        ("lion", {"learning_rate": 0.002, "beta_1": 0.8, "weight_decay": 0.1}),
    ]
    return [case(f"optimizer.{n}.{v[0]}", optimizer=v) for n, v in enumerate(variants)]


def loss_cases() -> list[dict[str, Any]]:
    softmax, sigmoid, positive = network("softmax"), network("sigmoid"), network("softplus")
    logits, smoothed = {"from_logits": True}, {"label_smoothing": 0.1}
    variants: list[tuple[str, dict[str, Any], str, Any]] = [
        ("mse", {}, "real", LINEAR),
        ("mae", {}, "real", LINEAR),
        ("mape", {}, "count", positive),
        ("msle", {}, "count", positive),
        ("huber", {"delta": 0.5}, "real", LINEAR),
        ("log_cosh", {}, "real", LINEAR),
        ("binary_crossentropy", {}, "binary", sigmoid),
        ("binary_crossentropy", smoothed, "binary", sigmoid),
        ("binary_crossentropy", logits, "binary", LINEAR),
        ("categorical_crossentropy", {}, "one_hot", softmax),
        ("categorical_crossentropy", smoothed, "one_hot", softmax),
        ("categorical_crossentropy", logits, "one_hot", LINEAR),
        ("sparse_categorical_crossentropy", {}, "class", softmax),
        ("sparse_categorical_crossentropy", logits, "class", LINEAR),
        ("hinge", {}, "sign", network("tanh")),
        ("squared_hinge", {}, "sign", LINEAR),
        ("kl_divergence", {}, "distribution", softmax),
        ("poisson", {}, "count", positive),
        ("cosine_similarity", {}, "real", LINEAR),
    ]
    slower = {
        "mape": ["sgd", {"learning_rate": 0.001}]
    }  # a hundred times larger than mae; else rounding grows to chaos
    cases = [
        case(f"loss.{n}.{name}", layers, (name, arguments), target, slower.get(name, SGD))
        for n, (name, arguments, target, layers) in enumerate(variants)
    ]
    weights = {"class_weight": [1.0, 2.0, 0.5, 1.5]}
    return [
        *cases,
        case("class_weight.sparse", softmax, ("sparse_categorical_crossentropy", {}), "class", **weights),
        case("class_weight.one_hot", softmax, ("categorical_crossentropy", {}), "one_hot", **weights),
    ]


def other_cases() -> list[dict[str, Any]]:
    l1, l2, both = ["l1", {"l1": 0.01}], ["l2", {"l2": 0.02}], ["l1_l2", {"l1": 0.01, "l2": 0.02}]
    free = ["Dense", {"units": HIDDEN}]
    return [
        case("regularizer.l1", network(hidden=regularized(kernel_regularizer=l1))),
        case("regularizer.l2", network(hidden=regularized(kernel_regularizer=l2, bias_regularizer=l2))),
        case("regularizer.l1_l2", network(kernel_regularizer=both)),
        case("clip.norm", global_clipnorm=0.1),
        case("clip.value", clipvalue=0.01),
        *(
            case(f"schedule.{n}.{name}", optimizer=["sgd", {"learning_rate": [name, arguments]}])
            for n, (name, _, arguments) in enumerate(SCHEDULES)
        ),
        case("sample_weight.mse", sample_weight="train.sample_weight"),
        case(
            "sample_weight.sparse",
            network("softmax"),
            ("sparse_categorical_crossentropy", {}),
            "class",
            sample_weight="train.sample_weight",
            class_weight=[1.0, 2.0, 0.5, 1.5],
        ),
        case("accumulate.sgd", accumulate=4),
        case("accumulate.adam", optimizer=["adam", {"learning_rate": 0.02}], accumulate=3),
        case("accumulate.clip", optimizer=["rmsprop", {"learning_rate": 0.01}], accumulate=2, global_clipnorm=0.1),
        case("accumulate.adamw", optimizer=["adamw", {"learning_rate": 0.01, "weight_decay": 0.1}], accumulate=4),
        case(
            "accumulate.schedule",
            optimizer=["sgd", {"learning_rate": ["exponential", SCHEDULES[0][2]], "momentum": 0.5}],
            accumulate=3,
        ),
        case("ema.sgd", ema=0.9),
        case("ema.adam", optimizer=["adam", {"learning_rate": 0.02}], ema=0.99),
        case("ema.accumulate", ema=0.9, accumulate=3),
        case("layer.batch_normalization", network(None, ["BatchNormalization", {}], ["tanh", {}], hidden=free)),
        case("layer.layer_normalization", network(None, ["LayerNormalization", {}], ["tanh", {}], hidden=free)),
    ]


def all_cases() -> list[dict[str, Any]]:
    return [*optimizer_cases(), *loss_cases(), *other_cases()]
