"""`nnc verify`: runtimes that agree pass, faults of every sort are found, and what is compared is said."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

sys.path.insert(0, str(Path(__file__).parents[1]))
from random_networks import RandomNetwork, random_networks

from nnc.cli import main
from nnc.commands.sources import bundled_names, bundled_path
from nnc.compiler.options import CompileOptions
from nnc.compiler.pipeline import Compiled, compile_source
from nnc.compiler.plan import Plan
from nnc.grammar.source import SourceFile
from nnc.runtime.agreement import ShakenSession, Tensor, compare, deviation
from nnc.runtime.data.made_up import made_up
from nnc.runtime.native.session import NativeRuntime
from nnc.runtime.native.toolchain import find_toolchain
from nnc.runtime.protocol import Array, Rows
from nnc.runtime.reference import ReferenceRuntime, ReferenceSession

needs_compiler = pytest.mark.skipif(find_toolchain().toolchain is None, reason=find_toolchain().reason)
SPEC = """
nn 1
model small
input x: float32[6]
hidden = x -> Dense(8, relu) -> Dropout(0.3)
output y = hidden -> Dense(3, softmax) { loss = sparse_categorical_crossentropy, metrics = [accuracy] }
train { optimizer = adam(learning_rate = 0.01), batch_size = 8, seed = 4 }
"""


def compiled(name: str = "", text: str = SPEC, batch_size: int | None = None) -> Compiled:
    path = bundled_path(name)
    source = SourceFile("small.nn", text) if path is None else SourceFile(path.name, path.read_text("utf-8"))
    return compile_source(source, CompileOptions(batch_size=batch_size))


def compared(runtime: object, what: Compiled | None = None, steps: int = 4) -> dict[tuple[str, str], Tensor]:
    what = what or compiled()
    samples = made_up(what.plan, what.network.outputs, steps * what.plan.batch_size - 3, 1)
    return {(tensor.program, tensor.name): tensor for tensor in compare(what.plan, samples, [runtime], steps)}


# --- runtimes that agree ----------------------------------------------------------------------------------------------
def test_the_reference_is_its_own_equal() -> None:
    tensors = compared(ReferenceRuntime())
    assert all(tensor.step["reference"] == tensor.free["reference"] == 0 for tensor in tensors.values())
    assert not any(tensor.disagreeing() for tensor in tensors.values())
    names = {name for _, name in tensors}
    assert names >= {"loss", "y.loss", "prediction.y", "hidden.dense.kernel", "y.bias", "step"}


@needs_compiler
@pytest.mark.parametrize("name", ["digits", "residual", "autoencoder", "siamese", "maxout", "wide_deep_aux"])
def test_native_agrees_on_bundled_specs(name: str) -> None:
    tensors = compared(NativeRuntime(1), compiled(name, batch_size=16))
    assert not [key for key, tensor in tensors.items() if tensor.disagreeing()]


@needs_compiler
@seed(5)
@settings(
    max_examples=10, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
@given(random_networks())
def test_native_agrees_on_random_networks(network: RandomNetwork) -> None:
    tensors = compared(NativeRuntime(1), compiled(text=network.text), steps=2)
    assert not [key for key, tensor in tensors.items() if tensor.disagreeing()], network.text


# --- faults -----------------------------------------------------------------------------------------------------------
class Faulty:
    """The reference with a fault: `session` has it."""

    name = "faulty"

    def __init__(self, session: type[ReferenceSession]) -> None:
        self._session = session

    def prepare(self, plan: Plan) -> ReferenceSession:
        return self._session(plan)


def found_out(session: type[ReferenceSession]) -> set[tuple[str, str]]:
    return {key for key, tensor in compared(Faulty(session)).items() if tensor.disagreeing() == ("faulty",)}


def test_a_weight_that_is_slightly_wrong() -> None:
    class Session(ReferenceSession):
        def run(self, program: str, rows: Rows) -> None:
            super().run(program, rows)
            if program == "train_step":
                self.write("y.kernel", self.read("y.kernel") * np.float32(1.003))

    assert ("train_step", "y.kernel") in found_out(Session)


def test_a_result_that_is_wrong_for_one_row() -> None:
    class Session(ReferenceSession):
        def fetch(self, program: str, name: str) -> Array:
            value = super().fetch(program, name).copy()
            if name == "prediction.y":
                value[-1] *= np.float32(1.0001)
            return value

    assert found_out(Session) == {("predict", "prediction.y")}


def test_a_variable_that_a_program_has_no_business_with() -> None:
    class Session(ReferenceSession):
        def run(self, program: str, rows: Rows) -> None:
            super().run(program, rows)
            if program == "predict":
                self.write("y.bias", self.read("y.bias") + np.float32(0.001))

    assert ("predict", "y.bias") in found_out(Session)


def test_a_step_that_is_left_out_of_many_in_one_call() -> None:
    """Alone each step is right."""

    class Session(ReferenceSession):
        def run(self, program: str, rows: Rows) -> None:
            size = self.plan.batch_size
            super().run(program, rows if len(rows) <= size else rows[: -(len(rows) % size) or -size])

    tensors = compared(Faulty(Session))
    weights = tensors["train_step", "y.kernel"]
    assert weights.step["faulty"] == 0
    assert weights.free["faulty"] > weights.free_limit


def test_other_dropout_masks() -> None:
    class Session(ReferenceSession):
        def run(self, program: str, rows: Rows) -> None:
            self.write("step", self.read("step") + 7)
            super().run(program, rows)
            self.write("step", self.read("step") - 7)

    assert ("train_step", "loss") in found_out(Session)


def test_nan_is_far_from_a_number() -> None:
    numbers = np.array([1.0, -4.0], np.float32)
    assert deviation(numbers + np.float32(1), numbers) == 0.25
    assert deviation(np.array([np.nan, -4.0]), numbers.astype(np.float64)) == np.inf
    assert deviation(numbers, np.array([np.inf, -4.0], np.float32)) == np.inf
    strange = np.array([np.nan, np.inf, -np.inf, 2.0], np.float32)
    assert deviation(strange, strange) == 0
    assert deviation(np.array([3]), np.array([0])) == 3
    assert deviation(np.zeros((0, 2)), np.zeros((0, 2))) == 0


def test_last_bits_are_left_to_chance_and_nothing_else() -> None:
    plan = compiled().plan
    arrays = {"x": np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)}
    sessions = (ReferenceRuntime().prepare(plan), ShakenSession(plan, 1))
    for session in sessions:
        session.bind("predict", arrays)
        session.run("predict", np.arange(8))
    exact, shaken = (session.fetch("predict", "prediction.y") for session in sessions)
    assert not np.array_equal(exact, shaken)
    np.testing.assert_allclose(shaken, exact, rtol=1e-6)


def test_tf32_leaves_more_bits_to_chance() -> None:
    """A runtime that rounds what products read to TF32 agrees if the plan says so, and else does not."""

    class Rounding(ReferenceSession):
        def run(self, program: str, rows: Rows) -> None:
            kernel = self.read("y.kernel")
            bits = kernel.view(np.uint32)
            rounded = ((bits + 0x1000) & np.uint32(0xFFFFE000)).view(np.float32)
            self.write("y.kernel", rounded)
            super().run(program, rows)
            self.write("y.kernel", kernel if program != "train_step" else self.read("y.kernel") - rounded + kernel)

    loose = compiled(text=SPEC.replace("seed = 4", "seed = 4, precision = tf32"))
    assert not [tensor for tensor in compared(Faulty(Rounding), loose).values() if tensor.disagreeing()]
    assert ("predict", "prediction.y") in found_out(Rounding)


def test_largest_numbers_are_moved_as_they_are() -> None:
    """A gradient flows to where a number equals the largest: with another last bit it would flow nowhere."""
    tensors = compared(ReferenceRuntime(), compiled("maxout", batch_size=16))
    assert tensors["train_step", "hidden.maxout.kernel.velocity"].step_limit < 1e-4


# --- data -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", bundled_names())
def test_made_up_samples_pass_the_audit(name: str) -> None:
    what = compiled(name)
    samples = made_up(what.plan, what.network.outputs, 21, 3)
    assert len(samples) == 21
    again = made_up(what.plan, what.network.outputs, 21, 3)
    other = made_up(what.plan, what.network.outputs, 21, 4)
    for feed, values in samples.feeds.items():
        np.testing.assert_array_equal(values, again.feeds[feed])
    assert any(not np.array_equal(values, other.feeds[feed]) for feed, values in samples.feeds.items())


# --- the command ------------------------------------------------------------------------------------------------------
@needs_compiler
def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "digits", "--steps", "3", "--runtimes", "native", "--threads", "1"]) == 0
    out, err = capsys.readouterr()
    assert "3 steps of 32 samples of its own data" in err
    assert "native, step  allowed  native, free  allowed" in out.splitlines()[0]
    assert "\nnative agrees with the reference in all " in out


@needs_compiler
def test_json_and_random_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "small.nn").write_text(SPEC)
    command = ["verify", str(tmp_path / "small.nn"), "--steps", "2", "--runtimes", "native", "--json", "--seed", "9"]
    assert main([*command, "--batch-size", "5"]) == 0
    facts = json.loads(capsys.readouterr().out)
    expected = {"model": "small", "data": "random data", "steps": 2, "batch_size": 5, "seed": 9}
    assert facts | expected == facts
    assert facts["agrees"] == {"native": True}
    assert {"program", "name", "kind", "step", "step_limit", "free", "free_limit"} == set(facts["tensors"][0])


def test_a_spec_without_a_loss(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    what = compiled(text="nn 1\nmodel plain\ninput x: float32[3]\noutput y = x -> Dense(2)\n")
    assert set(compared(ReferenceRuntime(), what)) == {("predict", "prediction.y")}


def test_disagreement_ends_with_4(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Session(ReferenceSession):
        def fetch(self, program: str, name: str) -> Array:
            return np.asarray(super().fetch(program, name) + 1)

    faulty = Faulty(Session)
    monkeypatch.setattr("nnc.runtimes.Execution.open", lambda execution: faulty)
    assert main(["verify", "digits", "--steps", "1", "--runtimes", "native"]) == 4
    out, err = capsys.readouterr()
    assert "!" in out
    assert "error[E0949]: the runtime `faulty` does not agree with the reference" in err


@pytest.mark.parametrize(
    ("runtimes", "code", "exit_code"), [("reference", "E0806", 2), ("opencl", "E0823", 2), ("native,gpu", "E0823", 2)]
)
def test_runtimes_that_make_no_sense(
    runtimes: str, code: str, exit_code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", "digits", "--runtimes", runtimes]) == exit_code
    assert code in capsys.readouterr().err


def test_nothing_to_compare_is_no_success(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setattr("nnc.runtime.cuda.driver.LIBRARY", "libcuda-that-is-not-there.so.1")
    assert main(["verify", "digits"]) == 4
    err = capsys.readouterr().err
    assert "E0930" in err
    assert "E0940" in err
