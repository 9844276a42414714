"""What training says while it runs: numbers as people read them, a bar only where there is a terminal."""

from __future__ import annotations

import io

import pytest

from nnc.runtime.history import Epoch, History
from nnc.runtime.progress import Bar, Lines, Silent, duration_text, epoch_line, figures_text, number_text, progress_for


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def test_a_bar_only_on_a_terminal_that_may_be_coloured(monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(progress_for(Terminal())) is Bar
    assert type(progress_for(io.StringIO())) is Lines
    assert type(progress_for(Terminal(), "plain")) is Lines
    assert type(progress_for(Terminal(), False)) is Silent
    monkeypatch.setenv("NO_COLOR", "1")
    assert type(progress_for(Terminal())) is Lines


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0042, "4 ms"), (0.9999, "1.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"),
     (3599.7, "1 h 00 min"), (7625, "2 h 07 min")],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.5000"), (0.0, "0.0000"), (1.5e-7, "1.500e-07"), (-3e9, "-3.000e+09"), (12.0, "12.0000")],
)
def test_numbers(value: float, text: str) -> None:
    assert number_text(value) == text


def test_a_loss_that_is_the_total_is_said_once() -> None:
    one = {"loss": 0.25, "y.loss": 0.25, "y.mae": 0.25, "val_loss": 0.5, "val_y.loss": 0.5}
    assert figures_text(one) == "loss 0.2500  y.mae 0.2500  val_loss 0.5000"
    assert figures_text({"loss": 0.25, "y.loss": 0.5}) == "loss 0.2500  y.loss 0.5000"
    assert epoch_line(Epoch(3, {"loss": 1.0}, 2.0), 20) == "epoch  3/20  loss 1.0000  2.0 s"


def test_the_bar_shows_figures_speed_and_time_left_and_leaves_a_line_per_epoch() -> None:
    stream = Terminal()
    bar = Bar(stream)
    bar.start(1, 2, 100)
    for epoch in (1, 2):
        bar.begin(epoch)
        bar.update(50, {"loss": 0.125})
        bar._bar.refresh()
        bar.end(Epoch(epoch, {"loss": 0.5}, 1.5))
    bar.note("done")
    bar.close()
    shown = stream.getvalue()
    for part in ("epoch 1/2", "50%", "loss 0.1250", "samples/s", "left", "epoch 2/2  loss 0.5000  1.5 s", "done"):
        assert part in shown


def test_a_history_survives_json() -> None:
    history = History([Epoch(1, {"loss": 0.1, "val_loss": 0.3}, 1.5)], "because")
    again = History.from_json(history.to_json())
    assert again == history
    again.extend(History([Epoch(2, {"loss": 0.05}, 1.0)]))
    assert again["loss"] == [0.1, 0.05]
    assert again["val_loss"] == [0.3]
    assert again.stopped == ""
