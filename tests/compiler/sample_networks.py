"""Networks made in Python, and the checks of graphs that several tests share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np

from nnc.compiler.builder import Builder
from nnc.compiler.evaluate import evaluate
from nnc.compiler.formulas.losses import LOSSES
from nnc.compiler.formulas.optimizers import OPTIMIZERS
from nnc.compiler.graph import Graph, Variable
from nnc.compiler.layers import LAYERS
from nnc.compiler.network import Layer, Network
from nnc.compiler.options import Choice, OutputConfig, TrainConfig, Value
from nnc.compiler.types import BATCH, TensorType
from nnc.grammar.source import SourceFile, Span

Array = np.ndarray[Any, Any]
SOURCE = SourceFile("sample.nn", "")


def optimizer(name: str, **arguments: Value) -> Choice:
    return Choice(name, tuple({**OPTIMIZERS[name].defaults, **arguments}.items()))


def loss(name: str, **arguments: Value) -> Choice:
    return Choice(name, tuple({**LOSSES[name].defaults, **arguments}.items()))


def batch_of(*row: int, dtype: str = "float32") -> TensorType:
    return TensorType(dtype, (BATCH, *row))


class NetworkBuilder:
    """Typed networks, layer by layer; types come from the layers' own shape rules."""

    def __init__(self) -> None:
        self.graph: nx.DiGraph[str] = nx.DiGraph()

    def input(self, name: str, type: TensorType) -> str:
        return self._add(Layer(name, "Input", (), (), name, Span(SOURCE, 0, 0), "", type))

    def layer(self, name: str, kind: str, *inputs: str, weights_of: str | None = None, **given: Value) -> str:
        definition = LAYERS[kind]
        arguments = {h.name: h.default for h in definition.hyperparameters} | given
        type = definition.infer(arguments, tuple(self.graph.nodes[i]["layer"].type for i in inputs))
        span = Span(SOURCE, 0, 0)
        return self._add(Layer(name, kind, tuple(arguments.items()), inputs, weights_of or name, span, "", type))

    def _add(self, layer: Layer) -> str:
        self.graph.add_node(layer.name, layer=layer)
        self.graph.add_edges_from((name, layer.name) for name in layer.inputs)
        return layer.name

    def network(self, *outputs: OutputConfig, **train: Any) -> Network:
        inputs = tuple(n for n, data in self.graph.nodes(data=True) if data["layer"].kind == "Input")
        config = TrainConfig(**{"optimizer": optimizer("sgd"), **train})
        return Network("sample", SOURCE, self.graph, inputs, outputs, config, None, ())


def in_float64(graph: Graph, variables: Sequence[Variable]) -> tuple[Graph, dict[str, Variable]]:
    """The same computation with every float32 widened, for comparison with finite differences."""

    def widened(value: object) -> object:
        if isinstance(value, TensorType):
            return value.with_dtype("float64") if value.dtype == "float32" else value
        return "float64" if value == "float32" else value

    by_name = {v.name: replace(v, type=widened(v.type)) for v in variables}
    builder = Builder(graph.program, by_name)
    for node in graph.nodes:
        builder.origin = node.origin
        id = builder.add(node.op, node.inputs, **{key: widened(value) for key, value in node.attrs})
        assert id == len(builder.nodes) - 1
    builder.results, builder.updates = list(graph.results), list(graph.updates)
    return builder.build(), by_name


def values_for(variables: Mapping[str, Variable], rng: np.random.Generator) -> dict[str, Array]:
    """Random values: statistics positive, sums and counters zero."""
    values = {}
    for name, variable in variables.items():
        shape, dtype = variable.type.concrete(1), variable.type.dtype
        drawn = rng.uniform(0.5, 1.5, shape) if variable.role == "statistic" else rng.normal(size=shape)
        zero = variable.role in ("accumulator", "scalar", "slot")
        values[name] = np.array(np.zeros(shape) if zero else drawn, dtype)
    values["learning_rate_scale"] = np.array(1.0)
    return values


def numeric_gradient(
    graph: Graph, result: str, name: str, feeds: Mapping[str, Array], variables: Mapping[str, Array], rows: int
) -> Array:
    """Central differences of a scalar result by one variable."""
    base = variables[name]
    gradient = np.zeros(base.shape)
    for index in np.ndindex(base.shape):
        step = 1e-6 * max(1.0, abs(float(base[index])))
        ends = []
        for sign in (1, -1):
            moved = base.copy()
            moved[index] += sign * step
            ends.append(float(evaluate(graph, feeds, {**variables, name: moved}, 7, rows)[0][result]))
        gradient[index] = (ends[0] - ends[1]) / (2 * step)
    return gradient
