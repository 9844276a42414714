"""Layers expanded into primitive ops, by their own records, in any program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .builder import Builder
from .expr import var
from .graph import Update, Variable
from .layers import LAYERS
from .layers.definition import Expansion, LayerDef, Weight
from .network import Layer, Network
from .options import Choice, Value
from .types import TensorType

STEP = Variable("step", TensorType("float64", ()), "scalar", Choice("zeros"))
LEARNING_RATE_SCALE = Variable("learning_rate_scale", TensorType("float64", ()), "scalar", Choice("ones"))


@dataclass(frozen=True, slots=True)
class Use:
    """One layer of the network, ready to be expanded in any program. `definition` is None for an input."""

    layer: Layer
    definition: LayerDef | None
    arguments: Mapping[str, Value]
    variables: Mapping[str, str]     # short name of a weight -> name of the variable
    stream: int


@dataclass(frozen=True, slots=True)
class Forward:
    """What expanding a network gave: each layer's node, and the logits behind nodes that are probabilities."""

    values: Mapping[str, int]
    logits: Mapping[int, tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Owned:
    """What the layers of a network own: variables by name, and the regularizers of those that training changes."""

    variables: Mapping[str, Variable]
    regularizers: Mapping[str, Choice]


def uses_of(network: Network) -> tuple[tuple[Use, ...], Owned]:
    """Every layer with its definition, in order, and what they own. A shared layer owns once what its uses read."""
    uses: list[Use] = []
    variables: dict[str, Variable] = {}
    regularized: dict[str, Choice] = {}
    owners: dict[str, Mapping[str, str]] = {}
    types: dict[str, TensorType] = {}
    for stream, layer in enumerate(network.layers()):
        assert layer.type is not None, layer.name
        types[layer.name] = layer.type
        if layer.kind == "Input":
            uses.append(Use(layer, None, {}, {}, stream))
            continue
        definition, arguments, owner = LAYERS[layer.kind], dict(layer.arguments), layer.weights_of
        if owner not in owners:
            weights = definition.weights(arguments, tuple([types[name] for name in layer.inputs]))
            owners[owner] = {weight.name: f"{owner}.{weight.name}" for weight in weights}
            for weight in weights:
                variable = _variable(owner, weight, arguments)
                variables[variable.name] = variable
                if weight.regularizer is not None and variable.trainable:
                    regularized[variable.name] = weight.regularizer
        uses.append(Use(layer, definition, arguments, owners[owner], stream))
    return tuple(uses), Owned(variables, regularized)


def _variable(owner: str, weight: Weight, arguments: Mapping[str, Value]) -> Variable:
    trainable = weight.role == "weight" and arguments.get("trainable", True) is True
    return Variable(f"{owner}.{weight.name}", weight.type, weight.role, weight.initializer, owner, trainable)


def expand_layers(builder: Builder, uses: tuple[Use, ...], *, training: bool) -> Forward:
    """Append every layer's ops to `builder`. In `training` the step counter keys the random layers' streams."""
    values: dict[str, int] = {}
    logits: dict[int, tuple[str, int]] = {}
    builder.origin = ""
    step = builder.add("variable", name=STEP.name, type=STEP.type)
    for use in uses:
        layer = use.layer
        builder.origin = layer.name
        if use.definition is None:
            assert layer.type is not None
            values[layer.name] = builder.input(layer.name, layer.type)
            continue
        expansion = Expansion(training, use.variables, use.stream, step, logits)
        inputs = tuple([values[name] for name in layer.inputs])
        values[layer.name] = node = use.definition.expand(builder, use.arguments, inputs, expansion)
        assert builder.type(node) == layer.type, (layer, builder.type(node))
    return Forward(values, logits)


def in_sequence(builder: Builder) -> list[Update]:
    """The builder's updates with those of one variable joined: a shared layer's statistics move once per use."""
    targets = [target for update in builder.updates for target in update.targets]
    if len(set(targets)) == len(targets):
        return builder.updates
    latest: dict[str, tuple[Update, int]] = {}
    for update in builder.updates:
        (target,), (expr,) = update.targets, update.exprs
        old = builder.variable(target)
        before = latest[target][1] if target in latest else old
        operands = [before if operand == old else operand for operand in update.operands]
        builder.origin = update.origin
        latest[target] = (update, builder.map(expr, *operands, dtype=builder.type(old).dtype))
    return [replace(update, operands=(node,), exprs=(var("x0"),)) for update, node in latest.values()]
