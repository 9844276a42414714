"""Near misses for "did you mean": takes a word and the words that exist, gives the few the user may have meant."""

from __future__ import annotations

from collections.abc import Iterable

_PREFIX_COST = 1.5  # `batch` for `batch_size`: worse than one slip of a key, better than two


def nearest(word: str, candidates: Iterable[str], limit: int = 3) -> tuple[str, ...]:
    """The `limit` best near misses of `word`, best first; empty where nothing is near.

    Case and underscores do not count (`LeakyReLU` finds `leaky_relu`); about one slip in three letters is forgiven;
    a beginning (`batch`, `training`), and initials in either direction (`lr`, `mean_squared_error`) are understood.
    """
    wanted = _plain(word)
    ranked = []
    for order, candidate in enumerate(dict.fromkeys(candidates)):
        cost = _cost(word, wanted, candidate)
        if cost is not None and candidate != word:
            ranked.append((cost, order, candidate))
    ranked.sort()
    slack = 1 if ranked and ranked[0][0] else 0  # beside the very same letters nothing else is near
    close = [candidate for cost, _, candidate in ranked if cost <= ranked[0][0] + slack]
    return tuple(close[:limit])


def _cost(word: str, wanted: str, candidate: str) -> float | None:
    """How far off `candidate` is: 0 for the same letters, None for nonsense."""
    known = _plain(candidate)
    if not wanted or not known:
        return None
    if wanted == known:
        return 0.0
    allowed = max(len(wanted), len(known)) // 3 if min(len(wanted), len(known)) > 2 else 0
    distance = _distance(wanted, known, allowed)
    costs = [float(distance)] if distance is not None else []
    if (len(wanted) >= 3 and known.startswith(wanted)) or (len(known) >= 5 and wanted.startswith(known)):
        costs.append(_PREFIX_COST)
    if wanted == _initials(candidate) or _initials(word) == known:
        costs.append(1.0)
    return min(costs, default=None)


def _plain(word: str) -> str:
    return word.casefold().replace("_", "").replace("-", "")


def _initials(name: str) -> str:
    """`learning_rate` -> `lr`; empty for a name of one part."""
    parts = [part for part in name.casefold().split("_") if part]
    return "".join(part[0] for part in parts) if len(parts) > 1 else ""


def _distance(left: str, right: str, allowed: int) -> int | None:
    """Insertions, deletions, changes and swaps of neighbours between two words; None if more than `allowed`.

    Source: optimal string alignment, Damerau (1964), "A technique for computer detection and correction of errors".
    """
    if abs(len(left) - len(right)) > allowed:
        return None
    before: list[int] = []
    above = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        row = [i]
        for j, b in enumerate(right, 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > allowed:
            return None
        before, above = above, row
    return above[-1] if above[-1] <= allowed else None
