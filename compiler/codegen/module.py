"""A plan as one C file: `print_module` gives its text and what a session must know to run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..plan import ROWS_FEED, Plan, Program, Step
from ..verify_steps import KERNELS
from .calls import SMALL_WORK, Call, Piece, comment, note_of, noted
from .entries import Ends, ends_of, print_entry, row_bytes
from .functions import Functions, addresses
from .gathering import gathered_feeds
from .layouts import Run, panel_runs, panelled
from .maps import KERNELS_OF_MAPS, map_calls
from .names import plainly_named
from .phases import Phase, phases_of, place_pieces
from .products import matmul_calls
from .products_bf16 import matmul_bf16_calls
from .source import Source
from .target import Target
from .units import units_of

_HEADERS = (
    "vector.h", "vector_math.h", "quotients.h", "philox.h", "share.h", "rows.h", "product.h", "update.h", "fitness.h",
    "pool.h",
)  # fmt: skip
_BYTES_OF_A_CYCLE = 8
MOST_OWN_TILES = 12     # products whose tiles are compiled for each alone; 50 ms each
assert KERNELS_OF_MAPS | {"matmul"} == KERNELS, "a kernel has no C"


@dataclass(frozen=True, slots=True)
class Feed:
    """What a program is fed: its name, and the bytes of one sample."""

    name: str
    row_bytes: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A program as a session calls it. is_shared: worth more than one thread."""

    name: str
    number: int
    feeds: tuple[Feed, ...]
    is_shared: bool


@dataclass(frozen=True, slots=True)
class Module:
    """Printed C, and the memory that it needs beside the plan's arena.

    text: the whole as one file. units: the same as several, to be compiled side by side; none if it is short. panels:
    buffer of each variable that lies in panels -> its panels. piece_bytes: for all threads together; scratch_bytes: for
    each.
    """

    text: str
    units: tuple[str, ...]
    entries: tuple[Entry, ...]
    panels: dict[int, tuple[Run, ...]]
    piece_bytes: int
    scratch_bytes: int
    target: Target


def print_module(plan: Plan, target: Target) -> Module:
    """The whole plan. Requires: `verify_plan(plan)` passes."""
    return _ModulePrinter(plan, target).module()


class _ModulePrinter:
    def __init__(self, plan: Plan, target: Target) -> None:
        self.plan, self.target = plan, target
        self.panels = panelled(plan, target)
        self.has_own_tiles = _different_products(plan) <= MOST_OWN_TILES
        self.functions = Functions()
        self.source = Source()
        self.piece_bytes = self.scratch_bytes = 0

    def module(self) -> Module:
        entries = []
        programs = []
        for number, program in enumerate(self.plan.programs):
            phases = phases_of(self._calls(program))
            programs.append(self._program(program, phases))
            is_shared = any(call.is_shared for phase in phases for call in phase.calls)
            fed = [(name, self.plan.buffers[id]) for name, id in program.feeds if name != ROWS_FEED]
            feeds = tuple([Feed(name, row_bytes(buffer)) for name, buffer in fed])
            entries.append(Entry(program.name, number, feeds, is_shared))
        head, tail = self._head(), "".join([*programs, self._tail(), print_entry(self.plan)])
        text = "".join([head, *self.functions.definitions(), tail])
        panels = {
            id: panel_runs(int(self.plan.buffers[id].type.shape[1]), self.target.lanes, self._width(id))
            for _, id in self.plan.variables
            if id in self.panels
        }
        units = units_of(head, self.functions.all(), tail)
        return Module(text, units, tuple(entries), panels, self.piece_bytes, self.scratch_bytes, self.target)

    def _width(self, id: int) -> int:
        return self.target.width if self.plan.buffers[id].type.dtype == "float32" else 1

    # --- calls ------------------------------------------------------------------------------------------------------
    def _calls(self, program: Program) -> list[Call]:
        calls: list[Call] = []
        gathered = gathered_feeds(self.plan, program)
        for number, step in enumerate(program.steps):
            found = self._step_calls(step, number, gathered)
            calls += noted(found, note_of(step, program))
        return calls

    def _step_calls(self, step: Step, number: int, gathered: Mapping[int, int]) -> list[Call]:
        step = plainly_named(step)
        if step.kernel == "matmul" and self.plan.precision == "bfloat16":
            return matmul_bf16_calls(self.plan, step, number, self.target, self.panels)
        if step.kernel == "matmul":
            return matmul_calls(self.plan, step, number, self.target, self.panels, self.has_own_tiles)
        return map_calls(self.plan, step, number, self.target, gathered=gathered)

    # --- the file ---------------------------------------------------------------------------------------------------
    def _head(self) -> str:
        source = Source()
        model = comment(self.plan.model)
        source.line(f"/* {model}: batches of at most {self.plan.batch_size}, for {self.target.name}.")
        source.all(_INTRODUCTION)
        rounding = (self.target.rounding, "product_bf16.h") if self.plan.precision == "bfloat16" else ()
        for header in (*_HEADERS, *rounding):
            source.line(f'#include "{header}"')
        source.line()
        source.line(f'_Static_assert(LANES == {self.target.lanes}, "printed for {self.target.name}");')
        source.line()
        source.all(_MEMORY)
        return str(source)

    def _program(self, program: Program, phases: Sequence[Phase]) -> str:
        """The program's steps, then the loop over the batches of a call."""
        offsets, size = place_pieces(phases)
        self.piece_bytes = max(self.piece_bytes, size)
        source = Source()
        ends = ends_of(self.plan, program)
        parameters = "const struct memory m, const struct worker worker, struct team *team, const long rows"
        parameters += ", char *const ends[]" if ends.outputs else ""
        is_gathering = bool(gathered_feeds(self.plan, program))
        parameters += ", const struct feed *feeds, const int64_t *numbers" if is_gathering else ""
        with source.block(f"static void {program.name}({parameters})"):
            for number, phase in enumerate(phases):
                if number:
                    source.line("meet(team, worker);")
                for call in phase.calls:
                    self._one_call(source, call, offsets, ends)
        source.line()
        self._loop(source, program, ends, is_gathering)
        return str(source)

    def _one_call(self, source: Source, call: Call, offsets: dict[Piece, int], ends: Ends) -> None:
        self.scratch_bytes = max(self.scratch_bytes, call.scratch_bytes)
        if call.note:
            source.line(f"/* {comment(call.note)} */")
        arguments = addresses(self.plan, call, offsets, lambda id: ends.place(self.plan, id))
        whom = "worker" if call.is_shared else "alone(worker)"
        start = "" if call.is_shared else "if (worker.thread == 0) "
        source.line(f"{start}{self.functions.name_of(call)}({', '.join([whom, 'rows', *arguments])});")

    def _loop(self, source: Source, program: Program, ends: Ends, is_gathering: bool) -> None:
        """Batch after batch: put it where the program reads it, run the program."""
        with source.block(f"static void {program.name}_steps(struct team *team, int thread, void *argument)"):
            source.line("const struct job *job = argument;")
            source.line("const struct memory m = job->memory;")
            source.line(
                "struct worker worker = {thread, job->threads, job->scratch + thread * job->scratch_bytes, 0};"
            )
            batches = "long first = 0; first < job->count; first += job->batch, worker.is_back = !worker.is_back"
            with source.block(f"for ({batches})"):
                source.line("const long left = job->count - first, rows = left < job->batch ? left : job->batch;")
                source.line("const int64_t *numbers = job->numbers + first;")
                self._feeds(source, program)
                source.line("meet(team, worker);")
                own = [f"m.work + {self.plan.buffers[end.buffer].offset}" for end in (*ends.inputs, *ends.outputs)]
                end_argument = f", (char *const[]){{{', '.join(own)}}}" if own else ""
                data = ", job->feeds, numbers" if is_gathering else ""
                source.line(f"{program.name}(m, worker, team, rows{end_argument}{data});")
                source.line("meet(team, worker);")
        source.line()

    def _feeds(self, source: Source, program: Program) -> None:
        gathered = gathered_feeds(self.plan, program)
        number = 0
        for name, id in program.feeds:
            offset = self.plan.buffers[id].offset
            if name == ROWS_FEED:
                source.line(f"if (worker.thread == 0) *(double *)(m.work + {offset}) = (double)rows;")
                continue
            if id in gathered:
                number += 1
                continue
            size = row_bytes(self.plan.buffers[id])
            is_shared = size * self.plan.batch_size // _BYTES_OF_A_CYCLE > SMALL_WORK
            whom, start = ("worker", "") if is_shared else ("alone(worker)", "if (worker.thread == 0) ")
            source.line(
                f"{start}take_rows(m.work + {offset}, job->feeds[{number}].data, job->feeds[{number}].stride, {size}, "
                f"numbers, share_of(rows, {whom}));  /* {comment(name)} */"
            )
            number += 1

    def _tail(self) -> str:
        source = Source()
        source.line("static work_function *const programs[] = {")
        source.all([f"    {program.name}_steps," for program in self.plan.programs])
        source.line("};")
        source.line()
        source.all(_ENTRIES)
        return str(source)


def _different_products(plan: Plan) -> int:
    """How many products differ in their shapes, so that no function serves two of them."""
    products = {
        (step.space, step.attrs, *(plan.buffers[id].type for id in step.operands))
        for program in plan.programs
        for step in program.steps
        if step.kernel == "matmul"
    }
    return len(products)


_INTRODUCTION = """
 *
 * Each step of the plan is one function, or a few; each program calls its steps in order, with a barrier where a thread
 * needs what another has written. Every thread runs the same program and does its share.
 */
""".strip("\n").splitlines()

_MEMORY = """
/* What a run works in: variables and constants, the rest of the plan's arena, and what steps need beside it. Every
 * address is the plan's; several runs may share `fixed` if they only read it. */
struct memory { char *fixed, *work, *pieces; };

/* What all threads of a call do: `count` samples of the feeds by number, `batch` at a time. */
struct job {
    struct memory memory;
    char *scratch;
    int64_t scratch_bytes;
    const struct feed *feeds;
    const int64_t *numbers;
    int64_t count, batch, threads;
};

/* Wait until every thread has come this far. */
SHARED void meet(struct team *team, struct worker worker) {
    if (worker.threads > 1) barrier(team, (int)worker.thread);
}

""".removeprefix("\n").splitlines()

_ENTRIES = """
struct pool *nnc_pool(int threads) { return pool_create(threads); }
void nnc_end(struct pool *pool) { pool_destroy(pool); }

/* Run a program on the pool, or on the calling thread alone where there is none, or it has no threads after a fork. */
void nnc_run(struct pool *pool, int program, struct job *job) {
    if (pool && job->threads > 1 && pool_run(pool, programs[program], job) == 0) return;
    const unsigned long arithmetic = flush_denormals();
    job->threads = 1;
    programs[program](0, 0, job);
    restore_arithmetic(arithmetic);
}
""".strip("\n").splitlines()
