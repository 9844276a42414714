"""The benchmark against the peers: a tiny row on nnc's reference runtime alone, and what it counts and compares."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.peers import __main__ as command
from benchmarks.peers import ceilings, report, rounds, worker
from benchmarks.peers.job import Job, load
from benchmarks.peers.rows import ROWS, job_from_text, job_of

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="workers are bound to processors")

TINY = """
model tiny
input x: float32[3]
input z: float32[2]
h = x -> Dense(4, relu) -> Dense(4, relu)
output y = (h, z) -> Concatenate -> Dense(5, softmax) { loss = sparse_categorical_crossentropy, weight = 0.5 }
output w = h -> Dense(1) { loss = mse }
train { optimizer = adam, batch_size = 2, seed = 3 }
"""


@pytest.fixture
def tiny() -> Job:
    return job_from_text("tiny", TINY)


def test_a_row_is_measured_on_the_reference_alone(tiny: Job) -> None:
    result = rounds.measure(tiny, ["nnc-reference"], {"nnc-reference": sys.executable}, 1, rounds=2, seconds=0.01)
    assert not result.missing
    turns = result.rounds["nnc-reference"]
    assert len(turns) == 2
    assert all(0 < turn["p10"] <= turn["median"] <= turn["p90"] for turn in turns)
    limit = ceilings.Ceilings(1, 1e9, dict.fromkeys(ceilings.SIZES, 1e9), dict.fromkeys(ceilings.SIZES, 2e9))
    record = report.record(result, [limit], tiny)
    machine = dict.fromkeys(("processor", "processors", "system", "python", "compiler"), "")
    figures = {"date": "", "machine": machine, "settings": {"rounds": 2, "seconds": 0.01}, "rows": [record]}
    shown = report.microseconds(result.overall["nnc-reference"]["median"])
    assert f"| tiny | 1 | **{shown}**" in report.tables(figures)


def test_a_peer_that_is_not_there_is_missing_with_the_reason(tiny: Job) -> None:
    pythons = dict.fromkeys(worker.PEERS, sys.executable)
    result = rounds.measure(tiny, ["onnxruntime"], pythons, 1, rounds=1, seconds=0.01)
    assert result.missing["onnxruntime"]
    assert result.overall == {}


def test_a_peer_that_computes_something_else_is_lost() -> None:
    result = rounds.Result("tiny", 1)
    answer = {"check": [1.0, 2.0], "versions": {}, "seconds": 0.0}
    rounds._compare("jax", answer, [1.0, 2.0001], result)
    for wrong in ([1.0, 2.001], [1.0], [1.0, float("nan")]):
        with pytest.raises(rounds.LostError, match="something else"):
            rounds._compare("jax", {**answer, "check": wrong}, [1.0, 2.0], result)


def test_a_job_comes_back_from_its_folder(tiny: Job, tmp_path: Path) -> None:
    tiny.save(tmp_path)
    again = load(tmp_path)
    assert {**again.__dict__, "arrays": 0} == {**tiny.__dict__, "arrays": 0}
    assert again.arrays.keys() == tiny.arrays.keys()
    assert all(np.array_equal(again.arrays[key], tiny.arrays[key]) for key in tiny.arrays)


def test_work_is_counted(tiny: Job) -> None:
    """By hand: the product of 3x4 twice (no gradient of x), those of 4x4, 6x5 and 4x1 three times; two rows each."""
    assert tiny.flops() == 2 * 2 * (2 * 12 + 3 * (16 + 30 + 4))
    assert tiny.parameters() == 16 + 20 + 35 + 5
    assert tiny.bytes() == 4 * (2 * 5 + 76 + (16 + 30 + 4) + 2 * 3 * 76)
    limit = ceilings.Ceilings(1, 1e9, dict.fromkeys(ceilings.SIZES, 1e9), dict.fromkeys(ceilings.SIZES, 2e9))
    assert limit.floor(tiny) == (tiny.flops() / 1e9, tiny.bytes() / 2e9)


def test_no_batch_is_like_another(tiny: Job) -> None:
    first, second, third = (tiny.batch("input", k)["x"] for k in range(3))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, third)
    assert (tiny.batch("target", 0)["y"] != tiny.batch("target", 1)["y"]).all()


@pytest.mark.parametrize("row", [row for row in ROWS if row != "large"])
def test_every_row_has_a_spec(row: str) -> None:
    job = job_of(row)
    assert job.steps % job.batches == 0
    assert job.batches >= 4


def test_unknown_names_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ("--rows dogits", "--peers numpy", "--threads 1000", "--threads x", "--parts figures"):
        with pytest.raises(SystemExit) as stopped:
            command.parse(words.split())
        assert stopped.value.code == 2
    assert "there is no dogits; there is digits, mnist" in capsys.readouterr().err
