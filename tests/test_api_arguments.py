"""Arguments of the Python API are checked before anything is done with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnc
from nnc.grammar.diagnostics import UsageError

SPEC = """\
nn 1
model tiny
param units: int = 2
input x: float32[2]
output y = x -> Dense(units, relu) -> Dense(1) { loss = mse }
train { optimizer = sgd(learning_rate = 0.01), batch_size = 2, epochs = 2 }
"""
X, Y = np.ones((4, 2), np.float32), np.ones((4, 1), np.float32)
WRONG: dict[str, tuple[Any, ...]] = {
    "epochs": (0, -1, 1.5, True, "2"),
    "batch_size": (0, -1, True, 10**12, 2.5, "x", float("nan"), [2]),
    "seed": (1.5, -1, 2**63, "1"),
    "max_memory_bytes": ("1GiB", -1, 0, 1e9),
    "params": (3, "units", [("units", 3)]),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_compile_refuses_what_is_out_of_range(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=rf"E0806.*`{name}` is"):
        nnc.compile(text=SPEC, **{name: value})


def test_compile_names_every_argument_that_is_wrong() -> None:
    with pytest.raises(UsageError) as refusal:
        nnc.compile(text=SPEC, epochs=0, seed=-1)
    assert [diagnostic.code for diagnostic in refusal.value.diagnostics] == ["E0806", "E0806"]


@pytest.mark.parametrize("arguments", [{"text": 3}, {"spec": 3}, {"spec": b"a.nn"}])
def test_compile_refuses_what_is_no_spec(arguments: Any) -> None:
    with pytest.raises(UsageError, match="E0822"):
        nnc.compile(**arguments)


def test_numbers_of_numpy_are_numbers() -> None:
    model = nnc.compile(
        text=SPEC, params={"units": np.int64(3)}, batch_size=np.int64(4), epochs=np.int32(1), seed=np.uint8(7)
    )
    assert (model.plan.batch_size, model.plan.seed, model.train_config.epochs) == (4, 7, 1)
    assert type(model.plan.batch_size) is int
    assert model.params == (("units", 3),)


# --- callbacks ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["on_epoch", "on_batch"])
def test_a_callback_that_is_no_function_is_refused_before_training(name: str) -> None:
    model = nnc.compile(text=SPEC)
    with pytest.raises(UsageError, match=rf"E0822.*`{name}` is 3"):
        model.fit(X, Y, verbose=False, **{name: 3})    # type: ignore[arg-type]
    assert len(model.history) == 0


@pytest.mark.parametrize("name", ["on_epoch", "on_batch"])
def test_a_callback_that_answers_with_an_array_is_refused(name: str) -> None:
    model = nnc.compile(text=SPEC)
    with pytest.raises(UsageError, match=f"`{name}` answered neither yes nor no"):
        model.fit(X, Y, verbose=False, **{name: lambda *_: np.zeros(3)})    # type: ignore[arg-type]


def test_a_callback_may_answer_with_a_truth_of_numpy() -> None:
    history = nnc.compile(text=SPEC).fit(X, Y, on_epoch=lambda epoch, _: np.True_, verbose=False)
    assert len(history) == 1


def test_fit_within_fit_is_refused_and_harms_nothing() -> None:
    model = nnc.compile(text=SPEC)

    def again(epoch: int, figures: Any) -> None:
        with pytest.raises(UsageError, match=r"E0822.*`fit` is called within a `fit`"):
            model.fit(X, Y, verbose=False)
        with pytest.raises(UsageError, match=r"E0822.*no `sample_weight` within a `fit`"):
            model.evaluate(X, Y, sample_weight=Y[:, 0])

    model.fit(X, Y, on_epoch=again, verbose=False)
    model.fit(X, Y, epochs=1, verbose=False)
    plain = nnc.compile(text=SPEC)
    plain.fit(X, Y, epochs=3, verbose=False)
    assert len(model.history) == 3
    np.testing.assert_array_equal(model.weights["y.kernel"], plain.weights["y.kernel"])


def test_weights_stay_those_of_the_model_when_its_plan_changes() -> None:
    model = nnc.compile(text=SPEC)
    weights = model.weights
    model.fit(X, Y, sample_weight=np.ones(4), verbose=False)
    np.testing.assert_array_equal(weights["y.kernel"], model.weights["y.kernel"])
    weights["y.bias"] = [7.0]
    assert model.weights["y.bias"] == 7.0
