"""The primitive ops: every layer, loss, gradient and optimizer is made of these."""

from __future__ import annotations

from typing import Final

from .definition import OpDef
from .elementwise import ELEMENTWISE
from .leaves import LEAVES
from .linear import LINEAR
from .movement import MOVEMENT
from .reductions import REDUCTIONS

OPS: Final[dict[str, OpDef]] = {
    op.name: op for family in (LEAVES, ELEMENTWISE, REDUCTIONS, LINEAR, MOVEMENT) for op in family
}
