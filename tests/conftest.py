"""Puts the checkout first, so that tests run uninstalled too; compares with recorded texts (`pytest --bless`)."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("NNC_RUNTIME", "reference")   # nothing to compile; the tests of the others name theirs


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bless", action="store_true", help="write the recorded texts anew: read the diff")
    parser.addoption(
        "--sanitize", type=int, metavar="N", help="run every bundled spec and N random networks under each sanitizer"
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """`golden(path, text)`: the file holds exactly this text. A missing file fails; `--bless` writes it."""

    def compare(path: Path, text: str) -> None:
        if request.config.getoption("--bless"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="")
        assert path.is_file(), f"{path} is not recorded: run pytest --bless and read what it writes"
        assert text == path.read_text(encoding="utf-8")

    return compare
