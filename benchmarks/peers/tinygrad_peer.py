"""tinygrad: one jitted training step, called in a loop."""

from __future__ import annotations

from typing import Any

import numpy as np
from tinygrad import Context, Tensor, TinyJit
from tinygrad.nn import optim

from .job import Job, Layer, forward
from .peer import CHECKED_STEPS, MissingError, Peer


class RMSprop(optim.Optimizer):  # type: ignore[misc]
    """Keras's RMSprop; tinygrad has none."""

    def __init__(self, parameters: list[Tensor], rate: float, rho: float, epsilon: float) -> None:
        super().__init__(parameters, rate, None)
        self.rho, self.epsilon = rho, epsilon
        self.velocity = self._new_optim_param()

    def _step(self, params: list[Tensor], grads: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        updates = []
        for velocity, gradient in zip(self.velocity, grads, strict=True):
            velocity.assign(self.rho * velocity + (1 - self.rho) * gradient * gradient)
            updates.append(self.lr * gradient / (velocity + self.epsilon).sqrt())
        return updates, self.velocity


class Adam(optim.LAMB):  # type: ignore[misc]
    """tinygrad's Adam with Keras's epsilon, which is added before the bias correction and not after it."""

    def __init__(self, parameters: list[Tensor], rate: float, betas: tuple[float, float], epsilon: float) -> None:
        super().__init__(parameters, rate, *betas, eps=epsilon, adam=True)

    @property
    def eps(self) -> Tensor:
        """What to add after the correction; LAMB asks for it when `b2_t` is this step's."""
        return self._epsilon / (1 - self.b2_t).sqrt()

    @eps.setter
    def eps(self, epsilon: float) -> None:
        self._epsilon = epsilon


def _optimizer(job: Job, parameters: list[Tensor]) -> Any:
    options = dict(job.optimizer)
    rate = options["learning_rate"]
    match options["name"]:
        case "sgd":
            return optim.SGD(parameters, lr=rate)
        case "rmsprop":
            return RMSprop(parameters, rate, options["rho"], options["epsilon"])
        case "adam":
            betas = options["beta_1"], options["beta_2"]
            return Adam(parameters, rate, betas, options["epsilon"])
        case name:
            raise MissingError(f"{name} is not written for tinygrad here")


class Training(Peer):
    versions = ("tinygrad", "numpy")

    def __init__(self, job: Job, threads: int) -> None:
        super().__init__(job, threads)
        self.weights = {
            f"{layer.name}.{name}": Tensor(job.weight(layer, name)).contiguous().realize()
            for layer in job.dense_layers
            for name in ("kernel", "bias")
        }
        self.optimizer = _optimizer(job, [weight.is_param_() for weight in self.weights.values()])
        self.batches = [(_tensors(job.batch("input", k)), _tensors(job.batch("target", k))) for k in range(job.batches)]
        self.step = TinyJit(self._step)

    def _loss(self, inputs: dict[str, Tensor], targets: dict[str, Tensor]) -> Tensor:
        def dense(layer: Layer, x: Tensor) -> Tensor:
            z = x @ self.weights[f"{layer.name}.kernel"] + self.weights[f"{layer.name}.bias"]
            return z.relu() if layer.activation == "relu" else z

        values = forward(self.job, inputs, dense, lambda read: read[0].cat(*read[1:], dim=-1))
        total = Tensor(0.0)
        for output in self.job.outputs:
            value, target = values[output.name], targets[output.name]
            if output.loss == "sparse_categorical_crossentropy":
                total = total + output.weight * value.sparse_categorical_crossentropy(target)
            else:
                total = total + output.weight * (value - target).square().mean()
        return total

    def _step(self, inputs: dict[str, Tensor], targets: dict[str, Tensor]) -> Tensor:
        with Context(TRAINING=1):
            self.optimizer.zero_grad()
            loss = self._loss(inputs, targets).backward()
            return loss.realize(*self.optimizer.schedule_step())

    def check(self) -> list[float]:
        return [float(self.step(*batch).item()) for batch in self.batches[:CHECKED_STEPS]]

    def run(self) -> None:
        loss = None
        for _ in range(self.job.steps // self.job.batches):
            for inputs, targets in self.batches:
                loss = self.step(inputs, targets)
        if loss is not None:
            loss.item()


def _tensors(arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: Tensor(array).contiguous().realize() for name, array in arrays.items()}
