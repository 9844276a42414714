"""E04: hyperparameters and constants."""

from __future__ import annotations

from typing import Final

from .explanation import Explanation

ARGUMENTS: Final[dict[str, Explanation]] = {
    "E0401": Explanation(
        "there is no such argument",
        """
Arguments have Keras's names. `nnc explain` shows near misses; the documentation lists every layer's arguments.

    Dense(64, use_bais = false)          wrong
    Dense(64, use_bias = false)          right
""",
    ),
    "E0402": Explanation(
        "an argument is missing",
        """
Some arguments have no default and must be given.

    x -> Dense                           wrong: how wide?
    x -> Dense(64)                       right
""",
    ),
    "E0403": Explanation(
        "too many arguments",
        """
Arguments without a name are taken in the order of the documentation; there are more of them here than that.

    x -> Dropout(0.2, 0.5)               wrong
    x -> Dropout(0.2)                    right
""",
    ),
    "E0404": Explanation(
        "an argument is given twice",
        """
An argument is given once, by position or by name.

    Dense(64, units = 32)                wrong: which?
""",
    ),
    "E0405": Explanation(
        "an argument is of the wrong kind",
        """
Every argument has a kind: a whole number, a number, a truth value, the name of an activation, and so on. Names are bare
words; texts in quotes are for paths and columns.

    Dense("64")                          wrong
    Dense(64, activation = "relu")       wrong
    Dense(64, activation = relu)         right

`/` always gives a float; `//` divides whole numbers.
""",
    ),
    "E0406": Explanation(
        "a number is out of range",
        """
The number is of the right kind, but outside what makes sense for it.

    Dropout(1.5)                         wrong: a part from 0 to below 1
    Dropout(0.5)                         right
""",
    ),
    "E0407": Explanation(
        "there is no such activation",
        """
Activations have Keras's names: linear, relu, leaky_relu, elu, selu, gelu, silu, softplus, softsign, sigmoid,
hard_sigmoid, tanh, exponential, softmax, log_softmax and a few more.

    Dense(64, rellu)                     wrong
    Dense(64, relu)                      right
""",
    ),
    "E0408": Explanation(
        "there is no such initializer",
        """
Initializers have Keras's names: zeros, ones, constant, random_uniform, random_normal, truncated_normal, glorot_uniform,
glorot_normal, he_uniform, he_normal, lecun_uniform, lecun_normal, variance_scaling, orthogonal, identity.

    Dense(64, kernel_initializer = he)         wrong
    Dense(64, kernel_initializer = he_normal)  right
""",
    ),
    "E0409": Explanation(
        "there is no such regularizer",
        """
Regularizers are l1, l2 and l1_l2, each with its factor.

    Dense(64, kernel_regularizer = l3(0.01))   wrong
    Dense(64, kernel_regularizer = l2(0.01))   right
""",
    ),
    "E0410": Explanation(
        "this is no constant",
        """
A hyperparameter is known when the spec is compiled: a number, a param, or arithmetic with them. A tensor's values are
not.

    x -> Dense(units)                    right for `param units: int = 64`
    x -> Dense(x)                        wrong
""",
    ),
    "E0411": Explanation(
        "this arithmetic has no result",
        """
Division by zero, numbers beyond 2^63 - 1 or beyond the range of a float, and roots of negative numbers have no result
that could be used.

    Rescale(1/0)                         wrong
""",
    ),
    "E0412": Explanation(
        "the default of a param does not fit it",
        """
The default has the param's type and lies within its range.

    param units: int = 0 in 1..4096      wrong
    param units: int = 64 in 1..4096     right
""",
    ),
    "E0413": Explanation(
        "there is no such param",
        """
`--set NAME=value`, and `params` in Python, override a `param` of the spec. Nothing else can be set.

    $ nnc run digits.nn --set unit=32    wrong
    $ nnc run digits.nn --set units=32   right
""",
    ),
    "E0414": Explanation(
        "a param cannot be set to this",
        """
What is set in place of a param's default has the param's type and lies within its range.

    param units: int = 64 in 1..4096
    $ nnc run digits.nn --set units=0    wrong
""",
    ),
    "E0415": Explanation(
        "there is no such type of param",
        """
A param is an `int`, a `float`, a `bool` or a `str`; it is no tensor and has no shape.

    param rate: float32 = 0.5            wrong
    param rate: float = 0.5              right
""",
    ),
    "E0416": Explanation(
        "the range of a param does not fit it",
        """
After `in` stands a range of numbers, both ends included, or a list of values of the param's type.

    param units: int = 64 in 4096..1     wrong: empty
    param units: int = 64 in 1..4096     right
    param act: str = "relu" in ["relu", "tanh"]
""",
    ),
}
