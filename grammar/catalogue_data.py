"""Explanations of E07: data."""

from __future__ import annotations

from typing import Final

from .explanation import Explanation

DATA: Final[dict[str, Explanation]] = {
    "E0701": Explanation(
        "there is no such data file",
        """
Paths in `data` are relative to the directory of the `.nn` file, or to the directory that `--data` names. The files that
a trained model's spec names are looked for beside the model, then in the current directory: all in one of the two.

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

A file that is plainly of another kind is known by its first bytes, and the reader for it is named. Text must be UTF-8.
A column with missing values is one of floats, so whole numbers above 2**53 beside them, which would lose digits, are
refused. A field that holds the separator needs quotes: "Braund, Mr. Owen Harris". A .npy or .npz file of Python
objects is refused, since reading it would execute code.
""",
    ),
    "E0703": Explanation(
        "a file has no such column or array",
        """
`table[name]` names columns of a CSV or Parquet file as its first line does, and `archive[name]` an array of a `.npz`
file, and the option `categories` columns of a table. Capital letters count.

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
Texts can name the classes of a target, and they can feed an input of integers, each text a number. Everywhere else a
column must hold numbers in every row; the first guilty row is named, and how many there are.

    input sex: float32[]     wrong: what quantity is `male`?
    input sex: int32[]       right: followed by OneHot or Embedding

Numbers have a decimal point, `1.5` and not `1,5`, and no `_` between digits. A column with texts in some rows and
numbers in others is taken for a mistake, unless the table says that it holds
names: csv("titanic.csv", categories = [Ticket]).
""",
    ),
    "E0711": Explanation(
        "a value is missing",
        """
An empty cell, or NA, null or ?, stands in a column that feeds the model. What to do is a decision about the data that
only you can make, and the table's option `missing` says it:

    csv("titanic.csv", missing = drop)      leave such rows out
    csv("titanic.csv", missing = median)    or mean, of the training rows; of texts the most frequent one
    csv("titanic.csv", missing = 0)         any number, for columns of numbers

A name can read the same file with an option of its own: `age = csv("titanic.csv", missing = 0)[Age]`. A missing target
is never made up: only `drop` helps. Of a masked array from Python (numpy.ma), masked values are missing ones.
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
        "a target or an index is outside its range",
        """
A classifier of 10 units knows the classes 0 to 9, and crossentropies compare probabilities from 0 to 1. A target
beyond has no meaning for the loss. An `Embedding` of 10 rows likewise has the rows 0 to 9 for its input to choose from,
and `OneHot(10)` the places 0 to 9; it does not matter what joins or reshapes the numbers before. A row of targets of
`categorical_crossentropy` or `kl_divergence` is a distribution: it sums to 1, with 0.02 of room for rounded numbers.

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
    "E0719": Explanation(
        "a text is unknown to the model",
        """
The numbers that texts stand for are learnt from the training rows and kept with the model. A text that only occurs in
other rows has no number: it is misspelled, or so rare that all its rows were set apart.

    csv("cars.csv", unknown = other)    all texts that training did not see share the number after the last known one

With k texts in the training rows the numbers are 0 to k-1, and k for `other`: Embedding(k + 1, ...). To OneHot(k) such
a text is none of its classes, all zeros; OneHot(k + 1) gives them a place of their own.
A target has no `other`: stratify the split by it, so that every class is in every part.
""",
    ),
    "E0720": Explanation(
        "there are more texts than the model has numbers for",
        """
Each different text is a class of its own: the output has a unit per class, and the `OneHot` or `Embedding` of an input
a number for each. Perhaps one class is spelled in several ways: `Yes`, `yes`. Capital letters count; spaces around a
text do not.

    output species = h -> Dense(2, softmax)    wrong for setosa, versicolor and virginica
    output species = h -> Dense(3, softmax)    right
""",
    ),
    "E0721": Explanation(
        "a table has nothing to learn",
        """
`nnc init` writes a spec that predicts one column of a table from the others. The target needs at least two values, and
some rows of each if they are texts; another column must hold numbers, or texts that several rows share.

    $ nnc init titanic.csv --target Name        wrong: every row has another name
    $ nnc init titanic.csv --target Survived    right
""",
    ),
}
