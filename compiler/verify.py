"""Proves of a plan that it can be run: reads follow writes, no live buffers overlap, all is in bounds and typed.

Runs on every plan that comes from a file. A damaged or hostile plan is refused with E0903; it is never executed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from math import isfinite
from typing import Final

from nnc.grammar.diagnostics import Diagnostic, NncError

from .expr import variables
from .formulas.initializers import INITIALIZERS
from .graph import ACCUMULATOR, Term, Variable
from .options import PRECISIONS, Choice
from .plan import ROWS_FEED, Buffer, Plan, Program
from .types import BATCH, FLOAT_DTYPES, ITEM_SIZE, TensorType
from .verify_indices import check_bounds, check_indices
from .verify_memory import MemoryCheck, Region, has_gaps_or_overlaps, region
from .verify_steps import Unsound, check_step, check_type, require

KINDS: Final = frozenset({"variable", "input", "constant", "temporary"})
ROLES: Final = frozenset({"weight", "statistic", "slot", "scalar", ACCUMULATOR})
TERM_KINDS: Final = frozenset({"loss", "metric", "regularizer"})
MEASURES: Final = frozenset({"", "confusion", "auc"})
PROGRAMS: Final = frozenset({"predict", "evaluate_step", "train_step", "adapt_step"})
LARGEST_ARENA: Final = 2**48
ROWS: Final = TensorType("float64", ())


def verify_plan(plan: Plan) -> None:
    """Raises: NncError E0903 with the first thing that is wrong."""
    try:
        _check_plan(plan)
    except Unsound as problem:
        raise NncError(Diagnostic("E0903", f"the plan is unsound: {problem}")) from None


def _check_plan(plan: Plan) -> None:
    require(1 <= plan.batch_size <= 2**31, "the batch size is out of range")
    require(0 <= plan.arena_bytes <= LARGEST_ARENA, "the arena's size is out of range")
    require(plan.precision in PRECISIONS, "its precision is unknown")
    for id, buffer in enumerate(plan.buffers):
        try:
            _check_buffer(buffer, plan)
        except Unsound as problem:
            raise Unsound(f"buffer {id}: {problem}") from None
    regions = tuple([region(plan.buffers, id) for id in range(len(plan.buffers))])
    _check_fixed(plan)
    _check_variables(plan)
    check_bounds(plan)
    require(len({program.name for program in plan.programs}) == len(plan.programs), "two programs have one name")
    for program in plan.programs:
        try:
            _check_program(program, plan, regions)
        except Unsound as problem:
            raise Unsound(f"program {program.name[:40]}: {problem}") from None
    _check_reports(plan)
    _check_signatures(plan)


# --- buffers --------------------------------------------------------------------------------------------------------
def _check_buffer(buffer: Buffer, plan: Plan) -> None:
    require(buffer.kind in KINDS, "its kind is unknown")
    check_type(buffer.type, "it")
    require(len(buffer.strides) == len(buffer.type.shape), "its strides and its shape differ in length")
    item = ITEM_SIZE[buffer.type.dtype]
    require(buffer.offset >= 0 and buffer.offset % item == 0, "its offset is negative or not aligned")
    require(all(0 <= stride <= LARGEST_ARENA for stride in buffer.strides), "a stride is out of range")
    shape = buffer.type.concrete(plan.batch_size)
    last = sum((dim - 1) * stride for dim, stride in zip(shape, buffer.strides, strict=True))
    require(buffer.offset + (last + 1) * item <= plan.arena_bytes, "it ends after the arena")
    require(-1 <= buffer.root < len(plan.buffers), "its root does not exist")
    require(buffer.root >= 0 or not has_gaps_or_overlaps(buffer), "its elements do not lie one after the other")
    _check_distinct(shape, buffer.strides)
    is_fixed = buffer.kind in ("variable", "constant")
    require(not (is_fixed and buffer.type.has_batch), f"a {buffer.kind} has a batch axis")
    if buffer.kind == "constant" and buffer.root < 0:
        _check_constant(buffer)
    else:
        require(not buffer.value, "it has a value, but is no constant")


def _check_distinct(shape: Iterable[int], strides: Iterable[int]) -> None:
    """No two elements share a place: each stride steps over all that the smaller ones reach."""
    reach = 1
    for stride, dim in sorted((stride, dim) for dim, stride in zip(shape, strides, strict=True) if dim != 1):
        require(stride >= reach, "two of its elements share a place")
        reach = stride * dim


def _check_constant(buffer: Buffer) -> None:
    count = buffer.type.with_dtype("uint8").size_bytes(1)
    require(len(buffer.value) == count, f"it has {len(buffer.value)} values for {count} elements")
    if buffer.type.dtype not in FLOAT_DTYPES:
        limits = {"bool": (0, 1), "uint8": (0, 255), "int32": (-(2**31), 2**31 - 1), "int64": (-(2**53), 2**53)}
        low, high = limits[buffer.type.dtype]
        whole = all(isfinite(value) and value == int(value) and low <= value <= high for value in buffer.value)
        require(whole, "its values do not fit its dtype")
    largest = 3.4028235677973366e38
    if buffer.type.dtype == "float32":
        require(all(abs(value) < largest or not isfinite(value) for value in buffer.value), "a value is too large")


def _check_fixed(plan: Plan) -> None:
    """Variables and constants have bytes of their own."""
    extents = sorted(
        (buffer.offset, buffer.offset + buffer.type.size_bytes(1))
        for buffer in plan.buffers
        if buffer.root < 0 and buffer.kind in ("variable", "constant")
    )
    for (_, end), (start, _) in pairwise(extents):
        require(end <= start, "two variables or constants overlap")


def _check_variables(plan: Plan) -> None:
    buffers, names = set[int](), set[str]()
    for variable, id in plan.variables:
        require(0 <= id < len(plan.buffers), f"variable `{variable.name[:60]}` has no buffer")
        buffer = plan.buffers[id]
        is_own = buffer.kind == "variable" and buffer.root < 0 and buffer.type == variable.type
        require(is_own and id not in buffers, f"variable `{variable.name[:60]}` has a buffer that is not its own")
        require(variable.name not in names, f"two variables are named `{variable.name[:60]}`")
        _check_initializer(variable)
        buffers.add(id)
        names.add(variable.name)
    owned = sum(1 for buffer in plan.buffers if buffer.kind == "variable" and buffer.root < 0)
    require(owned == len(buffers), "a buffer is a variable that has no name")


def _check_initializer(variable: Variable) -> None:
    require(variable.role in ROLES, f"the role of `{variable.name[:60]}` is unknown")
    entry = INITIALIZERS.get(variable.initializer.name)
    require(entry is not None, f"the initializer of `{variable.name[:60]}` is unknown")
    assert entry is not None
    given = dict(variable.initializer.arguments)
    known = set(given) <= set(entry.defaults) and len(given) == len(variable.initializer.arguments)
    require(known, f"the initializer of `{variable.name[:60]}` has an argument that it does not take")
    for value in given.values():
        is_simple = value is None or isinstance(value, int | float | str)
        require(is_simple and not isinstance(value, Choice), f"the initializer of `{variable.name[:60]}` is no number")
    try:
        from .formulas.initializers import draw

        draw(variable.initializer, variable.type.concrete(1))
    except (ValueError, TypeError, KeyError, AssertionError, ArithmeticError, IndexError):
        raise Unsound(f"the initializer of `{variable.name[:60]}` does not fit it") from None


# --- programs -------------------------------------------------------------------------------------------------------
def _check_program(program: Program, plan: Plan, regions: tuple[Region, ...]) -> None:
    require(program.name in PROGRAMS, "there is no such program")
    require(program.peak_bytes >= 0, "its peak is negative")
    for names in (program.feeds, program.fetches):
        require(len({name for name, _ in names}) == len(names), "a name is fed or fetched twice")
        require(all(0 <= id < len(plan.buffers) for _, id in names), "what is fed or fetched has no buffer")
    for name, id in program.feeds:
        type = plan.buffers[id].type
        fits = type == ROWS if name == ROWS_FEED else type.has_batch
        require(fits, f"`{name[:60]}` is fed as {type}")
    types = [buffer.type for buffer in plan.buffers]
    for number, step in enumerate(program.steps):
        try:
            check_step(step, types)
            dtype, is_rounded = step.space.dtype, step.kernel == "matmul" and plan.precision != "float32"
            require(not is_rounded or dtype == "float32", f"a product of {dtype} in {plan.precision}")
        except Unsound as problem:
            raise Unsound(f"step {number}: {problem}") from None
    MemoryCheck(plan.buffers, regions, plan.batch_size).run(program)
    check_indices(program, plan)


def _check_reports(plan: Plan) -> None:
    roles = {variable.name: variable.role for variable, _ in plan.variables}
    types = {variable.name: variable.type for variable, _ in plan.variables}
    evaluated = [program for program in plan.programs if program.name == "evaluate_step"]
    scored = {name: plan.buffers[id].type for program in evaluated for name, id in program.fetches}
    for term in plan.terms:
        require(term.kind in TERM_KINDS and isfinite(term.weight), f"the term `{term.name[:60]}` is of no known kind")
        known = all(roles.get(name) == ACCUMULATOR for name in term.accumulators)
        require(known, f"the term `{term.name[:60]}` reads what is no accumulator")
        names = {f"a{k}" for k in range(len(term.accumulators))} | {"rows"}
        read = {*variables(term.finish), *(variables(term.counted) if term.counted is not None else ())}
        require(names.issuperset(read), f"the term `{term.name[:60]}` reads an unknown name")
        _check_measure(term, types, scored)
    for adaptation in plan.adaptations:
        for name, role in (
            (adaptation.mean, "statistic"), (adaptation.variance, "statistic"),
            (adaptation.mean_sum, ACCUMULATOR), (adaptation.variance_sum, ACCUMULATOR),
        ):  # fmt: skip
            require(roles.get(name) == role, f"the statistics of `{adaptation.layer[:60]}` are no variables")
        require(adaptation.elements_per_row >= 1, f"`{adaptation.layer[:60]}` counts no elements")


def _check_measure(term: Term, types: Mapping[str, TensorType], scored: Mapping[str, TensorType]) -> None:
    """What a term sums up has one shape, and what evaluation needs for it is there."""
    shapes = {types[name].shape for name in term.accumulators}
    require(term.measure in MEASURES, f"the term `{term.name[:60]}` is measured in no known way")
    require(len(shapes) <= 1, f"the sums of the term `{term.name[:60]}` are of different shapes")
    if term.measure == "confusion":
        shape = next(iter(shapes), ())
        require(len(shape) == 2 and shape[0] == shape[1], f"the term `{term.name[:60]}` is no square")
    if term.measure == "auc":
        scores, truth = scored.get(f"scores.{term.output}", ROWS).shape, scored.get(f"truth.{term.output}", ROWS).shape
        fits = len(scores) > 1 and len(truth) > 1 and truth[:-1] == scores[:-1] and truth[-1] in (1, scores[-1])
        require(fits, f"the term `{term.name[:60]}` has no scores")


def _check_signatures(plan: Plan) -> None:
    """What the user is told of inputs, outputs and targets is what the programs take and give."""
    for program in plan.programs:
        expected = {signature.name: signature.type for signature in plan.inputs}
        expected |= {f"target.{signature.name}": signature.type for signature in plan.targets}
        for name, id in program.feeds:
            if name != ROWS_FEED and not name.startswith("sample_weight."):
                require(expected.get(name) == plan.buffers[id].type, f"`{name[:60]}` is fed, but nothing says so")
        outputs = {f"prediction.{signature.name}": signature.type for signature in plan.outputs}
        for name, id in program.fetches:
            type = plan.buffers[id].type
            if name.startswith("prediction.") and type.has_batch:
                require(outputs.get(name) == type, f"`{name[:60]}` is fetched, but nothing says so")
            elif type != ROWS:
                is_of_samples = name.startswith(("scores.", "truth.")) and type.has_batch
                require(is_of_samples, f"`{name[:60]}` is no single number")
    for signature in (*plan.inputs, *plan.outputs, *plan.targets):
        require(signature.type.shape[:1] == (BATCH,), f"`{signature.name[:60]}` has no batch")
