"""Products of matrices by cuBLASLt: prepared for addresses and a number of rows, measured, and run on a stream.

A plan's matrices lie row by row, cuBLASLt's column by column. The same bytes read the other way are the transposed
matrix, so result = a b is asked for as result^T = b^T a^T: cuBLASLt's A is the plan's b, its B the plan's a, and a
transposition of an operand stays one. What cuBLASLt calls the rows of D are the plan's columns, along which a bias
lies.

Everything that asks the library is done while preparing, so `run` may be captured in a graph: it launches the rounding
of the operands where there is one, and the product. The binding is nvmath-python's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from math import prod
from typing import Any, Final, Protocol, cast

import numpy as np

from nnc.compiler.codegen.cuda.library import has_mask
from nnc.compiler.codegen.cuda.records import LibraryProduct
from nnc.compiler.plan import Plan

from .refusals import device_fails

WORKSPACE_BYTES: Final = 32 << 20   # what cuBLAS takes for itself on Hopper
MOST_CANDIDATES: Final = 8          # algorithms that the heuristics are asked for, the likely best first
_ALIGNMENT: Final = 256             # bytes, of all that is set aside here
_MASK_BITS: Final = 128             # a row of a mask is a multiple of these long
_BFLOAT16_ROW: Final = 8            # numbers: 16 bytes, which tensor cores load at once
_ROUNDING_WARPS: Final = 8
_MOST_BLOCKS: Final = 4096

# cudaDataType_t, cublasComputeType_t, cublasOperation_t: from the headers, since the binding takes plain numbers
_FLOAT32, _BFLOAT16 = 0, 14
_COMPUTE: Final = {
    "float32": (69, 68),    # COMPUTE_32F_PEDANTIC, then COMPUTE_32F, which multiplies float32 as well
    "tf32": (77,),          # COMPUTE_32F_FAST_TF32
    "bfloat16": (68,),
}
_PLAIN, _TRANSPOSED = 0, 1
# cublasLtEpilogue_t, cublasLtMatmulDescAttributes_t, cublasLtMatmulPreferenceAttributes_t
EPILOGUES: Final = {
    "none": 1, "relu": 2, "bias": 4, "relu_bias": 6, "gelu": 32, "gelu_bias": 36,
    "relu_aux": 130, "relu_aux_bias": 134, "drelu": 136, "drelu_bgrad": 152,
    "gelu_aux": 160, "gelu_aux_bias": 164, "dgelu": 192, "dgelu_bgrad": 208, "bgrad": 256,
}  # fmt: skip
_TRANSA, _TRANSB, _EPILOGUE, _BIAS_POINTER, _AUX_POINTER, _AUX_LD = 3, 4, 7, 8, 11, 12
_NOT_SUPPORTED: Final = 15          # cublasStatus_t: what the binding's error has as its `status`
_MAX_WORKSPACE_BYTES, _MIN_ALIGNMENT = 1, (5, 6, 7, 8)      # of A, B, C, D


class LibraryUnavailableError(Exception):
    """cuBLASLt or its binding cannot be had here; says which and what to install."""


class ProductUnsupportedError(Exception):
    """cuBLASLt has no algorithm for a product with this epilogue, compute type and alignment."""


class CublasLt(Protocol):
    """What is called of `nvmath.bindings.cublasLt`. Handles, descriptors and addresses are whole numbers."""

    def create(self) -> int: ...
    def destroy(self, light_handle: int) -> None: ...
    def matmul_desc_create(self, compute_type: int, scale_type: int) -> int: ...
    def matmul_desc_destroy(self, matmul_desc: int) -> None: ...
    def matmul_desc_set_attribute(self, matmul_desc: int, attr: int, buf: int, size_in_bytes: int) -> None: ...
    def matrix_layout_create(self, type: int, rows: int, cols: int, ld: int) -> int: ...
    def matrix_layout_destroy(self, mat_layout: int) -> None: ...
    def matmul_preference_create(self) -> int: ...
    def matmul_preference_destroy(self, pref: int) -> None: ...
    def matmul_preference_set_attribute(self, pref: int, attr: int, buf: int, size_in_bytes: int) -> None: ...
    def matmul_algo_get_heuristic(
        self, light_handle: int, operation_desc: int, adesc: int, bdesc: int, cdesc: int, ddesc: int, preference: int,
        requested_algo_count: int, heuristic_results_array: int, return_algo_count: int,
    ) -> None: ...  # fmt: skip
    def matmul(
        self, light_handle: int, compute_desc: int, alpha: int, a: int, adesc: int, b: int, bdesc: int, beta: int,
        c: int, cdesc: int, d: int, ddesc: int, algo: int, workspace: int, workspace_size_in_bytes: int, stream: int,
    ) -> None: ...  # fmt: skip


class Kernels(Protocol):
    """The kernels of `rounding_text()` on the device."""

    def launch(
        self, name: str, grid: int, block: int, shared_bytes: int, arguments: tuple[int, ...], cooperative: bool = False
    ) -> None:
        """Launch on the current stream. arguments: addresses and numbers, each of 64 bits."""


def load_cublaslt() -> CublasLt:
    """The binding. Raises: LibraryUnavailableError if the package is not installed, or cannot find the library."""
    try:
        from nvmath.bindings import cublasLt
    except ImportError as error:
        raise LibraryUnavailableError(f"nvmath-python is not installed: {error}") from None
    try:
        cublasLt.get_version()
    except Exception as error:      # the binding has a class for each reason, some of them private
        raise LibraryUnavailableError(f"cuBLASLt cannot be loaded: {error}") from None
    return cast(CublasLt, cublasLt)


def rounding_text() -> str:
    """The CUDA C that rounds float32 matrices to bfloat16: for NVRTC, without headers."""
    return files("nnc.runtime.cuda").joinpath("convert.cuh").read_text("utf-8")


@contextmanager
def _refused(doing: str) -> Iterator[None]:
    """Raises: ToolchainError E0947 for errors of the library's, which have a status."""
    try:
        yield
    except Exception as error:
        if not hasattr(error, "status"):
            raise
        raise device_fails("cuBLASLt", doing, str(error)) from None


# --- memory -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class LibraryMemory:
    """What products need beside the plan's arena, as offsets in bytes into one allocation.

    masks: by program and buffer, one bit for each element of that buffer, set where it is above 0, from the product
    that computes it to the one that goes back through it. rounded: both operands of a product in bfloat16, of one
    product at a time. workspace: `WORKSPACE_BYTES` of scratch memory, of one product at a time.
    """

    masks: Mapping[tuple[str, int], int]
    rounded: int
    workspace: int
    size_bytes: int


def library_memory(plan: Plan, products: Iterable[LibraryProduct]) -> LibraryMemory:
    """Memory for any of these products, one after another; nothing for none."""
    masks: dict[tuple[str, int], int] = {}
    size = largest = count = 0
    for product in products:
        count += 1
        if has_mask(product) and (product.program, product.aux) not in masks:
            masks[product.program, product.aux] = size
            rows, columns = _result_shape(plan, product, plan.batch_size)
            size += _up(rows * _up(columns, _MASK_BITS) // 8, _ALIGNMENT)
        if product.compute == "bfloat16":
            largest = max(largest, sum(_rounded_bytes(plan, id, plan.batch_size) for id in (product.a, product.b)))
    workspace = size + largest
    return LibraryMemory(masks, size, workspace, workspace + WORKSPACE_BYTES if count else 0)


def _up(size: int, unit: int) -> int:
    return -(-size // unit) * unit


def _result_shape(plan: Plan, product: LibraryProduct, rows: int) -> tuple[int, int]:
    m, n = (rows if size == "rows" else int(size) for size in (product.m, product.n))
    return m, n


def _rounded_bytes(plan: Plan, id: int, rows: int) -> int:
    count, columns = plan.buffers[id].type.concrete(rows)
    return _up(2 * count * _up(columns, _BFLOAT16_ROW), _ALIGNMENT)


# --- products ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix as it lies on the device: `rows` of `columns` numbers, from one row to the next `stride` numbers."""

    address: int
    rows: int
    columns: int
    stride: int
    type: int = _FLOAT32


class Library:
    """cuBLASLt on the current device, for the products of one plan.

    memory: address of `library_memory(plan, products).size_bytes` bytes, aligned to 256. stream: gives the address of
    the stream to run on, asked at every run. kernels: those of `rounding_text()`; needed for products in bfloat16.
    Not for several threads at once. Raises: ToolchainError E0947 where the library fails.
    """

    def __init__(
        self, plan: Plan, products: Iterable[LibraryProduct], memory: int, stream: Callable[[], int],
        kernels: Kernels | None = None, api: CublasLt | None = None,
    ) -> None:  # fmt: skip
        self.plan, self.memory, self.stream, self.kernels = plan, memory, stream, kernels
        self.places = library_memory(plan, products)
        self.api = api or load_cublaslt()
        with _refused("making its handle"):
            self.handle = self.api.create()
        self._prepared: list[PreparedProduct] = []

    def prepare(
        self, product: LibraryProduct, rows: int, address: Callable[[int], int], piece: int = 0
    ) -> PreparedProduct:
        """Descriptors and algorithms for a batch of `rows`. Asks the library, so never while a stream is capturing.

        address: buffer of the plan -> where its first element lies. piece: where the result goes, row by row without
        gaps, if no buffer takes it.

        Raises: ProductUnsupportedError if cuBLASLt cannot do it; the kernels of the plan can. ToolchainError E0947 if
        it fails.
        """
        a, b = (self._matrix(id, rows, address) for id in (product.a, product.b))
        roundings: tuple[Rounding, ...] = ()
        if product.compute == "bfloat16":
            assert self.kernels is not None, "nothing to round operands with"
            place = self.memory + self.places.rounded
            first = Rounding(a, _rounded(a, place))
            second = Rounding(b, _rounded(b, place + _rounded_bytes(self.plan, product.a, self.plan.batch_size)))
            roundings, a, b = (first, second), first.rounded, second.rounded
        m, n = _result_shape(self.plan, product, rows)
        result = self._matrix(product.result, rows, address) if product.result >= 0 else Matrix(piece, m, n, n)
        assert (result.rows, result.columns) == (m, n), (product, result)
        settings = {_TRANSA: int(product.transpose_b), _TRANSB: int(product.transpose_a)}
        settings |= self._epilogue(product, rows, address)
        with _refused(f"preparing a product with epilogue {product.epilogue}"):
            prepared = PreparedProduct(self, product, a, b, result, settings, roundings)
        self._prepared.append(prepared)
        return prepared

    def close(self) -> None:
        """Free the descriptors and the handle."""
        for prepared in self._prepared:
            prepared.close()
        self._prepared.clear()
        if self.handle:
            self.api.destroy(self.handle)
            self.handle = 0

    def _matrix(self, id: int, rows: int, address: Callable[[int], int]) -> Matrix:
        buffer = self.plan.buffers[id]
        count, columns = buffer.type.concrete(rows)
        stride, step = buffer.strides
        assert buffer.type.dtype == "float32", buffer
        assert step == 1 or columns == 1, buffer
        return Matrix(address(id), count, columns, max(stride, columns))

    def _epilogue(self, product: LibraryProduct, rows: int, address: Callable[[int], int]) -> dict[int, int]:
        settings = {_EPILOGUE: EPILOGUES[product.epilogue]}
        vector = product.bias_gradient if "bgrad" in product.epilogue else product.bias
        if vector >= 0:
            settings[_BIAS_POINTER] = address(vector)
        if has_mask(product):
            settings[_AUX_POINTER] = self.memory + self.places.masks[product.program, product.aux]
            settings[_AUX_LD] = _up(_result_shape(self.plan, product, rows)[1], _MASK_BITS)
        elif product.aux >= 0:
            aux = self._matrix(product.aux, rows, address)
            settings |= {_AUX_POINTER: aux.address, _AUX_LD: aux.stride}
        return settings


def _rounded(matrix: Matrix, place: int) -> Matrix:
    """Where a matrix lies once it is rounded: its rows padded so that each starts at a multiple of 16 bytes."""
    return Matrix(place, matrix.rows, matrix.columns, _up(matrix.columns, _BFLOAT16_ROW), _BFLOAT16)


@dataclass(frozen=True, slots=True)
class Rounding:
    """A matrix of float32, and where it goes in bfloat16."""

    source: Matrix
    rounded: Matrix

    def launch(self, kernels: Kernels) -> None:
        """Round on the current stream."""
        source, rounded = self.source, self.rounded
        blocks = min(-(-prod((source.rows, source.columns)) // (32 * _ROUNDING_WARPS)), _MOST_BLOCKS)
        args = (source.address, source.stride, rounded.address, rounded.stride, source.rows, source.columns)
        kernels.launch("round_to_bfloat16", blocks, 32 * _ROUNDING_WARPS, 0, args)


class PreparedProduct:
    """A product for certain addresses and rows. `run` it on the library's stream, captured or not.

    candidates: the algorithms that the heuristics offer, the likely best first. chosen: the one that runs, by number;
    the first, until `measure` or a caller who has measured before says otherwise.
    """

    def __init__(
        self, library: Library, product: LibraryProduct, a: Matrix, b: Matrix, result: Matrix,
        settings: Mapping[int, int], roundings: tuple[Rounding, ...],
    ) -> None:  # fmt: skip
        self.library, self.product, self.roundings = library, product, roundings
        self._matrices = b, a, result
        self._one, self._zero = np.ones(1, np.float32), np.zeros(1, np.float32)
        self._layouts: list[int] = []
        self._description = 0
        self.chosen = 0
        try:
            for matrix in self._matrices:
                layout = library.api.matrix_layout_create(matrix.type, matrix.columns, matrix.rows, matrix.stride)
                self._layouts.append(layout)
            self.candidates = self._find(settings)
        except BaseException:
            self.close()
            raise

    def run(self) -> None:
        """Enqueue the product, and the rounding of its operands before it. Raises: ToolchainError E0947."""
        library, (a, b, result) = self.library, self._matrices
        for rounding in self.roundings:
            assert library.kernels is not None
            rounding.launch(library.kernels)
        in_a, in_b, out = self._layouts
        algorithm = self.candidates[self.chosen].ctypes.data
        with _refused(f"multiplying with epilogue {self.product.epilogue}"):
            library.api.matmul(
                library.handle, self._description, self._one.ctypes.data, a.address, in_a, b.address, in_b,
                self._zero.ctypes.data, result.address, out, result.address, out, algorithm,
                library.memory + library.places.workspace, WORKSPACE_BYTES, library.stream(),
            )  # fmt: skip

    def measure(self, seconds: Callable[[Callable[[], None]], float]) -> float:
        """Run every candidate, choose the quickest, give its time.

        seconds: tells how long a function's work takes on the device. Overwrites what the product writes.
        """
        times = []
        for number in range(len(self.candidates)):
            self.chosen = number
            times.append(seconds(self.run))
        self.chosen = int(np.argmin(times))
        return times[self.chosen]

    def close(self) -> None:
        """Free the descriptors; the product runs no more."""
        api = self.library.api
        for layout in self._layouts:
            api.matrix_layout_destroy(layout)
        if self._description:
            api.matmul_desc_destroy(self._description)
        self._layouts, self._description = [], 0

    # --- preparing --------------------------------------------------------------------------------------------------
    def _find(self, settings: Mapping[int, int]) -> tuple[Any, ...]:
        """Algorithms for the first way to compute that has any."""
        for compute in _COMPUTE[self.product.compute]:
            self._describe(compute, settings)
            found = self._heuristics(settings)
            if found:
                return found
        product = self.product
        raise ProductUnsupportedError(
            f"cuBLASLt has no algorithm for {product.m} x {product.n} x {product.k} in {product.compute} "
            f"with epilogue {product.epilogue}"
        )

    def _describe(self, compute: int, settings: Mapping[int, int]) -> None:
        api = self.library.api
        if self._description:
            api.matmul_desc_destroy(self._description)
        self._description = api.matmul_desc_create(compute, _FLOAT32)
        for attribute, value in settings.items():
            is_wide = attribute in (_BIAS_POINTER, _AUX_POINTER, _AUX_LD)
            held = np.array([value], np.int64 if is_wide else np.int32)
            api.matmul_desc_set_attribute(self._description, attribute, held.ctypes.data, held.nbytes)

    def _heuristics(self, settings: Mapping[int, int]) -> tuple[Any, ...]:
        """Algorithms for where the matrices lie. What the epilogue reads and writes is accessed as the result is."""
        api = self.library.api
        beside = [settings[attribute] for attribute in (_BIAS_POINTER, _AUX_POINTER) if attribute in settings]
        b, a, result = (_alignment(matrix.address) for matrix in self._matrices)
        alignments = b, a, result, min([result, *map(_alignment, beside)])
        results = np.zeros(MOST_CANDIDATES, RESULT)
        count = np.zeros(1, np.int32)
        preference = api.matmul_preference_create()
        try:
            self._prefer(preference, _MAX_WORKSPACE_BYTES, np.array([WORKSPACE_BYTES], np.uint64))
            for attribute, alignment in zip(_MIN_ALIGNMENT, alignments, strict=True):
                self._prefer(preference, attribute, np.array([alignment], np.uint32))
            in_a, in_b, out = self._layouts
            api.matmul_algo_get_heuristic(
                self.library.handle, self._description, in_a, in_b, out, out, preference, MOST_CANDIDATES,
                results.ctypes.data, count.ctypes.data,
            )  # fmt: skip
        except Exception as error:
            if getattr(error, "status", None) != _NOT_SUPPORTED:
                raise
            return ()
        finally:
            api.matmul_preference_destroy(preference)
        return tuple([results[k : k + 1] for k in range(int(count[0])) if results[k]["state"] == 0])

    def _prefer(self, preference: int, attribute: int, value: np.ndarray[Any, Any]) -> None:
        self.library.api.matmul_preference_set_attribute(preference, attribute, value.ctypes.data, value.nbytes)


# cublasLtMatmulHeuristicResult_t; the algorithm stands first
RESULT: Final = np.dtype(
    [("algorithm", np.uint64, 8), ("workspace", np.uint64), ("state", np.int32), ("waves", np.float32),
     ("reserved", np.int32, 4)],
)  # fmt: skip


def _alignment(address: int) -> int:
    """The largest power of two that divides an address, at most 256."""
    return min(address & -address, _ALIGNMENT) if address else _ALIGNMENT
