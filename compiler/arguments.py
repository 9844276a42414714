"""Arguments in parentheses and entries in braces: bound to a signature, checked, with every default filled in.

One signature (`Hyperparameter` records) serves layers, sections and the entries of the formula tables alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from nnc.grammar import syntax
from nnc.grammar.diagnostics import Diagnostic, NncError
from nnc.grammar.source import Span

from .constants import Scalar, evaluate, text_of
from .layers.definition import REQUIRED, Hyperparameter
from .options import Choice, Value
from .report import counted, did_you_mean, fault, known_fault, listed
from .scope import WORDS, Constant, Deferred, Faulty, Scope
from .tables import TABLES, Table, default_choice, entry_signature

Bound = tuple[tuple[str, Value], ...]
Reader = Callable[[str, Hyperparameter, syntax.Expression, Scope], Value]


@dataclass(frozen=True, slots=True)
class Bounds:
    """The range of a number; `open_low` and `open_high` say that an end does not belong to it."""

    low: float
    high: float = float("inf")
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.open_low else value >= self.low
        return above and (value < self.high if self.open_high else value <= self.high)

    def __str__(self) -> str:
        low = f"more than {self.low:g}" if self.open_low else f"at least {self.low:g}"
        if self.high == float("inf"):
            return low
        return f"{low} and {'less than' if self.open_high else 'at most'} {self.high:g}"


_POSITIVE, _NOT_NEGATIVE = Bounds(0, open_low=True), Bounds(0)
_PART, _OPEN_PART = Bounds(0, 1), Bounds(0, 1, open_high=True)
# what a number may be, by the name of its argument: a name means the same wherever it stands
RANGES: Final[dict[str, Bounds]] = {
    "learning_rate": _POSITIVE, "initial_learning_rate": _NOT_NEGATIVE, "epsilon": _POSITIVE, "delta": _POSITIVE,
    "momentum": _PART, "rho": _OPEN_PART, "beta_1": _OPEN_PART, "beta_2": _OPEN_PART, "label_smoothing": _PART,
    "weight_decay": _NOT_NEGATIVE, "l1": _NOT_NEGATIVE, "l2": _NOT_NEGATIVE, "stddev": _NOT_NEGATIVE,
    "variance": _NOT_NEGATIVE, "initial_accumulator_value": _NOT_NEGATIVE, "weight": _NOT_NEGATIVE,
    "clip_norm": _POSITIVE, "clip_value": _POSITIVE, "seed": Bounds(0, 2**63 - 1), "k": Bounds(1),
    "patience": _NOT_NEGATIVE, "cooldown": _NOT_NEGATIVE, "min_delta": _NOT_NEGATIVE, "min_lr": _NOT_NEGATIVE,
    "decay_steps": Bounds(1), "warmup_steps": _NOT_NEGATIVE, "warmup_target": _POSITIVE, "decay_rate": _POSITIVE,
    "factor": Bounds(0, 1, open_low=True, open_high=True),
    "class_weight": _NOT_NEGATIVE, "validation": _OPEN_PART, "test": _OPEN_PART,
}  # fmt: skip


def bind(
    owner: str,
    signature: tuple[Hyperparameter, ...],
    arguments: Iterable[syntax.Argument],
    scope: Scope,
    place: Span,
    unknown: str = "E0401",
    readers: Mapping[str, Reader] | None = None,
) -> Bound:
    """Every argument of `signature` with its value, in the signature's order.

    Raises NncError with all faults of the call: `unknown` (E0401), E0402 missing, E0403 too many, E0404 twice, and
    those of the values.
    """
    given, faults = assign(owner, signature, arguments, unknown)
    values: dict[str, Value] = {}
    for parameter in signature:
        if parameter.name not in given:
            if parameter.default == REQUIRED:
                label = f"expects `{parameter.name}`" + (f", the {parameter.doc}" if parameter.doc else "")
                faults += fault("E0402", f"`{owner}` needs `{parameter.name}`", place, label).diagnostics
            else:
                values[parameter.name] = completed(parameter)
            continue
        try:
            values[parameter.name] = read(owner, parameter, given[parameter.name], scope, readers or READERS)
        except NncError as error:
            faults += error.diagnostics or (_REPORTED,)
    if faults:
        raise NncError(*(diagnostic for diagnostic in faults if diagnostic is not _REPORTED))
    return tuple((parameter.name, values[parameter.name]) for parameter in signature)


_REPORTED = Diagnostic("", "", None)  # stands for a fault that was reported where it arose


def assign(
    owner: str, signature: tuple[Hyperparameter, ...], arguments: Iterable[syntax.Argument], unknown: str = "E0401"
) -> tuple[dict[str, syntax.Expression], list[Diagnostic]]:
    """Which expression goes to which parameter, and the faults of those that go to none."""
    names = {parameter.name: parameter.name for parameter in signature}
    names |= {parameter.alias: parameter.name for parameter in signature if parameter.alias}
    positional = [parameter.name for parameter in signature if not parameter.keyword_only]
    given: dict[str, syntax.Expression] = {}
    faults: list[Diagnostic] = []
    count = 0
    for argument in arguments:
        if argument.name is None:
            count += 1
            if count > len(positional):
                faults += _too_many(owner, positional, argument).diagnostics
                continue
            name, span = positional[count - 1], argument.span
        elif argument.name.name in names:
            name, span = names[argument.name.name], argument.name.span
        else:
            faults += _unknown(owner, argument.name, names, unknown).diagnostics
            continue
        if name in given:
            faults += fault("E0404", f"`{name}` of `{owner}` is given twice", span, "given again",
                            labels=[(given[name].span, "given here")]).diagnostics
            continue
        given[name] = argument.value
    return given, faults


def _too_many(owner: str, positional: list[str], argument: syntax.Argument) -> NncError:
    message = f"`{owner}` takes {counted(len(positional), 'argument')} at most" if positional else (
        f"`{owner}` takes no arguments")
    label = f"expects {listed(positional)}" if 0 < len(positional) <= 6 else "one too many"
    return fault("E0403", message, argument.span, label)


def _unknown(owner: str, name: syntax.Name, names: Iterable[str], code: str) -> NncError:
    known = list(names)
    helps = did_you_mean(name.name, known)
    notes = [f"`{owner}` has {listed(known)}"] if known and not helps else []
    what = "entry" if code != "E0401" else "argument"
    return fault(code, f"`{owner}` has no {what} `{name.name}`", name.span, "not known", helps=helps, notes=notes)


@cache
def completed(parameter: Hyperparameter) -> Value:
    """The default of a parameter; a choice gets the defaults of its table entry."""
    if isinstance(parameter.default, Choice) and parameter.kind in TABLES:
        return default_choice(parameter.kind, parameter.default.name)
    return parameter.default


def read(
    owner: str,
    parameter: Hyperparameter,
    expression: syntax.Expression,
    scope: Scope,
    readers: Mapping[str, Reader],
) -> Value:
    """The value of one argument, by the kind of its parameter. Raises E0405 wrong kind, E0406 out of range ..."""
    expression, scope = resolved(expression, scope)
    if parameter.optional and isinstance(expression, syntax.Name) and expression.name == "none":
        return None
    return readers[parameter.kind](owner, parameter, expression, scope)


def resolved(expression: syntax.Expression, scope: Scope) -> tuple[syntax.Expression, Scope]:
    """The expression that a block's hyperparameter stands for, with the scope of the caller who wrote it."""
    while isinstance(expression, syntax.Name) and expression.name not in WORDS:
        entity = scope.look_up(expression.name)
        if not isinstance(entity, Deferred):
            break
        scope.use(expression.name)
        expression, scope = entity.expression, entity.scope
    return expression, scope


def wrong_kind(owner: str, parameter: Hyperparameter, expression: syntax.Expression, found: str, expected: str,
               helps: Iterable[str] = ()) -> NncError:
    message = f"`{parameter.name}` of `{owner}` is {expected}, not {found}"
    return fault("E0405", message, expression.span, f"expects {expected}", helps=helps)


def _scalar(owner: str, parameter: Hyperparameter, expression: syntax.Expression, scope: Scope, expected: str) -> Scalar:
    """A constant for a place that expects one; anything that is no expression at all is a wrong kind."""
    match expression:
        case syntax.Name(name=name) if name not in WORDS and scope.look_up(name) is None:
            constants = list(scope.candidates(Constant, Deferred))
            if name in scope.file.later or name in scope.file.broken or did_you_mean(name, constants):
                return evaluate(expression, scope)  # which raises
            raise wrong_kind(owner, parameter, expression, f"`{name}`", expected)
        case syntax.Call() | syntax.Tuple() | syntax.List() | syntax.Mapping() | syntax.Range() | syntax.Index() | (
            syntax.Arrow()
        ):
            raise wrong_kind(owner, parameter, expression, _shape_of(expression), expected)
        case _:
            return evaluate(expression, scope)


def _shape_of(expression: syntax.Expression) -> str:
    match expression:
        case syntax.Call(callee=callee):
            return f"`{callee.name}(...)`"
        case syntax.Tuple():
            return "a tuple"
        case syntax.List():
            return "a list"
        case syntax.Mapping():
            return "a mapping"
        case syntax.Range():
            return "a range"
        case syntax.Index():
            return "columns of a table"
        case _:
            return "a tensor"


def _whole(owner: str, parameter: Hyperparameter, expression: syntax.Expression, scope: Scope, expected: str) -> int:
    value = _scalar(owner, parameter, expression, scope, expected)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    is_quotient = isinstance(expression, syntax.Binary) and expression.operator == "/" and isinstance(value, float)
    helps = ["`//` divides whole numbers"] if is_quotient else []
    raise wrong_kind(owner, parameter, expression, text_of(value), expected, helps)


def _within(owner: str, parameter: Hyperparameter, expression: syntax.Expression, value: float, bounds: Bounds) -> None:
    if value not in bounds:
        message = f"`{parameter.name}` of `{owner}` is {text_of(value)}, which is out of range"
        raise fault("E0406", message, expression.span, f"expects {bounds}")


def _read_count(owner: str, parameter: Hyperparameter, expression: syntax.Expression, scope: Scope) -> Value:
    value = _whole(owner, parameter, expression, scope, "a whole number")
    _within(owner, parameter, expression, value, Bounds(1))
    return value


def _read_integer(owner: str, parameter: Hyperparameter, expression: syntax.Expression, scope: Scope) -> Value:
    value = _whole(owner, parameter, expression, scope, "a whole number")
    if parameter.name in RANGES:
        _within(owner, parameter, expression, value, RANGES[parameter.name])
    return value


def _float(owner: str, parameter: Hyperparameter, expression: syntax.Expression, scope: Scope) -> float:
    value = _scalar(owner, parameter, expression, scope, "a number")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_kind(owner, parameter, expression, text_of(value), "a number")
    return float(value)


def _read_float(owner: str, parameter: Hyperparameter, expression: syntax.Expression, scope: Scope) -> Value:
    value = _float(owner, parameter, expression, scope)
    if parameter.name in RANGES:
        _within(owner, parameter, expression, value, RANGES[parameter.name])
    return value


def _read_rate(owner: str, parameter: Hyperparameter, expression: syntax.Expression, scope: Scope) -> Value:
    value = _float(owner, parameter, expression, scope)
    _within(owner, parameter, expression, value, _OPEN_PART)
    return value


def _read_bool(owner: str, parameter: Hyperparameter, expression: syntax.Expression, scope: Scope) -> Value:
    value = _scalar(owner, parameter, expression, scope, "`true` or `false`")
    if not isinstance(value, bool):
        raise wrong_kind(owner, parameter, expression, text_of(value), "`true` or `false`")
    return value


def _read_string(owner: str, parameter: Hyperparameter, expression: syntax.Expression, scope: Scope) -> Value:
    value = _scalar(owner, parameter, expression, scope, "a text in quotes")
    if not isinstance(value, str):
        raise wrong_kind(owner, parameter, expression, text_of(value), "a text in quotes")
    return value


def _read_shape(owner: str, parameter: Hyperparameter, expression: syntax.Expression, scope: Scope) -> Value:
    items = expression.items if isinstance(expression, syntax.Tuple | syntax.List) else (expression,)
    dims = []
    for item in items:
        dim = _whole(owner, parameter, item, scope, "a size, or several as in `(28, 28)`")
        if dim < 1 and dim != -1:
            raise fault("E0406", f"a size in `{parameter.name}` of `{owner}` is {dim}", item.span,
                        "expects at least 1, or -1 for what is left")
        dims.append(dim)
    return tuple(dims)


def _read_floats(owner: str, parameter: Hyperparameter, expression: syntax.Expression, scope: Scope) -> Value:
    if isinstance(expression, syntax.List | syntax.Tuple):
        return tuple(_read_float(owner, parameter, item, scope) for item in expression.items)
    return _read_float(owner, parameter, expression, scope)


def _read_word(owner: str, parameter: Hyperparameter, expression: syntax.Expression, scope: Scope) -> Value:
    """One of a few words; without `choices`, any name, bare or in quotes."""
    match expression:
        case syntax.Name(name=word):
            entity = scope.look_up(word)
            if isinstance(entity, Constant) and isinstance(entity.value, str):
                scope.use(word)
                word = entity.value
        case syntax.String(value=word):
            pass
        case _:
            raise wrong_kind(owner, parameter, expression, _shape_of(expression), "a word")
    if parameter.choices and word not in parameter.choices:
        message = f"`{parameter.name}` of `{owner}` cannot be `{word}`"
        raise fault("E0405", message, expression.span, f"expects {listed(parameter.choices, 'or')}",
                    helps=did_you_mean(word, parameter.choices))
    return word


def _read_choice(owner: str, parameter: Hyperparameter, expression: syntax.Expression, scope: Scope) -> Value:
    return choose(parameter.kind, expression, scope)


def choose(kind: str, expression: syntax.Expression, scope: Scope) -> Choice:
    """The entry of a formula table that the user names, `relu` or `huber(delta = 2)`, with every argument."""
    expression, scope = resolved(expression, scope)
    table = TABLES[kind]
    entries = table.entries
    name, arguments = _called(table, expression, scope)
    found = table.aliases.get(name.name, name.name)
    if found not in entries:
        helps = did_you_mean(name.name, (*entries, *table.aliases))
        label = f"expects {table.article}" + ("" if helps or len(entries) > 20 else f": {listed(entries, 'or')}")
        raise fault(table.code, f"there is no {table.name} `{name.name}`", name.span, label, helps=helps)
    signature = entry_signature(kind, found)
    return Choice(found, bind(found, signature, arguments, scope, expression.span))


def _called(table: Table, expression: syntax.Expression, scope: Scope) -> tuple[syntax.Name, tuple[syntax.Argument, ...]]:
    match expression:
        case syntax.Call(callee=callee, arguments=arguments):
            return callee, arguments
        case syntax.Name(name=word):
            match scope.look_up(word):
                case Faulty():
                    raise known_fault()
                case Constant(value=str() as value) if word not in table.entries:
                    scope.use(word)
                    return syntax.Name(value, expression.span), ()
            return expression, ()
        case syntax.String(value=value):
            helps = [f"write the bare word: `{value}`"] if value in table.entries else (
                did_you_mean(value, table.entries))
            raise fault("E0405", f"{table.article} is a bare word, not a text in quotes", expression.span,
                        f"expects {table.article}", helps=helps)
        case _:
            raise fault("E0405", f"this is no {table.name}", expression.span, f"expects {table.article}")


def _read_learning_rate(owner: str, parameter: Hyperparameter, expression: syntax.Expression, scope: Scope) -> Value:
    """A number, or a schedule such as `cosine(...)`."""
    is_word = isinstance(expression, syntax.Name) and scope.look_up(expression.name) is None
    if isinstance(expression, syntax.Call) or is_word:
        return choose("schedule", expression, scope)
    return _read_float(owner, parameter, expression, scope)


READERS: Final[dict[str, Reader]] = {
    "int": _read_count, "integer": _read_integer, "float": _read_float, "rate": _read_rate, "bool": _read_bool,
    "axis": _read_integer, "shape": _read_shape, "floats": _read_floats, "name": _read_word, "word": _read_word, "string": _read_string,
    "learning_rate": _read_learning_rate, **dict.fromkeys(TABLES, _read_choice),
}  # fmt: skip
"""Kind of a hyperparameter -> the function that reads its value."""
