"""JAX: a compiled step called in a loop, and a compiled scan over many steps. Optimizers in Keras's formulas."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, nn

from .job import Job, Layer, forward
from .peer import CHECKED_STEPS, MissingError, Peer

Tree = dict[str, Any]


def network(job: Job, weights: Tree, inputs: Tree) -> Tree:
    """The outputs. In training an output with softmax is left as logits, for the loss to take."""

    def dense(layer: Layer, x: jax.Array) -> jax.Array:
        kernel, bias = (weights[f"{layer.name}.{name}"] for name in ("kernel", "bias"))
        if job.precision == "bfloat16":
            x, kernel, bias = (array.astype(jnp.bfloat16) for array in (x, kernel, bias))
        z = x @ kernel + bias
        if layer.activation == "relu":
            return nn.relu(z)
        return nn.softmax(z.astype(jnp.float32)) if layer.activation == "softmax" and job.mode == "predict" else z

    values = forward(job, inputs, dense, lambda read: jnp.concatenate(read, axis=-1))
    return {name: value.astype(jnp.float32) for name, value in values.items()}


def loss(job: Job, weights: Tree, inputs: Tree, targets: Tree) -> jax.Array:
    """The total loss of a batch."""
    values = network(job, weights, inputs)
    total = jnp.float32(0)
    for output in job.outputs:
        value, target = values[output.name], targets[output.name]
        if output.loss == "sparse_categorical_crossentropy":
            chosen = nn.log_softmax(value) * nn.one_hot(target, value.shape[-1])
            total += output.weight * -jnp.mean(jnp.sum(chosen, axis=-1))
        else:
            total += output.weight * jnp.mean(jnp.square(value - target))
    return total


def step(job: Job, state: Tree, inputs: Tree, targets: Tree) -> tuple[Tree, jax.Array]:
    """One update of the state: weights, slots and the number of steps so far."""
    value, gradients = jax.value_and_grad(lambda weights: loss(job, weights, inputs, targets))(state["weights"])
    options, steps = dict(job.optimizer), state["steps"] + 1
    rate = options["learning_rate"]
    if options["name"] == "adam":
        t = steps.astype(jnp.float32)
        rate = rate * jnp.sqrt(1 - options["beta_2"] ** t) / (1 - options["beta_1"] ** t)
    weights, slots = {}, {}
    for name, p in state["weights"].items():
        g, old = gradients[name], state["slots"][name]
        match options["name"]:
            case "sgd":
                weights[name], slots[name] = p - rate * g, old
            case "rmsprop":
                v = options["rho"] * old[0] + (1 - options["rho"]) * g * g
                weights[name], slots[name] = p - rate * g / jnp.sqrt(v + options["epsilon"]), (v,)
            case "adam":
                m = old[0] + (g - old[0]) * (1 - options["beta_1"])
                v = old[1] + (g * g - old[1]) * (1 - options["beta_2"])
                weights[name], slots[name] = p - rate * m / (jnp.sqrt(v) + options["epsilon"]), (m, v)
            case other:
                raise MissingError(f"{other} is not written for JAX here")
    return {"weights": weights, "slots": slots, "steps": steps}, value


class Training(Peer):
    versions = ("jax", "jaxlib", "numpy")

    def __init__(self, job: Job, threads: int, scan: bool) -> None:
        super().__init__(job, threads)
        self.scan = scan
        weights = {f"{q.name}.{n}": jnp.array(job.weight(q, n)) for q in job.dense_layers for n in ("kernel", "bias")}
        slots = {name: tuple(jnp.zeros_like(p) for _ in range(job.slots())) for name, p in weights.items()}
        self.state: Tree = {"weights": weights, "slots": slots, "steps": jnp.int32(0)}
        self.step = jax.jit(lambda state, x, y: step(job, state, x, y), donate_argnums=0)
        self.block = jax.jit(self._block, donate_argnums=0)
        batches = [(job.batch("input", k), job.batch("target", k)) for k in range(job.batches)]
        self.batches = [jax.tree.map(jnp.array, batch) for batch in batches]
        if scan:
            self.all = jax.tree.map(lambda *arrays: jnp.stack(arrays), *self.batches)

    def _block(self, state: Tree, x: Tree, y: Tree) -> tuple[Tree, jax.Array]:
        """`job.steps` steps, and the loss of each."""

        def one(state: Tree, index: jax.Array) -> tuple[Tree, jax.Array]:
            inputs, targets = jax.tree.map(lambda array: array[index], (x, y))
            return step(self.job, state, inputs, targets)

        return lax.scan(one, state, jnp.arange(self.job.steps) % self.job.batches)

    def check(self) -> list[float]:
        if self.scan:
            self.state, values = self.block(self.state, *self.all)
            return [float(value) for value in values[:CHECKED_STEPS]]
        losses = []
        for inputs, targets in self.batches[:CHECKED_STEPS]:
            self.state, value = self.step(self.state, inputs, targets)
            losses.append(float(value))
        return losses

    def run(self) -> None:
        if self.scan:
            self.state, _ = self.block(self.state, *self.all)
        else:
            for _ in range(self.job.steps // self.job.batches):
                for inputs, targets in self.batches:
                    self.state, _ = self.step(self.state, inputs, targets)
        jax.block_until_ready(self.state)


class Prediction(Peer):
    """From NumPy arrays to NumPy arrays."""

    versions = ("jax", "jaxlib", "numpy")

    def __init__(self, job: Job, threads: int) -> None:
        super().__init__(job, threads)
        weights = {f"{q.name}.{n}": jnp.array(job.weight(q, n)) for q in job.dense_layers for n in ("kernel", "bias")}
        jitted = jax.jit(lambda weights, inputs: network(job, weights, inputs)[job.outputs[0].name])
        self.predict = lambda inputs: np.asarray(jitted(weights, inputs))
        self.batches = [job.batch("input", k) for k in range(job.batches)]

    def check(self) -> list[float]:
        return [float(value) for value in self.predict(self.batches[0]).ravel()]

    def run(self) -> None:
        for _ in range(self.job.steps // self.job.batches):
            for batch in self.batches:
                self.predict(batch)
