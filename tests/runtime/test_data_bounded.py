"""A file larger than the memory it may use is trained on: the benchmark of streaming, scaled down."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "streaming.py"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits and counts the address space as Linux does")
def test_a_file_larger_than_memory_is_trained_on() -> None:
    benchmark = runpy.run_path(str(BENCHMARK))
    found = benchmark["measure"](640)
    assert found["file_bytes"] > found["allowed_beyond_bytes"] + found["plan_peak_bytes"]
    assert not found["mapping_the_file_fits"]
    assert found["rows"] == 163_840
    assert found["address_space_peak_beyond_baseline_bytes"] < found["plan_peak_bytes"] + found["allowed_beyond_bytes"]
    assert 0 < found["loss"] < 1
