"""The optimizer as ops: per-step scalars, then one simultaneous assignment of each weight and its slots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .builder import Builder
from .derivative import simplify
from .expr import Expr, const, substitute, var, variables
from .formulas.optimizers import OPTIMIZERS
from .formulas.schedules import SCHEDULES
from .graph import Update, Variable
from .ops.elementwise import rename_operands
from .options import Choice, TrainConfig

_X0, _X1 = var("x0"), var("x1")


@dataclass(frozen=True, slots=True)
class _Rule:
    """An optimizer with its arguments put in. `names` are the operands of `exprs`: "p", "g", slots and scalars."""

    scalars: dict[str, Expr]            # over "t" and "learning_rate"
    slots: tuple[tuple[str, Choice], ...]
    names: tuple[str, ...]
    exprs: tuple[Expr, ...]             # the new weight, then the new slots in order


def add_updates(
    builder: Builder, gradients: Mapping[str, int], by_name: Mapping[str, Variable], train: TrainConfig
) -> tuple[Variable, ...]:
    """Append the optimizer's update of every weight in `gradients`, and `step := step + 1`; gives the slots it needs.

    The per-step scalars are computed once in float64, from `step` and the learning rate
    (the schedule's value times the variable `learning_rate_scale`), and converted once per dtype of the weights.
    """
    rule = _rule(train.optimizer)
    step = builder.variable("step")
    scalars = _scalar_nodes(builder, rule, step, _learning_rate(builder, train.optimizer, step))
    made: list[Variable] = []
    for weight, gradient in gradients.items():
        variable = by_name[weight]
        type, layer = variable.type, variable.layer
        places = {"p": builder.variable(weight), "g": gradient}
        targets = [weight]
        for slot, initial in rule.slots:
            name = f"{weight}.{slot}"
            made.append(Variable(name, type, "slot", initial, layer))
            places[slot] = builder.add("variable", name=name, type=type)
            targets.append(name)
        operands = [
            places[name] if name in places else builder.identity(scalars[name], type.dtype) for name in rule.names
        ]
        builder.updates.append(Update(tuple(targets), tuple(operands), rule.exprs, layer))
    builder.update(("step",), (step,), (_X0 + 1,))
    return tuple(made)


def _rule(choice: Choice) -> _Rule:
    optimizer = OPTIMIZERS[choice.name]
    arguments = {name: value for name, value in choice.arguments if name != "learning_rate"}
    scalars = dict(optimizer.scalars(var("t"), var("learning_rate"), **arguments))
    slots = dict(optimizer.slots(**arguments))
    new_weight, new_slots = optimizer.update(
        var("p"), var("g"), {name: var(name) for name in slots}, {name: var(name) for name in scalars}, **arguments
    )
    exprs = [simplify(expr) for expr in (new_weight, *(new_slots[name] for name in slots))]
    names = tuple(dict.fromkeys(name for expr in exprs for name in variables(expr)))
    return _Rule(
        scalars,
        tuple((name, _initial(value)) for name, value in slots.items()),
        names,
        tuple(rename_operands(expr, names) for expr in exprs),
    )


def _initial(value: float) -> Choice:
    return Choice("zeros") if value == 0 else Choice("constant", (("value", value),))


def _learning_rate(builder: Builder, choice: Choice, step: int) -> int:
    """float64 scalar: a number or a schedule's value after `step` finished steps, times `learning_rate_scale`."""
    rate = choice["learning_rate"]
    if isinstance(rate, Choice):
        base = SCHEDULES[rate.name].formula(var("x0"), **dict(rate.arguments))
    else:
        assert isinstance(rate, (int, float))
        base = const(rate)
    return builder.map(simplify(base * _X1), step, builder.variable("learning_rate_scale"), dtype="float64")


def _scalar_nodes(builder: Builder, rule: _Rule, step: int, rate: int) -> dict[str, int]:
    values = {var("t"): _X0 + 1, var("learning_rate"): _X1}
    used = [name for name in rule.scalars if name in rule.names]
    formulas = {name: simplify(substitute(rule.scalars[name], values)) for name in used}
    return {name: builder.map(formula, step, rate, dtype="float64") for name, formula in formulas.items()}
