"""Where a command writes: results to stdout, narration and diagnostics to stderr."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from nnc.grammar.diagnostics import Diagnostic, UsageError


def result(text: str, end: str = "\n") -> None:
    """Print what the user asked for, where a pipe can take it. Raises: UsageError E0807 where nothing takes it."""
    try:
        sys.stdout.write(text + end)
    except BrokenPipeError:    # the reader has seen enough
        raise
    except OSError as error:
        raise output_refusal(error) from None


def output_refusal(error: OSError) -> UsageError:
    """What to say if standard output takes nothing more, such as a file on a full disk; it is closed then."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    reason = (error.strerror or "unknown reason").lower()
    return UsageError(Diagnostic("E0807", f"cannot write to standard output: {reason}"))


def open_closed_streams() -> UsageError | None:
    """Put nowhere in the place of a standard stream that the caller has closed; what to say if it was the results'."""
    is_closed = sys.stdout is None
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for the whole process
    return UsageError(Diagnostic("E0807", "cannot write to standard output: it is closed")) if is_closed else None


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
