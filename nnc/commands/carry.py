"""Weights of a trained model as the beginning of another training: all of them, or with `--partial` those that fit."""

from __future__ import annotations

import dataclasses
import difflib
from typing import TYPE_CHECKING, Final

from nnc.grammar.diagnostics import Diagnostic, UsageError

from .console import narrate
from .models import OpenModel, open_model

if TYPE_CHECKING:
    from nnc.compiler.options import Value
    from nnc.runtime.protocol import Session

_CARRIED: Final = ("weight", "statistic")
_MOST_SHOWN: Final = 30    # lines of a difference


def carry_weights(
    name: str, session: Session, spec: str, params: tuple[tuple[str, Value], ...], *, takes_part: bool
) -> bool:
    """Write the weights of the model `name` into a session; whether what Normalize layers learned came along.

    Raises: UsageError E0843 where the spec of the model is another, unless `takes_part`; DataError E0920-E0924.
    """
    model = open_model(name)
    wanted = {v.name: v.type for v, _ in session.plan.variables if v.role in _CARRIED}
    there = {v.name: v.type for v, _ in model.saved.plan.variables if v.role in _CARRIED}
    taken = [key for key in wanted if there.get(key) == wanted[key]]
    if not takes_part:
        _refuse_other_spec(model, spec, params, is_same=wanted == there)
    for key in taken:
        session.write(key, model.saved.variables[key])
    if takes_part:
        _say_what_was_taken(name, taken, list(wanted), [key for key in there if key not in taken])
    learned = {key for adaptation in session.plan.adaptations for key in (adaptation.mean, adaptation.variance)}
    return learned <= set(taken)


def _refuse_other_spec(
    model: OpenModel, spec: str, params: tuple[tuple[str, Value], ...], *, is_same: bool
) -> None:
    lines = _difference(_network_text(model.saved.spec), _network_text(spec))
    there, here = dict(model.saved.params), dict(params)
    lines += [
        f"param `{key}` is {there.get(key, 'not there')} in the model, {here.get(key, 'not there')} here"
        for key in dict.fromkeys([*there, *here])
        if there.get(key) != here.get(key)
    ]
    if is_same and not lines:
        return
    shown = lines[:_MOST_SHOWN] + ([f"and {len(lines) - _MOST_SHOWN} lines more"] if len(lines) > _MOST_SHOWN else [])
    helps = ("`--partial` takes the weights whose names and shapes are the same, and says which",)
    text = f"the spec of `{model.name}` differs from this one"
    raise UsageError(Diagnostic("E0843", text, place=model.name, notes=tuple(shown), helps=helps))


def _network_text(spec: str) -> str:
    """A spec without how it is trained and on what."""
    from nnc.grammar.format import format_module
    from nnc.grammar.parse import parse
    from nnc.grammar.source import SourceFile
    from nnc.grammar.syntax import Section

    module = parse(SourceFile("<spec>", spec))
    kept = tuple(statement for statement in module.statements if not isinstance(statement, Section))
    return format_module(dataclasses.replace(module, statements=kept))


def _difference(before: str, after: str) -> list[str]:
    """Lines that only the model has, marked `-`, and lines that only this spec has, marked `+`."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in lines if line.strip("+- ") and not line.startswith(("---", "+++", "@@"))]


def _say_what_was_taken(name: str, taken: list[str], wanted: list[str], left: list[str]) -> None:
    narrate(f"nnc: from {name}: {', '.join(taken) or 'nothing'}")
    if fresh := [key for key in wanted if key not in taken]:
        narrate(f"nnc: new: {', '.join(fresh)}")
    if left:
        narrate(f"nnc: not taken: {', '.join(left)}")
