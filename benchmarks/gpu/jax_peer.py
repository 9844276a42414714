"""JAX on a GPU: a compiled step called in a loop, a compiled scan over many steps, a compiled prediction."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.peers import jax_peer
from benchmarks.peers.job import Job
from benchmarks.peers.peer import MissingError, Peer

from .peer import CHECKED_STEPS, ON_GPU

_VERSIONS = ("jax", "jaxlib", "jax-cuda12-plugin", "jax-cuda13-plugin", "numpy")
# of products of float32; where the precision is bfloat16 their operands are bfloat16 before
_PRODUCTS = {"float32": "highest", "tf32": "tensorfloat32", "bfloat16": "highest"}


def _settle(job: Job, device: str) -> None:
    """Set the precision of products. Raises: MissingError where JAX computes on another device than `device`."""
    platform = "gpu" if device == ON_GPU else device
    try:
        found = jax.default_backend()
    except (RuntimeError, AssertionError) as error:  # as JAX_PLATFORMS names one that is not there
        raise MissingError(f"JAX finds no {platform.upper()}: {error or type(error).__name__}") from error
    if found != platform:
        raise MissingError(f"JAX computes on the {found.upper()}, not on the {platform.upper()}")
    jax.config.update("jax_default_matmul_precision", _PRODUCTS[job.precision])


class Training(jax_peer.Training):
    versions: tuple[str, ...] = _VERSIONS

    def __init__(self, job: Job, threads: int, scan: bool, device: str) -> None:
        _settle(job, device)
        super().__init__(job, threads, scan)

    def check(self) -> list[float]:
        if self.scan:
            self.state, values = self.block(self.state, *self.all)
            return [float(value) for value in values[:CHECKED_STEPS]]
        losses = []
        for number in range(CHECKED_STEPS):
            self.state, value = self.step(self.state, *self.batches[number % self.job.batches])
            losses.append(float(value))
        return losses


class Prediction(Peer):
    """From arrays on the device to arrays on the device."""

    versions: tuple[str, ...] = _VERSIONS

    def __init__(self, job: Job, threads: int, scan: bool, device: str) -> None:
        if scan:
            raise MissingError("predictions do not follow from one another: there is nothing to scan")
        _settle(job, device)
        super().__init__(job, threads)
        names = [f"{layer.name}.{name}" for layer in job.dense_layers for name in ("kernel", "bias")]
        self.weights = {name: jnp.array(job.arrays[f"weight.{name}"]) for name in names}
        self.predict: Any = jax.jit(lambda w, inputs: jax_peer.network(job, w, inputs)[job.outputs[0].name])
        self.batches = [jax.tree.map(jnp.array, job.batch("input", k)) for k in range(job.batches)]

    def check(self) -> list[float]:
        return [float(value) for value in self.predict(self.weights, self.batches[0]).ravel()]

    def run(self) -> None:
        value = None
        for _ in range(self.job.steps // self.job.batches):
            for batch in self.batches:
                value = self.predict(self.weights, batch)
        jax.block_until_ready(value)  # what was asked for before is done before
