"""The summary of a compiled model: a row per layer, totals, and the memory that training and inference need.

`summarize` gives data, `render_summary` the table that `nnc compile` prints.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from ..graph import Programs
from ..kernels import FusedProgram, FusedPrograms, writes
from ..measuring import kinds_of_metrics
from ..network import Network
from ..ops import OPS
from ..plan import Plan
from ..types import TensorType
from .describe import call_text, shape_text

if TYPE_CHECKING:
    from ..pipeline import Compiled

PLACES = frozenset({"leaf", "view", "concat"})  # kernels of ops that are places in memory, not work


@dataclass(frozen=True, slots=True)
class Row:
    """One layer.

    `parameters` counts the elements it owns (a shared layer's stand at its first use), `flops` those of one sample's
    forward pass, `bytes` its value at the plan's batch size; `fused` says which kernel does its work.
    """

    layer: str
    call: str
    connected_to: tuple[str, ...]
    shape: str
    dtype: str
    parameters: int
    flops: int
    bytes: int
    fused: str


@dataclass(frozen=True, slots=True)
class Summary:
    """Rows and totals. FLOPs: `flops` of one sample forward, `flops_per_step` of one training step of a whole batch."""

    model: str
    batch_size: int
    rows: tuple[Row, ...]
    parameters: int
    trainable_parameters: int
    flops: int
    flops_per_step: int
    training_peak_bytes: int
    inference_peak_bytes: int
    arena_bytes: int
    metrics: tuple[tuple[str, str], ...] = ()       # ("digit.accuracy", "sparse_categorical_accuracy")


def summarize(compiled: Compiled) -> Summary:
    """What each layer is and costs. Requires: compiled up to the plan."""
    network, programs, plan = compiled.network, compiled.simplified, compiled.plan
    flops = _flops_by_origin(programs, "predict", 1)
    texts = _work(network, programs, compiled.fused)
    owned = _parameters_by_layer(plan)
    rows = []
    for layer in network.layers():
        parameters = owned.pop(layer.weights_of, 0)
        assert layer.type is not None
        size = layer.type.size_bytes(plan.batch_size)
        work = texts.get(layer.name, "")
        row = Row(
            layer.name, call_text(layer), layer.inputs, shape_text(layer), layer.type.dtype,
            parameters, flops.get(layer.name, 0), size, work,
        )  # fmt: skip
        rows.append(row)
    peaks = {program.name: program.peak_bytes for program in plan.programs}
    return Summary(
        network.name,
        plan.batch_size,
        tuple(rows),
        sum(row.parameters for row in rows),
        sum(_elements(variable.type) for variable, _ in plan.variables if variable.trainable),
        sum(flops.values()),
        sum(_flops_by_origin(programs, "train_step", plan.batch_size).values()),
        peaks.get("train_step", 0),
        peaks["predict"],
        plan.arena_bytes,
        kinds_of_metrics(network),
    )


def _elements(type: TensorType) -> int:
    """Elements of a variable, which has no batch axis."""
    return prod(type.concrete(1))


def _parameters_by_layer(plan: Plan) -> dict[str, int]:
    """Elements of the weights and statistics that each layer owns."""
    owned: dict[str, int] = defaultdict(int)
    for variable, _ in plan.variables:
        if variable.role in ("weight", "statistic"):
            owned[variable.layer] += _elements(variable.type)
    return owned


def _flops_by_origin(programs: Programs, program: str, batch: int) -> Mapping[str, int]:
    """Floating-point operations of one run of a program, by the layer that asked for them."""
    flops: dict[str, int] = defaultdict(int)
    for graph in programs.graphs:
        if graph.program == program:
            for node in graph.nodes:
                inputs = tuple(graph.nodes[i].type for i in node.inputs)
                flops[node.origin] += OPS[node.op].flops(inputs, node.type, batch)
    return flops


def _work(network: Network, programs: Programs, fused: FusedPrograms) -> Mapping[str, str]:
    """Layer -> what does its work in the forward pass: kernels of its own, another layer's kernel, or nothing."""
    predict = next(program for program in fused.programs if program.name == "predict")
    graph = next(graph for graph in programs.graphs if graph.program == "predict")
    working = {node.origin for node in graph.nodes if OPS[node.op].kernel not in PLACES}
    kernels: dict[str, list[str]] = defaultdict(list)
    for step in predict.steps:
        kernels[step.layer].append(" + ".join([step.kernel, *step.fused]))
    hosts = _hosts(network, predict)
    texts: dict[str, str] = {}
    for layer in network.layers():
        if layer.name in kernels:
            texts[layer.name] = "; ".join(kernels[layer.name])
        elif layer.kind == "Input":
            continue
        elif layer.name not in working:
            texts[layer.name] = "nothing"
        elif layer.name in hosts:
            texts[layer.name] = f"in the kernel of {hosts[layer.name]}"
    return texts


def _hosts(network: Network, predict: FusedProgram) -> Mapping[str, str]:
    """Layer -> the layer whose kernel computes its value.

    A value that is stored is computed where it is stored. One that is not is computed in the kernel that computes an
    input that is not stored either, or else in that of its reader.
    """
    stored = {predict.values[id].layer: step.layer for step in predict.steps for id in writes(step)}
    hosts = {step.layer: step.layer for step in predict.steps} | stored
    for layer in network.layers():
        for source in layer.inputs:
            if layer.name not in hosts and source not in stored and source in hosts:
                hosts[layer.name] = hosts[source]
    for layer in reversed(network.layers()):
        readers = (hosts[name] for name in network.graph.successors(layer.name) if name in hosts)
        if layer.name not in hosts and (reader := next(readers, None)) is not None:
            hosts[layer.name] = reader
    return hosts


HEAD = ("layer", "connected to", "output shape", "dtype", "parameters", "FLOPs", "bytes", "runs as")
RIGHT = frozenset({"parameters", "FLOPs", "bytes"})


def summary_text(compiled: Compiled) -> str:
    """The summary as `nnc compile` and `Model.summary` print it."""
    return render_summary(summarize(compiled))


def render_summary(summary: Summary) -> str:
    """The table and the totals as text."""
    cells = [HEAD, *(_cells(row) for row in summary.rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(HEAD))]
    lines = [f"model {summary.model}", ""]
    lines += [_line(line, widths) for line in cells]
    lines.insert(3, "  ".join("-" * width for width in widths))
    batch = summary.batch_size
    frozen = summary.parameters - summary.trainable_parameters
    totals = [
        ("parameters", f"{summary.parameters:,}" + (f" ({frozen:,} of them not trained)" if frozen else "")),
        ("FLOPs", f"{summary.flops:,} per sample forward; {summary.flops_per_step:,} per training step of {batch}"),
        ("memory", f"{bytes_text(summary.training_peak_bytes)} to train, {bytes_text(summary.inference_peak_bytes)}"
                   f" to predict, at batch size {batch}"),
    ]  # fmt: skip
    if summary.metrics:
        totals.append(("metrics", ", ".join(f"{name} is {kind}" for name, kind in summary.metrics)))
    return "\n".join([*lines, "", *(f"{name:10}  {text}" for name, text in totals)])


def _cells(row: Row) -> tuple[str, ...]:
    name = row.layer if row.call == "Input" else f"{row.layer}: {row.call}"
    figures = (f"{row.parameters:,}", f"{row.flops:,}", f"{row.bytes:,}")
    return (name, ", ".join(row.connected_to), row.shape, row.dtype, *figures, row.fused)


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    padded = (
        cell.rjust(width) if title in RIGHT else cell.ljust(width)
        for cell, width, title in zip(cells, widths, HEAD, strict=True)
    )
    return "  ".join(padded).rstrip()


def bytes_text(count: int) -> str:
    """`512 B`, `1.50 KiB`, `3.21 MiB`: bytes as a person reads them."""
    size, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            break
        size /= 1024
    return f"{count} B" if unit == "B" else f"{size:.2f} {unit}"
