"""What a printed CUDA module consists of, and what a library does of it instead."""

from __future__ import annotations

from dataclasses import dataclass

from ...plan import Step
from ..calls import Span
from ..module import Feed


@dataclass(frozen=True, slots=True)
class LibraryProduct:
    """A product of matrices that cuBLASLt does in place of a kernel: result[m, n] = epilogue(a[m, k] b[k, n]).

    m, n, k: numbers, or "rows" for the rows of the batch. a, b: buffers of the plan as they lie, row by row; transposed
    first where it says so. compute: "float32", "tf32" or "bfloat16". result: the buffer that takes the result, or -1
    where `rest` takes it from a piece of memory of its own. bias, aux, bias_gradient: buffers of the epilogue, or -1.
    rest: what is left of the step's body, as a step that reads the result as its root's.
    """

    program: str
    number: int
    m: int | str
    n: int | str
    k: int | str
    a: int
    b: int
    transpose_a: bool
    transpose_b: bool
    compute: str
    epilogue: str
    result: int
    bias: int = -1
    aux: int = -1
    bias_gradient: int = -1
    rest: Step | None = None


@dataclass(frozen=True, slots=True)
class Launch:
    """Calls between two barriers, as one kernel. warps: how many it can keep busy with a full batch."""

    kernel: str
    warps: int


@dataclass(frozen=True, slots=True)
class LibraryCall:
    """A library's product between two kernels. piece: where its result lies if no buffer of the plan takes it."""

    product: LibraryProduct
    piece: Span | None


@dataclass(frozen=True, slots=True)
class CudaProgram:
    """A program as kernels: phase 0 gathers the batch, the last one counts it as done.

    resident: the kernel that runs all batches of a call in one launch; "" where a library does a product.
    """

    name: str
    feeds: tuple[Feed, ...]
    phases: tuple[Launch | LibraryCall, ...]
    resident: str


@dataclass(frozen=True, slots=True)
class CudaModule:
    """Printed CUDA C, and the memory that it needs beside the plan's arena.

    piece_bytes: for all together; scratch_bytes: for each warp; shared_bytes: dynamic shared memory of a block for
    every 8 of its warps. A block has WARPS warps, 8 unless the text is compiled with another multiple of 8. With one of
    TEAM_BLOCK, TEAM_CLUSTER and TEAM_GRID, which say what the team of a resident kernel consists of, the resident
    kernels are compiled, without them those of the phases.
    """

    text: str
    programs: tuple[CudaProgram, ...]
    piece_bytes: int
    scratch_bytes: int
    shared_bytes: int
