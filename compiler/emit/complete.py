"""A spec with everything said that it leaves to a default: the same network, plan and training, in more words.

`complete(module) -> Module` works on the tree, so names, params, blocks, documentation and comments stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from nnc.grammar import syntax
from nnc.grammar.format import format_module
from nnc.grammar.parse import parse
from nnc.grammar.source import SourceFile, Span

from ..layers import LAYERS
from ..layers.definition import REQUIRED, Hyperparameter
from ..options import Choice, Value
from ..reading.binding import assign, completed
from ..reading.data_section import FILES, GROUPS, SPLIT
from ..reading.sections import EARLY_STOPPING, OUTPUT, TRAIN
from ..reading.steps import registered
from ..tables import TABLES, entry_signature


def complete_text(source: SourceFile, params: Iterable[tuple[str, Value]] = ()) -> str:
    """The canonical text of a spec with every default filled in; `params` become the defaults of its params.

    Requires: the spec is sound, and the params are its own.
    """
    whole = SourceFile(source.name, _with_all_sections(parse(source)), source.path)
    text = format_module(complete(parse(whole), dict(params)))
    return format_module(parse(SourceFile(source.name, text)))


def complete(module: syntax.Module, params: Mapping[str, Value]) -> syntax.Module:
    """The module with every argument and entry written out. Requires: it is sound."""
    own = {
        statement.name.name
        for statement in module.statements
        if isinstance(statement, syntax.Layer | syntax.Block)
    }  # fmt: skip
    filler = _Filler(frozenset(own), params=params)
    return replace(module, statements=tuple(filler.statement(statement) for statement in module.statements))


def _with_all_sections(module: syntax.Module) -> str:
    """The canonical text, with a `model` and a `train` where there is none."""
    lines = format_module(module).splitlines(keepends=True)
    if not any(isinstance(statement, syntax.Model) for statement in module.statements):
        name = Path(module.source.name).stem
        if name.isidentifier():
            lines.insert(1, f"\nmodel {name}\n" + ("\n" if lines[1:2] != ["\n"] else ""))
    is_trained = any(isinstance(s, syntax.Section) and s.keyword.name == "train" for s in module.statements)
    if not is_trained:
        lines.append("\ntrain {}\n")
    return "".join(lines)


class _Filler:
    """`own`: the file's shared layers and blocks, which have their arguments; `inner`: a block's hyperparameters."""

    def __init__(
        self, own: frozenset[str], inner: frozenset[str] = frozenset(), params: Mapping[str, Value] | None = None
    ) -> None:
        self._own, self._inner, self._params = own, inner, params or {}

    # --- statements -----------------------------------------------------------------------------------------------
    def statement(self, statement: syntax.Statement) -> syntax.Statement:
        """The statement in full."""
        match statement:
            case syntax.Param(name=name, default=default) if name.name in self._params:
                return replace(statement, default=_set(default, self._params[name.name]))
            case syntax.Binding(value=value):
                return replace(statement, value=self._tensor(value))
            case syntax.Layer(value=value):
                return replace(statement, value=self._step(value))
            case syntax.Block():
                return self._block(statement)
            case syntax.Output(value=value, entries=entries):
                tensor = None if value is None else self._tensor(value)
                judged = any(entry.name.name == "loss" for entry in entries)
                filled = self._entries(OUTPUT, entries, statement.span) if judged else entries
                return replace(statement, value=tensor, entries=filled)
            case syntax.Section(keyword=syntax.Name(name="train"), entries=entries):
                return replace(statement, entries=self._entries(TRAIN, entries, statement.span))
            case syntax.Section(keyword=syntax.Name(name="data"), entries=entries):
                return replace(statement, entries=tuple(self._data_entry(entry) for entry in entries))
        return statement

    def _block(self, block: syntax.Block) -> syntax.Block:
        inside = _Filler(self._own, frozenset(parameter.name.name for parameter in block.parameters))
        body = tuple(replace(binding, value=inside._tensor(binding.value)) for binding in block.body)
        return replace(block, body=body, result=inside._tensor(block.result))

    def _entries(
        self, signature: Iterable[Hyperparameter], entries: Sequence[syntax.Entry], span: Span
    ) -> tuple[syntax.Entry, ...]:
        """The entries in full, then those that are left to their defaults."""
        known = {name: parameter for parameter in signature for name in (parameter.name, parameter.alias) if name}
        filled = [
            entry if entry.value is None else replace(entry, value=self._value(known[entry.name.name], entry.value))
            for entry in entries
        ]
        given = {known[entry.name.name].name for entry in entries}
        end = Span(span.source, span.end - 1, span.end - 1)    # just before the brace, behind the last comment
        for parameter in dict.fromkeys(known.values()):
            if parameter.name not in given:
                filled.append(syntax.Entry(syntax.Name(parameter.name, end), _default(parameter, end), None, end))
        return tuple(filled)

    def _data_entry(self, entry: syntax.Entry) -> syntax.Entry:
        if entry.entries is None:
            return entry if entry.value is None else replace(entry, value=self._source(entry.value))
        if entry.name.name == "split":
            return replace(entry, entries=self._entries(SPLIT, entry.entries, entry.span))
        if entry.name.name in GROUPS:
            return replace(entry, entries=tuple(self._data_entry(inner) for inner in entry.entries))
        return entry

    def _source(self, source: syntax.Expression) -> syntax.Expression:
        match source:
            case syntax.Call(callee=callee):
                return self._call(source, FILES[callee.name])
            case syntax.Index(value=value):
                return replace(source, value=self._source(value))
        return source

    # --- tensors and layers ---------------------------------------------------------------------------------------
    def _tensor(self, expression: syntax.Expression) -> syntax.Expression:
        match expression:
            case syntax.Arrow(source=source, steps=steps):
                return replace(expression, source=self._tensor(source), steps=tuple(map(self._step, steps)))
            case syntax.Tuple(items=items):
                return replace(expression, items=tuple(map(self._tensor, items)))
            case syntax.Binary(left=left, right=right):
                return replace(expression, left=self._tensor(left), right=self._tensor(right))
            case syntax.Unary(operand=operand):
                return replace(expression, operand=self._tensor(operand))
        return expression

    def _step(self, step: syntax.Expression) -> syntax.Expression:
        """A layer with all its arguments; of a block's call, those of the layers that it is given."""
        match step:
            case syntax.Binary(left=left):
                return replace(step, left=self._step(left))
            case syntax.Call(callee=callee, arguments=arguments) if callee.name in self._own:
                return replace(step, arguments=tuple(replace(a, value=self._given(a.value)) for a in arguments))
            case syntax.Call(callee=callee) | (syntax.Name() as callee):
                is_known = callee.name not in self._own | self._inner and registered(callee.name) in LAYERS
                return self._call(step, LAYERS[registered(callee.name)].hyperparameters) if is_known else step
        return step

    def _given(self, value: syntax.Expression) -> syntax.Expression:
        """What a block is given: a layer in full; anything else has no defaults that are known here."""
        name = value.callee.name if isinstance(value, syntax.Call) else getattr(value, "name", None)
        known = LAYERS.get(registered(name)) if isinstance(name, str) else None
        return value if known is None or known.is_activation else self._step(value)

    def _call(
        self, call: syntax.Expression, signature: tuple[Hyperparameter, ...]
    ) -> syntax.Expression:
        """`Dense(64)` -> `Dense(64, activation = none, ...)`: what is left out goes behind, by name."""
        callee, arguments = (call.callee, call.arguments) if isinstance(call, syntax.Call) else (call, ())
        assert isinstance(callee, syntax.Name)
        given, faults, _ = assign(callee.name, signature, arguments)
        assert not faults, faults
        by_value = {id(value): name for name, value in given.items()}
        known = {parameter.name: parameter for parameter in signature}
        filled = [replace(a, value=self._value(known[by_value[id(a.value)]], a.value)) for a in arguments]
        end = Span(call.span.source, call.span.end - 1, call.span.end - 1)
        filled += [_named(parameter, end) for parameter in signature if parameter.name not in given]
        return syntax.Call(callee, tuple(filled), call.span) if filled else call

    # --- values ---------------------------------------------------------------------------------------------------
    def _value(self, parameter: Hyperparameter, value: syntax.Expression) -> syntax.Expression:
        """A value as it was given, in which a choice has all its arguments."""
        if parameter.kind in TABLES:
            return self._choice(parameter.kind, value)
        if parameter.kind == "learning_rate":
            return self._choice("schedule", value)
        if parameter.kind == "metrics" and isinstance(value, syntax.List | syntax.Tuple):
            return replace(value, items=tuple(self._choice("metric", item) for item in value.items))
        if parameter.kind == "metrics":
            return self._choice("metric", value)
        is_early_stopping = parameter.kind == "early_stopping" and isinstance(value, syntax.Name | syntax.Call)
        return self._call(value, EARLY_STOPPING) if is_early_stopping and not _is_none(value) else value

    def _choice(self, kind: str, value: syntax.Expression) -> syntax.Expression:
        """An entry of a table in full; a number, a param or a block's hyperparameter as it stands."""
        callee = value.callee if isinstance(value, syntax.Call) else value
        if not isinstance(callee, syntax.Name) or callee.name in self._inner:
            return value
        found = TABLES[kind].aliases.get(callee.name, callee.name)
        if found not in TABLES[kind].entries:
            return value
        return self._call(value, entry_signature(kind, found))


def _set(default: syntax.Expression, value: Value) -> syntax.Expression:
    """The value of a param: as it was written, where that is the value of a number or a text."""
    match default:
        case syntax.Number(value=written) | syntax.String(value=written) if written == value:
            return default
    return syntax.String(value, default.span) if isinstance(value, str) else _expression(value, default.span)


def _is_none(value: syntax.Expression) -> bool:
    return isinstance(value, syntax.Name) and value.name == "none"


def _named(parameter: Hyperparameter, place: Span) -> syntax.Argument:
    return syntax.Argument(syntax.Name(parameter.name, place), _default(parameter, place), place)


def _default(parameter: Hyperparameter, place: Span) -> syntax.Expression:
    """The default of a parameter, as a spec writes it."""
    assert parameter.default != REQUIRED, parameter.name
    value = completed(parameter)
    if parameter.kind == "string":
        return syntax.String(str(value), place)
    return _expression(value, place)


def _expression(value: Value, place: Span) -> syntax.Expression:
    match value:
        case None:
            return syntax.Name("none", place)
        case bool():
            return syntax.Name("true" if value else "false", place)
        case int() | float():
            number = syntax.Number(abs(value), repr(abs(value)), place)
            return syntax.Unary("-", number, place) if value < 0 else number
        case str():
            return syntax.Name(value, place) if value.isidentifier() else syntax.String(value, place)
        case tuple():
            return syntax.List(tuple(_expression(item, place) for item in value), place)
        case Choice(name=name, arguments=arguments):
            callee = syntax.Name(name, place)
            filled = tuple(
                syntax.Argument(syntax.Name(key, place), _expression(item, place), place) for key, item in arguments
            )
            return syntax.Call(callee, filled, place) if filled else callee
    raise AssertionError(value)
