"""benchmarks/native/equality.py: what it says of compiled C, and of a session that is slightly wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.native import equality
from nnc.runtime.native.session import NativeSession
from nnc.runtime.native.toolchain import find_toolchain
from nnc.runtime.protocol import Array

pytestmark = pytest.mark.skipif(find_toolchain().toolchain is None, reason=find_toolchain().reason)


def figures(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, Any]:
    """The exit code and what is recorded of one network over three steps."""
    out = folder / "equality.json"
    words = ["equality", "--networks", "7", "--only", "6", "--steps", "3", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", words)
    return equality.main(), json.loads(out.read_text("utf-8"))


def test_compiled_c_is_equal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exit_code, found = figures(tmp_path, monkeypatch)
    assert exit_code == 0
    assert (found["equal"], found["differing"], found["threads_differ"]) == (1, [], [])
    (dtype,) = found.keys() & {"float32", "float64"}
    assert found[dtype]["tensors_compared"] > 0


def test_a_variable_that_is_off_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = NativeSession.read

    def wrong(session: NativeSession, name: str) -> Array:
        value = right(session, name)
        return np.asarray(value * 1.00003, value.dtype) if name.endswith(".kernel") else value

    monkeypatch.setattr(NativeSession, "read", wrong)
    exit_code, found = figures(tmp_path, monkeypatch)
    assert exit_code == 1
    assert found["differing"] == [6]
    assert {place["where"].rpartition(".")[2] for place in found["worst"][0]["differing"]} == {"kernel"}


def test_threads_that_disagree_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = NativeSession.fetch

    def wrong(session: NativeSession, program: str, name: str) -> Array:
        value = right(session, program, name)
        return value if session._threads < 4 else np.nextafter(value, 9).astype(value.dtype)

    monkeypatch.setattr(NativeSession, "fetch", wrong)
    exit_code, found = figures(tmp_path, monkeypatch)
    assert (exit_code, found["threads_differ"]) == (1, [6])
