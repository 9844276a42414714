"""`nnc explain`: the long text behind an error code."""

from __future__ import annotations

import argparse

from nnc.grammar.diagnostics import Diagnostic, UsageError

from .console import result

NAME = "explain"
SUMMARY = "explain an error code at length; alone, list all codes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("code", nargs="?", metavar="CODE", help="a code such as E0203")


def run(arguments: argparse.Namespace) -> int:
    from nnc.grammar.catalogue import CATALOGUE

    if arguments.code is None:
        for code, explanation in sorted(CATALOGUE.items()):
            result(f"{code}  {explanation.title}")
        return 0
    code = arguments.code.upper()
    if code not in CATALOGUE:
        raise UsageError(_unknown(arguments.code, tuple(CATALOGUE)))
    explanation = CATALOGUE[code]
    result(f"{code}: {explanation.title}\n\n{explanation.text.strip()}")
    return 0


def _unknown(code: str, codes: tuple[str, ...]) -> Diagnostic:
    from nnc.grammar.suggest import nearest

    near = nearest(code.upper(), codes)
    helps = (f"did you mean {' or '.join(f'`{n}`' for n in near)}?",) if near else ()
    return Diagnostic(
        "E0804", f"there is no error code `{code}`", helps=(*helps, "`nnc explain` alone lists all codes")
    )
