"""Expressions, types and entries -> text on one line, with parentheses only where the meaning needs them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from .syntax import (
    Argument,
    Arrow,
    Binary,
    Call,
    Entry,
    Expression,
    Index,
    List,
    Mapping,
    Name,
    Number,
    Parameter,
    Range,
    String,
    Tuple,
    Type,
    Unary,
)

CHAIN, SUM, PRODUCT, SIGNED, POWER, ATOM = range(6)
"""How strongly an expression binds, loosest first."""

_LEVELS = {"+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, "//": PRODUCT, "**": POWER}
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def inline(expression: Expression) -> str:
    """The canonical text of an expression on one line."""
    match expression:
        case Name(name):
            return name
        case Number(text=text):
            return text
        case String(value):
            return quoted(value)
        case Call(callee, arguments):
            return f"{callee.name}({', '.join(map(argument_text, arguments))})"
        case Tuple(items):
            comma = "," if len(items) == 1 else ""
            return f"({', '.join(map(inline, items))}{comma})"
        case List(items):
            return f"[{', '.join(map(inline, items))}]"
        case Mapping(pairs):
            inside = ", ".join(f"{inline(key)}: {inline(value)}" for key, value in pairs)
            return f"{{ {inside} }}" if inside else "{}"
        case Index(value, items):
            return f"{within(value, ATOM)}[{', '.join(map(inline, items))}]"
        case Range(low, high):
            return _range_text(within(low, SUM), within(high, SUM))
        case Unary(operator, operand):
            return operator + within(operand, SIGNED)
        case Binary(operator, left, right):
            left_level, right_level = operand_levels(operator)
            return within(left, left_level) + operator_text(expression) + within(right, right_level)
        case Arrow(source, steps):  # a sum needs no parentheses before an arrow, but reads better with them
            return " -> ".join([within(source, SIGNED), *(within(step, PRODUCT) for step in steps)])


def within(expression: Expression, level: int) -> str:
    """The text of an expression where one that binds as strongly as `level` may stand."""
    text = inline(expression)
    return text if binding_level(expression) >= level else f"({text})"


def binding_level(expression: Expression) -> int:
    """How strongly an expression binds."""
    match expression:
        case Arrow() | Range():
            return CHAIN
        case Binary(operator):
            return _LEVELS[operator]
        case Unary():
            return SIGNED
        case _:
            return ATOM


def operand_levels(operator: str) -> tuple[int, int]:
    """How strongly the left and the right operand must bind to need no parentheses."""
    level = _LEVELS[operator]
    return (ATOM, SIGNED) if operator == "**" else (level, level + 1)


def operator_text(expression: Binary) -> str:
    """An operator with its spaces: none around `**`, nor between numbers that are multiplied or divided."""
    tight = expression.operator == "**" or _is_numeric(expression)
    return expression.operator if tight else f" {expression.operator} "


def argument_text(argument: Argument) -> str:
    """`64` or `units = 64`."""
    value = inline(argument.value)
    return value if argument.name is None else f"{argument.name.name} = {value}"


def parameter_text(parameter: Parameter) -> str:
    """`x` or `units = 64`."""
    name = parameter.name.name
    return name if parameter.default is None else f"{name} = {inline(parameter.default)}"


def type_text(type_: Type) -> str:
    """`float32[28, 28]`, or `int`."""
    if type_.dimensions is None:
        return type_.name.name
    return f"{type_.name.name}[{', '.join(map(inline, type_.dimensions))}]"


def entries_text(entries: Sequence[Entry]) -> str:
    """`{ loss = mse, weight = 0.1 }`."""
    return f"{{ {', '.join(map(_entry_text, entries))} }}" if entries else "{}"


def key_text(name: Name) -> str:
    """An entry's key: bare where it is an identifier, else quoted."""
    is_bare = name.name.isidentifier() and unicodedata.is_normalized("NFC", name.name)
    return name.name if is_bare else quoted(name.name)


def quoted(value: str) -> str:
    """A string literal."""
    return '"' + "".join(map(_escaped, value)) + '"'


def _entry_text(entry: Entry) -> str:
    if entry.value is not None:
        return f"{key_text(entry.name)} = {inline(entry.value)}"
    return f"{key_text(entry.name)} {entries_text(entry.entries or ())}"


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    is_shown = char.isprintable() or ord(char) > 0xFFFF or 0xD800 <= ord(char) < 0xE000
    return char if is_shown else f"\\u{ord(char):04x}"


def _range_text(low: str, high: str) -> str:
    """`1..4096`; with spaces where an end is long, or ends in a dot itself."""
    is_tight = " " not in low and " " not in high and not low.endswith(".")
    return f"{low}..{high}" if is_tight else f"{low} .. {high}"


def _is_numeric(expression: Expression) -> bool:
    """Whether only numbers are multiplied, divided or raised here."""
    match expression:
        case Number():
            return True
        case Unary(_, operand):
            return _is_numeric(operand)
        case Binary(operator, left, right):
            return _LEVELS[operator] != SUM and _is_numeric(left) and _is_numeric(right)
        case _:
            return False
