"""Ctrl-C between two steps instead of within one, so that weights are never half updated."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from .history import History


class Interrupted(KeyboardInterrupt):
    """The user ended training. The model is as the last finished step left it; `history` holds the finished epochs."""

    def __init__(self, history: History) -> None:
        super().__init__("interrupted")
        self.history = history


class Patience:
    """`asked` is true once Ctrl-C was pressed."""

    def __init__(self) -> None:
        self.asked = False


@contextmanager
def between_steps() -> Iterator[Patience]:
    """Turn the first Ctrl-C into `asked`; a second one interrupts at once. Without effect outside the main thread."""
    patience = Patience()
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is None:
        yield patience
        return

    def note(number: int, frame: FrameType | None) -> None:
        if patience.asked:
            raise KeyboardInterrupt
        patience.asked = True

    before = signal.signal(signal.SIGINT, note)
    try:
        yield patience
    finally:
        signal.signal(signal.SIGINT, before)
