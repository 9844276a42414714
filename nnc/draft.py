"""A first spec for a table: what is a number, a category or of no use, how wide the layers are, what the loss is.

Every choice is a plain rule, said in a note, and meant to be edited.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from nnc.grammar.diagnostics import DataError, Diagnostic
from nnc.grammar.inline import quoted
from nnc.runtime.data.survey import ColumnSurvey, Survey

MOST_ONE_HOT: Final = 16            # categories up to which each has a unit of its own
MOST_CLASSES: Final = 20            # different whole numbers from 0 up to which a target names classes
MOST_ODD_CLASSES: Final = 10        # the same of whole numbers that do not count from 0
LEAST_PER_TEXT: Final = 2.0         # rows per different text, below which texts are names, not categories
MOST_MISSING: Final = 0.5           # share of empty cells above which a column is left out
LEAST_TO_SPLIT: Final = 20          # rows
_TAKEN: Final = frozenset({"nn", "model", "param", "input", "layer", "block", "output", "train", "validation", "test",
                           "data", "return", "split", "true", "false", "none", "table", "units", "hidden", "features"})


@dataclass(frozen=True, slots=True)
class Draft:
    """The spec's text, not yet in its canonical layout, and what it assumes, a line each."""

    text: str
    notes: tuple[str, ...]


@dataclass(slots=True)
class _Plan:
    """What becomes of each column, and the notes about it."""

    survey: Survey
    target: ColumnSurvey
    numbers: list[ColumnSurvey] = field(default_factory=list)
    texts: list[ColumnSurvey] = field(default_factory=list)
    forced: list[str] = field(default_factory=list)       # columns to be read as categories
    notes: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)    # name of a value -> what it is for


def draft(survey: Survey, target: ColumnSurvey, model: str, path: str) -> Draft:
    """A spec that predicts `target` from the other columns. `path`: of the data, as the spec is to name it.

    Raises: DataError E0721 for a target of one value, or a table with no column to learn from.
    """
    plan = _Plan(survey, target)
    _refuse_constant(target)
    for number, column in enumerate(survey.columns, 1):
        if not column.name:
            plan.notes.append(f"column {number}: left out, it has no name in the first line")
        elif column is not target:
            _place(plan, column)
    if not plan.numbers and not plan.texts:
        text = f"no column is left to learn `{target.name}` from"
        raise DataError(Diagnostic("E0721", text, notes=tuple(plan.notes)))
    lines = ["nn 1", "", f"## Predicts {_one_line(target.name)} from the other columns; a first draft, to be edited.",
             f"model {_name(plan, model)}", "", f"param units: int = {_units(plan)} in 1..4096", ""]
    bindings = _inputs(plan, lines)
    output = _name(plan, target.name)
    stratify = _network(plan, lines, output)
    _data(plan, lines, bindings, output, path, stratify)
    return Draft("\n".join(lines) + "\n", tuple(map(_one_line, plan.notes)))


def _refuse_constant(target: ColumnSurvey) -> None:
    if target.distinct < 2:
        found = f"`{next(iter(target.values))}` in every row" if target.values else "no value at all"
        text = f"column `{target.name}` holds nothing to predict"
        raise DataError(Diagnostic("E0721", text, notes=(f"found {found}",)))


# --- columns --------------------------------------------------------------------------------------------------------
def _place(plan: _Plan, column: ColumnSurvey) -> None:
    rows = plan.survey.rows
    reason = ""
    if column.filled == 0 or column.missing / rows > MOST_MISSING:
        reason = f"{column.missing:,} of {rows:,} values are missing"
    elif column.distinct == 1:
        reason = "it has one value only"
    elif column.is_whole and column.rises and column.missing == 0 and rows > 2:
        reason = "it numbers the rows"
    elif not column.is_numeric and (column.many or column.filled / len(column.values) < LEAST_PER_TEXT):
        reason = f"with {len(column.values):,} different texts it names rows rather than kinds"
    if reason:
        plan.notes.append(f"{column.name}: left out, {reason}")
    elif column.is_numeric:
        plan.numbers.append(column)
    else:
        plan.texts.append(column)
        if column.numbers:
            plan.forced.append(column.name)


def _inputs(plan: _Plan, lines: list[str]) -> list[tuple[str, str]]:
    """Declares inputs and what makes vectors of them; gives the entries of the data section."""
    bindings: list[tuple[str, str]] = []
    layers: list[str] = []
    values: list[str] = []
    if plan.numbers:
        name = _name(plan, "numbers")
        lines.append(f"input {name}: float32[{len(plan.numbers)}]")
        bindings.append((name, f"table[{_columns(plan, plan.numbers)}]"))
        values.append(_name(plan, f"{name}_normal"))
        layers.append(f"{values[-1]} = {name} -> Normalize")
        shown = ", ".join(column.name for column in plan.numbers[:6]) + (", ..." if len(plan.numbers) > 6 else "")
        plan.notes.append(f"{shown}: numbers, brought to mean 0 and variance 1 by Normalize")
    for column in plan.texts:
        name = _name(plan, column.name)
        count = len(column.values)
        lines.append(f"input {name}: int32[]")
        bindings.append((name, f"table[{_quoted(column.name)}]"))
        values.append(_name(plan, f"{name}_vector"))
        if count <= MOST_ONE_HOT:
            layer, said = f"OneHot({count})", "a unit each"
            other = "a text that training did not see is none of them"
        else:
            width = min(32, math.ceil(math.sqrt(count)))
            layer, said = f"Embedding({count + 1}, {width})", f"a learned vector of {width} each"
            other = "texts that training did not see share one more"
        layers.append(f"{values[-1]} = {name} -> {layer}")
        plan.notes.append(f"{column.name}: {count} categories, {said}; {other}")
    first = values[0] if len(values) == 1 else "features"
    joined = [] if len(values) == 1 else [f"features = ({', '.join(values)}) -> Concatenate"]
    lines += ["", *layers, *joined, f"hidden = {first} -> Dense(units, relu) -> Dropout(0.2) -> Dense(units, relu)", ""]
    return bindings


def _columns(plan: _Plan, columns: Iterable[ColumnSurvey]) -> str:
    """Columns in brackets, neighbours as a run: `a..d, f`."""
    order = [column.name for column in plan.survey.columns]
    runs: list[list[str]] = []
    for column in columns:
        if runs and order.index(column.name) == order.index(runs[-1][-1]) + 1:
            runs[-1].append(column.name)
        else:
            runs.append([column.name])
    parts = []
    for run in runs:
        ends = [_quoted(run[0]), _quoted(run[-1])]
        parts += ["..".join(ends)] if len(run) > 3 else [_quoted(name) for name in run]
    return ", ".join(parts)


# --- what is predicted ----------------------------------------------------------------------------------------------
def _classes(plan: _Plan) -> int:
    """How many classes the target names; 0 for a quantity. A target that is read as texts is noted in `forced`."""
    target = plan.target
    count = len(target.values)
    if not target.is_numeric:
        if target.many or target.filled / count < LEAST_PER_TEXT:
            text = f"column `{target.name}` has {count:,} different texts in {target.filled:,} rows"
            raise DataError(Diagnostic("E0721", text, notes=("too few rows of each to learn from",)))
        plan.forced += [target.name] if target.numbers else []
        return count
    found = sorted({float(value) for value in target.values}) if count <= MOST_CLASSES and not target.many else []
    if not found or not target.is_whole:
        return 0
    if found == list(range(len(found))):
        return len(found)
    if len(found) < count:
        plan.notes.append(f"{target.name}: some numbers are written in several ways, so they cannot name classes")
        return 0
    if (count <= MOST_ODD_CLASSES and target.filled / count >= 2 * MOST_ODD_CLASSES) or count == 2:
        plan.forced.append(target.name)
        return count
    return 0


def _network(plan: _Plan, lines: list[str], output: str) -> bool:
    """The output and the training; whether the target names classes."""
    target, rows = plan.target, plan.survey.rows
    classes = _classes(plan)
    unit = "Dense(1)"
    if classes == 2:
        unit, loss, metric = "Dense(1, sigmoid)", "binary_crossentropy", "accuracy"
        is_text = target.name in plan.forced or not target.is_numeric
        yes = max(target.values) if is_text else max(target.values, key=float)
        plan.notes.append(f"{target.name}: two classes; the output is the probability of `{yes}`")
    elif classes:
        unit, loss, metric = f"Dense({classes}, softmax)", "sparse_categorical_crossentropy", "accuracy"
        plan.notes.append(f"{target.name}: {classes} classes, a probability of each")
    else:
        loss, metric = "mse", "mae"
        plan.notes.append(f"{target.name}: a quantity, predicted by mean squared error")
        if not 0.1 <= target.deviation <= 10 or abs(target.mean) > 10 * target.deviation:
            scale, offset = (float(f"{number:.3g}") for number in (target.deviation, target.mean))
            unit += f" -> Rescale({scale:g}, {offset:g})"
            plan.notes.append(f"{target.name}: the output is scaled to its mean {offset:g} and deviation {scale:g}")
    lines += [f"output {output} = hidden -> {unit} {{", f"loss = {loss}", f"metrics = [{metric}]", "}", ""]
    batch = 32 if rows < 10_000 else 128
    rate, epochs = (0.003, 100) if rows < 10_000 else (0.001, 50)
    lines += ["train {", f"optimizer = adam(learning_rate = {rate})", f"batch_size = {batch}", f"epochs = {epochs}"]
    lines.append("seed = 1")
    if rows >= LEAST_TO_SPLIT:
        lines.append("early_stopping = early_stopping(monitor = val_loss, patience = 15)")
    lines += ["}", ""]
    return classes > 0


def _data(
    plan: _Plan, lines: list[str], bindings: list[tuple[str, str]], output: str, path: str, stratify: bool
) -> None:
    target, rows = plan.target, plan.survey.rows
    options = [quoted(path)]
    if plan.survey.separator != ",":
        options.append(f"separator = {quoted(plan.survey.separator)}")
    used = [*plan.numbers, *plan.texts]
    gaps = [column for column in used if column.missing]
    common = [f"categories = [{', '.join(_quoted(name) for name in plan.forced)}]"] if plan.forced else []
    fill = ["missing = median"] if gaps else []
    unknown = ["unknown = other"] if plan.texts else []
    lines += ["data {", f"table = csv({', '.join([*options, *fill, *common, *unknown])})"]
    lines += [f"{name} = {source}" for name, source in bindings]
    if gaps:
        shown = ", ".join(f"{column.name} ({column.missing:,})" for column in gaps)
        plan.notes.append(f"missing values of {shown}: filled with the median, or the most frequent text")
    source = "table"
    if target.missing:
        source = f"csv({', '.join([*options, 'missing = drop', *common])})"
        plan.notes.append(f"{target.missing:,} rows without {target.name}: left out")
    lines.append(f"{output} = {source}[{_quoted(target.name)}]")
    if rows < LEAST_TO_SPLIT:
        plan.notes.append(f"{rows} rows: too few to keep any apart for a test")
    else:
        fewest = min(target.values.values())
        held = [f"stratify = {output}"] if stratify and fewest >= 5 else []
        lines.append(f"split {{ {', '.join(['validation = 15%', 'test = 20%', 'seed = 42', *held])} }}")
        plan.notes.append("15% of the rows are kept for validation, 20% for the test" + (", by class" if held else ""))
    lines.append("}")


def _units(plan: _Plan) -> int:
    """A power of two that grows with the square root of the rows: 16 to 128."""
    return min(128, max(16, 1 << math.ceil(math.log2(plan.survey.rows) / 2)))


# --- names ----------------------------------------------------------------------------------------------------------
def _name(plan: _Plan, wish: str) -> str:
    """An identifier like `wish` that nothing else has."""
    word = re.sub(r"\W+", "_", unicodedata.normalize("NFKC", wish)).strip("_").lower() or "column"
    if not word.isidentifier():
        word = f"column_{word}"
    if word in _TAKEN:
        word += "_value"
    found, number = word, 2
    while found in plan.names:
        found, number = f"{word}_{number}", number + 1
    plan.names[found] = wish
    return found


def _quoted(column: str) -> str:
    """A column as the data section names it: bare where it is an identifier."""
    return column if column.isidentifier() and column.isascii() and column not in _TAKEN else quoted(column)


def _one_line(text: str) -> str:
    return " ".join(text.split())
