"""Every error code: its title and the long explanation that `nnc explain CODE` prints.

Ranges: E01 syntax, E02 shapes and dtypes, E03 names and structure, E04 hyperparameters and constants, E05 outputs,
losses and metrics, E06 training, E07 data, E08 command line and Python calls, E09 plans, model files and budgets.
"""

from __future__ import annotations

from typing import Final

from .catalogue_arguments import ARGUMENTS
from .catalogue_calls import CALLS
from .catalogue_models import MODELS
from .catalogue_names import NAMES
from .catalogue_outputs import OUTPUTS
from .catalogue_sections import SECTIONS
from .catalogue_shapes import SHAPES
from .catalogue_syntax import SYNTAX
from .explanation import Explanation

CATALOGUE: Final[dict[str, Explanation]] = {
    **SYNTAX,  # E01
    **SHAPES,  # E02
    **NAMES,  # E03
    **ARGUMENTS,  # E04
    **OUTPUTS,  # E05
    # --- E06 training
    **SECTIONS,
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
Texts can name the classes of a target, and they can feed an input of integers, each text a number. Everywhere else a
column must hold numbers in every row; the first guilty row is named, and how many there are.

    input sex: float32[]     wrong: what quantity is `male`?
    input sex: int32[]       right: followed by OneHot or Embedding

A column with texts in some rows and numbers in others is taken for a mistake, unless the table says that it holds
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
is never made up: only `drop` helps.
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
beyond has no meaning for the loss. An `Embedding` of 10 rows likewise has the rows 0 to 9 for its input to choose from.

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

With k texts in the training rows the numbers are 0 to k-1, and k for `other`: OneHot(k + 1), Embedding(k + 1, ...).
A target has no `other`: stratify the split by it, so that every class is in every part.
""",
    ),
    "E0720": Explanation(
        "there are more texts than the model has numbers for",
        """
Each different text is a class of its own, and the output has a unit per class. Perhaps one class is spelled in
several ways: `Yes`, `yes`. Capital letters count; spaces around a text do not.

    output species = h -> Dense(2, softmax)    wrong for setosa, versicolor and virginica
    output species = h -> Dense(3, softmax)    right
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
    **CALLS,  # E082
    **MODELS,  # E083
    # --- E09 plans, model files and budgets
    "E0901": Explanation(
        "a plan cannot be read",
        """
A plan is the JSON text that `nnc compile SPEC -o plan.json` writes and that every trained model carries. This one is no
JSON, lacks a field, or has one of the wrong kind: it was cut off or edited. Compile the spec again.
""",
    ),
    "E0902": Explanation(
        "a plan is of another version",
        """
Plans say which version of their format they are written in, and nnc runs those of its own version alone. Compile the
spec again, or take the nnc that wrote the plan. A model file of an older nnc can be made again from its spec:

    nnc run SPEC
""",
    ),
    "E0903": Explanation(
        "a plan is unsound",
        """
A plan from a file is proved before it is run: every read follows a write, no two values in use share bytes, every
address lies in the arena, every type fits. This one fails: it was edited, or damaged in a way that left it readable.
Nothing of it has been executed. Compile the spec again.
""",
    ),
    "E0910": Explanation(
        "a model needs more memory than it may use",
        """
All memory is planned before the first step, so the need is known exactly. It is above the bound that `--max-memory` or
`max_memory_bytes` sets. The error names the three largest things in memory at the worst moment, and the largest batch
that fits:

    nnc run mnist.nn --max-memory 2MiB                       # too little for a batch of 128
    nnc run mnist.nn --max-memory 2MiB --batch-size auto     # the largest batch that fits
""",
    ),
    "E0911": Explanation(
        "batch size `auto` needs a bound on memory",
        """
`auto` takes the largest batch that fits into the memory that the model may use. Without a bound there is no largest:

    nnc run mnist.nn --batch-size auto                       # as large as what?
    nnc run mnist.nn --batch-size auto --max-memory 64MiB
""",
    ),
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
    "E0925": Explanation(
        "a model file is no checkpoint",
        """
`nnc run --resume` goes on from a checkpoint: a model file that also says where training stands, with the optimizer's
memory, the sums of the epoch under way and what early stopping has seen. This file holds a finished model. A run
folder, `nnc run SPEC --run DIR`, keeps its checkpoints in DIR/checkpoints:

    nnc run --resume digits.safetensors       wrong: the result of a run
    nnc run --resume DIR                      right: goes on where the run in DIR stands
""",
    ),
}
