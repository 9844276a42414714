"""A network as text, one layer per line, for `--emit network` and `--emit shapes`."""

from __future__ import annotations

from .network import Network
from .options import Choice, Value


def network_to_text(network: Network) -> str:
    """`hidden = Dense(units=512, ...) <- hidden.flatten : float32[batch, 512]`; types where they are known."""
    lines = [f"network {network.name}"]
    lines += [f"param {name} = {_text(value)}" for name, value in network.params]
    for layer in network.layers():
        arguments = ", ".join(f"{name}={_text(value)}" for name, value in layer.arguments)
        line = f"{layer.name} = {layer.kind}({arguments})"
        if layer.inputs:
            line += f" <- {', '.join(layer.inputs)}"
        if layer.weights_of != layer.name:
            line += f" with the weights of {layer.weights_of}"
        lines.append(line + (f" : {layer.type}" if layer.type else ""))
    for output in network.outputs:
        line = f"output {output.name} = {output.layer}"
        if output.loss is not None:
            line += f", loss {_text(output.loss)}, weight {_text(output.weight)}"
        if output.class_weight is not None:
            line += f", class weights {_text(output.class_weight)}"
        if output.metrics:
            line += f", metrics {_text(output.metrics)}"
        line += f", target {output.target}" if output.target else ""
        lines.append(line + (f", sample weights {output.sample_weight}" if output.sample_weight else ""))
    train = network.train
    fields = ", ".join(f"{name} {_text(getattr(train, name))}" for name in train.__slots__)
    lines.append(f"train {fields}")
    if network.data is not None:
        for group, bound in network.data.groups:
            for name, source in bound:
                columns = "" if source.columns is None else f"[{', '.join(source.columns)}]"
                options = "".join(f", {key}={_text(value)}" for key, value in source.options)
                lines.append(f'data {group} {name} = {source.reader}("{source.path}"{options}){columns}')
        if (split := network.data.split) is not None:
            lines.append(f"split validation {_text(split.validation)}, test {_text(split.test)}, seed {split.seed}")
    return "\n".join(lines)


def _text(value: Value) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case float():
            return repr(value)
        case str():
            return value if value.isidentifier() else f'"{value}"'
        case tuple():
            return f"[{', '.join(map(_text, value))}]"
        case Choice(name=name, arguments=arguments):
            inner = ", ".join(f"{key}={_text(item)}" for key, item in arguments)
            return f"{name}({inner})" if inner else name
        case _:
            return str(value)
