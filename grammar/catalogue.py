"""Every error code: its title and the long explanation that `nnc explain CODE` prints.

Ranges: E01 syntax, E02 shapes and dtypes, E03 names and structure, E04 hyperparameters and constants, E05 outputs,
losses and metrics, E06 training, E07 data, E08 command line and Python calls, E09 plans, model files and budgets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Explanation:
    """A title in a few lower-case words; a text that says why it is an error and shows a wrong and a right example."""

    title: str
    text: str


CATALOGUE: Final[dict[str, Explanation]] = {
    # --- E01 syntax
    # --- E02 shapes and dtypes
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
    # --- E03 names and structure
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
`block` of the file needs another name.

    layer Dense = Dense(64)              wrong
    layer encoder = Dense(64)            right
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
    # --- E04 hyperparameters and constants
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
    # --- E05 outputs, losses and metrics
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
Metrics have Keras's names: accuracy, binary_accuracy, top_k_accuracy, precision, recall, f1_score, rmse, r2_score; every
loss is a metric too.
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
above 0.5 says nothing about logits or a regression.

    { loss = sparse_categorical_crossentropy, metrics = [precision] }   wrong
    { loss = sparse_categorical_crossentropy, metrics = [accuracy] }    right
    { loss = mse, metrics = [accuracy] }                                wrong
    { loss = mse, metrics = [mae] }                                     right
""",
    ),
    "E0513": Explanation(
        "class weights do not fit the classes",
        """
Class weights need targets that are classes: one weight for each in a list, or some of them in a mapping, where a class
that is not named weighs 1.

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
    # --- E06 training
    "E0601": Explanation(
        "`train` has no such entry",
        """
In `train` stand `optimizer`, `batch_size`, `epochs`, `shuffle`, `seed`, `clip_norm`, `clip_value`, `early_stopping`,
`checkpoint` and `precision`. The learning rate belongs to the optimizer.

    train { learning_rate = 0.01 }                       wrong
    train { optimizer = adam(learning_rate = 0.01) }     right
""",
    ),
    "E0602": Explanation(
        "there is no such optimizer",
        """
Optimizers have Keras's names: sgd, rmsprop, adam, adamw, nadam, adagrad, adamax, lion.
""",
    ),
    "E0603": Explanation(
        "there is no such schedule",
        """
A learning rate is a number or a schedule: constant, step, exponential, cosine (with a warm-up), piecewise_constant,
plateau.

    adam(learning_rate = cosine(0.001, decay_steps = 1000))
""",
    ),
    "E0604": Explanation(
        "this version does not have it",
        """
The language has a place for `checkpoint` and for other precisions than float32; this version of nnc does not do either.
Leave the entry out. An input of type float64 makes the layers after it float64.
""",
    ),
    "E0650": Explanation(
        "`data` binds something unknown",
        """
`data` binds inputs and targets, by name, inside the groups `train`, `validation` and `test` or directly; other names are
tables that those entries read.

    data {
      table = csv("wine.csv")
      x     = table[a..k]                right for `input x`
      z     = table[label]               wrong if there is neither an input nor a target `z`
    }
""",
    ),
    "E0651": Explanation(
        "`data` leaves something out",
        """
Every input, and the target of every output with a loss, needs data in every group. A target bears its output's name, or
the one that `target` gives it.
""",
    ),
    "E0652": Explanation(
        "there is no such reader",
        """
Files are read by `csv`, `parquet`, `npz`, `npy` or `idx`.

    table = xlsx("wine.xlsx")            wrong; save it as CSV
    table = csv("wine.csv")              right
""",
    ),
    "E0653": Explanation(
        "there is no such table",
        """
A table is defined above the entries that read it.

    data {
      x     = tabel[a, b]                wrong
      table = csv("a.csv")
    }
""",
    ),
    "E0654": Explanation(
        "there are no such columns",
        """
Columns are names, texts in quotes or runs of them: `table[a, "b c", d..f]`. An npz file holds arrays, one of which is
picked by its name; npy and idx files hold one array without a name.

    image = idx("train-images-idx3-ubyte.gz")[x]     wrong
    image = npz("mnist.npz")[x_train]                right
""",
    ),
    "E0655": Explanation(
        "the groups of the data do not fit",
        """
The data are given either as groups, of which `train` is one, or all at once, with a `split` that takes fractions off for
validation and test.

    data { table = csv("a.csv"), x = table[a], y = table[b], split { test = 20%, seed = 1 } }
    split { validation = 60%, test = 50% }           wrong: nothing is left to train on
""",
    ),
    "E0690": Explanation(
        "training diverged",
        """
The total loss became NaN or infinite, so nothing more can be learned from it. Most often the learning rate is too
high for the size of the gradients; large inputs (years, prices, pixels up to 255) make gradients large.

    train { optimizer = sgd(learning_rate = 10) }                     wrong for most networks
    train { optimizer = sgd(learning_rate = 0.01), clip_norm = 1.0 }  right: small steps, bounded gradients

Also put `Normalize` or `Rescale` after inputs whose values are large. Training ends with exit code 5.
""",
    ),
    "E0691": Explanation(
        "training reports no such figure",
        """
`early_stopping` and the schedule `plateau` watch a figure by name: `loss` (the total), a term such as `main.loss` or
`digit.accuracy`, or the same of the validation data with `val_` before it. `val_accuracy` will do for
`val_digit.accuracy` where only one output has that metric.

    early_stopping = early_stopping(monitor = val_acuracy)   wrong: no metric of that name
    early_stopping = early_stopping(monitor = val_accuracy)  right, with validation data and that metric
""",
    ),
    # --- E07 data
    "E0701": Explanation(
        "there is no such data file",
        """
Paths in `data` are relative to the directory of the `.nn` file, or to the directory that `--data` names.

    table = csv("data/wine.csv")            looks for data/wine.csv beside the spec
    $ nnc run mnist.nn --data ~/mnist       looks for every file of the spec in ~/mnist
""",
    ),
    "E0702": Explanation(
        "a data file cannot be read",
        """
The file is not what its reader expects: torn by a broken download, of another format, or a table whose rows have
different numbers of fields. Nothing is guessed: compare its size and format with those of the original.

    image = idx("digits.npz")               wrong: another format
    image = npz("digits.npz")[x]            right

A field that holds the separator needs quotes: "Braund, Mr. Owen Harris". A .npy or .npz file of Python objects is
refused, since reading it would execute code.
""",
    ),
    "E0703": Explanation(
        "a file has no such column or array",
        """
`table[name]` names columns of a CSV or Parquet file as its first line does, and `archive[name]` an array of a `.npz`
file. Capital letters count.

    table = csv("iris.csv")
    petals = table[PetalLength]             wrong, if the header says petal_length_cm
    petals = table[petal_length_cm]         right
    all = table[sepal_length_cm..petal_width_cm]   a run of columns, both ends included
""",
    ),
    "E0704": Explanation(
        "an input or target has no data",
        """
Every input, and every output that has a loss, needs data under its own name (or under the name that `target` gives).

    data { train { image = idx("images.gz") } }                            wrong: nothing to compare the output with
    data { train { image = idx("images.gz"), digit = idx("labels.gz") } }  right

From Python: model.fit({"image": x}, {"digit": y}).
""",
    ),
    "E0705": Explanation(
        "there is data for a name that the model does not have",
        """
Data is bound by name. A name that is no input and no target would never be read; most often it is misspelled.

    data { train { imgae = idx("images.gz"), ... } }   wrong
    data { train { image = idx("images.gz"), ... } }   right
""",
    ),
    "E0706": Explanation(
        "arrays have different numbers of rows",
        """
Row 7 of every input and of every target belong to the same sample, so all of one group have the same number of rows.
Perhaps images of the training set were given with labels of the test set.
""",
    ),
    "E0707": Explanation(
        "there are no samples",
        """
The file or the array is empty, or a table has a header and nothing below it. Training needs at least one row.
""",
    ),
    "E0708": Explanation(
        "an array does not have the shape that the model expects",
        """
Axis 0 counts samples; the rest is the shape that the `input` declares, or that the output gives. Nothing is broadcast
into place: a target of shape [n] against a prediction of shape [n, 3] is an error, not three copies.

    input image: uint8[28, 28]
    model.fit(images.reshape(-1, 784), ...)   wrong: [n, 784]
    model.fit(images, ...)                    right: [n, 28, 28]

Columns of a table fill the declared shape in their order, and [n] and [n, 1] are taken for each other.
""",
    ),
    "E0709": Explanation(
        "a value does not fit the declared type",
        """
Data is converted to the type that the spec declares only where nothing is lost but the last digits of a fraction:
whole numbers to floats, float64 to float32, and to integers whatever is whole and in range. Text and objects are no
numbers.

    input pixel: uint8[3]    with the value 300    wrong: uint8 ends at 255
    input pixel: int32[3]    with the value 300    right
""",
    ),
    "E0710": Explanation(
        "text stands where numbers should be",
        """
A column that feeds a model must hold numbers in every row. The first guilty row is named, and how many there are.

    Sex
    male                 wrong: text
    1                    right: a number for each word
""",
    ),
    "E0711": Explanation(
        "a value is missing",
        """
An empty cell, or NA, null or ?, stands in a column that feeds the model. What to put there is a decision about the
data that only you can make: leave the row out, or fill in a mean, a zero or a guess.
""",
    ),
    "E0712": Explanation(
        "data holds NaN or infinity",
        """
One such value makes the loss NaN in the first step that meets it, and then every weight. The first one is named with
its row and column, and how many there are. Often it stands for a missing value.
""",
    ),
    "E0713": Explanation(
        "a target is outside its range",
        """
A classifier of 10 units knows the classes 0 to 9, and crossentropies compare probabilities from 0 to 1. A target
beyond has no meaning for the loss.

    output digit = h -> Dense(10, softmax) { loss = sparse_categorical_crossentropy }
    labels 1 to 10       wrong: subtract 1
    labels 0 to 9        right
""",
    ),
    "E0714": Explanation(
        "a class label is fractional",
        """
`sparse_categorical_crossentropy` takes the number of a class: a whole number. 2.5 is no class.

For a quantity (a price, a temperature) use a regression loss such as `mse` and an output of one unit.
""",
    ),
    "E0715": Explanation(
        "one-hot targets and class indices are confused",
        """
There are two ways to write "class 2 of 4", and a loss for each:

    2                sparse_categorical_crossentropy
    [0, 0, 1, 0]     categorical_crossentropy

The data is in one form and the loss expects the other. Change the name of the loss; the results are the same.
""",
    ),
    "E0716": Explanation(
        "a split leaves a part without rows",
        """
The fractions of `split` are rounded to whole rows. With few rows a small fraction is none, and large ones leave
nothing to train on.

    split { test = 5% }     wrong for 8 rows
    split { test = 25% }    right: 2 of 8 rows
""",
    ),
    "E0718": Explanation(
        "the package that reads this kind of file is not installed",
        """
Parquet files are read with pyarrow, which comes with the optional extra `data`:

    $ pip install 'nnc[data]'

CSV, npz, npy and idx files need nothing more than nnc itself.
""",
    ),
    # --- E08 command line and Python calls
    "E0801": Explanation(
        "the command line is not understood",
        """
A command, an option or an argument is unknown or missing, so nothing was started.

    $ nnc chek mnist.nn          wrong: no such command
    $ nnc check mnist.nn         right

`nnc --help` lists the commands, `nnc COMMAND --help` the options of one.
""",
    ),
    "E0802": Explanation(
        "there is no such spec",
        """
The name is neither a readable file nor one of the specs that come with nnc.

    $ nnc run digts              wrong: no such file, no such bundled spec
    $ nnc run digits             right: a bundled spec, named without `.nn`
    $ nnc run my/model.nn        right: a file
    $ nnc check - < model.nn     right: standard input

`nnc specs` lists the bundled specs; `nnc specs --copy digits` makes a copy to edit.
""",
    ),
    "E0803": Explanation(
        "the spec is not text",
        """
A spec is a UTF-8 text file. This one holds bytes that are not UTF-8: a model file, a picture or an archive was named
by mistake, or an editor saved the text in an older encoding. Save it again as UTF-8.
""",
    ),
    "E0804": Explanation(
        "there is no such error code",
        """
`nnc explain` knows the codes that nnc prints in brackets, such as `error[E0203]`.

    $ nnc explain E203           wrong
    $ nnc explain E0203          right

`nnc explain` alone lists all codes.
""",
    ),
    "E0805": Explanation(
        "`--set` is not NAME=VALUE",
        """
`--set` overrides one `param` of the spec: its name, an equals sign, its value. Repeat the option for several.

    $ nnc run digits --set units 64                     wrong: no equals sign
    $ nnc run digits --set units=64                     right
    $ nnc run residual --set units=64 --set depth=2     right

Each param may be given once.
""",
    ),
    "E0806": Explanation(
        "an option's value does not fit",
        """
Numbers and sizes on the command line are checked before anything else is done.

    $ nnc run digits --batch-size 0          wrong: a step needs at least one sample
    $ nnc run digits --batch-size auto       right, together with --max-memory
    $ nnc compile digits --max-memory 64M    wrong: 64MB (millions) or 64MiB (2**20)?
    $ nnc compile digits --max-memory 64MiB  right
""",
    ),
    "E0807": Explanation(
        "a file cannot be written",
        """
The result has nowhere to go: the directory does not exist or is read-only, the disk is full, or a file is in the way
that nnc will not overwrite. Choose another place, for example with `-o` or `--to`.
""",
    ),
    "E0808": Explanation(
        "the spec names no data",
        """
`nnc run` trains on data, and this spec has no `data` section that says where the inputs and targets come from. Add one:

    data {
      table = csv("data/wine.csv")
      chemistry = table[alcohol..proline]
      cultivar = table[cultivar]
      split { test = 20% }
    }

A spec without data compiles and checks; from Python, `model.fit` takes arrays instead.
""",
    ),
    "E0809": Explanation(
        "the spec has nothing to train",
        """
`nnc run` trains a model, and no output of this spec has a loss. Without a loss there is no direction to improve in:

    output digit = hidden -> Dense(10, softmax)                                              wrong
    output digit = hidden -> Dense(10, softmax) { loss = sparse_categorical_crossentropy }   right
""",
    ),
    "E0810": Explanation(
        "there is no such data directory",
        """
`--data DIR` says where the files are that the spec's `data` section names. It must be a directory that exists.

    $ nnc run mnist --data mnist/train-images-idx3-ubyte.gz    wrong: a file
    $ nnc run mnist --data mnist                               right: the directory with the four files
""",
    ),
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
`nnc.compile` takes a path or `text=`, `fit` takes a number of epochs of at least 1 and validation data as a pair (x,
y).

    model.fit(x, y, validation_data=xv)          wrong
    model.fit(x, y, validation_data=(xv, yv))    right
""",
    ),
    "E0823": Explanation(
        "there is no such runtime",
        """
A plan is executed by a runtime, chosen by name: `reference` runs everywhere that NumPy does.
""",
    ),
    # --- E09 plans, model files and budgets
    "E0920": Explanation(
        "there is no such model file",
        """
`nnc.load` and the commands that take a trained model read a `.safetensors` file, as `nnc run` and `model.save` write
it.
""",
    ),
    "E0921": Explanation(
        "a model file is torn",
        """
The file is no safetensors file, or its end is missing: a download or a copy was broken off. nnc writes model files
whole or not at all, so another copy of the same file may be fine.
""",
    ),
    "E0922": Explanation(
        "a safetensors file is no model of nnc",
        """
The file holds tensors, but neither a spec nor a plan: another program wrote it. `nnc run SPEC` and `model.save(path)`
write files that hold both.
""",
    ),
    "E0923": Explanation(
        "a model file was written by a newer nnc",
        """
The file's format is newer than this nnc understands. Upgrade: pip install --upgrade nnc
""",
    ),
    "E0924": Explanation(
        "a model file was changed after it was written",
        """
A model file carries a SHA-256 of its spec, of its plan and of its tensors, and they must agree, so that a damaged or
doctored file is refused and never run. To change weights, load the model, assign to `model.weights` and save it
again.
""",
    ),
}
