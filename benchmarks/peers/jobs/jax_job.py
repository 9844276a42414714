"""JAX: an epoch is one compiled scan over its batches, and a step on the rows that are left."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, nn, random

from .data import task

job, out = task()
Tree = dict[str, Any]


def logits(weights: Tree, x: jax.Array, key: jax.Array | None) -> jax.Array:
    hidden = nn.relu(x @ weights["hidden.kernel"] + weights["hidden.bias"])
    if key is not None and job.dropout:
        hidden = jnp.where(random.bernoulli(key, 1 - job.dropout, hidden.shape), hidden / (1 - job.dropout), 0)
    return hidden @ weights["output.kernel"] + weights["output.bias"]


def loss(weights: Tree, x: jax.Array, y: jax.Array, key: jax.Array) -> jax.Array:
    return -jnp.mean(jnp.sum(nn.log_softmax(logits(weights, x, key)) * nn.one_hot(y, 10), axis=-1))


def update(state: Tree, x: jax.Array, y: jax.Array) -> tuple[Tree, jax.Array]:
    key, own = random.split(state["key"])
    value, gradients = jax.value_and_grad(loss)(state["weights"], x, y, own)
    t = state["t"] + 1
    rate = job.learning_rate
    if job.decay_steps is not None:
        rate = rate * 0.5 * (1 + jnp.cos(jnp.pi * jnp.minimum(t - 1, job.decay_steps) / job.decay_steps))
    if job.optimizer == "adam":
        alpha = rate * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, state["m"], gradients)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, state["v"], gradients)
        weights = jax.tree.map(lambda p, m, v: p - alpha * m / (jnp.sqrt(v) + 1e-7), state["weights"], m, v)
    else:
        m = state["m"]
        v = jax.tree.map(lambda v, g: 0.9 * v + 0.1 * g * g, state["v"], gradients)
        weights = jax.tree.map(lambda p, g, v: p - rate * g / jnp.sqrt(v + 1e-7), state["weights"], gradients, v)
    return {"weights": weights, "m": m, "v": v, "t": t, "key": key}, value


@partial(jax.jit, donate_argnums=0)
def epoch_of(state: Tree, x: jax.Array, y: jax.Array) -> tuple[Tree, jax.Array]:
    key, own = random.split(state["key"])
    order = random.permutation(own, len(x))
    whole = len(x) // job.batch_size * job.batch_size
    batches = order[:whole].reshape(-1, job.batch_size)
    state, losses = lax.scan(lambda state, rows: update(state, x[rows], y[rows]), {**state, "key": key}, batches)
    if whole < len(x):
        state, _ = update(state, x[order[whole:]], y[order[whole:]])
    return state, losses.mean()


def glorot(key: jax.Array, rows: int, columns: int) -> jax.Array:
    return nn.initializers.glorot_uniform()(key, (rows, columns))


keys = random.split(random.key(1), 3)
weights = {
    "hidden.kernel": glorot(keys[0], job.train[0].shape[1], job.units),
    "hidden.bias": jnp.zeros(job.units),
    "output.kernel": glorot(keys[1], job.units, 10),
    "output.bias": jnp.zeros(10),
}
state = {"weights": weights, "t": jnp.float32(0), "key": keys[2]}
state |= {slot: jax.tree.map(jnp.zeros_like, weights) for slot in ("m", "v")}
x, y = map(jnp.asarray, job.train)
for epoch in range(job.epochs):
    state, mean = epoch_of(state, x, y)
    print(f"epoch {epoch + 1} loss {float(mean):.4f}")
found = jax.jit(lambda weights, x: logits(weights, x, None).argmax(-1))(state["weights"], job.test[0])
np.savez(out.with_suffix(".npz"), **state["weights"])
print(f"accuracy {float(np.mean(np.asarray(found) == job.test[1])):.4f}")
