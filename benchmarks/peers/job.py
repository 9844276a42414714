"""What a worker is given: a network as a list of layers, its initial weights, batches and optimizer.

A folder holds it as `job.json` and `arrays.npz`, so that a worker needs NumPy and its own library alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Tensor = TypeVar("Tensor")
FLOAT_BYTES = 4


@dataclass(frozen=True)
class Layer:
    """`inputs` name layers or inputs of the network. kind: "Dense" or "Concatenate". activation: of a Dense."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    width: int
    activation: str = "linear"


@dataclass(frozen=True)
class Output:
    """loss: "sparse_categorical_crossentropy" or "mse", its mean over the rows times `weight`."""

    name: str
    loss: str
    weight: float


@dataclass(frozen=True)
class Job:
    """One row of the table. `arrays` holds `weight.LAYER.kernel`, `weight.LAYER.bias`, `input.NAME`, `target.NAME`.

    The samples are `batches` batches of `batch_size` rows on end, float32, labels int32. mode: "train" or "predict".
    steps: how many a worker does between two looks at the clock, a multiple of `batches`. precision: of the matrix
    products, as a spec names it: "float32", "tf32" or "bfloat16".
    """

    name: str
    mode: str
    text: str
    batch_size: int
    batches: int
    steps: int
    inputs: tuple[tuple[str, int], ...]
    layers: tuple[Layer, ...]
    outputs: tuple[Output, ...]
    optimizer: tuple[tuple[str, Any], ...]
    arrays: Mapping[str, Array]
    precision: str = "float32"

    @property
    def dense_layers(self) -> tuple[Layer, ...]:
        return tuple(layer for layer in self.layers if layer.kind == "Dense")

    def weight(self, layer: Layer, name: str) -> Array:
        return self.arrays[f"weight.{layer.name}.{name}"]

    def batch(self, kind: str, index: int) -> dict[str, Array]:
        """The arrays of one batch by name; kind: "input" or "target"."""
        rows = slice(index * self.batch_size, (index + 1) * self.batch_size)
        found = {key: value[rows] for key, value in self.arrays.items() if key.startswith(f"{kind}.")}
        return {key.removeprefix(f"{kind}."): np.ascontiguousarray(value) for key, value in found.items()}

    def parameters(self) -> int:
        """How many weights there are."""
        return sum(self.weight(layer, name).size for layer in self.dense_layers for name in ("kernel", "bias"))

    def flops(self) -> int:
        """Multiplications and additions of the matrix products of one step; none for the gradient of an input."""
        inputs = {name for name, _ in self.inputs}
        total = 0
        for layer in self.dense_layers:
            products = 1 if self.mode == "predict" else 2 if inputs.issuperset(layer.inputs) else 3
            total += 2 * self.batch_size * self.weight(layer, "kernel").size * products
        return total

    def bytes(self) -> int:
        """What one step must at least read and write: inputs, weights, and the weights and slots that it updates.

        Training reads the weights forward, again for the gradient of what a layer reads unless that is an input, and
        reads and writes weights and slots in the update.
        """
        read = sum(self.batch_size * width for _, width in self.inputs) + self.parameters()
        if self.mode == "predict":
            return FLOAT_BYTES * read
        inputs = {name for name, _ in self.inputs}
        again = sum(self.weight(layer, "kernel").size for layer in self.dense_layers if not inputs & {*layer.inputs})
        return FLOAT_BYTES * (read + again + 2 * (1 + self.slots()) * self.parameters())

    def slots(self) -> int:
        """Numbers that the optimizer keeps per weight."""
        return {"sgd": 0, "rmsprop": 1, "adam": 2}[dict(self.optimizer)["name"]]

    def working_set(self) -> int:
        """Bytes that a step touches, each counted once."""
        copies = 1 + self.slots() if self.mode == "train" else 1
        return FLOAT_BYTES * (copies * self.parameters() + sum(self.batch_size * width for _, width in self.inputs))

    def save(self, folder: Path) -> None:
        """Write it to an existing folder."""
        record = asdict(self)
        del record["arrays"]
        (folder / "job.json").write_text(json.dumps(record))
        np.savez(folder / "arrays.npz", allow_pickle=False, **dict(self.arrays))


def load(folder: Path) -> Job:
    """The job that `save` wrote there."""
    record = json.loads((folder / "job.json").read_text())
    record["inputs"] = tuple((name, width) for name, width in record["inputs"])
    record["layers"] = tuple(Layer(**{**layer, "inputs": tuple(layer["inputs"])}) for layer in record["layers"])
    record["outputs"] = tuple(Output(**output) for output in record["outputs"])
    record["optimizer"] = tuple((name, value) for name, value in record["optimizer"])
    with np.load(folder / "arrays.npz") as arrays:
        return Job(**record, arrays=dict(arrays))


def forward(
    job: Job,
    inputs: Mapping[str, Tensor],
    dense: Callable[[Layer, Tensor], Tensor],
    concatenate: Callable[[Sequence[Tensor]], Tensor],
) -> dict[str, Tensor]:
    """The value of each output; `dense` and `concatenate` say what a layer is in a peer's library."""
    values = dict(inputs)
    for layer in job.layers:
        read = [values[name] for name in layer.inputs]
        values[layer.name] = dense(layer, read[0]) if layer.kind == "Dense" else concatenate(read)
    return {output.name: values[output.name] for output in job.outputs}
