"""What fusion did, in words: the `fused` of a step and the notes of `--explain-fusion`."""

from __future__ import annotations

from functools import lru_cache

from ..derivative import differentiate, in_terms_of_output, simplify
from ..expr import Expr, apply, rename, var, variables, walk
from ..kernels import FusedPrograms, Note
from ..memo import memo
from .fusible import Item

_X0 = var("x0")
_ARITHMETIC = {
    "add": "sum", "sub": "difference", "mul": "product", "div": "quotient", "where": "choice", "eq": "comparison",
}  # fmt: skip
MOST_WORDS = 12


@lru_cache(maxsize=1)
def _activations() -> dict[Expr, str]:
    """Formulas over x0, x1 that are an activation, or a gradient times an activation's slope."""
    from ..formulas.activations import ACTIVATIONS

    names: dict[Expr, str] = {}
    for name, activation in ACTIVATIONS.items():
        if activation.formula is None or activation.formula(_X0) is _X0:
            continue
        formula = activation.formula(_X0)
        names.setdefault(formula, name)
        names.setdefault(simplify(formula), name)
        slope = differentiate(formula, "x0")
        slopes = [slope, in_terms_of_output(slope, formula, "y")]
        if activation.from_output is not None:
            slopes.append(activation.from_output(var("y")))
        for slope in slopes:
            names.setdefault(_carried_back(slope), f"{name}'s slope")
    names.pop(_X0 * var("x1"))      # exp's slope is any product
    return names


def _carried_back(slope: Expr) -> Expr:
    """Gradient times slope, its operands numbered as those of a map are."""
    product = simplify(apply("mul", var("g"), slope))
    return rename(product, {name: f"x{k}" for k, name in enumerate(variables(product))})


def describe(item: Item, operands: list[Item]) -> str:
    """A few words for what an item computes."""
    if item.kind == "row":
        return "argmax" if item.operator == "argmax" else f"row {item.operator}"
    if item.kind == "total":
        return f"{item.operator} over {'everything' if item.axes == 'all' else 'the batch'}"
    if item.kind != "map":
        return item.kind
    names = [str(operand.attrs.get("name", "")) for operand in operands if operand.kind == "leaf"]
    if item.expr.op == "add" and any(name.endswith(".bias") for name in names):
        return "bias"
    return describe_formula(item.expr)


@memo
def describe_formula(expr: Expr) -> str:
    """An activation by its name, anything else by its most telling operator."""
    if expr is _X0:
        return "conversion"
    name = _activations().get(expr)
    if name is not None:
        return name
    telling = [term.op for term in walk(expr) if term.op not in ("const", "var", "add", "sub", "mul", "div", "neg")]
    if not telling:
        return _ARITHMETIC.get(expr.op, expr.op) if variables(expr) else "constant"
    return _ARITHMETIC.get(telling[-1], telling[-1])


def shortened(words: list[str]) -> tuple[str, ...]:
    """Words once each, in order; a long list ends in how many more there are."""
    unique = list(dict.fromkeys(words))
    if len(unique) <= MOST_WORDS:
        return tuple(unique)
    return (*unique[:MOST_WORDS], f"{len(unique) - MOST_WORDS} more")


def explain(fused: FusedPrograms) -> str:
    """Per program and layer: which steps its work became, what went into each, and what stayed apart and why."""
    lines: list[str] = []
    for program in fused.programs:
        lines += ["", f"{program.name}: {len(program.steps)} steps"]
        by_layer: dict[str, list[str]] = {}
        for step in program.steps:
            text = f"{step.kernel} over {step.space}"
            if step.fused:
                text += f" with {', '.join(step.fused)}"
            by_layer.setdefault(step.layer, []).append(f"+ {text}")
        for note in program.notes:
            by_layer.setdefault(note.layer, []).append(_note_line(note))
        for layer, texts in by_layer.items():
            lines.append(f"  {layer or 'program'}")
            lines += [f"    {text}" for text in texts]
    return "\n".join(lines[1:])


def _note_line(note: Note) -> str:
    return f"{'+' if note.done else '-'} {note.text}"
