"""Whether a metric fits the targets and the prediction of its output."""

from __future__ import annotations

from nnc.grammar.source import Span

from ..formulas.definition import Metric
from ..formulas.losses import LOSSES
from ..formulas.metrics import METRICS
from ..options import Choice
from ..report import counted, fault, listed
from .judged import Judged
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
    if metric.width is not None and metric.width != judged.width:
        raise fault(
            "E0512",
            f"metric `{name}` is for {counted(metric.width, 'unit')}, but `{judged.output.name}` has {judged.width}",
            span,
            f"expects {counted(metric.width, 'unit')}",
            labels=judged.trail,
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
    counts_halves = threshold == 0.5 or (
        metric.targets == Metric.__dataclass_fields__["targets"].default and not arguments and judged.width == 1
    )
    if counts_halves:
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
