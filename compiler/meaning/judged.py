"""An output together with what judges it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nnc.grammar.source import Span

from ..formulas.definition import Loss
from ..formulas.losses import LOSSES
from ..network import Layer, Network
from ..options import Choice, OutputConfig
from ..types import TensorType
from .values import is_probability, known_values, last_layer, made_by

CLASSES: Final = ("class", "one_hot")  # kinds of target that name a class


@dataclass(frozen=True, slots=True)
class Judged:
    """An output with its loss: `layer` is the one that decides which values it can take."""

    network: Network
    output: OutputConfig
    choice: Choice
    loss: Loss
    layer: Layer
    type: TensorType

    @classmethod
    def of(cls, network: Network, output: OutputConfig) -> Judged | None:
        """None where there is no loss to be judged by."""
        if output.loss is None:
            return None
        type = network.layer(output.layer).type
        assert type is not None
        layer = last_layer(network, output.layer)
        return cls(network, output, output.loss, LOSSES[output.loss.name], layer, type)

    @property
    def width(self) -> int:
        """Units of the last axis; a scalar per sample is one."""
        last = self.type.shape[-1]
        return last if isinstance(last, int) else 1

    @property
    def classes(self) -> int | None:
        """How many classes its targets have; None where they are no classes."""
        if self.loss.target in CLASSES:
            return self.width
        return 2 if self.loss.activation == "sigmoid" and self.width == 1 else None

    @property
    def takes_logits(self) -> bool:
        """Whether the spec says that the prediction is made of logits."""
        return dict(self.choice.arguments).get("from_logits") is True

    @property
    def gives_probabilities(self) -> bool:
        """False only where it is known that its values may leave 0 to 1."""
        values = known_values(self.layer)
        return values is None or is_probability(values)

    def span(self, entry: str) -> Span:
        """Where an entry of the output is written; the output itself where it is not."""
        found = self.network.span_of(f"{self.output.name}.{entry}") or self.network.span_of(self.output.name)
        return found or self.layer.span

    @property
    def trail(self) -> list[tuple[Span, str]]:
        """The label of the layer that makes the prediction."""
        return [(self.layer.span, f"{made_by(self.layer)}: {self.type}")]
