"""PyTorch: eager, and with the model and its loss compiled. Optimizers are its own, fused where it has that."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from .job import Job, Layer, forward
from .peer import CHECKED_STEPS, MissingError, Peer


class Network(nn.Module):
    """The job's network. In training an output with softmax is left as logits, for the loss to take."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job
        self.dense = nn.ModuleDict({_key(layer.name): _linear(job, layer) for layer in job.dense_layers})

    def forward(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return forward(self.job, inputs, self._dense, lambda read: torch.cat(list(read), dim=-1))

    def _dense(self, layer: Layer, x: torch.Tensor) -> torch.Tensor:
        z: torch.Tensor = self.dense[_key(layer.name)](x)
        if layer.activation == "relu":
            return functional.relu(z)
        return torch.softmax(z, dim=-1) if layer.activation == "softmax" and self.job.mode == "predict" else z

    def loss(self, inputs: dict[str, torch.Tensor], targets: dict[str, torch.Tensor]) -> torch.Tensor:
        values = self(inputs)
        terms = []
        for output in self.job.outputs:
            crossentropy = output.loss == "sparse_categorical_crossentropy"
            measure = functional.cross_entropy if crossentropy else functional.mse_loss
            terms.append(output.weight * measure(values[output.name], targets[output.name]))
        return torch.stack(terms).sum() if len(terms) > 1 else terms[0]


def _key(name: str) -> str:
    return name.replace(".", "_")


def _linear(job: Job, layer: Layer) -> nn.Linear:
    kernel = job.weight(layer, "kernel")
    linear = nn.Linear(*kernel.shape)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(np.ascontiguousarray(kernel.T)))
        linear.bias.copy_(torch.from_numpy(job.weight(layer, "bias")))
    return linear


class RMSprop(torch.optim.Optimizer):
    """Keras's RMSprop, epsilon under the root: as many operations as PyTorch's own, which has it beside the root."""

    def __init__(self, parameters: Any, lr: float, rho: float, epsilon: float) -> None:
        super().__init__(parameters, {"lr": lr, "rho": rho, "epsilon": epsilon})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                if not state:
                    state["velocity"] = torch.zeros_like(parameter)
                velocity, gradient = state["velocity"], parameter.grad
                velocity.mul_(group["rho"]).addcmul_(gradient, gradient, value=1 - group["rho"])
                parameter.addcdiv_(gradient, velocity.add(group["epsilon"]).sqrt_(), value=-group["lr"])


class Adam(torch.optim.Adam):
    """PyTorch's fused Adam with Keras's epsilon, which is added before the bias correction and not after it."""

    def __init__(self, parameters: Any, lr: float, betas: tuple[float, float], epsilon: float) -> None:
        super().__init__(parameters, lr=lr, betas=betas, eps=epsilon, fused=True)
        self.epsilon, self.beta_2, self.steps = epsilon, betas[1], 0

    def step(self, closure: Any = None) -> None:
        self.steps += 1
        self.param_groups[0]["eps"] = self.epsilon / math.sqrt(1 - self.beta_2**self.steps)
        super().step()


def _optimizer(job: Job, network: nn.Module) -> torch.optim.Optimizer:
    """Options that the rows of the table leave alone (momentum and the like) are not passed on."""
    options = dict(job.optimizer)
    rate = options["learning_rate"]
    match options["name"]:
        case "sgd":
            return torch.optim.SGD(network.parameters(), lr=rate, fused=True)
        case "rmsprop":
            return RMSprop(network.parameters(), rate, options["rho"], options["epsilon"])
        case "adam":
            betas = options["beta_1"], options["beta_2"]
            return Adam(network.parameters(), rate, betas, options["epsilon"])
        case name:
            raise MissingError(f"{name} is not written for PyTorch here")


class Training(Peer):
    versions = ("torch", "numpy")

    def __init__(self, job: Job, threads: int, compiled: bool) -> None:
        super().__init__(job, threads)
        torch.set_num_threads(threads)
        network = Network(job)
        self.loss: Callable[..., torch.Tensor] = torch.compile(network.loss) if compiled else network.loss
        self.optimizer = _optimizer(job, network)
        self.batches = []
        for k in range(job.batches):
            inputs = {name: torch.from_numpy(x) for name, x in job.batch("input", k).items()}
            targets = {name: _target(y) for name, y in job.batch("target", k).items()}
            self.batches.append((inputs, targets))

    def step(self, inputs: dict[str, torch.Tensor], targets: dict[str, torch.Tensor]) -> torch.Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(inputs, targets)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss.detach()

    def check(self) -> list[float]:
        return [float(self.step(*batch)) for batch in self.batches[:CHECKED_STEPS]]

    def run(self) -> None:
        for _ in range(self.job.steps // self.job.batches):
            for inputs, targets in self.batches:
                self.step(inputs, targets)


def _target(y: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(y.astype(np.int64) if y.dtype == np.int32 else y)


class Prediction(Peer):
    """From NumPy arrays to NumPy arrays."""

    versions = ("torch", "numpy")

    def __init__(self, job: Job, threads: int, compiled: bool) -> None:
        super().__init__(job, threads)
        torch.set_num_threads(threads)
        network = Network(job).eval()
        self.network = torch.compile(network) if compiled else network
        self.batches = [job.batch("input", k) for k in range(job.batches)]
        self.output = job.outputs[0].name

    def predict(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        with torch.inference_mode():
            values = self.network({name: torch.from_numpy(x) for name, x in inputs.items()})
            found: np.ndarray = values[self.output].numpy()
        return found

    def check(self) -> list[float]:
        return [float(value) for value in self.predict(self.batches[0]).ravel()]

    def run(self) -> None:
        for _ in range(self.job.steps // self.job.batches):
            for batch in self.batches:
                self.predict(batch)
