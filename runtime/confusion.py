"""Which class was taken for which: counted from predictions, batch by batch, and drawn with matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from nnc.grammar.diagnostics import missing_package
from nnc.runtime.data import Samples
from nnc.runtime.prediction.classes import Classifier
from nnc.runtime.protocol import Array, Feed, Rows, Session

_INK: Final = "#333333"
_MOST_NUMBERED: Final = 20    # classes whose cells have numbers
_MOST_NAMED: Final = 40       # classes whose names fit beside the matrix


def confusion_matrices(session: Session, samples: Samples, found: Mapping[str, Classifier]) -> dict[str, Array]:
    """int64[classes, classes] by output, a row for each true class, of the outputs that have one class per sample."""
    shapes = {signature.name: signature.type.shape for signature in session.plan.outputs}
    single = {
        name: (classifier, max(int(shapes[name][1]), 2))
        for name, classifier in found.items()
        if len(shapes[name]) == 2 and (classifier.kind == "likeliest" or shapes[name][1] == 1)
    }
    if not single:
        return {}
    matrices = {name: np.zeros((count, count), np.int64) for name, (_, count) in single.items()}
    session.bind("predict", {signature.name: samples.feeds[signature.name] for signature in session.plan.inputs})
    for start in range(0, len(samples), session.plan.batch_size):
        rows = samples.index[start : start + session.plan.batch_size]
        session.run("predict", rows)
        for name, (classifier, count) in single.items():
            values = session.fetch("predict", f"prediction.{name}")
            predicted = values.argmax(axis=-1) if count == values.shape[1] else values[:, 0] > classifier.threshold
            truth = _true_classes(samples.feeds[f"target.{name}"], rows, count)
            np.add.at(matrices[name], (truth, predicted.astype(np.int64)), 1)
    return matrices


def _true_classes(feed: Feed, rows: Rows, count: int) -> Array:
    if isinstance(feed, np.ndarray):
        targets = feed[rows]
    else:
        targets = np.empty((len(rows), *feed.shape[1:]), feed.dtype)
        feed.take(rows, targets)
    flat = targets.reshape(len(rows), -1)
    if flat.shape[1] == count and count > 1:
        return np.asarray(flat.argmax(axis=-1))
    return np.asarray((flat[:, 0] > 0.5) if flat.dtype.kind == "f" else flat[:, 0]).astype(np.int64)


# --- the picture ----------------------------------------------------------------------------------------------------
def draw(matrices: Mapping[str, Array], names: Mapping[str, Sequence[str]]) -> Any:
    """A matplotlib `Figure` with the matrices side by side, by output; `names` of the classes where they have names.

    Colour is the share of the true class, so that rare classes are seen too; numbers are counts.
    Raises: MissingPackageError E0824.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing_package("a picture", "matplotlib", "plot") from error
    figure: Any = Figure(figsize=(5.4 * len(matrices), 4.8), layout="constrained")
    for place, (output, matrix) in enumerate(matrices.items(), 1):
        axes = figure.add_subplot(1, len(matrices), place)
        shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true class")
        axes.set(title=output, xlabel="predicted class", ylabel="true class")
        _label(axes, matrix, shares, names.get(output, ()))
    return figure


def _label(axes: Any, matrix: Array, shares: Array, names: Sequence[str]) -> None:
    count = len(matrix)
    if count <= _MOST_NAMED:
        labels = list(names) or [str(number) for number in range(count)]
        turned = {"rotation": 45, "ha": "right"} if max(map(len, labels)) > 3 else {}
        axes.set_xticks(range(count), labels, **turned)
        axes.set_yticks(range(count), labels)
    if count <= _MOST_NUMBERED:
        for row, column in zip(*np.nonzero(matrix), strict=True):
            colour = "white" if shares[row, column] > 0.5 else _INK
            text = f"{matrix[row, column]:,}"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9 if count <= 12 else 6)
