"""E03: names and structure."""

from __future__ import annotations

from typing import Final

from .explanation import Explanation

NAMES: Final[dict[str, Explanation]] = {
    "E0301": Explanation(
        "a name is not defined",
        """
Every value has a name that the file gave it: an input, a binding, an output, a param. Names are case-sensitive.

    hidden = image -> Flatten -> Dense(64)
    output y = hiden -> Dense(10)        wrong
    output y = hidden -> Dense(10)       right
""",
    ),
    "E0302": Explanation(
        "a name is defined twice",
        """
A name means one thing in the whole file: values do not change. Give the second one a name of its own.

    h = x -> Dense(64, relu)
    h = h -> Dense(64, relu)             wrong
    h2 = h -> Dense(64, relu)            right
""",
    ),
    "E0303": Explanation(
        "a name is used before it is defined",
        """
A file is read from top to bottom: what a line uses stands above it.

    y = h -> Dense(10)                   wrong: h comes later
    h = x -> Dense(64)
""",
    ),
    "E0304": Explanation(
        "a value depends on itself",
        """
A network has no cycles: a value is computed from values above it, once.

    h = h -> Dense(64)                   wrong
    a = b -> Dense(64)                   wrong together with
    b = a -> Dense(64)                   this
""",
    ),
    "E0305": Explanation(
        "an input is never used",
        """
An input that nothing reads would have to be fed for nothing, and is most often a forgotten arrow. Use it or remove it.
""",
    ),
    "E0306": Explanation(
        "a value is never used",
        """
A value that leads to no output is computed for nothing. Use it, make it an output or remove it.

    hidden = x -> Dense(64, relu)
    output y = x -> Dense(10)            wrong: `hidden` was meant
""",
    ),
    "E0307": Explanation(
        "a definition is never used",
        """
A param that nothing reads has no effect when it is set; a layer, block or parameter of a block that nothing uses is
dead text. Use it or remove it.
""",
    ),
    "E0308": Explanation(
        "there is no such layer",
        """
Layers have Keras's names, with their capitals; activations are layers too, in lower case. `nnc explain` and the
documentation list them all.

    x -> dense(64)                       wrong
    x -> Dense(64) -> relu               right
""",
    ),
    "E0309": Explanation(
        "a tensor is needed",
        """
Left of an arrow, in a tuple and beside `+`, `-`, `*` stand tensors: names of inputs and values. Layers stand after an
arrow, hyperparameters in parentheses.

    y = Dense(10)                        wrong: of what?
    y = x -> Dense(10)                   right
""",
    ),
    "E0310": Explanation(
        "a layer is needed after an arrow",
        """
After an arrow stands a layer, an activation, or a `layer` or `block` of the file.

    y = x -> h                           wrong for a tensor h
    y = (x, h) -> Add                    right, or x + h
""",
    ),
    "E0311": Explanation(
        "the wrong number of tensors arrives",
        """
A layer takes one tensor, or several as a tuple.

    y = (a, b) -> Dense(10)                    wrong
    y = (a, b) -> Concatenate -> Dense(10)     right
    y = a -> Add                               wrong: one summand
""",
    ),
    "E0312": Explanation(
        "this cannot be stacked",
        """
`* n` after a layer stacks n fresh copies, each with weights of its own; n is a whole number of at least 1. A named
`layer` has one set of weights, so there are no fresh copies of it.

    h = x -> Dense(64, relu) * 3         three layers
    h = x -> encoder * 3                 wrong for `layer encoder = ...`
    h = x -> encoder -> encoder          right: the same weights twice
""",
    ),
    "E0313": Explanation(
        "a block uses itself",
        """
A block is written out at every call, so one that calls itself, directly or through others, would never end.

    block tower(x) {
      return x -> Dense(8) -> tower      wrong
    }

To repeat, stack: `x -> tower * 4`.
""",
    ),
    "E0314": Explanation(
        "too deep or too large",
        """
Brackets may be nested 100 deep, blocks 32 deep, and a network may have 200,000 layers: more than a person writes, few
enough to compile. Large stacks within stacks multiply.

    x -> tower * 1000                    with a block of 1,000 layers: a million
""",
    ),
    "E0315": Explanation(
        "the model has no output",
        """
A model is what its outputs compute. At least one statement names one:

    output y = hidden -> Dense(10, softmax) { loss = sparse_categorical_crossentropy }
    output hidden                        an output of a value that has a name already
""",
    ),
    "E0316": Explanation(
        "the model has no input",
        """
A model computes its outputs from inputs, each with the type of one sample:

    input image: uint8[28, 28]
""",
    ),
    "E0317": Explanation(
        "this name is taken",
        """
`true`, `false` and `none` are values, and the names of layers and activations are the language's own: a `layer` or
`block` of the file needs another name. `val_` begins the figures of validation data, `val_main.loss` beside
`main.loss`, so no output and no layer may begin with it.

    layer Dense = Dense(64)              wrong
    layer encoder = Dense(64)            right
    output val_main = x -> Dense(1)      wrong
""",
    ),
    "E0318": Explanation(
        "a `layer` is one layer or block",
        """
`layer NAME = ...` gives one set of weights a name. On its right stands a layer or a block with its hyperparameters, and
no tensor: those come at each use.

    layer encoder = x -> Dense(64)       wrong
    layer encoder = Dense(64)            right
    left = a -> encoder
""",
    ),
    "E0319": Explanation(
        "a block does not see the tensors of the file",
        """
A block can be called from anywhere, so it knows the tensors it is given, and of the file only params, layers and other
blocks.

    block head(h) { return h + image }            wrong
    block head(h, image) { return h + image }     right: (h, image) -> head
""",
    ),
}
