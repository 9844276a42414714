"""A trained model as the beginning of another training: its weights, and what it knows of texts.

All of the weights, or with `--partial` those that fit. A text keeps the number that the model has for it: rows of an
embedding and units of a classifier mean nothing under another numbering.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NoReturn

from nnc.grammar.diagnostics import DataError, Diagnostic, UsageError

from .console import narrate
from .models import OpenModel, encodings

if TYPE_CHECKING:
    from nnc.compiler.options import Value
    from nnc.compiler.plan import Plan
    from nnc.runtime.data import Dataset
    from nnc.runtime.data.source import Encoding
    from nnc.runtime.protocol import Session

_CARRIED: Final = ("weight", "statistic")
_MOST_SHOWN: Final = 30    # lines of a difference
_UNREAD: Final = {"E0711", "E0719"}    # a gap or a text that the model knows no number for


def carry_weights(
    model: OpenModel, session: Session, spec: str, params: tuple[tuple[str, Value], ...], *, takes_part: bool
) -> bool:
    """Write the weights of a model into a session; whether what Normalize layers learned came along.

    Raises: UsageError E0843 where the spec of the model is another, unless `takes_part`.
    """
    wanted = {v.name: v.type for v, _ in session.plan.variables if v.role in _CARRIED}
    there = {v.name: v.type for v, _ in model.saved.plan.variables if v.role in _CARRIED}
    taken = [key for key in wanted if there.get(key) == wanted[key]]
    if not takes_part:
        _refuse_other_spec(model, spec, params, is_same=wanted == there)
    for key in taken:
        session.write(key, model.saved.variables[key])
    if takes_part:
        _say_what_was_taken(model.name, taken, list(wanted), [key for key in there if key not in taken])
    learned = {key for adaptation in session.plan.adaptations for key in (adaptation.mean, adaptation.variance)}
    return learned <= set(taken)


def _refuse_other_spec(
    model: OpenModel, spec: str, params: tuple[tuple[str, Value], ...], *, is_same: bool
) -> None:
    lines = _difference(_network_text(model.saved.spec), _network_text(spec))
    there, here = dict(model.saved.params), dict(params)
    lines += [
        f"param `{key}` is {there.get(key, 'not there')} in the model, {here.get(key, 'not there')} here"
        for key in dict.fromkeys([*there, *here])
        if there.get(key) != here.get(key)
    ]
    if is_same and not lines:
        return
    helps = ("`--partial` takes the weights whose names and shapes are the same, and says which",)
    text = f"the spec of `{model.name}` differs from this one"
    raise UsageError(Diagnostic("E0843", text, place=model.name, notes=_shown(lines), helps=helps))


def _shown(lines: list[str]) -> tuple[str, ...]:
    more = [f"and {len(lines) - _MOST_SHOWN} lines more"] if len(lines) > _MOST_SHOWN else []
    return (*lines[:_MOST_SHOWN], *more)


def _network_text(spec: str) -> str:
    """A spec without how it is trained and on what."""
    from nnc.grammar.format import format_module
    from nnc.grammar.parse import parse
    from nnc.grammar.source import SourceFile
    from nnc.grammar.syntax import Section

    module = parse(SourceFile("<spec>", spec))
    kept = tuple(statement for statement in module.statements if not isinstance(statement, Section))
    return format_module(dataclasses.replace(module, statements=kept))


def _difference(before: str, after: str) -> list[str]:
    """Lines that only the model has, marked `-`, and lines that only this spec has, marked `+`."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in lines if line.strip("+- ") and not line.startswith(("---", "+++", "@@"))]


def _say_what_was_taken(name: str, taken: list[str], wanted: list[str], left: list[str]) -> None:
    narrate(f"nnc: from {name}: {', '.join(taken) or 'nothing'}")
    if fresh := [key for key in wanted if key not in taken]:
        narrate(f"nnc: new: {', '.join(fresh)}")
    if left:
        narrate(f"nnc: not taken: {', '.join(left)}")


# --- what the model knows of texts ----------------------------------------------------------------------------------
def load_as_trained(
    model: OpenModel, plan: Plan, load: Callable[[Mapping[str, Encoding] | None], Dataset], *, takes_part: bool
) -> Dataset:
    """The data that `load` reads for `plan`, its texts numbered as in the model.

    load: takes what is known of texts and gaps, or None to learn all of it from the training rows.
    Raises: UsageError E0843 for texts that the model does not know; with `takes_part` they get the numbers after those
    that it does. DataError E0701-E0720.
    """
    names = {signature.name for signature in (*plan.inputs, *plan.outputs)}
    known = {name: encoding for name, encoding in encodings(model.saved).items() if name in names}
    if not known:
        return load(None)
    try:
        return load(known)
    except DataError as error:
        if not {diagnostic.code for diagnostic in error.diagnostics} & _UNREAD:
            raise
    learnt = load(None).encodings
    others = {name: _unknown_texts(known[name], learnt[name]) for name in learnt if name in known}
    others = {name: words for name, words in others.items() if words}
    if others and not takes_part:
        _refuse_other_texts(model, learnt, known, others)
    for name, words in others.items():
        narrate(f"nnc: new texts of {name}, numbered after those of {model.name}: {_words_text(words)}")
    return load(known | {name: _grown(known.get(name, learnt[name]), learnt[name]) for name in learnt})


def _unknown_texts(known: Encoding, learnt: Encoding) -> tuple[str, ...]:
    """The texts that have no number yet; none where one number stands for all of them."""
    from nnc.runtime.data.encoding import has_other

    return () if has_other(known.words) else tuple(word for word in learnt.words if word not in known.words)


def _grown(known: Encoding, learnt: Encoding) -> Encoding:
    """`known`, with numbers for more texts, and with what fills gaps if it has nothing for them."""
    words = (*known.words, *_unknown_texts(known, learnt))
    fills = known.fills or learnt.fills
    if fills and words and not known.fills:
        fills = tuple(float(words.index(learnt.words[int(number)])) for number in fills)
    return dataclasses.replace(known, words=words, fills=fills)


def _refuse_other_texts(
    model: OpenModel, here: Mapping[str, Encoding], there: Mapping[str, Encoding], others: Mapping[str, tuple[str, ...]]
) -> NoReturn:
    lines: list[str] = []
    for name, words in others.items():
        gone = tuple(word for word in there[name].words if word not in here[name].words)
        lines += [f"{sign}{name} {_words_text((word,))}" for sign, side in (("-", gone), ("+", words)) for word in side]
    helps = ("`--partial` keeps the numbers of the texts that the model knows, and gives new ones to the others",)
    text = f"the data has texts that `{model.name}` does not know"
    raise UsageError(Diagnostic("E0843", text, place=model.name, notes=_shown(lines), helps=helps))


def _words_text(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" if word else "all other texts" for word in words)
