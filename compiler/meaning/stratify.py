"""Whether a split can be stratified by what it names: each sample must be of one class."""

from __future__ import annotations

from ..network import Network
from ..report import fault
from .judged import CLASSES, Judged


def check_stratify(network: Network) -> None:
    """Raises E0655 for an input or target of `split { stratify = ... }` that names no class of a sample."""
    name = network.data.split.stratify if network.data is not None and network.data.split is not None else None
    span = network.span_of("data.split.stratify")
    if name is None or span is None:
        return
    found, place = "", None
    if name in network.inputs:
        layer = network.layer(name)
        assert layer.type is not None
        place = layer.span
        if layer.type.is_float or any(dim != 1 for dim in layer.type.shape[1:]):
            found = f"input `{name}` holds {layer.type}"
    else:
        every = (Judged.of(network, output) for output in network.outputs)
        judged = next((one for one in every if one and name in (one.output.name, one.output.target)), None)
        if judged is None:
            found = f"`{name}` is a factor in the loss"
        elif not _names_a_class(judged):
            kind = "give several answers for a sample" if judged.loss.activation else "are quantities"
            found = f"the targets of `{judged.choice.name}` {kind}"
            place = judged.span("loss")
    if found:
        raise fault(
            "E0655",
            f"cannot stratify by `{name}`: it does not say which class a sample is of",
            span,
            "expects a target or an input that is one class",
            labels=[(place, found)] if place is not None else [],
            notes=[] if place is not None else [found],
        )


def _names_a_class(judged: Judged) -> bool:
    is_single = len(judged.type.shape) <= 2
    is_sign = judged.loss.prediction == "sign" and judged.width == 1
    return is_single and (judged.loss.target in CLASSES or judged.classes is not None or is_sign)
