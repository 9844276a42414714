"""Calls of a block: which parameters are the tensors that arrive, which are hyperparameters in parentheses."""

from __future__ import annotations

from collections.abc import Iterator

from nnc.grammar import syntax
from nnc.grammar.diagnostics import NncError
from nnc.grammar.source import Span

from ..layers.definition import Hyperparameter
from ..report import counted, fault, listed
from .binding import assign
from .scope import Deferred, Scope, Tensor, names_in


def block_scope(
    block: syntax.Block,
    arguments: tuple[syntax.Argument, ...],
    inputs: tuple[str, ...],
    scope: Scope,
    span: Span,
) -> Scope:
    """Names inside a block: the first parameters are the tensors that arrive, the others stand in parentheses."""
    name = block.name.name
    least, most = tensor_parameters(block)
    if not least <= len(inputs) <= most:
        tensors = [parameter.name.name for parameter in block.parameters[: max(least, 1)]]
        arrive = "1 arrives" if len(inputs) == 1 else f"{len(inputs)} arrive"
        message = f"`{name}` takes {counted(least, 'tensor')}, but {arrive}"
        raise fault(
            "E0311",
            message,
            span,
            f"expects {listed(tensors)}" if least else "expects none",
            labels=[(block.name.span, "defined here")],
        )
    inside = Scope(outer=scope.file)
    for parameter, layer in zip(block.parameters, inputs, strict=False):
        inside.names[parameter.name.name] = Tensor(layer, parameter.name.span)
    hyper = block.parameters[len(inputs) :]
    signature = tuple(Hyperparameter(parameter.name.name, "") for parameter in hyper)
    given, faults, meant = assign(name, signature, arguments)
    for parameter in hyper:
        word = parameter.name.name
        if word in given:
            inside.names[word] = Deferred(given[word], scope, given[word].span)
        elif parameter.default is not None:
            inside.names[word] = Deferred(parameter.default, scope.file, parameter.default.span)
        elif word not in meant:
            faults += fault(
                "E0402",
                f"`{name}` needs `{word}`",
                span,
                f"expects `{word}`",
                labels=[(parameter.name.span, "has no default")],
            ).diagnostics
    if faults:
        raise NncError(*faults)
    return inside


def outer_names(block: syntax.Block) -> Iterator[str]:
    """The names in a block that are not its own: those of the file."""
    own = {parameter.name.name for parameter in block.parameters} | {binding.name.name for binding in block.body}
    for binding in block.body:
        yield from (name for name in names_in(binding.value) if name not in own)
    yield from (name for name in names_in(block.result) if name not in own)
    yield from names_in(tuple(parameter.default for parameter in block.parameters))


def tensor_parameters(block: syntax.Block) -> tuple[int, int]:
    """The least and the greatest number of tensors that a block's body allows to arrive: its first parameters.

    A parameter that feeds an arrow is a tensor; one that is only added or multiplied may be a number as well.
    """
    certain: set[str] = set()
    possible: set[str] = set()
    for expression in (*(binding.value for binding in block.body), block.result):
        _find_tensors(expression, certain, possible)
    least = most = 0
    for number, parameter in enumerate(block.parameters, 1):
        if parameter.name.name in certain:
            least = number
    for parameter in block.parameters:
        if parameter.default is not None or parameter.name.name not in certain | possible:
            break
        most += 1
    return least, max(least, most)


def _find_tensors(expression: syntax.Expression, certain: set[str], possible: set[str]) -> None:
    stack: list[tuple[syntax.Expression, bool]] = [(expression, True)]
    while stack:
        node, is_certain = stack.pop()
        match node:
            case syntax.Name(name=name):
                (certain if is_certain else possible).add(name)
            case syntax.Arrow(source=source):
                stack.append((source, True))
            case syntax.Tuple(items=items):
                stack.extend((item, True) for item in items)
            case syntax.Binary(left=left, right=right):
                stack += [(left, False), (right, False)]
            case syntax.Unary(operand=operand):
                stack.append((operand, is_certain))
