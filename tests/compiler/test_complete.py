"""A spec with every default filled in means what the spec means."""

from __future__ import annotations

import pytest

from nnc.commands.sources import bundled_names, bundled_path
from nnc.compiler.emit.complete import complete_text
from nnc.compiler.layers import LAYERS
from nnc.compiler.options import CompileOptions
from nnc.compiler.pipeline import compile_source
from nnc.compiler.tables import TABLES, entry_signature
from nnc.grammar import syntax
from nnc.grammar.parse import parse
from nnc.grammar.source import SourceFile

ODD = """\
# first remark
input x: float32[4]
input k: int32[2]

param act: str = "tanh"
param units: int = 4

## A block that is given a layer and an activation.
block twice(x, f, g = tanh, rate = -0.1) {
  h = x -> f -> Activation(g) -> leaky_relu(rate)
  return h + x -> Activation(act)
}
layer shared = Dense(4, elu)
layer tower = twice(f = Dense(4))

e = k -> Embedding(10, 4) -> Flatten -> Dense(units, kernel_regularizer = l2)   # why
y1 = x -> twice(Dense(4, relu), g = softplus) -> shared
y2 = (x, y1, e) -> Concatenate -> Dense(4) -> shared -> tower -> BatchNormalization * 2
out2 = y2 * 2 - 1

output out2 { loss = mse }
output free = y2 -> Dense(1)
output cls = y1 -> Dense(8, softmax) { loss = categorical_crossentropy(label_smoothing = 0.1), metrics = top_k_accuracy,
  class_weight = { 0: 2, 2: 3 } } # tail

data {
  t = csv("a.csv", separator = ";")
  # note
  x = t[a..d]
  k = t[e, f]
  out2 = t[a..d]
  cls = t[a..h]
}
# the end
"""
SCHEDULED = """\
nn 1
model scheduled
input x: float32[4]
output y = x -> Dense(1) { loss = huber }
train {
  optimizer = nadam(learning_rate = piecewise_constant([10, 20], [0.1, 0.01, 0.001]))
  early_stopping = early_stopping(monitor = loss)
}
"""


def assert_same_meaning(source: SourceFile) -> str:
    """The text in full, which compiles to the same network and plan and cannot become fuller."""
    text = complete_text(source)
    before, after = (compile_source(SourceFile(source.name, part)) for part in (source.text, text))
    assert after.text("shapes") == before.text("shapes")
    assert after.text("plan") == before.text("plan")
    assert complete_text(SourceFile(source.name, text)) == text
    return text


@pytest.mark.parametrize("name", bundled_names())
def test_bundled_spec_means_the_same(name: str) -> None:
    path = bundled_path(name)
    assert path is not None
    assert_same_meaning(SourceFile(path.name, path.read_text(encoding="utf-8")))


def test_blocks_shared_layers_and_comments() -> None:
    text = assert_same_meaning(SourceFile("odd.nn", ODD))
    for remark in ("# first remark", "# why", "# tail", "# note", "# the end", "## A block that is given"):
        assert text.count(remark) == 1
    assert text.startswith("nn 1\n\nmodel odd\n\n# first remark\n")
    assert "train {\n  optimizer = rmsprop(\n    learning_rate = 0.001,\n" in text
    assert "-> f -> Activation(g) -> leaky_relu(rate)\n" in text  # what the block was given stays its caller's


def test_schedules_and_early_stopping() -> None:
    text = assert_same_meaning(SourceFile("scheduled.nn", SCHEDULED))
    words = " ".join(text.split())
    assert "early_stopping( monitor = loss, patience = 0, min_delta = 0.0, restore_best = false," in words
    assert "huber(delta = 1.0)" in text


def test_nothing_is_left_to_a_default() -> None:
    """Every call of the filled-in text has all arguments of its layer or its entry of a table."""
    module = parse(SourceFile("odd.nn", complete_text(SourceFile("odd.nn", ODD))))
    missing = []
    calls = [node for node in walk(module) if isinstance(node, syntax.Call)]
    assert len(calls) > 20
    for call in calls:
        name = call.callee.name
        if name in LAYERS and not LAYERS[name].is_activation:
            known = len(LAYERS[name].hyperparameters)
        else:
            table = next((kind for kind in TABLES if name in TABLES[kind].entries), None)
            known = len(entry_signature(table, name)) if table else len(call.arguments)
        if len(call.arguments) != known and name != "leaky_relu":
            missing.append(call)
    assert missing == []


def walk(node: object) -> list[object]:
    """All nodes of a tree."""
    if isinstance(node, tuple):
        return [inner for item in node for inner in walk(item)]
    if not hasattr(node, "__dataclass_fields__") or isinstance(node, SourceFile):
        return []
    parts = (getattr(node, name) for name in node.__dataclass_fields__ if name not in ("span", "source"))
    return [node, *(inner for part in parts for inner in walk(part))]


def test_params_in_force_become_defaults() -> None:
    source = SourceFile("odd.nn", ODD)
    options = CompileOptions({"units": 7, "act": "softplus"})
    network = compile_source(source, options, stop_after="shapes").network
    text = complete_text(source, network.params)
    assert "param units: int = 7\n" in text
    assert 'param act: str = "softplus"\n' in text
    assert compile_source(SourceFile("odd.nn", text), stop_after="shapes").network.params == network.params
