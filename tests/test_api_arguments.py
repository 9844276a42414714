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
    with pytest.raises(UsageError, match=f"E0806.*`{name}` is"):
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
