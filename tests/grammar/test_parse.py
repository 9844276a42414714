"""Text becomes the tree it means; every node knows its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnc.grammar import parser as parser_module
from nnc.grammar.depth import children
from nnc.grammar.inline import inline
from nnc.grammar.parse import parse, parse_recovering
from nnc.grammar.source import SourceFile
from nnc.grammar.syntax import (
    Arrow,
    Binary,
    Binding,
    Block,
    Expression,
    Index,
    Input,
    Layer,
    Mapping,
    Model,
    Module,
    Name,
    Number,
    Output,
    Param,
    Range,
    Section,
    String,
    Tuple,
    Unary,
    Version,
)


def read(text: str) -> Module:
    return parse(SourceFile("spec.nn", text))


def statement(text: str) -> object:
    (only,) = read(text).statements
    return only


def value(text: str) -> Expression:
    found = statement(f"v = {text}")
    assert isinstance(found, Binding)
    return found.value


def nested(expression: Expression) -> str:
    """The expression with all parentheses, to see what binds stronger."""
    match expression:
        case Binary(operator, left, right):
            return f"({nested(left)} {operator} {nested(right)})"
        case Unary(operator, operand):
            return f"({operator}{nested(operand)})"
        case Arrow(source, steps):
            return f"({' -> '.join(map(nested, (source, *steps)))})"
        case _:
            return inline(expression)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("a + b * c", "(a + (b * c))"),
        ("a - b - c", "((a - b) - c)"),
        ("a / b * c", "((a / b) * c)"),
        ("2**3**4", "(2 ** (3 ** 4))"),
        ("-2**2", "(-(2 ** 2))"),
        ("2**-1", "(2 ** (-1))"),
        ("-a * b", "((-a) * b)"),
        ("- -a", "(-(-a))"),
        ("7 // 2", "(7 // 2)"),
        ("a + b -> relu", "((a + b) -> relu)"),
        ("a -> f * 3 -> g", "(a -> (f * 3) -> g)"),
        ("(a -> f) + b", "((a -> f) + b)"),
        ("(a -> f) -> g", "((a -> f) -> g)"),
        ("((((a))))", "a"),
    ],
)
def test_precedence(text: str, meaning: str) -> None:
    assert nested(value(text)) == meaning


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("28", 28),
        ("1_000", 1000),
        ("1e-3", 0.001),
        ("1E+3", 1000.0),
        ("0.5", 0.5),
        (".5", 0.5),
        ("7.", 7.0),
        ("20%", 0.2),
    ],
)
def test_numbers(text: str, number: float) -> None:
    found = value(text)
    assert isinstance(found, Number)
    assert (found.value, type(found.value), found.text) == (number, type(number), text)


@pytest.mark.parametrize(
    ("text", "ends"), [("1..4096", (1, 4096)), ("0.5..1.5", (0.5, 1.5)), ("1...5", (1, 0.5)), ("1. .. 2", (1.0, 2))]
)
def test_ranges(text: str, ends: tuple[float, float]) -> None:
    found = statement(f"param p: float = 1 in {text}")
    assert isinstance(found, Param)
    assert isinstance(found.domain, Range)
    low, high = found.domain.low, found.domain.high
    assert isinstance(low, Number)
    assert isinstance(high, Number)
    assert (low.value, high.value) == ends


@pytest.mark.parametrize(
    ("text", "string"),
    [
        ('"a b"', "a b"),
        ('""', ""),
        (r'"a\"b\\c\n\t\r"', 'a"b\\c\n\t\r'),
        (r'"\u00e9"', "é"),
        ('"# no comment"', "# no comment"),
    ],
)
def test_strings(text: str, string: str) -> None:
    found = value(text)
    assert isinstance(found, String)
    assert found.value == string


def test_names_are_normalised_and_of_any_script() -> None:
    module = read("e\u0301te\u0301 = 은닉층 -> relu\nक\u094dष = x")
    names = [node.name.name for node in module.statements if isinstance(node, Binding)]
    assert names == ["\u00e9t\u00e9", "क\u094dष"]


def test_every_statement() -> None:
    text = """nn 1
model m
param units: int = 30 in 1..4096
param kind: activation = relu in [relu, tanh]
input x: float32[28, 2*14]
input s: float32[]
layer shared = Dense(units)
block f(a, n = 3) { b = a -> Dense(n), return b -> relu }
h = x -> shared
output y = h -> Dense(1) { loss = mse }
output h { weight = 10% }
train { epochs = 5, optimizer = sgd() }
data { t = csv("a.csv"), x = t[A, "B c", D..F], train { s = t[s] } }
"""
    module = read(text)
    assert [type(node) for node in module.statements] == [
        *(Version, Model, Param, Param, Input, Input, Layer, Block, Binding, Output, Output, Section, Section)
    ]
    scalar, data = module.statements[5], module.statements[-1]
    assert isinstance(scalar, Input)
    assert scalar.type.dimensions == ()
    assert isinstance(module.statements[2], Param)
    assert module.statements[2].type.dimensions is None
    assert isinstance(data, Section)
    assert [entry.name.name for entry in data.entries] == ["t", "x", "train"]
    assert data.entries[2].value is None
    assert isinstance(data.entries[1].value, Index)
    kinds = [type(item) for item in data.entries[1].value.items]
    assert kinds == [Name, String, Range]


def test_tuples_and_mappings() -> None:
    assert isinstance(value("(a,)"), Tuple)
    assert isinstance(value("()"), Tuple)
    assert isinstance(value("(a)"), Name)
    pairs = value("{ 0: 1.0,\n 1: 2.5 }")
    assert isinstance(pairs, Mapping)
    assert len(pairs.items) == 2


@pytest.mark.parametrize(
    "text",
    [
        "x = a\n  -> f\n\n  # between\n  -> g",
        "x = (a,\n  b\n) -> f",
        "x = f(\n  1,\n\n  2,\n)",
        "train {\n\n  a = 1,\n  b = 2\n\n  c = [1,\n 2]\n}",
        "train { a = x\n  -> f\n  b = 1, }",
        "train {\n  a = 1\n  , b = 2\n}",
        "x = a # comment -> f",
        "block f(a) {\n  b = a\n    -> g\n\n  return b\n}",
    ],
)
def test_lines_go_on(text: str) -> None:
    assert len(read(text).statements) == 1


def test_keywords_are_names_elsewhere() -> None:
    module = read(
        "input data: float32[4]\nh = data -> Dense(units, layer = model)\ntrain { train = in, input { nn = 1 } }"
    )
    assert len(module.statements) == 3


def test_comments_and_documentation() -> None:
    text = "## one\n##   two\n\n# apart\nmodel m  ## trailing\n### banner\ntrain {\n  ## inside\n  a = 1\n}\n## last"
    module = read(text)
    assert [node.doc for node in module.statements] == ["one\n  two", ""]
    comments = [(comment.text, comment.own_line) for comment in module.comments]
    assert comments == [
        ("# apart", True),
        ("## trailing", False),
        ("### banner", True),
        ("## inside", True),
        ("## last", True),
    ]


@pytest.mark.parametrize("text", ["", "\n", "# only", "\ufeff", "\r\n", "   \t\f", "\r"])
def test_empty_files(text: str) -> None:
    assert read(text).statements == ()


def test_byte_order_mark_and_windows_line_ends() -> None:
    module = read("\ufeffnn 1\r\nmodel m\r\n\r\ninput x: float32[4] # c\r\ntrain {\r\n  a = 1\r\n}\r\n")
    assert len(module.statements) == 4
    assert module.comments[0].text == "# c"


def test_spans() -> None:
    text = "h = (a + b) -> Dense(64, units = 3)"
    found = statement(text)
    assert isinstance(found, Binding)
    assert found.span.text == text
    assert isinstance(found.value, Arrow)
    assert found.value.source.span.text == "(a + b)"
    assert [node.span.text for node in children(found.value.steps[0])] == ["64", "units = 3"]  # type: ignore[attr-defined]
    assert repr(found.value.steps[0].span) == "spec.nn:1:16"


def test_long_files_take_linear_time() -> None:
    line = "h = x -> Dense(units = 64, activation = relu) -> Dropout(rate = 0.2)\n"
    assert len(read(line * 10_000).statements) == 10_000


@pytest.mark.parametrize(
    "text",
    ["x = a" + " -> relu" * 10_000, "x = " + "(" * 1000 + "a" + ")" * 1000, "x = (" + "a, " * 10_000 + ")"],
    ids=["arrows", "parentheses", "tuple"],
)
def test_long_expressions(text: str) -> None:
    assert len(read(text).statements) == 1


@pytest.mark.parametrize(("open_", "close"), [("[", "]"), ("f(", ")"), ("-", ""), ("2**", ""), ("{1: ", "}")])
def test_deep_expressions_are_refused(open_: str, close: str) -> None:
    _, diagnostics = parse_recovering(SourceFile("deep.nn", "x = " + open_ * 5000 + "1" + close * 5000))
    assert [found.code for found in diagnostics] == ["E0111"]
    assert len(read("x = " + open_ * 90 + "1" + close * 90).statements) == 1


@pytest.fixture
def fresh_parser() -> None:
    parser_module.load_parser.cache_clear()


@pytest.mark.usefixtures("fresh_parser")
def test_tables_are_cached_privately(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    parser_module.load_parser()
    (kept,) = (tmp_path / "cache" / "nnc").iterdir()
    assert (tmp_path / "cache" / "nnc").stat().st_mode & 0o777 == 0o700
    parser_module.load_parser.cache_clear()
    assert len(read("x = a -> f").statements) == 1
    kept.write_bytes(b"damaged")
    parser_module.load_parser.cache_clear()
    assert len(read("x = a -> f").statements) == 1


@pytest.mark.usefixtures("fresh_parser")
def test_a_cache_that_others_can_write_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = tmp_path / "nnc"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert len(read("x = a -> f").statements) == 1
    assert list(shared.iterdir()) == []


@pytest.mark.usefixtures("fresh_parser")
def test_no_cache_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(read("x = a -> f").statements) == 1
