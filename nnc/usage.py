"""What is wrong with a command line, in the product's words rather than argparse's."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from typing import NoReturn

from nnc.grammar.diagnostics import Diagnostic, UsageError


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are diagnostics (E0801) like all others."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(_translated(self, message))

    def refuse(self, unknown: Sequence[str], verb: str) -> NoReturn:
        """`unknown` is left of the arguments of `verb`."""
        parser = verbs(self).get(verb, self)
        word = unknown[0].partition("=")[0]
        if word.startswith("-"):
            near = _did_you_mean(word, [name for name in option_names(parser) if name.startswith("--")])
            raise UsageError(
                Diagnostic("E0801", f"`{parser.prog}` has no option `{word}`", helps=(*near, _help(parser)))
            )
        raise UsageError(Diagnostic("E0801", f"`{parser.prog}` has no use for `{unknown[0]}`", helps=(_help(parser),)))


def verbs(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The sub-commands of a parser by name."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def option_names(parser: argparse.ArgumentParser) -> list[str]:
    """Every spelling of every option."""
    return [name for action in parser._actions for name in action.option_strings]


# what argparse says -> what is meant
_UNKNOWN_VERB = re.compile(r"argument VERB: invalid choice: '(.*?)' \(.*\)", re.DOTALL)
_UNKNOWN_CHOICE = re.compile(r"argument (?:.*/)?(\S+): invalid choice: '(.*?)' \(choose from (.*)\)", re.DOTALL)
_NO_VALUE = re.compile(r"argument (?:.*/)?(\S+): expected one argument")
_MISSING = re.compile(r"the following arguments are required: (.*)")


def _translated(parser: argparse.ArgumentParser, message: str) -> Diagnostic:
    if match := _UNKNOWN_VERB.fullmatch(message):
        near = _did_you_mean(match[1], verbs(parser), "nnc ")
        return Diagnostic("E0801", f"there is no command `{match[1]}`", helps=(*near, _help(parser)))
    if match := _UNKNOWN_CHOICE.fullmatch(message):
        choices = [word.strip(" '") for word in match[3].split(",")]
        helps = (*_did_you_mean(match[2], choices), f"choose one of {', '.join(choices)}")
        return Diagnostic("E0801", f"`{match[1]}` knows no `{match[2]}`", helps=helps)
    if match := _NO_VALUE.fullmatch(message):
        return Diagnostic("E0801", f"`{match[1]}` needs a value", helps=(_help(parser),))
    if match := _MISSING.fullmatch(message):
        return Diagnostic("E0801", f"`{parser.prog}` needs {match[1]}", helps=(_help(parser),))
    return Diagnostic("E0801", message[:1].lower() + message[1:], helps=(_help(parser),))


def _help(parser: argparse.ArgumentParser) -> str:
    return f"`{parser.prog} --help` shows what there is"


def _did_you_mean(word: str, candidates: Iterable[str], prefix: str = "") -> tuple[str, ...]:
    from nnc.grammar.suggest import nearest

    near = nearest(word, candidates)
    return (f"did you mean {' or '.join(f'`{prefix}{name}`' for name in near)}?",) if near else ()
