"""From probabilities to classes: the likeliest of several, yes or no of each sigmoid; by number or by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nnc.compiler.formulas.losses import LOSSES
from nnc.compiler.options import OutputConfig
from nnc.compiler.plan import Plan
from nnc.runtime.protocol import Array


@dataclass(frozen=True, slots=True)
class Classifier:
    """How one output's value becomes a class.

    kind: "likeliest" of the last axis, or "above" the threshold, each element for itself. `names`: what the classes
    are called, if that is known.
    """

    kind: str
    threshold: float = 0.5
    names: tuple[str, ...] = ()

    def classes(self, values: Array) -> Array:
        """The class of each row: its name, or its number."""
        if self.kind == "likeliest":
            found: Array = np.asarray(values.argmax(axis=-1))
        else:
            found = (values > self.threshold).astype(np.int64)
            if values.shape[-1:] == (1,):
                found = found[..., 0]
        return np.array(self.names)[found] if self.names else found


def classifiers(
    plan: Plan, outputs: Iterable[OutputConfig], vocabularies: Mapping[str, Sequence[str]]
) -> dict[str, Classifier]:
    """The outputs that are judged as classes, by the loss that they were trained with."""
    shapes = {signature.name: signature.type.shape for signature in plan.outputs}
    found: dict[str, Classifier] = {}
    for output in outputs:
        if output.loss is None or output.loss.name not in LOSSES or not shapes[output.name]:
            continue
        width = shapes[output.name][-1]
        names = tuple(vocabularies.get(output.name) or vocabularies.get(output.target or "") or ())
        activation = LOSSES[output.loss.name].activation
        if activation == "softmax":
            found[output.name] = Classifier("likeliest", names=_padded(names, width) if isinstance(width, int) else ())
        elif activation == "sigmoid":
            has_logits = dict(output.loss.arguments).get("from_logits") is True
            is_named = width == 1 and len(names) == 2
            found[output.name] = Classifier("above", 0.0 if has_logits else 0.5, names if is_named else ())
    return found


def _padded(names: tuple[str, ...], width: int) -> tuple[str, ...]:
    """A name for each unit; one beyond the texts that training saw has its number for one."""
    return (*names, *(f"class {number}" for number in range(len(names), width))) if 0 < len(names) <= width else ()
