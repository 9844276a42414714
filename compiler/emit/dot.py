"""A network as a Graphviz digraph: one node per layer, one edge per tensor, labelled with its type."""

from __future__ import annotations

from ..network import Layer, Network
from .describe import call_text, type_text

SHAPES = {"Input": "invhouse"}
OUTPUT_SHAPE = "doubleoctagon"


def to_dot(network: Network) -> str:
    """Graphviz text: `nnc compile SPEC --emit dot | dot -Tsvg`."""
    outputs: dict[str, list[str]] = {}
    for output in network.outputs:
        outputs.setdefault(output.layer, []).append(output.name)
    lines = [f"digraph {_quoted(network.name)} {{", "  rankdir=TB;", '  node [shape=box, fontname="Helvetica"];']
    lines += [_node(layer, outputs.get(layer.name, [])) for layer in network.layers()]
    for layer in network.layers():
        lines += [_edge(network.layer(source), layer) for source in layer.inputs]
    return "\n".join([*lines, "}"]) + "\n"


def _node(layer: Layer, outputs: list[str]) -> str:
    parts = [layer.name, call_text(layer)]
    if layer.weights_of != layer.name:
        parts.append(f"weights of {layer.weights_of}")
    parts += [f"output {name}" for name in outputs if name != layer.name]
    shape = OUTPUT_SHAPE if outputs else SHAPES.get(layer.kind, "box")
    return f"  {_quoted(layer.name)} [label={_quoted(*parts)}, shape={shape}];"


def _edge(source: Layer, target: Layer) -> str:
    return f"  {_quoted(source.name)} -> {_quoted(target.name)} [label={_quoted(type_text(source))}];"


def _quoted(*lines: str) -> str:
    """One DOT string; several lines become one with DOT's own line breaks."""
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'
