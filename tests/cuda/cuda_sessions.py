"""Sessions of the CUDA runtime on an emulated device, with each program launched as a test asks."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / "native")]
from emulated_device import EmulatedDevice  # noqa: E402

from nnc.compiler.codegen.cuda.module import print_cuda_module  # noqa: E402
from nnc.compiler.codegen.cuda.records import LibraryProduct  # noqa: E402
from nnc.compiler.pipeline import compile_source  # noqa: E402
from nnc.compiler.plan import Plan  # noqa: E402
from nnc.grammar.source import SourceFile  # noqa: E402
from nnc.runtime.cuda.choice import Choice  # noqa: E402
from nnc.runtime.cuda.device import Device  # noqa: E402
from nnc.runtime.cuda.graphs import Kind  # noqa: E402
from nnc.runtime.cuda.session import CudaRuntime, CudaSession  # noqa: E402

NOISY = """
input image: uint8[7, 5]
input word: int32[3]
input more: float32[4]
seen = image -> Rescale(1/255) -> Flatten -> Dense(70, relu) -> Dropout(0.4) -> BatchNormalization
read = word -> Embedding(50, 6) -> Flatten -> Dense(20, gelu)
both = (seen, read, more) -> Concatenate -> GaussianNoise(0.1) -> Dense(33, tanh, kernel_regularizer = l2(0.01))
output digit = both -> Dense(10, softmax) {
  loss = sparse_categorical_crossentropy, metrics = [accuracy]
}
output size = both -> Dense(2) { loss = mse, metrics = [mae] }
train { optimizer = adam(learning_rate = 0.001), batch_size = 24, clip_norm = 1, seed = 3 }
"""
NOISY_DOMAINS = {
    "image": ("byte", 256), "word": ("index", 50), "more": ("real", 0), "digit": ("class", 10), "size": ("real", 0),
}  # fmt: skip
DOUBLE = """
input a: float64[9]
output y = a -> Dense(17, softplus) -> Dropout(0.2) -> LayerNormalization -> Dense(3) { loss = mse }
train { optimizer = rmsprop(learning_rate = 0.01, momentum = 0.5), batch_size = 12, seed = 8 }
"""
DOUBLE_DOMAINS = {"a": ("real", 0), "y": ("real", 0)}


def plan_of(text: str) -> Plan:
    return compile_source(SourceFile("network.nn", text)).plan


def runtime_for(
    plan: Plan, kind: Kind = "graph", device: Device | None = None,
    products: Mapping[tuple[str, int], LibraryProduct] | None = None,
) -> CudaRuntime:  # fmt: skip
    """A runtime for this plan alone. products: of the library, by program and step; none by default."""
    module = print_cuda_module(plan, products or {})
    kinds = {program.name: kind if program.resident else "graph" for program in module.programs}
    own = print_cuda_module(plan) if products else None
    choice = Choice(module, kinds, tuple((products or {}).values()), own=own)
    return CudaRuntime(device or EmulatedDevice(), lambda plan, device: choice)


def prepared(
    plan: Plan, kind: Kind = "graph", device: Device | None = None,
    products: Mapping[tuple[str, int], LibraryProduct] | None = None,
) -> CudaSession:  # fmt: skip
    """A session of `runtime_for`."""
    return runtime_for(plan, kind, device, products).prepare(plan)
