"""A token that cannot stand where it stands -> the error in the user's words: what was expected, found, and to do."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from lark import UnexpectedToken

from .diagnostics import Diagnostic
from .source import Span
from .suggest import nearest
from .tokens import NEWLINE, Token

END = "$END"
STATEMENTS = ("nn", "model", "param", "input", "output", "layer", "block", "train", "data")
_VALUE_STARTS = frozenset({"NAME", "NUMBER", "STRING", "LPAR", "LSQB", "LBRACE", "SIGN"})
_VALUE_ENDS = frozenset({"NAME", "NUMBER", "STRING", "RPAR", "RSQB", "RBRACE"})
_SPELLING = {
    "EQUAL": "`=`",
    "COLON": "`:`",
    "COMMA": "`,`",
    "RPAR": "`)`",
    "RSQB": "`]`",
    "RBRACE": "`}`",
    "LBRACE": "`{`",
    "IN": "`in`",
    "RETURN": "`return`",
    END: "the end of the line",
    "LPAR": "`(`",
    "ARROW": "`->`",
    "RANGE": "`..`",
}
_OPERATORS = frozenset({"SIGN", "FACTOR", "POWER", "RANGE", "LSQB", "ARROW", NEWLINE})


@dataclass(frozen=True, slots=True)
class _Place:
    """The unexpected token (None: the tokens ended), those around it, and the types that could stand there."""

    tokens: list[Token]
    index: int
    expected: Set[str]
    start: str

    @property
    def token(self) -> Token | None:
        return self.tokens[self.index] if self.index < len(self.tokens) else None

    @property
    def type(self) -> str:
        token = self.token
        return token.type if token else END

    @property
    def previous(self) -> Token | None:
        return self.tokens[self.index - 1] if self.index else None

    @property
    def span(self) -> Span:
        """The token; where the tokens ended, the place behind the last one."""
        token = self.token
        if token is not None and token.type != NEWLINE:
            return token.span
        last = self.tokens[self.index - 1].span
        return Span(last.source, last.end, last.end)


def explain(error: UnexpectedToken, tokens: list[Token], start: str) -> Diagnostic:
    """The diagnostic of a parse of `tokens` from the rule `start` that failed with `error`."""
    index = next((i for i, token in enumerate(tokens) if token is error.token), len(tokens))
    place = _Place(tokens, index, frozenset(error.accepts or error.expected), start)
    if start == "statement" and tokens[0].type == "NAME" and index == 1:
        return _unnamed(place)
    if start == "statement" and index == 0:
        return _no_statement(place)
    for rule in RULES:
        if diagnostic := rule(place):
            return diagnostic
    return Diagnostic("E0101", f"unexpected {_found(place)}", place.span, _expected(place), helps=_advice(place))


def _no_statement(place: _Place) -> Diagnostic:
    """A statement that begins with a symbol, a number or a string."""
    found = _found(place)
    helps: tuple[str, ...] = ()
    if place.type == "LBRACE":
        helps = ("put `{` at the end of the line before",)
    elif place.type == "ARROW":
        helps = ("an arrow needs a value to its left: `NAME = x -> Dense(1)`",)
    elif place.type == "FACTOR":
        helps = ("a comment begins with `#`",)
    elif place.type in _VALUE_STARTS:
        helps = ("give the value a name: `NAME = ...`",)
    return Diagnostic("E0115", f"no statement begins with {found}", place.span, "expected a statement", helps=helps)


def _unnamed(place: _Place) -> Diagnostic:
    """A word, and no `=` behind it, where a statement was expected."""
    word = place.tokens[0]
    near = nearest(word.text, STATEMENTS) if place.type in ("NAME", "LBRACE", "NUMBER") else ()
    message = f"no statement begins with `{word.text}`"
    label = "expected a statement"
    if word.text == "return":
        return Diagnostic("E0112", "`return` outside a block", word.span, "only a block returns a value")
    if near:
        return Diagnostic("E0115", message, word.span, label, helps=(f"did you mean `{near[0]}`?",))
    if place.type in ("ARROW", "SIGN", "FACTOR", "POWER", "LPAR", "LSQB"):
        helps = (f"give it a name: `NAME = {_line(place)}`",)
        whole = word.span.to(place.tokens[-1].span)
        return Diagnostic("E0115", "this value has no name", whole, helps=helps)
    if place.type == "COLON":
        return Diagnostic("E0115", message, word.span, label, helps=(f"did you mean `input {_line(place)}`?",))
    if place.type in ("NAME", "LBRACE"):
        return Diagnostic("E0115", message, word.span, "expected " + _list([f"`{name}`" for name in STATEMENTS]))
    if place.type == END:
        return Diagnostic("E0116", f"`{word.text}` has no value", place.span, "expected `=` and a value")
    return Diagnostic("E0101", f"unexpected {_found(place)}", place.span, "expected `=`")


def _statement_in_block(place: _Place) -> Diagnostic | None:
    """`layer inner = ...`, `input x: ...` between the braces of a block."""
    keyword = place.tokens[0]
    if place.start != "body_item" or place.index != 1 or place.type != "NAME" or keyword.text not in STATEMENTS:
        return None
    message = f"`{keyword.text}` cannot stand in a block"
    helps = (f"put it before the block: `{_line(place)}`",) if keyword.text in ("layer", "block") else ()
    return Diagnostic("E0112", message, keyword.span, "a block holds bindings and, last, `return`", helps=helps)


def _separator(place: _Place) -> Diagnostic | None:
    """`=` for `:`, `:` for `=`, or neither."""
    first, previous = place.tokens[0], place.previous
    if place.type == "EQUAL" and first.type == "PARAM" and place.index == 2:
        name = place.tokens[1].text
        message, helps = f"the param `{name}` has no type", (f"say what it is: `param {name}: int = ...`",)
        return Diagnostic("E0109", message, place.span, "expected `:` and a type", helps=helps)
    if place.type == "EQUAL" and "COLON" in place.expected:
        is_input = first.type == "INPUT"
        message = "an input has a type, not a value" if is_input else "a key and its value are parted by `:` here"
        return Diagnostic("E0109", message, place.span, "expected `:`", helps=("write `:`",))
    if place.type == "COLON" and "EQUAL" in place.expected:
        return Diagnostic("E0109", "`:` gives a type, not a value", place.span, "expected `=`", helps=("write `=`",))
    if place.type == "COLON" and "LBRACE" in place.expected:
        helps = ("write `{` and, at the end, `}`",)
        return Diagnostic("E0109", "`:` opens no section and no block", place.span, "expected `{`", helps=helps)
    is_key = previous is not None and previous.type in ("NAME", "STRING")
    if is_key and "EQUAL" in place.expected and place.type in _VALUE_STARTS - {"LBRACE", "LPAR", "LSQB"}:
        if "COMMA" in place.expected:
            return None
        assert previous is not None
        message = f"`=` is missing after `{previous.text}`"
        return Diagnostic("E0109", message, place.span, _expected(place))
    return None


def _missing_comma(place: _Place) -> Diagnostic | None:
    previous = place.previous
    if previous is None or previous.type not in _VALUE_ENDS or place.type not in _VALUE_STARTS - {"LBRACE", "SIGN"}:
        return None
    is_entry = place.start != "statement" and END in place.expected and place.type in ("NAME", "STRING")
    if "COMMA" not in place.expected and not is_entry:
        return None
    found = _found(place)
    gap = Span(previous.span.source, previous.span.end, previous.span.end)
    return Diagnostic("E0108", f"a comma is missing before {found}", gap, "expected `,`")


def _superfluous_section(place: _Place) -> Diagnostic | None:
    first = place.tokens[0]
    if place.type != "LBRACE" or place.start != "statement" or END not in place.expected:
        return None
    helps: tuple[str, ...] = ()
    if first.type == "NAME":
        helps = (f"if it is an output, say so: `output {first.text} = ...`",)
    elif first.type == "LAYER":
        helps = ("a layer's settings are its arguments",)
    message = "only an output has a section of its own"
    return Diagnostic("E0117", message, place.span, "expected the end of the line", helps=helps)


def _block_result(place: _Place) -> Diagnostic | None:
    """A block that returns nothing, or goes on behind its `return`."""
    returns = next((i for i, token in enumerate(place.tokens[: place.index]) if token.type == "RETURN"), None)
    is_last = place.index == len(place.tokens) - 1 and place.tokens[0].type == "BLOCK"
    if is_last and returns is None and not place.expected.isdisjoint({"COMMA", "RETURN"}):
        message, helps = "this block returns nothing", ("end it with `return` and the value it gives",)
        return Diagnostic("E0112", message, place.span, "expected `return` before this", helps=helps)
    if returns is not None and place.type in (NEWLINE, "NAME", "COMMA") and "RBRACE" in place.expected:
        following = place.tokens[min(place.index + (place.type == NEWLINE), len(place.tokens) - 1)]
        return Diagnostic("E0112", "`return` is the last line of a block", following.span, "expected `}`")
    return None


def _sum_of_arrow(place: _Place) -> Diagnostic | None:
    """`x -> relu + y`."""
    if place.type != "SIGN" or "ARROW" not in place.expected:
        return None
    helps = ("an arrow binds last: put the chain in parentheses, as in `(x -> relu) + y`",)
    return Diagnostic("E0101", f"unexpected {_found(place)} behind an arrow", place.span, _expected(place), helps=helps)


def _early_end(place: _Place) -> Diagnostic | None:
    if place.type not in (END, NEWLINE):
        return None
    previous = place.previous
    helps: tuple[str, ...] = ()
    message = "this line ends too early"
    if previous is not None and previous.type == "ARROW":
        helps = ("to go on in the next line, begin that line with `->`",)
    elif previous is not None and previous.type in ("SIGN", "FACTOR", "POWER"):
        helps = ("to go on in the next line, put the whole in parentheses",)
    elif place.tokens[0].type == "PARAM" and "EQUAL" in place.expected:
        message = f"the param `{place.tokens[1].text}` has no default"
    elif place.tokens[0].type == "INPUT" and place.index == 2:
        message = f"the input `{place.tokens[1].text}` has no type"
        helps = (f"give the type of one sample: `input {place.tokens[1].text}: float32[...]`",)
    return Diagnostic("E0116", message, place.span, _expected(place), helps=helps or _advice(place))


RULES = (
    _statement_in_block, _separator, _missing_comma, _superfluous_section, _block_result, _sum_of_arrow, _early_end,
)  # fmt: skip


def _advice(place: _Place) -> tuple[str, ...]:
    """What to do about an error of no other kind, where one thing is likely."""
    token, previous, first = place.token, place.previous, place.tokens[0]
    if first.type == "PARAM" and any(found.type == "IN" for found in place.tokens[: place.index]):
        return ("behind `in` stands a range, `1..4096`, or a list, `[relu, tanh]`",)
    if token is None or previous is None:
        return ()
    if first.type == "MODEL" and place.index >= 2 and token.type in ("SIGN", "NAME", "NUMBER", "FACTOR"):
        parts = [part.text for part in place.tokens[1:] if part.type in ("NAME", "NUMBER")]
        return (f"a name has letters, digits and `_` alone: `{'_'.join(parts)}`",)
    if token.type == "STRING" and "NAME" in place.expected and token.text.isidentifier():
        return (f"names stand without quotes: `{token.text}`",)
    if token.type == "LPAR" and previous.type == "RPAR":
        return ("a tensor goes into a layer by an arrow: `x -> Dense(64)`",)
    if token.type == "COMMA" and first.type == "OUTPUT" and "LBRACE" in place.expected:
        return ("what concerns an output stands in braces: `{ loss = mse }`",)
    if token.type == "RANGE":
        return ("a range stands in a list, in an index, or behind `in`",)
    return ()


def _found(place: _Place) -> str:
    token = place.token
    if token is None or token.type == NEWLINE:
        return "end of the line"
    if token.type == "STRING":
        return f'`"{token.text}"`' if len(token.text) <= 30 else "a string"
    if token.type == "NUMBER":
        return f"`{token.span.text}`" if len(token.text) <= 30 else "a number"
    return f"`{token.text}`"


def _expected(place: _Place) -> str:
    """`expected a value, `,` or `)``; operators are left out where anything else could stand."""
    types = set(place.expected)
    words = []
    if {"NAME", "NUMBER"} <= types:
        words.append("a value")
        types -= _VALUE_STARTS
    elif "NAME" in types:
        words.append("a name")
    elif "NUMBER" in types:
        words.append("a number")
    if NEWLINE in types and "COMMA" in types:
        types.discard(NEWLINE)
    named = [spelling for type_, spelling in _SPELLING.items() if type_ in types and type_ not in _OPERATORS]
    if "LPAR" in types and words + named != ["`(`"]:
        named = [word for word in named if word != "`(`"]
    words += named
    if not words:
        words = ["`..`" if "RANGE" in types else "`->` or an operator" if "ARROW" in types else "an operator"]
    return "expected " + _list(words)


def _list(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]


def _line(place: _Place) -> str:
    """The statement as written, cut where it is long."""
    text = " ".join(place.tokens[0].span.to(place.tokens[-1].span).text.split())
    return text if len(text) <= 60 else text[:57] + "..."
