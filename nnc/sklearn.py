"""scikit-learn estimators: `NNClassifier` and `NNRegressor`, for pipelines, cross-validation and grid search.

Needs the optional extra `sklearn`; importing this module without it raises MissingPackageError E0824.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nnc.compiler.options import Split
from nnc.grammar.diagnostics import Diagnostic, UsageError, missing_package
from nnc.grammar.source import SourceFile
from nnc.runtime.data.order import split_rows
from nnc.runtime.data.slots import target_slots
from nnc.runtime.protocol import Array

from .estimator_spec import Features, Settings, classifier_spec, regressor_spec
from .making import compile as compile_model
from .model import Model

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.class_weight import compute_class_weight
    from sklearn.utils.extmath import softmax
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, column_or_1d, validate_data
except ImportError as error:
    raise missing_package("`nnc.sklearn`", "scikit-learn", "sklearn") from error

if TYPE_CHECKING:
    from nnc.runtime.history import History

__all__ = ["NNClassifier", "NNRegressor"]

_PROBABILITY_LOSSES: Final = (
    "sparse_categorical_crossentropy", "categorical_crossentropy", "binary_crossentropy",
)  # fmt: skip
_LEAST: Final = 1e-100    # the deviation of y, whose square is divided by


class _Estimator(BaseEstimator):    # type: ignore[misc]
    """What both estimators share: their parameters, compiling and training.

    model_: the trained `nnc.Model`. history_: the figures of each epoch. n_epochs_: how many there were.
    n_features_in_, feature_names_in_: as scikit-learn has them.
    """

    model_: Model
    history_: History
    n_epochs_: int

    def __init__(
        self,
        hidden: Iterable[int] | int = (64,),
        activation: str = "relu",
        *,
        dropout: float = 0.0,
        l2: float = 0.0,
        normalize: bool = True,
        optimizer: str = "adam",
        learning_rate: float | str | None = None,
        batch_size: int | None = None,
        epochs: int | None = None,
        early_stopping: bool = False,
        patience: int = 10,
        validation_fraction: float = 0.1,
        random_state: Any = None,
        spec: str | Path | None = None,
        params: Mapping[str, object] | None = None,
        verbose: bool | str = False,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.dropout = dropout
        self.l2 = l2
        self.normalize = normalize
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.epochs = epochs
        self.early_stopping = early_stopping
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.spec = spec
        self.params = params
        self.verbose = verbose

    def _settings(self) -> Settings:
        patience = self.patience if self.early_stopping else None
        return Settings(
            self.hidden, self.activation, self.dropout, self.l2, self.normalize, self.optimizer, self.learning_rate,
            self.batch_size, self.epochs, patience,
        )  # fmt: skip

    def _compile(self, own: str) -> tuple[Model, int]:
        """The model to train, of `spec` or else of the text `own`, and the seed of what is held out."""
        seed = None
        if self.random_state is not None or self.spec is None:
            seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        source: Any = SourceFile(f"<{type(self).__name__}>", own) if self.spec is None else _source(self.spec)
        model = compile_model(
            source, params=self.params, batch_size=self.batch_size, epochs=self.epochs, seed=seed
        )
        if len(model.plan.inputs) != 1:
            raise _unfit(f"the spec has {len(model.plan.inputs)} inputs", "scikit-learn's X is one table")
        return model, model.train_config.seed

    def _train(
        self, model: Model, seed: int, x: Array, y: dict[str, Array], weight: Array | None, classes: Array | None
    ) -> None:
        """Fit `model`, holding rows out if it stops early."""
        x = _shaped(model, x)
        weights = None if weight is None else dict.fromkeys(y, weight)
        validation: tuple[Any, ...] | None = None
        if model.train_config.early_stopping is not None:
            split = Split(validation=self.validation_fraction, seed=seed)
            kept, held_out, _ = split_rows(len(x), split, classes)
            if not len(kept) or not len(held_out):
                raise ValueError(
                    f"validation_fraction={self.validation_fraction} leaves {len(kept)} rows to train on and "
                    f"{len(held_out)} to validate with; n_samples={len(x)}"
                )
            validation = x[held_out], _rows(y, held_out), weights and _rows(weights, held_out)
            x, y, weights = x[kept], _rows(y, kept), weights and _rows(weights, kept)
        self.history_ = model.fit(x, y, sample_weight=weights, validation_data=validation, verbose=self.verbose)
        self.model_ = model
        self.n_epochs_ = len(self.history_)

    def _outputs(self, X: Any) -> list[Array]:
        """Each output's values, as float64."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        found = self.model_.predict(_shaped(self.model_, X))
        values = found.values() if isinstance(found, dict) else [found]
        return [value.reshape(len(value), -1).astype(np.float64) for value in values]


class NNClassifier(ClassifierMixin, _Estimator):    # type: ignore[misc]
    """A neural network that tells classes apart.

    hidden: widths of the hidden layers; activation, dropout, l2 (weight decay in the loss): of each of them.
    normalize: learn mean and variance of each feature first. optimizer, learning_rate: a name of nnc's, a number or a
    schedule such as "cosine(0.01, decay_steps = 900)". batch_size, epochs: 32 and 100, or those of `spec`.
    early_stopping: hold out `validation_fraction` of the rows and end after `patience` epochs without improvement.
    random_state: the same int gives the same model. class_weight: {label: weight} or "balanced".
    spec: a `.nn` text, path or bundled name with one input and one output, instead of all that shapes the network;
    `params` are values for its `param`s. verbose: as in `Model.fit`.

    Attributes: classes_, model_ (an `nnc.Model`), history_, n_epochs_, n_features_in_, feature_names_in_.
    """

    classes_: Array

    def __init__(
        self,
        hidden: Iterable[int] | int = (64,),
        activation: str = "relu",
        *,
        dropout: float = 0.0,
        l2: float = 0.0,
        normalize: bool = True,
        optimizer: str = "adam",
        learning_rate: float | str | None = None,
        batch_size: int | None = None,
        epochs: int | None = None,
        early_stopping: bool = False,
        patience: int = 10,
        validation_fraction: float = 0.1,
        class_weight: Mapping[Any, float] | str | None = None,
        random_state: Any = None,
        spec: str | Path | None = None,
        params: Mapping[str, object] | None = None,
        verbose: bool | str = False,
    ) -> None:
        super().__init__(
            hidden, activation, dropout=dropout, l2=l2, normalize=normalize, optimizer=optimizer,
            learning_rate=learning_rate, batch_size=batch_size, epochs=epochs, early_stopping=early_stopping,
            patience=patience, validation_fraction=validation_fraction, random_state=random_state, spec=spec,
            params=params, verbose=verbose,
        )  # fmt: skip
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NNClassifier:
        """Train on rows X [n, features] and their labels y [n], of any type.

        sample_weight: [n], how much each row counts beside the others; rows of weight 0 are left out.
        Raises: NncError for parameters that make no network, and for values beyond float32.
        """
        X, y = validate_data(self, X, y)
        check_classification_targets(y)
        X, y, sample_weight = _weighed(X, y, sample_weight)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"{type(self).__name__} needs at least two classes, and y has one class")
        weight = None
        if self.class_weight is not None:
            weight = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
            if sample_weight is not None and self.class_weight == "balanced":
                weight = len(y) / (len(self.classes_) * np.bincount(codes, sample_weight))
            if self.spec is not None:
                raise _unfit("`class_weight` and `spec` are both given", "a spec has its own: `class_weight = [1, 2]`")
        own = classifier_spec(self._settings(), _features(X, sample_weight), len(self.classes_), weight)
        model, seed = self._compile(own)
        targets = {model.plan.outputs[0].name: _targets(model, codes, len(self.classes_))}
        self._train(model, seed, X, targets, sample_weight, codes)
        return self

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class: float64[n, classes], in the order of `classes_`."""
        (found,) = self._outputs(X)
        if _has_logits(self.model_):
            shares: Array = softmax(np.hstack([np.zeros_like(found), found]) if found.shape[1] == 1 else found)
            return shares
        both = np.hstack([1 - found, found]) if found.shape[1] == 1 else found
        probabilities: Array = both / both.sum(axis=1, keepdims=True)
        return probabilities

    def predict(self, X: Any) -> Array:
        """The most probable label of each row."""
        probabilities = self.predict_proba(X)
        labels: Array = self.classes_[probabilities.argmax(axis=1)]
        return labels


class NNRegressor(RegressorMixin, _Estimator):    # type: ignore[misc]
    """A neural network that predicts numbers, one or several for each row.

    Targets are brought to mean 0 and deviation 1 within the network; what it predicts has their own units.
    hidden: widths of the hidden layers; activation, dropout, l2 (weight decay in the loss): of each of them.
    normalize: learn mean and variance of each feature first. optimizer, learning_rate: a name of nnc's, a number or a
    schedule such as "cosine(0.01, decay_steps = 900)". batch_size, epochs: 32 and 100, or those of `spec`.
    early_stopping: hold out `validation_fraction` of the rows and end after `patience` epochs without improvement.
    random_state: the same int gives the same model. spec: a `.nn` text, path or bundled name with one input, instead
    of all that shapes the network; `params` are values for its `param`s. verbose: as in `Model.fit`.

    Attributes: model_ (an `nnc.Model`), history_, n_epochs_, n_features_in_, feature_names_in_.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NNRegressor:
        """Train on rows X [n, features] and their targets y, [n] or [n, targets].

        sample_weight: [n], how much each row counts beside the others; rows of weight 0 are left out.
        Raises: NncError for parameters that make no network, and for values beyond float32.
        """
        X, y = validate_data(self, X, y, multi_output=True, y_numeric=True)
        X, y, sample_weight = _weighed(X, y, sample_weight)
        y = column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y
        self._is_table = y.ndim == 2
        table = y.reshape(len(y), -1).astype(np.float64)
        size = np.frexp(np.abs(table).max(axis=0))[1]    # by a power of two, which changes no digit
        means, variances = _moments(np.ldexp(table, -size), sample_weight)
        deviations = np.ldexp(np.sqrt(variances), size)
        deviations[deviations == 0] = 1.0
        if not (np.isfinite(deviations) & (deviations > _LEAST) & (deviations < 1 / _LEAST)).all():
            note = f"their standard deviation is {', '.join(f'{value:.3g}' for value in deviations)}"
            helps = ("divide y by a number of its own size: scikit-learn's `TransformedTargetRegressor` does it",)
            text = "the values of y are too large or too small to compute with"
            raise UsageError(Diagnostic("E0822", text, notes=(note,), helps=helps))
        scales = list(zip(deviations.tolist(), np.ldexp(means, size).tolist(), strict=True))
        model, seed = self._compile(regressor_spec(self._settings(), _features(X, sample_weight), scales))
        self._train(model, seed, X, _columns(model, table), sample_weight, None)
        return self

    def predict(self, X: Any) -> Array:
        """float64[n], or [n, targets] where y had columns."""
        found = np.hstack(self._outputs(X))
        return found if self._is_table else found.reshape(len(found))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.single_output = True
        tags.target_tags.multi_output = True
        return tags


def _source(spec: str | Path) -> SourceFile | str | Path:
    """A spec's text is told from a path by what no path has."""
    text = str(spec)
    return SourceFile("<spec>", text) if isinstance(spec, str) and ("\n" in text or "->" in text) else spec


def _weighed(x: Array, y: Array, sample_weight: Any) -> tuple[Array, Array, Array | None]:
    """The rows that weigh anything, and their weights brought to a mean of 1; None where all weigh the same.

    So weights of any size go with one learning rate, and rows of weight 2 count as if they stood there twice.
    Raises: ValueError for weights that are negative, no number or zero throughout.
    """
    if sample_weight is None:
        return x, y, None
    weight = _check_sample_weight(sample_weight, x, dtype=np.float64)
    if (weight < 0).any():
        raise ValueError(f"sample_weight has negative values, the least is {weight.min():.3g}")
    kept = weight > 0
    if not kept.any():
        raise ValueError("sample_weight is zero throughout: no row and no class is left to learn from")
    x, y, weight = x[kept], y[kept], weight[kept] / weight.max()
    return x, y, None if (weight == weight[0]).all() else weight / weight.mean()


def _moments(table: Array, weight: Array | None) -> tuple[Array, Array]:
    """Mean and variance of each column, float64."""
    mean = np.average(table, axis=0, weights=weight)
    return mean, np.average((table - mean) ** 2, axis=0, weights=weight)


def _features(x: Array, weight: Array | None) -> Features:
    """The table's width, and with weights the moments that `Normalize` itself would learn without them."""
    if weight is None:
        return Features(x.shape[1])
    mean, variance = _moments(x.astype(np.float64), weight)
    return Features(x.shape[1], tuple(mean.tolist()), tuple(variance.tolist()))


def _rows(values: Mapping[str, Array], rows: Array) -> dict[str, Array]:
    return {name: value[rows] for name, value in values.items()}


def _shaped(model: Model, x: Array) -> Array:
    """Rows in the shape of the model's input, where the number of features is that of its elements."""
    (given,) = model.plan.inputs
    shape = given.type.concrete(len(x))
    x = x.reshape(shape) if x[0].size == np.prod(shape[1:], dtype=int) else x
    return x.astype(np.float32) if given.type.dtype == "float32" else x


def _has_logits(model: Model) -> bool:
    """Whether the output of a classifier's model is still to be made a probability."""
    loss = next(output.loss for output in model.outputs if output.name == model.plan.outputs[0].name)
    return loss is not None and dict(loss.arguments).get("from_logits") is True


def _targets(model: Model, codes: Array, classes: int) -> Array:
    """Class numbers as the loss of the model's output takes them. Raises: UsageError E0825."""
    if len(model.plan.outputs) != 1:
        raise _unfit(f"the spec has {len(model.plan.outputs)} outputs", "a classifier has one")
    slots = target_slots(model.plan, model.outputs)
    width = model.plan.outputs[0].type.shape[-1]
    if not slots or slots[0].loss not in _PROBABILITY_LOSSES:
        raise _unfit("the spec's output is no probability", f"its loss is one of {', '.join(_PROBABILITY_LOSSES)}")
    if width != (1 if slots[0].kind == "like" else classes) or (slots[0].kind == "like" and classes != 2):
        raise _unfit(f"the spec's output has {width} unit{'s' * (width != 1)}", f"y has {classes} classes")
    return np.eye(classes)[codes] if slots[0].kind == "one_hot" else codes


def _columns(model: Model, table: Array) -> dict[str, Array]:
    """The columns of y, shared out among the outputs in their order. Raises: UsageError E0825."""
    widths = [int(np.prod(output.type.concrete(1)[1:], dtype=int)) for output in model.plan.outputs]
    if sum(widths) != table.shape[1]:
        raise _unfit(f"the spec predicts {sum(widths)} number{'s' * (sum(widths) != 1)}", f"y has {table.shape[1]}")
    ends = np.cumsum(widths)
    return {
        output.name: table[:, end - width : end].reshape(output.type.concrete(len(table)))
        for output, width, end in zip(model.plan.outputs, widths, ends, strict=True)
    }


def _unfit(message: str, note: str) -> UsageError:
    return UsageError(Diagnostic("E0825", message, notes=(note,)))
