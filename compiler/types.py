"""Types of tensors: a dtype and a shape whose batch axis is a symbol until the plan is laid out."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Final, Literal

BATCH: Final = "batch"
Dim = int | Literal["batch"]
Shape = tuple[Dim, ...]

ITEM_SIZE: Final[dict[str, int]] = {
    "float32": 4, "float64": 8, "uint8": 1, "int32": 4, "int64": 8, "bool": 1,
}  # bytes
FLOAT_DTYPES: Final = frozenset({"float32", "float64"})
INTEGER_DTYPES: Final = frozenset({"uint8", "int32", "int64"})


@dataclass(frozen=True, slots=True)
class TensorType:
    """`float32[batch, 10]`. The batch, where there is one, is always axis 0 and written `BATCH`."""

    dtype: str
    shape: Shape

    @property
    def has_batch(self) -> bool:
        return bool(self.shape) and self.shape[0] == BATCH

    @property
    def is_float(self) -> bool:
        return self.dtype in FLOAT_DTYPES

    def concrete(self, batch: int) -> tuple[int, ...]:
        """The shape with the batch axis set to `batch` rows."""
        return tuple(batch if dim == BATCH else dim for dim in self.shape)

    def size_bytes(self, batch: int) -> int:
        return ITEM_SIZE[self.dtype] * prod(self.concrete(batch))

    def with_shape(self, shape: Shape) -> TensorType:
        return TensorType(self.dtype, shape)

    def with_dtype(self, dtype: str) -> TensorType:
        return TensorType(dtype, self.shape)

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"
