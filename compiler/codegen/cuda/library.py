"""Which of a plan's products cuBLASLt can do, how much of each step's body its epilogues take over, and what is left.

`library_products` gives every way there is, `chosen_products` those that a caller accepts, with masks only where one
product writes what another reads. No device and no library is asked.

An epilogue ends at one value of the body: `acc` plus a bias, its relu or gelu, or `acc` times a slope. What the body
does with that value afterwards is the rest: the same step, in which `acc` now stands for that value. It can only be
split off where nothing else asks for the value before the epilogue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from ...derivative import differentiate, in_terms_of_output, simplify
from ...expr import Expr, apply, substitute, var, variables
from ...formulas.activations import ACTIVATIONS
from ...plan import Body, Plan, Program, Reduction, Statement, Step
from ...types import BATCH, Dim
from ..calls import span_of
from .records import LibraryProduct

Products = Mapping[tuple[str, int], tuple[LibraryProduct, ...]]

_ACC, _X, _Y = var("acc"), var("x"), var("y")
_AUX_ROW: Final = 8             # a row of gelu's operand is a multiple of as many numbers, says cuBLASLt
_AUX_ALIGNMENT: Final = 16      # bytes


def _formula(name: str, **arguments: bool) -> Expr:
    formula = ACTIVATIONS[name].formula
    assert formula is not None
    return formula(_X, **arguments)


# activations of cuBLASLt, whose gelu is the one with a tanh, and `acc` times their slopes
_RELU, _GELU = _formula("relu"), _formula("gelu", approximate=True)
_FORMULAS: Final = {"relu": simplify(_RELU), "gelu": simplify(_GELU)}
_RELU_SLOPE: Final = simplify(_ACC * in_terms_of_output(differentiate(_RELU, "x"), _RELU, "y"))
_GELU_SLOPE: Final = simplify(_ACC * differentiate(_GELU, "x"))
assert set(variables(_RELU_SLOPE)) == {"y", "acc"}, "a mask keeps no more of relu than where its result is above 0"


def library_products(plan: Plan) -> dict[tuple[str, int], tuple[LibraryProduct, ...]]:
    """By program and number of the step: the ways to do it, from the one that covers most of its body to the bare one.

    Only products of float32 whose matrices lie row by row. A way that writes or reads a mask is among them if the
    program has a counterpart.
    """
    compute = plan.precision
    found: dict[tuple[str, int], tuple[LibraryProduct, ...]] = {}
    for program in plan.programs:
        masks = _masks(plan, program)
        for number, step in enumerate(program.steps):
            if step.kernel == "matmul" and _can_be_read(plan, step):
                reader = _StepReader(plan, step, masks)
                bare = _bare_product(plan, program.name, number, step, compute)
                found[program.name, number] = tuple(reader.ways(bare))
    return found


def chosen_products(
    products: Products, accepts: Callable[[LibraryProduct], bool]
) -> dict[tuple[str, int], LibraryProduct]:
    """For each step the first way that is accepted; none, and the plan's own kernel, where none is.

    A mask is written only if a product is accepted that reads it, and read only if one is that writes it.
    """
    accepted = {key: tuple([way for way in ways if accepts(way)]) for key, ways in products.items()}
    masked = [way for ways in accepted.values() for way in ways if has_mask(way)]
    written = {(way.program, way.aux) for way in masked if writes_mask(way)}
    read = {(way.program, way.aux) for way in masked if not writes_mask(way)}
    chosen = {}
    for key, ways in accepted.items():
        for way in ways:
            if not has_mask(way) or (way.program, way.aux) in written & read:
                chosen[key] = way
                break
    return chosen


def has_mask(product: LibraryProduct) -> bool:
    """Whether `aux` names the result of a relu of which only the signs are kept, in memory beside the plan's arena."""
    return writes_mask(product) or product.epilogue in ("drelu", "drelu_bgrad")


def writes_mask(product: LibraryProduct) -> bool:
    return product.epilogue in ("relu_aux", "relu_aux_bias")


# --- what lies how ----------------------------------------------------------------------------------------------------
def _can_be_read(plan: Plan, step: Step) -> bool:
    return step.space.dtype == "float32" and all(_lies_in_rows(plan, id) for id in step.operands)


def _lies_in_rows(plan: Plan, id: int) -> bool:
    """Whether a buffer is a matrix of float32 whose rows have no gaps in them, though perhaps between them."""
    buffer = plan.buffers[id]
    if buffer.type.dtype != "float32" or len(buffer.type.shape) != 2:
        return False
    rows, columns = buffer.type.concrete(plan.batch_size)
    stride, step = buffer.strides
    return (step == 1 or columns == 1) and (stride >= columns or rows == 1)


def _bare_product(plan: Plan, program: str, number: int, step: Step, compute: str) -> LibraryProduct:
    a, b = step.operands
    attrs = dict(step.attrs)
    transpose_a, transpose_b = bool(attrs["transpose_a"]), bool(attrs["transpose_b"])
    m, n = step.space.shape
    k = plan.buffers[a].type.shape[0 if transpose_a else 1]
    return LibraryProduct(
        program, number, _size(m), _size(n), _size(k), a, b, transpose_a, transpose_b, compute, "none", -1
    )


def _size(dim: Dim) -> int | str:
    return "rows" if dim == BATCH else dim


def _masks(plan: Plan, program: Program) -> frozenset[int]:
    """Buffers of relu's results that one product of the program writes whole and another reads for the slope."""
    written: set[int] = set()
    read: set[int] = set()
    for step in program.steps:
        if step.kernel == "matmul" and _can_be_read(plan, step):
            reader = _StepReader(plan, step, frozenset())
            written |= {id for end in reader.activations() if end.formula == "relu" for id in reader.stored(end.value)}
            read |= {id for _, id in reader.relu_slopes()}
    return frozenset(written & read)


# --- reading a body ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _End:
    """A value of the body at which an epilogue can end. formula: "relu", "gelu" or "" for a sum with a bias alone.

    before: the value that goes into the formula, "" if it has no name. bias: a buffer, or -1.
    """

    value: str
    formula: str
    bias: int
    before: str = ""


class _StepReader:
    """One product's step: where epilogues can end in its body, and what is left after each."""

    def __init__(self, plan: Plan, step: Step, masks: frozenset[int]) -> None:
        self.plan, self.step, self.masks = plan, step, masks
        self.operands = dict(step.body.operands)
        self.inlined = _inlined(step.body)
        self._name_of = {expr: name for name, expr in reversed(self.inlined.items())}

    def ways(self, bare: LibraryProduct) -> Iterator[LibraryProduct]:
        """The product with each epilogue that fits, the more it covers the earlier."""
        for end in self.activations():
            bias = "_bias" if end.bias >= 0 else ""
            way = replace(bare, bias=end.bias)
            if end.formula == "relu":
                for id in self.stored(end.value):
                    if id in self.masks:
                        yield from self._split(replace(way, epilogue=f"relu_aux{bias}", aux=id), end.value)
            if end.formula == "gelu":
                yield from self._gelu_with_operand(replace(way, epilogue=f"gelu_aux{bias}"), end)
            if end.formula:
                yield from self._split(replace(way, epilogue=f"{end.formula}{bias}"), end.value)
        for end in self.activations():
            if not end.formula:
                yield from self._split(replace(bare, bias=end.bias, epilogue="bias"), end.value)
        yield from self._slopes(bare)
        if bare.compute == "float32":       # else the library would sum what it has rounded to multiply it
            yield from self._with_gradient(replace(bare, epilogue="bgrad"), "acc", "b")
        yield from self._split(bare, "acc")

    # --- ends -----------------------------------------------------------------------------------------------------
    def activations(self) -> list[_End]:
        """Sums with a bias, relus and gelus of `acc` or of such sums."""
        before = {_ACC: -1}
        for name, id in self.operands.items():
            if self._is_vector(id):
                before |= {apply("add", _ACC, var(name)): id, apply("add", var(name), _ACC): id}
        ends = []
        for sum, bias in before.items():
            for formula, expr in _FORMULAS.items():
                value = self._name_of.get(substitute(expr, {_X: sum}))
                if value is not None:
                    ends.append(_End(value, formula, bias, "acc" if bias < 0 else self._name_of.get(sum, "")))
            if bias >= 0 and sum in self._name_of:
                ends.append(_End(self._name_of[sum], "", bias))
        return ends

    def relu_slopes(self) -> list[tuple[str, int]]:
        """Values that are `acc` where a matrix is above 0, and else 0; with the buffer of that matrix."""
        return self._carried_back(_RELU_SLOPE, _Y)

    def _carried_back(self, slope: Expr, variable: Expr) -> list[tuple[str, int]]:
        found = []
        for name, id in self.operands.items():
            value = self._name_of.get(substitute(slope, {variable: var(name)}))
            if value is not None and self._is_whole(id):
                found.append((value, id))
        return found

    def stored(self, value: str) -> list[int]:
        """Buffers of float32 that hold a value whole."""
        return [id for id, expr in self.step.body.stores if expr is var(value) and self._is_whole(id)]

    def _is_whole(self, id: int) -> bool:
        return self.plan.buffers[id].type == self.step.space and _lies_in_rows(self.plan, id)

    def _is_vector(self, id: int) -> bool:
        """Whether a buffer has one float32 for each column, without gaps."""
        buffer, columns = self.plan.buffers[id], self.step.space.shape[1]
        is_row = buffer.type.shape in ((columns,), (1, columns))
        return is_row and buffer.type.dtype == "float32" and (buffer.strides[-1] == 1 or columns == 1)

    # --- splitting ------------------------------------------------------------------------------------------------
    def _slopes(self, bare: LibraryProduct) -> Iterator[LibraryProduct]:
        for value, id in self.relu_slopes():
            if id in self.masks:
                yield from self._with_gradient(replace(bare, epilogue="drelu_bgrad", aux=id), value, value)
                yield from self._split(replace(bare, epilogue="drelu", aux=id), value)
        for value, id in self._carried_back(_GELU_SLOPE, _X):
            if self._can_be_aux(id):
                yield from self._with_gradient(replace(bare, epilogue="dgelu_bgrad", aux=id), value, value)
                yield from self._split(replace(bare, epilogue="dgelu", aux=id), value)

    def _gelu_with_operand(self, way: LibraryProduct, end: _End) -> Iterator[LibraryProduct]:
        """gelu that also writes its operand, where the body stores that one time."""
        stores = [store for store in self.step.body.stores if end.before and store[1] is var(end.before)]
        if len(stores) == 1 and self._is_whole(stores[0][0]) and self._can_be_aux(stores[0][0]):
            left = tuple([store for store in self.step.body.stores if store is not stores[0]])
            yield from self._split(replace(way, aux=stores[0][0]), end.value, left)

    def _can_be_aux(self, id: int) -> bool:
        buffer = self.plan.buffers[id]
        return buffer.strides[0] % _AUX_ROW == 0 and buffer.offset % _AUX_ALIGNMENT == 0

    def _with_gradient(self, way: LibraryProduct, value: str, summed: str) -> Iterator[LibraryProduct]:
        """The product that also sums `summed` over the rows, where a reduction does no more than store that sum."""
        for reduction in self.step.reductions:
            if self._is_plain_sum(reduction, summed):
                target = reduction.body.stores[0][0]
                left = tuple([each for each in self.step.reductions if each is not reduction])
                yield from self._split(replace(way, bias_gradient=target), value, reductions=left)

    def _is_plain_sum(self, reduction: Reduction, summed: str) -> bool:
        body = reduction.body
        return (
            (reduction.operator, reduction.axes, reduction.dtype) == ("sum", "leading", "float32")
            and reduction.expr is var(summed)
            and (body.operands, body.statements) == ((), ())
            and [expr for _, expr in body.stores] == [_ACC]
            and self._is_vector(body.stores[0][0])
        )

    def _split(
        self, way: LibraryProduct, value: str, stores: tuple[tuple[int, Expr], ...] | None = None,
        reductions: tuple[Reduction, ...] | None = None,
    ) -> Iterator[LibraryProduct]:  # fmt: skip
        """The product with an epilogue that ends at `value`, if all else in the body can do with that.

        stores, reductions: what the epilogue leaves of the body's, if not all.
        """
        stores = self.step.body.stores if stores is None else stores
        reductions = self.step.reductions if reductions is None else reductions
        rest = _remainder(self.step, value, stores, reductions)
        if rest is not None and self._is_apart(way):
            yield self._stored_at_once(way, rest)

    def _stored_at_once(self, way: LibraryProduct, rest: Step) -> LibraryProduct:
        """Without a rest, if that would only store the value where the library can put it."""
        if not rest.body.statements and not rest.reductions and [expr for _, expr in rest.body.stores] == [_ACC]:
            direct = replace(way, result=rest.body.stores[0][0])
            if self._is_whole(direct.result) and self._is_apart(direct):
                return direct
        return replace(way, rest=rest)

    def _is_apart(self, way: LibraryProduct) -> bool:
        """Whether the library may write all its results in any order: none lies in what it reads, or in another."""
        written = [id for id in (way.result, way.bias_gradient) if id >= 0]
        read = [id for id in (way.a, way.b, way.bias) if id >= 0]
        if way.aux >= 0 and not has_mask(way):
            (written if way.epilogue.startswith("gelu_aux") else read).append(way.aux)
        spans = [span_of(self.plan, id) for id in written]
        others = [span_of(self.plan, id) for id in read]
        return not any(span.meets(other) for k, span in enumerate(spans) for other in (*others, *spans[:k]))


def _inlined(body: Body) -> dict[str, Expr]:
    """Elementwise float32 statements in terms of what is no such statement: `acc`, operands, values of rows."""
    found: dict[Expr, Expr] = {}
    for statement in body.statements:
        if (statement.kind, statement.dtype) == ("map", "float32"):
            found[var(statement.name)] = substitute(statement.expr, found)
    return {str(name.value): expr for name, expr in found.items()}


def _remainder(
    step: Step, value: str, stores: tuple[tuple[int, Expr], ...], reductions: tuple[Reduction, ...]
) -> Step | None:
    """The step from `value` on, which is its `acc`; None if something else than `value` is made of what came before."""
    wanted = {name for _, expr in stores for name in variables(expr)}
    wanted |= {name for reduction in reductions for name in variables(reduction.expr)}
    kept: list[Statement] = []
    for statement in reversed(step.body.statements):
        if statement.name in wanted and statement.name != value:
            kept.append(statement)
            wanted |= set(variables(statement.expr))
    if value != "acc" and "acc" in wanted:
        return None
    names = {var(value): _ACC}
    body = Body(
        tuple([operand for operand in step.body.operands if operand[0] in wanted]),
        tuple([replace(statement, expr=substitute(statement.expr, names)) for statement in reversed(kept)]),
        tuple([(id, substitute(expr, names)) for id, expr in stores]),
    )
    left = tuple([replace(reduction, expr=substitute(reduction.expr, names)) for reduction in reductions])
    return replace(step, body=body, reductions=left)
