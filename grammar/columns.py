"""How wide text is on a terminal, and how it is shown there: tabs, wide, combining and invisible characters."""

from __future__ import annotations

import unicodedata

_TAB = 4
_BIDIRECTIONAL = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
_ZERO_WIDTH = frozenset({"Mn", "Me", "Cf"})


def shown(char: str) -> str:
    """What stands for a character: itself, spaces for a tab, a visible code for one that could mislead or move."""
    if char.isprintable() and char != "\ufeff":
        return char
    if char == "\t":
        return " " * _TAB
    category = unicodedata.category(char)
    if category in ("Cc", "Cs", "Zl", "Zp", "Cn", "Co") or char in _BIDIRECTIONAL:
        return f"<{ord(char):02X}>"
    return "" if char == "\ufeff" else char


def char_width(char: str) -> int:
    """Columns that a character takes as shown."""
    if " " <= char <= "~":
        return 1
    text = shown(char)
    if len(text) != 1:
        return len(text)
    if unicodedata.category(text) in _ZERO_WIDTH:
        return 0
    return 2 if unicodedata.east_asian_width(text) in "WF" else 1


def width(text: str) -> int:
    """Columns that a text takes on one line."""
    if text.isascii() and text.isprintable():
        return len(text)
    return sum(char_width(char) for char in text)


def visible(text: str) -> str:
    """The text as shown."""
    if text.isprintable():
        return text
    return "".join(shown(char) for char in text)
