"""Diagnostics -> text with the user's lines and carets under them, or plain records for JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .columns import char_width, visible
from .diagnostics import Diagnostic, Place
from .source import SourceFile, Span

_MAX_CHARACTERS = 140
_CONTEXT = 40
_COLOURS = {"error": "1;31", "warning": "1;33", "gutter": "1;34", "help": "1;36", "note": "1;36", "second": "1;34"}


@dataclass(frozen=True, slots=True)
class _Mark:
    """Columns of one line to underline, and what to write there; a span's label stands on its last line."""

    line: int
    start: int
    end: int
    label: str
    is_primary: bool
    goes_on: bool = False  # the span ends on a later line


_Placed = tuple[int, int, _Mark]  # the columns where a mark starts and ends
_Paint = Callable[[str, str], str]


def render(diagnostics: Iterable[Diagnostic], color: bool = False) -> str:
    """The text a terminal shows, errors in source order, each once, and a last line that counts them."""
    ordered = in_order(diagnostics)
    paint = _paint if color else _plain
    blocks = ["\n".join(_block(diagnostic, paint)) for diagnostic in ordered]
    return "\n\n".join([*blocks, _total(ordered)]) + "\n" if blocks else ""


def to_json(diagnostics: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """One record of strings and numbers per diagnostic, in the order of `render`; lines and columns count from 1."""
    return [
        {
            "code": found.code,
            "level": found.level,
            "message": found.message,
            **(_json_place(found.span) if found.span is not None else _json_data_place(found.place)),
            "label": found.label,
            "labels": [{**_json_place(label.span), "text": label.text} for label in found.labels],
            "notes": list(found.notes),
            "helps": list(found.helps),
            "place": found.place,
        }
        for found in in_order(diagnostics)
    ]


def in_order(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """By place in the text, without exact duplicates; those that have no place come last, in the order given."""
    unique = list(dict.fromkeys(diagnostics))
    sources = list(dict.fromkeys(found.span.source for found in unique if found.span))

    def position(found: Diagnostic) -> tuple[int, int]:
        return (sources.index(found.span.source), found.span.start) if found.span else (len(sources), 0)

    return sorted(unique, key=position)


def _json_data_place(place: str | None) -> dict[str, Any]:
    """Where a value of a data file begins."""
    file, line, column = (place.file, place.line, place.column) if isinstance(place, Place) else ("", None, None)
    return {"file": file or None, "line": line, "column": column, "end_line": None, "end_column": None}


def _json_place(span: Span) -> dict[str, Any]:
    line, column = span.source.position(span.start)
    end_line, end_column = span.source.position(span.end)
    return {"file": span.source.name, "line": line, "column": column, "end_line": end_line, "end_column": end_column}


def _total(diagnostics: Sequence[Diagnostic]) -> str:
    parts = []
    for level in dict.fromkeys(found.level for found in diagnostics):
        count = sum(found.level == level for found in diagnostics)
        parts.append(f"{count} {level}{'s' if count > 1 else ''}")
    return "nnc: " + ", ".join(parts)


def _plain(text: str, kind: str) -> str:
    return text


def _paint(text: str, kind: str) -> str:
    return f"\x1b[{_COLOURS.get(kind, '1')}m{text}\x1b[0m"


def _block(found: Diagnostic, paint: _Paint) -> Iterator[str]:
    """The lines of one diagnostic."""
    yield paint(f"{found.level}[{found.code}]", found.level) + paint(f": {visible(found.message)}", "message")
    marks = _marks_by_source(found)
    gutter = len(str(max((mark.line for group in marks.values() for mark in group), default=1)))
    indent = " " * (gutter + 1)
    if found.place is not None:
        yield f"{indent}{paint('-->', 'gutter')} {visible(found.place)}"
    for source, group in marks.items():
        arrow = "-->" if found.place is None and source is next(iter(marks)) else ":::"
        yield f"{indent}{paint(arrow, 'gutter')} {source.name}:{_position(found, source)}"
        yield f"{indent} {paint('|', 'gutter')}"
        for number, text in _snippet(source, group, found.level, paint):
            start = f" {number:>{gutter}} |" if number else f"{indent} |"
            yield f"{paint(start, 'gutter')} {text}".rstrip()
    for kind, texts in (("note", found.notes), ("help", found.helps)):
        for text in texts:
            first, *rest = text.split("\n")
            yield f"{indent} {paint('=', 'gutter')} {paint(kind + ':', kind)} {visible(first)}"
            for line in rest:
                yield f"{indent}   {' ' * (len(kind) + 1)} {visible(line)}"


def _position(found: Diagnostic, source: SourceFile) -> str:
    spans = [span for span in (found.span, *(label.span for label in found.labels)) if span and span.source is source]
    line, column = source.position(spans[0].start)
    return f"{line}:{column}"


def _marks_by_source(found: Diagnostic) -> dict[SourceFile, list[_Mark]]:
    marks: dict[SourceFile, list[_Mark]] = {}
    if found.span is not None:
        marks.setdefault(found.span.source, []).extend(_marks(found.span, found.label, True))
    for label in found.labels:
        marks.setdefault(label.span.source, []).extend(_marks(label.span, label.text, False))
    return marks


def _marks(span: Span, label: str, is_primary: bool) -> list[_Mark]:
    """A mark on the first and on the last line of a span."""
    source = span.source
    line, column = source.position(span.start)
    last_line, last_column = source.position(max(span.end, span.start))
    if last_line > line and last_column == 1:  # the span ends with a line break
        last_line, last_column = last_line - 1, len(source.line(last_line - 1)) + 1
    if last_line == line:
        return [_Mark(line, column - 1, max(last_column - 1, column), label, is_primary)]
    last = source.line(last_line)
    begin = len(last) - len(last.lstrip())
    return [
        _Mark(line, column - 1, max(len(source.line(line)), column), "", is_primary, True),
        _Mark(last_line, min(begin, last_column - 2), last_column - 1, label, is_primary),
    ]


def _snippet(source: SourceFile, marks: list[_Mark], level: str, paint: _Paint) -> Iterator[tuple[int, str]]:
    """The marked lines, each followed by its underlines; number 0 for a line that is not the user's."""
    previous, goes_on = 0, False
    for number in sorted({mark.line for mark in marks}):
        here = sorted((mark for mark in marks if mark.line == number), key=lambda mark: (mark.start, mark.end))
        if goes_on and number > previous + 1:
            yield 0, "..."
        goes_on, previous = any(mark.goes_on for mark in here), number
        text, begin = _cut(source.line(number), here)
        yield number, visible(text)
        columns = _columns(text)
        for row in _underlines([_place(mark, columns, begin) for mark in here], level, paint):
            yield 0, row


def _cut(line: str, marks: list[_Mark]) -> tuple[str, int]:
    """The part of a long line around its marks, and the character it begins with."""
    if len(line) <= _MAX_CHARACTERS:
        return line, 0
    first = min(mark.start for mark in marks)
    begin = first - _CONTEXT if first > _MAX_CHARACTERS - _CONTEXT else 0
    text = line[begin : begin + _MAX_CHARACTERS]
    if begin + _MAX_CHARACTERS < len(line):
        text = text[:-1] + "…"
    return ("…" + text[1:] if begin else text), begin


def _columns(text: str) -> list[int]:
    """The column of each character as shown, and of the end."""
    columns = [0]
    for char in text:
        columns.append(columns[-1] + char_width(char))
    return columns


def _place(mark: _Mark, columns: list[int], begin: int) -> _Placed:
    """Where a mark stands under the part of its line that begins with character `begin`."""
    last = len(columns) - 1
    start = columns[min(mark.start - begin, last)]
    return start, max(columns[min(mark.end - begin, last)], start + 1), mark


def _underlines(placed: list[_Placed], level: str, paint: _Paint) -> Iterator[str]:
    """Carets and dashes of a line, with the label of the last mark; below, the other labels from right to left."""
    row: list[tuple[str, str]] = []
    for start, end, mark in sorted(placed, key=lambda item: item[2].is_primary):
        row.extend([(" ", "")] * (end - len(row)))
        row[start:end] = [("^", level) if mark.is_primary else ("-", "second")] * (end - start)
    labelled = [item for item in placed if item[2].label]
    last = labelled[-1] if labelled and labelled[-1][1] == len(row) else None
    text = _painted(row, paint)
    yield text + (" " + paint(visible(last[2].label), _kind(last[2], level)) if last else "")
    waiting = [item for item in labelled if item is not last]
    while waiting:
        start, _, mark = waiting.pop()
        pipes: list[tuple[str, str]] = [(" ", "")] * start
        for left, _, other in waiting:
            if left < start:
                pipes[left] = ("|", _kind(other, level))
        yield _painted(pipes, paint) + paint(visible(mark.label), _kind(mark, level))


def _kind(mark: _Mark, level: str) -> str:
    return level if mark.is_primary else "second"


def _painted(cells: list[tuple[str, str]], paint: _Paint) -> str:
    """Characters with their colours, neighbours of one colour painted together."""
    text, run, run_kind = "", "", ""
    for char, kind in [*cells, ("", "\0")]:
        if kind != run_kind:
            text += paint(run, run_kind) if run_kind and run else run
            run, run_kind = "", kind
        run += char
    return text
