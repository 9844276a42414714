"""The spec of a scikit-learn estimator: what its plain parameters mean, written out as `.nn` text.

These networks compute in float64, as scikit-learn does: it asks that a row's prediction does not depend on the rows
beside it by more than 1e-7, and float32 products of other sizes differ by more.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nnc.grammar import syntax
from nnc.grammar.diagnostics import Diagnostic, NncError, UsageError
from nnc.grammar.parse import parse
from nnc.grammar.source import SourceFile


@dataclass(frozen=True, slots=True)
class Settings:
    """The parameters that shape a spec; a `learning_rate` may be a schedule: `cosine(0.01, decay_steps = 900)`.

    Raises: UsageError E0822 for each that is not of its kind or out of its range.
    """

    hidden: Iterable[int] | int
    activation: str
    dropout: float
    l2: float
    normalize: bool
    optimizer: str
    learning_rate: float | str | None
    batch_size: int | None
    epochs: int | None
    patience: int | None

    def __post_init__(self) -> None:
        rate = self.learning_rate
        expected = {
            "hidden": (all(map(_is_count, self.widths())), "widths of layers, whole numbers of at least 1"),
            "activation": (_is_expression(self.activation), "the name of an activation, such as relu"),
            "dropout": (_is_number(self.dropout) and 0 <= self.dropout < 1, "a share of at least 0, less than 1"),
            "l2": (_is_number(self.l2) and self.l2 >= 0, "a number of at least 0"),
            "optimizer": (_is_expression(self.optimizer), "the name of an optimizer, such as adam"),
            "learning_rate": (
                rate is None or (_is_expression(rate) if isinstance(rate, str) else _is_number(rate) and rate > 0),
                "a number of more than 0, or a schedule",
            ),
            "batch_size": (self.batch_size is None or _is_count(self.batch_size), "a whole number of at least 1"),
            "epochs": (self.epochs is None or _is_count(self.epochs), "a whole number of at least 1"),
            "patience": (self.patience is None or _is_count(self.patience), "a whole number of at least 1"),
        }
        wrong = [(name, note) for name, (is_right, note) in expected.items() if not is_right]
        if wrong:
            raise UsageError(
                *(Diagnostic("E0822", f"`{name}` is {getattr(self, name)!r}", notes=(f"expected {note}",))
                  for name, note in wrong))  # fmt: skip

    def widths(self) -> tuple[Any, ...]:
        """The width of each hidden layer."""
        hidden = self.hidden
        return tuple(hidden) if isinstance(hidden, Iterable) and not isinstance(hidden, str) else (hidden,)


def _is_count(value: object) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) >= 1


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def _is_expression(text: object) -> bool:
    """Whether a text is a name, a number or a call, and no more of a spec than that."""
    if not isinstance(text, str):
        return False
    try:
        statements = parse(SourceFile("<parameter>", f"train {{ entry = {text} }}\n")).statements
    except NncError:
        return False
    if len(statements) != 1 or not isinstance(statements[0], syntax.Section) or len(statements[0].entries) != 1:
        return False
    return isinstance(statements[0].entries[0].value, syntax.Name | syntax.Number | syntax.Call)


@dataclass(frozen=True, slots=True)
class Features:
    """How many there are, and the mean and variance of each where `Normalize` is not to learn them."""

    count: int
    mean: tuple[float, ...] = ()
    variance: tuple[float, ...] = ()

    def normalize(self) -> str:
        """The layer that brings them to mean 0 and variance 1."""
        if not self.mean:
            return "Normalize"
        mean, variance = (", ".join(map(repr, values)) for values in (self.mean, self.variance))
        return f"Normalize(mean = [{mean}], variance = [{variance}])"


def classifier_spec(settings: Settings, features: Features, classes: int, class_weight: Sequence[float] | None) -> str:
    """A spec with the input `x` and the output `y`, a probability for each class."""
    entries = ["loss    = sparse_categorical_crossentropy", "metrics = [accuracy]"]
    if class_weight is not None:
        entries.append(f"class_weight = [{', '.join(repr(float(weight)) for weight in class_weight)}]")
    output = f"output y = hidden -> Dense({classes}, softmax) {{ {', '.join(entries)} }}\n"
    return _spec("classifier", settings, features, output)


def regressor_spec(settings: Settings, features: Features, scales: Sequence[tuple[float, float]]) -> str:
    """A spec with the input `x` and one output per target, `y` or `y0`, `y1`, ...

    scales: each target's standard deviation and mean. The network learns targets of mean 0 and deviation 1; `Rescale`
    gives them their own units, and the weight takes these out of the loss.
    """
    names = ["y"] if len(scales) == 1 else [f"y{number}" for number in range(len(scales))]
    outputs = [
        f"output {name} = hidden -> Dense(1) -> Rescale({deviation!r}, offset = {mean!r}) "
        f"{{ loss = mse, weight = {1 / deviation**2!r} }}\n"
        for name, (deviation, mean) in zip(names, scales, strict=True)
    ]
    return _spec("regressor", settings, features, "".join(outputs))


def _spec(name: str, settings: Settings, features: Features, outputs: str) -> str:
    regularizer = f", kernel_regularizer = l2({float(settings.l2)!r})" if settings.l2 else ""
    steps = ["x", features.normalize()] if settings.normalize else ["x"]
    for width in settings.widths():
        steps.append(f"Dense({width}, {settings.activation}{regularizer})")
        if settings.dropout:
            steps.append(f"Dropout({float(settings.dropout)!r})")
    rate = "" if settings.learning_rate is None else f"(learning_rate = {settings.learning_rate})"
    train = [f"optimizer = {settings.optimizer}{rate}"]
    train += [f"batch_size = {32 if settings.batch_size is None else settings.batch_size}"]
    train += [f"epochs = {100 if settings.epochs is None else settings.epochs}"]
    if settings.patience is not None:
        train.append(f"early_stopping = early_stopping(patience = {settings.patience}, restore_best = true)")
    hidden = "\n  -> ".join(steps)
    return (
        f"nn 1\nmodel {name}\n\ninput x: float64[{features.count}]\n\nhidden = {hidden}\n\n{outputs}\n"
        f"train {{ {', '.join(train)} }}\n"
    )
