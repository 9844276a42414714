"""One small model as every stage prints it: `pytest --bless` writes the texts anew, the diff is read in review."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nnc.compiler.emit.dot import to_dot
from nnc.compiler.emit.mermaid import to_mermaid
from nnc.compiler.emit.summary import summary_text
from nnc.compiler.fusion.words import explain
from nnc.compiler.options import CompileOptions
from nnc.compiler.pipeline import NAMES, Compiled, compile_source
from nnc.grammar.source import SourceFile

HERE = Path(__file__).parent
SPEC = HERE / "two_paths.nn"
Golden = Callable[[Path, str], None]


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    return compile_source(SourceFile(SPEC.name, SPEC.read_text("utf-8")), CompileOptions(), verify=True)


@pytest.mark.parametrize("stage", NAMES)
def test_stage(stage: str, compiled: Compiled, golden: Golden) -> None:
    golden(HERE / f"two_paths.{stage}.txt", compiled.text(stage).rstrip("\n") + "\n")


def test_drawings(compiled: Compiled, golden: Golden) -> None:
    golden(HERE / "two_paths.dot.txt", to_dot(compiled.network))
    golden(HERE / "two_paths.mermaid.txt", to_mermaid(compiled.network))


def test_summary(compiled: Compiled, golden: Golden) -> None:
    golden(HERE / "two_paths.summary.txt", summary_text(compiled) + "\n")


def test_fusion_in_words(compiled: Compiled, golden: Golden) -> None:
    golden(HERE / "two_paths.fusion.txt", explain(compiled.fused) + "\n")


def test_equal_sources_give_equal_texts(compiled: Compiled) -> None:
    again = compile_source(SourceFile(SPEC.name, SPEC.read_text("utf-8")), CompileOptions())
    assert [again.text(stage) for stage in NAMES] == [compiled.text(stage) for stage in NAMES]
