"""The handle of `Model.predictor`: beside the reference, in place, from many threads, and clear about mistakes."""

from __future__ import annotations

import copy
import dataclasses
import gc
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from compiled import needs_compiler

import nnc
from nnc import NncError
from nnc.compiler.codegen.entries import ends_of
from nnc.grammar.diagnostics import DataError
from nnc.runtime.native.session import NativeRuntime, NativeSession

pytestmark = needs_compiler
Array = npt.NDArray[Any]

PLAIN = """nn 1
model plain
input x: float32[20]
h = x -> Dense(33, relu)
output y = h -> Dense(10, softmax) { loss = sparse_categorical_crossentropy }
train { optimizer = sgd(0.1)
  batch_size = 16 }
"""

WIDE_AND_DEEP = """nn 1
model wide_and_deep
input wide: float32[3]
input deep: float32[4, 2]
input word: int32[5]
input pixel: uint8[6]
d = deep -> Flatten -> Dense(8, tanh)
e = word -> Embedding(7, 4) -> Flatten
p = pixel -> Rescale(1/255) -> Dense(4, sigmoid)
all = (wide, d, e, p) -> Concatenate
output main = all -> Dense(3, softmax) { loss = sparse_categorical_crossentropy }
output aux = d { loss = mse }
train { optimizer = sgd(0.1)
  batch_size = 8 }
"""

AUTOENCODER = """nn 1
model echo
input x: float32[12]
output y = x -> Dense(5, relu) -> Dense(12) { loss = mse }
train { optimizer = sgd(0.1)
  batch_size = 4 }
"""

LARGE = PLAIN.replace("[20]", "[512]").replace("Dense(33", "Dense(512").replace("= 16", "= 64")


def model_of(text: str, runtime: str = "native", threads: int = 1) -> nnc.Model:
    return nnc.compile(text=text, runtime=runtime, threads=threads)


def reference_of(model: nnc.Model, text: str) -> nnc.Model:
    """The same weights under NumPy."""
    other = model_of(text, "reference")
    other.weights = {name: model.weights[name] for name in model.weights}
    return other


def rows_of(count: int, width: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((count, width), np.float32)


def wide_rows(count: int) -> dict[str, Array]:
    random = np.random.default_rng(count)
    return {
        "wide": random.standard_normal((count, 3), np.float32),
        "deep": random.standard_normal((count, 4, 2), np.float32),
        "word": random.integers(0, 7, (count, 5), np.int32),
        "pixel": random.integers(0, 256, (count, 6)).astype(np.uint8),
    }


# --- right results --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("rows", [1, 2, 3, 15, 16, 17, 100])
@pytest.mark.parametrize("threads", [1, 2])
def test_it_equals_the_reference_for_any_number_of_rows(rows: int, threads: int) -> None:
    model = model_of(PLAIN, threads=threads)
    x = rows_of(rows, 20)
    found = model.predictor()(x)
    assert (found.dtype, found.shape) == (np.float32, (rows, 10))
    np.testing.assert_allclose(found, reference_of(model, PLAIN).predict(x), rtol=1e-5, atol=1e-7)
    assert np.array_equal(found, model.predict(x))


@pytest.mark.parametrize("rows", [1, 8, 21])
def test_several_inputs_and_outputs_go_by_name(rows: int) -> None:
    model = model_of(WIDE_AND_DEEP)
    x = wide_rows(rows)
    found = model.predictor()(x)
    expected = reference_of(model, WIDE_AND_DEEP).predict(x)
    assert list(found) == list(expected) == ["main", "aux"]
    for name in found:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-6)


def test_what_the_plan_reads_as_it_lies_is_not_copied() -> None:
    def places(text: str) -> list[bool]:
        plan = model_of(text, "reference").plan
        ends = ends_of(plan, plan.program("predict"))
        return [end.is_in_place for end in (*ends.inputs, *ends.outputs)]

    assert places(PLAIN) == [True, True]
    assert places(WIDE_AND_DEEP) == [True] * 5 + [False], "`aux` is a part of the concatenation"


def test_an_input_that_is_part_of_another_buffer_is_copied() -> None:
    model = model_of(PLAIN)
    x = rows_of(40, 20)
    plan = model.plan
    fed, made = (dict(ids)[name] for ids, name in
                 ((plan.program("predict").feeds, "x"), (plan.program("predict").fetches, "prediction.y")))  # fmt: skip
    buffers = list(plan.buffers)
    buffers[fed] = dataclasses.replace(buffers[fed], root=next(id for id in range(fed + 1, made)))
    plan = dataclasses.replace(plan, buffers=tuple(buffers))
    assert not ends_of(plan, plan.program("predict")).inputs[0].is_in_place
    session = NativeRuntime(2).prepare(plan)
    assert np.array_equal(session.predictor(lambda x: {"x": x})(x), model.predict(x))


@pytest.mark.parametrize("name", ["digits", "california"])
def test_a_bundled_spec_predicts_as_the_reference_does(name: str) -> None:
    model = nnc.compile(name, runtime="native", threads=1)
    reference = nnc.compile(name, runtime="reference")
    reference.weights = {name: model.weights[name] for name in model.weights}
    random = np.random.default_rng(0)
    x = {i.name: random.integers(0, 2, i.type.concrete(37)).astype(i.type.dtype) for i in model.plan.inputs}
    _same(model.predictor()(x), reference.predict(x))


def _same(found: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-6)
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_one_row_is_what_it_is_among_many() -> None:
    predict = model_of(PLAIN).predictor()
    x = rows_of(50, 20)
    together = predict(x)
    assert all(np.array_equal(predict(x[k : k + 1]), together[k : k + 1]) for k in range(50))


@pytest.mark.parametrize(
    "change",
    [
        np.asfortranarray,
        lambda x: x[::-1],
        lambda x: x.astype(np.float64),
        lambda x: x.tolist(),
        lambda x: _misaligned(x),
    ],
    ids=["fortran", "reversed", "float64", "lists", "misaligned"],
)
def test_arrays_of_another_layout_are_converted(change: Callable[[Array], Any]) -> None:
    model = model_of(PLAIN)
    x = change(rows_of(33, 20))
    straight = np.ascontiguousarray(x, np.float32)
    assert np.array_equal(model.predictor()(x), model.predictor()(straight))


def _misaligned(x: Array) -> Array:
    memory = np.zeros(x.nbytes + 1, np.uint8)
    shifted = np.ndarray(x.shape, x.dtype, memory.data, 1)
    shifted[...] = x
    return shifted


def test_read_only_input_will_do() -> None:
    x = rows_of(3, 20)
    x.flags.writeable = False
    assert model_of(PLAIN).predictor()(x).shape == (3, 10)


# --- out ------------------------------------------------------------------------------------------------------------
def test_out_is_written_and_given_back() -> None:
    predict = model_of(PLAIN).predictor()
    x = rows_of(40, 20)
    out = np.full((40, 10), -1, np.float32)
    assert predict(x, out) is out
    assert np.array_equal(out, predict(x))
    strided = np.full((40, 20), -1, np.float32)
    assert np.array_equal(predict(x, out=strided[:, ::2]), out)
    assert (strided[:, 1::2] == -1).all()


def test_out_by_name() -> None:
    predict = model_of(WIDE_AND_DEEP).predictor()
    x = wide_rows(11)
    out = {"main": np.empty((11, 3), np.float32), "aux": np.empty((11, 8), np.float32)}
    assert predict(x, out=out) is out
    _same(out, predict(x))


def test_out_may_be_the_input_itself() -> None:
    predict = model_of(AUTOENCODER).predictor()
    x = rows_of(9, 12)
    expected = predict(x.copy())
    shared = np.zeros((10, 12), np.float32)
    shared[:9] = x
    assert np.array_equal(predict(shared[:9], out=shared[1:]), expected)
    assert predict(x, out=x) is x
    assert np.array_equal(x, expected)


@pytest.mark.parametrize(
    ("out", "says"),
    [
        (np.empty((4, 9), np.float32), "expected float32[5, 10], found float32[4, 9]"),
        (np.empty((5, 10)), "expected float32[5, 10], found float64[5, 10]"),
        ([0.0], "expected float32[5, 10], found list"),
        ({"z": np.empty((5, 10), np.float32)}, "expected `y`"),
        (np.broadcast_to(np.float32(0), (5, 10)), "read-only"),
    ],
    ids=["shape", "dtype", "kind", "name", "read-only"],
)
@pytest.mark.parametrize("runtime", ["native", "reference"])
def test_an_out_that_does_not_fit_is_refused(out: Any, says: str, runtime: str) -> None:
    with pytest.raises(NncError) as caught:
        model_of(PLAIN, runtime).predictor()(rows_of(5, 20), out=out)
    diagnostic = caught.value.diagnostics[0]
    assert diagnostic.code == "E0822"
    assert says in " ".join((diagnostic.message, *diagnostic.notes))


# --- mistakes -------------------------------------------------------------------------------------------------------
def _spoilt(value: float) -> Array:
    x = rows_of(30, 20)
    x[29, 19] = value
    return x


@pytest.mark.parametrize(
    ("x", "code"),
    [
        (rows_of(3, 19), "E0708"),
        (rows_of(3, 20)[0], "E0708"),
        (np.float32(1), "E0708"),
        (np.array(1, np.float32), "E0708"),
        (np.empty((0, 20), np.float32), "E0707"),
        (_spoilt(np.nan), "E0712"),
        (_spoilt(-np.inf), "E0712"),
        (np.full((2, 20), "a"), "E0709"),
        ({"z": rows_of(3, 20)}, "E0705"),
        (None, "E0704"),
    ],
    ids=["width", "one sample", "number", "0-d", "no rows", "nan", "infinity", "text", "name", "nothing"],
)
def test_what_does_not_fit_is_told_as_the_model_tells_it(x: Any, code: str) -> None:
    told = []
    for predict in (model_of(PLAIN).predictor(), model_of(PLAIN, "reference").predict):
        with pytest.raises(DataError) as caught:
            predict(x)
        told.append(str(caught.value))
        assert caught.value.diagnostics[0].code == code
    assert told[0] == told[1]


@pytest.mark.parametrize("index", [-1, 7, 2**31 - 1])
def test_an_index_beyond_the_table_is_refused(index: int) -> None:
    x = wide_rows(4)
    x["word"][3, 4] = index
    with pytest.raises(DataError) as caught:
        model_of(WIDE_AND_DEEP).predictor()(x)
    assert caught.value.diagnostics[0].code == "E0713"


def test_inputs_of_different_lengths_are_refused() -> None:
    x = wide_rows(4) | {"wide": rows_of(5, 3)}
    with pytest.raises(DataError):
        model_of(WIDE_AND_DEEP).predictor()(x)


# --- weights --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("runtime", ["native", "reference"])
def test_a_handle_keeps_the_weights_of_its_moment(runtime: str) -> None:
    model = model_of(PLAIN, runtime)
    x, y = rows_of(64, 20), np.random.default_rng(1).integers(0, 10, 64)
    handle = model.predictor()
    before = model.predict(x)
    model.fit(x, y, epochs=2, verbose=False)
    after = model.predict(x)
    assert not np.array_equal(before, after)
    assert np.array_equal(handle(x), before)
    model.weights["h.kernel"] = np.zeros((20, 33), np.float32)
    assert not np.array_equal(model.predict(x), after)
    assert np.array_equal(handle(x), before)


def test_a_handle_outlives_its_model() -> None:
    model = model_of(PLAIN)
    x = rows_of(5, 20)
    expected, handle = model.predict(x), model.predictor()
    del model
    gc.collect()
    assert np.array_equal(handle(x), expected)


def test_a_copy_of_a_model_predicts_with_its_own_weights() -> None:
    model = model_of(PLAIN)
    x = rows_of(5, 20)
    expected = model.predict(x)
    other = copy.deepcopy(model)
    model.weights["h.kernel"] = np.zeros((20, 33), np.float32)
    assert np.array_equal(other.predict(x), expected)


# --- threads --------------------------------------------------------------------------------------------------------
def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run work(0), work(1), ... at once; the first exception of any comes out."""
    problems: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]


@pytest.mark.parametrize("threads", [1, 2])
def test_eight_threads_each_get_their_own_answers(threads: int) -> None:
    predict = model_of(PLAIN, threads=threads).predictor()
    inputs = [rows_of(number * 5 + 1, 20, seed=number) for number in range(8)]
    expected = [predict(x) for x in inputs]

    def hammer(number: int) -> None:
        for _ in range(2000):
            assert np.array_equal(predict(inputs[number]), expected[number])

    in_threads(8, hammer)


def test_large_calls_share_the_pool_one_at_a_time() -> None:
    handle = model_of(LARGE, threads=2).predictor()
    inputs = [rows_of(200, 512, seed=number) for number in range(4)]
    alone = model_of(LARGE, threads=1).predictor()
    expected = [alone(x) for x in inputs]

    def hammer(number: int) -> None:
        for _ in range(50):
            assert np.array_equal(handle(inputs[number]), expected[number])

    in_threads(4, hammer)
    assert handle._pool_place is not None, "the pool has worked"


def test_the_interpreter_is_free_meanwhile() -> None:
    """Another thread counts on while one prediction runs; with the interpreter held it would not count at all."""
    predict = model_of(LARGE).predictor()
    x = np.tile(rows_of(64, 512), (600, 1))
    predict(x[:64])
    ticks: list[float] = []
    is_over = threading.Event()

    def tick() -> None:
        while not is_over.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    ticker = threading.Thread(target=tick)
    ticker.start()
    start = time.perf_counter()
    predict(x, out=np.empty((len(x), 10), np.float32))
    end = time.perf_counter()
    is_over.set()
    ticker.join()
    margin = (end - start) / 10
    inside = [t for t in ticks if start + margin < t < end - margin]
    assert len(inside) >= 5, f"{len(inside)} ticks in {end - start:.3f} s"


def test_memory_does_not_grow() -> None:
    predict = model_of(WIDE_AND_DEEP, threads=1).predictor()
    x = wide_rows(20)
    strided = {name: array[::-1] for name, array in x.items()}
    for _ in range(200):
        predict(x), predict(strided)
    before = _resident_bytes()
    for _ in range(3000):
        predict(x), predict(strided)
    assert _resident_bytes() - before < 1 << 20


def _resident_bytes() -> int:
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("the system does not tell resident memory")
    lines: Iterator[str] = iter(status.read_text().splitlines())
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def test_the_session_says_what_it_can() -> None:
    from nnc.runtime.protocol import PredictingSession

    assert isinstance(model_of(PLAIN).session, NativeSession)
    assert isinstance(model_of(PLAIN).session, PredictingSession)
    assert not isinstance(model_of(PLAIN, "reference").session, PredictingSession)
