"""A bound on how deep an expression may be, so that no stage that walks trees runs out of stack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .cut import CLOSING, OPENING
from .diagnostics import Diagnostic
from .source import Span
from .syntax import (
    Argument,
    Arrow,
    Binary,
    Binding,
    Block,
    Call,
    Entry,
    Index,
    Input,
    Layer,
    List,
    Mapping,
    Output,
    Param,
    Parameter,
    Range,
    Section,
    Tuple,
    Type,
    Unary,
)
from .tokens import Token

MAX_DEPTH = 100
"""Nodes from a statement down to a leaf; parentheses that only group do not count, nor do steps of a chain."""


def too_deep(statement: object) -> Diagnostic | None:
    """The error for the first node that lies deeper than `MAX_DEPTH`, if there is one."""
    level = [statement]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in children(node)]
        if not level:
            return None
    return _nested(getattr(level[0], "span", None))


def deepest(tokens: Iterable[Token]) -> Diagnostic | None:
    """The error for the first bracket that lies deeper than `MAX_DEPTH`, for tokens that do not parse."""
    depth = 0
    for token in tokens:
        depth += (token.type in OPENING) - (token.type in CLOSING)
        if depth > MAX_DEPTH:
            return _nested(token.span)
    return None


def _nested(span: Span | None) -> Diagnostic:
    label = f"more than {MAX_DEPTH} levels lie around this"
    helps = ("name a part of it in a statement of its own",)
    return Diagnostic("E0111", "this is nested too deeply", span, label, helps=helps)


def children(node: object) -> Iterator[object]:
    """The nodes directly below a node of the syntax tree, in source order, names apart."""
    match node:
        case Arrow(source, steps):
            yield source
            yield from steps
        case Binary(_, left, right):
            yield left
            yield right
        case Range(low, high):
            yield low
            yield high
        case Unary(_, operand):
            yield operand
        case Call(_, arguments):
            yield from arguments
        case Argument(_, value):
            yield value
        case Tuple(items) | List(items):
            yield from items
        case Index(value, items):
            yield value
            yield from items
        case Mapping(pairs):
            for key, value in pairs:
                yield key
                yield value
        case _:
            yield from _parts(node)


def _parts(node: object) -> Iterator[object]:
    """The nodes directly below a statement or a part of one."""
    match node:
        case Binding(value=value) | Layer(value=value):
            yield value
        case Entry(value=value, entries=entries):
            yield from entries or ()
            if value is not None:
                yield value
        case Section(entries=entries):
            yield from entries
        case Output(value=value, entries=entries):
            if value is not None:
                yield value
            yield from entries
        case Block(parameters=parameters, body=body, result=result):
            yield from parameters
            yield from body
            yield result
        case Parameter(default=default):
            if default is not None:
                yield default
        case Input(type=type_):
            yield type_
        case Param(type=type_, default=default, domain=domain):
            yield type_
            yield default
            if domain is not None:
                yield domain
        case Type(dimensions=dimensions):
            yield from dimensions or ()
