"""Weight penalties, with Keras's names and defaults: `formula` of one element, summed over the tensor."""

from __future__ import annotations

from typing import Final

from ..expr import Expr, absolute, const, square
from .definition import Regularizer


def _l1_l2(w: Expr, l1: float = 0.0, l2: float = 0.0) -> Expr:
    penalties = ([l1 * absolute(w)] if l1 else []) + ([l2 * square(w)] if l2 else [])
    return sum(penalties[1:], start=penalties[0]) if penalties else const(0)


REGULARIZERS: Final[dict[str, Regularizer]] = {
    "l1": Regularizer("`l1` times the sum of |w|", lambda w, l1=0.01: l1 * absolute(w), {"l1": 0.01}),
    "l2": Regularizer("`l2` times the sum of w^2", lambda w, l2=0.01: l2 * square(w), {"l2": 0.01}),
    "l1_l2": Regularizer("both", _l1_l2, {"l1": 0.0, "l2": 0.0}),
}

ALIASES: Final = {"L1": "l1", "L2": "l2", "L1L2": "l1_l2"}
