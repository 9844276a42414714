"""Maps: a scalar formula at every element of operands that broadcast."""

from __future__ import annotations

import numpy as np

from ..derivative import differentiate, in_terms_of_output, simplify
from ..expr import Expr, apply, substitute, var, variables
from ..graph import Node
from ..memo import memo
from ..types import BATCH, Dim, Shape, TensorType
from .definition import Array, GraphBuilder, OpAttrs, OpDef
from .scalar import evaluate as evaluate_scalar

OPERAND_NAMES = tuple(f"x{k}" for k in range(64))
_IDENTITY = var("x0")


def broadcast_shapes(shapes: tuple[Shape, ...]) -> Shape:
    """NumPy's rule, with the batch as a length of its own."""
    first = shapes[0] if shapes else ()
    if all(shape == first for shape in shapes):
        return first
    rank = max(map(len, shapes))
    result: list[Dim] = [1] * rank
    for shape in shapes:
        for axis, dim in enumerate(shape, rank - len(shape)):
            if dim != 1 and dim != result[axis]:
                assert result[axis] == 1, shapes
                result[axis] = dim
    assert BATCH not in result[1:], shapes
    return tuple(result)


def _infer_map(inputs: tuple[TensorType, ...], attrs: OpAttrs) -> TensorType:
    shapes = tuple(operand.shape for operand in inputs)
    if "shape" in attrs:
        shape = broadcast_shapes((*shapes, attrs["shape"]))
        assert shape == attrs["shape"], (shapes, attrs)
    else:
        assert inputs, "a map without operands needs a shape"
        shape = broadcast_shapes(shapes)
    count = operand_count(attrs["expr"])
    assert count <= len(inputs), (attrs["expr"], inputs)
    return TensorType(attrs["dtype"], shape)


@memo
def operand_count(expr: Expr) -> int:
    """One more than the highest operand `xk` that `expr` reads."""
    return max((OPERAND_NAMES.index(name) + 1 for name in variables(expr)), default=0)


def _evaluate_map(arrays: tuple[Array, ...], attrs: OpAttrs, rows: int) -> Array:
    compute, dtype = np.dtype(attrs["compute"]), np.dtype(attrs["dtype"])
    environment = {
        name: array.astype(compute, copy=False) for name, array in zip(OPERAND_NAMES, arrays, strict=False)
    }
    shapes = [array.shape for array in arrays]
    if "shape" in attrs:
        shapes.append(TensorType(attrs["dtype"], attrs["shape"]).concrete(rows))
    value = evaluate_scalar(attrs["expr"], environment, compute)
    return np.array(np.broadcast_to(np.asarray(value), np.broadcast_shapes(*shapes)), dtype)


@memo
def _gradient_formula(expr: Expr, wrt: int, from_output: Expr | None) -> tuple[Expr, tuple[str, ...]]:
    """g * d expr / d x[wrt] over operands renumbered x0, x1, ...; and what those are: "g", "y" or an operand's name.

    Written with the output `y` where that saves reading the operand: as far as it can be found from `expr` itself, else
    as `from_output` says.
    """
    derivative = differentiate(expr, OPERAND_NAMES[wrt])
    by_output = in_terms_of_output(derivative, expr, "y")
    if len(variables(by_output)) <= len(variables(derivative)):
        derivative = by_output
    if from_output is not None and set(variables(derivative)) - {"y"}:
        derivative = from_output
    product = simplify(apply("mul", var("g"), derivative))
    names = variables(product)
    return rename_operands(product, names), names


def rename_operands(expr: Expr, names: tuple[str, ...]) -> Expr:
    """`expr` with its variables `names` renamed to x0, x1, ... in this order."""
    return substitute(expr, {var(name): var(OPERAND_NAMES[k]) for k, name in enumerate(names)})


def _vjp_map(builder: GraphBuilder, node: Node, id: int, gradient: int) -> tuple[int | None, ...]:
    if not node.type.is_float:
        return (None,) * len(node.inputs)
    attrs = dict(node.attrs)
    expr, compute, from_output = attrs["expr"], attrs["compute"], attrs.get("from_output")
    assert isinstance(expr, Expr)
    assert isinstance(compute, str)
    used = set(variables(expr))
    gradients: list[int | None] = []
    for k, operand in enumerate(node.inputs):
        type = builder.type(operand)
        if not type.is_float or OPERAND_NAMES[k] not in used:
            gradients.append(None)
            continue
        assert from_output is None or isinstance(from_output, Expr)
        formula, names = _gradient_formula(expr, k, from_output)
        if not names:  # constant zero
            gradients.append(None)
            continue
        places = {"g": gradient, "y": id} | dict(zip(OPERAND_NAMES, node.inputs, strict=False))
        operands = tuple(places[name] for name in names)
        if formula is _IDENTITY and names == ("g",) and node.type.dtype == type.dtype:
            full = gradient
        else:
            full = builder.map(formula, *operands, dtype=type.dtype, compute=compute, shape=node.type.shape)
        gradients.append(sum_to(builder, full, type.shape))
    return tuple(gradients)


def sum_to(builder: GraphBuilder, node: int, shape: Shape) -> int:
    """`node` summed over the axes along which a tensor of `shape` was broadcast to it."""
    full = builder.type(node).shape
    if full == shape:
        return node
    missing = len(full) - len(shape)
    axes = tuple(
        axis for axis, dim in enumerate(full) if dim != 1 and (axis < missing or shape[axis - missing] == 1)
    )
    return builder.reshape(builder.reduce("sum", node, axes) if axes else node, shape)


def _same_type(inputs: tuple[TensorType, ...], attrs: OpAttrs) -> TensorType:
    (operand,) = inputs
    return operand


ELEMENTWISE = (
    OpDef(
        "map",
        "`expr` over operands x0, x1, ... broadcast to each other and to `shape` where it is given, in dtype `compute`;"
        " attrs expr, compute, dtype, and optionally shape and from_output (the derivative in terms of the value y)",
        _infer_map,
        _evaluate_map,
        _vjp_map,
        "map",
        lambda inputs, result, batch: result.with_dtype("uint8").size_bytes(batch),
    ),
    OpDef(
        "stop_gradient",
        "its operand, through which no gradient passes",
        _same_type,
        lambda arrays, attrs, rows: arrays[0],
        lambda builder, node, id, gradient: (None,),
        "view",
    ),
)
