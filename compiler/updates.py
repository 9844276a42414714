"""The optimizer as ops: per-step scalars, then one simultaneous assignment of each weight and its slots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .accumulating import SUM, Sums
from .builder import Builder
from .derivative import simplify
from .expr import Expr, const, equal, substitute, var, variables, where
from .formulas.optimizers import OPTIMIZERS
from .formulas.schedules import SCHEDULES
from .graph import Update, Variable
from .ops.elementwise import rename_operands
from .options import Choice, TrainConfig

AVERAGE = "average"
_X0, _X1 = var("x0"), var("x1")


@dataclass(frozen=True, slots=True)
class _Rule:
    """An optimizer with its arguments put in. `names` are the operands of `exprs`: "p", "g", slots and scalars."""

    scalars: dict[str, Expr]            # over "t" and "learning_rate"
    slots: tuple[tuple[str, Choice], ...]
    names: tuple[str, ...]
    exprs: tuple[Expr, ...]             # the new weight, then the new slots in order


def add_updates(
    builder: Builder,
    gradients: Mapping[str, int],
    by_name: Mapping[str, Variable],
    train: TrainConfig,
    sums: Sums,
    multipliers: Mapping[str, float],
) -> tuple[Variable, ...]:
    """Append the optimizer's update of every weight in `gradients`, and `step := step + 1`; gives the slots it needs.

    The per-step scalars are computed once in float64, from the updates done and the learning rate (the schedule's
    value times the variable `learning_rate_scale`, times the layer's multiplier), and converted once per dtype of the
    weights. Where gradients are accumulated (`sums`), a step that is not due keeps weights and slots.
    """
    step = builder.variable("step")
    rate = _learning_rate(builder, train.optimizer, step)
    rule = _kept_until_due(_rule(train.optimizer)) if sums.is_due is not None else _rule(train.optimizer)
    rule = rule if train.ema is None else _averaged(rule)
    shared = {"due": sums.is_due} if sums.is_due is not None else {}
    if train.ema is not None:
        shared["ema"] = builder.map(where(equal(_X0, 0), 0, train.ema), sums.updates, dtype="float64")
    scalars: dict[float, dict[str, int]] = {}
    made: list[Variable] = []
    for weight, gradient in gradients.items():
        variable = by_name[weight]
        type, layer = variable.type, variable.layer
        multiplier = multipliers.get(layer, 1.0)
        if multiplier not in scalars:
            own = rate if multiplier == 1 else builder.map(_X0 * multiplier, rate)
            scalars[multiplier] = _scalar_nodes(builder, rule, sums.updates, own) | shared
        places = {"p": builder.variable(weight), "g": gradient}
        if sums.is_due is not None:
            places["total"] = sums.totals[weight]
        targets = [weight]
        for slot, initial in rule.slots:
            name = f"{weight}.{slot}"
            made.append(Variable(name, type, "slot", initial, layer))
            places[slot] = builder.add("variable", name=name, type=type)
            targets.append(name)
        operands = [
            places[name] if name in places else builder.identity(scalars[multiplier][name], type.dtype)
            for name in rule.names
        ]
        builder.updates.append(Update(tuple(targets), tuple(operands), rule.exprs, layer))
    builder.update(("step",), (step,), (_X0 + 1,))
    return tuple(made)


def _kept_until_due(rule: _Rule) -> _Rule:
    """The rule where only a step that is due updates anything; the others add to the sum of gradients."""
    due, total = var("due") > 0, var("total")
    kept = [var("p"), *(var(name) for name, _ in rule.slots)]
    exprs = [where(due, expr, old) for expr, old in zip(_named(rule), kept, strict=True)]
    return _of(rule.scalars, (*rule.slots, (SUM, Choice("zeros"))), [*exprs, where(due, 0, total)])


def _averaged(rule: _Rule) -> _Rule:
    """The rule with one more slot, the moving average of the weight, which begins as the first new weight.

    Source: Keras 3, `use_ema`.
    """
    exprs = _named(rule)
    average = var("ema") * var(AVERAGE) + (1 - var("ema")) * exprs[0]
    return _of(rule.scalars, (*rule.slots, (AVERAGE, Choice("zeros"))), [*exprs, average])


def _rule(choice: Choice) -> _Rule:
    optimizer = OPTIMIZERS[choice.name]
    arguments = {name: value for name, value in choice.arguments if name != "learning_rate"}
    scalars = dict(optimizer.scalars(var("t"), var("learning_rate"), **arguments))
    slots = dict(optimizer.slots(**arguments))
    new_weight, new_slots = optimizer.update(
        var("p"), var("g"), {name: var(name) for name in slots}, {name: var(name) for name in scalars}, **arguments
    )
    exprs = [simplify(expr) for expr in (new_weight, *(new_slots[name] for name in slots))]
    return _of(scalars, tuple((name, _initial(value)) for name, value in slots.items()), exprs)


def _of(scalars: dict[str, Expr], slots: tuple[tuple[str, Choice], ...], exprs: list[Expr]) -> _Rule:
    """The rule of expressions over names, which become operands."""
    names = tuple(dict.fromkeys(name for expr in exprs for name in variables(expr)))
    return _Rule(scalars, slots, names, tuple(rename_operands(expr, names) for expr in exprs))


def _named(rule: _Rule) -> list[Expr]:
    """The expressions over names again."""
    names = {var(f"x{k}"): var(name) for k, name in enumerate(rule.names)}
    return [substitute(expr, names) for expr in rule.exprs]


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


def _scalar_nodes(builder: Builder, rule: _Rule, updates: int, rate: int) -> dict[str, int]:
    values = {var("t"): _X0 + 1, var("learning_rate"): _X1}
    used = [name for name in rule.scalars if name in rule.names]
    formulas = {name: simplify(substitute(rule.scalars[name], values)) for name in used}
    return {name: builder.map(formula, updates, rate, dtype="float64") for name, formula in formulas.items()}
