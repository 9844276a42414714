"""What `nnc compile --device gpu` does: the kernels of a plan made ahead of time, also where there is no GPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nnc.grammar.diagnostics import Diagnostic, UsageError

if TYPE_CHECKING:
    from nnc.compiler.codegen.cuda.records import CudaModule
    from nnc.compiler.plan import Plan
    from nnc.runtime.cuda.graphs import Kind

_EXAMPLES: Final = "sm_80 is an A100, sm_86 an RTX 30, sm_89 an RTX 40 or L4, sm_90 an H100 or H200"


@dataclass(frozen=True, slots=True)
class Cubin:
    """Machine code for one way to launch a plan's kernels. kind: "graph", "block", ..., as `runtime/cuda/graphs.py`."""

    kind: str
    kernels: int
    content: bytes


def chosen_arch(given: str | None) -> str:
    """`--arch`, or that of the GPU here. Raises: UsageError E0801 where there is neither."""
    if given is not None:
        return given
    from nnc.runtime.cuda.driver import ask_driver

    driver = ask_driver()
    if driver is not None and driver.gpus:
        return driver.gpus[0].arch
    text = "`--device gpu` needs `--arch`, for there is no GPU here to compile for"
    raise UsageError(Diagnostic("E0801", text, helps=(f"write `--arch sm_90`: {_EXAMPLES}",)))


def compile_kernels(plan: Plan, arch: str) -> tuple[Cubin, ...]:
    """Every way to launch the plan's own kernels on a GPU of this kind, compiled, and put where a session looks.

    Raises: ToolchainError E0942-E0944 where NVRTC cannot be had, E0948 for an unknown `arch`.
    """
    from nnc.compiler.codegen.cuda.module import print_cuda_module
    from nnc.runtime.cuda.cubins import kept_cubin
    from nnc.runtime.cuda.graphs import TEAMS

    module = print_cuda_module(plan)
    return tuple(
        Cubin(kind, count, kept_cubin(module.text, plan.model, arch, TEAMS[kind].macros))
        for kind, count in _kinds(module, arch)
    )


def _kinds(module: CudaModule, arch: str) -> Iterator[tuple[Kind, int]]:
    """The ways to launch, with the number of kernels of each."""
    from nnc.runtime.cuda.graphs import CLUSTERS_FROM, TEAMS

    digits = arch.removeprefix("sm_").rstrip("af")
    for kind in TEAMS:
        if kind == "graph":
            yield kind, sum(len(program.phases) for program in module.programs)
        elif kind != "cluster" or (digits.isdecimal() and int(digits) >= CLUSTERS_FROM):
            yield kind, sum(bool(program.resident) for program in module.programs)


def write_cubin(cubins: tuple[Cubin, ...], target: Path) -> None:
    """The kernels of a graph, as a file. Raises: UsageError E0807."""
    from nnc.runtime.whole_file import write_whole

    write_whole(target, next(cubin.content for cubin in cubins if cubin.kind == "graph"))


def table(model: str, arch: str, cubins: tuple[Cubin, ...]) -> str:
    """A line for each way to launch."""
    from nnc.compiler.emit.summary import bytes_text

    lines = [f"{cubin.kind:12}{cubin.kernels:>4} kernels  {bytes_text(len(cubin.content)):>12}" for cubin in cubins]
    return "\n".join([f"kernels of {model} for {arch}", *lines])
