"""Summary, DOT and Mermaid: right figures, and text that their readers accept whatever a user names a layer."""

from __future__ import annotations

import re

from nnc.compiler.emit.describe import call_text, value_text
from nnc.compiler.emit.dot import to_dot
from nnc.compiler.emit.mermaid import to_mermaid
from nnc.compiler.emit.summary import bytes_text, render_summary, summarize
from nnc.compiler.options import Choice, CompileOptions
from nnc.compiler.pipeline import Compiled, compile_source
from nnc.grammar.source import SourceFile

SPEC = """
input x: float32[4]
layer encoder = Dense(3, relu)
은닉 = (x -> encoder) - (x * x -> encoder)
output y = 은닉 -> Dense(2, kernel_initializer = he_normal, use_bias = false) -> Reshape((2, 1)) { loss = mse }
train { batch_size = 8 }
"""


def compiled(text: str = SPEC) -> Compiled:
    return compile_source(SourceFile("spec.nn", text), CompileOptions())


def test_a_shared_layer_is_counted_once() -> None:
    summary = summarize(compiled())
    rows = {row.layer: row for row in summary.rows}
    encoders = [row.parameters for row in summary.rows if row.call == "Dense(3, relu)"]
    assert encoders == [4 * 3 + 3, 0]
    assert summary.parameters == summary.trainable_parameters == 4 * 3 + 3 + 3 * 2
    assert rows["x"].bytes == 8 * 4 * 4


def test_flops_of_a_dense_layer_are_two_per_weight_and_its_bias_and_activation() -> None:
    summary = summarize(compiled("input x: float32[4]\noutput y = x -> Dense(3) { loss = mse }\n"))
    assert summary.flops == summary.rows[1].flops == 2 * 4 * 3 + 3
    assert summary.flops_per_step > 2 * 32 * summary.flops


def test_arguments_at_their_defaults_are_left_out() -> None:
    network = compiled().network
    calls = {layer.kind: call_text(layer) for layer in network.layers()}
    assert calls["Dense"] == "Dense(2, use_bias = false, kernel_initializer = he_normal)"
    assert calls["Reshape"] == "Reshape((2, 1))"
    assert calls["Input"] == "Input"
    assert value_text(Choice("leaky_relu", (("negative_slope", 0.1),))) == "leaky_relu(0.1)"
    assert value_text((True, None, 1e-7, 3)) == "(true, none, 1e-07, 3)"


def test_every_layer_says_what_does_its_work() -> None:
    rows = {row.call: row.fused for row in summarize(compiled()).rows}
    assert rows["Dense(3, relu)"].startswith("matmul + bias + relu")
    assert rows["Reshape((2, 1))"] == "nothing"
    assert rows["Input"] == ""
    assert "Subtract" in rows


def test_a_table_lines_up() -> None:
    lines = render_summary(summarize(compiled())).splitlines()
    head, rule, *rows = lines[2:9]
    starts = [match.start() for match in re.finditer(r"-+", rule)]
    assert all(row[start - 2 : start].isspace() for row in (head, *rows) for start in starts[1:] if len(row) > start)


def test_drawings_have_a_node_for_each_layer_and_an_edge_for_each_input() -> None:
    network = compiled().network
    edges = sum(len(layer.inputs) for layer in network.layers())
    dot, mermaid = to_dot(network), to_mermaid(network)
    assert dot.count(" -> ") == mermaid.count(" -->") == edges
    assert len(re.findall(r"^  \"[^\"]+\" \[", dot, re.MULTILINE)) == len(network.layers())
    assert len(re.findall(r"^  n\d+[\[(]", mermaid, re.MULTILINE)) == len(network.layers())
    assert '"은닉"' in dot


def test_labels_cannot_break_out_of_their_quotes() -> None:
    mermaid = to_mermaid(compiled().network)
    for label in re.findall(r'\["(.*?)"\]', mermaid):
        assert not set(label.replace("<br/>", "")) & set('"[]()<>')


def test_bytes_are_told_in_the_unit_a_person_would_choose() -> None:
    assert [bytes_text(n) for n in (0, 1023, 1024, 1536, 5 * 2**20, 3 * 2**40)] == [
        "0 B", "1023 B", "1.00 KiB", "1.50 KiB", "5.00 MiB", "3072.00 GiB",
    ]  # fmt: skip
