"""The primitive op graph: what a program computes, before anything is fused, ordered or placed.

Graphs are pure. State changes are listed in `Graph.updates`; a program's variables are shared by its graphs.
Grown with `builder.Builder`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .expr import Expr
from .options import Choice
from .types import TensorType

ACCUMULATOR: Final = "accumulator"  # the role of a variable that adds up what a report needs
Attrs = tuple[tuple[str, object], ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """A tensor that outlives a step.

    role: "weight" (has an initializer), "statistic" (moving mean, Normalize's mean and variance),
    "slot" (optimizer state), "scalar" (step, learning-rate scale), "accumulator" (float64 sums for reports).
    Never has a batch axis.
    """

    name: str                    # "hidden.kernel", "hidden.kernel.velocity", "step", "sum.main.loss"
    type: TensorType
    role: str
    initializer: Choice          # Keras's name and arguments; slots and sums: Choice("zeros")
    layer: str = ""              # the layer that owns it, "" for scalars and accumulators
    trainable: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """One primitive operation; its id is its position in `Graph.nodes`."""

    op: str                      # key of the op registry
    inputs: tuple[int, ...]      # node ids, in argument order, all smaller than its own
    attrs: Attrs                 # sorted (name, value) pairs
    type: TensorType
    origin: str                  # the layer (or "loss", "optimizer") that asked for it

    def attr(self, name: str) -> object:
        for key, value in self.attrs:
            if key == name:
                return value
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Update:
    """Simultaneous elementwise assignment `targets[i] := exprs[i](operands)`; operand k is variable `xk`.

    All targets have one shape; operands broadcast to it. Applied after every read of the old values.
    """

    targets: tuple[str, ...]     # names of variables
    operands: tuple[int, ...]    # node ids
    exprs: tuple[Expr, ...]
    origin: str


@dataclass(frozen=True, slots=True)
class Graph:
    """One program's computation: nodes in topological order, named results, state changes."""

    program: str                                   # "train_step" | "evaluate_step" | "predict" | "adapt_step"
    nodes: tuple[Node, ...]
    results: tuple[tuple[str, int], ...]           # ("prediction.main", id), ("loss", id), ("loss.main", id) ...
    updates: tuple[Update, ...] = ()

    def __str__(self) -> str:
        lines = [f"program {self.program}"]
        for i, node in enumerate(self.nodes):
            attrs = "".join(f" {k}={v}" for k, v in node.attrs)
            args = ", ".join(f"%{j}" for j in node.inputs)
            lines.append(f"  %{i} = {node.op}({args}){attrs} : {node.type}  # {node.origin}")
        lines += [f"  result {name} = %{i}" for name, i in self.results]
        for u in self.updates:
            operands = ", ".join(f"x{k}=%{i}" for k, i in enumerate(u.operands))
            lines += [f"  update {t} := {e}  where {operands}" for t, e in zip(u.targets, u.exprs, strict=True)]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Term:
    """One reported figure of an output: a loss, a metric or a regulariser.

    `finish` computes it from the accumulators `a0, a1, ...` (in `accumulators`' order) and `rows`, the samples seen;
    where they are no scalars, at each of their elements, and the figure is the mean of those at which `counted` holds.
    A `measure` is made by evaluation alone: "confusion" is the accumulator itself, float64[classes, classes]; "auc"
    is ranked from what `evaluate_step` gives as `scores.OUTPUT` and `truth.OUTPUT`.
    The total loss is the sum of `weight * value` over the terms whose kind is not "metric".
    """

    name: str                    # "main.loss", "main.accuracy", "hidden.kernel_regularizer"
    kind: str                    # "loss" | "metric" | "regularizer"
    output: str                  # "" for a regulariser
    weight: float
    accumulators: tuple[str, ...]
    finish: Expr
    counted: Expr | None = None
    measure: str = ""


@dataclass(frozen=True, slots=True)
class Adaptation:
    """How `adapt_step` learns one Normalize layer's mean and variance, in two passes over the training data.

    Pass one sums x into `mean_sum`, after which mean := mean_sum / n; pass two sums (x - mean)^2 into
    `variance_sum`, after which variance := variance_sum / n; n = rows * `elements_per_row`. Layers of a smaller `depth`
    go first: the statistics of a later one depend on theirs.
    """

    layer: str
    depth: int
    mean: str                    # names of the variables: role "statistic"
    variance: str
    mean_sum: str                # role "accumulator", float64
    variance_sum: str
    elements_per_row: int


@dataclass(frozen=True, slots=True)
class Programs:
    """The value of the stages ops, grad and simplified: several graphs over one set of variables."""

    graphs: tuple[Graph, ...]
    variables: tuple[Variable, ...]
    terms: tuple[Term, ...]
    adaptations: tuple[Adaptation, ...] = ()

    def __str__(self) -> str:
        head = [f"variable {v.name} : {v.type} {v.role} {v.initializer}" for v in self.variables]
        return "\n\n".join(["\n".join(head), *map(str, self.graphs)])
