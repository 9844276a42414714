"""Sums, extremes and argmax over axes, which stay as 1."""

from __future__ import annotations

import numpy as np

from ..expr import const, equal, var, where
from ..graph import Node
from ..types import TensorType
from .definition import Array, GraphBuilder, OpAttrs, OpDef

_X0, _X1, _X2 = var("x0"), var("x1"), var("x2")


def _infer(inputs: tuple[TensorType, ...], attrs: OpAttrs) -> TensorType:
    (operand,) = inputs
    operator, axes, dtype = attrs["operator"], attrs["axes"], attrs["dtype"]
    assert axes, "a reduction needs an axis"
    assert all(0 <= axis < len(operand.shape) for axis in axes), (operand, axes)
    shape = tuple(1 if axis in axes else dim for axis, dim in enumerate(operand.shape))
    match operator:
        case "sum":
            return TensorType(dtype or operand.dtype, shape)
        case "max" | "min":
            assert dtype in (None, operand.dtype), "an extreme keeps its dtype"
            return TensorType(operand.dtype, shape)
        case "argmax":
            assert len(axes) == 1, attrs
            assert dtype in (None, "int64"), attrs
            return TensorType("int64", shape)
    raise AssertionError(operator)


def _evaluate(arrays: tuple[Array, ...], attrs: OpAttrs, rows: int) -> Array:
    (x,) = arrays
    axes: tuple[int, ...] = attrs["axes"]
    match attrs["operator"]:
        case "sum":
            # the oracle sums in float64, so that no order of summation is right by accident
            dtype = np.dtype(attrs["dtype"] or x.dtype)
            return np.asarray(x.sum(axis=axes, keepdims=True, dtype=np.float64 if dtype.kind == "f" else dtype), dtype)
        case "max":
            return np.asarray(x.max(axis=axes, keepdims=True))
        case "min":
            return np.asarray(x.min(axis=axes, keepdims=True))
        case _:
            return np.asarray(x.argmax(axis=axes[0], keepdims=True), np.int64)


def _vjp(builder: GraphBuilder, node: Node, id: int, gradient: int) -> tuple[int | None, ...]:
    """A sum spreads its gradient; an extreme gives it to the elements that attain it, in equal shares, as JAX does."""
    (x,) = node.inputs
    operand = builder.type(x)
    operator = node.attr("operator")
    if operator == "argmax" or not operand.is_float:
        return (None,)
    if operator == "sum":
        return (builder.broadcast(gradient, operand.shape, operand.dtype),)
    attained = builder.map(where(equal(_X0, _X1), 1, 0), x, id)
    axes = node.attr("axes")
    assert isinstance(axes, tuple)
    count = builder.reduce("sum", attained, axes)
    return (builder.map(where(equal(_X0, _X1), _X2 / var("x3"), const(0)), x, id, gradient, count),)


REDUCTIONS = (
    OpDef(
        "reduce",
        "sum, max, min or argmax over `axes`, which stay as 1; attrs operator, axes, dtype (a sum's)",
        _infer,
        _evaluate,
        _vjp,
        "reduce",
        lambda inputs, result, batch: inputs[0].with_dtype("uint8").size_bytes(batch),
    ),
)
