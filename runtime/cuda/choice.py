"""How each program of a plan is launched, and which products a library does: measured on the device, once.

A graph of kernels, or one kernel that stays on a block, a cluster or the whole device; products by the plan's own
kernels or by cuBLASLt. What is quicker depends on sizes, on the GPU and its driver, so both are tried with samples of
zeros in memory that is given back; the outcome is kept beside compiled programs. Where times mean nothing, a rule by
the work of a step decides.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any, Final

import numpy as np

from nnc.compiler.codegen.cuda.library import Products, chosen_products, library_products
from nnc.compiler.codegen.cuda.module import print_cuda_module
from nnc.compiler.codegen.cuda.records import CudaModule, LibraryProduct
from nnc.compiler.plan import Plan
from nnc.runtime import store

from .cublaslt import ProductUnsupportedError, library_memory
from .device import Device
from .graphs import TEAMS, Code, GraphSteps, Kind, Steps, steps_of
from .memory import DeviceMemory, Needs

ARTIFACT: Final = "choice.json"
LEAST_LIBRARY_WORK: Final = 1 << 22  # multiplications; of less, the plan's own kernel is not asked to compete
FAR_TOO_SMALL: Final = 12  # times fewer warps than have work
_STEPS: Final = 32  # measured together,
_TRIAL_SECONDS: Final = 0.05  # or as many as take so long
_TRIALS: Final = 3  # of which the quickest counts


@dataclass(frozen=True, slots=True)
class Choice:
    """How a session runs a plan. kinds: by program. algorithms: by program and number of a product's step, which of the
    library's candidates computes it. own: beside products, the plan's own kernels throughout, for batches of so many
    rows as the library refuses."""

    module: CudaModule
    kinds: Mapping[str, Kind]
    products: tuple[LibraryProduct, ...] = ()
    algorithms: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    own: CudaModule | None = None


def choose(plan: Plan, device: Device) -> Choice:
    """What is quickest here. Raises: ToolchainError E0946-E0948."""
    module = print_cuda_module(plan)
    if not device.is_timed:
        return by_rule(plan, device, module)
    offered = library_products(plan)
    label = store.label_of(plan.model)
    key = store.key_of([module.text, repr(offered), device.name, device.arch, device.driver])

    def make(folder: Path) -> None:
        found = _measured(plan, device, module, offered)
        (folder / ARTIFACT).write_text(json.dumps(found, indent=1), encoding="utf-8")

    known = json.loads(store.keep(f"{label}-{key}", ARTIFACT, make).read_text("utf-8"))
    return _choice(plan, module, offered, known)


def by_rule(plan: Plan, device: Device, module: CudaModule) -> Choice:
    """Without a measurement: the smallest team with all the warps that a full batch keeps busy, or a graph where none
    has so many; the plan's own kernels throughout."""
    code = Code(device, plan, module)
    kinds: dict[str, Kind] = {}
    for program in module.programs:
        warps = code.most_warps(program.name)
        teams = {kind: TEAMS[kind].size for kind in code.kinds(program.name)}
        fitting = [kind for kind, size in teams.items() if size >= warps]
        kinds[program.name] = min(fitting, key=teams.__getitem__, default="graph")
    return Choice(module, kinds)


def memory_for(code: Code, choice: Choice) -> DeviceMemory:
    """All memory that a plan's programs need if they are launched so. Raises: ToolchainError E0946."""
    return _memory(code, choice.kinds.items(), choice.products, choice.own)


def _memory(
    code: Code, launched: Iterable[tuple[str, Kind]], products: Iterable[LibraryProduct],
    own: CudaModule | None = None,
) -> DeviceMemory:  # fmt: skip
    modules = [code.module] if own is None else [code.module, own]
    pieces, scratch = max(each.piece_bytes for each in modules), max(each.scratch_bytes for each in modules)
    warps = max(code.warps(name, kind) for name, kind in launched)
    feeds = max(len(program.feeds) for program in code.module.programs)
    workspace = library_memory(code.plan, products).size_bytes
    return DeviceMemory(code.device, code.plan, Needs(pieces, scratch, warps, workspace, feeds))


def _choice(plan: Plan, module: CudaModule, offered: Products, known: Any) -> Choice:
    """From what was kept: products as [program, step, which way], kinds, and the candidates of the library."""
    products = {(name, number): offered[name, number][way] for name, number, way in known["products"]}
    algorithms = {
        name: {int(number): chosen for number, chosen in found.items()} for name, found in known["algorithms"].items()
    }
    if not products:
        return Choice(module, known["kinds"])
    return Choice(print_cuda_module(plan, products), known["kinds"], tuple(products.values()), algorithms, module)


# --- measuring ------------------------------------------------------------------------------------------------------
def _measured(plan: Plan, device: Device, module: CudaModule, offered: Products) -> dict[str, Any]:
    """As JSON keeps it: see `_choice`."""
    own = _own_times(Code(device, plan, module))
    kinds: dict[str, Kind] = {name: min(times, key=times.__getitem__) for name, times in own.items()}
    products = _accepted(plan, device, offered)
    times, algorithms = _library_times(plan, device, products) if products else ({}, {})
    quicker = {name for name, seconds in times.items() if seconds < own[name][kinds[name]]}
    chosen = [
        [name, number, offered[name, number].index(product)]
        for (name, number), product in products.items()
        if name in quicker
    ]
    return {
        "products": chosen,
        "kinds": {name: "graph" if name in quicker else kind for name, kind in kinds.items()},
        "algorithms": {name: algorithms[name] for name in sorted(quicker)},
        "seconds per step": {"own": own, "library": times},
    }


def _own_times(code: Code) -> dict[str, dict[Kind, float]]:
    """Seconds of a step of each program, in each way to launch the plan's own kernels."""
    tried = [(program.name, kind) for program in code.module.programs for kind in _kinds_to_try(code, program.name)]
    memory = _memory(code, tried, ())
    with _Trial(code, memory) as trial:
        times: dict[str, dict[Kind, float]] = {}
        for name, kind in tried:
            seconds = trial.seconds_per_step(name, steps_of(code, memory, name, kind, None))
            times.setdefault(name, {})[kind] = seconds
        return times


def _kinds_to_try(code: Code, program: str) -> list[Kind]:
    """A graph, and teams that are neither far too small nor larger than need be: each takes seconds to compile for."""
    warps = code.most_warps(program)
    size = {kind: float(TEAMS[kind].size or inf) for kind in code.kinds(program) if kind != "graph"}
    enough = min([own for own in size.values() if own >= warps], default=inf)
    return ["graph", *(kind for kind, own in size.items() if own <= enough and own * FAR_TOO_SMALL >= warps)]


def _library_times(
    plan: Plan, device: Device, products: Mapping[tuple[str, int], LibraryProduct]
) -> tuple[dict[str, float], dict[str, dict[int, int]]]:
    """Seconds of a step of each program with products by the library, and the candidates that were quickest."""
    code = Code(device, plan, print_cuda_module(plan, products))
    programs = sorted({name for name, _ in products})
    memory = _memory(code, [(name, "graph") for name in programs], products.values())
    library = device.library(plan, tuple(products.values()), memory.workspace)
    times, algorithms = {}, {}
    try:
        with _Trial(code, memory) as trial:
            for name in programs:
                steps = GraphSteps(code, memory, name, library, {})
                with suppress(ProductUnsupportedError):  # where pieces of memory lie it may do less than in the arena
                    algorithms[name] = steps.measure()
                    times[name] = trial.seconds_per_step(name, steps)
    finally:
        library.close()
    return times, algorithms


def _accepted(plan: Plan, device: Device, offered: Products) -> dict[tuple[str, int], LibraryProduct]:
    """The products worth asking the library for, each in the way that covers most and that the library can do."""
    large = {key: ways for key, ways in offered.items() if _work(plan, ways[0]) >= LEAST_LIBRARY_WORK}
    ways = tuple([way for found in large.values() for way in found])
    if not ways:
        return {}
    size = library_memory(plan, ways).size_bytes
    arena = device.allocate(plan.arena_bytes)
    beside = device.allocate(size)
    library = device.library(plan, ways, beside)

    def accepts(product: LibraryProduct) -> bool:
        try:
            library.prepare(product, plan.batch_size, lambda id: arena + plan.buffers[id].offset, arena).close()
        except ProductUnsupportedError:
            return False
        return True

    try:
        return chosen_products(large, accepts)
    finally:
        library.close()
        device.free(beside)
        device.free(arena)


def _work(plan: Plan, product: LibraryProduct) -> int:
    """Multiplications of a whole batch."""
    m, n, k = (plan.batch_size if size == "rows" else int(size) for size in (product.m, product.n, product.k))
    return m * n * k


class _Trial:
    """Runs programs on samples of zeros, in memory that is given back with the block."""

    def __init__(self, code: Code, memory: DeviceMemory) -> None:
        self._code, self._memory, self._device = code, memory, code.device
        row = max([1, *(feed.row_bytes for program in code.module.programs for feed in program.feeds)])
        self._zeros = self._device.allocate(row)

    def __enter__(self) -> _Trial:
        return self

    def __exit__(self, *_: object) -> None:
        self._device.synchronize()
        self._device.free(self._zeros)
        self._memory.free()

    def seconds_per_step(self, program: str, steps: Steps) -> float:
        """The quickest of a few calls of many steps, or of few that take long; each is made once before, untimed."""
        feeds = [(self._zeros, 0)] * len(self._code.program(program).feeds)
        batch = self._code.plan.batch_size

        def call(count: int) -> float:
            rows = count * batch
            self._memory.call(feeds, np.zeros(rows, np.int64))
            return self._device.seconds(lambda: steps.run(rows)) / count

        call(1)
        most = min(_STEPS, self._memory.numbers // batch)
        count = max(1, min(most, int(_TRIAL_SECONDS / max(call(1), 1e-9))))
        call(count)
        return min(call(count) for _ in range(_TRIALS))
