"""E02: shapes and dtypes."""

from __future__ import annotations

from typing import Final

from .explanation import Explanation

SHAPES: Final[dict[str, Explanation]] = {
    "E0201": Explanation(
        "a float is needed",
        """
Most layers compute with floats, and nothing is converted silently: an input of integers is turned into floats by a
layer that says how.

    input image: uint8[28, 28]
    h = image -> Flatten -> Dense(64)                     wrong: `Dense` would multiply bytes
    h = image -> Rescale(1/255) -> Flatten -> Dense(64)   right: float32 from 0 to 1

Integers that name classes go through `OneHot` or `Embedding` instead; `Normalize` converts too.
""",
    ),
    "E0202": Explanation(
        "integers are needed",
        """
`OneHot` and `Embedding` look up a class by its number, so what arrives must count: uint8, int32 or int64.

    input city: float32[]
    c = city -> Embedding(100, 8)     wrong: there is no row 2.5

    input city: int32[]
    c = city -> Embedding(100, 8)     right
""",
    ),
    "E0203": Explanation(
        "a vector is needed",
        """
`Dense` and `Maxout` weigh the entries of one vector per sample; a softmax compares them. A picture or another tensor of
higher rank is first made a vector.

    h = image -> Dense(64)               wrong for image: float32[28, 28]
    h = image -> Flatten -> Dense(64)    right: 784 numbers per sample
""",
    ),
    "E0204": Explanation(
        "tensors of different shapes are combined element by element",
        """
`a + b`, `a - b`, `a * b` and `Add`, `Average`, `Maximum` ... combine tensors of equal shapes. An axis of size 1 is
repeated; nothing else is stretched to fit.

    h = x -> Dense(32)
    y = x + h                            wrong unless x has 32 entries too
    y = (x -> Dense(32)) + h             right

To put tensors side by side instead, use `(x, h) -> Concatenate`.
""",
    ),
    "E0205": Explanation(
        "tensors cannot be joined",
        """
`Concatenate` joins tensors along one axis; their ranks and all their other sizes must agree.

    (a, b) -> Concatenate                wrong for float32[4, 3] and float32[5, 3]: axis -1 joins the columns
    (a, b) -> Concatenate(axis = 1)      right: joins the rows
""",
    ),
    "E0206": Explanation(
        "there is no such axis",
        """
Axes are counted with the batch, which is axis 0 and belongs to no layer; -1 is the last one.

    (a, b) -> Concatenate(axis = 2)      wrong for vectors, which have the axes 0 (batch) and 1
    (a, b) -> Concatenate(axis = -1)     right

The normalizing layers work along the last axis only.
""",
    ),
    "E0207": Explanation(
        "the values do not fit the new shape",
        """
`Reshape` keeps every value of a sample, so the sizes must multiply to the same number. One of them may be -1: what is
left.

    x -> Reshape((3, 5))                 wrong for 16 values
    x -> Reshape((4, -1))                right: (4, 4)
""",
    ),
    "E0208": Explanation(
        "shared weights are used with inputs of different widths",
        """
A `layer` has one set of weights, whose shape follows from the first input it meets. Every other use must bring an input
of the same width.

    layer encoder = Dense(8)
    a = wide -> encoder                  float32[20]: the kernel is 20 x 8
    b = deep -> encoder                  wrong for float32[30]; give it a layer of its own
""",
    ),
    "E0209": Explanation(
        "tensors of different dtypes are combined",
        """
Layers with several inputs take one dtype. Declare the inputs alike, or convert one: `Rescale(1)` turns integers into
float32.

    input a: float32[4]
    input b: float64[4]
    s = a + b                            wrong
""",
    ),
    "E0210": Explanation(
        "there is no such type",
        """
Types are NumPy's: float32, float64, uint8, int32, int64, bool.

    input x: float[4]                    wrong: which one?
    input x: float32[4]                  right
""",
    ),
    "E0211": Explanation(
        "a type needs a shape of whole sizes",
        """
The type of an input is that of one sample; the batch axis is never written. Every size is a whole number of at least 1,
or a constant expression that gives one.

    input x: float32[batch, 28, 28]      wrong
    input x: float32                     wrong: a shape is missing
    input x: float32[28, 28]             right
    input x: float32[]                   right: a single number per sample
""",
    ),
    "E0212": Explanation(
        "a tensor is too large",
        """
A sample's value and a weight may have 2^31 - 1 elements at most, which is eight gigabytes of float32. Larger sizes are
nearly always a slip, such as a `Dense` right after a large picture.

    image -> Flatten -> Dense(100_000)   wrong for image: float32[1000, 1000, 3]
""",
    ),
    "E0213": Explanation(
        "the statistics of `Normalize` do not fit",
        """
`Normalize` learns mean and variance from the training data, unless both are given: one number for all, or one for each
entry of the axis.

    x -> Normalize(mean = 0.5)                                   wrong: no variance
    x -> Normalize(mean = [0.1, 0.2], variance = [1, 2])         right for float32[2]
""",
    ),
}
