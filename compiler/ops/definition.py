"""What a primitive op is to the compiler: one record.

Ops never import the builder, which reads their registry; `vjp` is handed one and knows the few verbs in `GraphBuilder`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy.typing as npt

from ..expr import Expr
from ..graph import Node
from ..types import Shape, TensorType

Array = npt.NDArray[Any]
OpAttrs = Mapping[str, Any]


class GraphBuilder(Protocol):
    """What a gradient is built with: `builder.Builder`, which documents these verbs."""

    def type(self, node: int) -> TensorType: ...
    def add(self, op: str, inputs: Iterable[int] = (), **attrs: object) -> int: ...
    def map(
        self,
        expr: Expr,
        *inputs: int,
        dtype: str | None = None,
        compute: str | None = None,
        shape: Shape | None = None,
    ) -> int: ...
    def broadcast(self, node: int, shape: Shape, dtype: str | None = None) -> int: ...
    def reduce(self, operator: str, node: int, axes: tuple[int, ...], dtype: str | None = None) -> int: ...
    def matmul(self, a: int, b: int, transpose_a: bool = False, transpose_b: bool = False) -> int: ...
    def reshape(self, node: int, shape: Shape) -> int: ...
    def concat(self, nodes: Iterable[int], axis: int) -> int: ...
    def slice(self, node: int, axis: int, start: int, stop: int) -> int: ...
    def gather(self, table: int, indices: int) -> int: ...


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
    vjp: Callable[[GraphBuilder, Node, int, int], tuple[int | None, ...]] | None
    kernel: str
    flops: Callable[[tuple[TensorType, ...], TensorType, int], int] = lambda inputs, result, batch: 0
