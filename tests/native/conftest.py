"""Compiled programs of these tests are kept for one run, all its processes together."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    if "NNC_CACHE_DIR" not in os.environ:
        os.environ["NNC_CACHE_DIR"] = str(tmp_path_factory.getbasetemp().parent / "nnc-cache")
