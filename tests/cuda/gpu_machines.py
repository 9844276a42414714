"""Where the tests of test_gpu.py run: on a GPU in full, and a few of them on the emulated device.

The second shows that the tests themselves work; what they say of a GPU is only said on one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest

sys.path[:0] = [str(Path(__file__).parent.parent / "native")]
from emulated import needs_compiler  # noqa: E402
from emulated_device import EmulatedDevice  # noqa: E402

from nnc.compiler.codegen.cuda.module import print_cuda_module  # noqa: E402
from nnc.compiler.plan import Plan  # noqa: E402
from nnc.runtime.cuda.graphs import Code, Kind  # noqa: E402
from nnc.runtime.cuda.probe import Probe, probe  # noqa: E402
from nnc.runtime.cuda.session import CudaRuntime, CudaSession  # noqa: E402
from nnc.runtime.protocol import Runtime  # noqa: E402
from nnc.runtimes import Execution  # noqa: E402

T = TypeVar("T")


@dataclass(frozen=True)
class Machine:
    """A GPU, or the emulated device in its place."""

    is_gpu: bool

    def device(self) -> Any:
        """The GPU, the same for all tests, or a new emulated device."""
        return _gpu() if self.is_gpu else EmulatedDevice()

    def runtime(self) -> Runtime:
        """What `--device gpu` opens: ways to launch and products by cuBLASLt as measured. On the emulated device by
        rule."""
        return Execution("cuda").open() if self.is_gpu else CudaRuntime(EmulatedDevice())

    def kinds(self, plan: Plan) -> tuple[Kind, ...]:
        """All ways to launch a plan's training step here."""
        return Code(self.device(), plan, print_cuda_module(plan)).kinds("train_step")

    def times(self, on_gpu: int, emulated: int) -> int:
        """How often, or how many: the emulated device takes seconds for what a GPU does in milliseconds."""
        return on_gpu if self.is_gpu else emulated


GPU, EMULATED = Machine(True), Machine(False)


def on_machines(on_gpu: Iterable[T], emulated: Iterable[T]) -> list[Any]:
    """Parameters (machine, value): those of a GPU are marked `gpu`."""
    return [
        *(pytest.param(GPU, value, id=f"gpu-{value}", marks=pytest.mark.gpu) for value in on_gpu),
        *(pytest.param(EMULATED, value, id=f"emulated-{value}", marks=needs_compiler) for value in emulated),
    ]


@cache
def probed() -> Probe:
    """What there is here of all that a GPU needs."""
    return probe()


@cache
def _gpu() -> Any:
    from nnc.runtime.cuda.cupy_device import CupyDevice

    return CupyDevice()


def is_by_library(session: CudaSession, program: str) -> bool:
    """Whether the whole batches that ran left products to cuBLASLt; False where it refused one of them."""
    return bool(session._steps[program]._batches[session.plan.batch_size].products)  # type: ignore[attr-defined]


