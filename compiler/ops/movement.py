"""Data moved without arithmetic, and the sum of rows that is the gradient of reading them by index."""

from __future__ import annotations

import numpy as np

from ..expr import const
from ..graph import Node
from ..types import BATCH, INTEGER_DTYPES, Shape, TensorType
from .definition import Array, GraphBuilder, OpAttrs, OpDef


def _row_size(shape: Shape) -> int:
    size = 1
    for dim in shape:
        size *= 1 if dim == BATCH else dim
    return size


def _int_attr(node: Node, name: str) -> int:
    value = node.attr(name)
    assert isinstance(value, int)
    return value


# --- reshape --------------------------------------------------------------------------------------------------------
def _infer_reshape(inputs: tuple[TensorType, ...], attrs: OpAttrs) -> TensorType:
    (operand,), shape = inputs, attrs["shape"]
    assert operand.has_batch == (bool(shape) and shape[0] == BATCH), (operand, shape)
    assert _row_size(operand.shape) == _row_size(shape), (operand, shape)
    return operand.with_shape(shape)


def _evaluate_reshape(arrays: tuple[Array, ...], attrs: OpAttrs, rows: int) -> Array:
    return arrays[0].reshape(TensorType("float32", attrs["shape"]).concrete(rows))


def _vjp_reshape(builder: GraphBuilder, node: Node, id: int, gradient: int) -> tuple[int | None, ...]:
    return (builder.reshape(gradient, builder.type(node.inputs[0]).shape),)


# --- concat and slice -----------------------------------------------------------------------------------------------
def _infer_concat(inputs: tuple[TensorType, ...], attrs: OpAttrs) -> TensorType:
    first, axis = inputs[0], attrs["axis"]
    assert 0 <= axis < len(first.shape), (first, axis)
    assert first.shape[axis] != BATCH, first
    length = 0
    for operand in inputs:
        assert operand.dtype == first.dtype, inputs
        assert operand.shape[:axis] + operand.shape[axis + 1 :] == first.shape[:axis] + first.shape[axis + 1 :], inputs
        dim = operand.shape[axis]
        assert isinstance(dim, int)
        length += dim
    return first.with_shape((*first.shape[:axis], length, *first.shape[axis + 1 :]))


def _vjp_concat(builder: GraphBuilder, node: Node, id: int, gradient: int) -> tuple[int | None, ...]:
    axis, start = _int_attr(node, "axis"), 0
    gradients = []
    for operand in node.inputs:
        dim = builder.type(operand).shape[axis]
        assert isinstance(dim, int)
        gradients.append(builder.slice(gradient, axis, start, start + dim))
        start += dim
    return tuple(gradients)


def _infer_slice(inputs: tuple[TensorType, ...], attrs: OpAttrs) -> TensorType:
    (operand,), axis, start, stop = inputs, attrs["axis"], attrs["start"], attrs["stop"]
    dim = operand.shape[axis]
    assert isinstance(dim, int), (operand, axis)
    assert 0 <= start < stop <= dim, (operand, attrs)
    return operand.with_shape((*operand.shape[:axis], stop - start, *operand.shape[axis + 1 :]))


def _evaluate_slice(arrays: tuple[Array, ...], attrs: OpAttrs, rows: int) -> Array:
    index = (slice(None),) * attrs["axis"] + (slice(attrs["start"], attrs["stop"]),)
    part: Array = arrays[0][index]
    return part


def _vjp_slice(builder: GraphBuilder, node: Node, id: int, gradient: int) -> tuple[int | None, ...]:
    operand = builder.type(node.inputs[0])
    axis, start, stop = (_int_attr(node, name) for name in ("axis", "start", "stop"))
    dim = operand.shape[axis]
    assert isinstance(dim, int)

    def zeros(length: int) -> tuple[int, ...]:
        if not length:
            return ()
        shape = (*operand.shape[:axis], length, *operand.shape[axis + 1 :])
        return (builder.map(const(0), dtype=operand.dtype, compute=operand.dtype, shape=shape),)

    parts = (*zeros(start), gradient, *zeros(dim - stop))
    return (gradient if parts == (gradient,) else builder.concat(parts, axis),)


# --- rows by index --------------------------------------------------------------------------------------------------
def _infer_gather(inputs: tuple[TensorType, ...], attrs: OpAttrs) -> TensorType:
    table, indices = inputs
    assert len(table.shape) == 2, table
    assert not table.has_batch, table
    assert indices.dtype in INTEGER_DTYPES, indices
    return TensorType(table.dtype, (*indices.shape, table.shape[1]))


def _vjp_gather(builder: GraphBuilder, node: Node, id: int, gradient: int) -> tuple[int | None, ...]:
    table, indices = node.inputs
    if not builder.type(table).is_float:
        return None, None
    return builder.add("scatter_add", (indices, gradient), size=builder.type(table).shape[0]), None


def _infer_scatter_add(inputs: tuple[TensorType, ...], attrs: OpAttrs) -> TensorType:
    indices, rows = inputs
    assert indices.dtype in INTEGER_DTYPES, indices
    assert rows.shape[:-1] == indices.shape, inputs
    return TensorType(rows.dtype, (attrs["size"], rows.shape[-1]))


def _evaluate_scatter_add(arrays: tuple[Array, ...], attrs: OpAttrs, rows: int) -> Array:
    indices, values = arrays
    sums = np.zeros((attrs["size"], values.shape[-1]), np.float64)
    np.add.at(sums, indices.reshape(-1), values.reshape(-1, values.shape[-1]))
    return sums.astype(values.dtype)


def _vjp_scatter_add(builder: GraphBuilder, node: Node, id: int, gradient: int) -> tuple[int | None, ...]:
    return None, builder.gather(gradient, node.inputs[0])


MOVEMENT = (
    OpDef(
        "reshape",
        "the same elements in row-major order under another shape; attrs shape",
        _infer_reshape,
        _evaluate_reshape,
        _vjp_reshape,
        "view",
    ),
    OpDef(
        "concat",
        "operands one after the other along `axis`, which is not the batch's; attrs axis",
        _infer_concat,
        lambda arrays, attrs, rows: np.concatenate(arrays, attrs["axis"]),
        _vjp_concat,
        "concat",
    ),
    OpDef(
        "slice",
        "elements start..stop along `axis`, which is not the batch's; attrs axis, start, stop",
        _infer_slice,
        _evaluate_slice,
        _vjp_slice,
        "view",
    ),
    OpDef(
        "gather",
        "rows of table[n, d] at integer indices, which must lie in 0..n-1",
        _infer_gather,
        lambda arrays, attrs, rows: arrays[0][arrays[1]],
        _vjp_gather,
        "gather",
    ),
    OpDef(
        "scatter_add",
        "sums[size, d]: each row of the second operand is added at its index; attrs size",
        _infer_scatter_add,
        _evaluate_scatter_add,
        _vjp_scatter_add,
        "scatter_add",
        lambda inputs, result, batch: inputs[1].with_dtype("uint8").size_bytes(batch),
    ),
)
