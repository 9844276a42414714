"""Options of a table in the `data` section: what stands for a missing value, and which columns hold categories."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from nnc.grammar import syntax
from nnc.grammar.source import Span

from ..layers.definition import Hyperparameter
from ..options import Value
from ..report import did_you_mean, fault, listed
from .arguments import READERS, wrong_kind
from .binding import bind
from .constants import evaluate, text_of
from .scope import Constant, Scope

_NO_SEPARATORS: Final = ('"', "\n", "\r", "\0")
MISSING: Final = ("error", "drop", "mean", "median")
TABLE_OPTIONS: Final = (
    Hyperparameter("missing", "missing", "error", "what stands for a missing value", keyword_only=True),
    Hyperparameter("categories", "columns", (), "columns of numbers that are texts, not quantities", keyword_only=True),
    Hyperparameter("unknown", "word", "error", "what a text stands for that training did not see", ("error", "other"),
                   keyword_only=True),
)  # fmt: skip


def bind_file(
    reader: str, signature: tuple[Hyperparameter, ...], arguments: Iterable[syntax.Argument], scope: Scope, place: Span
) -> dict[str, Value]:
    """Path and options of a reader; of a table's options those that say something."""
    readers = {**READERS, "missing": _read_missing, "columns": _read_columns, "separator": _read_separator}
    bound = dict(bind(reader, signature, arguments, scope, place, "E0401", readers=readers))
    usual = {option.name: option.default for option in TABLE_OPTIONS}
    return {name: value for name, value in bound.items() if name not in usual or value != usual[name]}


def _read_separator(owner: str, parameter: Hyperparameter, expression: syntax.Expression, scope: Scope) -> Value:
    """One character that stands between fields, and nowhere else does anything."""
    text = READERS["string"](owner, parameter, expression, scope)
    if not isinstance(text, str) or len(text) != 1 or text in _NO_SEPARATORS:
        expected = "one character, such as `,`, `;` or `\\t`"
        raise wrong_kind(owner, parameter, expression, text_of(text), expected)
    return text


def _read_missing(owner: str, parameter: Hyperparameter, expression: syntax.Expression, scope: Scope) -> Value:
    """One of the words, or the number to put in the place."""
    expected = f"expects a number, {listed(MISSING, 'or')}"
    match expression:
        case syntax.Name(name=word) if word in MISSING:
            return word
        case syntax.Name(name=word) if not isinstance(scope.look_up(word), Constant):
            message = f"`{parameter.name}` of `{owner}` cannot be `{word}`"
            raise fault("E0405", message, expression.span, expected, helps=did_you_mean(word, MISSING))
    value = evaluate(expression, scope)
    if value in MISSING:
        return str(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise fault("E0405", f"`{parameter.name}` of `{owner}` is {text_of(value)}", expression.span, expected)
    return float(value)


def _read_columns(owner: str, parameter: Hyperparameter, expression: syntax.Expression, scope: Scope) -> Value:
    """`Pclass`, or several in brackets: `[Pclass, "Cabin class"]`."""
    items = expression.items if isinstance(expression, syntax.List | syntax.Tuple) else (expression,)
    names = []
    for item in items:
        match item:
            case syntax.Name(name=name) | syntax.String(value=name):
                names.append(name)
            case _:
                message = f"`{parameter.name}` of `{owner}` names columns"
                raise fault("E0405", message, item.span, "expects a name, or a text in quotes")
    return tuple(names)
