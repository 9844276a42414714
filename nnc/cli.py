"""The command line: `nnc VERB ...`.

Results go to stdout, everything else to stderr. Exit codes: 0 fine, 1 the user's spec, 2 usage, 3 data, 4 device or
toolchain missing, 5 training diverged, 6 a budget exceeded, 70 our bug, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from types import ModuleType

from nnc.grammar.diagnostics import NncError, UsageError

from .commands import (
    cache,
    check,
    diff,
    doctor,
    evaluate,
    explain,
    fmt,
    init,
    predict,
    render,
    run,
    specs,
    summary,
    verify,
)
from .commands import compile as compile_
from .commands.console import open_closed_streams, output_refusal, wants_colour
from .usage import Parser

COMMANDS: tuple[ModuleType, ...] = (
    init, run, evaluate, predict, summary, check, compile_, fmt, render, diff, explain, specs, verify, doctor, cache
)  # fmt: skip
INTERRUPTED = 130
OUR_BUG = 70


def build_parser() -> Parser:
    """The whole command line, for `main` and for the documentation."""
    parser = Parser(prog="nnc", description="Compile a neural network's spec into a static plan, and run it.")
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    verbs = parser.add_subparsers(title="commands", metavar="VERB", dest="verb", parser_class=Parser)
    for module in COMMANDS:
        verb = verbs.add_parser(module.NAME, help=module.SUMMARY, description=_sentence(module.SUMMARY))
        module.add_arguments(verb)
        verb.set_defaults(run=module.run)
    return parser


def _sentence(summary: str) -> str:
    return summary[0].upper() + summary[1:] + "."


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code. `argv` is without the program's name."""
    closed = open_closed_streams()
    try:
        if closed is not None:
            raise closed
        code = _dispatch(argv)
        sys.stdout.flush()
        return code
    except NncError as error:
        _report(error)
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("\nnnc: interrupted\n")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader went away (`nnc compile ... | head`). Python would complain once more while closing stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        refusal = _stdout_refusal()
        if refusal is None:
            return _report_bug(error)
        _report(refusal)
        return refusal.exit_code
    except Exception as bug:  # anything else is our bug
        return _report_bug(bug)


def _dispatch(argv: Sequence[str] | None) -> int:
    parser = build_parser()
    try:
        arguments, unknown = parser.parse_known_args(argv)
    except SystemExit as done:  # argparse has printed the help
        return int(done.code or 0)
    if unknown:
        parser.refuse(unknown, arguments.verb)
    if arguments.version:
        from . import __version__

        sys.stdout.write(f"nnc {__version__}\n")
        return 0
    if arguments.verb is None:
        parser.print_help(sys.stderr)
        return UsageError.exit_code
    code: int = arguments.run(arguments)
    return code


def _report(error: NncError) -> None:
    from nnc.grammar.rendering import render

    sys.stdout.flush()
    sys.stderr.write(render(error.diagnostics, color=wants_colour(sys.stderr)))


def _stdout_refusal() -> NncError | None:
    """What to say if it was standard output that took nothing more."""
    try:
        sys.stdout.flush()
    except OSError as error:
        return output_refusal(error)
    return None


def _report_bug(bug: Exception) -> int:
    import platform
    import traceback

    from . import __version__

    if os.environ.get("NNC_DEBUG"):
        traceback.print_exc()
    frames = traceback.extract_tb(bug.__traceback__)
    where = f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else "unknown"
    sys.stderr.write(
        f"nnc: this is a bug in nnc, not in your spec ({type(bug).__name__} at {where}).\n"
        "     Please report it with three things: the command you ran, the spec, and the output of the same command\n"
        "     with NNC_DEBUG=1 set, which shows where it happened.\n"
        f"     nnc {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}\n"
    )
    return OUR_BUG
