"""Keras `fit` on one of its backends, timed inside the fit: from the end of one epoch to the end of the next."""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np

from .job import Job, Layer, forward
from .peer import CHECKED_STEPS, WARM_UP, MissingError, Peer

_EPOCH_STEPS = 64  # at least, so that what Keras does once an epoch is spread as in earnest
_EPOCH_BYTES = 64 << 20  # at most, where one round of the batches is not more already


def _key(name: str) -> str:
    return name.replace(".", "_")


def network(job: Job) -> keras.Model:
    """The job's network with its initial weights."""
    layers: dict[str, Any] = {}

    def dense(layer: Layer, x: Any) -> Any:
        layers[layer.name] = keras.layers.Dense(layer.width, layer.activation, name=_key(layer.name))
        return layers[layer.name](x)

    inputs = {name: keras.Input((width,), name=name) for name, width in job.inputs}
    model = keras.Model(inputs, forward(job, inputs, dense, lambda read: keras.layers.Concatenate()(list(read))))
    for layer in job.dense_layers:
        layers[layer.name].set_weights([job.weight(layer, "kernel"), job.weight(layer, "bias")])
    return model


def _optimizer(job: Job) -> keras.optimizers.Optimizer:
    options = dict(job.optimizer)
    kinds = {"sgd": keras.optimizers.SGD, "rmsprop": keras.optimizers.RMSprop, "adam": keras.optimizers.Adam}
    kind = kinds.get(options.pop("name"))
    if kind is None:
        raise MissingError("this optimizer is not written for Keras here")
    return kind(**options)


class _Losses(keras.callbacks.Callback):
    """The loss of each batch, from the running mean that Keras reports."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        assert logs is not None
        self.values.append(float(logs["loss"]) * (batch + 1) - sum(self.values))


class _Clock(keras.callbacks.Callback):
    """Stops the fit when the time is over; `ends` holds when each epoch ended, the first at least as a warm-up."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.began = time.perf_counter()
        self.ends: list[float] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        now = time.perf_counter()
        if not self.ends and now < self.began + WARM_UP * self.seconds:
            return
        self.ends.append(now)
        self.model.stop_training = len(self.ends) > 1 and now > self.ends[0] + self.seconds


class Training(Peer):
    def __init__(self, job: Job, threads: int) -> None:
        super().__init__(job, threads)
        backend = keras.backend.backend()
        self.versions = ("keras", "numpy", {"tensorflow": "tensorflow_cpu"}.get(backend, backend))
        if backend == "tensorflow":
            import tensorflow

            tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
            tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
        if backend == "torch":
            import torch

            torch.set_num_threads(threads)
        self.model = network(job)
        self.model.compile(
            _optimizer(job),
            loss={output.name: output.loss for output in job.outputs},
            loss_weights={output.name: output.weight for output in job.outputs},
        )
        data_bytes = sum(array.nbytes for key, array in job.arrays.items() if key.startswith("input."))
        repeats = max(1, min(-(-_EPOCH_STEPS // job.batches), _EPOCH_BYTES // data_bytes))
        self.steps = job.batches * repeats
        self.inputs, self.targets = self._data("input.", repeats), self._data("target.", repeats)

    def _data(self, kind: str, repeats: int) -> dict[str, np.ndarray]:
        arrays = {key.removeprefix(kind): value for key, value in self.job.arrays.items() if key.startswith(kind)}
        return {name: np.tile(value, (repeats, *[1] * (value.ndim - 1))) for name, value in arrays.items()}

    def _fit(self, callback: keras.callbacks.Callback, epochs: int, rows: int) -> None:
        inputs = {name: value[:rows] for name, value in self.inputs.items()}
        targets = {name: value[:rows] for name, value in self.targets.items()}
        options = {"epochs": epochs, "shuffle": False, "verbose": 0, "callbacks": [callback]}
        self.model.fit(inputs, targets, batch_size=self.job.batch_size, **options)

    def check(self) -> list[float]:
        losses = _Losses()
        self._fit(losses, 1, CHECKED_STEPS * self.job.batch_size)
        return losses.values

    def run(self) -> None:
        self._fit(keras.callbacks.Callback(), 1, self.steps * self.job.batch_size)

    def measure(self, seconds: float) -> list[float]:
        clock = _Clock(seconds)
        self._fit(clock, 1_000_000, self.steps * self.job.batch_size)
        return [float(epoch) for epoch in np.diff(clock.ends) / self.steps]
