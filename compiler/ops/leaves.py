"""Nodes without tensor operands, and random numbers: where a program's values come from."""

from __future__ import annotations

import numpy as np

from ..types import BATCH, TensorType
from . import philox
from .definition import Array, OpAttrs, OpDef

_SCALAR = TensorType("float64", ())


def _given_type(inputs: tuple[TensorType, ...], attrs: OpAttrs) -> TensorType:
    given: TensorType = attrs["type"]
    return given


def _constant_type(inputs: tuple[TensorType, ...], attrs: OpAttrs) -> TensorType:
    size = 1
    for dim in attrs["shape"]:
        assert dim != BATCH, "a constant has no batch axis"
        size *= dim
    assert len(attrs["value"]) == size, attrs
    return TensorType(attrs["dtype"], attrs["shape"])


def _constant_value(arrays: tuple[Array, ...], attrs: OpAttrs, rows: int) -> Array:
    return np.array(attrs["value"], np.dtype(attrs["dtype"])).reshape(attrs["shape"])


def _iota_type(inputs: tuple[TensorType, ...], attrs: OpAttrs) -> TensorType:
    assert attrs["size"] >= 1
    return TensorType("float32", (attrs["size"],))


def _iota_value(arrays: tuple[Array, ...], attrs: OpAttrs, rows: int) -> Array:
    return np.arange(attrs["size"], dtype=np.float32)


def _rows_type(inputs: tuple[TensorType, ...], attrs: OpAttrs) -> TensorType:
    return _SCALAR


def _rows_value(arrays: tuple[Array, ...], attrs: OpAttrs, rows: int) -> Array:
    return np.array(rows, np.float64)


def _random_type(inputs: tuple[TensorType, ...], attrs: OpAttrs) -> TensorType:
    assert inputs == (_SCALAR,), inputs
    assert attrs["distribution"] in ("uniform", "normal")
    return TensorType("float32", attrs["shape"])


def _random_value(arrays: tuple[Array, ...], attrs: OpAttrs, rows: int) -> Array:
    """`attrs["seed"]` is the run's seed, put there by the evaluator: a graph is the same for every seed."""
    shape = TensorType("float32", attrs["shape"]).concrete(rows)
    draw = philox.uniform if attrs["distribution"] == "uniform" else philox.normal
    size = int(np.prod(shape, dtype=np.int64))
    return draw(size, attrs["seed"], int(arrays[0]), attrs["stream"]).reshape(shape)


LEAVES = (
    OpDef("input", "a tensor fed for this step; attrs name, type", _given_type, None, None, "leaf"),
    OpDef("variable", "a variable's value at the start of the step; attrs name, type", _given_type, None, None, "leaf"),
    OpDef("rows", "how many samples this step has, float64[]", _rows_type, _rows_value, None, "leaf"),
    OpDef("constant", "numbers known now; attrs value, shape, dtype", _constant_type, _constant_value, None, "leaf"),
    OpDef("iota", "0, 1, ... size-1 as float32[size]", _iota_type, _iota_value, None, "leaf"),
    OpDef(
        "random",
        "Philox4x32-10 numbers of (seed, stream, step, element): uniform in [0, 1) or standard normal",
        _random_type,
        _random_value,
        lambda builder, node, id, gradient: (None,),
        "random",
        lambda inputs, result, batch: 20 * result.size_bytes(batch) // 4,
    ),
)
