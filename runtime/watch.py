"""What watches a figure from epoch to epoch: early stopping and the plateau schedule.

Both take Keras's rules: an improvement is more than `min_delta`, and `patience` counts the epochs without one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from nnc.compiler.formulas.metrics import METRICS
from nnc.compiler.options import Choice, TrainConfig
from nnc.grammar.diagnostics import NncError
from nnc.runtime.protocol import Array, Session

from .history import Epoch, figure_among, unknown_figure

_RESTORED: Final = frozenset({"weight", "statistic"})


def monitored(choice: Choice, figures: tuple[str, ...]) -> str:
    """The name among `figures` that `choice` watches.

    A metric may be named without its output where that is unambiguous (`val_accuracy`), and by any of its names
    (`val_f1`); without validation data the usual `val_loss` means `loss`. Raises: NncError E0691 for a figure that
    training does not report.
    """
    name = str(dict(choice.arguments).get("monitor") or "val_loss")
    if name == "val_loss" and name not in figures:
        return "loss"
    found = figure_among(name, figures)
    if found is not None:
        return found
    raise NncError(unknown_figure(name, figures, "E0691"))


@dataclass(slots=True)
class Watch:
    """Whether a figure still improves. `waited` counts the epochs since it last did."""

    figure: str
    patience: int
    min_delta: float
    best: float = math.nan
    best_epoch: int = 0
    waited: int = 0
    note: str = ""

    @classmethod
    def of(cls, choice: Choice, figures: tuple[str, ...]) -> Watch:
        arguments = dict(choice.arguments)
        figure = monitored(choice, figures)
        lacks_data = figure == "loss" and arguments.get("monitor") == "val_loss"
        note = f"there is no validation data: {choice.name} watches `loss`" if lacks_data else ""
        return cls(figure, _number(arguments, "patience", 0), float(_number(arguments, "min_delta", 0.0)), note=note)

    def improves(self, epoch: Epoch) -> bool:
        """Note an epoch; true if it is the best so far."""
        value = epoch.figures[self.figure]
        metric = METRICS.get(self.figure.rpartition(".")[2])
        sign = -1.0 if metric is not None and metric.grows else 1.0
        if math.isnan(self.best) or sign * (self.best - value) > self.min_delta:
            self.best, self.best_epoch, self.waited = value, epoch.number, 0
            return True
        self.waited += 1
        return False

    def to_json(self) -> dict[str, Any]:
        """What it has seen; the settings follow from the spec."""
        best = None if math.isnan(self.best) else self.best
        return {"best": best, "best_epoch": self.best_epoch, "waited": self.waited}

    def restore(self, value: Mapping[str, Any]) -> None:
        """Inverse of `to_json`. Raises: KeyError, TypeError or ValueError on anything else."""
        self.best = math.nan if value["best"] is None else float(value["best"])
        self.best_epoch, self.waited = int(value["best_epoch"]), int(value["waited"])


def _number(arguments: Mapping[str, Any], name: str, default: Any) -> Any:
    value = arguments.get(name)
    return default if value is None else value


@dataclass(slots=True)
class EarlyStopping:
    """Ends training when a figure has not improved for `patience` epochs; gives back the best weights if asked to."""

    watch: Watch
    restores_best: bool
    kept: dict[str, Array] = field(default_factory=dict)

    @classmethod
    def of(cls, config: TrainConfig, figures: tuple[str, ...]) -> EarlyStopping | None:
        choice = config.early_stopping
        if choice is None:
            return None
        arguments = dict(choice.arguments)
        restores = bool(arguments.get("restore_best") or arguments.get("restore_best_weights"))
        return cls(Watch.of(choice, figures), restores)

    def ends(self, session: Session, epoch: Epoch) -> str:
        """Why training ends with `epoch`; empty if it goes on."""
        if self.watch.improves(epoch):
            if self.restores_best:
                names = [variable.name for variable, _ in session.plan.variables if variable.role in _RESTORED]
                self.kept = {name: session.read(name) for name in names}
            return ""
        if self.watch.waited < max(self.watch.patience, 1):
            return ""
        return f"{self.watch.figure} has not improved since epoch {self.watch.best_epoch}"

    def restore(self, session: Session) -> None:
        """Set the weights of the best epoch again, if they are kept."""
        for name, value in self.kept.items():
            session.write(name, value)


@dataclass(slots=True)
class Plateau:
    """Multiplies the learning rate by `factor` when a figure has not improved for `patience` epochs."""

    watch: Watch
    factor: float
    lowest_scale: float
    cooldown: int
    resting: int = 0

    @classmethod
    def of(cls, config: TrainConfig, figures: tuple[str, ...]) -> Plateau | None:
        choice = dict(config.optimizer.arguments).get("learning_rate")
        if not isinstance(choice, Choice) or choice.name != "plateau":
            return None
        arguments = dict(choice.arguments)
        lowest = float(_number(arguments, "min_lr", 0.0)) / float(_number(arguments, "initial_learning_rate", 1.0))
        factor = float(_number(arguments, "factor", 0.1))
        return cls(Watch.of(choice, figures), factor, lowest, int(_number(arguments, "cooldown", 0)))

    def adjust(self, session: Session, epoch: Epoch) -> str:
        """Lower the scale if it is time to; what was done in a line, or nothing."""
        improved = self.watch.improves(epoch)
        if self.resting:
            self.resting -= 1
            self.watch.waited = 0
        if improved or self.resting or self.watch.waited < max(self.watch.patience, 1):
            return ""
        scale = session.read("learning_rate_scale")
        lowered = max(float(scale) * self.factor, self.lowest_scale)
        if lowered >= float(scale):
            return ""
        session.write("learning_rate_scale", np.asarray(lowered, scale.dtype))
        self.resting, self.watch.waited = self.cooldown, 0
        return f"{self.watch.figure} is on a plateau: the learning rate is now {lowered:.3g} times the initial one"
