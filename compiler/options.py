"""What a spec and its caller choose, as plain values: named choices, training, data, compile options.

Made by the network stage from the sections `output`, `train` and `data`; read by every later stage and by
the runtime. Needs no package that is installed beside nnc, so a plan can be run without parser or graph library.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Union

from nnc.grammar.diagnostics import Diagnostic, UsageError

PRECISIONS: Final = ("float32", "bfloat16", "tf32")   # of what products of matrices multiply; their sums are float32
Value = Union[None, bool, int, float, str, "Choice", tuple["Value", ...]]


@dataclass(frozen=True, slots=True)
class Choice:
    """A named entry of some table with all its arguments filled in: `Choice("rmsprop", (("rho", 0.9), ...))`.

    Used for activations, losses, metrics, optimizers, schedules, initializers and regularizers.
    """

    name: str
    arguments: tuple[tuple[str, Value], ...] = ()

    def __getitem__(self, key: str) -> Value:
        return dict(self.arguments)[key]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{k}={v}' for k, v in self.arguments)})" if self.arguments else self.name


@dataclass(frozen=True, slots=True)
class OutputConfig:
    """One `output`: which layer's value it is and how it is judged. `loss` is None for a predict-only output."""

    name: str
    layer: str
    loss: Choice | None
    weight: float = 1.0
    class_weight: tuple[float, ...] | None = None     # one weight per class, in class order
    metrics: tuple[Choice, ...] = ()
    target: str | None = None                         # data name of the target; None: the output's own name
    sample_weight: str | None = None                  # data name of each sample's factor in the loss; None: all count 1


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """The `train` section with Keras's defaults filled in."""

    optimizer: Choice
    batch_size: int | str = 32                        # "auto": the largest that fits --max-memory
    epochs: int = 1
    shuffle: bool = True
    seed: int = 0
    clip_norm: float | None = None                    # global norm over all gradients
    clip_value: float | None = None
    early_stopping: Choice | None = None
    checkpoint: tuple[Choice, ...] = ()               # every(...), best(...)
    precision: str = "float32"                        # one of PRECISIONS
    accumulate: int = 1                               # an update every so many steps, of the mean gradient
    ema: float | None = None                          # momentum of the moving averages of the weights


@dataclass(frozen=True, slots=True)
class Source:
    """`csv("a.csv")`: a reader's name, its path as written and its options; or a reference to a named table."""

    reader: str                                       # csv | npz | npy | idx | parquet
    path: str
    options: tuple[tuple[str, Value], ...] = ()
    columns: tuple[str, ...] | None = None            # csv, parquet: names; npz: one array's key


@dataclass(frozen=True, slots=True)
class Split:
    """`split { validation = 0.2, test = 0.2, seed = 42 }`: fractions of the rows of the one group."""

    validation: float = 0.0
    test: float = 0.0
    seed: int = 0
    stratify: str | None = None


@dataclass(frozen=True, slots=True)
class DataConfig:
    """The `data` section: groups `train`, `validation`, `test` of (input or target name -> source), or one, `all`."""

    groups: tuple[tuple[str, tuple[tuple[str, Source], ...]], ...]
    split: Split | None = None


@dataclass(frozen=True, slots=True)
class CompileOptions:
    """What the caller of `compile` may choose beside the spec.

    `params` are `--set` overrides (text or values); `batch_size`, `epochs`, `seed` override `train`;
    `max_memory_bytes` bounds the training peak. `sample_weights` names outputs that are to be given weights of samples
    even though their spec names none. Whole numbers of any type, such as NumPy's, become `int`.
    Raises: UsageError E0806 for each value that is not of its kind or out of its range.
    """

    params: Mapping[str, object] = field(default_factory=dict)
    batch_size: int | str | None = None
    epochs: int | None = None
    seed: int | None = None
    max_memory_bytes: int | None = None
    sample_weights: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        problems: list[Diagnostic] = []
        if not isinstance(self.params, Mapping):
            problems.append(_misfit("params", self.params, 'values by name, as in {"units": 64}'))
        for name, (least, most) in _WHOLE_NUMBERS.items():
            value = getattr(self, name)
            if value is None or (name == "batch_size" and value == "auto"):
                continue
            number = _whole_number(value)
            if number is None or not least <= number <= most:
                also = ', or "auto"' if name == "batch_size" else ""
                problems.append(_misfit(name, value, f"a whole number from {least} to {most}{also}"))
            else:
                object.__setattr__(self, name, number)
        if problems:
            raise UsageError(*problems)


# what a plan can hold
_WHOLE_NUMBERS: Final = {
    "batch_size": (1, 2**31), "epochs": (1, 2**31 - 1), "seed": (0, 2**63 - 1), "max_memory_bytes": (1, 2**63 - 1),
}  # fmt: skip


def _whole_number(value: object) -> int | None:
    if isinstance(value, bool | str):
        return None
    try:
        return operator.index(value)    # type: ignore[arg-type]
    except TypeError:
        return None


def _misfit(name: str, value: object, expected: str) -> Diagnostic:
    return Diagnostic("E0806", f"`{name}` is {value!r}", notes=(f"expected {expected}",))
