"""The rows of the table: a spec of benchmarks/specs each, with what nnc makes of it and random data."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nnc.compiler.network import Network
from nnc.compiler.options import Choice, CompileOptions
from nnc.compiler.pipeline import compile_source
from nnc.grammar.source import SourceFile
from nnc.runtime.reference import ReferenceRuntime

from .job import Array, Job, Layer, Output

SPECS = Path(__file__).resolve().parent.parent / "specs"
TRAINING = ("digits", "mnist", "fashion", "cifar", "wide_deep", "large", "tower", "branches")
PREDICTION = tuple(f"predict-{name}-{batch}" for name in ("mnist", "digits") for batch in (1, 32, 1024))
ROWS = TRAINING + PREDICTION

_DATA_BYTES = 4 << 20  # of all batches together, where four batches are not more already
_BLOCK_FLOPS = 3e9  # between two looks at the clock
_MOST_STEPS = 512


def job_of(row: str) -> Job:
    """The job of a row of ROWS."""
    if row in TRAINING:
        return job_from_text(row, (SPECS / f"{row}.nn").read_text("utf-8"))
    _, name, batch = row.split("-")
    return job_from_text(row, (SPECS / f"{name}.nn").read_text("utf-8"), int(batch), mode="predict")


def job_from_text(name: str, text: str, batch_size: int | None = None, *, mode: str = "train") -> Job:
    """A job on random data: layers, optimizer and initial weights are those of nnc's own compilation of the spec.

    Raises: ValueError where the spec holds what the peers' models are not written for.
    """
    compiled = compile_source(SourceFile(f"{name}.nn", text), CompileOptions(batch_size=batch_size))
    network, plan = compiled.network, compiled.plan
    layers = _layers(network)
    outputs = tuple(Output(o.name, o.loss.name if o.loss else "", o.weight) for o in network.outputs)
    inputs = tuple((i.name, int(i.type.shape[-1])) for i in plan.inputs)
    optimizer = (("name", network.train.optimizer.name), *network.train.optimizer.arguments)
    row_bytes = 4 * sum(width for _, width in inputs)
    batches = min(64, max(4, _DATA_BYTES // (plan.batch_size * row_bytes) // 2 * 2))
    session = ReferenceRuntime().prepare(plan)
    arrays = {f"weight.{v.name}": session.read(v.name) for v, _ in plan.variables if v.role == "weight"}
    arrays |= _samples(inputs, outputs, {layer.name: layer.width for layer in layers}, plan.batch_size, batches)
    sizes = plan.batch_size, batches, batches
    job = Job(name, mode, text, *sizes, inputs, layers, outputs, optimizer, arrays, plan.precision)
    steps = min(_MOST_STEPS, max(1, round(_BLOCK_FLOPS / job.flops())))
    return Job(**{**job.__dict__, "steps": batches * max(1, round(steps / batches))})


def _layers(network: Network) -> tuple[Layer, ...]:
    found = []
    for layer in network.layers():
        assert layer.type is not None
        width = int(layer.type.shape[-1])
        match layer.kind:
            case "Input":
                continue
            case "Dense":
                activation = layer.argument("activation")
                name = activation.name if isinstance(activation, Choice) else "linear"
                found.append(Layer(layer.name, "Dense", layer.inputs, width, name))
            case "Concatenate":
                found.append(Layer(layer.name, "Concatenate", layer.inputs, width))
            case _:
                raise ValueError(f"no peer here is written for {layer.kind}")
    return tuple(found)


def _samples(
    inputs: tuple[tuple[str, int], ...], outputs: tuple[Output, ...], widths: dict[str, int], rows: int, batches: int
) -> dict[str, Array]:
    """Normal inputs and random targets. Each odd batch has the inputs of the one before it and other targets.

    So no model learns them by heart, and gradients stay what they are in earnest: with a vanishing loss they would
    become denormal, which some libraries flush to zero and others compute at a hundredth of the speed.
    """
    rng = np.random.default_rng(0)
    halves = batches // 2
    arrays: dict[str, Array] = {}
    for name, width in inputs:
        half = rng.standard_normal((halves, 1, rows, width), np.float32)
        arrays[f"input.{name}"] = half.repeat(2, axis=1).reshape(batches * rows, width)
    for output in outputs:
        if output.loss == "sparse_categorical_crossentropy":
            classes = widths[output.name]
            first = rng.integers(0, classes, (halves, 1, rows))
            both = np.concatenate([first, (first + rng.integers(1, classes, first.shape)) % classes], axis=1)
            arrays[f"target.{output.name}"] = both.reshape(batches * rows).astype(np.int32)
        else:
            arrays[f"target.{output.name}"] = rng.standard_normal((batches * rows, 1), np.float32)
    return arrays
