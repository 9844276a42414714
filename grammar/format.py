"""Syntax tree -> the one canonical text.

The layout: two spaces of indentation and at most 100 columns; `nn 1` first, one statement per line; at most one empty
line between statements or entries, where the author left any. The entries of a section stand on one line if they were
written so and fit, else one per line. In a run of neighbouring lines `name = value` the `=` are aligned. A chain that
is too long, or has comments in it, is broken before each `->`; other long values are broken in their brackets.
Numbers alone are multiplied and divided without spaces (`1/255`). Comments stay with the code they follow or precede.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .columns import width
from .inline import SUM, entries_text, inline, key_text, type_text
from .layout import INDENT, WIDTH, Layout, with_trailing
from .remarks import Remarks
from .source import Span
from .syntax import (
    Binding,
    Block,
    Comment,
    Entry,
    Expression,
    Input,
    Layer,
    Model,
    Module,
    Output,
    Param,
    Section,
    Version,
)

_EMPTY_LINE = re.compile(r"\n[ \t\r\f]*\n")


def format_module(module: Module) -> str:
    """The canonical text of `module`, which parses to the same tree; formatting that again changes nothing."""
    return _Formatter(module).text()


@dataclass(slots=True)
class _Line:
    """A line of the result. One that may be aligned has a `head`, then its `joint` (` = ` or a space) and the rest."""

    text: str
    head: str = ""
    joint: str = ""
    rest: str = ""


@dataclass(frozen=True, slots=True)
class _Item:
    """A statement, an entry or a block's line: its place in the source, its documentation, and what lays it out."""

    span: Span
    lay_out: Callable[[str], list[_Line]]
    doc: str = ""


class _Formatter:
    def __init__(self, module: Module) -> None:
        self._statements = module.statements
        self._remarks = Remarks(module.comments)
        self._layout = Layout(self._remarks)

    def text(self) -> str:
        items = [_Item(statement.span, self._statement(statement), statement.doc) for statement in self._statements]
        is_versioned = bool(items) and isinstance(self._statements[0], Version)
        lines = [] if is_versioned else [_Line("nn 1")]
        lines += self._sequence(items, "", None)
        return "\n".join(_aligned(lines)) + "\n"

    def _sequence(self, items: Sequence[_Item], indent: str, end: int | None) -> list[_Line]:
        """Items one below the other, with the comments around them up to `end` (None: the end of the file)."""
        lines: list[_Line] = []
        previous: Span | None = None
        for number, item in enumerate(items):
            for comment in self._remarks.before(item.span.start):
                lines += _separated(previous, comment.span, [_Line(indent + comment.text)])
                previous = comment.span
            laid_out = item.lay_out(indent)
            hoisted = [_Line(indent + _undocumented(comment)) for comment in self._remarks.before(item.span.end)]
            documentation = [_Line(f"{indent}## {line}".rstrip()) for line in item.doc.split("\n")] if item.doc else []
            following = items[number + 1].span.start if number + 1 < len(items) else end
            trailing = self._remarks.trailing(following)
            lines += _separated(previous, item.span, [*hoisted, *documentation, *_trailed(laid_out, trailing, indent)])
            previous = trailing[-1].span if trailing else item.span
        for comment in self._remarks.rest() if end is None else self._remarks.before(end):
            lines += _separated(previous, comment.span, [_Line(indent + comment.text)])
            previous = comment.span
        return lines

    def _statement(self, statement: object) -> Callable[[str], list[_Line]]:
        return lambda indent: self._statement_lines(statement, indent)

    def _statement_lines(self, statement: object, indent: str) -> list[_Line]:
        match statement:
            case Version(number):
                return [_Line(f"nn {number}")]
            case Model(name):
                return [_Line(f"model {name.name}")]
            case Input(name, type_):
                return [_Line(f"input {name.name}: {type_text(type_)}")]
            case Param():
                return self._param(statement)
            case Binding(name, value):
                return self._assignment(name.name, value, indent)
            case Layer(name, value):
                return _plain(self._layout.expression(value, indent, f"layer {name.name} = "))
            case Block():
                return self._block(statement)
            case Output():
                return self._output(statement)
            case Section(keyword, entries):
                return self._section(keyword.name, entries, indent, statement.span, statement.span.text)
            case _:
                raise AssertionError(statement)

    def _param(self, param: Param) -> list[_Line]:
        domain = f" in {inline(param.domain)}" if param.domain else ""
        before = f"param {param.name.name}: {type_text(param.type)} = "
        lines = self._layout.operand(param.default, SUM, "", before, width(domain))
        if param.domain:
            lines = [*lines[:-1], *self._layout.expression(param.domain, "", f"{lines[-1]} in ")]
        return _plain(lines)

    def _assignment(self, head: str, value: Expression, indent: str) -> list[_Line]:
        """`name = value`, which may be aligned if it takes one line."""
        lines = self._layout.expression(value, indent, f"{indent}{head} = ")
        if len(lines) > 1:
            return _plain(lines)
        return [_Line(lines[0], indent + head, " = ", lines[0][len(f"{indent}{head} = ") :])]

    def _block(self, block: Block) -> list[_Line]:
        opening = f"block {block.name.name}("
        places = [parameter.span for parameter in block.parameters]
        inside = places[0].to(places[-1]) if places else Span(block.span.source, 0, 0)
        lines = _plain(self._layout.parameters(block.parameters, opening, "", inside, 2))
        lines[-1].text += " {"
        items = [_Item(binding.span, self._statement(binding)) for binding in block.body]
        items.append(_Item(block.result.span, self._returned(block.result)))
        return [*lines, *self._sequence(items, INDENT, block.span.end), _Line("}")]

    def _returned(self, result: Expression) -> Callable[[str], list[_Line]]:
        return lambda indent: _plain(self._layout.expression(result, indent, f"{indent}return "))

    def _output(self, output: Output) -> list[_Line]:
        head = f"output {output.name.name}"
        before_section = output.name.span.end
        if output.value is not None:
            tail = 2 if output.entries else 0
            *above, head = self._layout.expression(output.value, "", f"{head} = ", tail)
            before_section = output.value.span.end
        else:
            above = []
        if not output.entries:
            return _plain([*above, head])
        written = output.span.source.text[before_section : output.span.end]
        return [*_plain(above), *self._section(head, output.entries, "", output.span, written)]

    def _section(self, head: str, entries: Sequence[Entry], indent: str, span: Span, written: str) -> list[_Line]:
        """`head { ... }`; on one line if it was `written` so."""
        flat = f"{indent}{head} {entries_text(entries)}"
        if "\n" not in written and width(flat) <= WIDTH and not self._remarks.inside(span):
            return [_Line(flat, indent + head, " ", entries_text(entries))] if indent else [_Line(flat)]
        items = [_Item(entry.span, self._entry(entry)) for entry in entries]
        return [_Line(f"{indent}{head} {{"), *self._sequence(items, indent + INDENT, span.end), _Line(indent + "}")]

    def _entry(self, entry: Entry) -> Callable[[str], list[_Line]]:
        def lay_out(indent: str) -> list[_Line]:
            key = key_text(entry.name)
            if entry.value is not None:
                return self._assignment(key, entry.value, indent)
            return self._section(key, entry.entries or (), indent, entry.span, entry.span.text)

        return lay_out


def _plain(lines: Sequence[str]) -> list[_Line]:
    return [_Line(line) for line in lines]


def _undocumented(comment: Comment) -> str:
    """A comment that moves up to a line of its own must not become documentation there."""
    return "#" + comment.text[2:] if comment.text.startswith("##") else comment.text


def _separated(previous: Span | None, span: Span, lines: list[_Line]) -> list[_Line]:
    """The lines of `span`, after an empty one if the author left one behind `previous`."""
    if previous is None or not _EMPTY_LINE.search(span.source.text, previous.end, max(span.start, previous.end)):
        return lines
    return [_Line(""), *lines]


def _trailed(lines: list[_Line], comments: Sequence[Comment], indent: str) -> list[_Line]:
    """The lines with comments behind the last one."""
    if not comments:
        return lines
    last = lines[-1]
    last.text, *below = with_trailing([last.text], comments, indent)
    last.rest = with_trailing([last.rest], comments[:1], indent)[0]
    return [*lines, *_plain(below)]


def _aligned(lines: Sequence[_Line]) -> list[str]:
    """The text of all lines, heads padded to one width in each run of lines that have the same joint."""
    texts: list[str] = []
    first = 0
    while first < len(lines):
        last = first + 1
        if lines[first].head:
            while last < len(lines) and lines[last].head and lines[last].joint == lines[first].joint:
                last += 1
        texts += _aligned_run(lines[first:last])
        first = last
    return texts


def _aligned_run(run: Sequence[_Line]) -> list[str]:
    widest = max(width(line.head) for line in run)
    padded = [line.head + " " * (widest - width(line.head)) + line.joint + line.rest for line in run]
    if len(run) == 1 or max(map(width, padded)) > WIDTH:
        return [line.text for line in run]
    return padded
