"""Whether a step makes sense by itself: kernel, types, names. Serves plans (buffers) and fused programs (values)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from .expr import OPERATORS, PREDICATES, Expr, variables, walk
from .kernels import FusedProgram, FusedPrograms, reads, writes
from .plan import Body, Reduction, Statement, Step
from .types import BATCH, FLOAT_DTYPES, INTEGER_DTYPES, ITEM_SIZE, Dim, Shape, TensorType

ROW_KINDS: Final = frozenset({"sum", "max", "min", "argmax"})
REDUCERS: Final = frozenset({"sum", "max", "min"})
LARGEST_STREAM: Final = 2**32
# dtype -> its operators: whole numbers have what compares and counts, bool what compares and chooses
OPERATORS_OF: Final[dict[str, frozenset[str]]] = {
    **dict.fromkeys(FLOAT_DTYPES, frozenset(OPERATORS)),
    **dict.fromkeys(
        INTEGER_DTYPES,
        PREDICATES | {"add", "sub", "mul", "maximum", "minimum", "neg", "abs", "sign", "square", "where"},
    ),
    "bool": PREDICATES | {"where"},
}


class Unsound(Exception):  # noqa: N818 - it never leaves this package
    """What is wrong, in words for people."""


def require(condition: bool, problem: str) -> None:
    if not condition:
        raise Unsound(problem)


def check_step(step: Step, types: Sequence[TensorType]) -> None:
    """Kernel, operands, body and reductions agree in types, and every name is defined. Raises Unsound."""
    for id in (*reads(step), *writes(step)):
        require(0 <= id < len(types), f"there is no buffer {id}")
    require(step.kernel in _KERNELS, f"there is no kernel `{step.kernel[:40]}`")
    check_type(step.space, "the space")
    operands = tuple([types[id] for id in step.operands])
    attrs = dict(step.attrs)
    require(len(attrs) == len(step.attrs), "an attribute is given twice")
    count, names, check = _KERNELS[step.kernel]
    require(len(operands) == count, f"a {step.kernel} step has {count} operands, not {len(operands)}")
    require(set(attrs) == names, f"a {step.kernel} step has the attributes {', '.join(sorted(names)) or 'none'}")
    check(step.space, operands, attrs)
    shapes: dict[str, Shape] = {} if step.kernel == "map" else {"acc": step.space.shape}
    _check_body(step.body, step.space.shape, shapes, types, rows=step.kernel == "map")
    for reduction in step.reductions:
        _check_reduction(reduction, step, shapes, operands, types)


def check_type(type: TensorType, what: str) -> None:
    """Requires a dtype of ours and a shape of plausible lengths, the batch first if there is one."""
    require(type.dtype in ITEM_SIZE, f"{what} has no dtype of ours")
    for axis, dim in enumerate(type.shape):
        known = (dim == BATCH and axis == 0) or (isinstance(dim, int) and 1 <= dim <= 2**40)
        require(known, f"{what} has a length that is none")
    require(len(type.shape) <= 32, f"{what} has too many axes")


# --- kernels --------------------------------------------------------------------------------------------------------
Operands = tuple[TensorType, ...]
Attributes = Mapping[str, object]


def _check_map(space: TensorType, operands: Operands, attrs: Attributes) -> None:
    """A map has no root, so nothing to check."""


def _check_matmul(space: TensorType, operands: Operands, attrs: Attributes) -> None:
    a, b = operands
    require(len(a.shape) == len(b.shape) == 2, "a product is of two matrices")
    require(a.dtype == b.dtype == space.dtype and a.is_float, "a product is of floats of one dtype")
    require(all(isinstance(value, bool) for value in attrs.values()), "a matrix is transposed or not")
    rows, inner_a = reversed(a.shape) if attrs["transpose_a"] else a.shape
    inner_b, columns = reversed(b.shape) if attrs["transpose_b"] else b.shape
    require(inner_a == inner_b, f"matrices do not fit: {a} by {b}")
    require(space.shape == (rows, columns), f"the product of {a} and {b} is not {space}")


def _check_gather(space: TensorType, operands: Operands, attrs: Attributes) -> None:
    table, indices = operands
    require(len(table.shape) == 2 and not table.has_batch, "rows are gathered from a matrix")
    require(indices.dtype in INTEGER_DTYPES, "indices are whole numbers")
    expected = TensorType(table.dtype, (*indices.shape, table.shape[1]))
    require(space == expected, f"gathering gives {expected}, not {space}")


def _check_scatter_add(space: TensorType, operands: Operands, attrs: Attributes) -> None:
    indices, rows = operands
    require(indices.dtype in INTEGER_DTYPES, "indices are whole numbers")
    require(rows.shape[:-1] == indices.shape and rows.shape != (), "each index needs a row")
    require(len(space.shape) == 2 and not space.has_batch, "rows are added to a matrix")
    fits = space.dtype == rows.dtype and space.shape[1] == rows.shape[-1]
    require(fits, f"rows of {rows} cannot be added to {space}")


def _check_random(space: TensorType, operands: Operands, attrs: Attributes) -> None:
    stream = attrs["stream"]
    require(operands[0] == TensorType("float64", ()), "a step counter is float64[]")
    require(attrs["distribution"] in ("uniform", "normal"), "random numbers are uniform or normal")
    is_number = isinstance(stream, int) and not isinstance(stream, bool)
    require(is_number and 0 <= stream < LARGEST_STREAM, "a stream is a whole number of 32 bits")  # type: ignore[operator]
    require(space.dtype == "float32", "random numbers are float32")


_KERNELS: Final[dict[str, tuple[int, frozenset[str], Callable[[TensorType, Operands, Attributes], None]]]] = {
    "map": (0, frozenset(), _check_map),
    "matmul": (2, frozenset({"transpose_a", "transpose_b"}), _check_matmul),
    "gather": (2, frozenset(), _check_gather),
    "scatter_add": (2, frozenset(), _check_scatter_add),
    "random": (1, frozenset({"distribution", "stream"}), _check_random),
}
KERNELS: Final = frozenset(_KERNELS)


# --- bodies ---------------------------------------------------------------------------------------------------------
def _check_body(
    body: Body, space: Shape, shapes: dict[str, Shape], types: Sequence[TensorType], rows: bool
) -> None:
    """Define the body's names in `shapes`, each with the shape its value has before it is broadcast to the space."""
    for name, id in body.operands:
        require(name.isidentifier() and name not in shapes, f"the name `{name[:40]}` is taken or none")
        shape = types[id].shape
        require(_broadcasts(shape, space), f"`{name}` of shape {list(shape)} does not fit {list(space)}")
        shapes[name] = shape
    for statement in body.statements:
        _check_statement(statement, space, shapes, rows)
    for id, expr in body.stores:
        require(not expr.args, "what is stored is a name or a number")
        value = _shape_of(expr, shapes)
        shape = types[id].shape
        is_row = space != () and shape == (*space[:-1], 1)
        require(shape == space or is_row, f"{list(shape)} is no place for a value of {list(space)}")
        require(_broadcasts(value, shape), f"a value of {list(value)} is stored in {list(shape)}")
    targets = [id for id, _ in body.stores]
    require(len(set(targets)) == len(targets), "two values are stored in one place")


def _check_statement(statement: Statement, space: Shape, shapes: dict[str, Shape], rows: bool) -> None:
    name = statement.name
    require(name.isidentifier() and name not in shapes, f"the name `{name[:40]}` is taken or none")
    require(statement.dtype in ITEM_SIZE, f"`{name}` has no dtype of ours")
    for term in walk(statement.expr):
        known = not term.args or term.op in OPERATORS_OF[statement.dtype]
        require(known, f"`{name}` is {statement.dtype}, which has no `{term.op}`")
    shape = _shape_of(statement.expr, shapes)
    if statement.kind != "map":
        require(statement.kind in ROW_KINDS, f"there is no statement `{statement.kind[:40]}`")
        require(rows and space != (), f"`{name}` reduces rows where there are none")
        require(statement.dtype != "bool", f"`{name}` reduces rows of bool")
        require(not (len(space) == 1 and space[0] == BATCH), f"`{name}` reduces the batch as if it were a row")
        shape = (*shape[:-1], 1) if shape else ()
    shapes[name] = shape


def _shape_of(expr: Expr, shapes: Mapping[str, Shape]) -> Shape:
    """The shape an expression has by its names alone."""
    result: Shape = ()
    for name in variables(expr):
        require(name in shapes, f"the name `{name[:40]}` is not defined")
        result = _joined(result, shapes[name])
    return result


def _joined(a: Shape, b: Shape) -> Shape:
    if a == b or not b:
        return a
    rank = max(len(a), len(b))
    wide_a: tuple[Dim, ...] = (1,) * (rank - len(a)) + a
    wide_b: tuple[Dim, ...] = (1,) * (rank - len(b)) + b
    return tuple([y if x == 1 else x for x, y in zip(wide_a, wide_b, strict=True)])


def _broadcasts(shape: Shape, space: Shape) -> bool:
    """Whether a tensor of `shape` can be read at every element of `space`."""
    if len(shape) > len(space):
        return False
    return all(dim in (1, other) for dim, other in zip(reversed(shape), reversed(space), strict=False))


def _check_reduction(
    reduction: Reduction, step: Step, shapes: Mapping[str, Shape], operands: Operands, types: Sequence[TensorType]
) -> None:
    require(reduction.operator in REDUCERS, f"there is no reduction `{reduction.operator[:40]}`")
    require(reduction.dtype in FLOAT_DTYPES, "a reduction is of floats")
    require(reduction.axes in ("all", "leading"), "a reduction is over all axes or over the leading ones")
    require(reduction.expr.op == "var", "what is reduced is a name")
    if step.kernel == "matmul" and str(reduction.expr.value) == "b":
        kept = operands[1].shape[0 if dict(step.attrs)["transpose_b"] else 1]
        require(reduction.operator == "sum" and kept != BATCH, "operand b is summed over the product's inner index")
        result: Shape = () if reduction.axes == "all" else (kept,)
        require(reduction.axes == "leading" or kept == 1, "operand b is summed over one index")
    else:
        shape = _shape_of(reduction.expr, shapes)
        require(reduction.axes == "all" or len(step.space.shape) >= 2, "a vector has no leading axes")
        full = step.space.shape
        is_whole = shape == full or (reduction.axes == "all" and shape == (*full[:-1], 1))
        require(is_whole, "what is reduced does not vary over the step's space")
        result = () if reduction.axes == "all" else (full[-1],)
    _check_body(reduction.body, result, {"acc": result}, types, rows=False)


# --- fused programs -------------------------------------------------------------------------------------------------
def verify_fused(fused: FusedPrograms) -> None:
    """Assert that every step of every program makes sense and reads nothing before it is written."""
    for program in fused.programs:
        types = [value.type for value in program.values]
        for number, step in enumerate(program.steps):
            try:
                check_step(step, types)
            except Unsound as problem:
                raise AssertionError(f"{program.name}, step {number}: {problem}") from problem
        _verify_order(program)


def _verify_order(program: FusedProgram) -> None:
    """A temporary is read after it is written; a variable is not read after it is overwritten."""
    values, ready, overwritten = program.values, set[int](), set[int]()
    for id, value in enumerate(values):
        if value.kind != "temporary" and value.root == id:
            ready.add(id)

    def is_ready(id: int) -> bool:
        stack = [id]
        while stack:
            top = stack.pop()
            if top in ready or (values[top].kind != "temporary" and values[top].root in ready):
                continue
            if not values[top].sources:
                return False
            stack.extend(values[top].sources)
        ready.add(id)
        return True

    for number, step in enumerate(program.steps):
        for id in reads(step):
            assert is_ready(id), (program.name, number, id)
            assert values[id].root not in overwritten, (program.name, number, id)
        for id in writes(step):
            ready.add(id)
            if values[id].kind == "variable":
                overwritten.add(values[id].root)
    assert all(is_ready(id) for _, id in program.fetches), program.name
