"""One sample alone: its products take several panels at once, forwards and backwards, on one thread or on two."""

from __future__ import annotations

import numpy as np
import pytest

import nnc
from nnc.runtime.native import pace, predictor
from nnc.runtime.native.toolchain import find_toolchain
from nnc.runtime.protocol import Array

pytestmark = pytest.mark.skipif(find_toolchain().toolchain is None, reason=find_toolchain().reason)


def model_of(columns: int, runtime: str = "native", threads: int = 1) -> nnc.Model:
    text = f"nn 1\nmodel one\ninput x: float32[70]\noutput y = x -> Dense({columns}, tanh) {{ loss = mse }}\n"
    return nnc.compile(text=text + "train { batch_size = 8 }\n", runtime=runtime, threads=threads)


def samples(count: int) -> Array:
    return np.random.default_rng(count).standard_normal((count, 70), np.float32)


@pytest.mark.parametrize("columns", [48, 96, 144, 192, 5 * 48, 7 * 48 + 1, 8 * 48 + 20, 9 * 48 + 33])
def test_a_row_alone_is_as_among_others(columns: int) -> None:
    model, rows = model_of(columns), samples(8)
    reference = model_of(columns, "reference")
    reference.weights = {name: model.weights[name] for name in model.weights}
    among_others = model.predict(rows)
    np.testing.assert_allclose(among_others, reference.predict(rows), rtol=1e-5, atol=1e-6)
    for number in (0, 1, 2, 3):     # every second call goes backwards
        np.testing.assert_array_equal(model.predict(rows[number : number + 1])[0], among_others[number])


def test_threads_that_are_awake_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor, "AWAKE_WORK", 1)
    monkeypatch.setattr(pace, "CLOSE_SECONDS", 60.0)
    model, alone, rows = model_of(500, threads=2), model_of(500), samples(8)
    alone.weights = {name: model.weights[name] for name in model.weights}
    handle = model.predictor()
    wanted = alone.predict(rows[:1])
    for _ in range(3 * pace.CLOSE_CALLS):
        np.testing.assert_array_equal(handle(rows[:1]), wanted)
    assert handle._pool_place is not None, "the pool has worked"


def test_calls_far_apart_stay_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor, "AWAKE_WORK", 1)
    monkeypatch.setattr(pace, "CLOSE_SECONDS", 0.0)
    handle = model_of(500, threads=2).predictor()
    for _ in range(3 * pace.CLOSE_CALLS):
        handle(samples(1))
    assert handle._pool_place is None
