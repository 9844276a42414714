"""`Activation`, and every entry of the table of activations as a layer of its own."""

from __future__ import annotations

from collections.abc import Mapping

from ..builder import Builder
from ..expr import var
from ..formulas.activations import ACTIVATIONS
from ..formulas.definition import Activation
from ..options import Choice, Value
from ..types import TensorType
from .definition import Arguments, Expansion, Hyperparameter, LayerDef, ShapeProblem
from .reading import choice_of, require_float


def activate(builder: Builder, choice: Choice | None, node: int, expansion: Expansion) -> int:
    """`choice` applied to `node`; a probability's logits are noted in `expansion.logits`, for the losses."""
    if choice is None:
        return node
    entry = ACTIVATIONS[choice.name]
    if entry.rows is not None:
        value = entry.rows(builder, node)
    else:
        assert entry.formula is not None
        arguments = dict(choice.arguments)
        slope = None if entry.from_output is None else entry.from_output(var("y"), **arguments)
        value = builder.map(entry.formula(var("x0"), **arguments), node, from_output=slope)
    if entry.probability:
        expansion.logits[value] = (entry.probability, node)
    return value


def kind_of_default(value: object) -> str:
    """The kind of a hyperparameter of which a formula table knows only the default."""
    match value:
        case bool():
            return "bool"
        case int():
            return "integer"
        case str():
            return "name"
        case _:
            return "float"


def _infer(name: str, entry: Activation, type: TensorType) -> TensorType:
    require_float(name, type)
    if entry.rows is not None and len(type.shape) < 2:
        message = f"`{name}` compares the entries of a vector, but a scalar per sample arrives"
        raise ShapeProblem("E0203", message, f"expects {type.dtype}[batch, n]", 0)
    return type


def _infer_choice(arguments: Arguments, inputs: tuple[TensorType, ...]) -> TensorType:
    choice = choice_of(arguments, "activation")
    return _infer(choice.name, ACTIVATIONS[choice.name], inputs[0])


def _expand_choice(builder: Builder, arguments: Arguments, inputs: tuple[int, ...], expansion: Expansion) -> int:
    return activate(builder, choice_of(arguments, "activation"), inputs[0], expansion)


def _layer_of(name: str, entry: Activation) -> LayerDef:
    def infer(arguments: Arguments, inputs: tuple[TensorType, ...]) -> TensorType:
        return _infer(name, entry, inputs[0])

    def expand(builder: Builder, arguments: Arguments, inputs: tuple[int, ...], expansion: Expansion) -> int:
        return activate(builder, activation_choice(name, arguments), inputs[0], expansion)

    hyperparameters = tuple(
        Hyperparameter(key, kind_of_default(value), value, f"constant of {name}'s formula", optional=value is None)
        for key, value in entry.defaults.items()
    )
    return LayerDef(name, entry.doc, infer, expand, hyperparameters, is_activation=True)


def activation_choice(name: str, arguments: Mapping[str, Value]) -> Choice:
    """The activation that a layer named after it applies."""
    return Choice(name, tuple((key, arguments[key]) for key in ACTIVATIONS[name].defaults))


ACTIVATION = LayerDef(
    name="Activation",
    doc="Applies an activation that is given by name.",
    infer=_infer_choice,
    expand=_expand_choice,
    hyperparameters=(Hyperparameter("activation", "activation", doc="which activation"),),
)

ACTIVATION_LAYERS = (ACTIVATION, *(_layer_of(name, entry) for name, entry in ACTIVATIONS.items()))
