"""Losses, metrics and regularisers as ops: what a program reports, and the scalar that training makes small."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

from .builder import Builder
from .expanding import Forward, Owned
from .expr import Expr, equal, var, where
from .formulas.definition import Loss
from .formulas.losses import LOSSES, row_mean
from .formulas.metrics import METRICS
from .formulas.regularizers import REGULARIZERS
from .graph import Term, Variable
from .measuring import add_sums, give_scores, meaning_of
from .network import Network
from .options import Choice, OutputConfig
from .types import BATCH, Shape, TensorType

_X0, _X1, _X2 = var("x0"), var("x1"), var("x2")
_SUM = _X0 + _X1
TARGET_DTYPES = {"class": "int32"}     # other targets have the prediction's dtype


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a program reports, and the variables in which it adds that up."""

    terms: tuple[Term, ...] = ()
    accumulators: tuple[Variable, ...] = ()


@dataclass(slots=True)
class _Judging:
    """A judgement in the making: `total` holds the nodes whose sum is the loss."""

    builder: Builder
    terms: list[Term] = field(default_factory=list)
    accumulators: list[Variable] = field(default_factory=list)
    total: list[int] = field(default_factory=list)

    def accumulate(self, term: str, nodes: tuple[int, ...]) -> tuple[str, ...]:
        """Add each node, a float64 scalar, to an accumulator of the term; gives the accumulators' names."""
        return self.keep(add_sums(self.builder, term, nodes))

    def keep(self, accumulators: tuple[Variable, ...]) -> tuple[str, ...]:
        self.accumulators += accumulators
        return tuple([variable.name for variable in accumulators])


def judge(builder: Builder, network: Network, forward: Forward, owned: Owned) -> Judgement:
    """Append losses, metrics and regularisers to a program that has been expanded.

    Ensures: the result "loss" is the float64 scalar sum over outputs of weight * mean loss, plus the regularisers; each
    loss and regulariser is a result under its term's name.
    """
    judging = _Judging(builder)
    for output in network.outputs:
        builder.origin = output.name
        _judge_output(judging, output, forward)
    for weight, choice in owned.regularizers.items():
        builder.origin = owned.variables[weight].layer
        _regularize(judging, weight, choice)
    builder.origin = "loss"
    builder.result("loss", total_of(builder, judging.total))
    return Judgement(tuple(judging.terms), tuple(judging.accumulators))


def target_kind(output: OutputConfig) -> str:
    """How the target of an output is given: "like", "class" or "one_hot"."""
    if output.loss is not None:
        return LOSSES[output.loss.name].target
    return METRICS[output.metrics[0].name].targets[0] if output.metrics else "like"


def target_type(output: OutputConfig, prediction: TensorType) -> TensorType:
    """The type in which an output's target is fed: a class index has no last axis, others are as the prediction."""
    if target_kind(output) != "class":
        return prediction
    return TensorType(TARGET_DTYPES["class"], prediction.shape[:-1] if len(prediction.shape) > 1 else prediction.shape)


def _judge_output(judging: _Judging, output: OutputConfig, forward: Forward) -> None:
    if output.loss is None and not output.metrics:
        return
    builder, prediction = judging.builder, forward.values[output.layer]
    type = builder.type(prediction)
    target = builder.input(f"target.{output.name}", target_type(output, type))
    logits = forward.logits.get(prediction)
    if len(type.shape) == 1:  # a scalar per sample: rows of one, so that the last axis is never the batch
        column = (*type.shape, 1)
        target, prediction = builder.reshape(target, column), builder.reshape(prediction, column)
        logits = None if logits is None else (logits[0], builder.reshape(logits[1], column))
    if output.loss is not None:
        rows = _row_losses(builder, LOSSES[output.loss.name], output.loss, target, prediction, logits)
        if output.class_weight is not None:
            rows = _class_weighted(builder, output.class_weight, target, builder.type(prediction), rows)
        if output.sample_weight is not None:
            loss_type = builder.type(rows)
            factor = builder.input(f"sample_weight.{output.name}", TensorType(loss_type.dtype, (BATCH,)))
            places: Shape = (BATCH, *(1,) * (len(loss_type.shape) - 1))
            rows = builder.map(_X0 * _X1, rows, builder.reshape(factor, places))
        _mean_loss(judging, output, rows)
    for metric in output.metrics:
        _measure(judging, output, metric, target, prediction)


def _row_losses(
    builder: Builder, loss: Loss, choice: Choice, target: int, prediction: int, logits: tuple[str, int] | None
) -> int:
    """One loss per row, last axis 1; taken of logits where that is stable and they are known."""
    arguments = dict(choice.arguments)
    if loss.from_logits is not None:
        if arguments.get("from_logits"):
            return loss.from_logits(builder, target, prediction, arguments)
        if logits is not None and logits[0] == loss.activation:
            return loss.from_logits(builder, target, logits[1], arguments)
    if loss.rows is not None:
        return loss.rows(builder, target, prediction, arguments)
    assert loss.formula is not None
    return row_mean(builder, loss.formula(_X0, _X1, **arguments), target, prediction)


def _class_weighted(
    builder: Builder, weights: tuple[float, ...], target: int, prediction: TensorType, rows: int
) -> int:
    """`rows` times the weight of each row's class: the target itself, or where a row of it is largest, as in Keras."""
    column = builder.type(rows).shape
    dtype = builder.type(rows).dtype
    if builder.type(target).shape == prediction.shape and prediction.shape[-1] != 1:
        target = builder.reduce("argmax", target, (len(prediction.shape) - 1,))
    chosen = builder.map(
        where(equal(_X0, _X1), _X2, 0),
        builder.reshape(target, column),
        builder.iota(len(weights)),
        builder.table(weights, dtype),
        dtype=dtype,
        compute=dtype,
    )
    return builder.map(_X0 * _X1, rows, builder.reduce("sum", chosen, (len(column) - 1,)))


def _mean_loss(judging: _Judging, output: OutputConfig, rows: int) -> None:
    """The mean of `rows`, weighted, becomes a part of the loss; it divides by the samples whatever their weights."""
    builder, term = judging.builder, f"{output.name}.loss"
    positions = prod([dim for dim in builder.type(rows).shape if isinstance(dim, int)])
    total = total_of_elements(builder, rows)
    mean = builder.map(_X0 / (_X1 * positions if positions > 1 else _X1), total, builder.rows(), dtype="float64")
    builder.result(term, mean)
    judging.total.append(mean if output.weight == 1 else builder.map(_X0 * output.weight, mean))
    finish = var("a0") / (var("rows") * positions if positions > 1 else var("rows"))
    accumulators = judging.accumulate(term, (total,))
    judging.terms.append(Term(term, "loss", output.name, output.weight, accumulators, finish))


def _measure(judging: _Judging, output: OutputConfig, choice: Choice, target: int, prediction: int) -> None:
    builder, term = judging.builder, f"{output.name}.{choice.name}"
    _, metric = meaning_of(output, choice, builder.type(prediction))
    is_measured = not metric.measure or builder.program == "evaluate_step"
    nodes = metric.rows(builder, target, prediction, dict(choice.arguments))
    sums = nodes if metric.is_summed else tuple(total_of_elements(builder, node) for node in nodes)
    names = judging.keep(add_sums(builder, term, sums, metric.merge, is_updated=is_measured))
    if metric.measure == "auc" and is_measured:
        give_scores(builder, output, target, prediction)
    made = Term(term, "metric", output.name, 0.0, names, metric.finish, metric.counted, metric.measure)
    judging.terms.append(made)


def _regularize(judging: _Judging, weight: str, choice: Choice) -> None:
    """A penalty is there once per step; reported as its mean over the samples, so that it adds up with the losses."""
    builder, name = judging.builder, f"{weight}_regularizer"
    formula: Expr = REGULARIZERS[choice.name].formula(_X0, **dict(choice.arguments))
    node = builder.variable(weight)
    penalties = builder.map(formula, node, shape=builder.type(node).shape)
    value = total_of_elements(builder, penalties)
    builder.result(name, value)
    judging.total.append(value)
    weighted = builder.map(_X0 * _X1, value, builder.rows(), dtype="float64")
    accumulators = judging.accumulate(name, (weighted,))
    judging.terms.append(Term(name, "regularizer", "", 1.0, accumulators, var("a0") / var("rows")))


def total_of_elements(builder: Builder, node: int) -> int:
    """The sum of all elements, a float64 scalar."""
    axes = tuple(range(len(builder.type(node).shape)))
    summed = builder.reduce("sum", node, axes, dtype="float64") if axes else builder.identity(node, "float64")
    return builder.reshape(summed, ())


def total_of(builder: Builder, nodes: list[int]) -> int:
    """The sum of float64 scalars; pairwise, so that no chain of dependent additions grows with their number."""
    if not nodes:
        return builder.constant(0, "float64")
    while len(nodes) > 1:
        pairs = zip(nodes[::2], nodes[1::2], strict=False)
        nodes = [builder.map(_SUM, a, b) for a, b in pairs] + (nodes[-1:] if len(nodes) % 2 else [])
    return nodes[0]
