"""Where a `train` entry names the figure that it watches: a figure that nobody reports is pointed at there."""

from __future__ import annotations

from typing import Final

from nnc.grammar import syntax
from nnc.grammar.source import Span

_POSITIONS: Final = {
    "early_stopping": 0, "best": 0, "plateau": 1, "reduce_lr_on_plateau": 1, "ReduceLROnPlateau": 1,
}  # fmt: skip


def monitor_span(expression: syntax.Expression | None) -> Span | None:
    """The value of `monitor` in `early_stopping(...)`, `best(...)` or `plateau(...)`, at any depth; else None."""
    match expression:
        case syntax.List(items=items):
            return _first(items)
        case syntax.Call(callee=callee, arguments=arguments):
            for index, argument in enumerate(arguments):
                name = argument.name.name if argument.name is not None else ""
                if name == "monitor" or (not name and _POSITIONS.get(callee.name) == index):
                    return argument.value.span
            return _first(tuple(argument.value for argument in arguments))
        case _:
            return None


def _first(expressions: tuple[syntax.Expression, ...]) -> Span | None:
    return next((span for expression in expressions if (span := monitor_span(expression)) is not None), None)
