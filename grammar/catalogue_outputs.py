"""E05: outputs, losses and metrics."""

from __future__ import annotations

from typing import Final

from .explanation import Explanation

OUTPUTS: Final[dict[str, Explanation]] = {
    "E0501": Explanation(
        "an output has no such entry",
        """
In the braces of an output stand `loss`, `weight`, `class_weight`, `metrics` and `target`.

    output y = h -> Dense(1) { lose = mse }    wrong
    output y = h -> Dense(1) { loss = mse }    right
""",
    ),
    "E0502": Explanation(
        "there is no such loss",
        """
Losses have Keras's names: mse, mae, huber, log_cosh, binary_crossentropy, categorical_crossentropy,
sparse_categorical_crossentropy, hinge, kl_divergence, poisson, cosine_similarity and a few more.
""",
    ),
    "E0503": Explanation(
        "there is no such metric",
        """
Metrics have Keras's names: accuracy, binary_accuracy, top_k_accuracy, precision, recall, f1_score, rmse, r2_score;
every loss is a metric too.
""",
    ),
    "E0504": Explanation(
        "logits are announced, but an activation was applied",
        """
`from_logits = true` says that the output is the raw sum and that the loss shall apply the activation. With a softmax or
sigmoid before it, it would be applied twice, and the model would learn badly without a word.

    Dense(10, softmax) { loss = sparse_categorical_crossentropy(from_logits = true) }   wrong
    Dense(10, softmax) { loss = sparse_categorical_crossentropy }                       right, and just as stable
""",
    ),
    "E0505": Explanation(
        "an entry has no effect without a loss",
        """
`weight`, `class_weight` and `metrics` say how an output is judged; an output without a loss is only predicted.

    output y = h -> Dense(1) { weight = 0.5 }               wrong
    output y = h -> Dense(1) { loss = mse, weight = 0.5 }   right
""",
    ),
    "E0506": Explanation(
        "a metric is listed twice",
        """
Every figure is reported under the name of its metric, so an output has each metric once.
""",
    ),
    "E0507": Explanation(
        "softmax over one unit",
        """
A softmax makes the units of a row compete; with one unit there is nobody to compete with, and it always gives 1. Keras
trains such a model without complaint, to nothing.

    Dense(1, softmax)                    wrong
    Dense(1, sigmoid)                    right for a yes or no
    Dense(2, softmax)                    right for two classes
""",
    ),
    "E0508": Explanation(
        "a loss needs probabilities",
        """
A crossentropy takes logarithms of probabilities. Raw sums may be negative or larger than 1: the loss would be cut off
and the gradients with it.

    Dense(10) { loss = sparse_categorical_crossentropy }                        wrong
    Dense(10, softmax) { loss = sparse_categorical_crossentropy }               right
    Dense(10) { loss = sparse_categorical_crossentropy(from_logits = true) }    right
""",
    ),
    "E0509": Explanation(
        "a loss over classes needs a unit for each class",
        """
The categorical crossentropies choose among classes, each with a unit of its own. One unit is a yes or no.

    Dense(1) { loss = sparse_categorical_crossentropy }      wrong
    Dense(1, sigmoid) { loss = binary_crossentropy }         right for two classes
    Dense(3, softmax) { loss = sparse_categorical_crossentropy }
""",
    ),
    "E0510": Explanation(
        "activation and crossentropy do not belong together",
        """
A softmax gives probabilities that sum to 1 over the classes: categorical crossentropies. A sigmoid gives each unit a
probability of its own: binary crossentropy, also for several labels at once.

    Dense(10, softmax) { loss = binary_crossentropy }                    wrong
    Dense(10, softmax) { loss = sparse_categorical_crossentropy }        right: one of ten
    Dense(10, sigmoid) { loss = binary_crossentropy }                    right: any of ten
""",
    ),
    "E0511": Explanation(
        "the prediction has the wrong range for its loss",
        """
`poisson` and `msle` take logarithms of predictions that count something, so they may not be negative; the hinge losses
compare signs, so the prediction must be able to be negative.

    Dense(1) { loss = poisson }                  wrong
    Dense(1, softplus) { loss = poisson }        right
    Dense(1, sigmoid) { loss = hinge }           wrong
    Dense(1, tanh) { loss = hinge }              right
""",
    ),
    "E0512": Explanation(
        "a metric does not fit its output",
        """
A metric of class numbers does not fit one-hot targets and the other way round; one that asks whether a probability is
above 0.5, or counts yes and no, says nothing about logits or a regression.

    { loss = sparse_categorical_crossentropy, metrics = [rmse] }        wrong
    { loss = sparse_categorical_crossentropy, metrics = [accuracy] }    right
    { loss = mse, metrics = [accuracy] }                                wrong
    { loss = mse, metrics = [mae] }                                     right
""",
    ),
    "E0513": Explanation(
        "class weights do not fit the classes",
        """
Class weights need targets that are classes: one weight for each in a list, or some of them in a mapping, where a class
that is not named weighs 1. Not all of them are 0.

    class_weight = [1, 2]                wrong for ten classes
    class_weight = { 3: 2.0 }            right
""",
    ),
    "E0514": Explanation(
        "a loss needs floats",
        """
A loss is differentiated, so what it judges must be made of floats.

    output y = image { loss = mse }                  wrong for uint8
    output y = image -> Rescale(1/255) -> ...        right
""",
    ),
    "E0515": Explanation(
        "no output has a loss",
        """
Training needs something to make smaller. Give an output a loss, or leave `train` out: a spec without it compiles and
predicts.
""",
    ),
    "E0516": Explanation(
        "there are no weights to train",
        """
No layer of the model has weights that training may change: there are none, or all are `trainable = false`.
""",
    ),
}
