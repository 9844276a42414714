"""Training over the protocol alone: which rows each step gets, what an epoch reports, when it ends."""

from __future__ import annotations

import dataclasses
import io
import os
import signal
import threading

import numpy as np
import pytest
from linear_session import OUTPUTS, LinearSession, config

from nnc.compiler.options import Choice
from nnc.grammar.diagnostics import DivergedError, NncError
from nnc.runtime import train
from nnc.runtime.data import Samples, from_arrays
from nnc.runtime.history import Epoch
from nnc.runtime.interrupt import Interrupted
from nnc.runtime.progress import Lines


def line(session: LinearSession, count: int = 10) -> Samples:
    """y = 2 x + 1."""
    x = np.linspace(-1, 1, count, dtype=np.float32)
    return from_arrays(session.plan, OUTPUTS, x, 2 * x + 1)


def rows_of(session: LinearSession, program: str) -> list[tuple[int, ...]]:
    return [rows for name, rows in session.seen if name == program]


def test_every_epoch_meets_every_sample_once_and_the_last_batch_has_what_is_left() -> None:
    session = LinearSession()
    train.fit(session, line(session), None, config(epochs=2))
    batches = rows_of(session, "train_step")
    assert [len(rows) for rows in batches] == [4, 4, 2, 4, 4, 2]
    first, second = sum(batches[:3], ()), sum(batches[3:], ())
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second != tuple(range(10))


def test_without_shuffle_samples_come_in_their_order() -> None:
    session = LinearSession()
    train.fit(session, line(session), None, config(epochs=1, shuffle=False))
    assert sum(rows_of(session, "train_step"), ()) == tuple(range(10))


def test_a_part_of_a_split_meets_only_its_own_rows() -> None:
    session = LinearSession()
    samples = dataclasses.replace(line(session), index=np.array([7, 2, 5]))
    train.fit(session, samples, None, config(epochs=1))
    assert set(sum(rows_of(session, "train_step"), ())) == {2, 5, 7}
    assert sum(rows_of(session, "adapt_step")[:1], ()) == (7, 2, 5)


def test_going_on_gives_what_one_call_would_have_given() -> None:
    at_once, in_two = LinearSession(), LinearSession()
    whole = train.fit(at_once, line(at_once), None, config(epochs=4))
    first = train.fit(in_two, line(in_two), None, config(epochs=3))
    second = train.fit(in_two, line(in_two), None, config(epochs=1), first_epoch=3)
    assert at_once.seen[-3:] == in_two.seen[-3:]
    assert whole["loss"] == first["loss"] + second["loss"]
    assert [epoch.number for epoch in second.epochs] == [4]
    assert len(rows_of(in_two, "adapt_step")) == len(rows_of(at_once, "adapt_step")) == 6


def test_the_total_is_the_weighted_sum_of_its_terms() -> None:
    session = LinearSession()
    samples = line(session)
    train.fit(session, samples, None, config())
    report = train.evaluate(session, samples)
    loss, mae, penalty = report.terms
    assert report.total == 0.5 * loss.value + penalty.value
    assert penalty.value == pytest.approx(0.01 * session.values["w"] ** 2, rel=1e-14)
    assert report.rows == 10
    assert list(report.figures("val_")) == ["val_loss", "val_main.loss", "val_main.mae", "val_w_regularizer"]
    x = np.linspace(-1, 1, 10, dtype=np.float32).astype(np.float64)
    error = session.values["w"] * x + session.values["b"] - (2 * x + 1).astype(np.float32)
    assert loss.value == pytest.approx(np.mean(error**2), rel=1e-6)
    assert mae.value == pytest.approx(np.mean(np.abs(error)), rel=1e-6)


def test_history_has_training_and_validation_figures() -> None:
    session = LinearSession()
    samples = line(session, 40)
    history = train.fit(session, samples, samples, config(epochs=30))
    assert len(history) == 30
    assert history["main.loss"][-1] < 0.02 < history["main.loss"][0]
    assert history["val_loss"][-1] < history["val_loss"][0]
    assert history.last()["val_main.mae"] == history["val_main.mae"][-1]
    with pytest.raises(NncError) as caught:
        history["val_los"]
    assert caught.value.diagnostics[0].code == "E0820"
    assert "`val_loss`" in caught.value.diagnostics[0].helps[0]


def test_predict_gives_one_row_per_sample() -> None:
    session = LinearSession()
    session.values["w"], session.values["b"] = np.array(3.0), np.array(1.0)
    results = train.predict(session, line(session))
    assert results["main"].dtype == np.float32
    expected = 3 * np.linspace(-1, 1, 10) + 1
    np.testing.assert_allclose(results["main"][:, 0], expected, atol=1e-6)


def test_normalize_learns_mean_and_variance_in_two_passes() -> None:
    session = LinearSession()
    x = np.arange(9, dtype=np.float32)
    train.adapt(session, from_arrays(session.plan, OUTPUTS, x, needs_targets=False))
    assert session.values["norm.mean"] == 4.0
    assert session.values["norm.variance"] == pytest.approx(np.var(np.arange(9)))


def test_a_loss_that_is_no_number_ends_training_with_the_epoch_and_the_step() -> None:
    session = LinearSession(rate=1e200)
    with np.errstate(all="ignore"), pytest.raises(DivergedError) as caught:
        train.fit(session, line(session), None, config(epochs=50))
    found = caught.value.diagnostics[0]
    assert (found.code, caught.value.exit_code) == ("E0690", 5)
    assert found.place == "epoch 1, step 2 of 3"    # where the sum of squares overflows
    assert any("learning rate: it is 0.1" in text for text in found.helps)
    assert any("clip_norm" in text for text in found.helps)


def test_early_stopping_ends_after_patience_and_restores_the_best_weights() -> None:
    stop = Choice("early_stopping", (("monitor", None), ("patience", 2), ("min_delta", 0.0), ("restore_best", True)))
    session = LinearSession()
    best: dict[str, float] = {}

    def spoil(epoch: Epoch) -> None:
        if epoch.number == 3:
            best["w"] = float(session.values["w"])
            session.rate = -0.5    # uphill from here
    samples = line(session)
    history = train.fit(session, samples, samples, config(epochs=50, early_stopping=stop), on_epoch=spoil)
    assert len(history) == 5
    assert history.stopped == (
        "stopped after epoch 5: val_loss has not improved since epoch 3; the weights are those of epoch 3"
    )
    assert session.values["w"] == best["w"]


def test_early_stopping_without_validation_data_watches_the_training_loss() -> None:
    stop = Choice("early_stopping", (("monitor", "val_loss"), ("patience", 1), ("min_delta", 1e9)))
    session = LinearSession()
    said = io.StringIO()
    history = train.fit(session, line(session), None, config(epochs=9, early_stopping=stop), Lines(said))
    assert said.getvalue().startswith("there is no validation data: early_stopping watches `loss`\n")
    assert history.stopped == "stopped after epoch 2: loss has not improved since epoch 1"


@pytest.mark.parametrize("monitor", ["val_mae", "val_main.mae", "val_mean_absolute_error", "val_main.MAE"])
def test_a_metric_may_be_watched_without_its_output_and_by_any_of_its_names(monitor: str) -> None:
    stop = Choice("early_stopping", (("monitor", monitor), ("patience", 1), ("min_delta", 1e9)))
    session = LinearSession()
    samples = line(session)
    history = train.fit(session, samples, samples, config(epochs=9, early_stopping=stop))
    assert history.stopped.startswith("stopped after epoch 2: val_main.mae")


def test_an_unknown_monitor_is_refused_before_the_first_step() -> None:
    stop = Choice("early_stopping", (("monitor", "val_mea"),))
    session = LinearSession()
    samples = line(session)
    with pytest.raises(NncError) as caught:
        train.fit(session, samples, samples, config(early_stopping=stop))
    assert caught.value.diagnostics[0].code == "E0691"
    assert session.seen == []


def test_plateau_lowers_the_learning_rate_down_to_its_floor() -> None:
    arguments = (("initial_learning_rate", 0.1), ("monitor", "loss"), ("factor", 0.1), ("patience", 2),
                 ("min_delta", 1e9), ("cooldown", 0), ("min_lr", 0.005))
    optimizer = Choice("sgd", (("learning_rate", Choice("plateau", arguments)),))
    session = LinearSession()
    scales: list[float] = []
    train.fit(session, line(session), None, config(epochs=8, optimizer=optimizer),
              on_epoch=lambda epoch: scales.append(float(session.values["learning_rate_scale"])))
    np.testing.assert_allclose(scales, [1, 1, 1, 0.1, 0.1, 0.05, 0.05, 0.05])


def test_an_interrupt_waits_for_the_end_of_the_step_and_keeps_the_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "_CALL_SECONDS", 0.0)    # a step in each call of the session
    def interrupt(step: int) -> None:
        if step == 5:
            os.kill(os.getpid(), signal.SIGINT)
    session = LinearSession(on_step=interrupt)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted) as caught:
        train.fit(session, line(session), None, config(epochs=9))
    assert session.values["step"] == 5
    assert len(caught.value.history) == 1
    assert isinstance(caught.value, KeyboardInterrupt)
    assert signal.getsignal(signal.SIGINT) is before


def test_training_works_outside_the_main_thread() -> None:
    session = LinearSession()
    worker = threading.Thread(target=train.fit, args=(session, line(session), None, config()))
    worker.start()
    worker.join()
    assert session.values["step"] == 9


def test_lines_are_one_per_epoch() -> None:
    session = LinearSession()
    stream = io.StringIO()
    train.fit(session, line(session), None, config(epochs=12), Lines(stream))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 12
    assert lines[0].startswith("epoch  1/12  loss ")
    assert "  main.mae " in lines[0]
