"""Metrics as ops: which one an output's metric means, and the variables in which a program adds it up."""

from __future__ import annotations

from .builder import Builder
from .expr import Expr, rename, var
from .formulas.definition import Metric
from .formulas.losses import LOSSES
from .formulas.metrics import class_numbers, metric_for
from .graph import ACCUMULATOR, Variable
from .network import Network
from .options import Choice, OutputConfig
from .types import TensorType

_SUM = var("x0") + var("x1")


def meaning_of(output: OutputConfig, choice: Choice, prediction: TensorType) -> tuple[str, Metric]:
    """The name and record of what the metric `choice` means for an output of the type `prediction`."""
    loss = LOSSES[output.loss.name] if output.loss is not None else None
    last = prediction.shape[-1]
    width = last if isinstance(last, int) else 1
    return metric_for(choice.name, loss.target if loss else "like", loss.activation if loss else "", width)


def kinds_of_metrics(network: Network) -> tuple[tuple[str, str], ...]:
    """What each metric with several kinds means: ("digit.accuracy", "sparse_categorical_accuracy"). Requires: types."""
    kinds = []
    for output in network.outputs:
        type = network.layer(output.layer).type
        assert type is not None
        for choice in output.metrics:
            kind, _ = meaning_of(output, choice, type)
            if kind != choice.name:
                kinds.append((f"{output.name}.{choice.name}", kind))
    return tuple(kinds)


def add_sums(
    builder: Builder, name: str, nodes: tuple[int, ...], merge: tuple[Expr, ...] = (), *, is_updated: bool = True
) -> tuple[Variable, ...]:
    """Accumulators `sum.NAME.k`, one per node and of its type, that each step adds the nodes to, or merges them into.

    is_updated: false for a program that does not measure this; its accumulators are the same.
    """
    made = [Variable(f"sum.{name}.{k}", builder.type(n), ACCUMULATOR, Choice("zeros")) for k, n in enumerate(nodes)]
    if not is_updated:
        return tuple(made)
    before = [builder.add("variable", name=variable.name, type=variable.type) for variable in made]
    if merge:
        count = len(nodes)
        names = {f"a{k}": f"x{k}" for k in range(count)} | {f"n{k}": f"x{k + count}" for k in range(count)}
        exprs = tuple([rename(expr, names) for expr in merge])
        builder.update(tuple([variable.name for variable in made]), (*before, *nodes), exprs)
        return tuple(made)
    for variable, old, node in zip(made, before, nodes, strict=True):
        builder.update((variable.name,), (old, node), (_SUM,))
    return tuple(made)


def give_scores(builder: Builder, output: OutputConfig, target: int, prediction: int) -> None:
    """Results `scores.OUTPUT`, the prediction, and `truth.OUTPUT`: class numbers, or the target itself."""
    scores, truth = f"scores.{output.name}", f"truth.{output.name}"
    builder.result(scores, prediction)
    kind = LOSSES[output.loss.name].target if output.loss is not None else "like"
    builder.result(truth, target if kind == "like" else class_numbers(builder, target, prediction)[0])
