"""Names of a body that mean nothing else in the printed C: x0, x1, ... for operands, t0, t1, ... for statements."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from ..expr import Expr, rename
from ..plan import Body, Reduction, Step

_PLAIN: Final = re.compile(r"[xt][0-9]+")


def plainly_named(step: Step) -> Step:
    """The step with other names for what its bodies call `n` or `row`. Fused steps have plain names from the start."""
    bodies = (step.body, *(reduction.body for reduction in step.reductions))
    if all(_PLAIN.fullmatch(name) for body in bodies for name in _names(body)):
        return step
    names = _plain_names(step.body)
    reductions = tuple([_renamed_reduction(step, reduction, names) for reduction in step.reductions])
    return replace(step, body=_renamed(step.body, names), reductions=reductions)


def _renamed_reduction(step: Step, reduction: Reduction, names: dict[str, str]) -> Reduction:
    body = _renamed(reduction.body, _plain_names(reduction.body))
    is_operand_b = step.kernel == "matmul" and str(reduction.expr.value) == "b"
    return replace(reduction, body=body, expr=reduction.expr if is_operand_b else rename(reduction.expr, names))


def _names(body: Body) -> list[str]:
    return [name for name, _ in body.operands] + [statement.name for statement in body.statements]


def _plain_names(body: Body) -> dict[str, str]:
    names = {name: f"x{k}" for k, (name, _) in enumerate(body.operands)}
    return names | {statement.name: f"t{k}" for k, statement in enumerate(body.statements)}


def _renamed(body: Body, names: dict[str, str]) -> Body:
    def renamed(expr: Expr) -> Expr:
        return rename(expr, names)

    return Body(
        tuple([(names[name], id) for name, id in body.operands]),
        tuple([replace(s, name=names[s.name], expr=renamed(s.expr)) for s in body.statements]),
        tuple([(id, renamed(expr)) for id, expr in body.stores]),
    )
