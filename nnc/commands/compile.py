"""`nnc compile`: what a spec means and what it costs; any stage of the compiler as text."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nnc.grammar.diagnostics import Diagnostic, UsageError

from . import settings
from .console import narrate, result, result_json
from .sources import read_source
from .targets import check_target

if TYPE_CHECKING:
    from nnc.compiler.pipeline import Compiled

NAME = "compile"
SUMMARY = "show what a spec means and costs, or write its plan"
STAGES = ("ast", "network", "shapes", "ops", "grad", "simplified", "fused", "schedule", "plan")
DRAWINGS = ("dot", "mermaid")  # of the network, after `shapes`
PRINTED = ("c", "cuda")  # from the plan
EMITTED = (*STAGES, *DRAWINGS, *PRINTED)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC", help="a .nn file, a bundled spec's name, or - for stdin")
    settings.add_set(parser)
    settings.add_sizes(parser)
    parser.add_argument(
        "--emit", choices=EMITTED, metavar="STAGE", help=f"print one of {', '.join(EMITTED)}"
    )
    parser.add_argument("--stop-after", choices=STAGES, metavar="STAGE", help="go no further than this stage")
    parser.add_argument("--timing", action="store_true", help="tell what each stage took")
    parser.add_argument("--explain-fusion", action="store_true", help="tell what was fused, and what was not and why")
    parser.add_argument("--verify", action="store_true", help="verify the value of every stage, not only the plan")
    parser.add_argument(
        "--device", choices=("gpu",), help="compile the kernels for a GPU ahead of time; this machine needs none"
    )
    parser.add_argument("--arch", metavar="SM", help="of which GPU, such as sm_90 (default: the one here)")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write the plan there as JSON; with --device gpu the kernels as a cubin"
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def run(arguments: argparse.Namespace) -> int:
    from nnc.compiler.pipeline import compile_source

    options = settings.compile_options(arguments)
    stop_after = _last_stage(arguments)
    arch = _arch(arguments)
    source = read_source(arguments.spec)
    if arguments.output:
        check_target(Path(arguments.output), {"the spec": source.path})
    compiled = compile_source(source, options, stop_after=stop_after, verify=arguments.verify)
    if arguments.emit:
        result(_emitted(compiled, arguments.emit).rstrip("\n"))
    elif stop_after is None and arch is None:
        _print_summary(compiled, arguments.json)
    if arguments.explain_fusion:
        from nnc.compiler.fusion.words import explain

        result(("" if arguments.emit else "\n") + explain(compiled.fused))
    if arch is not None:
        _compile_kernels(compiled, arch, arguments)
    elif arguments.output:
        _write_plan(compiled, Path(arguments.output))
    if arguments.timing:
        narrate(_timing_text(compiled))
    if stop_after is not None and not arguments.emit:
        narrate(f"nnc: fine up to `{stop_after}`")
    elif not arguments.emit and not arguments.json and arch is None:
        narrate(f"\nnext: `nnc run {arguments.spec}` trains it")
    return 0


def _arch(arguments: argparse.Namespace) -> str | None:
    """What to compile kernels for, if at all. Raises UsageError (E0801) where it is not known, or not asked for."""
    from .kernels import chosen_arch

    if arguments.device is None:
        if arguments.arch is not None:
            raise UsageError(Diagnostic("E0801", "`--arch` belongs to `--device gpu`"))
        return None
    return chosen_arch(arguments.arch)


def _last_stage(arguments: argparse.Namespace) -> str | None:
    """Where to stop: None to go all the way. Raises UsageError (E0801) if `--stop-after` is too early."""
    emitted = "shapes" if arguments.emit in DRAWINGS else "plan" if arguments.emit in PRINTED else arguments.emit
    needs = {"--emit": emitted, "--explain-fusion": "fused" if arguments.explain_fusion else None}
    needs["--output"] = "plan" if arguments.output else None
    needs["--device"] = "plan" if arguments.device else None
    last: str | None = arguments.stop_after
    for option, stage in needs.items():
        if last is not None and stage is not None and STAGES.index(stage) > STAGES.index(last):
            text = f"`{option}` needs the stage `{stage}`, which `--stop-after {last}` leaves out"
            raise UsageError(Diagnostic("E0801", text))
    if last is None and arguments.emit and not (arguments.output or arguments.explain_fusion or arguments.device):
        return emitted
    return last


def _emitted(compiled: Compiled, stage: str) -> str:
    if stage == "dot":
        from nnc.compiler.emit.dot import to_dot

        return to_dot(compiled.network)
    if stage == "mermaid":
        from nnc.compiler.emit.mermaid import to_mermaid

        return to_mermaid(compiled.network)
    if stage == "c":
        from nnc.compiler.codegen.module import print_module
        from nnc.runtime.native.cpu import cpu_text
        from nnc.runtime.native.session import target_for

        return print_module(compiled.plan, target_for(compiled.plan, cpu_text())).text
    if stage == "cuda":
        from nnc.compiler.codegen.cuda.module import print_cuda_module

        return print_cuda_module(compiled.plan).text
    return compiled.text(stage)


def _print_summary(compiled: Compiled, as_json: bool) -> None:
    import dataclasses

    from nnc.compiler.emit.summary import render_summary, summarize

    summary = summarize(compiled)
    if as_json:
        result_json(dataclasses.asdict(summary))
    else:
        result(render_summary(summary))


def _write_plan(compiled: Compiled, target: Path) -> None:
    from nnc.compiler.planfile import to_json
    from nnc.runtime.whole_file import write_whole

    write_whole(target, to_json(compiled.plan).encode())
    narrate(f"the plan is in {target}")


def _compile_kernels(compiled: Compiled, arch: str, arguments: argparse.Namespace) -> None:
    """The kernels in the cache, and in a file if there is to be one."""
    from nnc.runtime.native.folder import cache_folder

    from .kernels import compile_kernels, table, write_cubin

    cubins = compile_kernels(compiled.plan, arch)
    if arguments.json:
        kinds = {cubin.kind: {"kernels": cubin.kernels, "bytes": len(cubin.content)} for cubin in cubins}
        result_json({"model": compiled.plan.model, "arch": arch, "folder": str(cache_folder()), "kinds": kinds})
    else:
        result(table(compiled.plan.model, arch, cubins))
        narrate(f"\nthey are kept in {cache_folder()}: with that, a machine with such a GPU need not compile them")
    if arguments.output:
        write_cubin(cubins, Path(arguments.output))
        narrate(f"the kernels of a graph are in {arguments.output} too")


def _timing_text(compiled: Compiled) -> str:
    lines = [f"{stage:12} {seconds * 1000:9.1f} ms" for stage, seconds in compiled.timings]
    total = sum(seconds for _, seconds in compiled.timings)
    return "\n".join([*lines, f"{'total':12} {total * 1000:9.1f} ms"])
