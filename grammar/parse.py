"""Text -> syntax tree. Each statement is parsed on its own, so that one with an error costs no other.

`parse` raises every syntax error of the file together; `parse_recovering` gives the good statements beside them, so
that later stages can report their own errors in the same run.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace

from lark import UnexpectedToken

from .cut import CLOSING, DANGLING, OPENING, Piece, cut
from .depth import MAX_DEPTH, deepest, too_deep
from .diagnostics import Diagnostic, NncError
from .mistakes import explain
from .parser import Parser, load_parser
from .source import SourceFile
from .syntax import Comment, Module, Statement, Version
from .tokens import NEWLINE, Token, Tokens

LANGUAGE_VERSION = 1
_SECTIONED = frozenset({"OUTPUT", "TRAIN", "DATA", "BLOCK"})
_DEEPENING = frozenset({*OPENING, "SIGN", "FACTOR", "POWER"})


def parse(source: SourceFile) -> Module:
    """The syntax tree of a whole file.

    Raises: NncError with every syntax error (E01), in source order.
    """
    module, diagnostics = parse_recovering(source)
    if diagnostics:
        raise NncError(*diagnostics)
    return module


def parse_recovering(source: SourceFile) -> tuple[Module, tuple[Diagnostic, ...]]:
    """The statements that are well formed, and the syntax errors of the others, in source order.

    Raises: NncError E0107 if the file needs a newer language, of which nothing else can be said.
    """
    parser = load_parser()
    reading = _Reading(parser, parser.tokeniser.tokenise(source))
    documentation = _Documentation(reading.found.comments)
    statements: list[Statement] = []
    is_first = True
    for piece, statement in reading.statements():
        doc = documentation.before(piece)
        if isinstance(statement, Version):
            reading.check_version(statement, is_first)
        is_first = False
        if statement is not None:
            statements.append(replace(statement, doc=doc) if doc else statement)
    diagnostics = sorted(reading.diagnostics, key=lambda diagnostic: diagnostic.span.start if diagnostic.span else 0)
    return Module(source, tuple(statements), documentation.others()), tuple(diagnostics)


class _Documentation:
    """Deals a file's comments out: `##` lines to the statement they precede, the others to the module."""

    def __init__(self, comments: list[Comment]) -> None:
        self._comments = comments
        self._next = 0
        self._kept: list[Comment] = []

    def before(self, piece: Piece) -> str:
        """The documentation comment of the next statement."""
        lines = []
        start, end = piece.tokens[0].span.start, piece.tokens[-1].span.end
        while self._next < len(self._comments) and self._comments[self._next].span.start < end:
            comment = self._comments[self._next]
            self._next += 1
            if comment.span.start < start and _is_documentation(comment):
                lines.append(comment.text[2:].removeprefix(" "))
            else:
                self._kept.append(comment)
        return "\n".join(lines)

    def others(self) -> tuple[Comment, ...]:
        """What documents nothing."""
        return (*self._kept, *self._comments[self._next :])


def _is_documentation(comment: Comment) -> bool:
    return comment.own_line and comment.text.startswith("##") and not comment.text.startswith("###")


class _Reading:
    """One run over a file: the parser, what the tokeniser found, and the errors so far."""

    def __init__(self, parser: Parser, found: Tokens) -> None:
        self.parser = parser
        self.found = found
        self.diagnostics = list(found.diagnostics)
        self._lexical = [diagnostic.span.start for diagnostic in found.diagnostics if diagnostic.span]

    def statements(self) -> Iterator[tuple[Piece, Statement | None]]:
        """Each piece of the file with its node. A broken piece is cut again wherever it looks like several."""
        keywords = self.parser.tokeniser.keywords
        for piece in cut(self.found.tokens, keywords):
            known = len(self.diagnostics)
            statement = self.statement(piece)
            pieces = [] if statement else list(cut(piece.raw, keywords, suspicious=True))
            if len(pieces) < 2:
                yield piece, statement
                continue
            del self.diagnostics[known:]
            for part in pieces:
                yield part, self.statement(part)

    def statement(self, piece: Piece) -> Statement | None:
        """The node of a piece; None if it has an error, which is then reported."""
        tokens = piece.tokens
        if piece.diagnostics:
            self.diagnostics.extend(piece.diagnostics)
            return None
        first = tokens[0]
        if first.type == "NAME" and first.text in self.parser.tokeniser.keywords and _type_at(tokens, 1) == "EQUAL":
            self.diagnostics.append(_keyword_as_name(first))
            return None
        try:
            statement: Statement = self.parser.parse(tokens, "statement")
        except UnexpectedToken as error:
            self._explain(error, tokens, "statement")
            return None
        if self._has_lexical(tokens):
            return None
        if sum(token.type in _DEEPENING for token in tokens) > MAX_DEPTH and (deep := too_deep(statement)):
            self.diagnostics.append(deep)
            return None
        return statement

    def check_version(self, version: Version, is_first: bool) -> None:
        """Report an `nn` statement that is not the first one, or names no version there is."""
        if not is_first:
            message, label = "the language version comes first", "expected at the top of the file"
            self.diagnostics.append(Diagnostic("E0113", message, version.span, label))
        elif version.number > LANGUAGE_VERSION:
            raise NncError(_newer(version))
        elif version.number < 1 or version.span.text.split()[-1] != str(version.number):
            message, helps = "there is no such language version", (f"write `nn {LANGUAGE_VERSION}`",)
            self.diagnostics.append(Diagnostic("E0107", message, version.span, helps=helps))

    def _explain(self, error: UnexpectedToken, tokens: list[Token], start: str) -> None:
        """Report why `tokens` did not parse; in a braced section each entry is tried on its own."""
        pieces = [(tokens, start, error)]
        while pieces:
            tokens, start, error = pieces.pop()
            if bracket := deepest(tokens):
                self.diagnostics.append(bracket)
                continue
            parts = _parts(tokens, start)
            failures = [(part, name, failure) for part, name in parts if (failure := self._failure(part, name))]
            if failures:
                pieces.extend(failures)
            elif not self._has_lexical(tokens):
                self.diagnostics.append(explain(error, tokens, start))

    def _failure(self, tokens: list[Token], start: str) -> UnexpectedToken | None:
        try:
            self.parser.parse(tokens, start)
        except UnexpectedToken as error:
            return error
        return None

    def _has_lexical(self, tokens: list[Token]) -> bool:
        """Whether the tokeniser reported something between the first token and the last."""
        first = bisect_left(self._lexical, tokens[0].span.start)
        return first < len(self._lexical) and self._lexical[first] < tokens[-1].span.end


def _parts(tokens: list[Token], start: str) -> list[tuple[list[Token], str]]:
    """The braced entries of a statement or an entry, and the statement without them; none where nothing is braced."""
    opening = _section_opening(tokens)
    is_sectioned = start == "entry" or tokens[0].type in _SECTIONED
    if opening is None or not is_sectioned or tokens[-1].type != "RBRACE":
        return []
    inner = "body_item" if tokens[0].type == "BLOCK" else "entry"
    parts: list[tuple[list[Token], str]] = []
    part: list[Token] = []
    depth = 0
    for token in tokens[opening + 1 : -1]:
        depth += (token.type in OPENING) - (token.type in CLOSING)
        goes_on = token.type == NEWLINE and bool(part) and part[-1].type in DANGLING
        if depth == 0 and token.type in ("COMMA", NEWLINE) and not goes_on:
            parts.append((part, inner))
            part = []
        else:
            part.append(token)
    parts.append((part, inner))
    header = [*tokens[: opening + 1], tokens[-1]]
    if inner == "entry" and len(header) < len(tokens):
        parts.append((header, start))
    return [(part, name) for part, name in parts if part]


def _section_opening(tokens: list[Token]) -> int | None:
    """The index of the `{` that the last token closes, if it lies in no other bracket and is no mapping."""
    depth = 0
    for index, token in enumerate(tokens):
        if token.type == "LBRACE" and depth == 0 and tokens[index - 1].type != "EQUAL":
            return index if index else None
        depth += (token.type in OPENING) - (token.type in CLOSING)
    return None


def _type_at(tokens: list[Token], index: int) -> str:
    return tokens[index].type if index < len(tokens) else ""


def _keyword_as_name(token: Token) -> Diagnostic:
    word = token.text
    helps: tuple[str, ...] = ()
    if word in ("input", "output", "param", "layer", "block", "model"):
        helps = (f"a statement `{word}` has a name of its own: `{word} NAME ...`",)
    elif word in ("train", "data"):
        helps = (f"a section has no `=`: `{word} {{ ... }}`",)
    message = f"`{word}` is a keyword and cannot name a value"
    return Diagnostic("E0106", message, token.span, "expected another name", helps=helps)


def _newer(version: Version) -> Diagnostic:
    product = sys.modules[__name__.partition(".")[0]]  # the package around this one, whose version users know
    message = f"needs nn {version.number}, this is nnc {product.__version__}, which reads nn {LANGUAGE_VERSION}"
    return Diagnostic("E0107", message, version.span, helps=("install a newer nnc",))
