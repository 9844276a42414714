"""Straight code over values: what a step's body becomes before it is bound to memory."""

from __future__ import annotations

from dataclasses import dataclass

Varies = tuple[bool, ...]    # per axis of the space: does the value change along it?


@dataclass(frozen=True, slots=True)
class Value:
    """A quantity of a body.

    source: "buffer" (an operand, read where it lies), "constant" (`number`), "operand_b" (the second operand of a
    matmul, which a reduction may sum), "computed" (by exactly one instruction).
    """

    source: str
    dtype: str
    varies: Varies
    buffer: int = -1
    number: float = 0.0

    @property
    def is_scalar(self) -> bool:
        return not any(self.varies)


@dataclass(frozen=True, slots=True)
class Instruction:
    """`output = op(inputs)` at every element that the output has.

    op: a ufunc of `elementary.UFUNCS`, or "bit_and" | "bit_xor" (which see the bits of their inputs as whole numbers),
    "copy" (converts the dtype and broadcasts), "row_sum" | "row_max" | "row_min" | "row_argmax", or "root".
    """

    op: str
    inputs: tuple[int, ...]
    output: int

    @property
    def is_elementwise_ufunc(self) -> bool:
        """Whether the output may lie exactly where an input lies."""
        return self.op not in ("copy", "root") and not self.op.startswith("row_")


@dataclass(frozen=True, slots=True)
class Code:
    """A body: instructions in order, then the reductions' operands are accumulated, then the stores are made.

    reduced: the value that each reduction of the step reads. in_place: computed values made right in the buffer that
    they are stored to, so that they need no register and no store.
    """

    values: tuple[Value, ...]
    instructions: tuple[Instruction, ...]
    stores: tuple[tuple[int, int], ...]      # (buffer, value)
    reduced: tuple[int, ...]
    in_place: dict[int, int]                 # value -> buffer
