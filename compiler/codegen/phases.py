"""Which calls may run at the same time: a barrier stands where one needs what another thread has done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .calls import Call, Piece, Span

PIECE_ALIGNMENT = 128


@dataclass(slots=True)
class Phase:
    """Calls between two barriers. Each thread does its share of one after another, without waiting for the others."""

    calls: list[Call] = field(default_factory=list)

    def must_precede(self, call: Call) -> bool:
        """Whether `call` touches what a call of this phase writes, or writes what it touches, on another thread."""
        return any(
            (earlier.is_shared or call.is_shared) and _conflict(earlier, call) for earlier in self.calls
        )


    def chains(self) -> list[list[Call]]:
        """The calls that one worker does alone: those of a chain in their order, chains in any."""
        chains: list[list[Call]] = []
        for call in self.calls:
            if not call.is_shared:
                met = [chain for chain in chains if any(_conflict(earlier, call) for earlier in chain)]
                chains = [chain for chain in chains if chain not in met]
                chains.append([*(each for chain in met for each in chain), call])
        return chains


def phases_of(calls: Sequence[Call]) -> list[Phase]:
    """The calls in their order, cut into as few phases as that order allows."""
    phases = [Phase()]
    for call in calls:
        if phases[-1].must_precede(call):
            phases.append(Phase())
        phases[-1].calls.append(call)
    return phases


def _conflict(first: Call, second: Call) -> bool:
    return (
        _meet(first.writes, second.reads) or _meet(first.writes, second.writes) or _meet(first.reads, second.writes)
    )


def _meet(some: Sequence[Span], others: Sequence[Span]) -> bool:
    return any(a.meets(b) for a in some for b in others)


def place_pieces(phases: Sequence[Phase]) -> tuple[dict[Piece, int], int]:
    """An offset for every piece, and the bytes needed: pieces of phases that do not touch share their bytes."""
    lives: dict[Piece, tuple[int, int]] = {}
    for number, phase in enumerate(phases):
        for call in phase.calls:
            for argument in call.arguments:
                if argument.piece is not None:
                    first, _ = lives.get(argument.piece, (number, number))
                    lives[argument.piece] = (first, number)
    offsets: dict[Piece, int] = {}
    size = end = last = 0
    for piece, (first, until) in sorted(lives.items(), key=lambda item: item[1][0]):
        if first > last:
            end = 0
        offsets[piece] = end
        end += -(-piece.size_bytes // PIECE_ALIGNMENT) * PIECE_ALIGNMENT
        last, size = max(last, until), max(size, end)
    return offsets, size
