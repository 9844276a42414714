"""The LALR parser and the tokeniser of `nn.lark`, made once per process; its tables are kept in the user's cache."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from lark import Lark
from lark.lexer import Lexer

from .build import Builder
from .tokens import Token, Tokeniser

_GRAMMAR = Path(__file__).with_name("nn.lark")
_START = ["statement", "entry", "body_item"]


class _TokenList(Lexer):
    """Hands lark the tokens that were made beforehand."""

    def __init__(self, conf: object) -> None:
        """Lark passes its configuration, which a finished list does not need."""

    def lex(self, tokens: Any, parser_state: Any = None) -> Iterator[Any]:
        return iter(tokens)


class Parser:
    """Parses the tokens of one statement or one entry."""

    def __init__(self, tables: Lark) -> None:
        self._tables = tables
        self.tokeniser = Tokeniser(tables.terminals)

    def parse(self, tokens: list[Token], start: str) -> Any:
        """The node of `tokens`. Raises `lark.UnexpectedToken`."""
        return self._tables.parse(tokens, start=start)


@cache
def load_parser() -> Parser:
    """The parser, from the cache where that works and anew where not."""
    grammar = _GRAMMAR.read_text(encoding="utf-8")
    directory = _cache_directory()
    if directory is None:
        return Parser(_open(grammar, False))
    try:
        return Parser(_open(grammar, str(directory / "grammar-1.lark")))
    except OSError:
        return Parser(_open(grammar, False))


def _open(grammar: str, kept_in: str | bool) -> Lark:
    return Lark(
        grammar,
        parser="lalr",
        lexer=_TokenList,
        start=list(_START),
        strict=True,
        keep_all_tokens=True,
        maybe_placeholders=False,
        transformer=Builder(),
        cache=kept_in,
    )


def _cache_directory() -> Path | None:
    """A directory that only the user can write, since lark's cache is a pickle; None where there is none."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        directory = (Path(base) if base and os.path.isabs(base) else Path.home() / ".cache") / "nnc"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = directory.stat()
    except (OSError, RuntimeError):
        return None
    if not hasattr(os, "getuid"):
        return directory
    is_private = status.st_uid == os.getuid() and not stat.S_IMODE(status.st_mode) & 0o022
    return directory if is_private else None
