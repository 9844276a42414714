"""Syntax errors: each is reported once, at its smallest place, and costs no other statement."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_specs import modules

from nnc.grammar.catalogue import CATALOGUE
from nnc.grammar.diagnostics import Diagnostic, NncError
from nnc.grammar.format import format_module
from nnc.grammar.parse import parse, parse_recovering
from nnc.grammar.rendering import render, to_json
from nnc.grammar.source import SourceFile
from nnc.grammar.syntax import Module

GOOD = "input z: float32[4]\n"


def mistakes(text: str) -> tuple[Diagnostic, ...]:
    try:
        return parse_recovering(SourceFile("spec.nn", text))[1]
    except NncError as error:  # a newer language
        return error.diagnostics


def places(text: str) -> list[tuple[str, str]]:
    """Code and line:column of every error."""
    return [(found.code, repr(found.span).removeprefix("spec.nn:")) for found in mistakes(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("h = x -> Dense(64 relu)", [("E0108", "1:18")]),
        ("h = [1 2 3]", [("E0108", "1:7")]),
        ("train { a = 1 b = 2 }", [("E0108", "1:14")]),
        ("h = x -> Dense(units: 3)", [("E0109", "1:21")]),
        ("h = {a = 1}", [("E0109", "1:8")]),
        ("input x = float32[3]", [("E0109", "1:9")]),
        ("param n = 3", [("E0109", "1:9")]),
        ("param n: int", [("E0116", "1:13")]),
        ("h =", [("E0116", "1:4")]),
        ("h = a +\nk = b", [("E0116", "1:8")]),
        ("h = a +\n  b", [("E0116", "1:8")]),
        ("h = a ->\n  f ->\n  g", [("E0116", "1:9")]),
        ("train {\n  a =\n    1\n}", [("E0116", "2:6")]),
        ("h", [("E0116", "1:2")]),
        ("input x", [("E0116", "1:8")]),
        ("model", [("E0116", "1:6")]),
        ("x -> f", [("E0115", "1:1")]),
        ("Dense(3)", [("E0115", "1:1")]),
        ("ouput y = x", [("E0115", "1:1")]),
        ("training { a = 1 }", [("E0115", "1:1")]),
        ("x: float32[3]", [("E0115", "1:1")]),
        ("-> f", [("E0115", "1:1")]),
        ("3 = x", [("E0115", "1:1")]),
        ("= 3", [("E0115", "1:1")]),
        ("train\n{ a = 1 }", [("E0116", "1:6"), ("E0115", "2:1")]),
        ("h = x -> f { a = 1 }", [("E0117", "1:12")]),
        ("layer h = f(3) { a = 1 }", [("E0117", "1:16")]),
        ("return x", [("E0112", "1:1")]),
        ("block f(x) { }", [("E0112", "1:14")]),
        ("block f(x) { y = x }", [("E0112", "1:20")]),
        ("block f(x) {\n  return x\n  y = x\n}", [("E0112", "3:3")]),
        ("model = x", [("E0106", "1:1")]),
        ("nn 2\n???", [("E0107", "1:1")]),
        ("nn 0", [("E0107", "1:1")]),
        ("nn 1\nnn 1", [("E0113", "2:1")]),
        ("model wide-deep", [("E0101", "1:11")]),
        ('model "m"', [("E0101", "1:7")]),
        ("h = x -> relu + y", [("E0101", "1:15")]),
        ("h = f(1..3)", [("E0101", "1:8")]),
        ("h = (1, , 2)", [("E0101", "1:9")]),
        ("h = x -> -> f", [("E0101", "1:10")]),
        ("h = f(x))", [("E0102", "1:9")]),
        ("h = )))", [("E0102", "1:5")]),
        ("h = f(x", [("E0102", "1:6")]),
        ("h = f([x)", [("E0102", "1:7")]),
        ("h = f((((x)", [("E0102", "1:6")]),
        ("data {\n  a { b = c\n  d { e = f }\n}", [("E0102", "2:5")]),
        ("data {\n  a {\n    b = c\n  }\n", [("E0102", "1:6")]),
        ('h = "abc', [("E0103", "1:5")]),
        ('h = f("abc)', [("E0103", "1:7")]),
        ("h = 'abc'", [("E0104", "1:5")]),
        ("h = «a»", [("E0104", "1:5")]),
        ("h = a\u00a0-> f", [("E0104", "1:6")]),
        ("h = a\u200b -> f", [("E0104", "1:6")]),
        ("h = x -> keras.Dense(3)", [("E0104", "1:15")]),
        ("h = x -> f;", [("E0104", "1:11")]),
        ("h = 3x", [("E0105", "1:5")]),
        ("h = 1__0", [("E0105", "1:5")]),
        ("h = 1.2.3", [("E0105", "1:5")]),
        ("h = 1e999", [("E0105", "1:5")]),
        ("h = " + "9" * 5000, [("E0105", "1:5")]),
        ("h = a => f", [("E0110", "1:7")]),
        ("h := a", [("E0110", "1:3")]),
        ('h = "\\q\\ud800"', [("E0114", "1:6"), ("E0114", "1:8")]),
    ],
)
def test_place_and_code(text: str, expected: list[tuple[str, str]]) -> None:
    assert places(text) == expected


def test_every_error_of_a_file_in_one_run() -> None:
    text = "h = f(1 2)\n" + GOOD + "train {\n  a: 1\n  b = 2\n  c 3\n  d { e == 1, f: 2 }\n}\nk = )\n" + GOOD
    assert places(text) == [
        *(("E0108", "1:8"), ("E0109", "4:4"), ("E0109", "6:5"), ("E0110", "7:9"), ("E0109", "7:16"), ("E0102", "9:5"))
    ]


@pytest.mark.parametrize(
    "broken",
    ["h = f(1, 2\n", "train {\n  a = 1\n", "h = [1, 2)\n", "block f(x) {\n  a = x\n", 'h = f("a)\n', "h = (\n\n"],
)
@pytest.mark.parametrize("good", [GOOD, "block g(a) {\n  return a\n}\n", "k = (a, b) -> Add\n", "train { a = 1 }\n"])
def test_an_open_bracket_costs_one_statement(broken: str, good: str) -> None:
    for text in (broken + good * 2, good + broken + good, broken + good + broken):
        module, diagnostics = parse_recovering(SourceFile("spec.nn", text))
        assert len(module.statements) == len(re.findall(re.escape(good), text))
        assert len(diagnostics) == text.count(broken)


@pytest.mark.parametrize(
    ("text", "help_"),
    [
        ("ouput y = x", "did you mean `output`?"),
        ("model wide-deep", "a name has letters, digits and `_` alone: `wide_deep`"),
        ("h = x -> relu + y", "an arrow binds last: put the chain in parentheses, as in `(x -> relu) + y`"),
        ("x -> f", "give it a name: `NAME = x -> f`"),
        ("h = 0x10", "numbers are decimal: write `16`"),
        ("h = 2units", "multiply with `*`: `2*units`; a name begins with a letter or `_`"),
        ("h = x²", "write `**2`"),
        ("h = a → f", "write `->`"),
        ('model "m"', "names stand without quotes: `m`"),
        ("h = Dense(3)(x)", "a tensor goes into a layer by an arrow: `x -> Dense(64)`"),
        ("// a comment", "a comment begins with `#`"),
        ("train:", "write `{` and, at the end, `}`"),
        ("output y = x -> f, loss = mse", "what concerns an output stands in braces: `{ loss = mse }`"),
        ("param p: int = 1 in {1, 2}", "behind `in` stands a range, `1..4096`, or a list, `[relu, tanh]`"),
        ("train = 3", "a section has no `=`: `train { ... }`"),
        ("h = f(x", "close it with `)`"),
    ],
)
def test_help(text: str, help_: str) -> None:
    (found,) = mistakes(text)
    assert found.helps == (help_,)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("h = x -> Dense(,)", "expected a value or `)`"),
        ("h = (a b", "opened here"),
        ("h = f(a = )", "expected a value"),
        ("h = x -> f(3) g", "expected the end of the line"),
        ("input x: 3", "expected a name"),
        ("nn one", "expected a number"),
        ("param p: int = 3 of 4", "expected `in` or the end of the line"),
        ("param p: int = 3 in 4", "expected `..`"),
        ("train { 3 = a }", "expected a name"),
        ("block f { return x }", "expected `(`"),
    ],
)
def test_expectations_are_in_words(text: str, label: str) -> None:
    assert [found.label for found in mistakes(text)] == [label]


def check_errors(text: str) -> None:
    """Whatever the text is: a tree, or errors that can be shown; no code but those explained, none twice."""
    source = SourceFile("spec.nn", text)
    try:
        parse(source)
    except NncError as error:
        found = error.diagnostics
        assert found
        assert len(set(found)) == len(found)
        assert {diagnostic.code for diagnostic in found} <= set(CATALOGUE)
        assert all(d.span and 0 <= d.span.start <= d.span.end <= len(text) for d in found)
        assert render(found, color=True)
        assert len(to_json(found)) == len(found)


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(codec="utf-8")) | st.text(string.printable + "→“”은²\ufeff"))
def test_any_text(text: str) -> None:
    check_errors(text)


WORDS = ["nn 1", "model", "param", "in", "input", "output", "block", "return", "train", "data", "layer", "x", "Dense"]
SIGNS = ["(", ")", "[", "]", "{", "}", "=", ":", ",", "->", "+", "*", "**", "//", "..", '"', "#", "\n", "\n", " "]
PIECES = st.sampled_from([*WORDS, *SIGNS, "3", "20%", '"a"'])


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=40))
def test_any_tokens(pieces: list[str]) -> None:
    check_errors(" ".join(pieces))


@settings(max_examples=150, deadline=None)
@given(modules(), st.data())
def test_any_small_change_of_a_spec(module: Module, data: st.DataObject) -> None:
    text = format_module(module)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 3)))
        text = text[:start] + data.draw(PIECES | st.just("")) + text[end:]
    check_errors(text)


def test_many_errors_take_linear_time() -> None:
    assert len(mistakes("x = Dense(3 4)\n" * 3000)) == 3000
    assert len(mistakes("x = f(\n" * 3000)) == 3000
    assert len(mistakes("train {" + "a = = 3\n" * 3000 + "}")) == 3000
    assert len(mistakes("x = " + "(" * 20_000)) == 1
    assert len(mistakes("train " + "a {" * 5000 + "a b" + "}" * 5000)) == 1
