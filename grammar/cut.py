"""Tokens -> statements: brackets are matched over the whole file, and a statement ends at the end of its line.

A statement goes on over line ends inside a bracket and before a line that begins with `->`. One whose bracket is
not closed ends where a line at the margin looks like a new statement, so that it costs no other.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from .diagnostics import Diagnostic, Label
from .source import Span
from .tokens import NEWLINE, Token

OPENING = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
CLOSING = {close: open_ for open_, close in OPENING.items()}
BRACKETS = {"LPAR": "(", "RPAR": ")", "LSQB": "[", "RSQB": "]", "LBRACE": "{", "RBRACE": "}"}

DANGLING = frozenset({"EQUAL", "SIGN", "FACTOR", "POWER", "ARROW"})
"""What no statement ends with: the line below belongs to it, and the line end between them is the error."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One statement: its `raw` tokens; the same with keywords marked and superfluous line ends taken out."""

    raw: list[Token]
    tokens: list[Token]
    diagnostics: list[Diagnostic]  # about its brackets


@dataclass(slots=True)
class _Brackets:
    """For the index of each bracket that of its partner, -1 where it has none; `margins` are where statements begin
    although a bracket was open."""

    partners: dict[int, int]
    margins: list[int]


def cut(tokens: list[Token], keywords: dict[str, str], suspicious: bool = False) -> Iterator[Piece]:
    """The statements of a file, in order. `keywords` maps a word to the type of its token.

    Inside a bracket only `keyword name` at the margin begins a statement. With `suspicious`, which is for a piece that
    does not parse, `name =` and a section do so too.
    """
    brackets = _match(tokens, keywords, suspicious)
    position = 0
    while position < len(tokens):
        if tokens[position].type == NEWLINE:
            position += 1
            continue
        end, unclosed = _statement_end(tokens, brackets, position)
        raw = tokens[position:end]
        diagnostics = list(_bracket_errors(tokens, brackets.partners, position, end, unclosed))
        piece = _drop_line_ends(raw) if any(token.type == NEWLINE for token in raw) else list(raw)
        yield Piece(raw, _mark_keywords(piece, keywords), diagnostics)
        position = end


def _match(tokens: list[Token], keywords: dict[str, str], suspicious: bool) -> _Brackets:
    """Pair the brackets of a file."""
    found = _Brackets({}, [])
    partners = found.partners
    stack: list[int] = []
    count = dict.fromkeys(OPENING, 0)
    for index, token in enumerate(tokens):
        type_ = token.type
        if type_ in OPENING:
            stack.append(index)
            count[type_] += 1
        elif type_ in CLOSING:
            wanted = CLOSING[type_]
            partners[index] = -1
            while count[wanted] and partners[index] < 0:
                opening = stack.pop()
                count[tokens[opening].type] -= 1
                matches = tokens[opening].type == wanted
                partners[opening] = index if matches else -1
                partners[index] = opening if matches else -1
        elif stack and type_ == "NAME" and _begins_statement(tokens, index, stack[-1], keywords, suspicious):
            found.margins.append(index)
            partners.update((opening, -1) for opening in stack)
            stack.clear()
            count = dict.fromkeys(OPENING, 0)
    partners.update((opening, -1) for opening in stack)
    return found


def _begins_statement(
    tokens: list[Token], index: int, opening: int, keywords: dict[str, str], suspicious: bool
) -> bool:
    """Whether a word begins a statement although the bracket at `opening` is not closed."""
    if tokens[index - 1].type != NEWLINE or index + 1 == len(tokens) or not _at_margin(tokens[index]):
        return False
    following = tokens[index + 1].type
    is_keyword = tokens[index].text in keywords
    if is_keyword and following == "NAME":
        return True
    if not suspicious or (tokens[opening].type == "LBRACE" and not _is_indented(tokens, opening)):
        return False
    return following == "EQUAL" or (is_keyword and following == "LBRACE")


def _is_indented(tokens: list[Token], opening: int) -> bool:
    """Whether what a brace encloses begins on a line of its own, off the margin."""
    inside = _after_newlines(tokens, opening + 1)
    return opening + 1 < inside < len(tokens) and not _at_margin(tokens[inside])


def _at_margin(token: Token) -> bool:
    return _column(token) == 1


def _column(token: Token) -> int:
    return token.span.source.position(token.span.start)[1]


def _statement_end(tokens: list[Token], brackets: _Brackets, start: int) -> tuple[int, int | None]:
    """The index behind the statement that begins at `start`, and its bracket that is never closed, if any."""
    index = start
    while index < len(tokens):
        token = tokens[index]
        if token.type == NEWLINE:
            following = _after_newlines(tokens, index)
            if following == len(tokens) or not _goes_on(tokens, index, following):
                return index, None
            index = following
        if token.type in OPENING:
            partner = brackets.partners[index]
            if partner < 0:
                margin = bisect_right(brackets.margins, index)
                return (brackets.margins[margin] if margin < len(brackets.margins) else len(tokens)), index
            index = partner
        index += 1
    return index, None


def _goes_on(tokens: list[Token], index: int, following: int) -> bool:
    """Whether the line that begins at `following` belongs to the statement whose line ends at `index`."""
    if tokens[following].type == "ARROW":
        return True
    return tokens[index - 1].type in DANGLING and following == index + 1 and not _at_margin(tokens[following])


def _after_newlines(tokens: list[Token], index: int) -> int:
    while index < len(tokens) and tokens[index].type == NEWLINE:
        index += 1
    return index


def _bracket_errors(
    tokens: list[Token], partners: dict[int, int], start: int, end: int, unclosed: int | None
) -> Iterator[Diagnostic]:
    """The brackets from `start` to `end` that have no partner: of those that share one cause the outermost alone."""
    explained = -1  # up to here a missing bracket is reported already
    closed = -1  # up to here the tokens lie in a bracket that is closed
    strays = False
    for index in range(start, end):
        partner = partners.get(index)
        if partner is None:
            continue
        closed = max(closed, partner)
        if partner >= 0 or index < explained:
            continue
        token = tokens[index]
        bracket = BRACKETS[token.type]
        if token.type in OPENING:
            if index == unclosed or index < closed or unclosed is None:
                explained = _close_outside(tokens, partners, index, end)
                guilty = _outdented(tokens, partners, index, explained) if explained == end else index
                yield _unclosed(tokens, guilty, explained if guilty == index else partners[guilty], end)
        elif not strays:
            strays = True
            opening = BRACKETS[CLOSING[token.type]]
            yield Diagnostic("E0102", f"this `{bracket}` closes nothing", token.span, f"no `{opening}` is open here")


def _close_outside(tokens: list[Token], partners: dict[int, int], opening: int, end: int) -> int:
    """The index of the bracket that closes what lies around an unclosed one; `end` where nothing does."""
    for index in range(opening + 1, end):
        if -1 < partners.get(index, -1) < opening:
            return index
    return end


def _outdented(tokens: list[Token], partners: dict[int, int], opening: int, end: int) -> int:
    """The brace that was really left open: one inside whose partner is further left than its own line, or `opening`.

    Brackets pair from the inside, so of two braces with one `}` the outer one seems open, whichever was forgotten.
    """
    line_start = opening
    for index in range(opening + 1, end):
        token = tokens[index]
        if tokens[index - 1].type == NEWLINE:
            line_start = index
        partner = partners.get(index, -1)
        if token.type != "LBRACE" or partner < index or tokens[partner - 1].type != NEWLINE:
            continue
        if line_start > opening and _column(tokens[partner]) < _column(tokens[line_start]):
            return index
    return opening


def _unclosed(tokens: list[Token], opening: int, outside: int, end: int) -> Diagnostic:
    token = tokens[opening]
    bracket, close = BRACKETS[token.type], BRACKETS[OPENING[token.type]]
    if outside < end:
        label = Label(tokens[outside].span, f"expected `{close}` before this")
    else:
        last = next(tokens[index] for index in range(end - 1, -1, -1) if tokens[index].type != NEWLINE)
        place = Span(last.span.source, last.span.end, last.span.end)
        label = Label(place, f"expected `{close}` here at the latest")
    help_ = f"close it with `{close}`"
    return Diagnostic("E0102", f"`{bracket}` is never closed", token.span, "opened here", (label,), helps=(help_,))


def _drop_line_ends(tokens: list[Token]) -> list[Token]:
    """Keep a line end only where it parts two entries in braces, or a statement in two."""
    kept: list[Token] = []
    brackets: list[str] = []
    for token in tokens:
        type_ = token.type
        if type_ == NEWLINE:
            parts = brackets[-1] == "LBRACE" if brackets else kept[-1].type in DANGLING
            if parts and kept[-1].type not in (NEWLINE, "LBRACE", "COMMA"):
                kept.append(token)
            continue
        if kept and kept[-1].type == NEWLINE and type_ in ("RBRACE", "ARROW", "COMMA"):
            kept.pop()
        if type_ in OPENING:
            brackets.append(type_)
        elif type_ in CLOSING and brackets:
            brackets.pop()
        kept.append(token)
    return kept


def _mark_keywords(tokens: list[Token], keywords: dict[str, str]) -> list[Token]:
    """Give the statement's keywords their own types: the first word, `in` of a param, `return` in a block."""
    first = tokens[0]
    if first.type != "NAME" or first.text not in keywords or first.text in ("in", "return"):
        return tokens
    if len(tokens) > 1 and tokens[1].type == "EQUAL":
        return tokens
    tokens[0] = Token(keywords[first.text], first.text, first.span)
    if first.text == "param":
        _mark(tokens, "in", keywords, ())
    elif first.text == "block":
        _mark(tokens, "return", keywords, ("LBRACE", "COMMA", NEWLINE))
    return tokens


def _mark(tokens: list[Token], word: str, keywords: dict[str, str], before: tuple[str, ...]) -> None:
    """Mark `word` where a token of the types `before` precedes it (none given: behind the `=`, outside brackets)."""
    depth = 0
    assigned = False
    for index, token in enumerate(tokens):
        if token.type in OPENING:
            depth += 1
        elif token.type in CLOSING:
            depth -= 1
        elif token.type == "EQUAL":
            assigned = True
        elif token.type == "NAME" and token.text == word:
            expected = tokens[index - 1].type in before and depth == 1 if before else assigned and depth == 0
            if expected:
                tokens[index] = Token(keywords[word], word, token.span)
