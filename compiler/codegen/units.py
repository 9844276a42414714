"""The printed C as several files, for as many compilers side by side.

Step functions are dealt out among the files; one of them has the programs too, which call all. The split depends on the
text alone, so that a plan gives the same machine code wherever it is compiled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .functions import Function

UNIT_COST: Final = 16_000   # characters, those of inlined bodies counted INLINED times: below, one compiler is as quick
MOST_UNITS: Final = 3       # with each, what all of them inline is compiled once more
INLINED: Final = 6
_STATIC, _STEP = "SHARED void ", "STEP void "
_DEFINITION: Final = "/* A step's function, called from another file. */\n" + (
    '#define STEP __attribute__((visibility("hidden"), noinline))\n\n'
)


def units_of(head: str, functions: Sequence[Function], programs: str) -> tuple[str, ...]:
    """The C files; none where the whole is small. head: what each begins with; programs: what calls the functions."""
    total = len(programs) + sum(_cost(function) for function in functions)
    count = min(MOST_UNITS, total // UNIT_COST)
    if count < 2:
        return ()
    costs = [len(programs)] + [0] * (count - 1)
    dealt: list[list[Function]] = [[] for _ in costs]
    for function in sorted(functions, key=_cost, reverse=True):
        unit = costs.index(min(costs))
        costs[unit] += _cost(function)
        dealt[unit].append(function)
    prototypes = "".join(_prototype(function) for some in dealt[1:] for function in some)
    files = [head + _DEFINITION + _definitions(some) for some in dealt]
    return (files[0] + prototypes + "\n" + programs, *files[1:])


def _cost(function: Function) -> int:
    return len(function.text) + INLINED * len(function.body)


def _definitions(functions: Sequence[Function]) -> str:
    """Each function, a body that several share before the first of them."""
    texts = dict.fromkeys(text for each in functions for text in (each.body, _called_from_elsewhere(each.text)))
    return "".join(texts)


def _called_from_elsewhere(text: str) -> str:
    assert _STATIC in text, "a step's function begins as `head` has it"
    return text.replace(_STATIC, _STEP, 1)


def _prototype(function: Function) -> str:
    text = _called_from_elsewhere(function.text)
    start = text.index(_STEP)
    return text[start : text.index(" {\n", start)] + ";\n"
