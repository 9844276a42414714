"""What a primitive op is to the compiler: one record. Ops never import the graph; `vjp` is handed the builder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from ..types import TensorType

if TYPE_CHECKING:
    from ..graph import Builder, Node

Array = npt.NDArray[Any]
OpAttrs = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OpDef:
    """One primitive.

    infer(input types, attrs) -> result type; asserts what the lowering must guarantee.
    evaluate(arrays, attrs, rows) -> array: the NumPy meaning, plain and unplanned; None for leaves that are fed.
    vjp(builder, node, node id, gradient id) -> one gradient id, or None, per input.
    flops(input types, result type, batch) -> floating-point operations.
    kernel: how fusion treats it: "leaf", "map", "reduce", "matmul", "view", "concat", "gather", "scatter_add" or
    "random".
    """

    name: str
    doc: str
    infer: Callable[[tuple[TensorType, ...], OpAttrs], TensorType]
    evaluate: Callable[[tuple[Array, ...], OpAttrs, int], Array] | None
    vjp: Callable[[Builder, Node, int, int], tuple[int | None, ...]] | None
    kernel: str
    flops: Callable[[tuple[TensorType, ...], TensorType, int], int] = lambda inputs, result, batch: 0
