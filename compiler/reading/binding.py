"""Arguments bound to a signature: each to its parameter, every default filled in.

One kind of signature (`Hyperparameter` records) serves layers, sections and the entries of the formula tables alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Final

from nnc.grammar import syntax
from nnc.grammar.diagnostics import Diagnostic, NncError
from nnc.grammar.source import Span
from nnc.grammar.suggest import nearest

from ..layers.definition import REQUIRED, Hyperparameter
from ..options import Choice, Value
from ..report import counted, did_you_mean, fault, listed
from ..tables import TABLES, default_choice
from .scope import Scope, resolved

Bound = tuple[tuple[str, Value], ...]
Reader = Callable[[str, Hyperparameter, syntax.Expression, Scope], Value]
"""Reads one argument's value: owner, parameter, expression and the names it may use."""


def bind(
    owner: str,
    signature: tuple[Hyperparameter, ...],
    arguments: Iterable[syntax.Argument],
    scope: Scope,
    place: Span,
    unknown: str = "E0401",
    *,
    readers: Mapping[str, Reader],
) -> Bound:
    """Every argument of `signature` with its value, in the signature's order.

    Raises NncError with all faults of the call: `unknown` (E0401), E0402 missing, E0403 too many, E0404 twice, and
    those of the values.
    """
    given, faults, meant = assign(owner, signature, arguments, unknown)
    values: dict[str, Value] = {}
    for parameter in signature:
        if parameter.name not in given:
            if parameter.name in meant:
                continue
            if parameter.default == REQUIRED:
                label = f"expects `{parameter.name}`" + (f", the {parameter.doc}" if parameter.doc else "")
                faults += fault("E0402", f"`{owner}` needs `{parameter.name}`", place, label).diagnostics
            else:
                values[parameter.name] = completed(parameter)
            continue
        try:
            values[parameter.name] = read(owner, parameter, given[parameter.name], scope, readers)
        except NncError as error:
            faults += error.diagnostics or (_REPORTED,)
    if faults:
        raise NncError(*(diagnostic for diagnostic in faults if diagnostic is not _REPORTED))
    return tuple((parameter.name, values[parameter.name]) for parameter in signature)


_REPORTED: Final = Diagnostic("", "", None)  # stands for a fault that was reported where it arose


def assign(
    owner: str, signature: tuple[Hyperparameter, ...], arguments: Iterable[syntax.Argument], unknown: str = "E0401"
) -> tuple[dict[str, syntax.Expression], list[Diagnostic], set[str]]:
    """Which expression goes to which parameter, the faults of those that go to none, and what those may have meant."""
    names = {parameter.name: parameter.name for parameter in signature}
    names |= {parameter.alias: parameter.name for parameter in signature if parameter.alias}
    positional = [parameter.name for parameter in signature if not parameter.keyword_only]
    given: dict[str, syntax.Expression] = {}
    faults: list[Diagnostic] = []
    meant: set[str] = set()
    count = 0
    for argument in arguments:
        if argument.name is None:
            count += 1
            if count > len(positional):
                faults += _too_many(owner, positional, argument).diagnostics
                continue
            name, span = positional[count - 1], argument.span
        elif argument.name.name in names:
            name, span = names[argument.name.name], argument.name.span
        else:
            faults += _unknown(owner, argument.name, names, unknown).diagnostics
            meant.update(nearest(argument.name.name, names))
            continue
        if name in given:
            faults += fault(
                "E0404",
                f"`{name}` of `{owner}` is given twice",
                span,
                "given again",
                labels=[(given[name].span, "given here")],
            ).diagnostics
            continue
        given[name] = argument.value
    return given, faults, meant


def _too_many(owner: str, positional: list[str], argument: syntax.Argument) -> NncError:
    message = (
        f"`{owner}` takes {counted(len(positional), 'argument')} at most"
        if positional
        else (f"`{owner}` takes no arguments")
    )
    label = f"expects {listed(positional)}" if 0 < len(positional) <= 6 else "one too many"
    return fault("E0403", message, argument.span, label)


def _unknown(owner: str, name: syntax.Name, names: Iterable[str], code: str) -> NncError:
    known = list(names)
    helps = did_you_mean(name.name, known)
    notes = [f"`{owner}` has {listed(known)}"] if known and not helps else []
    what = "entry" if code != "E0401" else "argument"
    return fault(code, f"`{owner}` has no {what} `{name.name}`", name.span, "not known", helps=helps, notes=notes)


@cache
def completed(parameter: Hyperparameter) -> Value:
    """The default of a parameter; a choice gets the defaults of its table entry."""
    if isinstance(parameter.default, Choice) and parameter.kind in TABLES:
        return default_choice(parameter.kind, parameter.default.name)
    return parameter.default


def read(
    owner: str,
    parameter: Hyperparameter,
    expression: syntax.Expression,
    scope: Scope,
    readers: Mapping[str, Reader],
) -> Value:
    """The value of one argument, by the kind of its parameter. Raises E0405 wrong kind, E0406 out of range ..."""
    expression, scope = resolved(expression, scope)
    if parameter.optional and isinstance(expression, syntax.Name) and expression.name == "none":
        return None
    return readers[parameter.kind](owner, parameter, expression, scope)
