"""Answers kept from one compilation to the next, and forgotten together once there are too many.

Compiling thousands of different specs in one process must not grow it for ever: formulas stay known only while a plan
or an answer kept here refers to them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cache
from typing import Final, ParamSpec, TypeVar, cast

from .expr import term_count

MOST_TERMS: Final = 5000     # the bundled specs together have about 2,500

P = ParamSpec("P")
T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

_forgetting: list[Callable[[], None]] = []


def memo(function: Callable[P, T]) -> Callable[P, T]:
    """Decorator: an answer is computed once for the same arguments."""
    kept = cache(function)
    _forgetting.append(kept.cache_clear)
    return cast(Callable[P, T], kept)


def table(entries: dict[K, T]) -> dict[K, T]:
    """`entries`, to be emptied when answers are forgotten."""
    _forgetting.append(entries.clear)
    return entries


def forget_if_many() -> None:
    """Forget all answers if there are more than MOST_TERMS terms. Requires: no compilation is under way."""
    if term_count() > MOST_TERMS:
        for forget in _forgetting:
            forget()
