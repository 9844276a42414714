"""Checks that an op graph is what the passes promise each other; a failure is a defect of ours, never the user's."""

from __future__ import annotations

from .expr import variables
from .graph import ACCUMULATOR, Graph, Programs, Variable
from .ops import OPS
from .ops.elementwise import OPERAND_NAMES, broadcast_shapes


def verify_programs(programs: Programs) -> None:
    """Assert `verify_graph` for every graph, and that variables' names and terms' accumulators agree."""
    by_name = {variable.name: variable for variable in programs.variables}
    assert len(by_name) == len(programs.variables), "two variables of one name"
    for graph in programs.graphs:
        verify_graph(graph, by_name)
    for term in programs.terms:
        for name in term.accumulators:
            assert by_name[name].role == ACCUMULATOR, (term, name)


def verify_graph(graph: Graph, by_name: dict[str, Variable]) -> None:
    """Assert that operands come before their readers, every type is what its op infers, names and updates are sound."""
    for id, node in enumerate(graph.nodes):
        assert all(0 <= operand < id for operand in node.inputs), (id, node)
        assert list(node.attrs) == sorted(node.attrs, key=lambda pair: pair[0]), (id, node)
        inferred = OPS[node.op].infer(tuple([graph.nodes[i].type for i in node.inputs]), dict(node.attrs))
        assert inferred == node.type, (id, node, inferred)
        if node.op == "variable":
            assert by_name[str(node.attr("name"))].type == node.type, (id, node)
    names = [name for name, _ in graph.results]
    assert len(set(names)) == len(names), names
    assert all(0 <= id < len(graph.nodes) for _, id in graph.results), graph.results
    _verify_updates(graph, by_name)


def _verify_updates(graph: Graph, by_name: dict[str, Variable]) -> None:
    targets = [name for update in graph.updates for name in update.targets]
    assert len(set(targets)) == len(targets), "a variable is updated twice"
    for update in graph.updates:
        assert len(update.targets) == len(update.exprs), update
        readable = set(OPERAND_NAMES[: len(update.operands)])
        shapes = tuple([graph.nodes[i].type.shape for i in update.operands])
        for target, expr in zip(update.targets, update.exprs, strict=True):
            shape = by_name[target].type.shape
            assert readable.issuperset(variables(expr)), (update, expr)
            assert broadcast_shapes((*shapes, shape)) == shape, (update, shapes)
