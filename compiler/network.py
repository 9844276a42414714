"""The network: a model as a networkx DAG of layers, after names, params, blocks and shared layers are resolved.

Made by `resolve.py`, typed by `shapes.py`, expanded into primitive ops by `lower.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnc.grammar.source import SourceFile, Span

from .options import DataConfig, OutputConfig, TrainConfig, Value
from .types import TensorType

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True, slots=True)
class Layer:
    """One use of a layer: a node of the DAG.

    `name` is unique and made of the user's own names: the last layer of a binding bears the binding's name, one
    before it `hidden.flatten`, a stacked copy `trunk.2`, one inside a block `trunk.1.h`. `weights_of` names the layer
    whose weights it uses: its own name, or that of a shared `layer`. `inputs` are layer names in argument order.
    `type` is the type of its value with the batch axis; None until the shapes stage.
    """

    name: str
    kind: str                                   # key of the layer registry, or "Input"
    arguments: tuple[tuple[str, Value], ...]    # every hyperparameter, defaults filled in
    inputs: tuple[str, ...]
    weights_of: str
    span: Span
    doc: str = ""
    type: TensorType | None = None

    def argument(self, name: str) -> Value:
        return dict(self.arguments)[name]


@dataclass(frozen=True, slots=True)
class Network:
    """A whole model. `graph`: DiGraph whose nodes are layer names in a topological order the user would recognise,
    each with attribute `layer`; an edge (a, b) says that b reads a, with attribute `positions`. Never mutated."""

    name: str
    source: SourceFile
    graph: nx.DiGraph[str]
    inputs: tuple[str, ...]
    outputs: tuple[OutputConfig, ...]
    train: TrainConfig
    data: DataConfig | None
    params: tuple[tuple[str, Value], ...]       # every `param` with the value in force
    output_spans: tuple[tuple[str, Span], ...] = ()   # "main", "main.loss", "main.metrics" ... -> where it is written

    def layer(self, name: str) -> Layer:
        layer: Layer = self.graph.nodes[name]["layer"]
        return layer

    def layers(self) -> tuple[Layer, ...]:
        """All layers, inputs first come, every layer after those it reads."""
        return tuple(data["layer"] for _, data in self.graph.nodes(data=True))

    def span_of(self, key: str) -> Span | None:
        return dict(self.output_spans).get(key)
