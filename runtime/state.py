"""Where training stands between two steps, and that as JSON and arrays: all it takes to go on bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from nnc.compiler.graph import ACCUMULATOR
from nnc.runtime.protocol import Array, Session

from .history import History

_KEPT: Final = "kept/"


@dataclass(frozen=True, slots=True)
class TrainingState:
    """A moment of training.

    epoch: the one under way, from 0; rows_done: how many samples of its order training has met. last_epoch: how many
    epochs there are to be. is_adapted: Normalize layers have learned. variables: every variable, the sums of the
    epoch under way among them. watches: what watches a figure, by name. kept: early stopping's best weights.
    Orders, dropout and schedules follow from the seed, the epoch and the variable `step`.
    """

    epoch: int
    rows_done: int
    last_epoch: int
    is_adapted: bool
    variables: Mapping[str, Array]
    history: History
    watches: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    kept: Mapping[str, Array] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """All but the arrays and the history, which a model file keeps in places of their own."""
        return {
            "epoch": self.epoch,
            "rows_done": self.rows_done,
            "last_epoch": self.last_epoch,
            "is_adapted": self.is_adapted,
            "watches": {name: dict(watch) for name, watch in self.watches.items()},
        }

    def arrays(self, session: Session) -> dict[str, Array]:
        """The arrays that a model file of `session`'s plan does not hold as variables."""
        sums = {v.name for v, _ in session.plan.variables if v.role == ACCUMULATOR}
        found = {name: value for name, value in self.variables.items() if name in sums}
        return found | {f"{_KEPT}{name}": value for name, value in self.kept.items()}

    def until(self, last_epoch: int) -> TrainingState:
        """The same moment of a training that is to have `last_epoch` epochs, at least those that it has begun."""
        assert last_epoch >= self.begun_epochs
        stopped = self.history.stopped if last_epoch == self.epoch else ""
        return replace(self, last_epoch=last_epoch, history=History(self.history.epochs, stopped))

    @property
    def begun_epochs(self) -> int:
        """How many epochs are done, and the one under way if there is one."""
        return self.epoch + bool(self.rows_done)

    @classmethod
    def of(
        cls, value: Mapping[str, Any], arrays: Mapping[str, Array], variables: Mapping[str, Array], history: History
    ) -> TrainingState:
        """Inverse of `to_json` and `arrays`. Raises: KeyError, TypeError, ValueError or AttributeError otherwise."""
        sums = {name: array for name, array in arrays.items() if not name.startswith(_KEPT)}
        kept = {name.removeprefix(_KEPT): array for name, array in arrays.items() if name.startswith(_KEPT)}
        watches = {str(name): dict(watch) for name, watch in value["watches"].items()}
        numbers = (int(value["epoch"]), int(value["rows_done"]), int(value["last_epoch"]))
        return cls(*numbers, bool(value["is_adapted"]), {**variables, **sums}, history, watches, kept)


def all_variables(session: Session) -> dict[str, Array]:
    """Copies of every variable."""
    return {variable.name: session.read(variable.name) for variable, _ in session.plan.variables}


def write_all(session: Session, variables: Mapping[str, Array]) -> None:
    """Set variables to the values that `all_variables` gave."""
    for name, value in variables.items():
        session.write(name, value)
