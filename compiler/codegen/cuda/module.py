"""A plan as one CUDA file: `print_cuda_module` gives its text and what a session must know to launch it.

The steps' functions are those that a processor would run, printed for vectors of 32 lanes: a warp is such a vector,
and a worker. A phase, the calls between two barriers, is one kernel; all phases of a program, batch after batch, are
another one, whose warps meet where a phase ends: the one kind is compiled where a team is named, the other where not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...plan import ROWS_FEED, Plan, Program, Step
from ..calls import Call, Piece, Span, comment, note_of, noted
from ..entries import row_bytes
from ..functions import Functions, addresses
from ..maps import map_calls
from ..module import Feed
from ..names import plainly_named
from ..phases import PIECE_ALIGNMENT, Phase, phases_of, place_pieces
from ..source import Source
from ..target import WARP
from .products import ByLibrary, library_calls, matmul_cuda_calls
from .records import CudaModule, CudaProgram, Launch, LibraryCall, LibraryProduct
from .tiles import SQUAD

_HEADERS = ("warp.cuh", "warp_math.cuh", "philox.cuh", "share.cuh", "rows.cuh", "product.cuh", "team.cuh")
_KERNEL = 'extern "C" __global__ void __launch_bounds__(WARPS * LANES)'
_OF_PHASE = "const struct memory m, const struct worker worker, const long rows"
_NO_PRODUCTS: Mapping[tuple[str, int], LibraryProduct] = {}


def print_cuda_module(plan: Plan, library: Mapping[tuple[str, int], LibraryProduct] = _NO_PRODUCTS) -> CudaModule:
    """The whole plan; products in `library`, by program and number of the step, are left to a library.

    Requires: `verify_plan(plan)` passes.
    """
    return _ModulePrinter(plan, library).module()


@dataclass(frozen=True, slots=True)
class _Printed:
    """A program's text and record; scratch_bytes: for each warp."""

    text: str
    program: CudaProgram


class _ModulePrinter:
    def __init__(self, plan: Plan, library: Mapping[tuple[str, int], LibraryProduct]) -> None:
        self.plan, self.library = plan, library
        self.functions = Functions()
        self.piece_bytes = self.scratch_bytes = self.shared_bytes = 0

    def module(self) -> CudaModule:
        calls = [self._calls(program) for program in self.plan.programs]
        for call in (call for each in calls for call in each):
            self.scratch_bytes = max(self.scratch_bytes, -(-call.scratch_bytes // PIECE_ALIGNMENT) * PIECE_ALIGNMENT)
            self.shared_bytes = max(self.shared_bytes, call.shared_bytes)
        printed = [self._program(program, own) for program, own in zip(self.plan.programs, calls, strict=True)]
        text = "".join([self._head(), *self.functions.definitions(), *(each.text for each in printed)])
        programs = tuple([each.program for each in printed])
        return CudaModule(text, programs, self.piece_bytes, self.scratch_bytes, self.shared_bytes)

    # --- calls ------------------------------------------------------------------------------------------------------
    def _calls(self, program: Program) -> list[Call]:
        calls: list[Call] = []
        for number, step in enumerate(program.steps):
            calls += noted(self._step_calls(program, step, number), note_of(step, program))
        return calls

    def _step_calls(self, program: Program, step: Step, number: int) -> list[Call]:
        product = self.library.get((program.name, number))
        if product is not None:
            return library_calls(self.plan, step, product, WARP)
        step = plainly_named(step)
        if step.kernel == "matmul":
            return matmul_cuda_calls(self.plan, step, number, WARP)
        return map_calls(self.plan, step, number, WARP)

    # --- the file ---------------------------------------------------------------------------------------------------
    def _head(self) -> str:
        source = Source()
        source.line(f"/* {comment(self.plan.model)}: batches of at most {self.plan.batch_size}, for {WARP.name}.")
        source.all(_INTRODUCTION)
        for header in _HEADERS:
            source.line(f'#include "{header}"')
        source.all(_MEMORY)
        source.line(f"#define SCRATCH_BYTES {self.scratch_bytes} /* for each warp */")
        source.line()
        return str(source)

    def _program(self, program: Program, calls: Sequence[Call]) -> _Printed:
        """The program's phases as functions, each as a kernel, and the kernel of them all."""
        phases = _phases_of(calls)
        offsets, size = place_pieces(phases)
        self.piece_bytes = max(self.piece_bytes, size)
        source = Source()
        self._gathering(source, program)
        launches: list[Launch | LibraryCall] = [Launch(f"{program.name}_0", self.plan.batch_size)]
        for number, phase in enumerate(phases, 1):
            call = phase.calls[0] if phase.calls else None
            if isinstance(call, ByLibrary) and call.product is not None:
                launches.append(LibraryCall(call.product, _place(call, offsets)))
                continue
            self._phase(source, f"{program.name}_phase_{number}", phase, offsets)
            launches.append(Launch(f"{program.name}_{number}", _warps(phase)))
        resident = "" if any(isinstance(phase, LibraryCall) for phase in launches) else f"{program.name}_resident"
        self._kernels(source, program, launches, resident)
        feeds = [(name, self.plan.buffers[id]) for name, id in program.feeds if name != ROWS_FEED]
        fed = tuple([Feed(name, row_bytes(buffer)) for name, buffer in feeds])
        return _Printed(str(source), CudaProgram(program.name, fed, tuple(launches), resident))

    def _kernels(
        self, source: Source, program: Program, launches: Sequence[Launch | LibraryCall], resident: str
    ) -> None:
        source.line("#ifdef RESIDENT")
        if resident:
            self._resident(source, program, resident, len(launches))
        source.line("#else")
        for number, launch in enumerate(launches):
            if isinstance(launch, Launch):
                self._kernel(source, program, number, launch is launches[-1])
        source.line("#endif")
        source.line()

    def _gathering(self, source: Source, program: Program) -> None:
        """Phase 0: a batch is put where the program reads it."""
        parameters = f"{_OF_PHASE}, const struct feed *feeds, const int64_t *numbers"
        with source.block(f"INLINE void {program.name}_phase_0({parameters})"):
            number = 0
            for name, id in program.feeds:
                offset = self.plan.buffers[id].offset
                if name == ROWS_FEED:
                    place = f"(double *)(m.work + {offset})"
                    source.line(f"if (worker.thread == 0) put_f64({place}, all_f64((double)rows));")
                    continue
                source.line(
                    f"take_rows(m.work + {offset}, feeds[{number}].data, feeds[{number}].stride, "
                    f"{row_bytes(self.plan.buffers[id])}, numbers, share_of(rows, worker));  /* {comment(name)} */"
                )
                number += 1
        source.line()

    def _phase(self, source: Source, name: str, phase: Phase, offsets: Mapping[Piece, int]) -> None:
        """What one warp does alone, each chain on another one, and what is shared, each call on warps of its own."""
        chains, shared, total = phase.chains(), [call for call in phase.calls if call.is_shared], _warps(phase)
        first = 0
        with source.block(f"INLINE void {name}({_OF_PHASE})"):
            if chains:
                first = _squads(len(chains))
                self._section(source, "lone", 0, first, total)
            for number, chain in enumerate(chains):
                with source.block(f"if (lone.threads && lone.thread == {number} % lone.threads)"):
                    for call in chain:
                        self._call(source, call, "alone(lone)", offsets)
                        source.line("settle();")
            for number, call in enumerate(shared):
                self._section(source, f"team{number}", first, _squads(call.parts), total)
                self._call(source, call, f"team{number}", offsets)
                first += _squads(call.parts)
        source.line()

    def _section(self, source: Source, name: str, first: int, count: int, total: int) -> None:
        source.line(f"const struct worker {name} = section_of(worker, {first}, {count}, {total});")

    def _call(self, source: Source, call: Call, whom: str, offsets: Mapping[Piece, int]) -> None:
        if call.note:
            source.line(f"/* {comment(call.note)} */")
        arguments = ", ".join([whom, "rows", *addresses(self.plan, call, offsets)])
        start = f"if ({whom}.threads) " if call.is_shared else ""
        source.line(f"{start}{self.functions.name_of(call)}({arguments});")

    def _kernel(self, source: Source, program: Program, number: int, is_last: bool) -> None:
        head = f"{_KERNEL} {program.name}_{number}(struct memory m, struct job *job, long rows)"
        with source.block(head):
            fed = ", job->feeds, job->numbers + job->first" if number == 0 else ""
            source.line(f"{program.name}_phase_{number}(m, this_warp(m.scratch, SCRATCH_BYTES), rows{fed});")
            if is_last:
                source.line("if (blockIdx.x == 0 && threadIdx.x == 0) job->first += rows;")
        source.line()

    def _resident(self, source: Source, program: Program, name: str, phases: int) -> None:
        head = f"{_KERNEL} CLUSTERED {name}(struct memory m, struct job *job, long)"
        with source.block(head):
            source.line("const struct worker worker = this_warp(m.scratch, SCRATCH_BYTES);")
            source.line("const struct team team = {job->barrier};")
            with source.block("for (long first = 0; first < job->count; first += job->batch)"):
                source.line("const long left = job->count - first, rows = left < job->batch ? left : job->batch;")
                source.line(f"{program.name}_phase_0(m, worker, rows, job->feeds, job->numbers + first);")
                source.line("meet(&team);")
                for number in range(1, phases):
                    source.line(f"{program.name}_phase_{number}(m, worker, rows);")
                    source.line("meet(&team);")
        source.line()


def _phases_of(calls: Sequence[Call]) -> list[Phase]:
    """The calls cut into phases, each product of a library a phase of its own; a kernel comes last."""
    phases: list[Phase] = []
    own: list[Call] = []
    for call in calls:
        if not isinstance(call, ByLibrary):
            own.append(call)
            continue
        phases += [*(phases_of(own) if own else []), Phase([call])]
        own = []
    return [*phases, *phases_of(own)]


def _place(call: ByLibrary, offsets: Mapping[Piece, int]) -> Span | None:
    """Where a library's result lies among the pieces, if no buffer takes it."""
    pieces = [argument.piece for argument in call.arguments if argument.piece is not None]
    return Span("pieces", offsets[pieces[0]], offsets[pieces[0]] + pieces[0].size_bytes) if pieces else None


def _warps(phase: Phase) -> int:
    """How many warps a phase can keep busy; the last one may only count the batch."""
    parts = [len(phase.chains()), *(call.parts for call in phase.calls if call.is_shared)]
    return max(1, sum(map(_squads, parts)))


def _squads(warps: int) -> int:
    """So many warps, filled up to whole squads: a product has barriers for all warps of a block."""
    return -(-warps // SQUAD) * SQUAD


_INTRODUCTION = """
 *
 * Each step of the plan is one function, or a few. A phase calls those that need not wait for one another; every warp
 * runs it and does its share. Each phase is a kernel, and all phases of a program, batch after batch, are another.
 */
""".strip("\n").splitlines()

_MEMORY = """

/* A text is compiled either for a team, and then has the resident kernels, or for kernels that are launched one after
 * another: what is compiled for both would take twice as long. */
#if defined(TEAM_BLOCK) || defined(TEAM_CLUSTER) || defined(TEAM_GRID)
#define RESIDENT
#endif

/* What a run works in: variables and constants, the rest of the plan's arena, what steps need beside it, and what each
 * warp needs for itself. Every address is the plan's. */
struct memory { char *fixed, *work, *pieces, *scratch; };

/* One sample after another, `stride` bytes apart. */
struct feed { const char *data; int64_t stride; };

/* What a call does: `count` samples of the feeds by number, `batch` at a time. `first`: how many are done, where a
 * phase is a kernel. `barrier`: of a team. */
struct job {
    const struct feed *feeds;
    const int64_t *numbers;
    int64_t first, count, batch;
    unsigned int *barrier;
};

""".removeprefix("\n").splitlines()
