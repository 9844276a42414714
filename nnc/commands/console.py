"""Where a command writes: results to stdout, narration and diagnostics to stderr."""

from __future__ import annotations

import os
import sys
from typing import TextIO


def result(text: str, end: str = "\n") -> None:
    """Print what the user asked for, where a pipe can take it."""
    sys.stdout.write(text + end)


def result_json(value: object) -> None:
    """Print a result for a script: one JSON value, NaN and infinity as null."""
    import json

    result(json.dumps(_strict(value), indent=2, ensure_ascii=False))


def result_line(value: object) -> None:
    """Print one of several results for a script: a line of JSON as soon as it is there, NaN and infinity as null."""
    import json

    result(json.dumps(_strict(value), ensure_ascii=False))
    sys.stdout.flush()


def _strict(value: object) -> object:
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_strict(item) for item in value]
    return None if isinstance(value, float) and value - value != 0 else value


def narrate(text: str) -> None:
    """Say what is going on, out of the way of results."""
    sys.stdout.flush()
    sys.stderr.write(text + "\n")


def wants_colour(stream: TextIO) -> bool:
    """Colour belongs on a terminal, and never under NO_COLOR."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
