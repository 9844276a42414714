"""The functions of a module: equal texts become one function, and every call finds its pointers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from ..plan import Plan
from .calls import Call, Piece


class Functions:
    """Texts of functions in the order in which they were first called; each is named by its kind and a number."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def name_of(self, call: Call) -> str:
        """The name of the function that a call calls."""
        if not call.body:
            return self._name(call.text, call.kind)
        return self._name(call.text.replace("BODY", self._name(call.body, f"{call.kind}_body")), call.kind)

    def definitions(self) -> list[str]:
        return [re.sub(r"\bNAME(?=\b|_)", name, text) + "\n" for text, name in self._names.items()]

    def _name(self, text: str, kind: str) -> str:
        """The name of this text's function, or of the first of its functions."""
        if text not in self._names:
            number = self._counts[kind] = self._counts.get(kind, -1) + 1
            self._names[text] = f"{kind}_{number}"
        return self._names[text]


def addresses(
    plan: Plan, call: Call, offsets: Mapping[Piece, int], place: Callable[[int], str | None] = lambda id: None
) -> list[str]:
    """What a call is given beside its share of the work, as C text.

    place: says where a buffer lies that is not in the arena.
    """
    result = []
    for argument in call.arguments:
        if argument.text:
            result.append(argument.text)
            continue
        kind = argument.parameter[: argument.parameter.index("*") + 1]
        if argument.piece is not None:
            result.append(f"({kind})(m.pieces + {offsets[argument.piece]})")
        else:
            buffer = plan.buffers[argument.buffer]
            memory = "fixed" if buffer.kind in ("variable", "constant") else "work"
            result.append(f"({kind})({place(argument.buffer) or f'm.{memory} + {buffer.offset}'})")
    return result
