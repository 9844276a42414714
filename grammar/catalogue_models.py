"""What the commands on trained models cannot do, E0830 to E0833."""

from __future__ import annotations

from typing import Final

from .explanation import Explanation

MODELS: Final[dict[str, Explanation]] = {
    "E0830": Explanation(
        "the data has no such part",
        """
`nnc evaluate MODEL --split PART` judges the model on the rows of one part: `train`, `validation` or `test`. The spec's
data section makes parts, by `split { ... }` or by groups, and it does not make this one.

    data { ...  split { test = 20% } }                      has train and test
    data { ...  split { validation = 10%, test = 20% } }    has all three
""",
    ),
    "E0831": Explanation(
        "`--input` does not say where rows come from",
        """
`nnc predict` reads rows from files, each named after an `@`, or from stdin, which is `-`. Before it may stand the input
that a file is for; without one the file has the rows of all inputs, as columns or as arrays. No input is given twice.

    $ nnc predict wine.safetensors --input rows.csv        wrong
    $ nnc predict wine.safetensors --input @rows.csv       right: the columns that the spec's data section names
    $ nnc predict digits.safetensors --input image=@x.npy  right: one array for the input `image`
    $ cat rows.csv | nnc predict wine.safetensors --input -
""",
    ),
    "E0832": Explanation(
        "predictions do not fit the kind of file",
        """
The name of the file that `-o` gives says how predictions are written: `.csv` as a table, `.npz` as an archive of one
array per output, `.npy` as the one array of a model with one output. Without `-o`, or with `-o -`, a table goes to
stdout.
""",
    ),
    "E0833": Explanation(
        "the model has no classes",
        """
`nnc predict --classes` gives the likeliest class of each row, or yes and no where a sigmoid says how likely yes is. An
output has classes if it was trained with a crossentropy; this model's outputs are quantities, which are predicted as
they are. Leave `--classes` out.
""",
    ),
}
