"""What LALR reduces -> syntax nodes: one method per rule or alias of `nn.lark`, called with the rule's children."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .source import Span
from .syntax import (
    Argument,
    Arrow,
    Binary,
    Binding,
    Block,
    Call,
    Entry,
    Expression,
    Index,
    Input,
    Layer,
    List,
    Mapping,
    Model,
    Name,
    Number,
    Output,
    Param,
    Parameter,
    Range,
    Section,
    String,
    Tuple,
    Type,
    Unary,
    Version,
)
from .tokens import Token, number_value

Children = list[Any]
Pair = tuple[Expression, Expression]
Parameters = tuple[Parameter, ...]


class Builder:
    """Makes the nodes. A statement's documentation comment is added by the parser."""

    def version(self, children: Children) -> Version:
        value = number_value(children[1].text)
        return Version(int(value), "", _span(children))

    def model(self, children: Children) -> Model:
        return Model(_name(children[1]), "", _span(children))

    def param(self, children: Children) -> Param:
        domain = children[7] if len(children) > 7 else None
        return Param(_name(children[1]), children[3], children[5], domain, "", _span(children))

    def input(self, children: Children) -> Input:
        return Input(_name(children[1]), children[3], "", _span(children))

    def binding(self, children: Children) -> Binding:
        return Binding(_name(children[0]), children[2], "", _span(children))

    def layer(self, children: Children) -> Layer:
        return Layer(_name(children[1]), children[3], "", _span(children))

    def block(self, children: Children) -> Block:
        body = tuple(child for child in children if type(child) is Binding)
        result = next(child[1] for child in children if type(child) is list)
        return Block(_name(children[1]), children[2], body, result, "", _span(children))

    def result(self, children: Children) -> Children:
        return children

    def output(self, children: Children) -> Output:
        value = children[3] if len(children) > 3 else None
        entries = children[-1] if type(children[-1]) is Braced else ()
        return Output(_name(children[1]), value, tuple(entries), "", _span(children))

    def section(self, children: Children) -> Section:
        return Section(_name(children[0]), tuple(children[1]), "", _span(children))

    def parameters(self, children: Children) -> Parameters:
        return tuple(_nodes(children))

    def parameter(self, children: Children) -> Parameter:
        default = children[2] if len(children) > 2 else None
        return Parameter(_name(children[0]), default, _span(children))

    def entries(self, children: Children) -> Braced:
        return Braced(_nodes(children), _span(children))

    def entry(self, children: Children) -> Entry:
        last = children[-1]
        if type(last) is Braced:
            return Entry(_name(children[0]), None, tuple(last), _span(children))
        return Entry(_name(children[0]), last, None, _span(children))

    def type(self, children: Children) -> Type:
        dimensions = tuple(_nodes(children)) if len(children) > 1 else None
        return Type(_name(children[0]), dimensions, _span(children))

    def number(self, children: Children) -> Number:
        token = children[0]
        return Number(number_value(token.text), token.text, token.span)

    def string(self, children: Children) -> String:
        return String(children[0].text, children[0].span)

    def name(self, children: Children) -> Name:
        return _name(children[0])

    def call(self, children: Children) -> Call:
        return Call(_name(children[0]), tuple(_nodes(children)), _span(children))

    def argument(self, children: Children) -> Argument:
        if len(children) == 1:
            return Argument(None, children[0], children[0].span)
        return Argument(_name(children[0]), children[2], _span(children))

    def group(self, children: Children) -> Expression:
        inner: Expression = children[1]
        return replace(inner, span=_span(children))

    def tuple(self, children: Children) -> Tuple:
        return Tuple(tuple(_nodes(children)), _span(children))

    def list(self, children: Children) -> List:
        return List(tuple(_nodes(children)), _span(children))

    def mapping(self, children: Children) -> Mapping:
        return Mapping(tuple(child for child in children if type(child) is tuple), _span(children))

    def pair(self, children: Children) -> Pair:
        return children[0], children[2]

    def range(self, children: Children) -> Range:
        return Range(children[0], children[2], _span(children))

    def index(self, children: Children) -> Index:
        return Index(children[0], tuple(_nodes(children[1:])), _span(children))

    def unary(self, children: Children) -> Unary:
        return Unary(children[0].text, children[1], _span(children))

    def binary(self, children: Children) -> Binary:
        return Binary(children[1].text, children[0], children[2], _span(children))

    def arrow(self, children: Children) -> Arrow:
        return Arrow(children[0], tuple(_nodes(children[1:])), _span(children))


class Braced(list[Any]):
    """The entries of `{ ... }` with their span, until the statement around them is made."""

    def __init__(self, entries: Children, span: Span) -> None:
        super().__init__(entries)
        self.span = span


def _name(token: Token) -> Name:
    return Name(token.text, token.span)


def _nodes(children: Children) -> Children:
    return [child for child in children if type(child) is not Token]


def _span(children: Children) -> Span:
    """From the first child to the last; `result` is still a list of its own children."""
    first, last = children[0].span, children[-1].span
    return Span(first.source, first.start, last.end)
