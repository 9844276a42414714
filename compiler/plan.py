"""The plan: a model's programs with every step, every buffer and every address fixed.

Schema only. Written by `memory.py`, stored by `planfile.py`, proved by `verify.py`, followed by a runtime. The fused
and scheduled stages use the same `Step` records, with value ids where a plan has buffer ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .expr import Expr
from .graph import Adaptation, Attrs, Term, Variable
from .types import TensorType

PLAN_VERSION = 2
ROWS_FEED: Final = "batch.rows"   # what the runtime itself feeds; no input is called that, since names have no dot


@dataclass(frozen=True, slots=True)
class Statement:
    """`name = expr` for each element of the step's space, or a reduction of `expr` along the last axis.

    kind: "map" (value at every element), or "sum" | "max" | "min" | "argmax" (one value per row, broadcast when read).
    `expr` reads operands, `acc`, and earlier statements by name, converts each to `dtype` first and is evaluated in it
    (predicates inside give bool, as `where` wants them; a predicate as the whole of `expr` gives bool). A "sum" is
    accumulated in `dtype`; "argmax" gives a whole number in `dtype`, the first of equals.
    One statement stands for one node of the op graph, so maps of different dtypes are never mixed in one expression.
    """

    name: str
    kind: str
    expr: Expr
    dtype: str = "float32"


@dataclass(frozen=True, slots=True)
class Body:
    """The elementwise part of a step: read operands, run statements in order, store.

    operands: (name in expressions, value or buffer id); each broadcasts to the step's space by NumPy's rules.
    stores: (value or buffer id, expr) where expr is a variable (a statement's name, an operand, `acc`) or a constant,
    converted to the buffer's dtype. All reads of an element happen before its stores. A row value is stored to a
    buffer whose last axis is 1, or repeated along a longer one.
    """

    operands: tuple[tuple[str, int], ...] = ()
    statements: tuple[Statement, ...] = ()
    stores: tuple[tuple[int, Expr], ...] = ()


@dataclass(frozen=True, slots=True)
class Reduction:
    """A value summed (or max, min) beyond one row, after which a small body runs on the result, named `acc`.

    axes: "all" -> result space (), or "leading" (all but the last axis) -> result space (last,). `expr` is a
    variable of the step's body; in a matmul step it may be the variable `b`: operand b summed over the product's summed
    index (the bias gradient). A row value counts once per row. Sums accumulate in `dtype`, in a fixed order.
    """

    operator: str
    axes: str
    expr: Expr
    dtype: str
    body: Body


@dataclass(frozen=True, slots=True)
class Step:
    """One kernel call.

    kernel: "map" (no root), or a root whose result the body reads as `acc`: "matmul" (operands a, b; attrs
    transpose_a, transpose_b), "gather" (table, indices), "scatter_add" (indices, rows; zeroes its target first),
    "random" (step; attrs distribution, stream).
    space: type over which the body runs: the root's result, or the map's broadcast shape.
    """

    kernel: str
    layer: str
    space: TensorType
    operands: tuple[int, ...]
    attrs: Attrs
    body: Body
    reductions: tuple[Reduction, ...] = ()
    fused: tuple[str, ...] = ()      # what was folded in, for people: "bias", "relu", "rmsprop update of hidden.kernel"


@dataclass(frozen=True, slots=True)
class Buffer:
    """A place in the arena. Shape may start with the batch; strides count elements; offset counts bytes.

    `kind`: "variable", "input", "constant", "temporary". Views (slices, reshapes, in-place results) are buffers of
    their own over the same bytes. With n rows of a batch of at most B, the first n rows are used.
    `root` is the buffer whose content a view shows, or -1 for a buffer that shows its own.
    """

    name: str
    kind: str
    type: TensorType
    strides: tuple[int, ...]
    offset: int
    layer: str
    value: tuple[float, ...] = ()    # constants: their elements
    root: int = -1


@dataclass(frozen=True, slots=True)
class Program:
    """A straight list of steps with named places to write before and read after."""

    name: str
    feeds: tuple[tuple[str, int], ...]      # "image", "target.digit", ROWS_FEED -> buffer
    fetches: tuple[tuple[str, int], ...]    # "prediction.digit", "loss", "digit.loss" -> buffer
    steps: tuple[Step, ...]
    peak_bytes: int                         # variables and temporaries at once, at the batch size


@dataclass(frozen=True, slots=True)
class Signature:
    """A fed or predicted tensor as the user sees it: name and type of one batch."""

    name: str
    type: TensorType


@dataclass(frozen=True, slots=True)
class Bound:
    """What a plan asks of the data: every value of `input` is a whole number from 0 to `below` - 1.

    layer, kind: who asks for it, `word_vector` and `Embedding`. Runtimes rely on it: an index of a gather or a
    scatter_add is the value of an input with an exact bound (`verify_indices.py`), so no kernel has to look.
    """

    input: str
    below: int
    layer: str
    kind: str

    @property
    def is_exact(self) -> bool:
        """Whether nothing beyond is let through. To a `OneHot` the number `below` itself is none of its classes, zeros
        throughout, and it may stand for all the texts that training did not see."""
        return self.kind != "OneHot"


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a runtime needs; nothing of the source is needed to run it."""

    model: str
    seed: int
    batch_size: int
    arena_bytes: int
    variables: tuple[tuple[Variable, int], ...]     # with the buffer that holds each
    buffers: tuple[Buffer, ...]
    programs: tuple[Program, ...]
    inputs: tuple[Signature, ...]
    outputs: tuple[Signature, ...]
    targets: tuple[Signature, ...]
    terms: tuple[Term, ...]
    adaptations: tuple[Adaptation, ...] = ()
    bounds: tuple[Bound, ...] = ()                  # at most one per input and kind
    precision: str = "float32"      # "bfloat16": products round both operands to it, sum in float32; "tf32": may round
    version: int = PLAN_VERSION

    def program(self, name: str) -> Program:
        for program in self.programs:
            if program.name == name:
                return program
        raise KeyError(name)
