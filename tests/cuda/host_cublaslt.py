"""A stand-in for cuBLASLt and its binding: what the manual says, in NumPy, on the host's memory.

It records every call and refuses what the manual rules out, so it proves the order of calls, their arguments, and that
descriptors mean what they should, column by column as the library reads. It proves nothing about the library itself.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from library_ways import bfloat16, gelu, gelu_slope

from nnc.runtime.protocol import Array

HANDLE, STREAM = 0x1AB, 0x57E
FLOAT32, BFLOAT16 = 0, 14
NOT_SUPPORTED, INVALID_VALUE = 15, 7
# bytes of each attribute, as the real library demands them
_DESCRIPTION = {3: 4, 4: 4, 7: 4, 8: 8, 11: 8, 12: 8}
_PREFERENCE = {1: 8, 5: 4, 6: 4, 7: 4, 8: 4}
_RELU, _BIAS, _AUX, _GELU = 2, 4, 128, 32
_DRELU, _DGELU, _BGRAD, _BGRADA = 136, 192, 16, 256
_SHORT = np.dtype(np.uint16)


class StandInError(Exception):
    """As the binding's error: `status` is cuBLASLt's."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


@dataclass
class Layout:
    type: int
    rows: int
    columns: int
    stride: int

    def matrix(self, address: int) -> Array:
        """The bytes at an address as a matrix that lies column by column."""
        item = 4 if self.type == FLOAT32 else 2
        extent = ((self.columns - 1) * self.stride + self.rows) * item
        memory = (ctypes.c_char * extent).from_address(address)
        kind = np.dtype(np.float32) if self.type == FLOAT32 else _SHORT
        return np.ndarray((self.rows, self.columns), kind, memory, 0, (item, self.stride * item))

    def numbers(self, address: int) -> Array:
        matrix = self.matrix(address)
        if self.type == FLOAT32:
            return matrix
        return (matrix.astype(np.uint32) << np.uint32(16)).view(np.float32)


@dataclass
class Description:
    compute: int
    settings: dict[int, int] = field(default_factory=dict)


class HostCublasLt:
    """`nvmath.bindings.cublasLt` for one test.

    offered: how many algorithms the heuristics give. unsupported: numbers of epilogues and compute types that they
    refuse. refused_sizes: rows and columns of matrices with which they do. fails: a status with which they fail
    instead.
    """

    def __init__(
        self, offered: int = 3, unsupported: frozenset[int] = frozenset(), fails: int = 0,
        refused_sizes: frozenset[int] = frozenset(),
    ) -> None:  # fmt: skip
        self.offered, self.unsupported, self.fails, self.refused_sizes = offered, unsupported, fails, refused_sizes
        self.calls: list[tuple[Any, ...]] = []
        self.alive: dict[int, Any] = {}
        self._next = 1

    def names(self) -> list[str]:
        return [call[0] for call in self.calls]

    # --- objects --------------------------------------------------------------------------------------------------
    def create(self) -> int:
        self.calls.append(("create",))
        self.alive[HANDLE] = "handle"
        return HANDLE

    def destroy(self, light_handle: int) -> None:
        self._forget("destroy", light_handle)

    def matmul_desc_create(self, compute_type: int, scale_type: int) -> int:
        assert scale_type == FLOAT32
        return self._keep(("matmul_desc_create", compute_type), Description(compute_type))

    def matmul_desc_destroy(self, matmul_desc: int) -> None:
        self._forget("matmul_desc_destroy", matmul_desc)

    def matmul_desc_set_attribute(self, matmul_desc: int, attr: int, buf: int, size_in_bytes: int) -> None:
        self.alive[matmul_desc].settings[attr] = self._read(_DESCRIPTION, attr, buf, size_in_bytes)

    def matrix_layout_create(self, type: int, rows: int, cols: int, ld: int) -> int:
        if ld < rows:
            raise StandInError(INVALID_VALUE)
        return self._keep(("matrix_layout_create", type, rows, cols, ld), Layout(type, rows, cols, ld))

    def matrix_layout_destroy(self, mat_layout: int) -> None:
        self._forget("matrix_layout_destroy", mat_layout)

    def matmul_preference_create(self) -> int:
        return self._keep(("matmul_preference_create",), {})

    def matmul_preference_destroy(self, pref: int) -> None:
        self._forget("matmul_preference_destroy", pref)

    def matmul_preference_set_attribute(self, pref: int, attr: int, buf: int, size_in_bytes: int) -> None:
        value = self._read(_PREFERENCE, attr, buf, size_in_bytes)
        self.alive[pref][attr] = value
        self.calls.append(("matmul_preference_set_attribute", attr, value))

    def _read(self, sizes: dict[int, int], attribute: int, address: int, size: int) -> int:
        if sizes.get(attribute) != size:
            raise StandInError(INVALID_VALUE)
        return int.from_bytes(ctypes.string_at(address, size), "little")

    def _keep(self, call: tuple[Any, ...], what: Any) -> int:
        self._next += 1
        self.calls.append(call)
        self.alive[self._next] = what
        return self._next

    def _forget(self, name: str, id: int) -> None:
        self.calls.append((name, id))
        del self.alive[id]

    # --- work -----------------------------------------------------------------------------------------------------
    def matmul_algo_get_heuristic(
        self, light_handle: int, operation_desc: int, adesc: int, bdesc: int, cdesc: int, ddesc: int, preference: int,
        requested_algo_count: int, heuristic_results_array: int, return_algo_count: int,
    ) -> None:  # fmt: skip
        description = self.alive[operation_desc]
        self.calls.append(("matmul_algo_get_heuristic", description.compute, dict(description.settings)))
        assert light_handle == HANDLE
        assert set(self.alive[preference]) == set(_PREFERENCE)
        if self.fails:
            raise StandInError(self.fails)
        if {description.settings[7], description.compute} & self.unsupported:
            raise StandInError(NOT_SUPPORTED)
        layouts = [self.alive[layout] for layout in (adesc, bdesc, ddesc)]
        if {size for layout in layouts for size in (layout.rows, layout.columns)} & self.refused_sizes:
            raise StandInError(NOT_SUPPORTED)
        count = min(requested_algo_count, self.offered)
        results = (ctypes.c_char * (96 * requested_algo_count)).from_address(heuristic_results_array)
        for k in range(count):
            results[96 * k : 96 * k + 8] = (100 + k).to_bytes(8, "little")
        ctypes.c_int.from_address(return_algo_count).value = count

    def matmul(
        self, light_handle: int, compute_desc: int, alpha: int, a: int, adesc: int, b: int, bdesc: int, beta: int,
        c: int, cdesc: int, d: int, ddesc: int, algo: int, workspace: int, workspace_size_in_bytes: int, stream: int,
    ) -> None:  # fmt: skip
        algorithm = int.from_bytes(ctypes.string_at(algo, 8), "little")
        self.calls.append(("matmul", algorithm, workspace, workspace_size_in_bytes, stream))
        assert (light_handle, c, cdesc) == (HANDLE, d, ddesc)
        factors = [ctypes.c_float.from_address(place).value for place in (alpha, beta)]
        assert factors == [1, 0]
        description, of_a, of_b, of_d = (self.alive[id] for id in (compute_desc, adesc, bdesc, ddesc))
        left, right = of_a.numbers(a), of_b.numbers(b)
        left = left.T if description.settings[3] else left
        right = right.T if description.settings[4] else right
        result = self._finished(left @ right, left, description.settings, of_d)
        of_d.matrix(d)[...] = result

    def _finished(self, x: Array, left: Array, settings: dict[int, int], layout: Layout) -> Array:
        """The epilogue. A vector has a number for each row of D, a mask a bit for each element, column by column."""
        epilogue = settings[7]
        if epilogue == _BGRADA:
            _vector(settings[8], len(x))[...] = left.sum(axis=1)
            return x
        if epilogue & _BIAS:
            x = x + _vector(settings[8], len(x))[:, None]
        if epilogue & ~_BGRAD == _DRELU:
            x = np.where(_mask(settings, layout), x, 0)
        elif epilogue & ~_BGRAD == _DGELU:
            x = x * gelu_slope(_aux(settings, layout))
        elif epilogue & _GELU:
            if epilogue & _AUX:
                _aux(settings, layout)[...] = x
            x = gelu(x)
        elif epilogue & _RELU:
            if epilogue & _AUX:
                _keep_mask(settings, layout, x > 0)
            x = np.maximum(x, 0)
        if epilogue & ~_BGRAD in (_DRELU, _DGELU) and epilogue & _BGRAD:
            _vector(settings[8], len(x))[...] = x.sum(axis=1)
        return x


def _vector(address: int, length: int) -> Array:
    return Layout(FLOAT32, length, 1, length).matrix(address)[:, 0]


def _aux(settings: dict[int, int], layout: Layout) -> Array:
    assert settings[12] % 8 == 0, "a multiple of 8 numbers, says the manual"
    return Layout(FLOAT32, layout.rows, layout.columns, settings[12]).matrix(settings[11])


def _bits(settings: dict[int, int], layout: Layout) -> Array:
    """uint8[columns of D, bytes of a column]"""
    stride = settings[12]
    assert stride % 128 == 0, "a multiple of 128 bits, says the manual"
    assert stride >= layout.rows
    memory = (ctypes.c_uint8 * (layout.columns * stride // 8)).from_address(settings[11])
    return np.ndarray((layout.columns, stride // 8), np.uint8, memory)


def _mask(settings: dict[int, int], layout: Layout) -> Array:
    return np.unpackbits(_bits(settings, layout), axis=1, count=layout.rows, bitorder="little").T.astype(bool)


def _keep_mask(settings: dict[int, int], layout: Layout, mask: Array) -> None:
    packed = np.packbits(mask.T, axis=1, bitorder="little")
    _bits(settings, layout)[:, : packed.shape[1]] = packed


class HostKernels:
    """A stand-in for the kernels of `convert.cuh` on the device: the rounding in NumPy, each launch recorded."""

    def __init__(self) -> None:
        self.launches: list[tuple[str, int, int, int]] = []

    def launch(
        self, name: str, grid: int, block: int, shared_bytes: int, arguments: tuple[int, ...], cooperative: bool = False
    ) -> None:
        assert name == "round_to_bfloat16"
        self.launches.append((name, grid, block, shared_bytes))
        source, stride, target, target_stride, rows, columns = arguments
        numbers = Layout(FLOAT32, columns, rows, stride).matrix(source)
        rounded = bfloat16(numbers).view(np.uint32) >> np.uint32(16)
        Layout(BFLOAT16, columns, rows, target_stride).matrix(target)[...] = rounded
