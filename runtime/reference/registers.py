"""Which register holds which computed value: a value's register is free again after its last reader."""

from __future__ import annotations

from dataclasses import dataclass

from nnc.compiler.types import ITEM_SIZE

from .code import Code, Varies

RegisterKind = tuple[int, Varies]    # bytes per element, and the axes of the space along which it extends


@dataclass(frozen=True, slots=True)
class Registers:
    """`place`: computed value -> number of its register. `kinds`: what each register has to hold."""

    place: dict[int, int]
    kinds: tuple[RegisterKind, ...]


def assign_registers(code: Code) -> Registers:
    """A register for every computed value that is not made in place.

    Scalars keep theirs, so that they can be computed once for all tiles. Any other value may take over the register of
    an input that is read for the last time, if the operation allows its result to lie on its input.
    """
    last_read = _last_reads(code)
    place: dict[int, int] = {}
    kinds: list[RegisterKind] = []
    free: dict[RegisterKind, list[int]] = {}

    def kind_of(value: int) -> RegisterKind:
        return ITEM_SIZE[code.values[value].dtype], code.values[value].varies

    def assign(value: int) -> None:
        if value in place or value in code.in_place:
            return
        available = free.get(kind_of(value))
        if available:
            place[value] = available.pop()
        else:
            place[value] = len(kinds)
            kinds.append(kind_of(value))

    def release(value: int) -> None:
        if value in place and not code.values[value].is_scalar:
            free.setdefault(kind_of(value), []).append(place[value])

    for value in _given(code):
        assign(value)
    for position, instruction in enumerate(code.instructions):
        dying = [i for i in dict.fromkeys(instruction.inputs) if last_read.get(i) == position]
        if not instruction.is_elementwise_ufunc:
            assign(instruction.output)
        for value in dying:
            release(value)
        assign(instruction.output)
    return Registers(place, tuple(kinds))


def _last_reads(code: Code) -> dict[int, int]:
    """Position of each value's last reader; accumulations and stores come after all instructions."""
    result: dict[int, int] = {}
    for position, instruction in enumerate(code.instructions):
        for value in instruction.inputs:
            result[value] = position
    for value in (*code.reduced, *[value for _, value in code.stores]):
        result[value] = len(code.instructions)
    return result


def _given(code: Code) -> list[int]:
    """Computed values that no instruction makes: the result of a reduction, which its body reads as `acc`."""
    made = {instruction.output for instruction in code.instructions}
    return [i for i, value in enumerate(code.values) if value.source == "computed" and i not in made]
