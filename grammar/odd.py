"""Characters that no `.nn` text has, read as what their writer most likely meant."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from .diagnostics import Diagnostic
from .source import SourceFile, Span

WRONG_OPERATOR = r"=>|-+->|>>|\|>|:=|==|[→⇒⟶➔➜]"
"""Operators of other languages; the scanner tries them first, since `=>` begins with a good `=`."""

_WRONG = re.compile(WRONG_OPERATOR)
_MONITOR = re.compile(r"\b(?:monitor\s*=|early_stopping\(|best\()\s*(\w+)$")
_WORD = re.compile(r"\w+")
_MEANT = {
    "×": ("FACTOR", "*"),
    "·": ("FACTOR", "*"),
    "⋅": ("FACTOR", "*"),
    "÷": ("FACTOR", "/"),
    "−": ("SIGN", "-"),
    "–": ("SIGN", "-"),
    "—": ("SIGN", "-"),
    "＝": ("EQUAL", "="),
    "：": ("COLON", ":"),
    "，": ("COMMA", ","),
    "、": ("COMMA", ","),
    "（": ("LPAR", "("),
    "）": ("RPAR", ")"),
    "^": ("POWER", "**"),
    ";": ("NEWLINE", "\n"),
    "…": ("RANGE", ".."),
}
_CLOSING = {"'": "'", "“": "”", "”": "”", "„": "“”", "‘": "’", "’": "’", "«": "»", "`": "`"}
_NAMES = {"\t": "tab", "\r": "carriage return", "\0": "NUL character"}


@dataclass(frozen=True, slots=True)
class Odd:
    """What was found, where it ends, and the token to read instead (no `type`: read nothing)."""

    diagnostic: Diagnostic
    end: int
    type: str = ""
    text: str = ""


def read_odd(source: SourceFile, start: int) -> Odd:
    """Report the odd text at `start`."""
    text = source.text
    char = text[start]
    if char == '"':
        return _unterminated(source, start)
    if char in _CLOSING:
        return _quoted(source, start)
    wrong = _WRONG.match(text, start)
    if wrong:
        return _wrong_operator(source, start, wrong.group())
    span = Span(source, start, start + 1)
    if char in _MEANT:
        type_, meant = _MEANT[char]
        help_ = "end the line instead" if char == ";" else f"write `{meant}`"
        return Odd(_unknown(char, span, help_), start + 1, type_, meant)
    if char.isspace():
        return Odd(_unknown(char, span, "use an ordinary space or a line break"), start + 1)
    if char == "." and (figure := _figure_around(text, start)):
        return Odd(_unknown(char, span, f'write the name of a figure in quotes: `monitor = "{figure}"`'), start + 1)
    return Odd(_unknown(char, span, _advice(char)), start + 1)


def _figure_around(text: str, dot: int) -> str:
    """`val_digit.accuracy` behind `monitor =`, around its dot; empty elsewhere."""
    before = _MONITOR.search(text, text.rfind("\n", 0, dot) + 1, dot)
    behind = _WORD.match(text, dot + 1)
    return f"{before[1]}.{behind[0]}" if before and behind else ""


def _unknown(char: str, span: Span, help_: str) -> Diagnostic:
    return Diagnostic("E0104", f"unexpected character {_shown(char)}", span, helps=(help_,) if help_ else ())


def _shown(char: str) -> str:
    """A character in words: itself where it can be seen, else its name and number."""
    if char.isprintable() and not char.isspace() and not unicodedata.combining(char):
        return f"`{char}`"
    name = _NAMES.get(char) or unicodedata.name(char, "control character").lower()
    return f"U+{ord(char):04X} ({name})"


def _advice(char: str) -> str:
    if char in "²³":
        return f"write `**{unicodedata.digit(char)}`"
    if char == ".":
        return "names have no dots: layers and functions are bare words, as in `Dense`"
    if char == "\\":
        return "no backslash is needed: open a bracket, or begin the next line with `->`"
    if char == "%":
        return "a percentage is written without a space, as in `20%`"
    if char in "<>!":
        return "there are no comparisons in a spec"
    return ""


def _wrong_operator(source: SourceFile, start: int, found: str) -> Odd:
    end = start + len(found)
    type_, meant, what = "ARROW", "->", "an arrow is written"
    if found in (":=", "=="):
        type_, meant, what = "EQUAL", "=", "a value is given"
    message, label = f"`{found}` is no operator here", f"{what} with `{meant}`"
    diagnostic = Diagnostic("E0110", message, Span(source, start, end), label, helps=(f"write `{meant}`",))
    return Odd(diagnostic, end, type_, meant)


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    end = len(text) if end < 0 else end
    return end - 1 if end > start and text[end - 1] == "\r" else end


def _unterminated(source: SourceFile, start: int) -> Odd:
    """A `"` that is not closed on its line: read as the string up to the brackets that end the line."""
    line_end = _line_end(source.text, start)
    inside = source.text[start + 1 : line_end]
    end = start + 1 + len(inside.rstrip(")]},; \t") or inside)
    span = Span(source, start, end)
    diagnostic = Diagnostic(
        "E0103", "this string has no end", span, 'expected `"` before the end of the line', helps=('close it with `"`',)
    )
    return Odd(diagnostic, end, "STRING", source.text[start + 1 : end])


def _quoted(source: SourceFile, start: int) -> Odd:
    """`'x'`, `“x”` and the like: a string in the wrong quotes, if it is closed on its line."""
    text = source.text
    line_end = _line_end(text, start)
    ends = [text.find(char, start + 1, line_end) for char in _CLOSING[text[start]] + '"']
    closing = min((end for end in ends if end >= 0), default=-1)
    if closing < 0:
        span = Span(source, start, start + 1)
        help_ = 'a string stands in straight double quotes, as in `"data.csv"`'
        return Odd(_unknown(text[start], span, help_), start + 1)
    value = text[start + 1 : closing]
    diagnostic = Diagnostic(
        "E0104",
        f"strings do not stand in {_shown(text[start])}",
        Span(source, start, closing + 1),
        helps=(f'use straight double quotes: `"{value}"`',),
    )
    return Odd(diagnostic, closing + 1, "STRING", value)
