"""Describe products of a plan to the real cuBLASLt, as far as it goes without a GPU: `real_cublaslt.py [DRIVER]`.

Everything up to the heuristics is the library's own, and refuses what it does not know; its handle needs a GPU, so
a number stands for it and the heuristics are not asked. DRIVER: a library to load as libcuda.so.1 if there is none: the
binding asks it for a version before it does anything. Exit code 77: there is no cuBLASLt.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent.parent)]
from host_cublaslt import HostKernels  # noqa: E402
from native_networks import spec_plan  # noqa: E402
from test_library import GELU, hidden_plan, with_plain_sums  # noqa: E402

from nnc.compiler.codegen.cuda.library import library_products  # noqa: E402
from nnc.compiler.plan import Plan  # noqa: E402
from nnc.runtime.cuda.cublaslt import (  # noqa: E402
    EPILOGUES,
    RESULT,
    Library,
    LibraryUnavailableError,
    library_memory,
    load_cublaslt,
)


class WithoutDevice:
    """The binding, with a number for a handle, and heuristics that offer one algorithm of zeros."""

    def __init__(self, binding: Any) -> None:
        self.binding = binding
        self.read_back: list[dict[int, int]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.binding, name)

    def create(self) -> int:
        return 1

    def destroy(self, light_handle: int) -> None:
        assert light_handle == 1

    def matmul_algo_get_heuristic(self, handle: int, description: int, *arguments: int) -> None:
        attributes = (3, 4, 7, 8, 11, 12)
        self.read_back.append({attribute: self._attribute(description, attribute) for attribute in attributes})
        ctypes.c_int.from_address(arguments[-1]).value = 1

    def _attribute(self, description: int, attribute: int) -> int:
        value = np.zeros(1, self.binding.get_matmul_desc_attribute_dtype(attribute))
        written = np.zeros(1, np.uint64)
        self.binding.matmul_desc_get_attribute(
            description, attribute, value.ctypes.data, value.nbytes, written.ctypes.data
        )
        assert written[0] == value.nbytes
        return int(value[0])


def main() -> int:
    if len(sys.argv) > 1:
        try:
            ctypes.CDLL("libcuda.so.1")
        except OSError:
            ctypes.CDLL(sys.argv[1], ctypes.RTLD_GLOBAL)
    try:
        binding: Any = load_cublaslt()
    except LibraryUnavailableError as reason:
        print(reason)
        return 77
    result = binding.matmul_heuristic_result_dtype
    assert (RESULT.itemsize, RESULT.fields["state"][1]) == (result.itemsize, result.fields["state"][1])
    described = set()
    for plan in _plans():
        ways = [way for each in library_products(plan).values() for way in each]
        api = WithoutDevice(binding)
        library = Library(plan, ways, 1 << 32, lambda: 0, HostKernels(), api)
        for way in ways:
            library.prepare(way, 7, partial(_address, plan), (1 << 32) + library_memory(plan, ways).size_bytes)
            told = api.read_back[-1]
            name = {"none": "DEFAULT", "bgrad": "BGRADA"}.get(way.epilogue, way.epilogue.upper())
            wanted = (way.transpose_b, way.transpose_a, binding.Epilogue[name])
            assert (told[3], told[4], told[7]) == wanted, (way, told)
            described.add(way.epilogue)
        library.close()
    assert described == set(EPILOGUES), set(EPILOGUES) - described
    print(f"every epilogue of ours is described to cuBLASLt {binding.get_version()}")
    return 0


def _plans() -> Iterator[Plan]:
    for precision in ("float32", "bfloat16", "tf32"):
        for first in ("relu", GELU, "relu, use_bias = false", f"{GELU}, use_bias = false"):
            yield with_plain_sums(hidden_plan(first, first, f", clip_norm = 1, precision = {precision}"))
    yield spec_plan("siamese")


def _address(plan: Plan, id: int) -> int:
    return (1 << 33) + plan.buffers[id].offset


if __name__ == "__main__":
    sys.exit(main())
