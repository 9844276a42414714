"""An index outside its table is named before it is used, on every way that data takes into a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnc
from nnc.cli import main
from nnc.compiler.verify import verify_plan
from nnc.grammar.diagnostics import DataError
from nnc.runtime.data import stream

SPEC = """nn 1
model words

input left: int32[2]
input right: int32[3]

## Both lists of words are looked up at once.
words = (left, right) -> Concatenate -> Reshape((5, 1)) -> Embedding(6, 2)

output y = words -> Flatten -> Dense(2, softmax) { loss = sparse_categorical_crossentropy }

train { optimizer = sgd(0.1), batch_size = 4, epochs = 2 }
"""
DATA = """
data {
  train { left = csv("words.csv")[a, b], right = csv("words.csv")[c, d, e], y = csv("words.csv")[y] }
  test  { left = csv("words.csv")[a, b], right = csv("words.csv")[c, d, e], y = csv("words.csv")[y] }
}
"""
ROWS, BAD_ROW = 12, 6      # counted from 0
MESSAGE = "input `right` has the value 6, outside the 6 rows of the `Embedding` `words`"


def arrays(wrong: int | None = 6) -> dict[str, np.ndarray]:
    x = {"left": np.full((ROWS, 2), 5), "right": np.zeros((ROWS, 3), np.int64)}
    if wrong is not None:
        x["right"][BAD_ROW, 1] = wrong
    return x


Y = np.arange(ROWS) % 2


def refused(action: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(DataError) as caught:
        action()
    (found,) = caught.value.diagnostics
    assert found.code == "E0713"
    return found.message, found.place


@pytest.mark.parametrize("wrong", [6, -1])
def test_python_names_the_value_in_fit_evaluate_and_predict(wrong: int) -> None:
    model = nnc.compile(text=SPEC)
    model.fit(arrays(None), Y, verbose=False)
    before = model.predict(arrays(None))
    expected = (MESSAGE.replace("value 6", f"value {wrong}"), "array `right`, row 7, position [1]")
    for action in (
        lambda: model.fit(arrays(wrong), Y, verbose=False),
        lambda: model.fit(arrays(None), Y, validation_data=(arrays(wrong), Y), verbose=False),
        lambda: model.evaluate(arrays(wrong), Y),
        lambda: model.predict(arrays(wrong)),
        lambda: model.predict({name: value.tolist() for name, value in arrays(wrong).items()}),
        lambda: model.predict({name: value.astype("float64") for name, value in arrays(wrong).items()}),
    ):
        assert refused(action) == expected
    np.testing.assert_array_equal(model.predict(arrays(None)), before)


def test_a_scikit_learn_estimator_names_the_value() -> None:
    pytest.importorskip("sklearn")
    from nnc.sklearn import NNClassifier

    text = (
        "input x: int32[3]\noutput y = x -> Reshape((3, 1)) -> Embedding(6, 2) -> Flatten -> Dense(2, softmax)"
        " { loss = sparse_categorical_crossentropy }\n"
    )
    x = arrays(None)["right"]
    estimator = NNClassifier(spec=text, epochs=1).fit(x, Y)
    x[BAD_ROW, 1] = 6
    message = "input `x` has the value 6, outside the 6 rows of the `Embedding` `y.embedding`"
    assert refused(lambda: estimator.predict(x))[0] == message
    assert refused(lambda: estimator.predict_proba(x))[0] == message
    assert refused(lambda: NNClassifier(spec=text, epochs=1).fit(x, Y))[0] == message


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("words.nn").write_text(SPEC + DATA)
    write_table(None)
    for name, array in arrays().items():
        np.save(f"{name}.npy", array)
    return tmp_path


def write_table(wrong_row: int | None) -> None:
    x = arrays(None)
    if wrong_row is not None:
        x["right"][wrong_row, 1] = 6
    rows = np.concatenate([x["left"], x["right"], Y[:, None]], axis=1)
    lines = ["a,b,c,d,e,y", *(",".join(map(str, row)) for row in rows.tolist())]
    Path("words.csv").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("is_streamed", [False, True])
def test_commands_name_file_row_and_column(
    is_streamed: bool, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "words.nn", "-o", "words.safetensors"]) == 0
    if is_streamed:
        monkeypatch.setattr(stream, "STREAMED_FROM", 0)
    write_table(BAD_ROW)
    for command in (
        ["run", "words.nn", "-o", "other.safetensors"],
        ["check", "words.nn", "--data", "."],
        ["evaluate", "words.safetensors", "--data", "."],
        ["predict", "words.safetensors", "--input", "left=@left.npy", "--input", "right=@right.npy"],
    ):
        capsys.readouterr()
        assert main(command) == 3, command
        said = capsys.readouterr().err
        assert f"error[E0713]: {MESSAGE}" in said, command
        place = "right.npy, row 7, position [1]" if command[0] == "predict" else "words.csv, line 8 (row 7), column d"
        assert place in said, command
    assert not Path("other.safetensors").exists()


COLOURS = """nn 1
model colours

input colour: int32[]

output price = colour -> LAYER -> Dense(1, use_bias = false) { loss = mse }

data {
  table  = csv("colours.csv", unknown = other)
  colour = table[colour]
  price  = table[price]
}

train { epochs = 1 }
"""


def test_a_text_that_training_did_not_see_is_none_of_the_classes_of_one_hot(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The one number beyond the classes, and only where it stands for all other texts; a table needs a row for it."""
    Path("colours.csv").write_text("colour,price\nred,1\ngreen,2\nred,3\n")
    model = nnc.compile(text=COLOURS.replace("LAYER", "OneHot(2)"))
    model.fit(verbose=False)
    assert model.predict(["blue"]).tolist() == [[0]]
    assert model.predict(["red"]).tolist() != [[0]]
    assert "the value 3, outside the 2 classes of the `OneHot`" in refused(lambda: model.predict([3]))[0]
    numbers = nnc.compile(text=COLOURS.replace("LAYER", "OneHot(2)"))
    assert "the value 2, outside the 2 classes" in refused(lambda: numbers.fit([0, 2], [1, 2], verbose=False))[0]
    Path("colours.nn").write_text(COLOURS.replace("LAYER", "Embedding(2, 3)"))
    assert main(["run", "colours.nn"]) == 3
    assert "a number for all others, more than the 2 rows of the `Embedding`" in capsys.readouterr().err


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_way_from_inputs_to_a_table_is_bounded(data: st.DataObject) -> None:
    """Inputs joined and reshaped at random: the audit takes exactly what the table holds, and the plan is proved."""
    draw = data.draw
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    lines = [f"input x{k}: {draw(st.sampled_from(['int32', 'int64']))}[{size}]" for k, size in enumerate(sizes)]
    dtype = lines[0].split()[2].partition("[")[0]
    lines = [line.replace("int64", dtype).replace("int32", dtype) for line in lines]
    values = [f"x{k}" for k in range(len(sizes))]
    for step in range(len(sizes) - 1):
        first, second = values.pop(0), values.pop(0)
        reshape = draw(st.sampled_from(["", " -> Reshape((-1, 1)) -> Flatten", " -> Flatten"]))
        lines.append(f"h{step} = ({first}, {second}) -> Concatenate{reshape}")
        values.append(f"h{step}")
    rows = draw(st.integers(1, 5))
    layer = draw(st.sampled_from([f"Embedding({rows}, 2)", f"OneHot({rows})"]))
    lines.append(f"output y = {values[0]} -> {layer} -> Flatten -> Dense(1) {{ loss = mse }}")
    model = nnc.compile(text="\n".join(lines) + "\n", batch_size=4)
    verify_plan(model.plan)
    x = {f"x{k}": np.full((3, size), rows - 1) for k, size in enumerate(sizes)}
    model.fit(x, np.zeros(3), verbose=False)
    assert np.isfinite(model.predict(x)).all()
    guilty = draw(st.integers(0, len(sizes) - 1))
    x[f"x{guilty}"][2, 0] = draw(st.sampled_from([rows, -1, 2**31 - 1]))
    message, place = refused(lambda: model.predict(x))
    assert message.startswith(f"input `x{guilty}` has the value")
    assert f"array `x{guilty}`, row 3" in place
