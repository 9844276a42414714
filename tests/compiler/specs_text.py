"""Specs as text for the tests of resolve and shapes."""

from __future__ import annotations

from nnc.compiler.network import Network
from nnc.compiler.options import CompileOptions
from nnc.compiler.resolve import build_network
from nnc.compiler.shapes import check_shapes
from nnc.grammar.diagnostics import Diagnostic, NncError
from nnc.grammar.parse import parse_recovering
from nnc.grammar.source import SourceFile


def network_of(text: str, **params: object) -> Network:
    """The untyped network of a spec."""
    module, diagnostics = parse_recovering(SourceFile("case.nn", text))
    return build_network(module, CompileOptions(params=params), diagnostics)


def typed(text: str, **params: object) -> Network:
    """The typed network of a spec."""
    return check_shapes(network_of(text, **params))


def faults(text: str, **params: object) -> tuple[Diagnostic, ...]:
    """What is wrong with a spec."""
    try:
        typed(text, **params)
    except NncError as error:
        return error.diagnostics
    return ()


def codes(text: str, **params: object) -> list[str]:
    """The codes of what is wrong with a spec, in the order of its text."""
    return [diagnostic.code for diagnostic in faults(text, **params)]
