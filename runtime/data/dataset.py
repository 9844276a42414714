"""From the `data` section, or from arrays, to what a session is fed.

`load(network.data, plan, base_dir, network.outputs) -> Dataset` reads the files, binds them by name to the plan's
inputs and targets, audits all of it and splits. `from_arrays(plan, outputs, x, y) -> Samples` does the same
for arrays. Every independent problem is reported in one `DataError`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from nnc.compiler.options import DataConfig, OutputConfig, Split
from nnc.compiler.plan import Plan
from nnc.grammar.diagnostics import DataError, Diagnostic
from nnc.runtime.protocol import Array, Feed, Rows

from .audit import AuditedRows, to_feed
from .encoding import incomplete, learn, to_texts
from .files import FileSet
from .order import split_rows
from .slots import Slot, input_slots, target_slots, weight_slots
from .source import Encoding, Values
from .stream import blocks


@dataclass(frozen=True, slots=True)
class Samples:
    """Feeds by name, whole arrays or sources of rows, and which of their rows belong: parts of a split share them."""

    feeds: Mapping[str, Feed]
    index: Rows
    encodings: Mapping[str, Encoding] = field(default_factory=dict)     # of inputs and outputs, by name

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
    dropped: int = 0                # rows of all files that `missing = drop` left out

    @property
    def encodings(self) -> Mapping[str, Encoding]:
        """What was learnt from the training rows to read texts and gaps, by the name of the input or output."""
        return self.train.encodings

    @property
    def vocabularies(self) -> dict[str, tuple[str, ...]]:
        """The texts that numbers stand for, by the name of the input or output, as a model file keeps them.

        `NAME.missing` holds what stands for a missing value. `encoding.from_texts` makes encodings of them again.
        """
        return to_texts(self.encodings)

    @property
    def parts(self) -> dict[str, Samples]:
        """The parts that there are, by name."""
        every = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: samples for name, samples in every.items() if samples is not None}

    def counts(self) -> str:
        """Which rows went where: `train 580, validation 133, test 178 samples; 2 left out for missing values`."""
        shown = ", ".join(f"{name} {len(samples):,}" for name, samples in self.parts.items())
        left_out = f"; {self.dropped:,} left out for missing values" if self.dropped else ""
        return f"{shown} samples{left_out}"

    def split_lines(self) -> Iterator[str]:
        """A line per sample: its part, and its row in the data of the part, counted from 1 after any header."""
        yield "part,row\n"
        for name, samples in self.parts.items():
            for row in samples.index:
                yield f"{name},{row + 1}\n"

    def audit(self) -> None:
        """Go through all that is streamed, which is otherwise audited as it is used. Raises: DataError."""
        problems: list[Diagnostic] = []
        feeds = {id(feed): feed for samples in self.parts.values() for feed in samples.feeds.values()}
        for feed in feeds.values():
            try:
                if isinstance(feed, AuditedRows):
                    feed.audit()
            except DataError as error:
                problems += error.diagnostics
        if problems:
            raise DataError(*dict.fromkeys(problems))


def load(
    config: DataConfig | None, plan: Plan, base_dir: Path | str, outputs: Iterable[OutputConfig] = (),
    encodings: Mapping[str, Encoding] | None = None,
) -> Dataset:
    """Read, bind, split and audit the data of a spec. Paths are relative to `base_dir`.

    outputs: the network's, which say by what name each target's data goes and how it is judged. encodings: those of
    a trained model; without them they are learnt from the training rows.
    Raises: DataError E0701-E0720.
    """
    if config is None:
        raise DataError(Diagnostic("E0808", "the spec names no data", helps=(
            "add `data { train { ... } }`, or give the arrays from Python: model.fit(x, y)",)))
    slots = (*input_slots(plan), *target_slots(plan, outputs), *weight_slots(plan, outputs))
    files = FileSet(Path(base_dir))
    takes_text = {slot.column for slot in slots if slot.takes_text}
    found = {group: files.read(bound, takes_text) for group, bound in config.groups}
    problems: list[Diagnostic] = [*files.problems]
    groups = {group: {s.feed: values[s.column] for s in slots if s.column in values} for group, values in found.items()}
    learnt = dict(encodings) if encodings is not None else {}
    can_learn = not problems or not _depends_on_all(groups, config.split)
    if encodings is None and can_learn:
        try:
            learnt = _learn(slots, groups, config.split)
        except DataError as error:
            problems += error.diagnostics
            can_learn = False
    parts: dict[str, Samples] = {}
    for group, values in groups.items():
        if not can_learn:       # what needs no learning can still be audited, so that one run reports every error
            values = {feed: value for feed, value in values.items() if not _is_raw(value)}
        try:
            parts[group] = bind(slots, values, group, learnt)
        except DataError as error:
            problems += error.diagnostics
    if problems:
        raise DataError(*dict.fromkeys(problems))
    dropped = sum(len(next(iter(part.feeds.values()))) - len(part) for part in parts.values())
    return _split(config.split, parts, _learning_group(groups), slots, dropped)


def _learn(
    slots: Iterable[Slot], groups: Mapping[str, Mapping[str, Values]], split: Split | None
) -> dict[str, Encoding]:
    """The encodings that the training rows teach. Raises: DataError with all that stands in the way."""
    values = _learning_group(groups)
    if not any(map(_is_raw, values.values())):
        return {}
    learnt: dict[str, Encoding] = {}
    problems: list[Diagnostic] = []
    if len({len(found.array) for found in values.values()}) > 1:
        return {}                                # which `bind` reports
    rows = np.flatnonzero(~_left_out(values))
    if split is not None:
        rows = rows[split_rows(len(rows), split, _classes(values, rows, split, slots))[0]]
    for slot in slots:
        if slot.feed not in values:
            continue
        try:
            encoding = learn(slot, values[slot.feed], rows)
        except DataError as error:
            problems += error.diagnostics
        else:
            learnt |= {slot.name: encoding} if encoding is not None else {}
    if problems:
        raise DataError(*problems)
    return learnt


def _depends_on_all(groups: Mapping[str, Mapping[str, Values]], split: Split | None) -> bool:
    """Whether a value that is absent may change which of the other rows are trained on."""
    every = [values for group in groups.values() for values in group.values()]
    return any(values.missing == "drop" for values in every) or (split is not None and split.stratify is not None)


def _learning_group(groups: Mapping[str, Mapping[str, Values]]) -> Mapping[str, Values]:
    """The group that holds the training rows."""
    return groups["all"] if "all" in groups else groups["train"]


def _is_raw(values: Values) -> bool:
    """Whether something must be learnt, or left out, before these are numbers."""
    return bool(values.words) or values.missing != "error"


def _left_out(values: Mapping[str, Values]) -> Array:
    """For each row whether `missing = drop` leaves it out. Where lengths differ, which `bind` reports, none is."""
    counts = {len(found.array) if found.array.shape else 0 for found in values.values()}
    gone = np.zeros(max(counts, default=0), np.bool_)
    for found in values.values() if len(counts) == 1 else ():
        if found.missing == "drop":
            gone |= incomplete(found)
    return gone


def _classes(values: Mapping[str, Values], rows: Rows, split: Split, slots: Iterable[Slot]) -> Array | None:
    """The label of each of `rows` by which the split is stratified."""
    if split.stratify is None:
        return None
    slot = next(slot for slot in slots if split.stratify in (slot.name, slot.column))
    found = ((len(block), block.reshape(len(block), -1)) for _, block in blocks(values[slot.feed].array, rows))
    labels = [flat.argmax(axis=1) if slot.kind == "one_hot" else flat[:, 0] for _, flat in found]
    return np.unique(np.concatenate(labels), return_inverse=True)[1].reshape(-1) if labels else None


def bind(
    slots: Iterable[Slot],
    values: Mapping[str, Values],
    group: str = "",
    encodings: Mapping[str, Encoding] | None = None,
    *,
    is_predicted: bool = False,
) -> Samples:
    """Audited feeds of every slot in `values`, which goes by feed. Raises: DataError with all problems found."""
    feeds: dict[str, Feed] = {}
    encodings = encodings or {}
    problems: list[Diagnostic] = []
    counts: dict[str, int] = {}
    gone = _left_out(values)
    if len(gone) and gone.all():
        raise DataError(Diagnostic("E0707", "every row has a missing value, so none is left to use"))
    for slot in slots:
        found = values.get(slot.feed)
        if found is None:
            continue
        try:
            learnt = encodings.get(slot.name)
            feeds[slot.feed] = to_feed(slot, replace(found, encoding=learnt, gone=gone, is_predicted=is_predicted))
        except DataError as error:
            problems += error.diagnostics
        if found.array.shape:
            counts[f"{slot.role} `{slot.name}`, {found.origin}"] = len(found.array)
    problems = list({(p.code, p.place, p.notes): p for p in reversed(problems)}.values())[::-1]    # one cell, two slots
    if len(set(counts.values())) > 1:
        problems.append(_different_lengths(counts, group))
    if problems or not feeds:
        raise DataError(*problems)
    return Samples(feeds, np.flatnonzero(~gone), encodings)


def _different_lengths(counts: Mapping[str, int], group: str) -> Diagnostic:
    where = f" of `{group}`" if group and group != "all" else ""
    return Diagnostic("E0706", f"the arrays{where} have different numbers of rows",
                      notes=tuple(f"{origin}: {count:,} rows" for origin, count in counts.items()))


def _split(
    split: Split | None, parts: Mapping[str, Samples], values: Mapping[str, Values], slots: Iterable[Slot], dropped: int
) -> Dataset:
    """What is not a group of its own is split off the training group."""
    whole = parts["all"] if "all" in parts else parts["train"]
    given = {name: parts.get(name) for name in ("validation", "test")}
    if split is None:
        return Dataset(whole, **given, dropped=dropped)
    classes = _classes(values, whole.index, split, slots)
    rows = dict(zip(("train", "validation", "test"), split_rows(len(whole), split, classes), strict=True))
    asked = {"train": 1.0, "validation": split.validation, "test": split.test}
    problems = [
        Diagnostic("E0716", f"the split leaves no rows for `{name}`", notes=(f"there are {len(whole)} rows in all",))
        for name, fraction in asked.items() if fraction > 0 and not len(rows[name])
    ]
    if problems:
        raise DataError(*problems)
    made = {n: Samples(whole.feeds, whole.index[part], whole.encodings) for n, part in rows.items() if len(part)}
    validation, test = (given[name] or made.get(name) for name in ("validation", "test"))
    return Dataset(made["train"], validation, test, dropped)
