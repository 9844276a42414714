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
    # --- E03 names and structure
    # --- E04 hyperparameters and constants
    # --- E05 outputs, losses and metrics
    # --- E06 training
    # --- E07 data
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
    # --- E09 plans, model files and budgets
}
