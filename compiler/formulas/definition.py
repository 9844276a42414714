"""Records of the formula tables: activations, losses, metrics, optimizers, schedules, regularisers, initializers.

An entry is a scalar formula over `Expr` wherever the mathematics is elementwise; where rows must be reduced
(softmax, crossentropy, cosine similarity) it is a small construction with the graph builder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ..builder import Builder
from ..expr import Expr
from ..options import Choice

Defaults = Mapping[str, Any]  # argument name -> default, in positional order
REQUIRED: Final = Choice("<required>")  # the default of an argument that has none


@dataclass(frozen=True, slots=True)
class Activation:
    """formula(x, **arguments) for elementwise ones, else rows(builder, node) over the last axis.

    from_output(y, **arguments): the derivative written with the activation's own value, where that saves keeping x
    (checked against the symbolic derivative by the tests). `probability`: its values are probabilities, so a
    crossentropy can be taken of x.
    """

    doc: str
    formula: Callable[..., Expr] | None = None
    rows: Callable[[Builder, int], int] | None = None
    from_output: Callable[..., Expr] | None = None
    defaults: Defaults = field(default_factory=dict)
    probability: str = ""  # "softmax" | "sigmoid": its values are probabilities, made from logits


@dataclass(frozen=True, slots=True)
class Loss:
    """formula(y_true, y_pred, **arguments): one element's loss, averaged over the last axis; or rows(builder, target,
    prediction, arguments) -> node whose last axis is 1: one row's loss.

    Both take the prediction as the model gives it. from_logits(builder, target, logits, arguments) -> row node is the
    stable form, used when `from_logits` is set true or the prediction is known to be `activation` of logits.
    target: "like" (same shape as the prediction), "class" (integer class index, no last axis or 1), "one_hot" (like, a
    distribution). prediction: "any" | "probability" | "positive" | "sign"; what the shapes stage warns or errs about.
    """

    doc: str
    source: str
    formula: Callable[..., Expr] | None = None
    rows: Callable[[Builder, int, int, Mapping[str, Any]], int] | None = None
    from_logits: Callable[[Builder, int, int, Mapping[str, Any]], int] | None = None
    activation: str = ""
    target: str = "like"
    prediction: str = "any"
    defaults: Defaults = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Metric:
    """rows(builder, target, prediction, arguments) -> nodes, one per accumulator, each float, any shape with the batch:
    summed over everything they give the accumulators a0, a1, ... ; finish is a formula over a0.. and `rows`.

    is_summed: the nodes are a batch's sums already, without the batch; finish is then taken at each of their elements,
    and the figure is the mean of those at which `counted` holds (all, if None). merge: what the accumulators become,
    over their old values a0, a1, ... and a batch's nodes n0, n1, ...; empty: a0 + n0 and so on.
    measure: "" for a figure made of sums in every program; "confusion" for a matrix and "auc" for a figure made of all
    scores, which evaluation alone gives.
    `targets` says for which kinds of target it makes sense;
    `of_classes`: the metric to take in its place where the target names one of several classes. asks_half: whether it
    asks of a single unit if it is above 0.5. needs_classes: the targets must be yes and no, or classes. grows: more of
    it is better, so that early stopping and the best checkpoint look for its largest value.
    """

    doc: str
    rows: Callable[[Builder, int, int, Mapping[str, Any]], tuple[int, ...]]
    finish: Expr
    targets: tuple[str, ...] = ("like", "class", "one_hot")
    defaults: Defaults = field(default_factory=dict)
    is_summed: bool = False
    merge: tuple[Expr, ...] = ()
    counted: Expr | None = None
    measure: str = ""
    of_classes: Metric | None = None
    asks_half: bool = False
    needs_classes: bool = False
    grows: bool = False


@dataclass(frozen=True, slots=True)
class Optimizer:
    """scalars(t, learning_rate, **arguments) -> named per-step values (t counts from 1; float64);
    update(p, g, slots, scalars, **arguments) -> (new p, {slot: new value}). `slots`: name -> initial value.
    """

    doc: str
    source: str
    defaults: Defaults  # learning_rate first, as in Keras
    slots: Callable[..., Mapping[str, float]]
    scalars: Callable[..., Mapping[str, Expr]]
    update: Callable[..., tuple[Expr, Mapping[str, Expr]]]


@dataclass(frozen=True, slots=True)
class Schedule:
    """formula(step, **arguments) -> learning rate; step counts finished steps from 0, as Keras's iterations do."""

    doc: str
    formula: Callable[..., Expr]
    defaults: Defaults


@dataclass(frozen=True, slots=True)
class Regularizer:
    """formula(w, **arguments): one element's penalty, summed over the tensor and added to the total loss."""

    doc: str
    formula: Callable[..., Expr]
    defaults: Defaults


@dataclass(frozen=True, slots=True)
class Initializer:
    """distribution: "constant" | "uniform" | "normal" | "truncated_normal" | "orthogonal" | "identity".

    scale(fan_in, fan_out, **arguments) -> (low, high) for uniform, (mean, stddev) for normals, (value,) for
    constant, (gain,) for orthogonal and identity. A distribution of "argument" is named by the argument `distribution`;
    `initializers.draw` settles that and the fans.
    """

    doc: str
    distribution: str
    scale: Callable[..., tuple[float, ...]]
    defaults: Defaults
