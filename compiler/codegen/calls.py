"""A call: one printed function with what it is given, what memory it touches, and whether threads share its work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..plan import Body, Plan, Program, Step
from ..types import ITEM_SIZE
from .expressions import ELEMENT

SMALL_WORK = 3000    # cycles, roughly: below, waking another thread costs more than it brings
_HEAVY = frozenset({"exp", "expm1", "log", "log1p", "sin", "cos", "tanh", "sigmoid", "softplus", "erf", "pow"})


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes that a call touches: of the plan's arena, or of one piece of memory that its step takes for itself."""

    memory: str     # "arena", or the name of the piece
    start: int
    end: int

    def meets(self, other: Span) -> bool:
        return self.memory == other.memory and self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class Piece:
    """Memory beside the arena that one step needs while it runs: partial sums, a matrix packed anew."""

    name: str
    step: int
    size_bytes: int

    @property
    def span(self) -> Span:
        return Span(f"{self.name} of step {self.step}", 0, self.size_bytes)


@dataclass(frozen=True, slots=True)
class Argument:
    """A pointer that a function is given: a buffer of the plan, or a piece; or whatever `text` says."""

    parameter: str      # "float *p0"
    buffer: int = -1
    piece: Piece | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its arguments. `text` has the function's name as NAME; equal texts become one function.

    body: what stands before the function, its names beginning with NAME in it and with BODY in `text`; functions that
    differ in their shapes may share one. parts: how many workers it can keep busy with a full batch.
    shared_bytes: of memory that a GPU's warps share, for each squad of them.
    """

    kind: str
    text: str
    arguments: tuple[Argument, ...]
    reads: tuple[Span, ...]
    writes: tuple[Span, ...]
    is_shared: bool
    scratch_bytes: int = 0
    note: str = ""
    body: str = ""
    parts: int = 1
    shared_bytes: int = 0


def span_of(plan: Plan, id: int) -> Span:
    """The bytes from a buffer's first element to its last, with a full batch."""
    buffer = plan.buffers[id]
    shape = buffer.type.concrete(plan.batch_size)
    last = sum((dim - 1) * stride for dim, stride in zip(shape, buffer.strides, strict=True))
    return Span("arena", buffer.offset, buffer.offset + (last + 1) * ITEM_SIZE[buffer.type.dtype])


class Arguments:
    """The pointers of one function, each buffer once, in order of first use."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._written: set[int] = set()
        self._order: list[int] = []
        self._pieces: list[tuple[Piece, str]] = []
        self._feeds: list[int] = []

    def pointer(self, buffer: int, is_written: bool = False) -> str:
        """The name of the pointer to a buffer's first element."""
        if buffer not in self._order:
            self._order.append(buffer)
        if is_written:
            self._written.add(buffer)
        return f"p{self._order.index(buffer)}"

    def sample(self, buffer: int, feed: int) -> str:
        """The pointer to sample `i0` of the batch, where the data set has it."""
        if feed not in self._feeds:
            self._feeds.append(feed)
        return f"((const {ELEMENT[self._plan.buffers[buffer].type.dtype]} *)sample_of(feed{feed}, numbers[i0]))"

    def piece(self, piece: Piece, dtype: str) -> str:
        self._pieces.append((piece, dtype))
        return piece.name

    def all(self) -> tuple[Argument, ...]:
        found = [self._argument(buffer, f"p{number}") for number, buffer in enumerate(self._order)]
        found += [Argument(f"{ELEMENT[dtype]} *{piece.name}", piece=piece) for piece, dtype in self._pieces]
        if self._feeds:
            found.append(Argument("const int64_t *numbers", text="numbers"))
        return (*found, *(Argument(f"struct feed feed{feed}", text=f"feeds[{feed}]") for feed in self._feeds))

    def _argument(self, buffer: int, name: str) -> Argument:
        kind = ELEMENT[self._plan.buffers[buffer].type.dtype]
        const = "" if buffer in self._written else "const "
        return Argument(f"{const}{kind} *{name}", buffer)

    def spans(self, ids: Iterable[int]) -> tuple[Span, ...]:
        return tuple(span_of(self._plan, id) for id in dict.fromkeys(ids))


def head(arguments: tuple[Argument, ...]) -> str:
    """The first line of a step's function."""
    parameters = ["const struct worker worker", "const long rows", *(a.parameter for a in arguments)]
    return f"SHARED void NAME({', '.join(parameters)})"


def body_cycles(body: Body) -> int:
    """Instructions for each vector that a body computes, roughly."""
    heavy = sum(12 for s in body.statements if _HEAVY & set(str(s.expr).replace("(", " ").split()))
    return 2 + len(body.operands) + 2 * len(body.statements) + heavy


def noted(calls: Sequence[Call], note: str) -> list[Call]:
    """The calls, the first with a comment before it."""
    return [replace(call, note=note if number == 0 else "") for number, call in enumerate(calls)]


def note_of(step: Step, program: Program) -> str:
    """What a step is, for people."""
    return f"{step.layer or program.name}: {step.kernel}" + "".join(f", {word}" for word in step.fused)


def comment(text: str) -> str:
    """Text that ends no comment of C."""
    return text.replace("*/", "* /")
