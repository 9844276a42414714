"""A network as a Mermaid flowchart, which many Markdown viewers draw."""

from __future__ import annotations

from ..network import Layer, Network
from .describe import call_text, type_text


def to_mermaid(network: Network) -> str:
    """Mermaid text. Nodes are numbered, since a Mermaid id cannot hold every name that a spec may use."""
    numbers = {layer.name: f"n{i}" for i, layer in enumerate(network.layers())}
    ends = {output.layer for output in network.outputs}
    lines = ["flowchart TD"]
    lines += [f"  {numbers[layer.name]}{_shape(layer, layer.name in ends)}" for layer in network.layers()]
    for layer in network.layers():
        for source in layer.inputs:
            label = _escaped(type_text(network.layer(source)))
            lines.append(f'  {numbers[source]} -->|"{label}"| {numbers[layer.name]}')
    return "\n".join(lines) + "\n"


def _shape(layer: Layer, is_output: bool) -> str:
    text = _escaped(layer.name) + "<br/>" + _escaped(call_text(layer))
    if layer.kind == "Input":
        return f'(["{text}"])'
    return f'[["{text}"]]' if is_output else f'["{text}"]'


def _escaped(text: str) -> str:
    """Mermaid reads entities by number: quotes and brackets in a label are written so."""
    return "".join(f"#{ord(char)};" if char in '"#<>&|[](){}' else char for char in text)
