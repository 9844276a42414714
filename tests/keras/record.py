"""Records what Keras computes, for the tests beside this file: writes recorded.npz.

Run `python tests/keras/record.py` with KERAS_BACKEND=jax in an environment that has keras and jax; nothing else in this
repository needs them. Everything is float32 and follows from one seed. The file holds arrays, and under "index" a JSON
text: the versions, the arguments of every function and class with their defaults, and the cases with the names of their
arrays. What is trained for a hundred steps stands in training_cases.py.
"""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import keras
import numpy as np
from keras.src.initializers import random_initializers
from training_cases import HIDDEN, INPUTS, OUTPUTS, SCHEDULES, all_cases

STEPS, BATCHES, ROWS = 100, 10, 16
random = np.random.default_rng(2024)
arrays: dict[str, np.ndarray] = {}
index: dict[str, Any] = {
    "versions": {"keras": keras.__version__, "jax": jax.__version__, "numpy": np.__version__},
    "steps": STEPS,
}


def stored(name: str, value: Any) -> str:
    """Keeps an array as float32 (integers as int32) and gives its name back."""
    array = np.asarray(value)
    arrays[name] = array.astype("int32" if array.dtype.kind in "iub" else "float32")
    return name


def parameters(function: Any, skip: tuple[str, ...] = ()) -> dict[str, Any]:
    found = inspect.signature(function).parameters.values()
    kept = [p for p in found if p.name not in skip and p.kind is not inspect.Parameter.VAR_KEYWORD]
    return {p.name: "<required>" if p.default is inspect.Parameter.empty else p.default for p in kept}


# --- activations ------------------------------------------------------------------------------------------------

ACTIVATIONS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in (
        "linear", "relu", "leaky_relu", "relu6", "elu", "selu", "gelu", "silu", "softplus", "softsign", "sigmoid",
        "hard_sigmoid", "tanh", "hard_tanh", "exponential", "log_sigmoid", "mish", "softmax", "log_softmax",
    )),
    ("relu", {"negative_slope": 0.1, "max_value": 2.0, "threshold": 0.5}),
    ("leaky_relu", {"negative_slope": 0.3}),
    ("elu", {"alpha": 0.5}),
    ("gelu", {"approximate": True}),
]  # fmt: skip


def record_activations() -> None:
    grid = np.concatenate([np.linspace(-6, 6, 49), [-30, -1e-3, 1e-3, 30, 1.7]]).reshape(9, 6).astype("float32")
    weights = random.normal(size=grid.shape).astype("float32")
    stored("activation.x", grid)
    stored("activation.weights", weights)
    index["activations"] = []
    for number, (name, arguments) in enumerate(ACTIVATIONS):
        function = getattr(keras.activations, name)
        gradient = jax.grad(lambda x, f=function, a=arguments: (f(x, **a) * weights).sum())(grid)
        index["activations"].append({
            "name": name, "arguments": arguments,
            "value": stored(f"activation.{number}.value", function(grid, **arguments)),
            "gradient": stored(f"activation.{number}.gradient", gradient),
        })  # fmt: skip
    index["activation_defaults"] = {
        name: parameters(getattr(keras.activations, name), ("x", "axis")) for name, _ in ACTIVATIONS
    }


# --- losses and metrics -------------------------------------------------------------------------------------------

LOSSES: list[tuple[str, dict[str, Any], str, str]] = [
    ("mean_squared_error", {}, "real", "real"),
    ("mean_absolute_error", {}, "real", "real"),
    ("mean_absolute_percentage_error", {}, "real", "real"),
    ("mean_squared_logarithmic_error", {}, "positive", "positive"),
    ("huber", {}, "real", "real"),
    ("huber", {"delta": 0.3}, "real", "real"),
    ("log_cosh", {}, "real", "real"),
    ("binary_crossentropy", {}, "binary", "probability"),
    ("binary_crossentropy", {"label_smoothing": 0.2}, "binary", "probability"),
    ("binary_crossentropy", {"from_logits": True}, "binary", "real"),
    ("binary_crossentropy", {"from_logits": True, "label_smoothing": 0.2}, "binary", "real"),
    ("categorical_crossentropy", {}, "one_hot", "distribution"),
    ("categorical_crossentropy", {}, "one_hot", "probability"),
    ("categorical_crossentropy", {"label_smoothing": 0.2}, "one_hot", "distribution"),
    ("categorical_crossentropy", {"from_logits": True}, "one_hot", "real"),
    ("categorical_crossentropy", {"from_logits": True, "label_smoothing": 0.2}, "one_hot", "real"),
    ("sparse_categorical_crossentropy", {}, "class", "distribution"),
    ("sparse_categorical_crossentropy", {}, "class", "probability"),
    ("sparse_categorical_crossentropy", {"from_logits": True}, "class", "real"),
    ("hinge", {}, "sign", "real"),
    ("hinge", {}, "binary", "real"),
    ("squared_hinge", {}, "sign", "real"),
    ("kl_divergence", {}, "distribution", "distribution"),
    ("kl_divergence", {}, "one_hot", "distribution"),
    ("poisson", {}, "count", "positive"),
    ("cosine_similarity", {}, "real", "real"),
]

METRICS: list[tuple[str, str, dict[str, Any], str, str]] = [
    ("accuracy", "SparseCategoricalAccuracy", {}, "class", "distribution"),
    ("accuracy", "CategoricalAccuracy", {}, "one_hot", "distribution"),
    ("accuracy", "BinaryAccuracy", {}, "binary_1", "probability_1"),
    ("binary_accuracy", "BinaryAccuracy", {}, "binary", "probability"),
    ("binary_accuracy", "BinaryAccuracy", {"threshold": 0.7}, "binary", "probability"),
    ("categorical_accuracy", "CategoricalAccuracy", {}, "one_hot", "distribution"),
    ("sparse_categorical_accuracy", "SparseCategoricalAccuracy", {}, "class", "distribution"),
    ("top_k_accuracy", "SparseTopKCategoricalAccuracy", {"k": 2}, "class", "distribution"),
    ("top_k_accuracy", "TopKCategoricalAccuracy", {"k": 3}, "one_hot", "distribution"),
    ("precision", "Precision", {}, "binary", "probability"),
    ("recall", "Recall", {}, "binary", "probability"),
    ("rmse", "RootMeanSquaredError", {}, "real_1", "near_1"),
    ("r2_score", "R2Score", {}, "real_1", "near_1"),
    ("mae", "MeanAbsoluteError", {}, "real", "real"),
]


def example_data() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    rows, width = 24, 5
    real, other = random.normal(size=(2, rows, width)) * 1.5
    scores = np.exp(random.normal(size=(2, rows, width)))
    classes = random.integers(0, width, rows)
    targets = {
        "real": real, "positive": np.abs(real), "binary": (other > 0) * 1.0, "sign": np.sign(other),
        "class": classes, "one_hot": np.eye(width)[classes], "count": random.poisson(2, (rows, width)),
        "distribution": scores[0] / scores[0].sum(-1, keepdims=True),
    }  # fmt: skip
    predictions = {
        "real": real + random.normal(size=(rows, width)), "positive": np.abs(other) + 0.1,
        "probability": 1 / (1 + np.exp(-other - random.normal(size=(rows, width)))),
        "distribution": scores[1] / scores[1].sum(-1, keepdims=True),
    }  # fmt: skip
    targets |= {"binary_1": targets["binary"][:, :1], "real_1": targets["real"][:, :1]}
    predictions |= {"probability_1": predictions["probability"][:, :1], "near_1": predictions["real"][:, :1]}
    return typed(targets), typed(predictions)


def typed(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: value.astype("int32" if name == "class" else "float32") for name, value in values.items()}


def record_losses() -> None:
    targets, predictions = example_data()
    for name, value in targets.items():
        stored(f"target.{name}", value)
    for name, value in predictions.items():
        stored(f"prediction.{name}", value)
    index["losses"], index["metrics"] = [], []
    for number, (name, arguments, target, prediction) in enumerate(LOSSES):
        function, y, p = getattr(keras.losses, name), targets[target], predictions[prediction]
        gradient = jax.grad(lambda p, f=function, y=y, a=arguments: f(y, p, **a).mean())(p)
        index["losses"].append({
            "name": name, "arguments": arguments,
            "target": f"target.{target}", "prediction": f"prediction.{prediction}",
            "value": stored(f"loss.{number}.value", function(y, p, **arguments)),
            "gradient": stored(f"loss.{number}.gradient", gradient),
        })  # fmt: skip
    for name, kind, arguments, target, prediction in METRICS:
        metric = getattr(keras.metrics, kind)(**arguments)
        metric.update_state(targets[target], predictions[prediction])
        index["metrics"].append({
            "name": name, "arguments": arguments,
            "target": f"target.{target}", "prediction": f"prediction.{prediction}",
            "value": float(metric.result()),
        })  # fmt: skip
    skip = ("y_true", "y_pred", "axis", "ignore_class")
    index["loss_defaults"] = {name: parameters(getattr(keras.losses, name), skip) for name, *_ in LOSSES}


# --- optimizers, schedules, initializers: their arguments ----------------------------------------------------------

OPTIMIZERS = {
    "sgd": "SGD", "rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW", "nadam": "Nadam", "adagrad": "Adagrad",
    "adamax": "Adamax", "lion": "Lion",
}  # fmt: skip
INITIALIZERS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in (
        "random_uniform", "random_normal", "truncated_normal", "variance_scaling", "glorot_uniform", "glorot_normal",
        "he_uniform", "he_normal", "lecun_uniform", "lecun_normal",
    )),
    ("random_uniform", {"minval": -1.0, "maxval": 3.0}),
    ("random_normal", {"mean": 1.0, "stddev": 2.0}),
    ("variance_scaling", {"scale": 2.0, "mode": "fan_out", "distribution": "uniform"}),
    ("variance_scaling", {"scale": 0.5, "mode": "fan_avg", "distribution": "untruncated_normal"}),
]  # fmt: skip


def record_tables() -> None:
    base = ("name", "clipnorm", "clipvalue", "global_clipnorm", "use_ema", "ema_momentum", "ema_overwrite_frequency",
            "loss_scale_factor", "gradient_accumulation_steps")  # fmt: skip
    index["optimizer_defaults"] = {
        name: parameters(getattr(keras.optimizers, kind), base) for name, kind in OPTIMIZERS.items()
    }
    index["schedules"], index["schedule_defaults"] = [], {}
    for number, (name, kind, arguments) in enumerate(SCHEDULES):
        schedule = getattr(keras.optimizers.schedules, kind)
        values = [float(schedule(**arguments)(step)) for step in range(STEPS)]
        index["schedules"].append({"name": name, "arguments": arguments, "value": stored(f"schedule.{number}", values)})
        index["schedule_defaults"][name] = parameters(schedule, ("name",))
    regularizers = {"l1": "L1", "l2": "L2", "l1_l2": "L1L2"}
    index["regularizer_defaults"] = {
        name: parameters(getattr(keras.regularizers, kind)) for name, kind in regularizers.items()
    }
    record_initializers()


def record_initializers() -> None:
    """What each initializer asks Keras's random functions for."""
    asked: list[tuple[str, list[float]]] = []

    def spy(distribution: str, names: tuple[str, str]) -> Any:
        def draw(shape: Any, **arguments: Any) -> np.ndarray:
            asked.append((distribution, [arguments[name] for name in names]))
            return np.zeros(shape)

        return draw

    original = random_initializers.random
    random_initializers.random = type("Spy", (), {
        "uniform": staticmethod(spy("uniform", ("minval", "maxval"))),
        "normal": staticmethod(spy("normal", ("mean", "stddev"))),
        "truncated_normal": staticmethod(spy("truncated_normal", ("mean", "stddev"))),
        "make_default_seed": staticmethod(lambda: 0),
    })  # fmt: skip
    index["initializers"], index["initializer_defaults"] = [], {}
    for name, arguments in INITIALIZERS:
        kind = getattr(keras.initializers, name)
        for shape in ((7, 3), (5,), (2, 3, 4)):
            kind(**arguments)(shape, dtype="float32")
            distribution, numbers = asked.pop()
            index["initializers"].append(
                {"name": name, "arguments": arguments, "shape": shape, "distribution": distribution, "numbers": numbers}
            )
        index["initializer_defaults"][name] = parameters(kind, ("seed", "input_axes", "output_axes"))
    random_initializers.random = original
    for name in ("zeros", "ones", "constant", "orthogonal", "identity"):
        kind = getattr(keras.initializers, name)
        plain = kind.__init__ is not object.__init__
        index["initializer_defaults"][name] = parameters(kind, ("seed",)) if plain else {}


# --- a hundred steps of training -----------------------------------------------------------------------------------


def keras_optimizer(name: str, arguments: dict[str, Any], **clipping: Any) -> Any:
    arguments = dict(arguments)
    if isinstance(arguments.get("learning_rate"), list):
        wanted, values = arguments["learning_rate"]
        kind = next(kind for name, kind, _ in SCHEDULES if name == wanted)
        arguments["learning_rate"] = getattr(keras.optimizers.schedules, kind)(**values)
    return getattr(keras.optimizers, OPTIMIZERS[name])(**arguments, **clipping)


def keras_loss(name: str, arguments: dict[str, Any]) -> Any:
    kinds = {"mse": "MeanSquaredError", "mae": "MeanAbsoluteError", "mape": "MeanAbsolutePercentageError",
             "msle": "MeanSquaredLogarithmicError", "kl_divergence": "KLDivergence"}  # fmt: skip
    kind = kinds.get(name) or "".join(part.capitalize() for part in name.split("_"))
    return getattr(keras.losses, kind)(**arguments)


def keras_layer(kind: str, arguments: dict[str, Any]) -> Any:
    if kind == "tanh":
        return keras.layers.Activation("tanh")
    regularizers = {"l1": keras.regularizers.L1, "l2": keras.regularizers.L2, "l1_l2": keras.regularizers.L1L2}
    given = {k: regularizers[v[0]](**v[1]) if k.endswith("regularizer") else v for k, v in arguments.items()}
    return getattr(keras.layers, kind)(**given)


def keras_model(layers: Any) -> Any:
    model = keras.Sequential([keras.Input((INPUTS,)), *(keras_layer(*layer) for layer in layers)])
    dense = iter((("kernel_0", "bias_0"), ("kernel_1", "bias_1")))
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            layer.set_weights([arrays[f"weight.{name}"] for name in next(dense)])
        elif layer.weights:
            kept = layer.get_weights()[2:]
            layer.set_weights([arrays["weight.gamma"], arrays["weight.beta"], *kept])
    return model


def losses_of(spec: dict[str, Any]) -> list[float]:
    model = keras_model(spec["layers"])
    clipping = {k: spec[k] for k in ("global_clipnorm", "clipvalue") if k in spec}
    if "accumulate" in spec:
        clipping["gradient_accumulation_steps"] = spec["accumulate"]
    if "ema" in spec:
        clipping |= {"use_ema": True, "ema_momentum": spec["ema"]}
    optimizer = keras_optimizer(*spec["optimizer"], **clipping)
    model.compile(optimizer=optimizer, loss=keras_loss(*spec["loss"]))
    weights = dict(enumerate(spec["class_weight"])) if "class_weight" in spec else None
    losses = []
    for step in range(STEPS):
        model.reset_metrics()
        x, y = arrays["train.x"][step % BATCHES], arrays[f"train.{spec['target']}"][step % BATCHES]
        sample_weight = arrays[spec["sample_weight"]][step % BATCHES] if "sample_weight" in spec else None
        if weights is not None and sample_weight is not None:  # Keras takes only one of the two
            sample_weight, class_weight = sample_weight * np.take(spec["class_weight"], y).astype("float32"), None
        else:
            class_weight = weights
        losses.append(float(model.train_on_batch(x, y, sample_weight=sample_weight, class_weight=class_weight)))
    if "ema" in spec:
        model.jax_state_sync()
        averages = optimizer._model_variables_moving_average
        spec["averages"] = [stored(f"average.{spec['name']}.{k}", value) for k, value in enumerate(averages)]
    return losses


def record_trajectories() -> None:
    inputs = random.normal(size=(BATCHES, ROWS, INPUTS))
    scores = np.tanh(inputs @ random.normal(size=(INPUTS, OUTPUTS)) / 2)
    scores += 0.1 * random.normal(size=scores.shape)
    classes, exponentials = scores.argmax(-1), np.exp(scores)
    stored("train.x", inputs)
    stored("train.real", scores)
    stored("train.binary", (scores > 0) * np.float32(1))
    stored("train.sign", np.where(scores > 0, np.float32(1), np.float32(-1)))
    stored("train.class", classes)
    stored("train.one_hot", np.eye(OUTPUTS, dtype="float32")[classes])
    stored("train.count", random.poisson(exponentials) + np.float32(1))
    stored("train.distribution", exponentials / exponentials.sum(-1, keepdims=True))
    stored("weight.kernel_0", random.normal(size=(INPUTS, HIDDEN)) * 0.3)
    stored("weight.bias_0", random.normal(size=HIDDEN) * 0.1)
    stored("weight.kernel_1", random.normal(size=(HIDDEN, OUTPUTS)) * 0.3)
    stored("weight.bias_1", random.normal(size=OUTPUTS) * 0.1)
    stored("weight.gamma", 1 + random.normal(size=HIDDEN) * 0.1)
    stored("weight.beta", random.normal(size=HIDDEN) * 0.1)
    stored("train.sample_weight", random.uniform(0, 3, size=(BATCHES, ROWS)))
    index["trajectories"] = all_cases()
    for spec in index["trajectories"]:
        losses = losses_of(spec)
        spec["losses"] = stored(f"trajectory.{spec['name']}", losses)
        print(f"{spec['name']:40} {losses[0]:.6f} -> {losses[-1]:.6f}")


if __name__ == "__main__":
    record_activations()
    record_losses()
    record_tables()
    record_trajectories()
    arrays["index"] = np.array(json.dumps(index))
    target = Path(__file__).with_name("recorded.npz")
    np.savez_compressed(target, **arrays)
    print(f"{target.name}: {len(arrays)} arrays, {target.stat().st_size} bytes")
