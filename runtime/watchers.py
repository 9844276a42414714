"""All that looks at an epoch's figures: early stopping, the plateau schedule, the choice of the best checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from nnc.compiler.options import TrainConfig
from nnc.runtime.protocol import Array, Session

from .checkpoint import Checkpoints
from .history import Epoch, History
from .state import TrainingState
from .watch import EarlyStopping, Plateau, Watch


@dataclass(slots=True)
class Watchers:
    """What a spec's `train` section has watch; any of them may be absent."""

    stopping: EarlyStopping | None
    plateau: Plateau | None
    checkpoints: Checkpoints | None

    @classmethod
    def of(cls, config: TrainConfig, figures: tuple[str, ...], checkpoints: Checkpoints | None) -> Watchers:
        """Raises: NncError E0691 for a monitored figure that is not among `figures`."""
        if checkpoints is not None:
            checkpoints.watch_one_of(figures)
        return cls(EarlyStopping.of(config, figures), Plateau.of(config, figures), checkpoints)

    def notes(self) -> Iterator[str]:
        """What to say before the first epoch."""
        yield from (watch.note for _, watch in self._watches() if watch.note)

    def look(self, session: Session, epoch: Epoch, say: Callable[[str], None]) -> str:
        """Note an epoch; why training ends with it, or nothing."""
        if self.plateau is not None and (said := self.plateau.adjust(session, epoch)):
            say(said)
        if self.stopping is not None and (reason := self.stopping.ends(session, epoch)):
            return f"stopped after epoch {epoch.number}: {reason}"
        return ""

    def finish(self, session: Session, history: History) -> str:
        """Restore the best weights if they are kept; what was done, or nothing."""
        if self.stopping is None or not self.stopping.kept:
            return ""
        self.stopping.restore(session)
        best = self.stopping.watch.best_epoch
        return f"the weights are those of epoch {best}" if best != history.epochs[-1].number else ""

    # --- as part of a moment of training ------------------------------------------------------------------------
    def to_json(self) -> dict[str, dict[str, Any]]:
        """What each has seen, by name."""
        found = {name: watch.to_json() for name, watch in self._watches()}
        if self.plateau is not None:
            found["plateau"]["resting"] = self.plateau.resting
        return found

    def kept(self) -> dict[str, Array]:
        """The weights of the best epoch, if early stopping keeps them."""
        return dict(self.stopping.kept) if self.stopping is not None else {}

    def restore(self, state: TrainingState) -> None:
        """Set all to what they had seen at a moment."""
        for name, watch in self._watches():
            if name in state.watches:
                watch.restore(state.watches[name])
        if self.plateau is not None and "plateau" in state.watches:
            self.plateau.resting = int(state.watches["plateau"]["resting"])
        if self.stopping is not None:
            self.stopping.kept = dict(state.kept)

    def _watches(self) -> Iterator[tuple[str, Watch]]:
        if self.stopping is not None:
            yield "early_stopping", self.stopping.watch
        if self.plateau is not None:
            yield "plateau", self.plateau.watch
        if self.checkpoints is not None and self.checkpoints.watch is not None:
            yield "best", self.checkpoints.watch
