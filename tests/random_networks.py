"""Random networks as `.nn` text, for properties that must hold of any network, and data that fits their inputs.

Several inputs and outputs, shared layers, blocks, stacks, concatenations and every kind of merge. Formulas whose value
jumps or explodes under rounding (lion's sign, a quotient by nearly nothing) are left out, so that two ways to compute a
network can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import hypothesis
import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from nnc.compiler.types import TensorType

Array = npt.NDArray[Any]
Shape = tuple[int, ...]
Draw = Callable[..., Any]

ACTIVATIONS = (
    "linear", "relu", "leaky_relu", "relu6", "elu", "selu", "gelu", "silu", "softplus", "softsign", "sigmoid",
    "hard_sigmoid", "tanh", "hard_tanh", "log_sigmoid", "mish",
)  # fmt: skip
ROW_ACTIVATIONS = ("softmax", "log_softmax")
MERGES = ("Add", "Multiply", "Average", "Maximum", "Minimum")
OPTIMIZERS = (
    "sgd(learning_rate = 0.01)",
    "sgd(learning_rate = 0.01, momentum = 0.9)",
    "sgd(learning_rate = 0.01, momentum = 0.9, nesterov = true)",
    "rmsprop(learning_rate = 0.01, epsilon = 0.01)",
    "rmsprop(learning_rate = 0.01, momentum = 0.5, epsilon = 0.01, centered = true)",
    "adam(learning_rate = 0.01, epsilon = 0.01)",
    "adam(learning_rate = 0.01, epsilon = 0.01, amsgrad = true)",
    "adamw(learning_rate = 0.01, epsilon = 0.01)",
    "nadam(learning_rate = 0.01, epsilon = 0.01)",
    "adagrad(learning_rate = 0.01, epsilon = 0.01)",
    "adamax(learning_rate = 0.01, epsilon = 0.01)",
    "sgd(learning_rate = exponential(0.01, 10, 0.9))",
    "sgd(learning_rate = cosine(0.001, 20, warmup_target = 0.01, warmup_steps = 2))",
)
# last layer, loss, what the targets are; N is the output's width
JUDGEMENTS = (
    ("Dense(N)", "mse", "real"),
    ("Dense(N)", "mae", "real"),
    ("Dense(N)", "huber(delta = 0.5)", "real"),
    ("Dense(N)", "log_cosh", "real"),
    ("Dense(N, tanh)", "squared_hinge", "sign"),
    ("Dense(N)", "hinge", "sign"),
    ("Dense(N, sigmoid)", "binary_crossentropy", "bit"),
    ("Dense(N)", "binary_crossentropy(from_logits = true)", "bit"),
    ("Dense(N, softplus)", "poisson", "positive"),
    ("Dense(C, softmax)", "sparse_categorical_crossentropy", "class"),
    ("Dense(C)", "sparse_categorical_crossentropy(from_logits = true)", "class"),
    ("Dense(C, softmax)", "categorical_crossentropy(label_smoothing = 0.1)", "distribution"),
    ("Dense(C, softmax)", "kl_divergence", "distribution"),
)
METRICS = {"real": ("mae", "rmse"), "bit": (), "sign": (), "positive": ("mae",), "class": ("accuracy",),
           "distribution": ("categorical_accuracy",)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tensor:
    """A named value of the network being written; `shape` is that of one sample."""

    name: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class RandomNetwork:
    """A network's text, and for each of its inputs and targets what its numbers are, with their bound.

    domains: name -> ("real" | "positive" | "bit" | "sign" | "byte" | "index" | "class" | "distribution", bound).
    """

    text: str
    dtype: str
    domains: Mapping[str, tuple[str, int]]

    def feeds(self, types: Mapping[str, TensorType], samples: int, seed: int) -> dict[str, Array]:
        """An array of `samples` for each feed; `types` holds the type of one batch by feed name."""
        generator = np.random.default_rng(seed)
        result = {}
        for name, type in types.items():
            kind, bound = self.domains[name.removeprefix("target.")]
            result[name] = _numbers(generator, kind, bound, type.concrete(samples)).astype(type.dtype)
        return result


def _numbers(generator: np.random.Generator, kind: str, bound: int, shape: Shape) -> Array:
    match kind:
        case "real":
            return generator.normal(size=shape)
        case "positive":
            return generator.gamma(2.0, size=shape)
        case "bit":
            return generator.integers(0, 2, shape)
        case "sign":
            return 2 * generator.integers(0, 2, shape) - 1
        case "byte":
            return generator.integers(0, 256, shape)
        case "index" | "class":
            return generator.integers(0, bound, shape)
        case "distribution":
            parts = generator.gamma(1.0, size=shape)
            return np.asarray(parts / parts.sum(axis=-1, keepdims=True))
    raise AssertionError(kind)


class _Author:
    """Writes one network, statement by statement."""

    def __init__(self, draw: Draw, dtype: str, randomness: bool) -> None:
        self.draw, self.dtype, self.randomness = draw, dtype, randomness
        self.lines: list[str] = []
        self.pool: list[Tensor] = []
        self.unused: dict[str, Tensor] = {}
        self.domains: dict[str, tuple[str, int]] = {}
        self.count = 0

    def pick(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def number(self, low: int, high: int) -> int:
        return int(self.draw(st.integers(low, high)))

    def fresh(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def define(self, name: str, shape: Shape, text: str, *operands: Tensor) -> Tensor:
        self.lines.append(f"{name} = {text}")
        for operand in operands:
            self.unused.pop(operand.name, None)
        return self.own(Tensor(name, shape))

    def own(self, tensor: Tensor) -> Tensor:
        self.pool.append(tensor)
        self.unused[tensor.name] = tensor
        return tensor

    def operand(self, fits: Callable[[Shape], bool] = lambda shape: True) -> Tensor | None:
        """A tensor of the pool, the newest most likely."""
        fitting = [tensor for tensor in self.pool if fits(tensor.shape)]
        if not fitting:
            return None
        return fitting[-1] if self.draw(st.booleans()) else self.pick(*fitting)

    # --- inputs -------------------------------------------------------------------------------------------------
    def write_input(self) -> None:
        name = self.fresh(self.pick("a", "입력"))
        kinds = ("vector", "matrix") if self.dtype == "float64" else ("vector", "matrix", "byte", "index", "word")
        match self.pick(*kinds):
            case "vector":
                self._float_input(name, (self.number(1, 6),))
            case "matrix":
                self._float_input(name, (self.number(2, 4), self.number(1, 4)))
            case "byte":
                self.domains[name] = ("byte", 256)
                self.lines.append(f"input {name}: uint8[3, 2]")
                self.define(self.fresh("v"), (3, 2), f"{name} -> Rescale(1/255)")
            case "index":
                depth = self.number(2, 5)
                self.domains[name] = ("index", depth)
                self.lines.append(f"input {name}: int32[]")
                self.define(self.fresh("v"), (depth,), f"{name} -> OneHot({depth})")
            case _:
                words, size, length = self.number(3, 9), self.number(1, 4), self.number(1, 3)
                self.domains[name] = ("index", words)
                self.lines.append(f"input {name}: int64[{length}]")
                self.define(self.fresh("v"), (length, size), f"{name} -> Embedding({words}, {size})")

    def _float_input(self, name: str, shape: Shape) -> None:
        self.domains[name] = ("real", 0)
        self.lines.append(f"input {name}: {self.dtype}[{', '.join(map(str, shape))}]")
        self.own(Tensor(name, shape))

    # --- statements ---------------------------------------------------------------------------------------------
    def write_statement(self) -> None:
        self.pick(self.write_chain, self.write_chain, self.write_merge, self.write_concatenation, self.write_operator,
                  self.write_shared, self.write_block)()  # fmt: skip

    def write_chain(self) -> None:
        operand = self.operand()
        assert operand is not None
        text, shape = operand.name, operand.shape
        for _ in range(self.number(1, 3)):
            layer, shape = self.layer(shape)
            text += f" -> {layer}"
        self.define(self.fresh("v"), shape, text, operand)

    def layer(self, shape: Shape) -> tuple[str, Shape]:
        """A layer that takes a tensor of `shape`, and the shape it gives."""
        common = [*(self.pick(*ACTIVATIONS) for _ in range(2)), "BatchNormalization", "LayerNormalization",
                  "Rescale(0.5, 0.1)", "LayerNormalization(epsilon = 0.1, center = false)",
                  "BatchNormalization(momentum = 0.5, scale = false)"]  # fmt: skip
        if shape[-1] > 1:
            common.append(self.pick(*ROW_ACTIVATIONS))
        if self.randomness:
            common += ["Dropout(0.3)", "GaussianNoise(0.1)"]
        kind = self.pick("common", "dense", "reshape")
        if kind == "dense" and len(shape) == 1:
            return self._dense()
        if kind == "reshape":
            return self._reshaped(shape)
        return self.pick(*common), shape

    def _dense(self) -> tuple[str, Shape]:
        units = self.number(1, 6)
        extra = self.pick("", "", ", use_bias = false", ", kernel_regularizer = l2(0.01)",
                          ', kernel_initializer = he_normal, bias_initializer = random_normal',
                          ", kernel_regularizer = l1(0.01), bias_regularizer = l1_l2(0.01, 0.02)",
                          ", kernel_initializer = orthogonal", ", trainable = false")  # fmt: skip
        if self.draw(st.booleans()):
            return f"Dense({units}, {self.pick(*ACTIVATIONS)}{extra})", (units,)
        return self.pick(f"Dense({units}{extra})", f"Maxout({units}, pieces = {self.number(2, 3)})"), (units,)

    def _reshaped(self, shape: Shape) -> tuple[str, Shape]:
        size = prod(shape)
        if len(shape) > 1 and self.draw(st.booleans()):
            return "Flatten", (size,)
        first = self.pick(*(k for k in range(1, size + 1) if size % k == 0))
        return f"Reshape(({first}, {size // first}))", (first, size // first)

    def write_merge(self) -> None:
        first = self.operand()
        assert first is not None
        second = self.operand(lambda shape: shape == first.shape)
        assert second is not None
        text, operands = f"({first.name}, {second.name}", [first, second]
        merge = self.pick(*MERGES, "Subtract")
        if merge != "Subtract" and self.draw(st.booleans()):
            third = self.operand(lambda shape: shape == first.shape)
            assert third is not None
            text += f", {third.name}"
            operands.append(third)
        self.define(self.fresh("v"), first.shape, f"{text}) -> {merge}", *operands)

    def write_operator(self) -> None:
        first = self.operand()
        assert first is not None
        second = self.operand(lambda shape: shape == first.shape)
        assert second is not None
        text = f"{first.name} {self.pick('+', '-', '*')} {second.name}"
        if self.draw(st.booleans()):
            text = f"{text} -> {self.pick(*ACTIVATIONS)}"
        self.define(self.fresh("v"), first.shape, text, first, second)

    def write_concatenation(self) -> None:
        first = self.operand()
        assert first is not None
        axis = self.number(0, len(first.shape) - 1)

        def fits(shape: Shape) -> bool:
            return len(shape) == len(first.shape) and all(
                k == axis or a == b for k, (a, b) in enumerate(zip(shape, first.shape, strict=True))
            )

        parts = [first]
        for _ in range(self.number(1, 3)):
            part = self.operand(fits)
            assert part is not None
            parts.append(part)
        length = sum(part.shape[axis] for part in parts)
        shape = (*first.shape[:axis], length, *first.shape[axis + 1 :])
        names = ", ".join(part.name for part in parts)
        where = self.pick("", f"(axis = {axis - len(first.shape)})") if axis == len(first.shape) - 1 else (
            f"(axis = {axis - len(first.shape)})"
        )
        self.define(self.fresh("v"), shape, f"({names}) -> Concatenate{where}", *parts)

    def write_shared(self) -> None:
        """One layer with its weights at two places, sometimes one after the other."""
        first = self.operand(lambda shape: len(shape) == 1)
        if first is None:
            return
        second = self.operand(lambda shape: shape == first.shape)
        assert second is not None
        layer, (width,) = self.fresh("shared"), first.shape
        units = self.pick(width, self.number(1, 5))
        self.lines.append(f"layer {layer} = Dense({units}, {self.pick(*ACTIVATIONS)})")
        again = f" -> {layer}" if units == width and self.draw(st.booleans()) else ""
        self.define(self.fresh("v"), (units,), f"{first.name} -> {layer}{again}", first)
        self.define(self.fresh("v"), (units,), f"{second.name} -> {layer}", second)

    def write_block(self) -> None:
        """A residual block, stacked or shared."""
        operand = self.operand(lambda shape: len(shape) == 1)
        if operand is None:
            return
        block, (width,) = self.fresh("block"), operand.shape
        self.lines.append(f"block {block}(x, units) {{")
        self.lines.append(f"  h = x -> Dense({self.number(1, 5)}, {self.pick(*ACTIVATIONS)}) -> Dense(units)")
        self.lines.append(f"  return x {self.pick('+', '*', '-')} h -> {self.pick(*ACTIVATIONS)}")
        self.lines.append("}")
        call = f"{block}(units = {width})"
        if self.draw(st.booleans()):
            text = f"{operand.name} -> {call} * {self.number(1, 3)}"
        else:
            tower = self.fresh("tower")
            self.lines.append(f"layer {tower} = {call}")
            text = f"{operand.name} -> {tower} -> {tower}"
        self.define(self.fresh("v"), operand.shape, text, operand)

    # --- ends ---------------------------------------------------------------------------------------------------
    def write_outputs(self) -> None:
        """All that is not used yet meets in the first output."""
        left = list(self.unused.values())
        flat = [t if len(t.shape) == 1 else self.define(f"{t.name}_flat", (prod(t.shape),), f"{t.name} -> Flatten", t)
                for t in left]  # fmt: skip
        trunk = flat[0].name if len(flat) == 1 else f"({', '.join(t.name for t in flat)}) -> Concatenate"
        names = [trunk]
        for _ in range(self.number(0, 2)):
            other = self.operand(lambda shape: len(shape) == 1)
            if other is not None:
                names.append(other.name)
        for name in names:
            self._write_output(name)

    def _write_output(self, operand: str) -> None:
        last, loss, target = self.pick(*JUDGEMENTS)
        name, width = self.fresh("out"), self.number(2, 4) if "C" in last else self.number(1, 3)
        last = last.replace("N", str(width)).replace("C", str(width))
        self.domains[name] = (target, width)
        entries = [f"loss = {loss}"]
        if self.draw(st.booleans()):
            entries.append(f"weight = {self.pick(0.25, 0.5, 2)}")
        if target == "class" and self.draw(st.booleans()):
            entries.append(f"class_weight = [{', '.join(str(self.pick(0.5, 1, 2)) for _ in range(width))}]")
        if METRICS[target] and self.draw(st.booleans()):
            entries.append(f"metrics = [{self.pick(*METRICS[target])}]")
        self.lines.append(f"output {name} = {operand} -> {last} {{ {', '.join(entries)} }}")

    def write_training(self, batch_size: int) -> None:
        entries = [f"optimizer = {self.pick(*OPTIMIZERS)}", f"batch_size = {batch_size}",
                   f"seed = {self.number(0, 2**40)}"]  # fmt: skip
        clip = self.pick("", "", "clip_norm = 0.5", "clip_value = 0.05")
        self.lines.append(f"train {{ {', '.join([*entries, *([clip] if clip else [])])} }}")


@st.composite
def random_networks(
    draw: Draw, max_statements: int = 8, dtype: str | None = None, randomness: bool = True
) -> RandomNetwork:
    """Networks of up to three inputs and outputs. dtype: "float32" or "float64", else either."""
    dtype = dtype or draw(st.sampled_from(("float32", "float64")))
    author = _Author(draw, dtype, randomness)
    for _ in range(author.number(1, 3)):
        author.write_input()
    for _ in range(author.number(1, max_statements)):
        author.write_statement()
    author.write_outputs()
    author.write_training(author.number(3, 6))
    return RandomNetwork("\n".join(["nn 1", "model random", *author.lines, ""]), dtype, author.domains)


def first_networks(count: int, seed: int) -> list[RandomNetwork]:
    """The first `count` different ones that Hypothesis makes from `seed`."""
    found: dict[str, RandomNetwork] = {}

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=2 * count + 10, deadline=None, database=None, phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    @hypothesis.given(random_networks())
    def collect(network: RandomNetwork) -> None:
        found.setdefault(network.text, network)

    collect()
    assert len(found) >= count, f"Hypothesis made {len(found)} networks"
    return list(found.values())[:count]
