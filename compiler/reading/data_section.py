"""The `data` section: names of inputs and targets bound to columns and arrays of files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from nnc.grammar import syntax
from nnc.grammar.diagnostics import NncError
from nnc.grammar.source import Span

from ..layers.definition import Hyperparameter
from ..options import DataConfig, Source, Split
from ..report import Problems, did_you_mean, fault, known_fault, listed
from .arguments import bind
from .data_options import TABLE_OPTIONS, bind_file
from .scope import Constant, Scope, names_in

GROUPS: Final = ("train", "validation", "test")
_PATH: Final = Hyperparameter("path", "string", doc="path of the file")
FILES: Final[dict[str, tuple[Hyperparameter, ...]]] = {
    "csv": (_PATH, Hyperparameter("separator", "separator", ","), *TABLE_OPTIONS),
    "parquet": (_PATH, *TABLE_OPTIONS),
    "npz": (_PATH,),
    "npy": (_PATH,),
    "idx": (_PATH,),
}
"""Readers of files and their options."""
_WITHOUT_COLUMNS: Final = ("npy", "idx")
SPLIT: Final = (
    Hyperparameter("validation", "float", 0.0),
    Hyperparameter("test", "float", 0.0),
    Hyperparameter("seed", "integer", 0),
    Hyperparameter("stratify", "word", None, optional=True),
)


@dataclass(slots=True)
class _Reading:
    """One `data` section while it is read. `wanted`: inputs and targets -> where the spec defines them."""

    scope: Scope
    wanted: Mapping[str, Span]
    problems: Problems
    tables: dict[str, Source | None] = field(default_factory=dict)  # None: its definition is at fault
    spans: dict[str, Span] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    groups: dict[str, dict[str, Source]] = field(default_factory=dict)
    group_spans: dict[str, Span] = field(default_factory=dict)
    split: Split | None = None
    current: str = ""


def data_config(section: syntax.Section, scope: Scope, wanted: Mapping[str, Span], problems: Problems) -> DataConfig:
    """The section with every name bound to a source; what is wrong with it goes to `problems`.

    Reports: E0650 an entry that is no input, target or group; E0651 an input or target without data; E0652 an unknown
    reader; E0653 an unknown table; E0654 columns of something that has none; E0655 a split that does not fit.
    """
    reading = _Reading(scope, wanted, problems)
    for entry in section.entries:
        with problems.collecting():
            try:
                _read_entry(reading, entry)
            except NncError:
                reading.used.update(names_in(entry))  # what a faulty entry reads is not reported as unused too
                raise
    _check_unused(reading)
    _check_groups(reading, section)
    groups = tuple((name, tuple(bound.items())) for name, bound in reading.groups.items())
    return DataConfig(groups, reading.split)


def _read_entry(reading: _Reading, entry: syntax.Entry) -> None:
    name = entry.name
    if entry.entries is not None:
        if name.name in reading.group_spans:
            raise _twice(name, reading.group_spans[name.name])
        reading.group_spans[name.name] = name.span
        if name.name == "split":
            reading.split = _read_split(reading, entry)
        elif name.name in GROUPS:
            _read_group(reading, entry)
        else:
            known = (*GROUPS, "split")
            raise fault(
                "E0650",
                f"`data` has no group `{name.name}`",
                name.span,
                f"expects {listed(known, 'or')}",
                helps=did_you_mean(name.name, known),
            )
        return
    assert entry.value is not None
    if name.name in reading.spans:
        raise _twice(name, reading.spans[name.name])
    reading.spans[name.name] = name.span
    reading.tables[name.name], reading.current = None, name.name
    source = _source(reading, entry.value)
    reading.tables[name.name] = source
    if name.name in reading.wanted:
        reading.groups.setdefault("all", {})[name.name] = source


def _twice(name: syntax.Name, first: Span) -> Exception:
    return fault(
        "E0302", f"`{name.name}` is defined twice", name.span, "defined again", labels=[(first, "first defined here")]
    )


def _read_group(reading: _Reading, group: syntax.Entry) -> None:
    bound: dict[str, Source] = {}
    reading.groups[group.name.name] = bound
    spans: dict[str, Span] = {}
    for entry in group.entries or ():
        name = entry.name
        with reading.problems.collecting():
            if name.name in spans:
                raise _twice(name, spans[name.name])
            spans[name.name] = name.span
            if name.name not in reading.wanted or entry.value is None:
                raise _superfluous(reading, name)
            # bound even where the source is at fault, so that it is not reported as missing too
            bound[name.name] = Source("", "")
            bound[name.name] = _source(reading, entry.value)


def _superfluous(reading: _Reading, name: syntax.Name) -> Exception:
    helps = did_you_mean(name.name, reading.wanted)
    notes = [f"the model reads {listed(reading.wanted)}"] if reading.wanted and not helps else []
    return fault(
        "E0650",
        f"`{name.name}` is neither an input nor the target of an output",
        name.span,
        "not known",
        helps=helps,
        notes=notes,
    )


def _read_split(reading: _Reading, entry: syntax.Entry) -> Split:
    arguments = [syntax.Argument(e.name, e.value, e.span) for e in entry.entries or () if e.value is not None]
    values: dict[str, Any] = dict(bind("split", SPLIT, arguments, reading.scope, entry.name.span, "E0650"))
    split = Split(**values)
    if split.validation + split.test >= 1:
        raise fault(
            "E0655",
            "this split leaves nothing to train on",
            entry.name.span,
            f"validation and test take {split.validation + split.test:.0%}",
        )
    if split.stratify is not None and split.stratify not in reading.wanted:
        value = next(e.value for e in entry.entries or () if e.name.name == "stratify")
        assert value is not None
        raise fault(
            "E0655",
            f"cannot stratify by `{split.stratify}`",
            value.span,
            "expects an input or a target",
            helps=did_you_mean(split.stratify, reading.wanted),
        )
    return split


# --- sources ------------------------------------------------------------------------------------------------------
def _source(reading: _Reading, expression: syntax.Expression) -> Source:
    """`csv("a.csv")`, `table`, `table[A, B]` or `csv("a.csv")[A..D]`."""
    match expression:
        case syntax.Call(callee=callee, arguments=arguments):
            if callee.name not in FILES:
                raise fault(
                    "E0652",
                    f"there is no reader `{callee.name}`",
                    callee.span,
                    f"expects {listed(FILES, 'or')}",
                    helps=did_you_mean(callee.name, FILES),
                )
            bound = bind_file(callee.name, FILES[callee.name], arguments, reading.scope, expression.span)
            path = bound.pop("path")
            return Source(callee.name, str(path), tuple(bound.items()))
        case syntax.Index(value=value, items=items):
            source = _source(reading, value)
            if source.columns is not None or source.reader in _WITHOUT_COLUMNS:
                what = "these are columns already" if source.columns else f"`{source.reader}` holds one array"
                raise fault("E0654", f"{what}: nothing can be picked from it", expression.span, "no columns to name")
            columns = tuple(_column(item, reading.scope) for item in items)
            if source.reader == "npz" and (len(columns) != 1 or ".." in columns[0]):
                raise fault(
                    "E0654",
                    "an npz file holds arrays, of which one is picked by name",
                    expression.span,
                    "expects one name",
                )
            return replace(source, columns=columns)
        case syntax.Name():
            return _table(reading, expression)
    raise fault(
        "E0653",
        "this is no source of data",
        expression.span,
        "expects a file or a table",
        helps=['name a file: `csv("data.csv")`'],
    )


def _table(reading: _Reading, name: syntax.Name) -> Source:
    if name.name in reading.tables:
        reading.used.add(name.name)
        source = reading.tables[name.name]
        if source is not None:
            return source
        if name.name != reading.current:
            raise known_fault()
        raise fault("E0653", f"`{name.name}` is defined by itself", name.span, "not defined yet")
    if isinstance(reading.scope.look_up(name.name), Constant):
        reading.scope.use(name.name)
        raise fault(
            "E0653",
            f"`{name.name}` is a param, not a table",
            name.span,
            "expects a file or a table",
            helps=[f"name the reader: `csv({name.name})`"],
        )
    raise fault(
        "E0653",
        f"there is no table `{name.name}`",
        name.span,
        "not defined above",
        helps=did_you_mean(name.name, (*reading.tables, *FILES)),
    )


def _column(item: syntax.Expression, scope: Scope) -> str:
    match item:
        case syntax.Name(name=name):
            return name
        case syntax.String(value=value):
            return value
        case syntax.Range(low=low, high=high):
            return f"{_column(low, scope)}..{_column(high, scope)}"
        case syntax.Number(value=int() as value):
            return str(value)
    raise fault("E0654", "this is no column", item.span, "expects a name, or a text in quotes")


# --- the section as a whole ---------------------------------------------------------------------------------------
def _check_unused(reading: _Reading) -> None:
    for name, span in reading.spans.items():
        if name in reading.wanted or name in reading.used:
            continue
        helps = did_you_mean(name, reading.wanted)
        reading.problems.add(
            *fault(
                "E0650",
                f"`{name}` is neither an input nor a target, and no entry reads it",
                span,
                "not used",
                helps=helps,
            ).diagnostics
        )


def _check_groups(reading: _Reading, section: syntax.Section) -> None:
    if "all" in reading.groups and len(reading.groups) > 1:
        # beside groups, what they read is a table, though a target may bear its name
        outside = {name: source for name, source in reading.groups.pop("all").items() if name not in reading.used}
        reading.groups |= {"all": outside} if outside else {}
    names = set(reading.groups)
    if "all" in names and len(names) > 1:
        other = next(name for name in GROUPS if name in names)
        inside = next(iter(reading.groups["all"]))
        reading.problems.add(
            *fault(
                "E0655",
                f"`{inside}` is bound outside the groups",
                reading.spans[inside],
                "in no group",
                labels=[(reading.group_spans[other], "a group")],
                helps=[f"move it into `{other} {{ ... }}`"],
            ).diagnostics
        )
        return
    if reading.split is not None and names & {"validation", "test"}:
        other = next(name for name in ("validation", "test") if name in names)
        taken = reading.split.validation if other == "validation" else reading.split.test
        if taken:
            reading.problems.add(
                *fault(
                    "E0655",
                    f"the {other} data are given twice",
                    reading.group_spans["split"],
                    "split off here",
                    labels=[(reading.group_spans[other], "given here")],
                ).diagnostics
            )
    if names and names.isdisjoint({"all", "train"}):
        reading.problems.add(
            *fault("E0655", "there is no group `train`", section.keyword.span, "expects `train { ... }`").diagnostics
        )
    for group, bound in reading.groups.items():
        _check_complete(reading, section, group, bound)
    if not reading.groups and not reading.problems:
        _check_complete(reading, section, "all", {})


def _check_complete(reading: _Reading, section: syntax.Section, group: str, bound: Iterable[str]) -> None:
    for name, place in reading.wanted.items():
        if name in bound or (group == "all" and name in reading.spans):
            continue
        span = reading.group_spans.get(group, section.keyword.span)
        where = "`data`" if group == "all" else f"group `{group}`"
        reading.problems.add(
            *fault(
                "E0651",
                f"{where} has nothing for `{name}`",
                span,
                f"expects `{name} = ...`",
                labels=[(place, "defined here")],
            ).diagnostics
        )
