"""Random networks: several inputs and outputs, shared weights, concatenations, every kind of layer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from sample_networks import NetworkBuilder, batch_of, in_float64, loss, optimizer

from nnc.compiler.autodiff import differentiate
from nnc.compiler.graph import Programs
from nnc.compiler.lower import lower
from nnc.compiler.network import Network
from nnc.compiler.options import Choice, OutputConfig
from nnc.compiler.simplify import simplify

ACTIVATIONS = ("relu", "tanh", "sigmoid", "elu", "gelu", "softplus", "silu", "softmax", "log_softmax", "leaky_relu")
MERGES = ("Add", "Multiply", "Subtract", "Average", "Maximum", "Minimum")
LOSSES = ("mse", "mae", "huber", "log_cosh", "cosine_similarity", "binary_crossentropy")
OPTIMIZERS = ("sgd", "rmsprop", "adam", "adamw", "nadam", "adagrad", "adamax", "lion")


def programs_of(network: Network) -> Programs:
    return simplify(differentiate(lower(network), network))


def widened(programs: Programs) -> Programs:
    """The same programs in float64, so that rounding cannot hide a mistake or look like one."""
    graphs, by_name = [], {}
    for graph in programs.graphs:
        wide, names = in_float64(graph, programs.variables)
        graphs.append(wide)
        by_name |= names
    return replace(programs, graphs=tuple(graphs), variables=tuple(by_name[v.name] for v in programs.variables))


class _Growth:
    """A network in the making: `values` are tensors of floats with a batch."""

    def __init__(self, draw: Any, widths: st.SearchStrategy[int]) -> None:
        self.draw, self.widths = draw, widths
        self.builder = NetworkBuilder()
        self.values: list[str] = []
        self.shared: list[tuple[str, int]] = []

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.builder.graph.nodes[name]["layer"].type.shape[1:])

    def choose(self, options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def add(self, kind: str, *inputs: str, **arguments: Any) -> str:
        name = self.builder.layer(f"v{len(self.builder.graph)}", kind, *inputs, **arguments)
        self.values.append(name)
        return name

    def flat(self, name: str) -> str:
        return name if len(self.shape(name)) == 1 else self.add("Flatten", name)

    def inputs(self) -> None:
        for number in range(self.draw(st.integers(1, 3))):
            kind = self.choose(("vector", "vector", "matrix", "bytes", "index"))
            name = f"in{number}"
            if kind == "vector":
                self.values.append(self.builder.input(name, batch_of(self.draw(self.widths))))
            elif kind == "matrix":
                self.values.append(self.builder.input(name, batch_of(self.draw(st.integers(1, 4)), 3)))
            elif kind == "bytes":
                self.add("Rescale", self.builder.input(name, batch_of(2, 3, dtype="uint8")), scale=1 / 255)
            else:
                index = self.builder.input(name, batch_of(self.draw(st.integers(1, 3)), dtype="int32"))
                self.add("Embedding", index, input_dim=4, output_dim=3)

    def grow(self) -> None:
        source = self.choose(self.values[-4:])
        kind = self.choose((
            "dense", "dense", "dense", "activation", "merge", "concat", "concat", "norm", "noise", "reshape", "maxout",
            "shared",
        ))  # fmt: skip
        getattr(self, f"_{kind}")(source)

    def _dense(self, source: str) -> None:
        arguments: dict[str, Any] = {"activation": Choice(self.choose(("linear", "relu", "tanh", "softmax")))}
        if self.draw(st.integers(0, 5)) == 0:
            arguments["kernel_regularizer"] = Choice("l2", (("l2", 0.1),))
        arguments["use_bias"] = self.draw(st.integers(0, 4)) > 0
        name = self.add("Dense", self.flat(source), units=self.draw(self.widths), **arguments)
        if arguments["use_bias"] and "kernel_regularizer" not in arguments:
            self.shared.append((name, self.shape(self.builder.graph.nodes[name]["layer"].inputs[0])[0]))

    def _shared(self, source: str) -> None:
        """A second use of some Dense layer's weights, where a value of the right width is at hand."""
        for owner, width in self.shared:
            for value in self.values:
                if self.shape(value) == (width,) and value != owner:
                    layer = self.builder.graph.nodes[owner]["layer"]
                    self.add("Dense", value, weights_of=owner, **dict(layer.arguments))
                    return

    def _activation(self, source: str) -> None:
        self.add("Activation", source, activation=Choice(self.choose(ACTIVATIONS)))

    def _merge(self, source: str) -> None:
        others = [v for v in self.values if self.shape(v) == self.shape(source)]
        self.add(self.choose(MERGES), source, self.choose(others))

    def _concat(self, source: str) -> None:
        others = [v for v in self.values if self.shape(v)[:-1] == self.shape(source)[:-1]]
        picked = [source, *(self.choose(others) for _ in range(self.draw(st.integers(1, 2))))]
        self.add("Concatenate", *picked)

    def _norm(self, source: str) -> None:
        self.add(self.choose(("BatchNormalization", "LayerNormalization")), source)

    def _noise(self, source: str) -> None:
        if self.draw(st.booleans()):
            self.add("Dropout", source, rate=0.3)
        else:
            self.add("GaussianNoise", source, stddev=0.1)

    def _reshape(self, source: str) -> None:
        size = 1
        for dim in self.shape(source):
            size *= dim
        rows = self.choose([d for d in range(1, size + 1) if size % d == 0])
        self.add("Reshape", source, target_shape=(rows, size // rows))

    def _maxout(self, source: str) -> None:
        self.add("Maxout", self.flat(source), units=self.draw(self.widths), pieces=2)

    def outputs(self) -> list[OutputConfig]:
        result = []
        for number in range(self.draw(st.integers(1, 2))):
            source = self.flat(self.choose(self.values[-5:]))
            name, weight = f"out{number}", self.choose((1.0, 0.3))
            if self.draw(st.booleans()):
                self.add_output(name, source, 3, "softmax")
                used = Choice("sparse_categorical_crossentropy", loss("sparse_categorical_crossentropy").arguments)
                result.append(OutputConfig(name, name, used, weight, metrics=(Choice("accuracy"),)))
                continue
            used = loss(self.choose(LOSSES))
            units = self.draw(st.integers(1, 3))
            self.add_output(name, source, units, "sigmoid" if used.name == "binary_crossentropy" else "linear")
            result.append(OutputConfig(name, name, used, weight, metrics=(Choice("mae"),)))
        return result

    def add_output(self, name: str, source: str, units: int, activation: str) -> None:
        self.builder.layer(name, "Dense", source, units=units, activation=Choice(activation))


@st.composite
def networks(draw: Any, layers: int = 10, widest: int = 9) -> Network:
    """A network of up to `layers` hidden layers, with its outputs, losses and optimizer."""
    growth = _Growth(draw, st.integers(1, widest))
    growth.inputs()
    for _ in range(draw(st.integers(1, layers))):
        growth.grow()
    outputs = growth.outputs()
    train: dict[str, Any] = {"optimizer": optimizer(draw(st.sampled_from(OPTIMIZERS)), learning_rate=0.5)}
    clip = draw(st.sampled_from((None, None, "norm", "value")))
    if clip is not None:
        train[f"clip_{clip}"] = 0.1
    return growth.builder.network(*outputs, batch_size=draw(st.sampled_from((1, 2, 5, 32))), **train)
