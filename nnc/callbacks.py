"""Functions that a program gives `fit` to be called in the course of training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnc.grammar.diagnostics import Diagnostic, UsageError


def checked(name: str, callback: Callable[..., Any] | None) -> Callable[..., bool] | None:
    """`callback`, the argument `name` of `fit`, which answers whether training is to end.

    Raises: UsageError E0822 for what cannot be called and, once it is called, for an answer that is neither.
    """
    if callback is None:
        return None
    if not callable(callback):
        raise UsageError(Diagnostic("E0822", f"`{name}` is {callback!r}", notes=("expected a function",)))
    call = callback

    def asks_to_end(*arguments: Any) -> bool:
        answer = call(*arguments)
        try:
            return bool(answer)
        except (TypeError, ValueError):    # what NumPy says of an array of several elements
            note = f"expected true to end training, false or nothing to go on; found {type(answer).__name__}"
            text = f"`{name}` answered neither yes nor no"
            raise UsageError(Diagnostic("E0822", text, notes=(note,))) from None

    return asks_to_end
