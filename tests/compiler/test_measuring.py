"""What metrics become: which kind is meant, where they are summed, and what the verifier refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nnc.compiler.expr import var
from nnc.compiler.graph import Term
from nnc.compiler.measuring import kinds_of_metrics
from nnc.compiler.options import CompileOptions
from nnc.compiler.pipeline import Compiled, compile_source
from nnc.compiler.plan import Plan
from nnc.compiler.planfile import from_json, to_json
from nnc.compiler.verify import verify_plan
from nnc.grammar.diagnostics import NncError
from nnc.grammar.source import SourceFile


def compiled(output: str) -> Compiled:
    text = f"input x: float32[4]\noutput y = x -> {output}\n"
    return compile_source(SourceFile("metrics.nn", text), CompileOptions(), verify=True)


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        ("Dense(1, sigmoid) { loss = binary_crossentropy", "binary_accuracy"),
        ("Dense(3, sigmoid) { loss = binary_crossentropy", "binary_accuracy"),
        ("Dense(3, softmax) { loss = categorical_crossentropy", "categorical_accuracy"),
        ("Dense(3, softmax) { loss = sparse_categorical_crossentropy", "sparse_categorical_accuracy"),
        ("Dense(3, softmax) { loss = mse", "categorical_accuracy"),
    ],
)
def test_accuracy_means_the_kind_that_fits(output: str, kind: str) -> None:
    assert kinds_of_metrics(compiled(f"{output}, metrics = [accuracy] }}").network) == (("y.accuracy", kind),)


def test_what_evaluation_alone_measures_costs_training_nothing() -> None:
    output = "Dense(3, softmax) {{ loss = sparse_categorical_crossentropy{} }}"
    with_tables = compiled(output.format(", metrics = [confusion, auc]")).plan
    without = compiled(output.format("")).plan
    assert len(with_tables.program("train_step").steps) == len(without.program("train_step").steps)
    assert len(with_tables.program("evaluate_step").steps) > len(without.program("evaluate_step").steps)


MEASURED = compiled("Dense(3, softmax) { loss = sparse_categorical_crossentropy, metrics = [confusion, auc, f1] }").plan

MIXED = ("sum.y.f1_score.0", "sum.y.loss.0", "sum.y.f1_score.1")


def with_term(metric: str, **changes: object) -> Plan:
    def changed(term: Term) -> Term:
        return replace(term, **changes) if term.name == f"y.{metric}" else term  # type: ignore[arg-type]

    return replace(MEASURED, terms=tuple(map(changed, MEASURED.terms)))


def test_terms_read_back_as_they_were_written() -> None:
    assert from_json(to_json(MEASURED)).terms == MEASURED.terms


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (with_term("f1_score", measure="median"), "no known way"),
        (with_term("f1_score", measure="confusion"), "no square"),
        (with_term("f1_score", counted=var("b")), "unknown name"),
        (with_term("f1_score", accumulators=MIXED), "different shapes"),
        (with_term("auc", output="z"), "no scores"),
    ],
)
def test_terms_that_cannot_be_measured_are_refused(plan: Plan, words: str) -> None:
    with pytest.raises(NncError, match="unsound") as caught:
        verify_plan(plan)
    assert words in caught.value.diagnostics[0].message
