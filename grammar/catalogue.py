"""Every error code: its title and the long explanation that `nnc explain CODE` prints.

Ranges: E01 syntax, E02 shapes and dtypes, E03 names and structure, E04 hyperparameters and constants, E05 outputs,
losses and metrics, E06 training, E07 data, E08 command line and Python calls, E09 plans, model files, budgets, the C
compiler and the GPU.
"""

from __future__ import annotations

from typing import Final

from .catalogue_arguments import ARGUMENTS
from .catalogue_calls import CALLS
from .catalogue_data import DATA
from .catalogue_gpu import GPU
from .catalogue_models import MODELS
from .catalogue_names import NAMES
from .catalogue_native import NATIVE
from .catalogue_outputs import OUTPUTS
from .catalogue_runs import RUNS
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
`val_digit.accuracy` where only one output has that metric, and `val_f1` for `val_f1_score`: any name of the metric.

    early_stopping = early_stopping(monitor = val_acuracy)   wrong: no metric of that name
    early_stopping = early_stopping(monitor = val_accuracy)  right, with validation data and that metric
""",
    ),
    **DATA,  # E07
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
Numbers and sizes, on the command line and of `nnc.compile`, are checked before anything else is done.

    $ nnc run digits --batch-size 0          wrong: a step needs at least one sample
    $ nnc run digits --batch-size auto       right, together with --max-memory
    $ nnc compile digits --max-memory 64M    wrong: 64MB (millions) or 64MiB (2**20)?
    $ nnc compile digits --max-memory 64MiB  right

    nnc.compile("digits", max_memory_bytes="64MiB")     wrong: bytes, as a whole number
    nnc.compile("digits", max_memory_bytes=64 * 2**20)  right
""",
    ),
    "E0807": Explanation(
        "a file cannot be written",
        """
The result has nowhere to go: the directory does not exist or is read-only, the disk is full, or a file is in the way
that nnc will not overwrite: what the command itself reads, or in the place of a model a file that is none. Choose
another place, for example with `-o` or `--to`.
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
    **RUNS,  # E084, E0926
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
The file's format is newer than this nnc understands, or it has a setting that this nnc does not know and so could not
heed. Upgrade: pip install --upgrade nnc
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
    **NATIVE,  # E093
    **GPU,  # E094
}
