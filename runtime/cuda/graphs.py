"""How a program's kernels are launched for many batches: as captured graphs, or as one kernel that stays.

A graph has the kernels of a few steps in their order, with a barrier between any two. A resident kernel runs all
batches of a call itself, on a team of warps that meet where a graph has its next kernel: one block, one cluster of
blocks, or as many blocks as run at the same time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from nnc.compiler.codegen.cuda.records import CudaModule, CudaProgram, Launch, LibraryCall
from nnc.compiler.plan import Plan

from .cublaslt import ProductUnsupportedError
from .device import Device, Graph, Kernels, PreparedProduct, ProductLibrary
from .memory import RESIDENT, DeviceMemory

Kind = Literal["graph", "block", "wide block", "cluster", "grid"]


@dataclass(frozen=True, slots=True)
class Team:
    """The warps that run a kernel. macros: what the printed text is compiled with. warps: of each block. blocks: how
    many, 0 for as many as have work."""

    macros: Mapping[str, int]
    warps: int
    blocks: int

    @property
    def size(self) -> int:
        """Warps in all, 0 for as many as have work."""
        return self.warps * self.blocks


LANES: Final = 32
BLOCK_WARPS: Final = 8  # of the blocks that the module's record counts with
CLUSTERS_FROM: Final = 90  # sm_90
TEAMS: Final[Mapping[Kind, Team]] = {
    "graph": Team({}, BLOCK_WARPS, 0),  # whose kernels never meet
    "block": Team({"TEAM_BLOCK": 1}, BLOCK_WARPS, 1),
    "wide block": Team({"TEAM_BLOCK": 1, "WARPS": 32}, 32, 1),
    "cluster": Team({"TEAM_CLUSTER": 1}, BLOCK_WARPS, 8),
    "grid": Team({"TEAM_GRID": 1}, BLOCK_WARPS, 0),
}
GRAPH_KERNELS: Final = 64  # of the steps of one graph, so that its launch costs little for each
GRAPHS_KEPT: Final = 8  # of numbers of rows other than a whole batch


class Code:
    """A printed module on a device, compiled for each kind of launch when that is first asked for."""

    def __init__(self, device: Device, plan: Plan, module: CudaModule) -> None:
        self.device, self.plan, self.module = device, plan, module
        self._programs = {program.name: program for program in module.programs}
        self._kernels: dict[Kind, Kernels] = {}

    def program(self, name: str) -> CudaProgram:
        """The kernels of a program of the plan."""
        return self._programs[name]

    def kernels(self, kind: Kind) -> Kernels:
        """Raises: ToolchainError E0948 where the text does not compile."""
        if kind not in self._kernels:
            self._kernels[kind] = self.device.load(self.module.text, self.plan.model, TEAMS[kind].macros)
        return self._kernels[kind]

    def most_warps(self, program: str) -> int:
        """How many a full batch keeps busy, in the program's largest phase."""
        return max(launch.warps for launch in self._launches(program))

    def kinds(self, program: str) -> tuple[Kind, ...]:
        """How a program can be launched on this device."""
        if not self._programs[program].resident:
            return ("graph",)
        has_clusters = int(self.device.arch.removeprefix("sm_").rstrip("af")) >= CLUSTERS_FROM
        fitting = [kind for kind in TEAMS if self.shared_bytes(kind) <= self.device.shared_limit]
        return tuple([kind for kind in fitting if kind != "cluster" or has_clusters])

    def shared_bytes(self, kind: Kind) -> int:
        """Dynamic shared memory of a block: each eight warps of it have their own."""
        return self.module.shared_bytes * (TEAMS[kind].warps // BLOCK_WARPS)

    def warps(self, program: str, kind: Kind) -> int:
        """The most warps of one launch."""
        if kind != "graph":
            return TEAMS[kind].warps * self.resident_blocks(program, kind)
        return BLOCK_WARPS * max(self.blocks(launch) for launch in self._launches(program))

    def blocks(self, launch: Launch) -> int:
        """Of one kernel of a graph: as many as it can keep busy, if the device runs them at the same time."""
        return self._blocks("graph", launch.kernel, launch.warps)

    def resident_blocks(self, program: str, kind: Kind) -> int:
        """Of a resident kernel: all of its team. A grid has at most one for each multiprocessor."""
        if TEAMS[kind].blocks:
            return TEAMS[kind].blocks
        blocks = self._blocks(kind, self._programs[program].resident, self.most_warps(program))
        return min(blocks, self.device.multiprocessors)

    def _blocks(self, kind: Kind, kernel: str, warps: int) -> int:
        most = self.kernels(kind).blocks_at_once(kernel, TEAMS[kind].warps * LANES, self.shared_bytes(kind))
        return max(1, min(-(-warps // TEAMS[kind].warps), most))

    def _launches(self, program: str) -> list[Launch]:
        return [phase for phase in self._programs[program].phases if isinstance(phase, Launch)]


class Steps(Protocol):
    """A program that can be launched again and again."""

    def run(self, rows: int) -> None:
        """Ask for the steps of a call of so many samples, which `DeviceMemory.call` has told the device of."""


def steps_of(
    code: Code, memory: DeviceMemory, program: str, kind: Kind, library: ProductLibrary | None,
    algorithms: Mapping[int, int] | None = None, own: Code | None = None,
) -> Steps:  # fmt: skip
    """A program, ready to be launched in one way. algorithms, own: beside a library, as `GraphSteps` has them."""
    if kind == "graph":
        return GraphSteps(code, memory, program, library, algorithms or {}, own)
    return ResidentSteps(code, memory, program, kind)


class ResidentSteps:
    """One launch for all batches of a call."""

    def __init__(self, code: Code, memory: DeviceMemory, program: str, kind: Kind) -> None:
        self._kernels, self._kernel = code.kernels(kind), code.program(program).resident
        self._blocks, self._threads = code.resident_blocks(program, kind), TEAMS[kind].warps * LANES
        self._shared_bytes, self._is_grid = code.shared_bytes(kind), kind == "grid"
        self._arguments = memory.arguments(RESIDENT)

    def run(self, rows: int) -> None:
        """One launch; the device has the number of samples."""
        self._kernels.launch(
            self._kernel, self._blocks, self._threads, self._shared_bytes, self._arguments, self._is_grid
        )


@dataclass(frozen=True, slots=True)
class _Batch:
    """How batches of some number of rows are computed. blocks: of each kernel. products: the library's, by step."""

    code: Code
    phases: tuple[Launch | LibraryCall, ...]
    blocks: Mapping[str, int]
    products: Mapping[int, PreparedProduct]

    def close(self) -> None:
        for product in self.products.values():
            product.close()


class GraphSteps:
    """A graph of several whole batches, one of a single batch, and one for each number of rows that is left at the end.

    algorithms: number of a product's step -> which of the library's candidates computes whole batches. own: the kernels
    of the plan for all steps; they compute batches of so many rows as the library refuses. Without them its refusal,
    ProductUnsupportedError, is the caller's.
    """

    def __init__(
        self, code: Code, memory: DeviceMemory, program: str, library: ProductLibrary | None,
        algorithms: Mapping[int, int], own: Code | None = None,
    ) -> None:  # fmt: skip
        self._code, self._memory, self._library, self._own = code, memory, library, own
        self._device, self._batch = code.device, memory.plan.batch_size
        self._program, self._phases = program, code.program(program).phases
        self._blocks = self._blocks_of(code)
        self._algorithms = dict(algorithms)
        self._graphs: OrderedDict[tuple[int, int], Graph] = OrderedDict()
        self._batches: dict[int, _Batch] = {}
        self.steps_at_once = max(1, GRAPH_KERNELS // len(self._phases))

    def run(self, rows: int) -> None:
        """Launch after launch; the device counts the batches that are done."""
        whole, left = divmod(rows, self._batch)
        many, single = divmod(whole, self.steps_at_once)
        for _ in range(many):
            self._graph(self._batch, self.steps_at_once).launch()
        for _ in range(single):
            self._graph(self._batch, 1).launch()
        if left:
            self._graph(left, 1).launch()

    def measure(self) -> dict[int, int]:
        """Choose the quickest algorithm of each product for whole batches; overwrites what the program works in."""
        for number, product in self._prepared(self._batch).products.items():
            product.measure(self._device.seconds)
            self._algorithms[number] = product.chosen
        return dict(self._algorithms)

    def _graph(self, rows: int, steps: int) -> Graph:
        key = rows, steps
        if key not in self._graphs:
            batch = self._prepared(rows)
            self._graphs[key] = self._device.capture(lambda: self._enqueue(batch, rows, steps))
            self._forget()
        self._graphs.move_to_end(key)
        return self._graphs[key]

    def _forget(self) -> None:
        """The graphs of other numbers of rows than a whole batch, those used last excepted."""
        ragged = [key for key in self._graphs if key[0] != self._batch]
        for key in ragged[:-GRAPHS_KEPT]:
            del self._graphs[key]
            self._batches.pop(key[0]).close()

    def _enqueue(self, batch: _Batch, rows: int, steps: int) -> None:
        arguments = self._memory.arguments(rows)
        kernels, shared = batch.code.kernels("graph"), batch.code.shared_bytes("graph")
        for _ in range(steps):
            for phase in batch.phases:
                if isinstance(phase, LibraryCall):
                    batch.products[phase.product.number].run()
                else:
                    kernels.launch(phase.kernel, batch.blocks[phase.kernel], BLOCK_WARPS * LANES, shared, arguments)

    def _prepared(self, rows: int) -> _Batch:
        if rows not in self._batches:
            self._batches[rows] = self._by_library(rows) or self._by_own_kernels()
        return self._batches[rows]

    def _by_library(self, rows: int) -> _Batch | None:
        """None where the library refuses a product of so many rows, and the plan's own kernels are there."""
        products: dict[int, PreparedProduct] = {}
        batch = _Batch(self._code, self._phases, self._blocks, products)
        try:
            for phase in self._phases:
                if isinstance(phase, LibraryCall):
                    products[phase.product.number] = self._product(phase, rows)
        except ProductUnsupportedError:
            batch.close()
            if self._own is None:
                raise
            return None
        return batch

    def _product(self, phase: LibraryCall, rows: int) -> PreparedProduct:
        assert self._library is not None, "no library to compute a product with"
        piece = self._memory.pieces + phase.piece.start if phase.piece is not None else 0
        product = self._library.prepare(phase.product, rows, self._memory.address, piece)
        chosen = self._algorithms.get(phase.product.number, 0)
        if rows == self._batch and chosen < len(product.candidates):  # another version of the library may offer fewer
            product.chosen = chosen
        return product

    def _by_own_kernels(self) -> _Batch:
        assert self._own is not None
        return _Batch(self._own, self._own.program(self._program).phases, self._blocks_of(self._own), {})

    def _blocks_of(self, code: Code) -> dict[str, int]:
        """Of each kernel, no more than have scratch memory. Every kernel is loaded by this, before it is captured: the
        driver puts that off until it must."""
        most = self._memory.warps // BLOCK_WARPS
        launches = [phase for phase in code.program(self._program).phases if isinstance(phase, Launch)]
        return {launch.kernel: min(code.blocks(launch), most) for launch in launches}
