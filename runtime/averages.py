"""Moving averages of the weights (`train { ema = 0.999 }`): what validation judges, and what training leaves behind.

Training itself goes on from the weights as they are. Plans without averages are left alone.
Source: Keras 3, `use_ema`, which overwrites the weights when `fit` ends; and its callback `SwapEMAWeights`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from nnc.compiler.plan import Plan
from nnc.runtime.protocol import Array, Session

from .state import write_all


@contextmanager
def in_place_of_weights(session: Session) -> Iterator[None]:
    """Within the block every weight has the value of its average."""
    own = {weight: session.read(weight) for weight, _ in _pairs(session.plan)}
    overwrite(session)
    try:
        yield
    finally:
        write_all(session, own)


def overwrite(session: Session) -> None:
    """Give every weight the value of its average, once a step has made one."""
    pairs = _pairs(session.plan)
    if pairs and session.read("step") > 0:
        for weight, average in pairs:
            session.write(weight, session.read(average))


def averaged(plan: Plan, variables: Mapping[str, Array]) -> dict[str, Array]:
    """The same of the variables of a file: every weight as its average, once a step has made one."""
    pairs = _pairs(plan)
    taken = {weight: variables[average] for weight, average in pairs} if pairs and variables["step"] > 0 else {}
    return {**variables, **taken}


def _pairs(plan: Plan) -> list[tuple[str, str]]:
    slots = {variable.name for variable, _ in plan.variables if variable.role == "slot"}
    weights = [variable.name for variable, _ in plan.variables if variable.role == "weight"]
    return [(name, f"{name}.average") for name in weights if f"{name}.average" in slots]
