"""The spec of a scikit-learn estimator: what its plain parameters mean, written out as `.nn` text.

These networks compute in float64, as scikit-learn does: it asks that a row's prediction does not depend on the rows
beside it by more than 1e-7, and float32 products of other sizes differ by more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """The parameters that shape a spec; a `learning_rate` may be a schedule: `cosine(0.01, decay_steps = 900)`."""

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


def classifier_spec(settings: Settings, features: int, classes: int, class_weight: Sequence[float] | None) -> str:
    """A spec with the input `x` and the output `y`, a probability for each class."""
    entries = ["loss    = sparse_categorical_crossentropy", "metrics = [accuracy]"]
    if class_weight is not None:
        entries.append(f"class_weight = [{', '.join(repr(float(weight)) for weight in class_weight)}]")
    output = f"output y = hidden -> Dense({classes}, softmax) {{ {', '.join(entries)} }}\n"
    return _spec("classifier", settings, features, output)


def regressor_spec(settings: Settings, features: int, scales: Sequence[tuple[float, float]]) -> str:
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


def _spec(name: str, settings: Settings, features: int, outputs: str) -> str:
    widths = [settings.hidden] if isinstance(settings.hidden, int) else list(settings.hidden)
    regularizer = f", kernel_regularizer = l2({settings.l2!r})" if settings.l2 else ""
    steps = ["x", "Normalize"] if settings.normalize else ["x"]
    for width in widths:
        steps.append(f"Dense({width}, {settings.activation}{regularizer})")
        if settings.dropout:
            steps.append(f"Dropout({settings.dropout!r})")
    rate = "" if settings.learning_rate is None else f"(learning_rate = {settings.learning_rate})"
    train = [f"optimizer = {settings.optimizer}{rate}"]
    train += [f"batch_size = {32 if settings.batch_size is None else settings.batch_size}"]
    train += [f"epochs = {100 if settings.epochs is None else settings.epochs}"]
    if settings.patience is not None:
        train.append(f"early_stopping = early_stopping(patience = {settings.patience}, restore_best = true)")
    hidden = "\n  -> ".join(steps)
    return (
        f"nn 1\nmodel {name}\n\ninput x: float64[{features}]\n\nhidden = {hidden}\n\n{outputs}\n"
        f"train {{ {', '.join(train)} }}\n"
    )
