"""What the GPU can do at most: products of 8192 x 8192 matrices in each precision, and copies in its memory.

`python -m benchmarks.gpu.ceilings`, by PyTorch's interpreter, prints it as a line of JSON.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from .peer import ON_GPU

SIZE = 8192  # rows and columns of a matrix
COPY_BYTES = 1 << 30
PRECISIONS = ("float32", "tf32", "bfloat16")
LIBRARIES = ("cublaslt", "cublas")
_TURNS, _REPEATS = 9, 8


def measure(size: int = SIZE, copy_bytes: int = COPY_BYTES, device: str = ON_GPU) -> dict[str, Any]:
    """Of the device: `matmul`, FLOP/s by precision and library, and `copy`, bytes/s, read and written ones counted.

    Each is the best median of a few turns. On a processor there is one library, "cpu".
    """
    products = {precision: _products(precision, size, device) for precision in PRECISIONS}
    source = torch.zeros(copy_bytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    seconds = _seconds(lambda: target.copy_(source), device)
    return {"size": size, "matmul": products, "copy_bytes": copy_bytes, "copy": 2 * copy_bytes / seconds}


def _products(precision: str, size: int, device: str) -> dict[str, float]:
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    result = torch.empty_like(a)
    found = {}
    for library in LIBRARIES if device == ON_GPU else ("cpu",):
        if device == ON_GPU:
            torch.backends.cuda.preferred_blas_library(library)
        found[library] = 2 * size**3 / _seconds(lambda: torch.mm(a, b, out=result), device)
    return found


def _seconds(work: Callable[[], Any], device: str) -> float:
    """Of one call: the median over turns of several calls, waited for at a turn's end; the first does not count."""
    turns = []
    for _ in range(_TURNS + 1):
        began = time.perf_counter()
        for _ in range(_REPEATS):
            work()
        if device == ON_GPU:
            torch.cuda.synchronize()
        turns.append((time.perf_counter() - began) / _REPEATS)
    return statistics.median(turns[1:])


if __name__ == "__main__":
    if not torch.cuda.is_available():
        raise SystemExit("PyTorch finds no GPU")
    print(json.dumps(measure()))
