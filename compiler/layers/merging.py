"""Add, Subtract, Multiply, Average, Maximum, Minimum: tensors combined element by element."""

from __future__ import annotations

from collections.abc import Callable

from .. import expr
from ..builder import Builder
from ..expr import Expr
from ..types import Dim, Shape, TensorType
from .definition import Arguments, Expansion, LayerDef, ShapeProblem
from .reading import require_float

OPERANDS_PER_MAP = 8  # keeps one formula shallow, however many tensors are added


def _merged_shape(name: str, first: TensorType, type: TensorType, position: int) -> Shape:
    """The common shape of two inputs: equal sizes, or 1 on one side, which is repeated."""
    dims: list[Dim] = []
    for a, b in zip(first.shape, type.shape, strict=False):
        if a != b and 1 not in (a, b):
            break
        dims.append(b if a == 1 else a)
    if len(dims) != len(first.shape) or len(dims) != len(type.shape):
        message = f"`{name}` works element by element, but {first} and {type} arrive"
        raise ShapeProblem("E0204", message, "expects equal shapes", position)
    return tuple(dims)


def _infer(name: str, inputs: tuple[TensorType, ...]) -> TensorType:
    result = inputs[0]
    for position, type in enumerate(inputs):
        require_float(name, type, position)
        if type.dtype != result.dtype:
            message = f"`{name}` combines tensors of one dtype, but {result.dtype} and {type.dtype} arrive"
            raise ShapeProblem("E0209", message, f"expects {result.dtype}", position)
        result = result.with_shape(_merged_shape(name, result, type, position))
    return result


def _fold(builder: Builder, inputs: tuple[int, ...], combine: Callable[[Expr, Expr], Expr]) -> int:
    """The inputs combined from left to right, a few per map."""
    value, rest = inputs[0], inputs[1:]
    while rest:
        taken, rest = rest[: OPERANDS_PER_MAP - 1], rest[OPERANDS_PER_MAP - 1 :]
        formula = expr.var("x0")
        for i in range(len(taken)):
            formula = combine(formula, expr.var(f"x{i + 1}"))
        value = builder.map(formula, value, *taken)
    return value


def _merging(
    name: str, doc: str, combine: Callable[[Expr, Expr], Expr], *, max_inputs: int | None = None, mean: bool = False
) -> LayerDef:
    def infer(arguments: Arguments, inputs: tuple[TensorType, ...]) -> TensorType:
        return _infer(name, inputs)

    def expand(builder: Builder, arguments: Arguments, inputs: tuple[int, ...], expansion: Expansion) -> int:
        value = _fold(builder, inputs, combine)
        return builder.map(expr.var("x0") / len(inputs), value) if mean else value

    return LayerDef(name, doc, infer, expand, min_inputs=2, max_inputs=max_inputs)


MERGING = (
    _merging("Add", "The sum of its inputs; also written `a + b`.", lambda a, b: a + b),
    _merging("Subtract", "The first input minus the second; also written `a - b`.", lambda a, b: a - b, max_inputs=2),
    _merging("Multiply", "The elementwise product of its inputs; also written `a * b`.", lambda a, b: a * b),
    _merging("Average", "The mean of its inputs.", lambda a, b: a + b, mean=True),
    _merging("Maximum", "The elementwise largest of its inputs.", lambda a, b: expr.maximum(a, b)),
    _merging("Minimum", "The elementwise smallest of its inputs.", lambda a, b: expr.minimum(a, b)),
)
