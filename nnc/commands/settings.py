"""Options that several commands share: for params, sizes, and what executes a plan."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from nnc.grammar.diagnostics import Diagnostic, UsageError

from .console import narrate

if TYPE_CHECKING:
    from nnc.compiler.options import CompileOptions
    from nnc.compiler.plan import Plan
    from nnc.runtime.protocol import Runtime
    from nnc.runtimes import Execution

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}  # bytes


def add_set(parser: argparse.ArgumentParser) -> None:
    """Add `--set`."""
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="override a `param` of the spec (repeatable)"
    )


def add_sizes(parser: argparse.ArgumentParser) -> None:
    """Add `--batch-size` and `--max-memory`."""
    parser.add_argument("--batch-size", metavar="N|auto", help="samples per step; auto: the most --max-memory allows")
    parser.add_argument("--max-memory", metavar="SIZE", help="refuse a plan that needs more to train, e.g. 64MiB")


def add_runtime(parser: argparse.ArgumentParser) -> None:
    """Add `--device`, `--runtime` and `--threads`."""
    from nnc.runtimes import AUTO, DEVICES, NAMES

    parser.add_argument(
        "--device", choices=DEVICES,
        help="where the plan is executed: cpu (the default), gpu (NVIDIA's), or auto: a GPU if one works",
    )  # fmt: skip
    parser.add_argument(
        "--runtime", choices=NAMES, default=AUTO,
        help="by what: native (compiled C), reference (NumPy), cuda (a GPU), or the quickest of the device (auto)",
    )  # fmt: skip
    parser.add_argument("--threads", metavar="N", help="threads of the native runtime; results do not depend on it")


def runtime(arguments: argparse.Namespace, plan: Plan) -> Runtime:
    """The runtime that the command line asks for; says where it does not compute as the plan allows.

    Raises: UsageError (E0806, E0823, E0826), ToolchainError (E0930, E0940-E0945).
    """
    from nnc.runtimes import tell_precision

    found = execution(arguments).open(_say, _say)
    tell_precision(found, plan.precision, _say)
    return found


def execution(arguments: argparse.Namespace) -> Execution:
    """What the command line says of device, runtime and threads. Raises UsageError (E0806)."""
    from nnc.runtimes import Execution

    return Execution(arguments.runtime, arguments.device, whole_number(arguments, "threads", 1))


def _say(text: str) -> None:
    narrate(f"nnc: {text}")


def compile_options(arguments: argparse.Namespace) -> CompileOptions:
    """What the command line chooses beside the spec. Raises UsageError (E0805, E0806)."""
    from nnc.compiler.options import CompileOptions

    return CompileOptions(
        params=params(arguments),
        batch_size=batch_size(arguments),
        epochs=whole_number(arguments, "epochs", 1),
        seed=whole_number(arguments, "seed", 0),
        max_memory_bytes=max_memory_bytes(arguments),
    )


def params(arguments: argparse.Namespace) -> dict[str, object]:
    """`--set units=64 --set rate=0.1` as a mapping of texts. Raises UsageError (E0805)."""
    chosen: dict[str, object] = {}
    for text in arguments.set:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise UsageError(
                Diagnostic(
                    "E0805", f"`--set {text}` does not say NAME=VALUE", helps=("write it as in `--set units=64`",)
                )
            )
        if name in chosen:
            raise UsageError(Diagnostic("E0805", f"`--set` gives `{name}` twice"))
        chosen[name] = value
    return chosen


def batch_size(arguments: argparse.Namespace) -> int | str | None:
    """A number of samples, "auto" or None. Raises UsageError (E0806)."""
    if arguments.batch_size == "auto":
        return "auto"
    return whole_number(arguments, "batch_size", 1, "or `auto`")


def whole_number(arguments: argparse.Namespace, name: str, least: int, also: str = "") -> int | None:
    """The number given for an option; None if it is not given or not there. Raises UsageError (E0806)."""
    text: str | None = getattr(arguments, name, None)
    if text is None:
        return None
    if text.isdecimal() and int(text) >= least:
        return int(text)
    option = f"--{name.replace('_', '-')}"
    raise UsageError(
        Diagnostic(
            "E0806", f"`{option} {text}` does not fit", helps=(f"give a whole number from {least} {also}".rstrip(),)
        )
    )


def max_memory_bytes(arguments: argparse.Namespace) -> int | None:
    """`64MiB`, `1.5 GB` or plain bytes. Raises UsageError (E0806)."""
    text: str | None = arguments.max_memory
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)\s*([a-z]*)", text.strip(), re.IGNORECASE)
    unit = UNITS.get(match[2].upper()) if match else None
    if match is None or unit is None:
        raise UsageError(
            Diagnostic(
                "E0806",
                f"`--max-memory {text}` is no size",
                helps=("write a number and a unit: `64MiB`, `1.5GB`, `4096` (bytes)",),
            )
        )
    return int(float(match[1]) * unit)
