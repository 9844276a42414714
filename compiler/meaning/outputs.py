"""Whether outputs, losses and metrics make sense together: what Keras finds after an hour, or never.

Reads the fields of the formula tables: what a loss expects of a prediction and of a target, what an activation gives.
No loss and no metric is known here by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nnc.grammar.diagnostics import Diagnostic, NncError

from ..formulas.activations import ACTIVATIONS
from ..formulas.losses import LOSSES
from ..layers.definition import Weight
from ..network import Layer, Network
from ..report import Problems, counted, fault, listed
from .judged import CLASSES, Judged
from .metrics import check_metric
from .precision import check_precision
from .stratify import check_stratify
from .training import check_monitor, check_training, watching
from .values import activation_of, beyond_probability, is_over_rows, known_values, made_by


def meaning_problems(network: Network, weights: Mapping[str, tuple[Weight, ...]]) -> tuple[Diagnostic, ...]:
    """E0504, E0507 to E0516, E0605, E0655 and E0691: what is wrong with the outputs of a typed network.

    weights: by owner.
    """
    problems = Problems()
    for layer in network.layers():
        with problems.collecting():
            _check_one_unit(layer)
    is_hopeless = {diagnostic.span for diagnostic in problems.in_order()}
    for output in network.outputs:
        judged = Judged.of(network, output)
        if judged is None or judged.layer.span in is_hopeless:
            continue
        with problems.collecting():
            _check_type(judged)
            _check_width(judged)
            _check_loss(judged)
        with problems.collecting():
            _check_class_weight(judged)
        for metric in output.metrics:
            with problems.collecting():
                check_metric(judged, metric)
    with problems.collecting():
        check_training(network, weights)
    with problems.collecting():
        check_precision(network, weights)
    with problems.collecting():
        check_stratify(network)
    for key, choice in watching(network):
        with problems.collecting():
            check_monitor(network, key, str(choice["monitor"]))
    return problems.in_order()


def complete_class_weights(network: Network) -> Network:
    """Class weights of a mapping reach to the last class; one that is not named weighs 1."""
    outputs = []
    for output in network.outputs:
        judged = Judged.of(network, output)
        if judged is not None and output.class_weight is not None:
            missing = (judged.classes or 0) - len(output.class_weight)
            output = replace(output, class_weight=output.class_weight + (1.0,) * missing)
        outputs.append(output)
    return replace(network, outputs=tuple(outputs))


# --- the prediction -----------------------------------------------------------------------------------------------
def _check_one_unit(layer: Layer) -> None:
    """A softmax over one unit is 1 whatever happens."""
    choice = activation_of(layer)
    if choice is None or layer.type is None or layer.type.shape[-1] != 1 or not is_over_rows(choice):
        return
    raise fault(
        "E0507",
        f"`{choice.name}` over one unit gives the same value whatever comes in",
        layer.span,
        f"one unit: {layer.type}",
        helps=["for a yes or no: `sigmoid` and `binary_crossentropy`; for classes: one unit for each"],
    )


def _check_type(judged: Judged) -> None:
    if not judged.type.is_float:
        raise fault(
            "E0514",
            f"output `{judged.output.name}` is {judged.type.dtype}, and a loss needs floats",
            judged.span("loss"),
            "expects float32 or float64",
            labels=judged.trail,
        )


def _check_width(judged: Judged) -> None:
    name = judged.choice.name
    if judged.loss.target in CLASSES and judged.width == 1:
        raise fault(
            "E0509",
            f"`{name}` chooses among classes, but `{judged.output.name}` has one unit",
            judged.span("loss"),
            "expects a unit for each class",
            labels=judged.trail,
            helps=["for a yes or no: `Dense(1, sigmoid)` and `binary_crossentropy`"],
        )


def _check_loss(judged: Judged) -> None:
    loss, name = judged.loss, judged.choice.name
    values, how = known_values(judged.layer), made_by(judged.layer)
    made = _probability(judged.layer)
    if loss.prediction == "probability" and judged.takes_logits:
        if made:
            raise fault(
                "E0504",
                f"`from_logits` says that no activation was applied, but {how} was",
                judged.span("loss"),
                f"would apply {loss.activation or made} again",
                labels=judged.trail,
                helps=["leave `from_logits` out: the stable form is taken by itself"],
            )
    elif loss.prediction == "probability" and not judged.gives_probabilities:
        wanted = loss.activation or "softmax"
        raise fault(
            "E0508",
            f"`{name}` needs probabilities, but {how} gives {beyond_probability(values)}",
            judged.span("loss"),
            "expects values from 0 to 1",
            labels=judged.trail,
            helps=[
                f"end with `{wanted}`: `Dense({judged.width}, {wanted})`",
                *(["or say that these are logits: `" + name + "(from_logits = true)`"] if loss.from_logits else []),
            ],
        )
    if loss.activation and made and made != loss.activation:
        raise _mismatched(judged, made)
    if values is None:
        return
    if loss.prediction == "positive" and values[0] < 0:
        raise fault(
            "E0511",
            f"`{name}` needs a prediction that is never negative, but {how} gives negative ones",
            judged.span("loss"),
            "expects values from 0",
            labels=judged.trail,
            helps=["end with `softplus` or `exponential`"],
        )
    if loss.prediction == "sign" and values[0] >= 0:
        raise fault(
            "E0511",
            f"`{name}` needs a prediction of either sign, but {how} is never negative",
            judged.span("loss"),
            "expects values around 0",
            labels=judged.trail,
            helps=["end with `tanh` or without an activation"],
        )


def _mismatched(judged: Judged, made: str) -> NncError:
    name, wanted = judged.choice.name, judged.loss.activation
    why = "one probability per unit" if wanted == "sigmoid" else "probabilities that sum to 1"
    others = [n for n, loss in LOSSES.items() if loss.activation == made]
    helps = [f"use `{wanted}`, or with `{made}` the loss {listed(others, 'or')}"]
    return fault(
        "E0510",
        f"`{name}` expects {why}, which `{made}` does not give",
        judged.span("loss"),
        f"expects `{wanted}`",
        labels=judged.trail,
        helps=helps,
    )


def _probability(layer: Layer) -> str:
    choice = activation_of(layer)
    return ACTIVATIONS[choice.name].probability if choice else ""


def _check_class_weight(judged: Judged) -> None:
    weights, classes, name = judged.output.class_weight, judged.classes, judged.choice.name
    if weights is None:
        return
    span = judged.span("class_weight")
    if classes is None:
        raise fault(
            "E0513",
            f"`class_weight` needs classes, and the targets of `{name}` are none",
            span,
            "without meaning",
            labels=judged.trail,
        )
    is_list = judged.network.span_of(f"{judged.output.name}.class_weight[]") is not None
    if len(weights) > classes or (is_list and len(weights) < classes):
        found = f"weights up to class {len(weights) - 1}" if not is_list else counted(len(weights), "weight")
        expected = f"classes 0 to {classes - 1}" if not is_list else counted(classes, "weight")
        raise fault(
            "E0513",
            f"`class_weight` does not fit: output `{judged.output.name}` has {classes} classes",
            span,
            f"expects {expected}, found {found}",
            labels=judged.trail,
        )
    if len(weights) == classes and not any(weights):
        raise fault(
            "E0513",
            f"`class_weight` gives every class of output `{judged.output.name}` the weight 0",
            span,
            "expects a weight above 0",
            notes=["the loss would be 0 whatever the prediction, and nothing would be learnt"],
        )
