"""E08 and E09: runs that go on, and runs that begin with the weights of another."""

from __future__ import annotations

from typing import Final

from .explanation import Explanation

RUNS: Final[dict[str, Explanation]] = {
    "E0840": Explanation(
        "the folder has a run already",
        """
A run is never written over. Go on with the one that is there, or give the new one a folder of its own:

    nnc run --resume out --epochs 40
    nnc run digits --run out2

From Python: `model.fit(..., folder="out", resume=True)`.
""",
    ),
    "E0841": Explanation(
        "options contradict each other",
        """
A run that goes on keeps its spec, seed, params and batch size, or it would be another run; only `--epochs`, `--data`,
`--plot` and `--json` go with `--resume`. `--run` says where everything goes, so `-o` has no place beside it.

    nnc run digits --resume out         wrong: the spec is in the checkpoint
    nnc run --resume out --epochs 40    right: forty epochs in all
    nnc run digits --run out --plot     right: pictures need a folder
""",
    ),
    "E0842": Explanation(
        "there is no run to go on with",
        """
`--resume` takes the folder that `nnc run SPEC --run DIR` made, or a checkpoint file. A run that ended before its first
step has left nothing: begin it again.
""",
    ),
    "E0843": Explanation(
        "a model's spec, or its texts, are others",
        """
`--from MODEL` begins a training with the weights of a model, which must be of the same spec; how it is trained and on
what data may differ. Lines marked `-` are in the model's spec alone, lines marked `+` in this one.

    nnc run new.nn --from old.safetensors               all weights, or none
    nnc run new.nn --from old.safetensors --partial     those with the same name and shape, which are listed

Texts of the data keep the numbers that the model has for them, or its embeddings and classes would be mixed up. Texts
that it does not know are refused; `--partial` gives them the numbers after those.

From Python, `fit(..., folder=..., resume=True)` goes on with a run of the same spec, params, batch size and seed
alone.
""",
    ),
    "E0844": Explanation(
        "another process is at work in the folder",
        """
Two runs in one folder would write over each other's checkpoints, so a run locks its folder until it ends. The lock goes
with its process, even with one that is killed: nothing needs to be removed by hand.

    nnc run digits --run out       still under way in another window
    nnc run --resume out           refused until that ends
    nnc run digits --run out2      a folder of its own
""",
    ),
    "E0926": Explanation(
        "the data changed since the run began",
        """
A checkpoint has the SHA-256 of each data file, or of each array that a program gave, and going on bit for bit needs the
same rows in the same places, and the same texts behind the numbers. Bring the old data back, or begin a new run with
the weights so far:

    nnc run SPEC --from out/checkpoints/latest.safetensors --run out2
""",
    ),
}
