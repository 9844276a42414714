"""Network -> the same network with a type on every edge, and everything checked that needs no data.

The batch is a symbol. All faults are found in one pass, each with the trail of where its inputs got their shapes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Final

from nnc.grammar.diagnostics import Diagnostic, NncError
from nnc.grammar.source import Span

from .layers import LAYERS
from .layers.definition import ShapeProblem, Weight
from .meaning.outputs import complete_class_weights, meaning_problems
from .network import Layer, Network
from .report import Problems, fault
from .types import TensorType

if TYPE_CHECKING:
    import networkx as nx

MOST_ELEMENTS: Final = 2**31 - 1  # of one sample's value, or of one weight


def check_shapes(network: Network) -> Network:
    """Every layer typed.

    Requires: what `build_network` ensures.
    Ensures: every layer has a type; outputs, losses and metrics fit each other.
    Raises: NncError with every fault, E02 and E05.
    """
    typing = _Typing(network)
    typing.run()
    typed = typing.typed()
    if not typing.problems:
        typing.problems.add(*meaning_problems(typed, typing.weights))
    if typing.problems:
        raise NncError(*typing.problems.in_order())
    return complete_class_weights(typed)


def shape_problems(network: Network) -> tuple[Diagnostic, ...]:
    """The faults of shapes in a network of which parts may be missing, because they have other faults."""
    typing = _Typing(network)
    typing.run()
    return typing.problems.in_order()


@dataclass(slots=True)
class _Typing:
    """One pass over the layers in order; a layer whose input has no type is passed over."""

    network: Network
    problems: Problems = field(default_factory=Problems)
    types: dict[str, TensorType] = field(default_factory=dict)
    layers: dict[str, Layer] = field(default_factory=dict)
    weights: dict[str, tuple[Weight, ...]] = field(default_factory=dict)  # by the name of their owner
    owners: dict[str, Layer] = field(default_factory=dict)  # the first use of each

    def run(self) -> None:
        for layer in self.network.layers():
            self.layers[layer.name] = layer
            if layer.type is not None:
                self.types[layer.name] = layer.type
            elif all(name in self.types for name in layer.inputs):
                with self.problems.collecting():
                    self._infer(layer)

    def typed(self) -> Network:
        """The network with the types found."""
        graph: nx.DiGraph[str] = self.network.graph.copy()
        for name, type in self.types.items():
            graph.nodes[name]["layer"] = replace(self.layers[name], type=type)
        return replace(self.network, graph=graph)

    def _infer(self, layer: Layer) -> None:
        definition, arguments = LAYERS[layer.kind], dict(layer.arguments)
        inputs = tuple([self.types[name] for name in layer.inputs])
        try:
            type = definition.infer(arguments, inputs)
        except ShapeProblem as problem:
            raise self._misfit(layer, problem) from None
        _check_size(layer, type, "its value has {:,} elements per sample")
        weights = definition.weights(arguments, inputs)
        for weight in weights:
            _check_size(layer, weight.type, f"`{weight.name}` has {{:,}} elements")
        if layer.weights_of in self.weights:
            self._check_shared(layer, weights)
        else:
            self.weights[layer.weights_of], self.owners[layer.weights_of] = weights, layer
        self.types[layer.name] = type

    def _check_shared(self, layer: Layer, weights: tuple[Weight, ...]) -> None:
        first = self.owners[layer.weights_of]
        for mine, known in zip(weights, self.weights[layer.weights_of], strict=True):
            if mine.type != known.type:
                labels = [(first.span, f"{self.types[first.inputs[0]]} arrives here")]
                if self._origin(layer.inputs[0])[0] != first.span:
                    labels.append(self._origin(layer.inputs[0]))
                raise fault(
                    "E0208",
                    f"`{layer.weights_of}` has one set of weights, but inputs of different widths",
                    layer.span,
                    f"{self.types[layer.inputs[0]]} arrives here",
                    labels=labels,
                    helps=["define a second layer for the other width"],
                )

    def _misfit(self, layer: Layer, problem: ShapeProblem) -> NncError:
        """The layer's complaint with the trail of the guilty input, or of every input where several must agree."""
        guilty = layer.inputs if len(layer.inputs) > 1 else (layer.inputs[problem.input],)
        labels: dict[Span, str] = {}
        for name in guilty:
            span, text = self._origin(name)
            labels[span] = text
        labels.pop(layer.span, None)
        helps = [problem.help] if problem.help else []
        return fault(problem.code, problem.message, layer.span, problem.expected, labels=labels.items(), helps=helps)

    def _origin(self, name: str) -> tuple[Span, str]:
        """Where a value got its shape, and what became of it since: `float32[batch, 8] after `Rescale``."""
        trail = [self.layers[name], *self._before(name)]
        text = str(self.types[name])
        source = next((below for below, above in pairwise(trail) if not self._keeps_shape(below, above)), trail[-1])
        if source is not trail[0]:
            text += f" after `{trail[0].kind}`"
        return source.span, text

    def _before(self, name: str) -> Iterator[Layer]:
        """The layers before `name` as long as each has one input."""
        layer = self.layers[name]
        while len(layer.inputs) == 1:
            layer = self.layers[layer.inputs[0]]
            yield layer

    def _keeps_shape(self, layer: Layer, source: Layer) -> bool:
        return self.types[layer.name].shape == self.types[source.name].shape and layer.kind not in _MAKERS


_MAKERS: Final = frozenset({"Dense", "Maxout"})  # what gives a value its width, though it may be the same by chance


def _check_size(layer: Layer, type: TensorType, text: str) -> None:
    size = prod(dim for dim in type.shape if isinstance(dim, int))
    if size > MOST_ELEMENTS:
        raise fault(
            "E0212",
            f"`{layer.kind}` is too large: {text.format(size)}",
            layer.span,
            f"expects at most {MOST_ELEMENTS:,}",
        )
