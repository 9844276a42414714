"""From the `data` section, or from arrays, to what a session is fed.

`load(network.data, plan, base_dir, network.outputs) -> Dataset` reads the files, binds them by name to the plan's
inputs and targets, audits all of it and splits. `from_arrays(plan, outputs, x, y) -> Samples` does the same
for arrays. Every independent problem is reported in one `DataError`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnc.compiler.options import DataConfig, OutputConfig, Split
from nnc.compiler.plan import Plan
from nnc.grammar.diagnostics import DataError, Diagnostic
from nnc.runtime.protocol import Array, Rows

from .audit import to_feed
from .files import FileSet
from .order import split_rows
from .slots import Slot, input_slots, target_slots
from .source import Values


@dataclass(frozen=True, slots=True)
class Samples:
    """Feeds by name, whole arrays, and which of their rows belong: a split shares its arrays with the others."""

    feeds: Mapping[str, Array]
    index: Rows

    def __len__(self) -> int:
        return len(self.index)

    @property
    def rows(self) -> int:
        """How many samples there are."""
        return len(self.index)

    @classmethod
    def whole(cls, feeds: Mapping[str, Array]) -> Samples:
        return cls(feeds, np.arange(len(next(iter(feeds.values()))), dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Dataset:
    """The parts that a spec's `data` section names; `validation` and `test` may be absent."""

    train: Samples
    validation: Samples | None = None
    test: Samples | None = None


def load(
    config: DataConfig | None, plan: Plan, base_dir: Path | str, outputs: Iterable[OutputConfig] = ()
) -> Dataset:
    """Read, bind, audit and split the data of a spec. Paths are relative to `base_dir`.

    outputs: the network's, which say by what name each target's data goes and how it is judged.
    Raises: DataError E0701-E0718.
    """
    if config is None:
        raise DataError(Diagnostic("E0808", "the spec names no data", helps=(
            "add `data { train { ... } }`, or give the arrays from Python: model.fit(x, y)",)))
    slots = (*input_slots(plan), *target_slots(plan, outputs))
    files = FileSet(Path(base_dir))
    problems: list[Diagnostic] = []
    found = {group: files.read(bound) for group, bound in config.groups}
    problems += files.problems
    parts: dict[str, Samples] = {}
    for group, values in found.items():
        try:
            parts[group] = bind(slots, {s.feed: values[s.column] for s in slots if s.column in values}, group)
        except DataError as error:
            problems += error.diagnostics
    if problems:
        raise DataError(*dict.fromkeys(problems))
    return _split(config.split, parts, slots)


def bind(slots: Iterable[Slot], values: Mapping[str, Values], group: str = "") -> Samples:
    """Audited feeds of every slot in `values`, which goes by feed. Raises: DataError with all problems found."""
    feeds: dict[str, Array] = {}
    problems: list[Diagnostic] = []
    counts: dict[str, int] = {}
    for slot in slots:
        found = values.get(slot.feed)
        if found is None:
            continue
        try:
            feeds[slot.feed] = to_feed(slot, found)
        except DataError as error:
            problems += error.diagnostics
        if found.array.ndim:
            counts[f"{slot.role} `{slot.name}`, {found.origin}"] = len(found.array)
    problems = list({(p.code, p.place, p.notes): p for p in reversed(problems)}.values())[::-1]    # one cell, two slots
    if len(set(counts.values())) > 1:
        problems.append(_different_lengths(counts, group))
    if problems or not feeds:
        raise DataError(*problems)
    return Samples.whole(feeds)


def _different_lengths(counts: Mapping[str, int], group: str) -> Diagnostic:
    where = f" of `{group}`" if group and group != "all" else ""
    return Diagnostic("E0706", f"the arrays{where} have different numbers of rows",
                      notes=tuple(f"{origin}: {count:,} rows" for origin, count in counts.items()))


def _split(split: Split | None, parts: Mapping[str, Samples], slots: Iterable[Slot]) -> Dataset:
    """What is not a group of its own is split off the training group."""
    whole = parts["all"] if "all" in parts else parts["train"]
    given = {name: parts.get(name) for name in ("validation", "test")}
    if split is None:
        return Dataset(whole, **given)
    classes = None
    if split.stratify is not None:
        feed = next(slot.feed for slot in slots if split.stratify in (slot.name, slot.column))
        classes = whole.feeds[feed].reshape(len(whole), -1)[:, 0]
    rows = dict(zip(("train", "validation", "test"), split_rows(len(whole), split, classes), strict=True))
    asked = {"train": 1.0, "validation": split.validation, "test": split.test}
    problems = [
        Diagnostic("E0716", f"the split leaves no rows for `{name}`", notes=(f"there are {len(whole)} rows in all",))
        for name, fraction in asked.items() if fraction > 0 and not len(rows[name])
    ]
    if problems:
        raise DataError(*problems)
    made = {name: Samples(whole.feeds, part) for name, part in rows.items() if len(part)}
    return Dataset(made["train"], given["validation"] or made.get("validation"), given["test"] or made.get("test"))
