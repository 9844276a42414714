"""Terms live as long as something refers to them, and compiling different specs for ever keeps few of them."""

from __future__ import annotations

import gc
import threading

import pytest

from nnc.compiler import memo
from nnc.compiler.expr import apply, const, term_count, var
from nnc.compiler.pipeline import compile_source
from nnc.grammar.source import SourceFile

SPEC = """
input x: float32[2]
output y = x -> Dense(3, tanh) -> Dropout({rate}) -> Dense(1) {{ loss = mse }}
train {{ optimizer = adam(learning_rate = {rate}) }}
"""


def compile_rate(rate: float) -> None:
    compile_source(SourceFile("a.nn", SPEC.format(rate=rate)))


def test_equal_terms_are_one_object_until_none_is_left() -> None:
    term = apply("add", var("lonely"), const(0.123))
    assert apply("add", var("lonely"), const(0.123)) is term
    before = term_count()
    del term
    assert term_count() == before - 3


def test_threads_make_one_object_of_equal_terms() -> None:
    made: list[list[object]] = []
    start = threading.Barrier(4)

    def make() -> None:
        start.wait()
        made.append([apply("mul", var(f"t{k}"), const(k)) for k in range(2000)])

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(terms[k] is made[0][k] for terms in made for k in range(2000))


def test_answers_are_forgotten_once_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo, "MOST_TERMS", 0)
    compile_rate(0.5)
    gc.collect()
    before = term_count()
    monkeypatch.setattr(memo, "MOST_TERMS", 10**9)
    for k in range(1, 20):
        compile_rate(k / 100)
    grown = term_count()
    assert grown > before + 100
    monkeypatch.setattr(memo, "MOST_TERMS", 0)
    compile_rate(0.5)
    gc.collect()
    assert term_count() <= before


def test_plans_are_the_same_before_and_after_forgetting(monkeypatch: pytest.MonkeyPatch) -> None:
    source = SourceFile("a.nn", SPEC.format(rate=0.25))
    before = compile_source(source).plan
    monkeypatch.setattr(memo, "MOST_TERMS", 0)
    assert compile_source(source).plan == before
