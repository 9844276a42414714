"""Values of arguments, read by the kind of their parameter and checked against its range."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from nnc.grammar import syntax
from nnc.grammar.diagnostics import NncError
from nnc.grammar.source import Span
from nnc.grammar.suggest import nearest

from ..layers.definition import Hyperparameter
from ..options import Choice, Value
from ..report import did_you_mean, fault, known_fault, listed, suggestion
from ..tables import TABLES, Table, entry_signature
from .binding import Bound, Reader
from .binding import bind as bind_with
from .constants import Scalar, evaluate, text_of
from .ranges import OPEN_PART, RANGES, Bounds
from .scope import WORDS, Constant, Deferred, Faulty, Scope, resolved


def bind(
    owner: str,
    signature: tuple[Hyperparameter, ...],
    arguments: Iterable[syntax.Argument],
    scope: Scope,
    place: Span,
    unknown: str = "E0401",
) -> Bound:
    """The arguments of a layer, or of an entry of a table, bound to its signature. Raises NncError with all faults."""
    return bind_with(owner, signature, arguments, scope, place, unknown, readers=READERS)


def wrong_kind(
    owner: str,
    parameter: Hyperparameter,
    expression: syntax.Expression,
    found: str,
    expected: str,
    helps: Iterable[str] = (),
) -> NncError:
    """The fault of a value of another kind, E0405."""
    message = f"`{parameter.name}` of `{owner}` is {expected}, not {found}"
    return fault("E0405", message, expression.span, f"expects {expected}", helps=helps)


def _scalar(
    owner: str, parameter: Hyperparameter, expression: syntax.Expression, scope: Scope, expected: str
) -> Scalar:
    """A constant for a place that expects one; anything that is no expression at all is a wrong kind."""
    match expression:
        case syntax.Name(name=name) if name not in WORDS and scope.look_up(name) is None:
            constants = list(scope.candidates(Constant, Deferred))
            if name in scope.file.later or name in scope.file.broken or did_you_mean(name, constants):
                return evaluate(expression, scope)  # which raises
            raise wrong_kind(owner, parameter, expression, f"`{name}`", expected)
        case (
            syntax.Call()
            | syntax.Tuple()
            | syntax.List()
            | syntax.Mapping()
            | syntax.Range()
            | syntax.Index()
            | (syntax.Arrow())
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
    _within(owner, parameter, expression, value, OPEN_PART)
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
            raise fault(
                "E0406",
                f"a size in `{parameter.name}` of `{owner}` is {dim}",
                item.span,
                "expects at least 1, or -1 for what is left",
            )
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
        raise fault(
            "E0405",
            message,
            expression.span,
            f"expects {listed(parameter.choices, 'or')}",
            helps=did_you_mean(word, parameter.choices),
        )
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
        near = nearest(name.name, (*entries, *table.aliases))
        helps = suggestion(dict.fromkeys(table.aliases.get(word, word) for word in near))
        label = f"expects {table.article}" + ("" if helps or len(entries) > 20 else f": {listed(entries, 'or')}")
        raise fault(table.code, f"there is no {table.name} `{name.name}`", name.span, label, helps=helps)
    signature = entry_signature(kind, found)
    return Choice(found, bind(found, signature, arguments, scope, expression.span))


def _called(
    table: Table, expression: syntax.Expression, scope: Scope
) -> tuple[syntax.Name, tuple[syntax.Argument, ...]]:
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
            helps = (
                [f"write the bare word: `{value}`"] if value in table.entries else (did_you_mean(value, table.entries))
            )
            raise fault(
                "E0405",
                f"{table.article} is a bare word, not a text in quotes",
                expression.span,
                f"expects {table.article}",
                helps=helps,
            )
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
    "axis": _read_integer, "shape": _read_shape, "floats": _read_floats, "name": _read_word, "word": _read_word,
    "string": _read_string,
    "learning_rate": _read_learning_rate, **dict.fromkeys(TABLES, _read_choice),
}  # fmt: skip
"""Kind of a hyperparameter -> the function that reads its value."""
