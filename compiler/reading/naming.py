"""Names of layers: the last layer of a binding bears the binding's name, one before it `hidden.flatten`, a stacked copy
`trunk.2`, one inside a block `trunk.2.h`; two of a kind are numbered, `hidden.dense_1`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from nnc.grammar import syntax

from .scope import Constant, Deferred, Scope

OPERATORS: Final = {"+": "Add", "-": "Subtract", "*": "Multiply"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where layers are being made: the name of the value, the names its block has given, the owner of its weights.

    `path`: name of the value, `trunk.1.h`. `taken`: names that inner layers must leave alone. `shared`: a shared
    layer's name and the path of this use of it, which in names of weights stands for it.
    """

    path: str
    taken: frozenset[str] = frozenset()
    shared: tuple[str, str] | None = None
    doc: str = ""

    def inner(self, name: str) -> Place:
        """The place of a part of the value."""
        return replace(self, path=f"{self.path}.{name}", doc="")

    @property
    def weights(self) -> str | None:
        """The name under which a shared layer keeps the weights of the layer made here."""
        if self.shared is None:
            return None
        owner, use = self.shared
        return owner + self.path.removeprefix(use)


@dataclass(slots=True)
class Namer:
    """Hands out the places of one expression: its last layer's is the value's own."""

    place: Place
    remaining: int
    repeated: frozenset[str]
    counts: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, expression: syntax.Expression, scope: Scope, place: Place) -> Namer:
        """The names of the layers that `expression` makes, its value's being `place`."""
        made = list(labels(expression, scope))
        counts = Counter(made[:-1])
        return cls(place, len(made), frozenset(label for label, count in counts.items() if count > 1))

    def next(self, label: str) -> Place:
        """The place of the next layer, which `label` describes."""
        self.remaining -= 1
        if self.remaining == 0:
            return self.place
        while True:
            self.counts[label] += 1
            number = self.counts[label]
            name = f"{label}_{number}" if label in self.repeated or number > 1 else label
            if name not in self.place.taken:
                return self.place.inner(name)


def labels(expression: syntax.Expression, scope: Scope) -> Iterator[str]:
    """A label for each layer that an expression makes, in the order in which they are made."""
    stack: list[syntax.Expression | str] = [expression]
    while stack:
        match stack.pop():
            case str() as label:
                yield label
            case syntax.Arrow(source=source, steps=steps):
                stack.extend(step_label(step) for step in reversed(steps))
                stack.append(source)
            case syntax.Tuple(items=items):
                stack.extend(reversed(items))
            case syntax.Binary(operator=operator, left=left, right=right) as binary:
                if is_constant(binary, scope):
                    continue
                is_scaling = is_constant(left, scope) or is_constant(right, scope)
                stack += ["rescale" if is_scaling else OPERATORS.get(operator, "").lower(), right, left]
            case syntax.Unary(operand=operand) as unary:
                if not is_constant(unary, scope):
                    stack += ["rescale", operand]


def step_label(step: syntax.Expression) -> str:
    """What an inner layer made by a step is called: `Dense(64)` -> `dense`."""
    match step:
        case syntax.Binary(left=left):
            return step_label(left)
        case syntax.Call(callee=callee):
            return _snake_case(callee.name)
        case syntax.Name(name=name):
            return _snake_case(name)
    return "layer"


def _snake_case(name: str) -> str:
    """`BatchNormalization` -> `batch_normalization`."""
    letters = [
        f"_{char.lower()}" if char.isupper() and i and not name[i - 1].isupper() else char.lower()
        for i, char in enumerate(name)
    ]
    return "".join(letters)


def is_constant(expression: syntax.Expression, scope: Scope) -> bool:
    """Whether an operand is a number: made of numbers, params and block hyperparameters alone."""
    stack = [(expression, scope)]
    while stack:
        node, names = stack.pop()
        match node:
            case syntax.Number() | syntax.String():
                continue
            case syntax.Name(name=name):
                match names.look_up(name):
                    case Constant():
                        continue
                    case Deferred(expression=deferred, scope=outer):
                        stack.append((deferred, outer))
                    case _:
                        return False
            case syntax.Unary(operand=operand):
                stack.append((operand, names))
            case syntax.Binary(left=left, right=right):
                stack += [(left, names), (right, names)]
            case _:
                return False
    return True
