"""The recorded values: arrays by name, and the index that says what they are."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np


@cache
def arrays() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).with_name("recorded.npz")) as file:
        return dict(file)


@cache
def index() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(str(arrays()["index"]))
    return found


def cases(kind: str) -> list[Any]:
    """The recorded cases of one kind, each with a name that tells them apart."""
    import pytest

    def label(number: int, case: dict[str, Any]) -> str:
        arguments = "-".join(f"{k}={v}" for k, v in case.get("arguments", {}).items())
        return case["name"] if kind == "trajectories" else f"{number}-{case['name']}-{arguments}"

    return [pytest.param(case, id=label(n, case)) for n, case in enumerate(index()[kind])]
