"""PyTorch on a GPU: eager with its fused optimizers, and a whole step compiled into CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch._dynamo.utils import counters

from benchmarks.peers.job import Job
from benchmarks.peers.peer import MissingError, Peer
from benchmarks.peers.torch_peer import Network, _optimizer, _target

from .peer import CHECKED_STEPS, ON_GPU

Tensors = list[torch.Tensor]
_VERSIONS = ("torch", "triton", "numpy")


def _settle(job: Job, device: str) -> None:
    """Set the precision of products of float32. Raises: MissingError where there is no such device."""
    if device == ON_GPU and not torch.cuda.is_available():
        raise MissingError("PyTorch finds no GPU")
    torch.set_float32_matmul_precision("high" if job.precision == "tf32" else "highest")


def _rounding(job: Job, device: str) -> AbstractContextManager[Any]:
    """Where products round to bfloat16, if the job says so. No rounded weight is kept: each is used once in a step."""
    if job.precision != "bfloat16":
        return nullcontext()
    return torch.autocast(device, torch.bfloat16, cache_enabled=False)


def _compiled(function: Callable[..., Any], device: str) -> Callable[..., Any]:
    """On a GPU with every candidate measured and CUDA graphs; on a processor, which has none, as it comes."""
    return torch.compile(function, fullgraph=True, mode="max-autotune" if device == ON_GPU else None)


def _graphs_skipped() -> str:
    """What to say of CUDA graphs that torch.compile did not make; nothing where it made all."""
    skipped = counters["inductor"]["cudagraph_skips"]
    return f"torch.compile left out {skipped} CUDA graphs" if skipped else ""


def _wait(device: str) -> None:
    if device == ON_GPU:
        torch.cuda.synchronize()


def update(
    job: Job, weights: Tensors, gradients: Sequence[torch.Tensor], slots: Sequence[Tensors], t: torch.Tensor
) -> None:
    """One step of the job's optimizer in Keras's formulas, in place. t: float32[], the steps before this one."""
    options: dict[str, Any] = dict(job.optimizer)
    rate = options["learning_rate"]
    match options["name"]:
        case "sgd":
            torch._foreach_add_(weights, gradients, alpha=-rate)
        case "rmsprop":
            (v,) = slots
            torch._foreach_mul_(v, options["rho"])
            torch._foreach_addcmul_(v, gradients, gradients, value=1 - options["rho"])
            roots = torch._foreach_sqrt(torch._foreach_add(v, options["epsilon"]))
            torch._foreach_addcdiv_(weights, gradients, roots, value=-rate)
        case "adam":
            m, v = slots
            t.add_(1)
            corrected = rate * torch.sqrt(1 - options["beta_2"] ** t) / (1 - options["beta_1"] ** t)
            torch._foreach_lerp_(m, gradients, 1 - options["beta_1"])
            torch._foreach_mul_(v, options["beta_2"])
            torch._foreach_addcmul_(v, gradients, gradients, value=1 - options["beta_2"])
            roots = torch._foreach_add(torch._foreach_sqrt(v), options["epsilon"])
            torch._foreach_sub_(weights, torch._foreach_mul(torch._foreach_div(m, roots), corrected))
        case name:
            raise MissingError(f"{name} is not written for PyTorch here")


class Training(Peer):
    """Eager where not `compiled`: autograd and PyTorch's own optimizers, those that it has fused.

    Compiled, a step is one function, gradients and update in it, so that it can become one CUDA graph.
    """

    versions: tuple[str, ...] = _VERSIONS

    def __init__(self, job: Job, threads: int, compiled: bool, device: str) -> None:
        super().__init__(job, threads)
        _settle(job, device)
        self.device = device
        self.network = Network(job).to(device)
        self.batches = []
        for k in range(job.batches):
            inputs = {name: torch.from_numpy(x).to(device) for name, x in job.batch("input", k).items()}
            targets = {name: _target(y).to(device) for name, y in job.batch("target", k).items()}
            self.batches.append((inputs, targets))
        self.weights = dict(self.network.named_parameters())
        self.step = self._prepare_compiled() if compiled else self._prepare_eager()

    def _loss(self, inputs: Any, targets: Any) -> torch.Tensor:
        with _rounding(self.job, self.device):
            return self.network.loss(inputs, targets)

    def _prepare_eager(self) -> Callable[..., torch.Tensor]:
        if dict(self.job.optimizer)["name"] == "rmsprop":  # PyTorch has it with epsilon beside the root
            slots, t = self._slots()
            weights = list(self.weights.values())

            def advance() -> None:
                with torch.no_grad():
                    update(self.job, weights, [w.grad for w in weights if w.grad is not None], slots, t)
        else:
            advance = _optimizer(self.job, self.network).step

        def step(inputs: Any, targets: Any) -> torch.Tensor:
            self.network.zero_grad(set_to_none=True)
            loss = self._loss(inputs, targets)
            loss.backward()  # type: ignore[no-untyped-call]
            advance()
            return loss.detach()

        return step

    def _prepare_compiled(self) -> Callable[..., torch.Tensor]:
        slots, t = self._slots()
        module, names = _Loss(self.network), [f"network.{name}" for name in self.weights]
        weights = [weight.detach() for weight in self.weights.values()]
        for tensor in (*weights, *(slot for column in slots for slot in column), t):
            torch._dynamo.mark_static_address(tensor)  # updated in place inside a CUDA graph

        def step(inputs: Any, targets: Any) -> torch.Tensor:
            def loss_of(values: Tensors) -> torch.Tensor:
                with _rounding(self.job, self.device):
                    named = dict(zip(names, values, strict=True))
                    loss: torch.Tensor = torch.func.functional_call(module, named, (inputs, targets))
                    return loss

            gradients, loss = torch.func.grad_and_value(loss_of)(weights)
            update(self.job, weights, gradients, slots, t)
            return loss

        return _compiled(step, self.device)

    def _slots(self) -> tuple[list[Tensors], torch.Tensor]:
        """What the optimizer keeps: a list of tensors like the weights for each number per weight, and its steps."""
        weights = [weight.detach() for weight in self.weights.values()]
        slots = [[torch.zeros_like(weight) for weight in weights] for _ in range(self.job.slots())]
        return slots, torch.zeros((), device=self.device)

    def check(self) -> list[float]:
        found = [float(self.step(*self.batches[k % self.job.batches])) for k in range(CHECKED_STEPS)]
        self.note = _graphs_skipped()
        return found

    def run(self) -> None:
        for _ in range(self.job.steps // self.job.batches):
            for inputs, targets in self.batches:
                self.step(inputs, targets)
        _wait(self.device)


class _Loss(torch.nn.Module):
    """The loss of a network as its `forward`, which is what `functional_call` calls."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Any, targets: Any) -> torch.Tensor:
        return self.network.loss(inputs, targets)


class Prediction(Peer):
    """From tensors on the device to tensors on the device."""

    versions: tuple[str, ...] = _VERSIONS

    def __init__(self, job: Job, threads: int, compiled: bool, device: str) -> None:
        super().__init__(job, threads)
        _settle(job, device)
        self.device = device
        self.network = Network(job).to(device).eval()
        self.predict = _compiled(self._predict, device) if compiled else self._predict
        batches = [job.batch("input", k) for k in range(job.batches)]
        self.batches = [{name: torch.from_numpy(x).to(device) for name, x in batch.items()} for batch in batches]

    def _predict(self, inputs: Any) -> torch.Tensor:
        with _rounding(self.job, self.device):
            value: torch.Tensor = self.network(inputs)[self.job.outputs[0].name]
            return value

    @torch.inference_mode()
    def check(self) -> list[float]:
        for batch in self.batches[:CHECKED_STEPS]:
            self.predict(batch)
        found = [float(value) for value in self.predict(self.batches[0]).float().cpu().ravel()]
        self.note = _graphs_skipped()
        return found

    @torch.inference_mode()
    def run(self) -> None:
        for _ in range(self.job.steps // self.job.batches):
            for batch in self.batches:
                self.predict(batch)
        _wait(self.device)
