"""Diagnostics as data, apart from their rendering.

Every stage makes `Diagnostic` records and raises them together in one `NncError`; `render` and
`to_json` turn them into text. Codes are explained in `catalogue.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from .source import Span


@dataclass(frozen=True, slots=True)
class Label:
    """A second guilty place: a span and the few words written under it."""

    span: Span
    text: str


class Place(str):
    """A place in a data file: the text that messages show, with its parts for whoever opens the file there.

    file: its path; line, column: of the character where the value begins, from 1, None where that is not known.
    """

    file: str
    line: int | None
    column: int | None

    def __new__(cls, text: str, file: str = "", line: int | None = None, column: int | None = None) -> Place:
        place = super().__new__(cls, text)
        place.file, place.line, place.column = file, line, column
        return place


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem of the user's, found once.

    `message` is short, lower-case and stands alone; `span` is the smallest guilty text and `label` the
    words under its caret (expected, found); `place` says where when no `.nn` text is guilty
    (`data/iris.csv, row 17, column petal_length`, perhaps a `Place`); `helps` say what to do, `notes` state facts.
    """

    code: str
    message: str
    span: Span | None = None
    label: str = ""
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    helps: tuple[str, ...] = ()
    place: str | None = None
    level: str = "error"


def _plain(diagnostic: Diagnostic) -> str:
    """A diagnostic without the user's line: what a Python traceback ends with."""
    place = repr(diagnostic.span) if diagnostic.span is not None else diagnostic.place
    lines = [f"{diagnostic.level}[{diagnostic.code}]: {diagnostic.message}"]
    lines += [f"  --> {place}"] if place else []
    lines += [f"   = {diagnostic.label}"] if diagnostic.label else []
    lines += [f"   = note: {note}" for note in diagnostic.notes] + [f"   = help: {text}" for text in diagnostic.helps]
    return "\n".join(lines)


class NncError(Exception):
    """The user's input is at fault. Carries every diagnostic of the run, in source order.

    `exit_code` is what the command line ends with: 1 spec, 2 usage, 3 data, 4 device or toolchain,
    5 diverged, 6 budget exceeded.
    """

    exit_code = 1

    def __init__(self, *diagnostics: Diagnostic) -> None:
        super().__init__("\n".join(map(_plain, diagnostics)))
        self.diagnostics = diagnostics


class UsageError(NncError):
    """The command line or a Python call is at fault."""

    exit_code = 2


class DataError(NncError):
    """The data, or a file that holds it, is at fault."""

    exit_code = 3


class ToolchainError(NncError):
    """A C compiler or a device is missing, or does not do what it must."""

    exit_code = 4


class DivergedError(NncError):
    """Training met NaN or infinity."""

    exit_code = 5


class BudgetError(NncError):
    """A bound the user set (`--max-memory`) cannot be kept."""

    exit_code = 6


class MissingPackageError(UsageError, ImportError):
    """An optional package is not installed: E0824. An ImportError too, so that `except ImportError` serves."""


def missing_package(what: str, package: str, extra: str) -> MissingPackageError:
    """`what` needs `package`, which comes with the optional `extra` of nnc."""
    text = f"{what} needs {package}, which is not installed"
    return MissingPackageError(Diagnostic("E0824", text, helps=(f"pip install 'nnc[{extra}]'",)))
