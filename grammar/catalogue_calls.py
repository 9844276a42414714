"""Explanations of E082: calls from Python, estimators, and packages that are not there."""

from __future__ import annotations

from typing import Final

from .explanation import Explanation

CALLS: Final[dict[str, Explanation]] = {
    "E0820": Explanation(
        "the model has no such weight, training no such figure",
        """
Weights are named by their layer: `hidden.kernel`, `hidden.bias`. `list(model.weights)` shows all, and
`model.history.names()` the figures of the epochs.

    model.weights["hiden.kernel"]     wrong
    model.weights["hidden.kernel"]    right
""",
    ),
    "E0821": Explanation(
        "a value does not fit a weight",
        """
An array assigned to a weight must have the weight's own shape and hold finite numbers; `model.weights` shows the
types.
""",
    ),
    "E0822": Explanation(
        "an argument of a Python call does not fit",
        """
`nnc.compile` takes a path or `text=`, `fit` takes a number of epochs of at least 1, validation data as a pair (x, y),
and callbacks that answer yes or no. A callback may predict and evaluate, but not call `fit` on the model that is being
trained.

    model.fit(x, y, validation_data=xv)                            wrong
    model.fit(x, y, validation_data=(xv, yv))                      right
    model.fit(x, y, on_epoch=lambda epoch, figures: losses < 0.1)  wrong, where `losses` is an array
""",
    ),
    "E0823": Explanation(
        "there is no such runtime",
        """
A plan is executed by a runtime, chosen by name: `native` compiles it with the C compiler of this machine, `reference`
follows it with NumPy and runs everywhere, `cuda` runs it on an NVIDIA GPU. `auto`, the default, is `native` where a C
compiler works, else `reference`; the environment variable NNC_RUNTIME says what `auto` stands for.

    nnc.compile("digits", runtime="refrence")     wrong
    nnc.compile("digits", runtime="reference")    right
""",
    ),
    "E0824": Explanation(
        "an optional package is not installed",
        """
The core install leaves some packages out: the scikit-learn estimators need scikit-learn, curves need matplotlib. Each
comes with an extra:

    pip install 'nnc[sklearn]'
    pip install 'nnc[plot]'
""",
    ),
    "E0825": Explanation(
        "the spec does not suit the estimator",
        """
`NNClassifier` and `NNRegressor` take a spec with one input, which is scikit-learn's X. A classifier has one output, a
probability for each class (or one unit with `binary_crossentropy` for two classes); a regressor's outputs have as many
numbers as y has columns.

    NNClassifier(spec="siamese")    wrong: two inputs
    NNClassifier(spec="wine")       right
""",
    ),
    "E0826": Explanation(
        "there is no such device, or the runtime does not run on it",
        """
A plan is executed on the processor, `cpu`, the default, or on an NVIDIA GPU, `gpu`; `auto` takes a GPU if one works,
and says which of the two it took and why. The runtimes `native` and `reference` run on the processor, `cuda` on a GPU,
so naming one of the two options is enough.

    nnc run digits --device gpu --runtime native     wrong: native is compiled for the processor
    nnc run digits --device gpu                      right
    nnc run digits --runtime cuda                    right: the same

    nnc.compile("digits", device="gpu:1")            wrong: CUDA_VISIBLE_DEVICES=1 chooses among several
    nnc.compile("digits", device="gpu")              right
""",
    ),
}
