"""Diagnostics as text: the carets stand under what they mean, whatever the text is made of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from nnc.grammar.columns import visible, width
from nnc.grammar.diagnostics import Diagnostic, Label
from nnc.grammar.rendering import in_order, render, to_json
from nnc.grammar.source import SourceFile, Span

HERE = Path(__file__).parent


def at(source: SourceFile, text: str) -> Span:
    start = source.text.index(text)
    return Span(source, start, start + len(text))


def file(text: str) -> SourceFile:
    return SourceFile("a.nn", text)


def carets(text: str, marked: str) -> tuple[str, str]:
    """The shown line and the line of carets under it, without the gutter."""
    source = file(text)
    lines = render([Diagnostic("E0101", "m", at(source, marked))]).splitlines()
    return lines[3].partition("| ")[2], lines[4].partition("| ")[2]


def test_golden(golden: Callable[[Path, str], None]) -> None:
    source = file("input image: uint8[32, 32, 3]\n\nt = (\n  a,\n  b)\nh = x -> Dense(200, relu)\n")
    labels = (
        Label(at(source, "uint8[32, 32, 3]"), "float32[batch, 32, 32, 3] after `Rescale`"),
        Label(at(source, "h ="), "one"),
        Label(at(source, "x ->"), "two"),
        Label(at(source, "(\n  a,\n  b)"), "over three lines"),
    )
    notes, helps = ("a fact",), ("put `Flatten` before it:\n`x -> Flatten -> Dense(200, relu)`",)
    other = SourceFile("b.nn", "y = x\n")
    found = [
        Diagnostic("E0701", "no place", place="iris.csv, row 17", helps=("clean it",)),
        Diagnostic(
            "E0203",
            "`Dense` needs a vector",
            at(source, "Dense(200, relu)"),
            "expects float32[batch, n]",
            labels,
            notes,
            helps,
        ),
        Diagnostic("E0302", "defined twice", at(source, "h ="), "again here", (Label(at(other, "y"), "first here"),)),
        Diagnostic("E0702", "in the data", at(source, "image"), "fed from here", place="iris.csv, row 3"),
        Diagnostic("E0305", "never used", at(source, "t ="), level="warning"),
    ]
    golden(HERE / "rendered.txt", render(found))
    golden(HERE / "rendered.ansi", render(found, color=True))
    golden(HERE / "rendered.json", json.dumps(to_json(found), indent=2) + "\n")


@pytest.mark.parametrize(
    ("text", "marked", "line", "under"),
    [
        ("ab cd", "cd", "ab cd", "   ^^"),
        ("\tab cd", "cd", "    ab cd", "       ^^"),
        ("은닉층 = x", "x", "은닉층 = x", "         ^"),
        ("은닉층 = x", "닉층", "은닉층 = x", "  ^^^^"),
        ("e\u0301 = x", "x", "e\u0301 = x", "    ^"),
        ("a\x1b[31m b", "b", "a<1B>[31m b", "          ^"),
        ("a \u202e b", "b", "a <202E> b", "         ^"),
        ("\ufeffa b", "b", "a b", "  ^"),
        ("a b\r\nc", "b", "a b", "  ^"),
    ],
)
def test_carets(text: str, marked: str, line: str, under: str) -> None:
    assert carets(text, marked) == (line, under)


@pytest.mark.parametrize("text", ["", "a\n", "a", "a\r\n"])
def test_end_of_file(text: str) -> None:
    source = file(text)
    shown = render([Diagnostic("E0101", "m", Span(source, len(text), len(text)), "here")])
    assert "^ here" in shown


def test_spans_that_end_with_a_line_break() -> None:
    assert carets("ab\ncd", "ab\n") == ("ab", "^^")


@pytest.mark.parametrize("start", [0, 70, 139, 140, 500, 990])
def test_long_lines_are_cut_around_the_place(start: int) -> None:
    text = "".join(chr(ord("a") + i % 26) for i in range(1000))
    line, under = carets(text, text[start : start + 10] if start else text[:10])
    assert len(line) <= 140
    marked = line[under.index("^") : len(under)]
    assert marked in text
    assert len(marked) == 10


def test_order_and_duplicates() -> None:
    source = file("a b c")
    late, early = Diagnostic("E0101", "m", at(source, "c")), Diagnostic("E0102", "m", at(source, "a"))
    nowhere = Diagnostic("E0801", "m")
    assert in_order([nowhere, late, early, late]) == [early, late, nowhere]
    assert render([nowhere, late, early, late]).endswith("\n\nnnc: 3 errors\n")
    assert render([]) == ""


def test_width_is_what_is_shown() -> None:
    for text in ("abc", "은", "e\u0301", "\t", "\x00", "\u202e", "\u200d"):
        assert width(text) >= 0
        assert visible(text).isprintable() or text == "\u200d"
