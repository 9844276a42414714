"""Products of matrices."""

from __future__ import annotations

import numpy as np

from ..graph import Node
from ..types import BATCH, TensorType
from .definition import Array, GraphBuilder, OpAttrs, OpDef


def _infer(inputs: tuple[TensorType, ...], attrs: OpAttrs) -> TensorType:
    a, b = inputs
    assert len(a.shape) == len(b.shape) == 2, (a, b)
    assert a.is_float, a
    assert a.dtype == b.dtype, (a, b)
    rows, inner_a = reversed(a.shape) if attrs["transpose_a"] else a.shape
    inner_b, columns = reversed(b.shape) if attrs["transpose_b"] else b.shape
    assert inner_a == inner_b, (a, b, attrs)
    assert columns != BATCH, (a, b, attrs)
    return TensorType(a.dtype, (rows, columns))


def _evaluate(arrays: tuple[Array, ...], attrs: OpAttrs, rows: int) -> Array:
    a = arrays[0].T if attrs["transpose_a"] else arrays[0]
    b = arrays[1].T if attrs["transpose_b"] else arrays[1]
    product: Array = np.matmul(a, b)
    return product


def _vjp(builder: GraphBuilder, node: Node, id: int, gradient: int) -> tuple[int | None, ...]:
    a, b = node.inputs
    match node.attr("transpose_a"), node.attr("transpose_b"):
        case False, False:  # c = a b
            return builder.matmul(gradient, b, transpose_b=True), builder.matmul(a, gradient, transpose_a=True)
        case True, False:  # c = a' b
            return builder.matmul(b, gradient, transpose_b=True), builder.matmul(a, gradient)
        case False, True:  # c = a b'
            return builder.matmul(gradient, b), builder.matmul(gradient, a, transpose_a=True)
        case _:  # c = a' b'
            return (
                builder.matmul(b, gradient, transpose_a=True, transpose_b=True),
                builder.matmul(gradient, a, transpose_a=True, transpose_b=True),
            )


def _flops(inputs: tuple[TensorType, ...], result: TensorType, batch: int) -> int:
    rows, columns = result.concrete(batch)
    first = inputs[0].concrete(batch)
    inner = first[0] * first[1] // rows
    return 2 * rows * inner * columns


LINEAR = (
    OpDef(
        "matmul",
        "product of two matrices, either read transposed; attrs transpose_a, transpose_b",
        _infer,
        _evaluate,
        _vjp,
        "matmul",
        _flops,
    ),
)
