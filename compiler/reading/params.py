"""`param NAME: type = default in domain`, and the values that the caller sets in its place."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Final

from nnc.grammar import syntax
from nnc.grammar.diagnostics import Diagnostic, NncError

from ..report import did_you_mean, fault, listed
from .constants import Scalar, evaluate, text_of
from .scope import Scope

TYPES: Final[dict[str, type]] = {"int": int, "float": float, "bool": bool, "str": str}
_WORDED: Final = {"int": "a whole number", "float": "a number", "bool": "`true` or `false`", "str": "a text in quotes"}


def param_value(param: syntax.Param, scope: Scope, given: Mapping[str, object]) -> Scalar:
    """The value in force: what the caller set, else the default; both are checked against type and domain.

    Raises: E0415 unknown type, E0412 a default or domain that does not fit, E0414 a set value that does not fit.
    """
    kind = param.type.name.name
    if kind not in TYPES or param.type.dimensions is not None:
        raise fault(
            "E0415",
            f"a param cannot be `{param.type.span.text}`",
            param.type.span,
            f"expects {listed(TYPES, 'or')}",
            helps=did_you_mean(kind, TYPES),
        )
    domain = _domain(param, kind, scope)
    default = _fitting(evaluate(param.default, scope), kind)
    name = param.name.name
    if default is None:
        raise fault(
            "E0412",
            f"the default of `{name}` is no {kind}",
            param.default.span,
            f"expects {_WORDED[kind]}",
            labels=[(param.type.span, "its type")],
        )
    if not _allows(domain, default):
        assert param.domain is not None
        raise fault(
            "E0412",
            f"the default of `{name}` is outside its own range",
            param.default.span,
            text_of(default),
            labels=[(param.domain.span, "the values allowed")],
        )
    return default if name not in given else _given(param, kind, domain, given[name])


def check_given(names: list[str], given: Mapping[str, object]) -> tuple[Diagnostic, ...]:
    """E0413 for each value that the caller sets for a param that is not there."""
    found = []
    for name in given:
        if name not in names:
            notes = (f"the spec has {listed(names)}",) if names else ("the spec has no params",)
            found.append(
                Diagnostic(
                    "E0413",
                    f"there is no param `{name}` to set",
                    notes=notes,
                    helps=did_you_mean(name, names),
                    place=f"--set {name}",
                )
            )
    return tuple(found)


_Domain = tuple[Scalar, ...] | tuple[str, float, float] | None


def _domain(param: syntax.Param, kind: str, scope: Scope) -> _Domain:
    match param.domain:
        case syntax.Range(low=low, high=high, span=span):
            ends = [_fitting(evaluate(end, scope), kind) for end in (low, high)]
            if kind not in ("int", "float") or None in ends:
                raise fault(
                    "E0416",
                    f"this range does not fit a param of type {kind}",
                    span,
                    f"expects {_WORDED[kind]}",
                    labels=[(param.type.span, "its type")],
                )
            first, last = (float(end) for end in ends if end is not None)
            if first > last:
                raise fault("E0416", "this range is empty", span, f"{text_of(ends[0])} is more than {text_of(ends[1])}")
            return ("..", first, last)
        case syntax.List(items=items, span=span):
            values = [_fitting(evaluate(item, scope), kind) for item in items]
            for item, value in zip(items, values, strict=True):
                if value is None:
                    raise fault(
                        "E0416",
                        f"this value does not fit a param of type {kind}",
                        item.span,
                        f"expects {_WORDED[kind]}",
                        labels=[(param.type.span, "its type")],
                    )
            if not values:
                raise fault("E0416", "this list of values is empty", span)
            return tuple(values)
    return None


def _allows(domain: _Domain, value: Scalar) -> bool:
    match domain:
        case None:
            return True
        case ("..", float() as low, float() as high):
            assert isinstance(value, int | float)
            return low <= value <= high
        case _:
            return value in domain


def _fitting(value: object, kind: str) -> Scalar:
    """`value` as the type `kind`; None where it is another type. A whole number is a float too."""
    if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not TYPES[kind] or (isinstance(value, float) and not isfinite(value)):
        return None
    assert isinstance(value, int | float | str)
    return value


def _given(param: syntax.Param, kind: str, domain: _Domain, given: object) -> Scalar:
    value = _fitting(_read(given, kind) if isinstance(given, str) else _plain(given), kind)
    shown = given if isinstance(given, str) else text_of(given)
    name = param.name.name
    if value is None:
        raise _refused(name, f"`{name}` cannot be set to {shown}", param, f"expects {_WORDED[kind]}")
    if not _allows(domain, value):
        assert param.domain is not None
        raise _refused(name, f"`{name}` cannot be set to {shown}", param, f"expects {param.domain.span.text}")
    return value


def _refused(name: str, message: str, param: syntax.Param, label: str) -> NncError:
    span = (
        param.domain.span
        if param.domain is not None and "expects " + param.domain.span.text == label
        else (param.type.span)
    )
    return fault("E0414", message, span, label)


def _plain(value: object) -> object:
    """A Python number for one of NumPy's."""
    item = getattr(value, "item", None)
    return item() if callable(item) and getattr(value, "shape", None) == () else value


def _read(text: str, kind: str) -> object:
    """The value that `--set NAME=text` means; the text itself where it means none."""
    try:
        match kind:
            case "int":
                return int(text)
            case "float":
                return float(text[:-1]) / 100 if text.endswith("%") else float(text)
            case "bool":
                return {"true": True, "false": False}.get(text.strip().lower(), text)
    except ValueError:
        return text
    return text
