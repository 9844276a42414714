"""float32 rounded to bfloat16: the operands of products in plans of that precision."""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np

from .arena import Array, Scratch
from .frame import Call

# A bfloat16 is the upper half of a float32.
_HALF: Final = np.uint32(0x7FFF)  # just below half of the last digit that stays
_LAST: Final = np.uint32(1)
_LOWER_DIGITS: Final = np.uint32(16)
_UPPER: Final = np.uint32(0xFFFF0000)
_NAN: Final = np.uint32(0x7FC00000)


def rounded(matrix: Array, scratch: Scratch) -> tuple[list[Call], Array]:
    """Calls that round a float32 array of any strides to the nearest bfloat16, to the even one of two, and the float32
    array in which they leave it. Numbers beyond the largest become infinite; NaN stays NaN."""
    result = scratch.take(matrix.shape, np.float32)
    odd = scratch.take(matrix.shape, np.uint32)
    is_nan = scratch.take(matrix.shape, np.bool_)
    bits = result.view(np.uint32)
    return [
        partial(np.copyto, result, matrix),
        partial(np.isnan, result, out=is_nan),
        partial(np.right_shift, bits, _LOWER_DIGITS, out=odd),
        partial(np.bitwise_and, odd, _LAST, out=odd),
        partial(np.add, odd, _HALF, out=odd),
        partial(np.add, bits, odd, out=bits),
        partial(np.bitwise_and, bits, _UPPER, out=bits),
        partial(np.copyto, bits, _NAN, where=is_nan),
    ], result
