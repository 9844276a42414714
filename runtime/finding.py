"""What was looked for on this machine, what is there, and what mends what is not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from nnc.grammar.diagnostics import Diagnostic, ToolchainError

Status = Literal["ok", "missing", "wrong", "not tried"]
_FIRST_HELPS: Final = 4  # of what mends one thing; more confuse


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked for and tried.

    subject: what it is called, "CuPy". found: what is there, in words; "" for nothing. problem: why it cannot serve; ""
    if it does. untried: why it was not looked for or tried; "" if it was. remedies: commands that mend it, or what to
    do. code: of the error that says so.
    """

    subject: str
    found: str = ""
    problem: str = ""
    untried: str = ""
    notes: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()
    code: str = ""

    @property
    def status(self) -> Status:
        """In a word."""
        if self.problem:
            return "wrong" if self.found else "missing"
        return "not tried" if self.untried else "ok"

    def diagnostic(self) -> Diagnostic:
        """The problem as an error."""
        assert self.problem, self
        return Diagnostic(self.code, self.problem, notes=self.notes, helps=self.remedies[:_FIRST_HELPS])


def refuse(findings: Iterable[Finding]) -> None:
    """Raises: ToolchainError with the problem of every finding that has one."""
    problems = [finding.diagnostic() for finding in findings if finding.problem]
    if problems:
        raise ToolchainError(*problems)
