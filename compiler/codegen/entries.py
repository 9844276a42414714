"""The entry for predictions: reads its inputs and writes its outputs where the caller has them, on any thread.

A program's fed buffer, and one that it hands out, lies at an "end" instead of in the arena, if the caller's rows lie as
the plan's do. `ends_of` says which; `print_entry` prints `nnc_predict`, which runs many rows in batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from ..plan import ROWS_FEED, Buffer, Plan, Program, Step
from ..types import BATCH, FLOAT_DTYPES, INTEGER_DTYPES, ITEM_SIZE
from ..views import row_major
from .expressions import ELEMENT, SUFFIX
from .places import linear
from .source import INDENT, Source

PREDICT = "predict"


@dataclass(frozen=True, slots=True)
class End:
    """One array of the caller: an input, or an output. `is_in_place`: the program works on the caller's memory."""

    name: str
    buffer: int
    is_in_place: bool


@dataclass(frozen=True, slots=True)
class Ends:
    """The caller's arrays, in the order in which `nnc_predict` is given them: inputs, then outputs."""

    inputs: tuple[End, ...] = ()
    outputs: tuple[End, ...] = ()

    def place(self, plan: Plan, id: int) -> str | None:
        """C text for the address of a buffer that lies at an end; None for one in the arena."""
        whole = plan.buffers[id].root if plan.buffers[id].root >= 0 else id
        for number, end in enumerate((*self.inputs, *self.outputs)):
            if end.is_in_place and end.buffer == whole:
                distance = plan.buffers[id].offset - plan.buffers[whole].offset
                return f"ends[{number}]" + (f" + {distance}" if distance else "")
        return None


def ends_of(plan: Plan, program: Program) -> Ends:
    """What of a program's feeds and fetches is the caller's; nothing unless it predicts."""
    if program.name != PREDICT:
        return Ends()
    written = {_whole(plan, id) for step in program.steps for id in _stores(step)}
    taken = set[int]()
    inputs, outputs = [], []
    for name, id in program.feeds:
        if name != ROWS_FEED:
            inputs.append(End(name, id, _is_whole(plan.buffers[id]) and id not in written))
            taken.add(id)
    for name, id in program.fetches:
        outputs.append(End(name, id, _is_whole(plan.buffers[id]) and id in written and id not in taken))
        taken.add(id)
    return Ends(tuple(inputs), tuple(outputs))


def _stores(step: Step) -> list[int]:
    return [id for body in (step.body, *(r.body for r in step.reductions)) for id, _ in body.stores]


def _whole(plan: Plan, id: int) -> int:
    return plan.buffers[id].root if plan.buffers[id].root >= 0 else id


def _is_whole(buffer: Buffer) -> bool:
    """Whether a buffer has samples one after another, without gaps, and is no part of another one."""
    return buffer.root < 0 and buffer.type.has_batch and buffer.strides == row_major(buffer.type.shape)


def row_bytes(buffer: Buffer) -> int:
    return prod(buffer.type.concrete(1)) * ITEM_SIZE[buffer.type.dtype]


def print_entry(plan: Plan) -> str:
    """`nnc_predict`, and what it calls."""
    program = plan.program(PREDICT)
    ends = ends_of(plan, program)
    source = Source()
    _print_lengths(source, plan, ends)
    source.all(_PREDICTION)
    _print_fitness(source, plan, ends)
    _print_rows(source, plan, program, ends)
    source.all(_ENTRY)
    return str(source)


def _print_lengths(source: Source, plan: Plan, ends: Ends) -> None:
    every = [plan.buffers[end.buffer] for end in (*ends.inputs, *ends.outputs)]
    names = ", ".join(end.name for end in (*ends.inputs, *ends.outputs))
    sizes = ", ".join(str(row_bytes(buffer)) for buffer in every)
    items = ", ".join(str(ITEM_SIZE[buffer.type.dtype]) for buffer in every)
    source.line(f"/* The caller's arrays: {names.replace('*/', '* /')}. */")
    source.line(f"enum {{ INPUTS = {len(ends.inputs)}, ENDS = {len(every)} }};")
    source.line(f"static const long row_bytes[ENDS] = {{{sizes}}}, item_bytes[ENDS] = {{{items}}};")
    source.line()


def _print_fitness(source: Source, plan: Plan, ends: Ends) -> None:
    """What the audit of data would look for in arrays of the right dtype."""
    source.line("/* Whether the plan can take these inputs: no NaN or infinity, no index beyond its table. */")
    with source.block("static int are_fit(char *const ends[], const long rows)"):
        source.line("(void)ends, (void)rows;")
        for number, end in enumerate(ends.inputs):
            buffer = plan.buffers[end.buffer]
            dtype = buffer.type.dtype
            limits = [bound.below for bound in plan.bounds if bound.input == end.name]
            numbers = f"(const {ELEMENT[dtype]} *)ends[{number}], rows * {row_bytes(buffer) // ITEM_SIZE[dtype]}"
            if dtype in FLOAT_DTYPES:
                source.line(f"if (!all_finite_{SUFFIX[dtype]}({numbers})) return 0;")
            if limits and dtype in INTEGER_DTYPES:
                source.line(f"if (!all_below_{SUFFIX[dtype]}({numbers}, {min(limits)})) return 0;")
            elif limits:
                source.line("return 0;  /* indices that are not integers are for the audit */")
        source.line("return 1;")
    source.line()


def _print_rows(source: Source, plan: Plan, program: Program, ends: Ends) -> None:
    """The loop over the batches of a prediction: as a job's, but rows are taken in order and where they lie."""
    before = _copies_in(plan, program, ends)
    after = [
        line
        for number, end in enumerate(ends.outputs, len(ends.inputs))
        if not end.is_in_place
        for line in _copy_out(plan, ends, number, end)
    ]
    with source.block("static void predict_rows(struct team *team, int thread, void *argument)"):
        source.all(_HEAD)
        with source.block("for (long first = 0; first < all->rows; first += all->batch)"):
            source.line("const long left = all->rows - first, rows = left < all->batch ? left : all->batch;")
            source.line("char *ends[ENDS];")
            source.line("for (int k = 0; k < ENDS; k++) ends[k] = all->ends[k] + first * row_bytes[k];")
            if before:
                source.line("if (thread == 0) {")
                source.all([f"    {line}" for line in before])
                source.line("}")
                source.line("meet(team, worker);")
            source.line(f"{program.name}(m, worker, team, rows, ends);")
            source.line("meet(team, worker);")
            if after:
                source.line("if (thread == 0) {")
                source.all([f"    {line}" for line in after])
                source.line("}")
                source.line("meet(team, worker);")
    source.line()


def _copies_in(plan: Plan, program: Program, ends: Ends) -> list[str]:
    """What thread 0 puts into the arena before a batch."""
    lines = []
    for name, id in program.feeds:
        if name == ROWS_FEED:
            lines.append(f"*(double *)(m.work + {plan.buffers[id].offset}) = (double)rows;")
    for number, end in enumerate(ends.inputs):
        if not end.is_in_place:
            offset = plan.buffers[end.buffer].offset
            lines.append(f"memcpy(m.work + {offset}, ends[{number}], (unsigned long)(rows * row_bytes[{number}]));")
    return lines


def _copy_out(plan: Plan, ends: Ends, number: int, end: End) -> list[str]:
    """Loops over the elements of an output that lies elsewhere, or otherwise, than the caller's."""
    buffer = plan.buffers[end.buffer]
    element = ELEMENT[buffer.type.dtype]
    memory = "fixed" if buffer.kind in ("variable", "constant") else "work"
    place = ends.place(plan, end.buffer) or f"m.{memory} + {buffer.offset}"
    lengths = ["rows" if dim == BATCH else str(dim) for dim in buffer.type.shape]
    indices = [f"i{axis}" for axis in range(len(lengths))]
    to, of = linear(indices, row_major(buffer.type.shape)), linear(indices, buffer.strides)
    loops = [
        f"{INDENT * axis}for (long i{axis} = 0; i{axis} < {length}; i{axis}++)" for axis, length in enumerate(lengths)
    ]
    return [*loops, f"{INDENT * len(loops)}(({element} *)ends[{number}])[{to}] = ((const {element} *)({place}))[{of}];"]


_PREDICTION = """
/* What one prediction at a time works in, and the call that it serves. `given` is the number of rows, whether the
 * inputs are known to be fit, then for each end an address: of the caller's data; or, where `header` is not 0, of the
 * array's object, in which the address of its data comes after `header` bytes. */
struct prediction {
    struct memory memory;
    char *scratch;
    int64_t scratch_bytes, batch, threads;
    struct pool *pool;      /* 0: the calling thread alone */
    int64_t header;
    const int64_t *given;
    int64_t rows, is_back;  /* every second call goes backwards through the weights */
    char *ends[ENDS];
};

""".removeprefix("\n").splitlines()

_HEAD = """
const struct prediction *all = argument;
const struct memory m = all->memory;
const struct worker worker = {thread, team ? all->threads : 1, all->scratch + thread * all->scratch_bytes,
                              all->is_back};
""".strip("\n").splitlines()

_ENTRY = """
/* Whether outputs lie where nothing else does, and all at whole elements. */
static int are_apart(char *const ends[], const long rows) {
    for (int k = 0; k < ENDS; k++) {
        if ((unsigned long)ends[k] % (unsigned long)item_bytes[k]) return 0;
        for (int i = k < INPUTS ? INPUTS : k + 1; i < ENDS; i++)
            if (ends[k] < ends[i] + rows * row_bytes[i] && ends[i] < ends[k] + rows * row_bytes[k]) return 0;
    }
    return 1;
}

/* Predict on the pool, or without one on the calling thread alone. 1; or 0, and nothing was done, if the arrays do not
 * suit: an input is not fit, an output lies over another array. */
int nnc_predict(struct prediction *all) {
    all->rows = all->given[0];
    all->is_back = !all->is_back;
    for (int k = 0; k < ENDS; k++) {
        char *array = (char *)all->given[2 + k];
        all->ends[k] = all->header ? *(char **)(array + all->header) : array;
    }
    if (!are_apart(all->ends, all->rows) || !(all->given[1] || are_fit(all->ends, all->rows))) return 0;
    if (all->pool && pool_run(all->pool, predict_rows, all) == 0) return 1;
    const unsigned long arithmetic = flush_denormals();
    predict_rows(0, 0, all);
    restore_arithmetic(arithmetic);
    return 1;
}
""".strip("\n").splitlines()
