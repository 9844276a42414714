"""Reverse-mode differentiation: the train program gains gradients, clipping and the optimizer's updates.

Takes the programs that `lower` made; only `train_step` changes. Gradients are ordinary nodes, put down to the layer
whose value they pass through, so that every later stage treats them like all other work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .accumulating import accumulated
from .builder import Builder
from .clipping import clipped
from .expr import var
from .graph import Graph, Programs, Variable
from .network import Network
from .ops import OPS
from .updates import add_updates

_SUM = var("x0") + var("x1")


def differentiate(programs: Programs, network: Network) -> Programs:
    """Add to `train_step` the gradient of "loss" for every trainable weight, and the updates they drive.

    Requires: in `train_step`, if there is one, the result "loss" is a float64 scalar.
    Ensures: one update per trainable weight that the loss depends on, and one of `step`; the optimizer's slots are new
    variables; every other program is as it was. A weight that the loss does not depend on has no update and no slots.
    """
    graphs, variables = [], programs.variables
    for graph in programs.graphs:
        if graph.program == "train_step":
            graph, slots = _trained(graph, variables, network)
            variables += slots
        graphs.append(graph)
    return replace(programs, graphs=tuple(graphs), variables=variables)


def _trained(graph: Graph, variables: tuple[Variable, ...], network: Network) -> tuple[Graph, tuple[Variable, ...]]:
    by_name = {variable.name: variable for variable in variables}
    builder = Builder.extending(graph, by_name)
    loss = dict(graph.results)["loss"]
    weights = {variable.name for variable in variables if variable.trainable}
    gradients = add_gradients(builder, loss, weights)
    builder.origin = "optimizer"
    sums = accumulated(builder, gradients, by_name, network.train)
    gradients = clipped(builder, sums.means, network.train)
    slots = add_updates(builder, gradients, by_name, network.train, sums, _multipliers(network))
    return builder.build(), slots


def _multipliers(network: Network) -> dict[str, float]:
    """Layer -> what the learning rate of its weights is multiplied by, where that is not 1."""
    found = {}
    for layer in network.layers():
        multiplier = dict(layer.arguments).get("learning_rate_multiplier", 1.0)
        if isinstance(multiplier, int | float) and multiplier != 1:
            found[layer.weights_of] = float(multiplier)
    return found


def add_gradients(builder: Builder, loss: int, weights: set[str]) -> dict[str, int]:
    """Append the gradient of the scalar `loss` for each of the variables `weights` that it depends on.

    Gives weight name -> gradient's node, in the order of the weights' first use. Linear in the nodes and their edges.
    """
    nodes = builder.nodes[: loss + 1]
    depends = _depending(builder, loss, weights)
    gradients: dict[int, int] = {loss: builder.constant(1, builder.type(loss).dtype)}
    found: dict[str, int] = {}
    for id in range(loss, -1, -1):
        if id not in gradients or not depends[id]:
            continue
        node, gradient = nodes[id], gradients.pop(id)
        if node.op == "variable":
            found[str(node.attr("name"))] = gradient
            continue
        builder.origin = node.origin
        vjp = OPS[node.op].vjp
        assert vjp is not None, node.op
        for operand, contribution in zip(node.inputs, vjp(builder, node, id, gradient), strict=True):
            if contribution is None or not depends[operand]:
                continue
            before = gradients.get(operand)
            gradients[operand] = contribution if before is None else builder.map(_SUM, before, contribution)
    return dict(reversed(found.items()))


def _depending(builder: Builder, loss: int, weights: set[str]) -> list[bool]:
    """For each node up to `loss`: does its value depend on one of `weights` in a differentiable way?"""
    depends: list[bool] = []
    for node in builder.nodes[: loss + 1]:
        if node.op == "variable":
            depends.append(node.attr("name") in weights)
        else:
            passes = node.op != "stop_gradient" and node.type.is_float
            depends.append(passes and any(depends[i] for i in node.inputs))
    return depends


def gradients_of(graph: Graph, variables: Mapping[str, Variable], result: str, weights: set[str]) -> Graph:
    """`graph` with one more result `gradient.NAME` per weight that its scalar `result` depends on; its updates dropped.

    For tests and for those who want gradients without training.
    """
    builder = Builder.extending(replace(graph, updates=()), variables)
    for name, node in add_gradients(builder, dict(graph.results)[result], weights).items():
        builder.result(f"gradient.{name}", node)
    return builder.build()
