"""Whether a metric fits the targets and the prediction of its output."""

from __future__ import annotations

from nnc.grammar.source import Span

from ..formulas.definition import Metric
from ..formulas.losses import LOSSES
from ..formulas.metrics import METRICS
from ..options import Choice
from ..report import counted, fault, listed
from .judged import CLASSES, Judged
from .values import beyond_probability, known_values, made_by


def check_metric(judged: Judged, choice: Choice) -> None:
    """Raises E0512 unless the metric fits."""
    metric, name = METRICS[choice.name], choice.name
    span, kind = judged.span(f"metrics.{name}"), judged.loss.target
    fits = [n for n, m in METRICS.items() if _suits(m, kind) and n not in LOSSES]
    if not _suits(metric, kind):
        found = {"class": "class numbers", "one_hot": "one value per class", "like": "values"}
        raise fault(
            "E0512",
            f"metric `{name}` does not fit targets of `{judged.choice.name}`",
            span,
            f"the targets are {found[kind]}",
            helps=[f"of the metrics that fit: {listed(fits[:5])}"],
        )
    arguments = dict(choice.arguments)
    if metric.measure == "confusion" and len(judged.type.shape) > 2:
        raise fault(
            "E0512",
            f"`{name}` counts one answer per sample, but `{judged.output.name}` is {judged.type}",
            span,
            "expects a vector per sample",
            labels=judged.trail,
        )
    if metric.needs_classes and judged.loss.target not in CLASSES:
        _check_answers(judged, name, metric, span)
    if metric.of_classes is not None and judged.loss.target in CLASSES and arguments.get("thresholds") != 0.5:
        raise fault(
            "E0512",
            f"`{name}` takes the class with the largest unit, so it has no threshold",
            span,
            "without effect",
            labels=judged.trail,
            helps=["leave `thresholds` out"],
        )
    k = arguments.get("k")
    if isinstance(k, int) and k >= judged.width:
        raise fault(
            "E0512",
            f"`{name}` with k = {k} is always 1: `{judged.output.name}` has {counted(judged.width, 'unit')}",
            span,
            f"expects k below {judged.width}",
            labels=judged.trail,
            helps=["give a smaller `k`"],
        )
    _check_metric_values(judged, choice, metric, span)


def _check_answers(judged: Judged, name: str, metric: Metric, span: Span) -> None:
    """A metric of classes beside a loss whose targets are values: they must at least be yes or no."""
    loss = judged.loss
    if not (loss.activation or loss.prediction == "sign" or judged.gives_probabilities):
        raise fault(
            "E0512",
            f"metric `{name}` needs classes, or yes and no, and the targets of `{judged.choice.name}` are values",
            span,
            "expects classes",
            labels=judged.trail,
            helps=["for a regression: `mae`, `rmse` or `r2_score`"],
        )
    if metric.measure == "confusion" and judged.width != 1:
        raise fault(
            "E0512",
            f"`{name}` needs one answer per sample, but `{judged.output.name}` has {judged.width} of yes or no",
            span,
            "expects classes, or one unit",
            labels=judged.trail,
            helps=["`precision` and `recall` count over all units"],
        )


def _check_metric_values(judged: Judged, choice: Choice, metric: Metric, span: Span) -> None:
    """A metric that reads probabilities, or that draws its line at 0.5, of a prediction that is something else."""
    if judged.gives_probabilities:
        return
    name, arguments = choice.name, dict(choice.arguments)
    gives = f"{made_by(judged.layer)} gives {beyond_probability(known_values(judged.layer))}"
    loss = LOSSES.get(name)
    if loss is not None:
        if loss.prediction == "probability" and not arguments.get("from_logits"):
            raise fault(
                "E0512",
                f"metric `{name}` needs probabilities, but {gives}",
                span,
                "expects values from 0 to 1",
                labels=judged.trail,
                helps=[f"say that these are logits: `{name}(from_logits = true)`"],
            )
        return
    threshold = next((value for key, value in arguments.items() if key.startswith("threshold")), None)
    is_drawn = judged.loss.target not in CLASSES and threshold == 0.5
    if is_drawn or (metric.asks_half and judged.width == 1):
        raise fault(
            "E0512",
            f"metric `{name}` asks whether the prediction is above 0.5, but {gives}",
            span,
            "expects values from 0 to 1",
            labels=judged.trail,
            helps=["for logits: `binary_accuracy(threshold = 0)`; for a regression: `mae` or `rmse`"],
        )


def _suits(metric: Metric, kind: str) -> bool:
    """Class numbers are apart; one-hot targets and others have the shape of the prediction."""
    return kind in metric.targets if kind == "class" else any(target != "class" for target in metric.targets)
