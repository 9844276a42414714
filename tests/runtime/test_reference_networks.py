"""Whole networks: what the reference runtime does with a plan is what the op graph means."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle import check, compile_text, feed_types
from random_networks import OPTIMIZERS, RandomNetwork, random_networks

from nnc.compiler.formulas.activations import ACTIVATIONS
from nnc.compiler.formulas.losses import LOSSES
from nnc.compiler.formulas.optimizers import OPTIMIZERS as OPTIMIZER_TABLE
from nnc.compiler.layers import LAYERS
from nnc.compiler.types import TensorType
from nnc.runtime.protocol import Array
from nnc.runtime.reference import ReferenceRuntime, steps, tiles

EVERYTHING = """
input words: int32[3]
input picture: uint8[4, 4]
input wide: float32[6]
block residual(x, units) {
  h = x -> LayerNormalization -> Dense(units, gelu) -> Dense(units)
  return x + h
}
layer shared = Dense(8, tanh)
text = words -> Embedding(20, 4) -> Flatten -> Dense(8, relu)
seen = picture -> Rescale(1/255) -> Flatten -> Dropout(0.3) -> Maxout(8) -> BatchNormalization
both = (text, seen, wide) -> Concatenate -> Dense(8) -> residual(units = 8) * 2
left = both -> shared
right = seen -> GaussianNoise(0.1) -> shared
output digit = (left, right, wide) -> Concatenate -> Dense(10, softmax, kernel_regularizer = l2(0.01)) {
  loss = sparse_categorical_crossentropy, metrics = [accuracy], class_weight = [1, 2, 1, 1, 1, 1, 1, 1, 1, 0.5]
}
output flag = left - right -> Dense(3, sigmoid) { loss = binary_crossentropy, weight = 0.5 }
broad = wide -> Dense(900, relu)
output size = (both, broad) -> Concatenate -> Dense(2) { loss = mse, metrics = [mae] }
train { optimizer = adam(learning_rate = 0.001), batch_size = 8, clip_norm = 1, seed = 3 }
"""
DOMAINS = {"words": ("index", 20), "picture": ("byte", 256), "wide": ("real", 0), "digit": ("class", 10),
           "flag": ("bit", 0), "size": ("real", 0)}  # fmt: skip

LAYER_USES = {
    "Dense": ["float32[5] -> Dense(4)", "float64[5] -> Dense(4, relu, kernel_regularizer = l1_l2(0.1, 0.2))"],
    "Maxout": ["float32[5] -> Maxout(4, pieces = 3)"],
    "Flatten": ["float32[2, 3] -> Flatten"],
    "Reshape": ["float32[2, 6] -> Reshape((3, 4))"],
    "Concatenate": ["float32[2, 3] -> Concatenate(axis = -1)", "float32[2, 3] -> Concatenate(axis = -2)"],
    "Rescale": ["uint8[2, 3] -> Rescale(1/255, -0.5)"],
    "Normalize": ["float32[4] -> Normalize", "float32[2, 4] -> Normalize(mean = [1, 2, 3, 4], variance = 2)"],
    "OneHot": ["int32[] -> OneHot(5)", "int64[3] -> OneHot(4)"],
    "Embedding": ["int32[3] -> Embedding(6, 4)", "uint8[] -> Embedding(6, 4)"],
    "Dropout": ["float32[5] -> Dropout(0.4)"],
    "GaussianNoise": ["float32[5] -> GaussianNoise(0.5)"],
    "BatchNormalization": ["float32[5] -> BatchNormalization", "float32[2, 3] -> BatchNormalization(momentum = 0.5)"],
    "LayerNormalization": ["float32[5] -> LayerNormalization", "float64[2, 3] -> LayerNormalization(scale = false)"],
    "Activation": ["float32[5] -> Activation(silu)"],
    **{name: [f"float32[5] -> {name}"] for name in (*ACTIVATIONS, "linear")},
    **{name: ["float32[5] -> " + name] for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")},
}
LOSS_USES = {
    "mse": ("Dense(3)", "real"), "mae": ("Dense(3)", "real"), "mape": ("Dense(3)", "positive"),
    "msle": ("Dense(3, softplus)", "positive"), "huber": ("Dense(3)", "real"), "log_cosh": ("Dense(3)", "real"),
    "binary_crossentropy": ("Dense(3, sigmoid)", "bit"),
    "categorical_crossentropy": ("Dense(3, softmax)", "distribution"),
    "sparse_categorical_crossentropy": ("Dense(3, softmax)", "class"), "hinge": ("Dense(3)", "sign"),
    "squared_hinge": ("Dense(3)", "sign"), "kl_divergence": ("Dense(3, softmax)", "distribution"),
    "poisson": ("Dense(3, softplus)", "positive"), "cosine_similarity": ("Dense(3)", "real"),
}  # fmt: skip


def check_text(
    text: str, dtype: str, domains: Mapping[str, tuple[str, int]], count: int = 3, follow: bool = True
) -> None:
    """Compare `count` steps of the network with its graphs."""
    network = RandomNetwork(text, dtype, domains)
    check(compile_text(text), lambda types, samples: network.feeds(types, samples, 7), dtype, count, follow)


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(random_networks(), st.sampled_from([tiles.TILE_ELEMENTS, 7]))
def test_random_networks_agree_with_their_graphs(network: RandomNetwork, tile_elements: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "cut", lambda space, whole_rows: tiles.cut(space, whole_rows, tile_elements))
        check_text(network.text, network.dtype, network.domains)


def test_every_layer_is_used_below() -> None:
    assert set(LAYERS) == set(LAYER_USES)


@pytest.mark.parametrize("name", sorted(LAYER_USES))
def test_every_layer(name: str) -> None:
    for use in LAYER_USES[name]:
        type, _, chain = use.partition(" -> ")
        merges = LAYERS[name].min_inputs > 1
        text = f"input x: {type}\n"
        text += f"other = x -> Rescale(0.5, 0.2)\ny = (x, other) -> {chain}\n" if merges else f"y = x -> {chain}\n"
        text += "output z = y -> Flatten -> Dense(2) { loss = mse }\ntrain { batch_size = 4, optimizer = sgd(0.1) }\n"
        kind = "byte" if "uint8[2" in type else "real" if "float" in type else "index"
        dtype = "float64" if "float64" in type else "float32"
        check_text(text, dtype, {"x": (kind, 5), "z": ("real", 0)})


def test_every_loss_is_used_below() -> None:
    assert set(LOSSES) == set(LOSS_USES)


@pytest.mark.parametrize("name", sorted(LOSS_USES))
def test_every_loss(name: str) -> None:
    last, target = LOSS_USES[name]
    text = f"input x: float32[4]\noutput y = x -> Dense(5, tanh) -> {last} {{ loss = {name} }}\n"
    check_text(text, "float32", {"x": ("real", 0), "y": (target, 3)})


@pytest.mark.parametrize("optimizer", [*OPTIMIZERS, "lion(learning_rate = 0.01)"])
def test_every_optimizer_over_many_steps(optimizer: str) -> None:
    """Both go their own ways for thirty steps, so a slot that is updated wrongly shows."""
    text = ("input x: float64[4]\noutput y = x -> Dense(6, tanh) -> Dense(2) { loss = mse }\n"
            f"train {{ batch_size = 4, optimizer = {optimizer}, seed = 1 }}\n")  # fmt: skip
    check_text(text, "float64", {"x": ("real", 0), "y": ("real", 0)}, count=30, follow=False)


def test_every_optimizer_is_used_above() -> None:
    assert {optimizer.partition("(")[0] for optimizer in OPTIMIZERS} | {"lion"} == set(OPTIMIZER_TABLE)


def test_a_network_of_everything() -> None:
    check_text(EVERYTHING, "float32", DOMAINS, count=6)


def test_names_of_the_spec_are_free() -> None:
    """What a plan and a runtime call their own meets no name of a user's."""
    text = ("input rows: float32[3]\ninput step: float32[3]\ninput target: float32[3]\n"
            "layer sum = Dense(3, tanh)\nlayer learning_rate_scale = Dense(3)\n"
            "output prediction = rows + step -> sum { loss = mse }\n"
            "output loss = target -> sum -> learning_rate_scale { loss = mae }\n")  # fmt: skip
    check_text(text, "float32", dict.fromkeys(("rows", "step", "target", "prediction", "loss"), ("real", 0)))


def test_equal_seeds_give_equal_runs() -> None:
    plan = compile_text(EVERYTHING).plan
    outcomes = []
    for _ in range(2):
        session = ReferenceRuntime().prepare(plan)
        session.bind("train_step", feeds(feed_types(plan, "train_step"), 24))
        for start in (0, 8, 16):
            session.run("train_step", np.arange(start, start + 8))
        outcomes.append(b"".join(session.read(variable.name).tobytes() for variable, _ in plan.variables))
    assert outcomes[0] == outcomes[1]


def feeds(types: Mapping[str, TensorType], samples: int) -> dict[str, Array]:
    return RandomNetwork(EVERYTHING, "float32", DOMAINS).feeds(types, samples, 7)


def test_a_step_makes_no_array() -> None:
    """Beyond the plan there are only the small records that NumPy needs to walk over operands, freed at once."""
    plan = compile_text(EVERYTHING).plan
    session = ReferenceRuntime().prepare(plan)
    rows = [np.arange(8), np.arange(8, 16), np.arange(16, 19)]
    for program in plan.programs:
        session.bind(program.name, feeds(feed_types(plan, program.name), 24))

    def epoch() -> None:
        for program in plan.programs:
            for batch in rows:
                session.run(program.name, batch)

    for _ in range(3):
        epoch()
    data = tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)
    tracemalloc.start()
    try:
        epoch()
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        epoch()
        after, peak = tracemalloc.get_traced_memory()
        assert peak - before < 8 * 1024
        for _ in range(300):
            epoch()
        later, _ = tracemalloc.get_traced_memory()
        assert later - after < 1024
        arrays = tracemalloc.take_snapshot().filter_traces([data]).statistics("lineno")
        assert sum(line.size for line in arrays) < 1024, arrays
    finally:
        tracemalloc.stop()
