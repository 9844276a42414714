"""Whether every row that a program takes or adds to is there: indices are values of inputs that a plan bounds.

An index is never computed. It is fed, and then moved at most: seen through a view, or copied to another place of the
same dtype. So the bounds of the inputs, which the data audit enforces, bound every index.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf
from typing import Final

from .plan import Body, Plan, Program, Step
from .types import INTEGER_DTYPES
from .verify_steps import require

LARGEST_BOUND: Final = 2**53


def check_bounds(plan: Plan) -> None:
    """Each bound is of an input of whole numbers, one per input and kind. Raises Unsound."""
    types = {signature.name: signature.type for signature in plan.inputs}
    kinds = {(bound.input, bound.kind) for bound in plan.bounds}
    require(len(kinds) == len(plan.bounds), "an input is bounded twice")
    for bound in plan.bounds:
        type = types.get(bound.input)
        known = type is not None and type.dtype in INTEGER_DTYPES and "." not in bound.input    # a target's has one
        require(known, f"`{bound.input[:60]}` is bounded, but is no input of whole numbers")
        require(1 <= bound.below <= LARGEST_BOUND, f"the bound of `{bound.input[:60]}` is out of range")


def check_indices(program: Program, plan: Plan) -> None:
    """Every index lies within its table if the inputs keep their bounds.

    Requires: steps, buffers and the order of reads and writes are checked. Raises Unsound.
    """
    bounds: dict[str, int] = {}
    for bound in plan.bounds:
        if bound.is_exact:
            bounds[bound.input] = min(bound.below, bounds.get(bound.input, bound.below))
    below: dict[int, float] = {id: bounds.get(name, inf) for name, id in program.feeds}    # of roots; inf: not known
    for number, step in enumerate(program.steps):
        if step.kernel in ("gather", "scatter_add"):
            indices, length = _indexed(step, plan)
            is_inside = below.get(_root(plan, indices), inf) <= length
            require(is_inside, f"step {number}: nothing keeps its indices within {length} rows")
        for body in (step.body, *(reduction.body for reduction in step.reductions)):
            for id, limit in _stored(body, plan, below):
                root = _root(plan, id)
                below[root] = max(limit, below.get(root, 0))


def _indexed(step: Step, plan: Plan) -> tuple[int, int]:
    """The buffer of indices, and the rows of the table that they count."""
    if step.kernel == "gather":
        table, indices = step.operands
        return indices, int(plan.buffers[table].type.shape[0])
    return step.operands[0], int(step.space.shape[0])


def _stored(body: Body, plan: Plan, below: Mapping[int, float]) -> Iterator[tuple[int, float]]:
    """Each buffer that a body stores to, with what the values are below."""
    operands = dict(body.operands)
    copies = {s.name: s for s in body.statements if s.kind == "map" and s.expr.op == "var"}
    for id, expr in body.stores:
        dtype = plan.buffers[id].type.dtype
        while expr.op == "var" and (copy := copies.get(str(expr.value))) is not None and copy.dtype == dtype:
            expr = copy.expr
        source = operands.get(str(expr.value)) if expr.op == "var" else None
        is_copy = source is not None and plan.buffers[source].type.dtype == dtype
        yield id, below.get(_root(plan, source), inf) if source is not None and is_copy else inf


def _root(plan: Plan, id: int) -> int:
    root = plan.buffers[id].root
    return id if root < 0 else root
