"""The functions of a module: equal texts become one function, and every call finds its pointers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..plan import Plan
from .calls import Call, Piece


@dataclass(frozen=True, slots=True)
class Function:
    """A step's function as C text, and the functions that it inlines, if it has such of its own."""

    text: str
    body: str = ""


class Functions:
    """Texts of functions in the order in which they were first called; each is named by its kind and a number."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._bodies: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def name_of(self, call: Call) -> str:
        """The name of the function that a call calls."""
        if not call.body:
            return self._name(call.text, call.kind)
        text = call.text.replace("BODY", self._name(call.body, f"{call.kind}_body"))
        self._bodies[text] = call.body
        return self._name(text, call.kind)

    def definitions(self) -> list[str]:
        """What is called, each after what it inlines."""
        return [self._definition(text) for text in self._names]

    def all(self) -> list[Function]:
        """The functions that steps call."""
        bodies = set(self._bodies.values())
        return [
            Function(self._definition(text), self._definition(self._bodies[text]) if text in self._bodies else "")
            for text in self._names
            if text not in bodies
        ]

    def _definition(self, text: str) -> str:
        return re.sub(r"\bNAME(?=\b|_)", self._names[text], text) + "\n"

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
