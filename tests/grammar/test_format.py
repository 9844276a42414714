"""Formatting keeps the meaning and every comment, and does nothing the second time."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_specs import modules, without_places

from nnc.grammar.format import format_module
from nnc.grammar.parse import parse
from nnc.grammar.source import SourceFile
from nnc.grammar.syntax import Module

SPECS = sorted((Path(__file__).resolve().parents[2] / "specs").glob("*.nn"))


def read(text: str) -> Module:
    return parse(SourceFile("spec.nn", text))


def formatted(text: str) -> str:
    return format_module(read(text))


def body(text: str) -> str:
    """The canonical text behind `nn 1`."""
    return formatted(text).removeprefix("nn 1\n")


def comments(text: str) -> list[str]:
    """What the comments of a text say, documentation included, in no order."""
    module = read(text)
    said = [comment.text.lstrip("# ") for comment in module.comments]
    docs = (line.strip() for node in module.statements for line in node.doc.split("\n"))
    return sorted([*said, *(line for line in docs if line)])


@settings(max_examples=150, deadline=None)
@given(modules())
def test_random_modules_survive(module: Module) -> None:
    text = format_module(module)
    again = read(text)
    assert without_places(again) == without_places(module)
    assert format_module(again) == text


LINES = st.sampled_from(
    [
        "h = x -> Dense(64, relu) -> Dropout(0.2)",
        "left = (a, b) -> Concatenate(axis = -1) -> residual(units = 128) * 3 -> Dropout(rate = 0.25) -> softmax",
        "t = (a,\n  b,\n  c) -> Add",
        "t = (a + b) * (c -\n d)",
        "long = x\n  -> Flatten\n  -> relu",
        "layer tower = residual(\n  units = 64,\n  activation = relu)",
        "block f(x,\n  units = 3) {\n  y = x -> relu\n  return y\n}",
        "output o = x -> Dense(1) {\n  loss = mse\n\n\n  metrics = [mae,\n  mse]\n}",
        "output o { loss = mse, weight = 0.1 }",
        "train {\n  a = 1, b = 2\n}",
        "train {\n  optimizer = sgd(\n learning_rate = 0.1 )\n}",
        'data {\n  train { a = idx("a"), b = idx("b") }\n  test { a = idx("c") }\n  w = { 1: 2,\n 3: 4 }\n}',
        "## documentation",
        "",
        "   ",
    ]
)
REMARKS = st.sampled_from(["", "", "", "# remark", "## twice", "  # far", "#", "\n# own", "\n\n# own\n", "\r"])


@st.composite
def commented_specs(draw: st.DrawFn) -> str:
    """A spec with comments at the ends of any of its lines."""
    text = "\n".join(draw(st.lists(LINES, max_size=8)))
    return "\n".join(line + " " + draw(REMARKS) for line in text.split("\n"))


@settings(max_examples=300, deadline=None)
@given(commented_specs())
def test_comments_survive_and_the_second_time_changes_nothing(text: str) -> None:
    once = formatted(text)
    assert comments(once) == comments(text)
    assert formatted(once) == once
    ours = list(without_places(read(text))[1])
    theirs = [node for node in without_places(read(once))[1] if node[0] != "Version"]
    assert [node[1:-1] for node in theirs] == [node[1:-1] for node in ours]


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_bundled_specs_are_canonical(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert formatted(text) == text


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("x=1/255", "x = 1/255"),
        ("x = 28 * 28", "x = 28*28"),
        ("x = a*b", "x = a * b"),
        ("x = 2 ** 10", "x = 2**10"),
        ("x = 1/units", "x = 1 / units"),
        ("x = ((a)+(b*c))", "x = a + b * c"),
        ("x = (a+b)*c", "x = (a + b) * c"),
        ("x = a-(b-c)", "x = a - (b - c)"),
        ("x = (-2)**2", "x = (-2)**2"),
        ("x = -2**2", "x = -2**2"),
        ("x = 2**3**4", "x = 2**3**4"),
        ("x = (2**3)**4", "x = (2**3)**4"),
        ("x = a+b->relu", "x = (a + b) -> relu"),
        ("x = (a->f)->g", "x = (a -> f) -> g"),
        ("x = (a,)", "x = (a,)"),
        ("x = ()", "x = ()"),
        ("x = t[A,'B C',D..F]".replace("'", '"'), 'x = t[A, "B C", D..F]'),
        ("x = [1..3, 7. .. 8]", "x = [1..3, 7. .. 8]"),
        ("x = {1:2}", "x = { 1: 2 }"),
        ("x = {}", "x = {}"),
        ('x = "a\\u0009\\"b\\\\"', 'x = "a\\t\\"b\\\\"'),
        ("output o", "output o"),
        ("output o { loss=mse }", "output o { loss = mse }"),
        ("train {\na=1 }", "train {\n  a = 1\n}"),
        ('data { "a b" = t["c"], "d" { e = f } }', 'data { "a b" = t["c"], d { e = f } }'),
        ("a = x\nlonger = y\n\nb = z", "a      = x\nlonger = y\n\nb = z"),
        ("input x : float32[ 3,4 ]", "input x: float32[3, 4]"),
        ("input x: float32[]", "input x: float32[]"),
        ("param a:int=3 in 1 .. 4", "param a: int = 3 in 1..4"),
        ("param a:activation=relu in[relu,tanh]", "param a: activation = relu in [relu, tanh]"),
        ("block f(x,n=3){return x->relu}", "block f(x, n = 3) {\n  return x -> relu\n}"),
        ("은닉 = x\nab = y", "은닉 = x\nab   = y"),
    ],
)
def test_layout(written: str, canonical: str) -> None:
    assert body(written) == canonical + "\n"


def test_version_comes_first() -> None:
    assert formatted("") == "nn 1\n"
    assert formatted("## doc\n\n\nmodel m\n\n\n\nx = a") == "nn 1\n## doc\nmodel m\n\nx = a\n"
    assert formatted("# top\nnn 1\nmodel m") == "# top\nnn 1\nmodel m\n"


def test_long_chains_break_before_arrows() -> None:
    text = body("hidden = image" + " -> Dense(512, activation = relu)" * 4)
    assert text.splitlines() == ["hidden = image", *["  -> Dense(512, activation = relu)"] * 4]


def test_long_calls_break_in_their_brackets() -> None:
    names = ", ".join(f"column_number_{i}" for i in range(9))
    lines = body(f"x = table[{names}]").splitlines()
    assert lines[0] == "x = table["
    assert lines[1] == "  column_number_0,"
    assert lines[-1] == "]"


def test_only_runs_that_fit_are_aligned() -> None:
    long = "y = x" + " -> Dense(1)" * 7
    assert body(f"{long}\nquite_a_long_name = x") == f"{long}\nquite_a_long_name = x\n"


def test_no_line_is_wider_than_a_hundred() -> None:
    text = body("layer tower = residual(" + ", ".join(f"argument_{i} = (1, 2, 3)" for i in range(20)) + ")")
    assert max(map(len, text.splitlines())) <= 100


def test_a_thousand_lines_align_in_linear_time() -> None:
    text = "".join(f"h{i} = x -> Dense(64)  # {i}\n" for i in range(1000))
    assert len(re.findall(r"# \d+$", formatted(text), re.MULTILINE)) == 1000
