"""Syntax tree of a `.nn` file: frozen nodes, each with its span.

One expression type serves constants, tensors and hyperparameters: the grammar does not know which is
which, later stages do. `parse.py` makes these nodes, `format.py` prints them.
"""

from __future__ import annotations

from dataclasses import dataclass

from .source import SourceFile, Span


@dataclass(frozen=True, slots=True)
class Number:
    """`28`, `1e-3`, `1_000`, `20%`; `value` is 0.2 for `20%`, `text` is as written."""

    value: int | float
    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class String:
    """A quoted path, column or prose; `value` has its escapes resolved."""

    value: str
    span: Span


@dataclass(frozen=True, slots=True)
class Name:
    """A bare word: a tensor, a param, a layer, an activation, `true`, `false`, `none`."""

    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a call; `name` is None for a positional one."""

    name: Name | None
    value: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Call:
    """`Dense(64, relu)`: a callee's name and its arguments."""

    callee: Name
    arguments: tuple[Argument, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Tuple:
    """`(a, b)`; `(a,)` has one item, `(a)` is no tuple."""

    items: tuple[Expression, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class List:
    """`[accuracy, top_k_accuracy(k = 3)]`."""

    items: tuple[Expression, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Mapping:
    """`{ 0: 1.0, 1: 2.5 }`, as in `class_weight`."""

    items: tuple[tuple[Expression, Expression], ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Range:
    """`1..4096`, both ends included: the domain of a param, a run of columns."""

    low: Expression
    high: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Index:
    """`table[MedInc, "House Age"]`: columns of a data source."""

    value: Expression
    items: tuple[Expression, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Unary:
    """`-x` or `+x`."""

    operator: str
    operand: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Binary:
    """`left operator right`, operator one of `+ - * / // ** %`-free arithmetic: `+ - * / // **`."""

    operator: str
    left: Expression
    right: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Arrow:
    """`source -> step -> step`: a step is a Name, a Call, or Binary `*` of one of these and a count."""

    source: Expression
    steps: tuple[Expression, ...]
    span: Span


Expression = Number | String | Name | Call | Tuple | List | Mapping | Range | Index | Unary | Binary | Arrow


@dataclass(frozen=True, slots=True)
class Type:
    """`float32[28, 28]`: the type of one sample; `dimensions` is None for a bare `int` (params)."""

    name: Name
    dimensions: tuple[Expression, ...] | None
    span: Span


@dataclass(frozen=True, slots=True)
class Entry:
    """`key = value`, or `key { entries }`, inside a braced section; exactly one of value and entries is set."""

    name: Name
    value: Expression | None
    entries: tuple[Entry, ...] | None
    span: Span


@dataclass(frozen=True, slots=True)
class Version:
    """`nn 1`."""

    number: int
    doc: str
    span: Span


@dataclass(frozen=True, slots=True)
class Model:
    """`model wide_deep`."""

    name: Name
    doc: str
    span: Span


@dataclass(frozen=True, slots=True)
class Param:
    """`param units: int = 30 in 1..4096`; `domain` is a Range, a List or None."""

    name: Name
    type: Type
    default: Expression
    domain: Range | List | None
    doc: str
    span: Span


@dataclass(frozen=True, slots=True)
class Input:
    """`input image: uint8[28, 28]`."""

    name: Name
    type: Type
    doc: str
    span: Span


@dataclass(frozen=True, slots=True)
class Binding:
    """`hidden = image -> Flatten -> Dense(512, relu)`."""

    name: Name
    value: Expression
    doc: str
    span: Span


@dataclass(frozen=True, slots=True)
class Layer:
    """`layer encoder = Dense(64, tanh)`: one set of weights, used wherever the name stands after an arrow."""

    name: Name
    value: Expression
    doc: str
    span: Span


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a block: a tensor, or a hyperparameter, with an optional default."""

    name: Name
    default: Expression | None
    span: Span


@dataclass(frozen=True, slots=True)
class Block:
    """`block residual(x, units) { h = ...  return ... }`."""

    name: Name
    parameters: tuple[Parameter, ...]
    body: tuple[Binding, ...]
    result: Expression
    doc: str
    span: Span


@dataclass(frozen=True, slots=True)
class Output:
    """`output main = hidden -> Dense(1) { loss = mse }`; no `value` in `output main { ... }` of an existing name."""

    name: Name
    value: Expression | None
    entries: tuple[Entry, ...]
    doc: str
    span: Span


@dataclass(frozen=True, slots=True)
class Section:
    """`train { ... }` or `data { ... }`; `keyword.name` says which."""

    keyword: Name
    entries: tuple[Entry, ...]
    doc: str
    span: Span


Statement = Version | Model | Param | Input | Binding | Layer | Block | Output | Section


@dataclass(frozen=True, slots=True)
class Comment:
    """A `#` comment that is not documentation; `own_line` tells it from one that trails code."""

    text: str
    own_line: bool
    span: Span


@dataclass(frozen=True, slots=True)
class Module:
    """A whole file: its statements in order, and its comments, which only the formatter reads."""

    source: SourceFile
    statements: tuple[Statement, ...]
    comments: tuple[Comment, ...]
