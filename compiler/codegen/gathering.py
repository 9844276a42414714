"""Feeds that are read where the data set lies: by the one step that converts them, row by row by number.

A batch of raw data is mostly wanted in another form, as float32 and rescaled. The step that makes it so reads each
sample where it is, and the copy in between is left out.
"""

from __future__ import annotations

from math import prod
from typing import Final

from ..plan import ROWS_FEED, Buffer, Plan, Program, Step
from ..types import BATCH
from .entries import PREDICT

FEWEST: Final = 16      # elements of a sample: of shorter ones, the loop over samples would be most of the work


def gathered_feeds(plan: Plan, program: Program) -> dict[int, int]:
    """Buffers that need no copy of the batch -> the number of their feed.

    None for predictions, whose inputs lie where the caller has them.
    """
    if program.name == PREDICT:
        return {}
    fed = [id for name, id in program.feeds if name != ROWS_FEED]
    fetched = {id for _, id in program.fetches}
    found = {}
    for number, id in enumerate(fed):
        readers = [step for step in program.steps if _touches(plan, step, id)]
        if id not in fetched and len(readers) == 1 and _takes_samples(plan.buffers[id], readers[0], id):
            found[id] = number
    return found


def _touches(plan: Plan, step: Step, id: int) -> bool:
    """Whether a step reads or writes a buffer, or a view of it."""
    bodies = (step.body, *(reduction.body for reduction in step.reductions))
    operands = [*step.operands, *(operand for body in bodies for _, operand in body.operands)]
    stores = [store for body in bodies for store, _ in body.stores]
    return any(used == id or plan.buffers[used].root == id for used in (*operands, *stores))


def _takes_samples(buffer: Buffer, step: Step, id: int) -> bool:
    """Whether a step goes through samples one after another, element by element, and reads this one of each."""
    shape, space, body = buffer.type.shape, step.space.shape, step.body
    if step.kernel != "map" or step.reductions or any(s.kind != "map" for s in body.statements):
        return False
    is_sample = len(shape) == len(space) and shape[0] == space[0] == BATCH
    is_read = any(operand == id for _, operand in body.operands) and all(store != id for store, _ in body.stores)
    return is_sample and is_read and prod(buffer.type.concrete(1)) >= FEWEST
