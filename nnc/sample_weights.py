"""A plan that is fed sample weights, made of one that is not: `fit(..., sample_weight=...)` asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from nnc.compiler.options import CompileOptions, OutputConfig, Value
from nnc.compiler.plan import Plan
from nnc.grammar.diagnostics import DataError, Diagnostic
from nnc.grammar.source import SourceFile
from nnc.grammar.suggest import nearest
from nnc.runtime.data.slots import WEIGHTS
from nnc.runtime.protocol import Runtime, Session

_PLACE: Final = "argument `sample_weight`"


def weighted_outputs(sample_weight: Any, outputs: Iterable[OutputConfig]) -> frozenset[str]:
    """The outputs that `sample_weight` names; a bare array is for the only one with a loss.

    Raises: DataError E0704 for a bare array where several have one, E0705 for a name that none has.
    """
    judged = tuple(output.name for output in outputs if output.loss is not None)
    if isinstance(sample_weight, Mapping):
        problems = [_unknown(str(name), judged) for name in sample_weight if name not in judged]
        if problems:
            raise DataError(*problems)
        return frozenset(sample_weight)
    if len(judged) > 1:
        text = f"`sample_weight` is one array, but the model has {len(judged)} outputs with a loss"
        names = ", ".join(f'"{name}": ...' for name in judged)
        helps = (f"give them by name: sample_weight = {{{names}}}",)
        raise DataError(Diagnostic("E0704", text, place=_PLACE, helps=helps))
    return frozenset(judged)


def _unknown(name: str, judged: tuple[str, ...]) -> Diagnostic:
    near = nearest(name, judged)
    helps = (f"did you mean {' or '.join(f'`{word}`' for word in near)}?",) if near else ()
    notes = (f"the model has {', '.join(f'`{word}`' for word in judged)}",) if judged else ()
    return Diagnostic("E0705", f"`{name}` is no output with a loss", place=_PLACE, notes=notes, helps=helps)


def takes_weights(plan: Plan, names: Iterable[str]) -> bool:
    """Whether the plan's training is fed weights of all these outputs."""
    return {f"{WEIGHTS}{name}" for name in names} <= _fed(plan)


def recompiled(
    session: Session, spec: str, params: Iterable[tuple[str, Value]], names: Iterable[str], runtime: Runtime
) -> tuple[Session, tuple[OutputConfig, ...]]:
    """A session that is fed weights of the outputs `names` as well, every variable carried over; and its outputs."""
    from nnc.compiler.pipeline import compile_source

    plan = session.plan
    weighted = frozenset(names) | {feed.removeprefix(WEIGHTS) for feed in _fed(plan)}
    options = CompileOptions(dict(params), plan.batch_size, None, plan.seed, sample_weights=weighted)
    compiled = compile_source(SourceFile("<model>", spec), options)
    other = runtime.prepare(compiled.plan)
    for variable, _ in plan.variables:
        other.write(variable.name, session.read(variable.name))
    return other, compiled.network.outputs


def _fed(plan: Plan) -> set[str]:
    return {feed for program in plan.programs for feed, _ in program.feeds if feed.startswith(WEIGHTS)}
