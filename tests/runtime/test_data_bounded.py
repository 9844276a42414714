"""A file larger than the memory it may use is trained on: the benchmark of streaming, scaled down."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "streaming.py"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits and counts the address space as Linux does")
@pytest.mark.parametrize("kind", ["npy", "npz", "idx", "parquet"])
def test_a_file_larger_than_memory_is_trained_on(kind: str) -> None:
    benchmark = runpy.run_path(str(BENCHMARK))
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    found = benchmark["measure"](kind, 96, allowed=64 << 20, ahead=8 << 20)
    assert found["sample_bytes"] == 96 << 20 > found["allowed_beyond_bytes"] + found["plan_peak_bytes"]
    assert not found["samples_fit_into_memory"]
    assert found["address_space_peak_beyond_baseline_bytes"] <= found["plan_peak_bytes"] + (64 << 20)
    assert 0 < found["loss"] < 10
