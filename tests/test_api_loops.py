"""Long loops and several threads: the process does not grow, and every prediction is right."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import nnc

SPEC = """
input x: float32[2]
output kind = x -> Normalize -> Dense(8, tanh) -> Dropout({rate}) -> Dense(3, softmax) {{
  loss    = sparse_categorical_crossentropy
  metrics = [accuracy]
}}
train {{ optimizer = adam(learning_rate = {rate}), batch_size = 8 }}
"""
X = np.random.default_rng(0).normal(size=(20, 2))
Y = np.arange(20) % 3
STATM = Path("/proc/self/statm")
needs_statm = pytest.mark.skipif(not STATM.exists(), reason="needs /proc/self/statm")


def resident_bytes() -> int:
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def growth_bytes(step: Callable[[], None], warm_up: int, rounds: int) -> int:
    """How much the process grows in `rounds` calls of `step`, after the first `warm_up`."""
    for _ in range(warm_up):
        step()
    gc.collect()
    before = resident_bytes()
    for _ in range(rounds):
        step()
    gc.collect()
    return resident_bytes() - before


@needs_statm
def test_ten_thousand_rounds_of_fit_and_predict_do_not_grow_the_process() -> None:
    model = nnc.compile(text=SPEC.format(rate=0.1))

    def step() -> None:
        model.fit(X, Y, epochs=1, verbose=False)
        model.predict(X)

    assert growth_bytes(step, 500, 9500) < 2**20
    assert len(model.history) == 10_000


@needs_statm
def test_compiling_and_loading_do_not_grow_the_process(tmp_path: Path) -> None:
    """Each round has a spec of its own, so that nothing is merely found again."""
    rate = 0.1

    def step() -> None:
        nonlocal rate
        rate += 1e-4
        model = nnc.compile(text=SPEC.format(rate=rate))
        model.predict(X)
        model.save(tmp_path / "m")
        nnc.load(tmp_path / "m").predict(X)

    assert growth_bytes(step, 220, 220) < 2**20


def test_threads_share_a_model() -> None:
    """Batches of other sizes at the same time, and training beside them: each prediction is that of its own rows."""
    model = nnc.compile(text=SPEC.format(rate=0.1))
    inputs = [np.random.default_rng(k).normal(size=(1 + 5 * k, 2)) for k in range(6)]
    expected = [model.predict(x) for x in inputs]
    wrong: list[int] = []
    start = threading.Barrier(len(inputs))

    def work(k: int) -> None:
        start.wait()
        wrong.extend(k for _ in range(100) if not np.array_equal(model.predict(inputs[k]), expected[k]))

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(k,)) for k in range(len(inputs))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert wrong == []


def test_training_and_predicting_threads_take_turns() -> None:
    """What a thread sees while another trains is always the model after some whole call of `fit`."""
    rounds = 30
    alone, shared = (nnc.compile(text=SPEC.format(rate=0.1)) for _ in range(2))
    states = []
    for _ in range(rounds):
        alone.fit(X, Y, epochs=2, verbose=False)
        states.append(alone.predict(X))
    seen: list[object] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.append(shared.predict(X) if shared.history else states[0])

    shared.fit(X, Y, epochs=2, verbose=False)
    thread = threading.Thread(target=watch)
    thread.start()
    for _ in range(rounds - 1):
        shared.fit(X, Y, epochs=2, verbose=False)
    done.set()
    thread.join()
    np.testing.assert_array_equal(shared.predict(X), states[-1])
    assert all(any(np.array_equal(found, state) for state in states) for found in seen)
