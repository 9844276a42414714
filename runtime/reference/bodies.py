"""Body -> Code: expressions flattened, conversions and broadcasts made explicit, shared terms evaluated once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nnc.compiler.expr import PREDICATES, Expr, walk
from nnc.compiler.plan import Body, Buffer, Reduction, Statement
from nnc.compiler.types import ITEM_SIZE, Shape

from .arena import is_contiguous, is_same_view, may_overlap
from .code import Code, Instruction, Value, Varies
from .elementary import expand

BITS = {1: "uint8", 4: "int32", 8: "int64"}   # item size -> the whole number of as many bits


def write_code(
    body: Body,
    space: Shape,
    buffers: Sequence[Buffer],
    batch_size: int,
    acc: tuple[str, bool] | None = None,
    reductions: Sequence[Reduction] = (),
    root_operands: Sequence[int] = (),
    contiguous_root: bool = False,
) -> Code:
    """The code of `body` over `space`.

    acc: the dtype of `acc` if the body has one, and whether a root computes it; else it is given from outside, value 0.
    root_operands: the buffers that the root reads; contiguous_root: it can write only to memory without gaps.
    """
    writer = _Writer(space, buffers)
    if acc is not None:
        writer.define_acc(*acc)
    for name, buffer in body.operands:
        writer.define_operand(name, buffer)
    for statement in body.statements:
        writer.run(statement)
    reduced = tuple([writer.reduced(reduction) for reduction in reductions])
    stores = writer.stores(body.stores, batch_size)
    in_place = _find_in_place(writer, stores, reduced, _Root(root_operands, contiguous_root), batch_size)
    kept = tuple([store for store in stores if in_place.get(store[1]) != store[0]])
    return Code(tuple(writer.values), tuple(writer.instructions), kept, reduced, in_place)


@dataclass(frozen=True, slots=True)
class _Root:
    """What a root needs to be able to write straight into a buffer."""

    operands: Sequence[int]
    wants_contiguous: bool

    def can_write(self, target: Buffer, buffers: Sequence[Buffer], batch_size: int) -> bool:
        apart = not any(may_overlap(buffers[operand], target, batch_size) for operand in self.operands)
        return apart and (is_contiguous(target) or not self.wants_contiguous)


class _Writer:
    """Grows one piece of code; a value asked for twice is computed once."""

    def __init__(self, space: Shape, buffers: Sequence[Buffer]) -> None:
        self.buffers = buffers
        self.space = space
        self.full: Varies = tuple([dim != 1 for dim in space])
        self.values: list[Value] = []
        self.instructions: list[Instruction] = []
        self.names: dict[str, int] = {}
        self._terms: dict[tuple[Expr, str], int] = {}
        self._made: dict[tuple[object, ...], int] = {}

    # --- values -------------------------------------------------------------------------------------------------
    def _add(self, value: Value) -> int:
        self.values.append(value)
        return len(self.values) - 1

    def emit(self, op: str, inputs: tuple[int, ...], dtype: str, varies: Varies | None = None) -> int:
        if varies is None:
            varies = self._join(self.values[i].varies for i in inputs)
        key = (op, inputs, dtype, varies)
        if key not in self._made:
            self._made[key] = self._add(Value("computed", dtype, varies))
            self.instructions.append(Instruction(op, inputs, self._made[key]))
        return self._made[key]

    def _join(self, parts: Iterable[Varies]) -> Varies:
        return tuple([any(axis) for axis in zip(*parts, strict=True)]) if self.space else ()

    def constant(self, number: float, dtype: str) -> int:
        key = ("constant", repr(number), dtype)
        if key not in self._made:
            nowhere = (False,) * len(self.space)
            self._made[key] = self._add(Value("constant", dtype, nowhere, number=number))
        return self._made[key]

    def is_constant(self, value: int, number: float) -> bool:
        found = self.values[value]
        return found.source == "constant" and repr(found.number) == repr(number)

    def convert(self, value: int, dtype: str) -> int:
        found = self.values[value]
        if found.dtype == dtype:
            return value
        if found.source == "constant":
            return self.constant(found.number, dtype)
        return self.emit("copy", (value,), dtype)

    def broadcast(self, value: int, varies: Varies) -> int:
        found = self.values[value]
        return value if found.varies == varies else self.emit("copy", (value,), found.dtype, varies)

    # --- names --------------------------------------------------------------------------------------------------
    def define_acc(self, dtype: str, has_root: bool) -> None:
        self.names["acc"] = self._add(Value("computed", dtype, self.full))
        if has_root:
            self.instructions.append(Instruction("root", (), self.names["acc"]))

    def define_operand(self, name: str, buffer: int) -> None:
        type = self.buffers[buffer].type
        varies = self.varies_of(type.shape)
        self.names[name] = self._add(Value("buffer", type.dtype, varies, buffer=buffer))

    def varies_of(self, shape: Shape) -> Varies:
        missing = len(self.space) - len(shape)
        assert missing >= 0, (shape, self.space)
        return (False,) * missing + tuple([dim != 1 for dim in shape])

    # --- statements ---------------------------------------------------------------------------------------------
    def run(self, statement: Statement) -> None:
        value = self.evaluate(statement.expr, statement.dtype)
        if statement.kind != "map":
            value = self._reduce_row(statement.kind, value, statement.dtype)
        self.names[statement.name] = value

    def _reduce_row(self, kind: str, value: int, dtype: str) -> int:
        found = self.values[value]
        if not self.full[-1]:
            return self.constant(0.0, dtype) if kind == "argmax" else self.convert(value, dtype)
        whole = self.convert(self.broadcast(value, (*found.varies[:-1], True)), dtype)
        row = (*found.varies[:-1], False)
        if kind != "argmax":
            return self.emit(f"row_{kind}", (whole,), dtype, row)
        # a copy of its own, because argmax itself would copy what does not lie in one piece
        contiguous = self._fresh_copy(whole)
        return self.convert(self.emit("row_argmax", (contiguous,), "int64", row), dtype)

    def _fresh_copy(self, value: int) -> int:
        found = self.values[value]
        copy = self._add(Value("computed", found.dtype, found.varies))
        self.instructions.append(Instruction("copy", (value,), copy))
        return copy

    def evaluate(self, expr: Expr, dtype: str) -> int:
        """`expr` with operands converted to `dtype`; a predicate, or a variable of a predicate's bool, stays bool."""
        expr = expand(expr)
        for term in walk(expr):
            if (term, dtype) not in self._terms:
                self._terms[term, dtype] = self._term(term, dtype)
        result = self._terms[expr, dtype]
        return result if expr.op in PREDICATES else self.convert(result, dtype)

    def _term(self, term: Expr, dtype: str) -> int:
        if term.op == "const":
            assert isinstance(term.value, float)
            return self.constant(term.value, dtype)
        if term.op == "var":
            return self.names[str(term.value)]
        args = tuple([self._terms[arg, dtype] for arg in term.args])
        if term.op == "where":
            condition, *branches = args
            a, b = [self.convert(branch, dtype) for branch in branches]
            return self._where(self.convert(condition, "bool"), a, b, dtype)
        wanted = "bool" if term.op in ("and", "or", "not") else dtype
        operands = tuple([self.convert(arg, wanted) for arg in args])
        return self.emit(term.op, operands, "bool" if term.op in PREDICATES else dtype)

    def _where(self, condition: int, a: int, b: int, dtype: str) -> int:
        """By bit masks: NumPy's masked copy takes 2 ns an element, six times as long, and would need `a` kept apart.

        The mask has all bits where the condition holds; for a zero `a` where it does not.
        """
        if self.is_constant(a, 1.0) and self.is_constant(b, 0.0):
            return self.convert(condition, dtype)
        whole = BITS[ITEM_SIZE[dtype]]
        condition = self.emit("copy", (condition,), whole)
        if self.is_constant(a, 0.0):
            mask = self.emit("sub", (condition, self.constant(1.0, whole)), whole)
            return self.emit("bit_and", (b, mask), dtype)
        mask = self.emit("neg", (condition,), whole)
        if self.is_constant(b, 0.0):
            return self.emit("bit_and", (a, mask), dtype)
        difference = self.emit("bit_and", (self.emit("bit_xor", (a, b), dtype), mask), dtype)
        return self.emit("bit_xor", (difference, b), dtype)

    # --- ends ---------------------------------------------------------------------------------------------------
    def reduced(self, reduction: Reduction) -> int:
        """The value a reduction reads, in its dtype. A row value counts once per row, all others once per element."""
        if reduction.expr.op == "const":
            return self.broadcast(self.evaluate(reduction.expr, reduction.dtype), self.full)
        name = str(reduction.expr.value)
        if name == "b" and "b" not in self.names:
            return self._add(Value("operand_b", reduction.dtype, self.full))
        value = self.convert(self.names[name], reduction.dtype)
        return self.broadcast(value, (*self.full[:-1], *self.values[value].varies[-1:]))

    def stores(self, stores: Iterable[tuple[int, Expr]], batch_size: int) -> list[tuple[int, int]]:
        """(buffer, value in the buffer's dtype). An operand that another store overwrites is loaded before."""
        targets = [buffer for buffer, _ in stores]
        result = []
        for target, expr in stores:
            value = self.evaluate_store(expr, self.buffers[target].type.dtype)
            found = self.values[value]
            others = [buffer for buffer in targets if not target == buffer == found.buffer]
            if found.source == "buffer" and self._meets_any(found.buffer, others, batch_size):
                value = self._fresh_copy(value)
            result.append((target, value))
        return result

    def _meets_any(self, buffer: int, others: Iterable[int], batch_size: int) -> bool:
        return any(may_overlap(self.buffers[buffer], self.buffers[other], batch_size) for other in others)

    def evaluate_store(self, expr: Expr, dtype: str) -> int:
        if expr.op == "const":
            assert isinstance(expr.value, float)
            return self.constant(expr.value, dtype)
        return self.convert(self.names[str(expr.value)], dtype)


def _find_in_place(
    writer: _Writer, stores: Sequence[tuple[int, int]], reduced: Sequence[int], root: _Root, batch_size: int
) -> dict[int, int]:
    """Which computed values can be made where they are stored: nothing that is read from then on may lie there.

    Memory that is merely interleaved counts as lying there too: NumPy would not look closer, and copy.
    """
    producers = {instruction.output: k for k, instruction in enumerate(writer.instructions)}
    result: dict[int, int] = {}
    for target, value in stores:
        if value in result or value not in producers:
            continue
        buffer, made = writer.buffers[target], writer.values[value]
        if made.dtype != buffer.type.dtype or made.varies != writer.varies_of(buffer.type.shape):
            continue
        position = producers[value]
        if writer.instructions[position].op == "root" and not root.can_write(buffer, writer.buffers, batch_size):
            continue
        if not _is_read_from(writer, position, buffer, batch_size, reduced):
            result[value] = target
    return result


def _is_read_from(writer: _Writer, position: int, target: Buffer, batch_size: int, reduced: Iterable[int]) -> bool:
    """Whether memory of `target` is read by an instruction from `position` on, its own exact place apart, or reduced.

    Stores need no look: what they would read of another's target was copied before.
    """

    def meets(value: int) -> bool:
        found = writer.values[value]
        return found.source == "buffer" and may_overlap(writer.buffers[found.buffer], target, batch_size)

    maker = writer.instructions[position]
    for value in maker.inputs:
        exact = maker.is_elementwise_ufunc and is_same_view(writer.buffers[writer.values[value].buffer], target)
        if meets(value) and not exact:
            return True
    later = writer.instructions[position + 1 :]
    return any(meets(value) for instruction in later for value in instruction.inputs) or any(map(meets, reduced))
