"""What stands after an arrow: a layer of the registry, a shared layer or a block of the file, or a fault."""

from __future__ import annotations

from nnc.grammar import syntax
from nnc.grammar.diagnostics import NncError

from ..layers import ALIASES, LAYERS
from ..layers.definition import LayerDef
from ..report import did_you_mean, fault
from .scope import BlockDefinition, Constant, Entity, Faulty, Scope, SharedLayer, Tensor, resolved, undefined


def called(step: syntax.Expression, scope: Scope) -> tuple[syntax.Name, tuple[syntax.Argument, ...], Scope]:
    """The name and the arguments of a step, and where its names are looked up: a block's hyperparameter may be one."""
    step, scope = resolved(step, scope)
    match step:
        case syntax.Name():
            return step, (), scope
        case syntax.Call(callee=callee, arguments=arguments):
            return callee, arguments, scope
    raise fault(
        "E0310",
        "this is no layer",
        step.span,
        "expects a layer after the arrow",
        helps=["write the layer's name and its arguments: `Dense(64)`"],
    )


def callable_entity(callee: syntax.Name, scope: Scope) -> Entity | None:
    """What the file defines under a step's name; None where the registry of layers is to be asked."""
    entity = scope.look_up(callee.name)
    if isinstance(entity, SharedLayer | BlockDefinition | Faulty):
        return scope.use(callee.name)
    if entity is None or registered(callee.name) in LAYERS:
        return None
    return scope.use(callee.name)


def layer_definition(callee: syntax.Name, scope: Scope) -> LayerDef:
    """The registry's layer of that name. Raises E0308, or E0303 for a layer that the file defines further down."""
    name = registered(callee.name)
    if name in LAYERS:
        return LAYERS[name]
    file = scope.file
    if callee.name in file.broken or callee.name in file.later:
        raise undefined(callee, file, "layer", ())
    known = (*scope.candidates(SharedLayer, BlockDefinition), *LAYERS, *ALIASES)
    helps = did_you_mean(callee.name, known)
    for candidate in file.candidates(SharedLayer, BlockDefinition):
        if any(f"`{candidate}`" in text for text in helps):
            file.used.add(candidate)
    raise fault("E0308", f"there is no layer `{callee.name}`", callee.span, "not known", helps=helps)


def registered(name: str) -> str:
    """The registry's own name for a layer."""
    return ALIASES.get(name, name)


def combine_help(entity: Entity, callee: syntax.Name) -> list[str]:
    """What to do about a name after an arrow that is no layer."""
    if isinstance(entity, Constant) and isinstance(entity.value, str):
        return [f"for an activation: `Activation({callee.name})`"]
    if not isinstance(entity, Tensor):
        return []
    return [f"to combine tensors, write `(a, {callee.name}) -> Add` or `a + {callee.name}`"]


def stacked_shared(callee: syntax.Name, definition: syntax.Layer) -> NncError:
    """The fault of stacking a layer that has one set of weights, E0312."""
    return fault(
        "E0312",
        f"`{callee.name}` has one set of weights and cannot be stacked as fresh copies",
        callee.span,
        "a shared layer",
        labels=[(definition.name.span, "defined here")],
        helps=["stack the layer itself, or repeat the arrow to use the same weights again"],
    )
