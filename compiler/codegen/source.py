"""C text in the making: lines and how far in they stand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

INDENT = "    "


class Source:
    """Lines of C; `block` opens a brace and closes it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._depth = 0

    def __str__(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)

    def line(self, text: str = "") -> None:
        self.lines.append(f"{INDENT * self._depth}{text}" if text else "")

    def all(self, lines: list[str]) -> None:
        for text in lines:
            self.line(text)

    @contextmanager
    def block(self, head: str = "") -> Iterator[None]:
        self.line(f"{head} {{" if head else "{")
        self._depth += 1
        yield
        self._depth -= 1
        self.line("}")
