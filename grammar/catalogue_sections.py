"""E06: the sections `train` and `data`, as the spec writes them."""

from __future__ import annotations

from typing import Final

from .explanation import Explanation

SECTIONS: Final[dict[str, Explanation]] = {
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
`precision` is `float32`; `bfloat16`: products of matrices then round what they multiply to bfloat16 and sum in float32;
or `tf32`: they may round it to TF32, where a GPU multiplies that quicker. Others, such as float16, this version of nnc
does not have. An input of type float64 makes the layers after it float64.
""",
    ),
    "E0605": Explanation(
        "`precision` does not fit the network",
        """
With `precision = bfloat16` every product of matrices rounds both its operands from float32 to bfloat16, which keeps 8
of 24 binary digits; with `precision = tf32` it may round them to TF32, which keeps 11. A layer of float64 asks for the
opposite: 53 digits. So one of the two is a mistake.

    input x: float64[8]
    output y = x -> Dense(1) { loss = mse }
    train { precision = bfloat16 }           wrong: make x float32, or leave `precision` out
""",
    ),
    "E0650": Explanation(
        "`data` binds something unknown",
        """
`data` binds inputs and targets, by name, inside the groups `train`, `validation` and `test` or directly; other names
are tables that those entries read.

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
The data are given either as groups, of which `train` is one, or all at once, with a `split` that takes fractions off
for validation and test.

    data { table = csv("a.csv"), x = table[a], y = table[b], split { test = 20%, seed = 1 } }
    split { validation = 60%, test = 50% }           wrong: nothing is left to train on

`stratify` keeps the shares of classes, so it names a target that is one class for each sample (by number, one-hot, or
a yes or no), or an input that is one whole number or text.

    split { test = 20%, stratify = price }           wrong: a quantity has no classes
    split { test = 20%, stratify = species }         right
""",
    ),
}
