"""Random syntax trees without places, and a comparison of trees that does not look at places."""

from __future__ import annotations

import dataclasses
import unicodedata
from typing import Any

from hypothesis import strategies as st

from nnc.grammar.source import SourceFile, Span
from nnc.grammar.syntax import (
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
    Model,
    Module,
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
from nnc.grammar.tokens import number_value

NOWHERE = SourceFile("random.nn", "")
AT = Span(NOWHERE, 0, 0)
KEYWORDS = frozenset(["nn", "model", "param", "in", "input", "layer", "block", "return", "output", "train", "data"])

words = st.one_of(
    st.sampled_from(["x", "h", "relu", "Dense", "units", "left", "은닉층", "größe", "Ж"]),
    st.text(st.characters(codec="utf-8", categories=("L", "Nd", "Mn")), min_size=1, max_size=6)
    .map(lambda text: unicodedata.normalize("NFC", text))
    .filter(str.isidentifier),
)
names = words.filter(lambda word: word not in KEYWORDS).map(lambda word: Name(word, AT))
numbers = st.one_of(
    st.integers(0, 10**12).map(str),
    st.floats(0, 1e300, allow_nan=False).map(repr),
    st.sampled_from(["1_000", "20%", "1e-3", ".5", "7.", "1E6", "0.5%"]),
).map(lambda text: Number(number_value(text), text, AT))
strings = st.text(st.characters(codec="utf-8"), max_size=12).map(lambda value: String(value, AT))
leaves = st.one_of(names, numbers, strings)


def composed(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Expressions one level above `inner`."""
    several = st.lists(inner, max_size=4).map(tuple)
    some = st.lists(inner, min_size=1, max_size=4).map(tuple)
    ranges = st.builds(Range, inner.filter(is_no_range), inner.filter(is_no_range), st.just(AT))
    items = st.lists(st.one_of(inner, ranges), min_size=1, max_size=3).map(tuple)
    arguments = st.lists(st.builds(Argument, st.none() | names, inner, st.just(AT)), max_size=3).map(tuple)
    pairs = st.lists(st.tuples(inner, inner), max_size=3).map(tuple)
    return st.one_of(
        st.builds(Call, names, arguments, st.just(AT)),
        st.builds(Tuple, several, st.just(AT)),
        st.builds(List, items, st.just(AT)),
        st.builds(Mapping, pairs, st.just(AT)),
        st.builds(Index, inner, items, st.just(AT)),
        st.builds(Unary, st.sampled_from("+-"), inner, st.just(AT)),
        st.builds(Binary, st.sampled_from(["+", "-", "*", "/", "//", "**"]), inner, inner, st.just(AT)),
        st.builds(Arrow, inner, some, st.just(AT)),
    )


def is_no_range(expression: object) -> bool:
    return not isinstance(expression, Range)


expressions = st.recursive(leaves, composed, max_leaves=12)
types = st.builds(Type, names, st.none() | st.lists(expressions, max_size=3).map(tuple), st.just(AT))
docs = st.lists(st.sampled_from(["", "a line", "  indented", "# no heading", "ключ"]), max_size=3).map("\n".join)
keys = st.one_of(names, strings.map(lambda string: Name(string.value, AT)))


def entries(depth: int) -> st.SearchStrategy[Any]:
    valued = st.builds(Entry, keys, expressions, st.none(), st.just(AT))
    if not depth:
        return st.lists(valued, max_size=3).map(tuple)
    nested = st.builds(Entry, keys, st.none(), entries(depth - 1), st.just(AT))
    return st.lists(st.one_of(valued, nested), max_size=4).map(tuple)


bindings = st.builds(Binding, names, expressions, docs, st.just(AT))
plain_bindings = st.builds(Binding, names, expressions, st.just(""), st.just(AT))
parameters = st.lists(st.builds(Parameter, names, st.none() | expressions, st.just(AT)), max_size=3).map(tuple)
domains = st.one_of(
    st.none(),
    st.builds(Range, expressions, expressions, st.just(AT)),
    st.builds(List, st.lists(expressions, max_size=3).map(tuple), st.just(AT)),
)
statements = st.one_of(
    st.builds(Model, names, docs, st.just(AT)),
    st.builds(Param, names, types, expressions, domains, docs, st.just(AT)),
    st.builds(Input, names, types, docs, st.just(AT)),
    bindings,
    st.builds(Layer, names, expressions, docs, st.just(AT)),
    st.builds(
        Block, names, parameters, st.lists(plain_bindings, max_size=3).map(tuple), expressions, docs, st.just(AT)
    ),
    st.builds(Output, names, st.none() | expressions, entries(1), docs, st.just(AT)),
    st.builds(Section, st.sampled_from([Name("train", AT), Name("data", AT)]), entries(2), docs, st.just(AT)),
)


@st.composite
def modules(draw: st.DrawFn) -> Module:
    """A file of random statements, `nn 1` first."""
    rest = draw(st.lists(statements, max_size=6))
    return Module(NOWHERE, (Version(1, draw(docs), AT), *rest), ())


def without_places(node: Any) -> Any:
    """A tree as nested tuples, without its spans, sources and comments."""
    if isinstance(node, tuple):
        return tuple(map(without_places, node))
    if not dataclasses.is_dataclass(node):
        return node
    skipped = {"span", "source", "comments"} if isinstance(node, Module) else {"span"}
    kept = [field.name for field in dataclasses.fields(node) if field.name not in skipped]
    return type(node).__name__, *(without_places(getattr(node, name)) for name in kept)
