"""Text -> one list of tokens, with the comments apart; the terminals are those of `nn.lark`.

Every character ends up in a token, a comment, white space or a diagnostic. What is wrong but clear (`→`, “smart
quotes”) is reported and read as what was meant, so that it costs no second error.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .diagnostics import Diagnostic
from .odd import WRONG_OPERATOR, read_odd
from .source import SourceFile, Span
from .syntax import Comment

if TYPE_CHECKING:
    from lark.lexer import TerminalDef

NEWLINE = "NEWLINE"
_PLAIN = frozenset(
    {"NEWLINE", "EQUAL", "COMMA", "COLON", "LPAR", "RPAR", "LSQB", "RSQB", "LBRACE", "RBRACE"}
    | {"SIGN", "FACTOR", "POWER", "ARROW", "RANGE"}
)
_NUMBER = re.compile(r"(?:D(?:\.D?)?|\.D)(?:[eE][+-]?[0-9]+)?%?".replace("D", "(?:[0-9]+(?:_[0-9]+)*)"))
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))")
_ESCAPES = {'"': '"', "\\": "\\", "n": "\n", "t": "\t", "r": "\r"}


class Token:
    """A piece of the text: `text` is its value (a name is NFC-normalised, a string has its escapes resolved)."""

    __slots__ = ("span", "text", "type")

    # Lark borrows the place of the last token for its end marker; ours lies in `span`.
    start_pos: ClassVar[int] = 0
    end_pos: ClassVar[int] = 0
    line: ClassVar[int] = 0
    column: ClassVar[int] = 0
    end_line: ClassVar[int] = 0
    end_column: ClassVar[int] = 0

    def __init__(self, type_: str, text: str, span: Span) -> None:
        self.type = type_
        self.text = text
        self.span = span


@dataclass(frozen=True, slots=True)
class Tokens:
    """All tokens of a file (NEWLINE among them), its comments, and what was wrong with single characters and words."""

    tokens: list[Token]
    comments: list[Comment]
    diagnostics: list[Diagnostic]


class Tokeniser:
    """Splits texts by one regular expression made of the grammar's terminals."""

    def __init__(self, terminals: Iterable[TerminalDef]) -> None:
        patterns = [(t.name, t.pattern) for t in terminals if not _is_keyword(t)]
        patterns.sort(key=lambda item: (item[1].type != "str", -len(item[1].value)))
        groups = [f"(?P<{name}>{pattern.to_regexp()})" for name, pattern in patterns]
        self.keywords = {t.pattern.value: t.name for t in terminals if _is_keyword(t)}
        self._scan = re.compile("|".join([f"(?P<WRONG>{WRONG_OPERATOR})", *groups, "(?P<ODD>.)"]), re.DOTALL).match

    def tokenise(self, source: SourceFile) -> Tokens:
        """Split `source`; never fails."""
        text, scan = source.text, self._scan
        found = Tokens([], [], [])
        position = 1 if text.startswith("\ufeff") else 0
        while match := scan(text, position):
            kind, start, position = match.lastgroup or "", position, match.end()
            if kind in _PLAIN:
                found.tokens.append(Token(kind, match.group(), Span(source, start, position)))
            elif kind == "NAME":
                position = _read_name(found, source, start, position)
            elif kind == "COMMENT":
                comment = match.group().rstrip()
                own_line = not found.tokens or found.tokens[-1].type == NEWLINE
                found.comments.append(Comment(comment, own_line, Span(source, start, start + len(comment))))
            elif kind == "NUMBER":
                _read_number(found, match.group(), Span(source, start, position))
            elif kind == "STRING":
                span = Span(source, start, position)
                found.tokens.append(Token(kind, _unescape(match.group()[1:-1], span, found.diagnostics), span))
            elif kind != "SPACE":
                position = _read_odd(found, source, start)
        return found


def number_value(text: str) -> int | float:
    """The value of a number as written: 1000 for `1_000`, 0.2 for `20%`."""
    if text.endswith("%"):
        return float(text[:-1]) / 100
    return int(text) if text.replace("_", "").isdigit() else float(text)


def _is_keyword(terminal: TerminalDef) -> bool:
    return terminal.pattern.type == "str" and terminal.pattern.value.isidentifier()


def _read_name(found: Tokens, source: SourceFile, start: int, end: int) -> int:
    """Add the name that starts at `start`; `\\w`, which ended it at `end`, is not quite what an identifier is."""
    text = source.text
    if end < len(text) and text[end] > "\x7f":
        while end < len(text) and ("_" + text[end]).isidentifier():
            end += 1
    word = text[start:end]
    if not word.isascii():
        while end > start and not text[start:end].isidentifier():  # `x²` is the name `x`
            end -= 1
        word = unicodedata.normalize("NFC", text[start:end])
    if not word:
        return _read_odd(found, source, start)
    found.tokens.append(Token("NAME", word, Span(source, start, end)))
    return end


def _read_odd(found: Tokens, source: SourceFile, start: int) -> int:
    odd = read_odd(source, start)
    found.diagnostics.append(odd.diagnostic)
    if odd.type:
        found.tokens.append(Token(odd.type, odd.text, Span(source, start, odd.end)))
    return odd.end


def _read_number(found: Tokens, text: str, span: Span) -> None:
    """Add a number; one that is none is reported and read as 0."""
    if not _NUMBER.fullmatch(text):
        found.diagnostics.append(_malformed(text, span))
        text = "0"
    elif len(text) > 400 or float(text.rstrip("%")) == float("inf"):
        label = "numbers reach up to about 1.8e308"
        found.diagnostics.append(Diagnostic("E0105", "this number is too large", span, label))
        text = "0"
    found.tokens.append(Token("NUMBER", text, span))


def _malformed(text: str, span: Span) -> Diagnostic:
    helps: tuple[str, ...] = ()
    digits = re.match(r"[0-9][0-9_]*", text)
    if re.fullmatch(r"0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+", text) and len(text) < 20:
        helps = (f"numbers are decimal: write `{int(text, 0)}`",)
    elif digits and text[digits.end() :].isidentifier():
        helps = (f"multiply with `*`: `{digits.group()}*{text[digits.end() :]}`; a name begins with a letter or `_`",)
    label = "expected digits, as in `28`, `1_000`, `0.5`, `1e-3` or `20%`"
    return Diagnostic("E0105", f"`{text}` is not a number", span, label, helps=helps)


def _unescape(raw: str, span: Span, diagnostics: list[Diagnostic]) -> str:
    """The value of a string's inside `raw`; an unknown escape is reported and kept as it stands."""
    if "\\" not in raw:
        return raw

    def replace(match: re.Match[str]) -> str:
        code, char = match.groups()
        if code and not 0xD800 <= int(code, 16) < 0xE000:
            return chr(int(code, 16))
        if char in _ESCAPES:
            return _ESCAPES[char]
        start = span.start + 1 + match.start()
        place = Span(span.source, start, start + len(match.group()))
        diagnostics.append(
            Diagnostic(
                "E0114",
                f"`{match.group()}` is no escape",
                place,
                'known are `\\"`, `\\\\`, `\\n`, `\\t`, `\\r` and `\\uXXXX`',
                helps=("write `\\\\` for a backslash; paths may use `/` on every system",),
            )
        )
        return match.group()

    return _ESCAPE.sub(replace, raw)
