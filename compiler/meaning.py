"""Whether outputs, losses and metrics make sense together: what Keras finds after an hour, or never.

Reads the fields of the formula tables: what a loss expects of a prediction and of a target, what an activation gives.
No loss and no metric is known here by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from nnc.grammar.diagnostics import Diagnostic, NncError
from nnc.grammar.source import Span

from .figures import activation_of, is_over_rows, is_probability, known_values, last_layer, made_by
from .formulas.activations import ACTIVATIONS
from .formulas.definition import Loss, Metric
from .formulas.losses import LOSSES
from .formulas.metrics import METRICS
from .layers.definition import Weight
from .network import Layer, Network
from .options import Choice, OutputConfig
from .report import Problems, counted, did_you_mean, fault, listed
from .types import TensorType

_CLASSES: Final = ("class", "one_hot")


def meaning_problems(network: Network, weights: Mapping[str, tuple[Weight, ...]]) -> tuple[Diagnostic, ...]:
    """E0507 to E0517 and E0605: what is wrong with the outputs of a typed network. `weights` are by owner."""
    problems = Problems()
    for layer in network.layers():
        with problems.collecting():
            _check_one_unit(layer)
    is_hopeless = {diagnostic.span for diagnostic in problems.in_order()}
    for output in network.outputs:
        judged = Judged.of(network, output)
        if judged is None or judged.layer.span in is_hopeless:
            continue
        for check in (_check_type, _check_width, _check_loss, _check_class_weight):
            with problems.collecting():
                check(judged)
        for metric in output.metrics:
            with problems.collecting():
                _check_metric(judged, metric)
    with problems.collecting():
        _check_training(network, weights)
    for key, choice in _watching(network):
        with problems.collecting():
            _check_monitor(network, key, str(choice["monitor"]))
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
        if self.loss.target in _CLASSES:
            return self.width
        return 2 if self.loss.activation == "sigmoid" and self.width == 1 else None

    @property
    def takes_logits(self) -> bool:
        return dict(self.choice.arguments).get("from_logits") is True

    @property
    def gives_probabilities(self) -> bool:
        """False only where it is known that its values may leave 0 to 1."""
        values = known_values(self.layer)
        return values is None or is_probability(values)

    def span(self, entry: str) -> Span:
        found = self.network.span_of(f"{self.output.name}.{entry}") or self.network.span_of(self.output.name)
        return found or self.layer.span

    @property
    def trail(self) -> list[tuple[Span, str]]:
        """The label of the layer that makes the prediction."""
        return [(self.layer.span, f"{made_by(self.layer)}: {self.type}")]


# --- the prediction -----------------------------------------------------------------------------------------------
def _check_one_unit(layer: Layer) -> None:
    """A softmax over one unit is 1 whatever happens."""
    choice = activation_of(layer)
    if choice is None or layer.type is None or layer.type.shape[-1] != 1 or not is_over_rows(choice):
        return
    raise fault("E0507", f"`{choice.name}` over one unit gives the same value whatever comes in", layer.span,
                f"one unit: {layer.type}",
                helps=["for a yes or no: `sigmoid` and `binary_crossentropy`; for classes: one unit for each"])


def _check_type(judged: Judged) -> None:
    if not judged.type.is_float:
        raise fault("E0514", f"output `{judged.output.name}` is {judged.type.dtype}, and a loss needs floats",
                    judged.span("loss"), "expects float32 or float64", labels=judged.trail)


def _check_width(judged: Judged) -> None:
    name = judged.choice.name
    if judged.loss.target in _CLASSES and judged.width == 1:
        raise fault("E0509", f"`{name}` chooses among classes, but `{judged.output.name}` has one unit",
                    judged.span("loss"), "expects a unit for each class", labels=judged.trail,
                    helps=["for a yes or no: `Dense(1, sigmoid)` and `binary_crossentropy`"])


def _check_loss(judged: Judged) -> None:
    loss, name = judged.loss, judged.choice.name
    values, how = known_values(judged.layer), made_by(judged.layer)
    made = _probability(judged.layer)
    if loss.prediction == "probability" and judged.takes_logits:
        if made:
            raise fault("E0517", f"`from_logits` says that no activation was applied, but {how} was", judged.span("loss"),
                        f"would apply {loss.activation or made} again", labels=judged.trail,
                        helps=["leave `from_logits` out: the stable form is taken by itself"])
    elif loss.prediction == "probability" and not judged.gives_probabilities:
        wanted = loss.activation or "softmax"
        raise fault("E0508", f"`{name}` needs probabilities, but {how} gives any number", judged.span("loss"),
                    "expects values from 0 to 1", labels=judged.trail,
                    helps=[f"end with `{wanted}`: `Dense({judged.width}, {wanted})`",
                           *(["or say that these are logits: `" + name + "(from_logits = true)`"]
                             if loss.from_logits else [])])
    if loss.activation and made and made != loss.activation:
        raise _mismatched(judged, made)
    if values is None:
        return
    if loss.prediction == "positive" and values[0] < 0:
        raise fault("E0511", f"`{name}` needs a prediction that is never negative, but {how} gives negative ones",
                    judged.span("loss"), "expects values from 0", labels=judged.trail,
                    helps=["end with `softplus` or `exponential`"])
    if loss.prediction == "sign" and values[0] >= 0:
        raise fault("E0511", f"`{name}` needs a prediction of either sign, but {how} is never negative",
                    judged.span("loss"), "expects values around 0", labels=judged.trail,
                    helps=["end with `tanh` or without an activation"])


def _mismatched(judged: Judged, made: str) -> NncError:
    name, wanted = judged.choice.name, judged.loss.activation
    why = "one probability per unit" if wanted == "sigmoid" else "probabilities that sum to 1"
    others = [n for n, loss in LOSSES.items() if loss.activation == made]
    helps = [f"use `{wanted}`, or with `{made}` the loss {listed(others, 'or')}"]
    return fault("E0510", f"`{name}` expects {why}, which `{made}` does not give", judged.span("loss"),
                 f"expects `{wanted}`", labels=judged.trail, helps=helps)


def _probability(layer: Layer) -> str:
    choice = activation_of(layer)
    return ACTIVATIONS[choice.name].probability if choice else ""


def _check_class_weight(judged: Judged) -> None:
    weights, classes, name = judged.output.class_weight, judged.classes, judged.choice.name
    if weights is None:
        return
    span = judged.span("class_weight")
    if classes is None:
        raise fault("E0513", f"`class_weight` needs classes, and the targets of `{name}` are none", span,
                    "without meaning", labels=judged.trail)
    is_list = judged.network.span_of(f"{judged.output.name}.class_weight[]") is not None
    if len(weights) > classes or (is_list and len(weights) < classes):
        found = f"weights up to class {len(weights) - 1}" if not is_list else counted(len(weights), "weight")
        expected = f"classes 0 to {classes - 1}" if not is_list else counted(classes, "weight")
        raise fault("E0513", f"`class_weight` does not fit: output `{judged.output.name}` has {classes} classes", span,
                    f"expects {expected}, found {found}", labels=judged.trail)


# --- metrics ------------------------------------------------------------------------------------------------------
def _check_metric(judged: Judged, choice: Choice) -> None:
    metric, name = METRICS[choice.name], choice.name
    span, kind = judged.span(f"metrics.{name}"), judged.loss.target
    fits = [n for n, m in METRICS.items() if _suits(m, kind) and n not in LOSSES]
    if not _suits(metric, kind):
        found = {"class": "class numbers", "one_hot": "one value per class", "like": "values"}
        raise fault("E0512", f"metric `{name}` does not fit targets of `{judged.choice.name}`", span,
                    f"the targets are {found[kind]}", helps=[f"of the metrics that fit: {listed(fits[:5])}"])
    arguments = dict(choice.arguments)
    if metric.width is not None and metric.width != judged.width:
        raise fault("E0512", f"metric `{name}` is for {counted(metric.width, 'unit')}, but `{judged.output.name}` has "
                    f"{judged.width}", span, f"expects {counted(metric.width, 'unit')}", labels=judged.trail)
    k = arguments.get("k")
    if isinstance(k, int) and k >= judged.width:
        raise fault("E0512", f"`{name}` with k = {k} is always 1 for {counted(judged.width, 'class')}", span,
                    f"expects k below {judged.width}", labels=judged.trail, helps=["give a smaller `k`"])
    _check_metric_values(judged, choice, metric, span)


def _check_metric_values(judged: Judged, choice: Choice, metric: Metric, span: Span) -> None:
    """A metric that reads probabilities, or that draws its line at 0.5, of a prediction that is something else."""
    if judged.gives_probabilities:
        return
    name, arguments, how = choice.name, dict(choice.arguments), made_by(judged.layer)
    loss = LOSSES.get(name)
    if loss is not None:
        if loss.prediction == "probability" and not arguments.get("from_logits"):
            raise fault("E0512", f"metric `{name}` needs probabilities, but {how} gives any number", span,
                        "expects values from 0 to 1", labels=judged.trail,
                        helps=[f"say that these are logits: `{name}(from_logits = true)`"])
        return
    threshold = next((value for key, value in arguments.items() if key.startswith("threshold")), None)
    counts_halves = threshold == 0.5 or (metric.targets == Metric.__dataclass_fields__["targets"].default
                                         and not arguments and judged.width == 1)
    if counts_halves:
        raise fault("E0512", f"metric `{name}` asks whether the prediction is above 0.5, but {how} gives any number", span,
                    "expects values from 0 to 1", labels=judged.trail,
                    helps=["for logits: `binary_accuracy(threshold = 0)`; for a regression: `mae` or `rmse`"])


def _suits(metric: Metric, kind: str) -> bool:
    """Class numbers are apart; one-hot targets and others have the shape of the prediction."""
    return kind in metric.targets if kind == "class" else any(target != "class" for target in metric.targets)


# --- training -----------------------------------------------------------------------------------------------------
def _check_training(network: Network, weights: Mapping[str, tuple[Weight, ...]]) -> None:
    span = network.span_of("train")
    if span is None:
        return
    if all(output.loss is None for output in network.outputs):
        labels = [(place, "has no `loss`") for place in (network.span_of(o.name) for o in network.outputs) if place]
        raise fault("E0515", "there is nothing to train: no output has a loss", span, labels=labels,
                    helps=["give an output a loss: `{ loss = mse }`"])
    for layer in network.layers():
        owned = weights.get(layer.weights_of, ())
        if any(w.role == "weight" for w in owned) and dict(layer.arguments).get("trainable", True):
            return
    raise fault("E0516", "there is nothing to train: no layer has weights that may change", span,
                helps=["add a layer with weights, such as `Dense`, or leave `train` out"])


def _watching(network: Network) -> list[tuple[str, Choice]]:
    """The choices of `train` that watch a figure, with the key of their place."""
    rate = dict(network.train.optimizer.arguments).get("learning_rate")
    found = [("train.early_stopping", network.train.early_stopping), ("train.optimizer", rate)]
    return [(key, choice) for key, choice in found if isinstance(choice, Choice) and "monitor" in dict(choice.arguments)]


def _check_monitor(network: Network, key: str, monitor: str) -> None:
    """The figure is one that training reports; a metric may stand without its output where one output has it."""
    bare, span = monitor.removeprefix("val_"), network.span_of(key)
    figures = [f"{o.name}.loss" for o in network.outputs if o.loss] + [
        f"{o.name}.{metric.name}" for o in network.outputs for metric in o.metrics]
    matches = [figure for figure in figures if figure.endswith(f".{bare}")]
    if span is None or bare == "loss" or bare in figures or len(matches) == 1 or bare.endswith("_regularizer"):
        return
    if matches:
        raise fault("E0605", f"`{monitor}` could be several figures", span, f"expects one of {listed(matches, 'or')}",
                    helps=[f'say which, in quotes: `monitor = "val_{matches[0]}"`'])
    known = ["loss", "val_loss", *(f.rpartition(".")[2] for f in figures), *figures]
    raise fault("E0605", f"training reports no figure `{monitor}`", span, "not known",
                helps=did_you_mean(monitor, dict.fromkeys([*known, *(f"val_{f}" for f in known[2:])])),
                notes=[f"it reports {listed(dict.fromkeys(['loss', 'val_loss', *figures]))}"])


