"""Which runtime executes a plan: the one that was asked for, or the quickest that works here."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from nnc.grammar.diagnostics import Diagnostic, UsageError

if TYPE_CHECKING:
    from nnc.runtime.protocol import Runtime

AUTO: Final = "auto"
NAMES: Final = (AUTO, "native", "reference")
_told: set[str] = set()


def runtime(name: str = AUTO, threads: int | None = None, tell: Callable[[str], None] | None = None) -> Runtime:
    """The runtime called `name`: "native" compiled C, "reference" NumPy, "auto" native where there is a C compiler.

    threads: how many "native" uses, by default all that the process may use, or one where that is quicker; results do
    not depend on it. The environment variable NNC_RUNTIME stands for "auto". Where "auto" finds no compiler, `tell` is
    called once in a process with what would make it faster.
    Raises: UsageError E0823 for another name; ToolchainError E0930 for "native" without a compiler.
    """
    chosen = os.environ.get("NNC_RUNTIME", AUTO) if name == AUTO else name
    if chosen not in NAMES:
        where = " (from NNC_RUNTIME)" if name == AUTO else ""
        notes = (f"there are {', '.join(f'`{known}`' for known in NAMES)}",)
        raise UsageError(Diagnostic("E0823", f"there is no runtime `{chosen}`{where}", notes=notes))
    if chosen == "reference":
        return _reference()
    from nnc.runtime.native.toolchain import find_toolchain, require_toolchain

    if chosen == "native":
        require_toolchain()
    else:
        found = find_toolchain()
        if found.toolchain is None:
            _tell_once(found.reason, tell)
            return _reference()
    from nnc.runtime.native.session import NativeRuntime

    return NativeRuntime(threads)


def _reference() -> Runtime:
    from nnc.runtime.reference import ReferenceRuntime

    return ReferenceRuntime()


def _tell_once(reason: str, tell: Callable[[str], None] | None) -> None:
    if tell is not None and reason not in _told:
        _told.add(reason)
        tell(f"no C compiler works here, so NumPy does the work; gcc, clang or `pip install 'nnc[native]'` "
             f"would make it several times faster ({reason})")
