"""The whole product passes mypy --strict."""

from __future__ import annotations

import typing_check


def test_mypy_strict_has_no_complaint() -> None:
    assert typing_check.check() == ""
