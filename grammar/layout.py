"""Expressions -> lines: one where it fits, else broken before each `->` or in the brackets, with their comments."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .columns import width
from .inline import (
    ATOM,
    PRODUCT,
    SIGNED,
    binding_level,
    inline,
    operand_levels,
    operator_text,
    parameter_text,
)
from .remarks import Remarks
from .source import Span
from .syntax import (
    Argument,
    Arrow,
    Binary,
    Call,
    Comment,
    Expression,
    Index,
    List,
    Mapping,
    Parameter,
    Tuple,
    Unary,
)

WIDTH = 100
INDENT = "  "

Item = tuple[Span, Callable[[str], list[str]]]
"""An item of a bracket: where it stands in the source, and what lays it out at an indentation."""


class Layout:
    """Lays expressions out; takes the comments it meets from `remarks`."""

    def __init__(self, remarks: Remarks) -> None:
        self._remarks = remarks

    def expression(self, expression: Expression, indent: str, before: str = "", tail: int = 0) -> list[str]:
        """The lines of an expression that follows `before` on its line; `tail` columns must stay free behind it."""
        if not self._remarks.inside(expression.span):
            flat = before + inline(expression)
            if width(flat) + tail <= WIDTH:
                return [flat]
        match expression:
            case Arrow():
                return self._chain(expression, indent, before, tail)
            case Call(callee, arguments):
                items = [(argument.span, self._argument(argument)) for argument in arguments]
                return self.bracketed(before + callee.name + "(", items, ")", indent, expression.span)
            case Tuple(members):
                return self.bracketed(before + "(", self._items(members), ")", indent, expression.span)
            case List(members):
                return self.bracketed(before + "[", self._items(members), "]", indent, expression.span)
            case Index(value, members):
                head = self.operand(value, ATOM, indent, before, 1)
                opened = self.bracketed(head[-1] + "[", self._items(members), "]", indent, expression.span)
                return [*head[:-1], *opened]
            case Mapping(pairs):
                entries = [(key.span.to(value.span), self._pair(key, value)) for key, value in pairs]
                return self.bracketed(before + "{", entries, "}", indent, expression.span)
            case Binary(operator, left, right):
                left_level, right_level = operand_levels(operator)
                head = self.operand(left, left_level, indent, before, 0)
                joined = head[-1] + operator_text(expression)
                return [*head[:-1], *self.operand(right, right_level, indent, joined, tail)]
            case Unary(operator, operand):
                return self.operand(operand, SIGNED, indent, before + operator, tail)
            case _:
                return [before + inline(expression)]

    def bracketed(self, opening: str, items: Sequence[Item], closing: str, indent: str, span: Span) -> list[str]:
        """A bracket with one item per line, and the comments within `span` among them."""
        if not items and not self._remarks.inside(span):
            return [opening + closing]
        inner = indent + INDENT
        lines = [opening]
        for number, (place, lay_out) in enumerate(items):
            lines += [inner + comment.text for comment in self._remarks.before(place.start)]
            item = lay_out(inner)
            item[-1] += ","
            lines += [inner + comment.text for comment in self._remarks.before(place.end)]
            following = items[number + 1][0].start if number + 1 < len(items) else span.end
            lines += with_trailing(item, self._remarks.trailing(following), inner)
        lines += [inner + comment.text for comment in self._remarks.before(span.end)]
        return [*lines, indent + closing]

    def parameters(
        self, parameters: Sequence[Parameter], opening: str, indent: str, span: Span, tail: int
    ) -> list[str]:
        """The parameters of a block in their parentheses."""
        flat = opening + ", ".join(map(parameter_text, parameters)) + ")"
        if width(flat) + tail <= WIDTH and not self._remarks.inside(span):
            return [flat]
        items = [(parameter.span, self._parameter(parameter)) for parameter in parameters]
        return self.bracketed(opening, items, ")", indent, span)

    def _chain(self, chain: Arrow, indent: str, before: str, tail: int) -> list[str]:
        """A chain with a line for each step."""
        inner = indent + INDENT
        links = [chain.source, *chain.steps]
        lines: list[str] = []
        for number, link in enumerate(links):
            lines += [inner + comment.text for comment in self._remarks.before(link.span.start)] if number else []
            is_last = number + 1 == len(links)
            start, level = (f"{inner}-> ", PRODUCT) if number else (before, SIGNED)
            item = self.operand(link, level, inner if number else indent, start, tail if is_last else 0)
            following = chain.span.end if is_last else links[number + 1].span.start
            inside = self._remarks.before(link.span.end)
            lines += with_trailing(item, [*inside, *self._remarks.trailing(following)], inner)
        return lines

    def operand(self, expression: Expression, level: int, indent: str, before: str, tail: int) -> list[str]:
        """An operand, in parentheses where it binds less than `level`."""
        if binding_level(expression) >= level:
            return self.expression(expression, indent, before, tail)
        lines = self.expression(expression, indent, before + "(", tail + 1)
        lines[-1] += ")"
        return lines

    def _items(self, members: Sequence[Expression]) -> list[Item]:
        return [(member.span, self._member(member)) for member in members]

    def _member(self, member: Expression) -> Callable[[str], list[str]]:
        return lambda indent: self.expression(member, indent, indent, 1)

    def _argument(self, argument: Argument) -> Callable[[str], list[str]]:
        name = "" if argument.name is None else f"{argument.name.name} = "
        return lambda indent: self.expression(argument.value, indent, indent + name, 1)

    def _pair(self, key: Expression, value: Expression) -> Callable[[str], list[str]]:
        return lambda indent: self.expression(value, indent, f"{indent}{inline(key)}: ", 1)

    def _parameter(self, parameter: Parameter) -> Callable[[str], list[str]]:
        return lambda indent: [indent + parameter_text(parameter)]


def with_trailing(lines: list[str], comments: Sequence[Comment], indent: str) -> list[str]:
    """The lines with the first comment behind the last of them, and further ones below."""
    if not comments:
        return lines
    first, *others = comments
    return [*lines[:-1], f"{lines[-1]}  {first.text}", *(indent + comment.text for comment in others)]
