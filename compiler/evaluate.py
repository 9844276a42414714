"""The meaning of an op graph: node by node with NumPy, nothing fused, nothing planned.

The oracle of fusion, memory planning and every runtime. Slow, and says so by being simple.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .graph import Graph, Update
from .ops import OPS
from .ops.definition import Array
from .ops.elementwise import OPERAND_NAMES
from .ops.scalar import evaluate as evaluate_scalar

Arrays = dict[str, Array]


def evaluate(
    graph: Graph, feeds: Mapping[str, Array], variables: Mapping[str, Array], seed: int, rows: int
) -> tuple[Arrays, Arrays]:
    """One run of a program on `rows` samples.

    Takes the fed arrays and every variable's value by name; gives the results by name and all variables after the
    updates. The arrays given are not written to.
    """
    values: list[Array] = []
    for node in graph.nodes:
        attrs = dict(node.attrs)
        if node.op == "input":
            value = np.asarray(feeds[attrs["name"]], np.dtype(node.type.dtype))  # type: ignore[index]
        elif node.op == "variable":
            value = variables[attrs["name"]]  # type: ignore[index]
        else:
            if node.op == "random":
                attrs["seed"] = seed
            compute = OPS[node.op].evaluate
            assert compute is not None, node.op
            value = compute(tuple(values[i] for i in node.inputs), attrs, rows)
        assert value.shape == node.type.concrete(rows), (node, value)
        assert value.dtype == node.type.dtype, (node, value)
        values.append(value)
    after = dict(variables)
    for update in graph.updates:
        after |= _assigned(update, values, variables)
    return {name: values[i] for name, i in graph.results}, after


def _assigned(update: Update, values: list[Array], variables: Mapping[str, Array]) -> Arrays:
    bindings = dict(zip(OPERAND_NAMES, (values[i] for i in update.operands), strict=False))
    assigned = {}
    for target, expr in zip(update.targets, update.exprs, strict=True):
        old = variables[target]
        new = evaluate_scalar(expr, bindings, old.dtype)
        assigned[target] = np.array(np.broadcast_to(new, old.shape), old.dtype)
    return assigned
