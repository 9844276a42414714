"""`nnc doctor`: what nnc finds on this machine, each thing tried, and what to install."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from nnc.grammar.diagnostics import ToolchainError

from .console import narrate, result, result_json

if TYPE_CHECKING:
    from nnc.runtime.finding import Finding

NAME = "doctor"
SUMMARY = "look at all that nnc uses on this machine, try it, and say what to install"
DEVICES: Final = ("cpu", "gpu")
_INDENT: Final = 22


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--device", choices=DEVICES,
        help="cpu: look at the processor alone; gpu: exit with 4 if no GPU can be used",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(arguments: argparse.Namespace) -> int:
    from nnc.runtime.native.probe import probe

    processor = probe()
    gpu = () if arguments.device == "cpu" else tuple(_gpu())
    if arguments.json:
        result_json(_as_json(processor, gpu))
    else:
        _print(processor, gpu)
    return ToolchainError.exit_code if arguments.device == "gpu" and not _is_ready(gpu) else 0


def _gpu() -> Iterator[Finding]:
    """What a GPU needs, then the smallest kernel: compiled where NVRTC is, run where everything is."""
    from nnc.runtime.cuda import probe, trial
    from nnc.runtime.finding import Finding

    found = probe.probe()
    yield from found.findings
    compiler = next(finding for finding in found.findings if finding.subject == "NVRTC")
    kernel = Finding("kernel", untried="it needs NVRTC")
    if compiler.status == "ok":
        kernel = trial.in_own_process("try_compiler")
    yield kernel
    if found.is_ready and kernel.status == "ok":
        yield trial.in_own_process("try_gpu")
    else:
        yield Finding("trial", untried="it needs all of the above")


def _is_ready(findings: Sequence[Finding]) -> bool:
    return all(finding.status == "ok" for finding in findings)


def _print(processor: Sequence[Finding], gpu: Sequence[Finding]) -> None:
    from nnc import __version__

    result(f"nnc {__version__}\n\n" + "\n".join(line for finding in processor for line in _lines(finding)))
    if gpu:
        result("\n" + "\n".join(line for finding in gpu for line in _lines(finding)))
    result(f"\n{_verdict(processor, gpu)}")
    if _is_ready(processor) and (not gpu or _is_ready(gpu)):
        narrate("\nnext: `nnc verify digits` compares whole training steps of all runtimes")


def _lines(finding: Finding) -> Iterator[str]:
    """What was found, what is wrong with it, and below each other what is known and what mends it."""
    texts = [text for text in (finding.found, finding.problem, finding.untried) if text]
    yield f"{finding.status:10}{finding.subject:12}{': '.join(texts)}"
    for note in finding.notes:
        yield f"{'':{_INDENT}}({note})"
    for remedy in finding.remedies:
        yield f"{'':{_INDENT}}-> {remedy}"


def _runtime(processor: Sequence[Finding]) -> str:
    compiler = next(finding for finding in processor if finding.subject == "C compiler")
    return "native" if compiler.status == "ok" else "reference"


def _verdict(processor: Sequence[Finding], gpu: Sequence[Finding]) -> str:
    words = {"native": "with the runtime native, compiled C", "reference": "with the runtime reference, NumPy, alone"}
    lines = [f"`--device cpu` works, {words[_runtime(processor)]}"]
    if gpu:
        reasons = "; ".join(finding.problem for finding in gpu if finding.problem)
        lines.append("`--device gpu` works" if _is_ready(gpu) else f"`--device gpu` does not work: {reasons}")
    return "\n".join(lines)


def _as_json(processor: Sequence[Finding], gpu: Sequence[Finding]) -> dict[str, Any]:
    from nnc import __version__

    def facts(findings: Sequence[Finding]) -> list[dict[str, Any]]:
        return [{"status": finding.status, **dataclasses.asdict(finding)} for finding in findings]

    return {
        "nnc": __version__,
        "cpu": {"works": True, "runtime": _runtime(processor), "findings": facts(processor)},
        "gpu": {"works": _is_ready(gpu), "findings": facts(gpu)} if gpu else None,
    }
