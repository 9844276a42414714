"""How the stages that read a spec report its faults: one exception per fault, collected, each told once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from nnc.grammar.diagnostics import Diagnostic, Label, NncError
from nnc.grammar.source import Span
from nnc.grammar.suggest import nearest


def fault(
    code: str,
    message: str,
    span: Span,
    label: str = "",
    *,
    labels: Iterable[tuple[Span, str]] = (),
    helps: Iterable[str] = (),
    notes: Iterable[str] = (),
) -> NncError:
    """One diagnostic as an exception, to be raised where it is found and collected where work can go on."""
    others = tuple(Label(place, text) for place, text in labels)
    return NncError(Diagnostic(code, message, span, label, others, tuple(notes), tuple(helps)))


def known_fault() -> NncError:
    """Stops work on something whose fault has been reported already; adds nothing to the report."""
    return NncError()


def did_you_mean(word: str, candidates: Iterable[str]) -> tuple[str, ...]:
    """The help line with the near misses of `word`, or nothing."""
    return suggestion(nearest(word, candidates))


def suggestion(words: Iterable[str]) -> tuple[str, ...]:
    """ "did you mean `a` or `b`?" as a help line; none for no words."""
    quoted = " or ".join(f"`{word}`" for word in words)
    return (f"did you mean {quoted}?",) if quoted else ()


def listed(words: Iterable[str], conjunction: str = "and") -> str:
    """ "`a`, `b` and `c`"."""
    quoted = [f"`{word}`" for word in words]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} {conjunction} {quoted[-1]}"


def counted(number: int, word: str) -> str:
    """ "1 tensor", "2 tensors"."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


class Problems:
    """The faults of one run, without repetition: a stacked block reports what is wrong with it once."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, Span | None], Diagnostic] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, *diagnostics: Diagnostic) -> None:
        for diagnostic in diagnostics:
            self._found.setdefault((diagnostic.code, diagnostic.span), diagnostic)

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Takes what the block raises and lets the work go on after it."""
        try:
            yield
        except NncError as error:
            self.add(*error.diagnostics)

    def in_order(self) -> tuple[Diagnostic, ...]:
        """All diagnostics, in the order of the source text."""
        return tuple(sorted(self._found.values(), key=lambda d: d.span.start if d.span else -1))
