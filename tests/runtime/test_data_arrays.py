"""Arrays given from Python: by name, by position where there is one, and every mistake with its name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nnc.compiler.options import Choice, OutputConfig
from nnc.compiler.pipeline import compile_source
from nnc.compiler.plan import Plan, Signature
from nnc.compiler.types import BATCH, TensorType
from nnc.grammar.diagnostics import DataError, Diagnostic
from nnc.grammar.source import SourceFile
from nnc.runtime.data import from_arrays

COLUMN = TensorType("float32", (BATCH, 1))


def plan(inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Plan:
    ins, outs = (tuple(Signature(name, COLUMN) for name in names) for names in (inputs, outputs))
    return Plan("m", 0, 32, 0, (), (), (), ins, outs, outs, ())


def outputs(**targets: str | None) -> tuple[OutputConfig, ...]:
    return tuple(OutputConfig(name, name, Choice("mse"), target=target) for name, target in targets.items())


TWO = plan(("wide", "deep"), ("main", "aux"))
X = {"wide": [1, 2, 3], "deep": [4, 5, 6]}
Y = {"main": [7, 8, 9], "aux": [7, 8, 9]}


def refused(x: Any, y: Any, where: Plan = TWO, **targets: str | None) -> tuple[Diagnostic, ...]:
    with pytest.raises(DataError) as caught:
        from_arrays(where, outputs(**(targets or {"main": None, "aux": None})), x, y)
    return caught.value.diagnostics


def test_arrays_are_bound_by_name() -> None:
    samples = from_arrays(TWO, outputs(main=None, aux=None), X, Y)
    assert {name: feed.tolist() for name, feed in samples.feeds.items()} == {
        "wide": [[1], [2], [3]], "deep": [[4], [5], [6]], "target.main": [[7], [8], [9]], "target.aux": [[7], [8], [9]],
    }  # fmt: skip


def test_one_array_will_do_for_one_input_and_one_output() -> None:
    samples = from_arrays(plan(("x",), ("y",)), outputs(y=None), [1, 2], (3, 4))
    assert list(samples.feeds) == ["x", "target.y"]


def test_prediction_needs_no_targets() -> None:
    assert list(from_arrays(TWO, (), X, needs_targets=False).feeds) == ["wide", "deep"]


def test_a_target_that_is_an_input_may_be_left_out() -> None:
    autoencoder = plan(("image",), ("copy",))
    samples = from_arrays(autoencoder, outputs(copy="image"), {"image": [1, 2]})
    assert samples.feeds["target.copy"].tolist() == [[1], [2]]
    samples = from_arrays(autoencoder, outputs(copy="image"), [1, 2], {"copy": [3, 4]})
    assert samples.feeds["target.copy"].tolist() == [[3], [4]]


def test_a_target_two_outputs_share_may_be_given_once() -> None:
    for y in ([7, 8, 9], {"price": [7, 8, 9]}, {"main": [7, 8, 9], "aux": [7, 8, 9]}):
        samples = from_arrays(TWO, outputs(main="price", aux="price"), X, y)
        assert samples.feeds["target.main"].tolist() == samples.feeds["target.aux"].tolist() == [[7], [8], [9]]


def test_a_misspelled_name_is_both_superfluous_and_missing() -> None:
    found = refused({"wide": [1], "depe": [2]}, {"main": [1], "aux": [1]})
    assert [(d.code, d.message) for d in found] == [
        ("E0705", "`depe` is no input of the model"), ("E0704", "there is nothing for input `deep`"),
    ]  # fmt: skip
    assert found[0].helps == ("did you mean `deep`?",)
    assert found[0].place == "argument `x`"


def test_problems_of_both_arguments_come_together() -> None:
    assert [d.message for d in refused({"wide": [1]}, {"main": [1]})] == [
        "there is nothing for input `deep`", "there is nothing for target `aux`",
    ]  # fmt: skip
    assert [d.code for d in refused(None, None)] == ["E0704"] * 4


def test_one_array_for_several_inputs_asks_for_names() -> None:
    (found, _) = refused([1, 2, 3], [4, 5, 6])
    assert found.code == "E0704"
    assert found.helps == ('give them by name: x = {"wide": ..., "deep": ...}',)


def test_different_lengths_are_listed() -> None:
    (found,) = refused({"wide": [1, 2], "deep": [1, 2, 3]}, Y)
    assert found.code == "E0706"
    assert found.notes[0] == "input `wide`, array `wide`: 2 rows"


def test_ragged_lists_and_wrong_shapes_are_no_tracebacks() -> None:
    (found,) = refused({"wide": [[1], [2, 3], [4]], "deep": [1, 2, 3]}, Y)
    assert (found.code, found.place) == ("E0708", "array `wide`")
    (found,) = refused({"wide": np.ones((3, 2)), "deep": [1, 2, 3]}, Y)
    assert (found.code, found.place) == ("E0708", "array `wide`")


def test_an_index_beyond_the_rows_of_an_embedding_is_refused() -> None:
    """NumPy would count a negative one from the end, and a runtime would read what lies beside the table."""
    text = ("input word: int32[2]\ninput size: int32[2]\nlayer table = Embedding(5, 3)\nsized = size -> Rescale(0.1)\n"
            "out = (word -> table -> Flatten, word -> Embedding(9, 3) -> Flatten, sized) -> Concatenate\n"
            "output main = out -> Dense(1) { loss = mse }\n")  # fmt: skip
    made = compile_source(SourceFile("words.nn", text)).plan
    free = [[7, -3], [100, 0]]
    samples = from_arrays(made, outputs(main=None), {"word": [[0, 4], [1, 2]], "size": free}, [1, 2])
    assert samples.feeds["word"].tolist() == [[0, 4], [1, 2]]
    for wrong in (5, -1):
        (found,) = refused({"word": [[0, 1], [2, wrong]], "size": free}, [1, 2], made, main=None)
        assert (found.code, found.place) == ("E0713", "array `word`, row 2, position [1]")
        assert f"the value {wrong}, outside the 5 rows of the `Embedding` `out.table`" in found.message


def test_one_array_serves_every_output_whose_target_it_is() -> None:
    shared = from_arrays(TWO, outputs(main=None, aux="main"), X, {"main": [7, 8, 9]})
    assert shared.feeds["target.aux"].tolist() == shared.feeds["target.main"].tolist() == [[7], [8], [9]]
    (missing,) = refused(X, {"main": [7, 8, 9]}, main="price", aux="main")
    assert missing.code == "E0704"       # `main` names an output here, and says nothing of the column `main`


# --- texts ----------------------------------------------------------------------------------------------------------
INDEX = TensorType("int32", (BATCH,))
PORTS = Plan(
    "ports", 0, 32, 0, (), (), (), (Signature("port", INDEX),),
    (Signature("kind", TensorType("float32", (BATCH, 2))),), (Signature("target.kind", INDEX),), (),
)  # fmt: skip
KIND = (OutputConfig("kind", "kind", Choice("sparse_categorical_crossentropy")),)


@pytest.mark.parametrize("make", [list, np.array, lambda texts: np.array(texts, object)])
def test_texts_teach_and_are_read_with_what_was_learnt(make: Any) -> None:
    taught = from_arrays(PORTS, KIND, make(["Rome", "Oslo", "Rome"]), make(["yes", "no", "no"]))
    assert {name: np.asarray(feed).tolist() for name, feed in taught.feeds.items()} == {
        "port": [1, 0, 1], "target.kind": [1, 0, 0],
    }  # fmt: skip
    later = from_arrays(PORTS, KIND, make(["Rome"]), needs_targets=False, encodings=taught.encodings)
    assert np.asarray(later.feeds["port"]).tolist() == [1]
    with pytest.raises(DataError) as caught:
        from_arrays(PORTS, KIND, make(["Rom"]), needs_targets=False, encodings=taught.encodings)
    (found,) = caught.value.diagnostics
    assert (found.code, found.place) == ("E0719", "array `port`, row 1")


@pytest.mark.parametrize(("x", "y", "code"), [
    (["a", None], ["b", "c"], "E0711"), (["a", "b", "c"], ["d", "e", "f"], "E0720"), (["a", 1], ["b", "c"], "E0709"),
])  # fmt: skip
def test_texts_that_do_not_fit(x: list[Any], y: list[Any], code: str) -> None:
    with pytest.raises(DataError) as caught:
        from_arrays(PORTS, KIND, np.array(x, object), y)
    assert [d.code for d in caught.value.diagnostics] == [code]
