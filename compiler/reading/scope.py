"""Names of a spec and what they stand for, with the faults of a name that stands for nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Final

from nnc.grammar import syntax
from nnc.grammar.diagnostics import NncError
from nnc.grammar.source import Span

from ..options import Value
from ..report import did_you_mean, fault, known_fault

WORDS = ("true", "false", "none")  # words that mean a value everywhere


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value of the network: the layer that makes it."""

    layer: str
    span: Span


@dataclass(frozen=True, slots=True)
class Constant:
    """A `param` with the value in force."""

    value: Value
    span: Span


@dataclass(frozen=True, slots=True)
class Deferred:
    """A hyperparameter of a block, as its caller wrote it: read where the block uses it."""

    expression: syntax.Expression
    scope: Scope
    span: Span


@dataclass(frozen=True, slots=True)
class SharedLayer:
    """`layer encoder = Dense(64)`."""

    definition: syntax.Layer
    span: Span


@dataclass(frozen=True, slots=True)
class BlockDefinition:
    """`block residual(x, units) { ... }`."""

    definition: syntax.Block
    span: Span


@dataclass(frozen=True, slots=True)
class Faulty:
    """A name whose definition is at fault: what depends on it is passed over in silence."""

    span: Span


Entity = Tensor | Constant | Deferred | SharedLayer | BlockDefinition | Faulty

_WHAT: Final[dict[type, str]] = {
    Faulty: "name",
    Tensor: "tensor",
    Constant: "param",
    Deferred: "hyperparameter",
    SharedLayer: "layer",
    BlockDefinition: "block",
}


def what(entity: Entity) -> str:
    """ "tensor", "param", "layer" ...: what a diagnostic calls it."""
    return _WHAT[type(entity)]


@dataclass(slots=True, eq=False)
class Scope:
    """The names that can be seen at one place.

    A block's scope has the file's scope as `outer`, of which it sees everything but tensors. `later`: names that
    the file defines further down. `broken`: words of text that did not parse; nothing is said about a name among them.
    """

    names: dict[str, Entity] = field(default_factory=dict)
    outer: Scope | None = None
    later: dict[str, syntax.Statement] = field(default_factory=dict)
    broken: frozenset[str] = frozenset()
    used: set[str] = field(default_factory=set)
    defining: syntax.Name | None = None

    def look_up(self, name: str) -> Entity | None:
        """What `name` stands for here, without counting as a use."""
        if name in self.names:
            return self.names[name]
        found = self.outer.look_up(name) if self.outer else None
        return None if isinstance(found, Tensor) else found

    def use(self, name: str) -> Entity | None:
        """What `name` stands for here, from now on a used name. Raises NncError, empty, for a faulty definition."""
        scope = self if name in self.names or self.outer is None else self.outer
        scope.used.add(name)
        found = self.look_up(name)
        if isinstance(found, Faulty):
            raise known_fault()
        return found

    def candidates(self, *kinds: type[Entity]) -> Iterator[str]:
        """Visible names that stand for one of `kinds`."""
        for name, entity in self.names.items():
            if isinstance(entity, kinds):
                yield name
        if self.outer:
            yield from (name for name in self.outer.candidates(*kinds) if self.look_up(name) is not None)

    @property
    def file(self) -> Scope:
        """The file's own scope."""
        return self.outer.file if self.outer else self


def undefined(name: syntax.Name, scope: Scope, kind: str, candidates: Iterable[str]) -> NncError:
    """The fault of a name that stands for nothing: misspelled, not yet defined, of the file but inside a block."""
    file = scope.file
    if name.name in file.broken:
        return known_fault()
    if name.name in file.later and scope is file:
        return _too_early(name, file)
    if scope is not file and isinstance(file.names.get(name.name), Tensor):
        file.used.add(name.name)
        return fault(
            "E0319",
            f"a block does not see `{name.name}`, a tensor of the file",
            name.span,
            "not a parameter of the block",
            labels=[(file.names[name.name].span, "defined here")],
            helps=["add a parameter to the block and give the tensor left of the arrow"],
        )
    helps = did_you_mean(name.name, candidates)
    # a near miss was probably meant: it must not be reported as unused too
    for candidate in list(scope.names) + list(file.names):
        if any(f"`{candidate}`" in text for text in helps):
            scope.use(candidate)
    return fault("E0301", f"there is no {kind} `{name.name}`", name.span, "not defined", helps=helps)


def _too_early(name: syntax.Name, file: Scope) -> NncError:
    statement = file.later[name.name]
    file.used.add(name.name)
    place = name_of(statement)
    if file.defining is not None and name.name == file.defining.name:
        return fault(
            "E0304",
            f"`{name.name}` is defined by itself",
            name.span,
            "not defined yet",
            helps=["give the new value a name of its own"],
        )
    if file.defining is not None and _leads_to(name.name, file.defining.name, file):
        other = file.defining.name
        return fault(
            "E0304",
            f"`{other}` and `{name.name}` are defined by each other",
            name.span,
            f"needs `{name.name}`",
            labels=[(place.span, f"needs `{other}`")],
            notes=["a network has no cycles: every value is computed from values above it"],
        )
    return fault(
        "E0303",
        f"`{name.name}` is used before it is defined",
        name.span,
        "not defined yet",
        labels=[(place.span, "defined here")],
        helps=[f"move the definition of `{name.name}` above this line"],
    )


def _leads_to(start: str, goal: str, file: Scope) -> bool:
    """Whether `start`, defined further down, is computed from `goal`."""
    seen: set[str] = set()
    stack = [start]
    while stack:
        name = stack.pop()
        if name == goal:
            return True
        if name in seen or name not in file.later:
            continue
        seen.add(name)
        statement = file.later[name]
        if isinstance(statement, syntax.Binding | syntax.Output) and statement.value is not None:
            stack.extend(names_in(statement.value))
    return False


def name_of(statement: syntax.Statement) -> syntax.Name:
    """The name that a statement defines."""
    assert not isinstance(statement, syntax.Version | syntax.Section), statement
    return statement.name


def names_in(node: object) -> Iterator[str]:
    """Every bare word in a piece of syntax, those that name arguments and entries included."""
    stack = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, syntax.Name):
            yield item.name
        elif isinstance(item, tuple):
            stack.extend(item)
        elif is_dataclass(item) and not isinstance(item, Span):
            stack.extend(getattr(item, part.name) for part in fields(item))


def resolved(expression: syntax.Expression, scope: Scope) -> tuple[syntax.Expression, Scope]:
    """The expression that a block's hyperparameter stands for, with the scope of the caller who wrote it."""
    while isinstance(expression, syntax.Name) and expression.name not in WORDS:
        entity = scope.look_up(expression.name)
        if not isinstance(entity, Deferred):
            break
        scope.use(expression.name)
        expression, scope = entity.expression, entity.scope
    return expression, scope
