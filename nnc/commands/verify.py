"""`nnc verify`: the same steps on every runtime that is there, and how far each is from the reference."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nnc.grammar.diagnostics import DataError, Diagnostic, ToolchainError, UsageError

from . import settings
from .console import narrate, result, result_json
from .sources import read_source

if TYPE_CHECKING:
    from nnc.compiler.pipeline import Compiled
    from nnc.grammar.source import SourceFile
    from nnc.runtime.agreement import Tensor
    from nnc.runtime.data import Samples
    from nnc.runtime.protocol import Runtime

NAME = "verify"
SUMMARY = "run the same steps on every runtime and compare each tensor with the reference's"
STEPS: Final = 20
COMPARED: Final = ("native", "cuda")  # with the reference, in the order of the table
_WORST: Final = 3  # tensors that an error names of each runtime


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC", help="a .nn file, a bundled spec's name, or - for stdin")
    settings.add_set(parser)
    settings.add_sizes(parser)
    parser.add_argument("--steps", metavar="N", help=f"training steps to make (default: {STEPS})")
    parser.add_argument("--seed", metavar="N", help="seed of weights, shuffles, dropout and random data")
    parser.add_argument("--data", metavar="DIR", help="where the data files are, if not beside the spec")
    parser.add_argument("--random", action="store_true", help="use random data even if the spec names some")
    parser.add_argument(
        "--runtimes", metavar="NAMES",
        help="which must be compared, such as native,cuda (default: those that work here)",
    )  # fmt: skip
    parser.add_argument("--threads", metavar="N", help="threads of the native runtime")
    parser.add_argument("--json", action="store_true", help="print the deviations as JSON")
    parser.epilog = (
        "A deviation is the largest difference of an element over the tensor's largest number. `step`: every step"
        " begins with the reference's variables. `free`: the runtime goes its own way from the first variables. What"
        " is allowed is 32 times what the last bits of stored numbers, left to chance, do to the reference."
    )


def run(arguments: argparse.Namespace) -> int:
    from nnc.compiler.pipeline import compile_source
    from nnc.runtime.agreement import compare

    steps = settings.whole_number(arguments, "steps", 1) or STEPS
    options = settings.compile_options(arguments)
    names = _named(arguments.runtimes)
    source = read_source(arguments.spec)
    compiled = compile_source(source, options)
    runtimes, lacking = _runtimes(compiled, names, settings.whole_number(arguments, "threads", 1))
    samples, kind = _samples(compiled, source, arguments, steps)
    narrate(f"model {compiled.plan.model}: {steps} steps of {compiled.plan.batch_size} samples of {kind}")
    tensors = compare(compiled.plan, samples, runtimes, steps)
    if arguments.json:
        result_json(_as_json(compiled, kind, steps, runtimes, tensors, lacking))
    else:
        result(_table(tensors, [runtime.name for runtime in runtimes]))
        for runtime in runtimes:
            result(_verdict(runtime.name, tensors))
        for name, reason in lacking.items():
            result(f"{name} is not compared: {reason}")
    refuse_disagreement([runtime.name for runtime in runtimes], tensors)
    return 0


# --- what is compared -------------------------------------------------------------------------------------------------
def _named(text: str | None) -> tuple[str, ...]:
    """The runtimes that `--runtimes` insists on. Raises: UsageError E0806, E0823."""
    if text is None:
        return ()
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in (*COMPARED, "reference"):
            notes = (f"there are {', '.join(f'`{known}`' for known in ('reference', *COMPARED))}",)
            raise UsageError(Diagnostic("E0823", f"there is no runtime `{name}`", notes=notes))
    chosen = tuple(name for name in COMPARED if name in names)
    if not chosen:
        helps = (f"name one beside it: {', '.join(COMPARED)}",)
        raise UsageError(Diagnostic("E0806", f"`--runtimes {text}` leaves nothing to compare with", helps=helps))
    return chosen


def _runtimes(compiled: Compiled, named: Sequence[str], threads: int | None) -> tuple[list[Runtime], dict[str, str]]:
    """The runtimes to compare, and why each of the others is not.

    Raises: ToolchainError where one that was named cannot run the plan, or none can at all.
    """
    from nnc.runtimes import Execution

    found: list[Runtime] = []
    lacking: dict[str, ToolchainError] = {}
    for name in named or COMPARED:
        try:
            runtime = Execution(name, None, threads).open()
            runtime.prepare(compiled.plan)
            found.append(runtime)
        except ToolchainError as error:
            if named:
                raise
            lacking[name] = error
    if not found:
        raise ToolchainError(*(problem for error in lacking.values() for problem in error.diagnostics))
    reasons = {name: "; ".join(problem.message for problem in error.diagnostics) for name, error in lacking.items()}
    return found, reasons


def _samples(compiled: Compiled, source: SourceFile, arguments: argparse.Namespace, steps: int) -> tuple[Samples, str]:
    """Samples to train on, and what they are in words. Raises: DataError E0701-E0720, UsageError E0810."""
    from nnc.runtime import data
    from nnc.runtime.data.made_up import made_up

    plan, network = compiled.plan, compiled.network
    if network.data is None or arguments.random:
        rows = steps * plan.batch_size - plan.batch_size // 3  # so that the last batch is a ragged one
        return made_up(plan, network.outputs, rows, plan.seed), "random data"
    directory = source.path.parent if source.path is not None else Path()
    if arguments.data is not None:
        directory = Path(arguments.data)
        if not directory.is_dir():
            raise UsageError(Diagnostic("E0810", f"`--data {arguments.data}` is no directory"))
    try:
        return data.load(network.data, plan, directory, network.outputs).train, "its own data"
    except DataError as error:
        last = error.diagnostics[-1]
        helps = (*last.helps, "or compare on random data: `--random`")
        raise DataError(*error.diagnostics[:-1], dataclasses.replace(last, helps=helps)) from None


# --- what is said -----------------------------------------------------------------------------------------------------
def _table(tensors: Sequence[Tensor], names: Sequence[str]) -> str:
    """A line for each tensor, by program; `!` behind what is not allowed."""
    head = ["", *(f"{name}, step" for name in names), "allowed", *(f"{name}, free" for name in names), "allowed"]
    lines, program = [head], ""
    for tensor in tensors:
        if tensor.program != program:
            program = tensor.program
            lines.append([program, *[""] * (len(head) - 1)])
        cells = [f"  {tensor.name}"]
        for found, limit in ((tensor.step, tensor.step_limit), (tensor.free, tensor.free_limit)):
            cells += [f"{found[name]:.1e}{'!' if found[name] > limit else ' '}" for name in names]
            cells.append(f"{limit:.0e}")
        lines.append(cells)
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]).rstrip()
        for line in lines
    )


def _share(tensor: Tensor, runtime: str) -> float:
    """Of what is allowed, by the way of comparing that is nearer to it."""
    return max(tensor.step[runtime] / tensor.step_limit, tensor.free[runtime] / tensor.free_limit)


def _verdict(runtime: str, tensors: Sequence[Tensor]) -> str:
    beyond = [tensor for tensor in tensors if runtime in tensor.disagreeing()]
    if beyond:
        return f"\n{runtime} does not agree with the reference in {len(beyond)} of {len(tensors)} tensors"
    worst = max(tensors, key=lambda tensor: _share(tensor, runtime))
    return (
        f"\n{runtime} agrees with the reference in all {len(tensors)} tensors; {worst.name} of {worst.program} is"
        f" furthest, at {_share(worst, runtime):.0%} of what is allowed"
    )


def refuse_disagreement(runtimes: Sequence[str], tensors: Sequence[Tensor]) -> None:
    """Raises: ToolchainError E0949 for every runtime with a tensor beyond its limit."""
    problems = []
    for name in runtimes:
        beyond = [tensor for tensor in tensors if name in tensor.disagreeing()]
        beyond.sort(key=lambda tensor: _share(tensor, name), reverse=True)
        if beyond:
            helps = ("`nnc doctor` tries compiler and GPU alone; `nnc explain E0949` says what else it may be",)
            problems.append(
                Diagnostic("E0949", f"the runtime `{name}` does not agree with the reference",
                           notes=tuple(_apart(tensor, name) for tensor in beyond[:_WORST]), helps=helps)
            )  # fmt: skip
    if problems:
        raise ToolchainError(*problems)


def _apart(tensor: Tensor, runtime: str) -> str:
    pairs = (
        ("in a step", tensor.step[runtime], tensor.step_limit),
        ("on its own", tensor.free[runtime], tensor.free_limit),
    )
    said = ", ".join(f"{found:.1e} {way} where {limit:.0e} is allowed" for way, found, limit in pairs if found > limit)
    return f"{tensor.program}, {tensor.name}: {said}"


def _as_json(
    compiled: Compiled, kind: str, steps: int, runtimes: Sequence[Runtime], tensors: Sequence[Tensor],
    lacking: dict[str, str],
) -> dict[str, Any]:  # fmt: skip
    names = [runtime.name for runtime in runtimes]
    return {
        "model": compiled.plan.model,
        "data": kind,
        "steps": steps,
        "batch_size": compiled.plan.batch_size,
        "seed": compiled.plan.seed,
        "agrees": {name: not any(name in tensor.disagreeing() for tensor in tensors) for name in names},
        "not_compared": lacking,
        "tensors": [dataclasses.asdict(tensor) for tensor in tensors],
    }
