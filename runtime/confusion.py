"""Which class was taken for which: counted from predictions, batch by batch, and drawn with matplotlib.

The matrix of an output with one class per sample is int64[classes, classes], a row for each true class. An output of
several yes/no units has one for each, int64[units, 2, 2], as scikit-learn's `multilabel_confusion_matrix` has it: true
negatives and false positives, below them false negatives and true positives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nnc.grammar.diagnostics import missing_package
from nnc.runtime.data import Samples
from nnc.runtime.prediction.classes import Classifier
from nnc.runtime.protocol import Array, Feed, Rows, Session

_INK: Final = "#333333"
_MOST_NUMBERED: Final = 20    # classes whose cells have numbers
_MOST_NAMED: Final = 40       # classes whose names fit beside the matrix
_MOST_UNITS: Final = 24       # yes/no units of one output that are drawn
_COLUMNS: Final = 4           # panels beside each other
_COLUMNS_OF_TURNED: Final = 12    # classes whose names still fit beside each other when they are slanted
_YES_NO: Final = ("no", "yes")
_LONGEST: Final = 24          # characters of a name beside the matrix
_AS_IT_IS: Final = {"parse_math": False}    # a `$` in a name is a dollar, not the beginning of a formula


def confusion_matrices(session: Session, samples: Samples, found: Mapping[str, Classifier]) -> dict[str, Array]:
    """Of every output with one class per sample, or with yes or no from each of its units: the matrix, or matrices."""
    counts = {name: count for name, classifier in found.items() if (count := _Counts.of(session, name, classifier))}
    if not counts:
        return {}
    session.bind("predict", {signature.name: samples.feeds[signature.name] for signature in session.plan.inputs})
    for start in range(0, len(samples), session.plan.batch_size):
        rows = samples.index[start : start + session.plan.batch_size]
        session.run("predict", rows)
        for name, count in counts.items():
            values = session.fetch("predict", f"prediction.{name}")[: len(rows)]
            count.add(values, _targets(samples.feeds[f"target.{name}"], rows))
    return {name: count.matrix for name, count in counts.items()}


@dataclass(frozen=True, slots=True)
class _Counts:
    """What has been counted of one output so far."""

    classifier: Classifier
    matrix: Array

    @classmethod
    def of(cls, session: Session, name: str, classifier: Classifier) -> _Counts | None:
        shape = next(signature.type.shape for signature in session.plan.outputs if signature.name == name)
        if len(shape) != 2:
            return None
        width = int(shape[1])
        if classifier.kind == "likeliest":
            return cls(classifier, np.zeros((width, width), np.int64))
        return cls(classifier, np.zeros((2, 2) if width == 1 else (width, 2, 2), np.int64))

    def add(self, values: Array, targets: Array) -> None:
        """Count a batch: what was predicted, [rows, width], and what is true, [rows] or [rows, width]."""
        if self.classifier.kind == "likeliest":
            truth = targets.argmax(axis=-1) if targets.shape == values.shape else targets.reshape(len(values))
            np.add.at(self.matrix, (truth.astype(np.int64), values.argmax(axis=-1)), 1)
            return
        found = (values > self.classifier.threshold).astype(np.int64)
        truth = (targets.reshape(values.shape) > 0.5).astype(np.int64)
        if self.matrix.ndim == 2:
            np.add.at(self.matrix, (truth[:, 0], found[:, 0]), 1)
        else:
            np.add.at(self.matrix, (np.arange(truth.shape[1]), truth, found), 1)


def _targets(feed: Feed, rows: Rows) -> Array:
    if isinstance(feed, np.ndarray):
        return feed[rows]
    targets = np.empty((len(rows), *feed.shape[1:]), feed.dtype)
    feed.take(rows, targets)
    return targets


# --- the picture ----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Panel:
    """One matrix to draw."""

    title: str
    matrix: Array
    names: Sequence[str]


def draw(matrices: Mapping[str, Array], names: Mapping[str, Sequence[str]]) -> Any:
    """A matplotlib `Figure` with the matrices side by side; by output, `names` of its classes or units where there are.

    Colour is the share of the true class, so that rare classes are seen too; numbers are counts.
    Raises: MissingPackageError E0824.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing_package("a picture", "matplotlib", "plot") from error
    panels = [panel for name, matrix in matrices.items() for panel in _panels(name, matrix, names.get(name, ()))]
    width, height = (5.4, 4.8) if any(len(panel.matrix) > 2 for panel in panels) else (3.6, 3.2)
    columns = min(len(panels), _COLUMNS)
    lines = -(-len(panels) // columns)
    figure: Any = Figure(figsize=(width * columns, height * lines), layout="constrained")
    for place, panel in enumerate(panels, 1):
        axes = figure.add_subplot(lines, columns, place)
        shares = panel.matrix / np.maximum(panel.matrix.sum(axis=1, keepdims=True), 1)
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        if place % columns == 0 or place == len(panels):
            figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true class")
        axes.set(xlabel="predicted class", ylabel="true class")
        axes.set_title(panel.title, **_AS_IT_IS)
        _label(axes, panel.matrix, shares, panel.names)
    return figure


def _panels(output: str, matrix: Array, names: Sequence[str]) -> list[_Panel]:
    if matrix.ndim == 2:
        return [_Panel(output, matrix, names)]
    shown = matrix[:_MOST_UNITS]
    panels = [_Panel(f"{output}: {unit_name(names, unit)}", table, _YES_NO) for unit, table in enumerate(shown)]
    if len(matrix) > len(shown):
        panels[-1] = _Panel(f"{panels[-1].title} (the last shown of {len(matrix)})", shown[-1], _YES_NO)
    return panels


def unit_name(names: Sequence[str], unit: int) -> str:
    """What one of several yes/no units is called: its name where it has one, else its number, from 0."""
    return names[unit] if unit < len(names) else str(unit)


def _shortened(name: str) -> str:
    """A name that leaves room for the matrix; line breaks and the like would not."""
    plain = " ".join(name.split())
    return plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 1]}…"


def _label(axes: Any, matrix: Array, shares: Array, names: Sequence[str]) -> None:
    count = len(matrix)
    if count <= _MOST_NAMED:
        labels = [_shortened(name) for name in names] or [str(number) for number in range(count)]
        turned = {"rotation": 90 if count > _COLUMNS_OF_TURNED else 45} if max(map(len, labels)) > 3 else {}
        aligned = {"ha": "right", "rotation_mode": "anchor", "va": "center" if count > _COLUMNS_OF_TURNED else "top"}
        size = {"fontsize": 10 if count <= 12 else 7 if count <= 25 else 5}
        axes.set_xticks(range(count), labels, **_AS_IT_IS, **size, **turned, **(aligned if turned else {}))
        axes.set_yticks(range(count), labels, **_AS_IT_IS, **size)
    if count <= _MOST_NUMBERED:
        for row, column in zip(*np.nonzero(matrix), strict=True):
            colour = "white" if shares[row, column] > 0.5 else _INK
            text = f"{matrix[row, column]:,}"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9 if count <= 12 else 6)
