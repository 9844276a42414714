"""Kernels written down as steps: operands get names, items become statements, what is read elsewhere is stored."""

from __future__ import annotations

from ..expr import PREDICATES, Expr, substitute, var, walk
from ..graph import Update
from ..kernels import FusedProgram
from ..memo import memo
from ..ops.elementwise import OPERAND_NAMES
from ..plan import Body, Reduction, Statement, Step
from ..types import Shape
from ..views import without_leading_ones
from .assignments import as_item
from .fusible import Item
from .grouping import Grouping
from .groups import MAIN, Kernel, ReductionGroup
from .tenancy import Values
from .words import describe, shortened

_ACC, _X0 = var("acc"), var("x0")
_OPERANDS = tuple(var(name) for name in OPERAND_NAMES)
_LOCALS = tuple(var(f"t{k}") for k in range(1024))
_SHARED = tuple(var(f"s{k}") for k in range(256))


def emit_program(grouping: Grouping) -> FusedProgram:
    """The steps of all kernels in their order, and every value they name."""
    values = Values(grouping)
    steps = [_Emitter(grouping, values, grouping.kernels[order]).step() for order in sorted(grouping.kernels)]
    fetches = tuple((name, values.of(id)) for name, id in grouping.fetches)
    return FusedProgram(
        grouping.graph.program, values.finish(), tuple(steps), values.feeds(), fetches, tuple(grouping.notes)
    )


class _BodyBuilder:
    """One body in the making: what each item is called in it."""

    def __init__(self) -> None:
        self.names: dict[int, Expr] = {}
        self.operands: list[tuple[str, int]] = []
        self.statements: list[Statement] = []
        self.stores: list[tuple[int, Expr]] = []
        self._operand_of: dict[int, Expr] = {}

    def operand(self, value: int) -> Expr:
        """The name under which a value outside is read."""
        known = self._operand_of.get(value)
        if known is None:
            number = len(self.operands)
            known = _OPERANDS[number] if number < len(_OPERANDS) else var(f"x{number}")
            self._operand_of[value] = known
            self.operands.append((str(known.value), value))
        return known

    def state(self, kind: str, expr: Expr, dtype: str) -> Expr:
        """Append a statement; gives its name."""
        number = len(self.statements)
        name = _LOCALS[number] if number < len(_LOCALS) else var(f"t{number}")
        self.statements.append(Statement(str(name.value), kind, expr, dtype))
        return name

    def state_all(self, exprs: tuple[Expr, ...], operands: list[Expr], dtype: str) -> list[Expr]:
        """Statements for expressions over x0, x1, ...; a term that comes up twice is computed once."""
        shared, finals = split_shared(exprs)
        names = dict(zip(_OPERANDS, operands, strict=False))
        for number, expr in enumerate(shared):
            names[_SHARED[number]] = self.state("map", renamed(expr, names), dtype)
        results = []
        for expr in finals:
            here = renamed(expr, names)
            results.append(here if not here.args else self.state("map", here, dtype))
        return results

    def build(self) -> Body:
        return Body(tuple(self.operands), tuple(self.statements), tuple(self.stores))


class _Emitter:
    """Writes one kernel."""

    def __init__(self, grouping: Grouping, values: Values, kernel: Kernel) -> None:
        self.grouping, self.values, self.kernel = grouping, values, kernel
        self.items = grouping.items
        self.words: list[str] = []

    def step(self) -> Step:
        kernel, items = self.kernel, self.items
        body, name = _BodyBuilder(), "map"
        operands: tuple[int, ...] = ()
        attrs: tuple[tuple[str, object], ...] = ()
        if kernel.root is not None:
            root = items[kernel.root]
            name, operands = root.kind, tuple([self.values.of(i) for i in root.inputs])
            attrs = tuple((k, v) for k, v in sorted(root.attrs.items()) if k in _ROOT_ATTRS)
            body.names[root.id] = _ACC
            if self.grouping.stored[root.id]:
                body.stores.append((self.values.of(root.id), _ACC))
        if kernel.copy is not None:
            body.stores.append((self.values.copied(kernel.copy), body.operand(self.values.of(kernel.copy.source))))
            self.words.append("copy")
        self._members(body, kernel.members, MAIN, kernel.shape)
        for update in kernel.updates:
            self._update(body, update, MAIN, kernel.shape)
        reductions = [self._reduction(body, group, level) for level, group in enumerate(kernel.reductions)]
        space = self.grouping.space_type(kernel)
        fused = shortened(self.words)
        return Step(name, kernel.origin, space, operands, attrs, body.build(), tuple(reductions), fused)

    def _members(self, body: _BodyBuilder, members: list[int], level: int, space: Shape) -> None:
        for id in members:
            item = self.items[id]
            body.names[id] = self._member(body, item, level, space)
            if item.kind != "map" or item.expr is not _X0:
                self.words.append(describe(item, [self.items[i] for i in item.inputs]))
            if self.grouping.stored[id]:
                body.stores.append((self.values.shown(id, self._stored_shape(id, level)), body.names[id]))

    def _stored_shape(self, id: int, level: int) -> Shape:
        shape = self.items[id].shape
        return shape if level == MAIN else without_leading_ones(shape)

    def _member(self, body: _BodyBuilder, item: Item, level: int, space: Shape) -> Expr:
        operands = [self._name(body, i, level, space) for i in self.grouping.operands(item)]
        if item.kind == "row":
            return body.state(item.operator, operands[0], item.compute)
        (name,) = body.state_all((item.expr,), operands, item.compute)
        if not name.args and (name.op == "const" or item.expr is _X0):
            return self._converted(body, item, name, level)
        if item.type.dtype != item.compute and item.expr.op not in PREDICATES:
            return body.state("map", name, item.type.dtype)
        return name

    def _converted(self, body: _BodyBuilder, item: Item, name: Expr, level: int) -> Expr:
        """A value merely repeated needs no statement, unless it changes its dtype."""
        if name.op == "const":
            return name if const_is_exact(name) else body.state("map", name, item.compute)
        (source,) = self.grouping.operands(item)
        if self.items[source].type.dtype == item.type.dtype and item.compute == item.type.dtype:
            return name
        return body.state("map", name, item.compute)

    def _name(self, body: _BodyBuilder, id: int, level: int, space: Shape) -> Expr:
        inside = id if level == MAIN else self.grouping.body_alias(id, self.kernel)
        known = body.names.get(inside)
        if known is not None:
            return known
        shape = self.items[id].shape
        if level != MAIN and len(shape) > len(space):
            shape = without_leading_ones(shape)
        return body.operand(self.values.shown(id, shape))

    def _update(self, body: _BodyBuilder, update: Update, level: int, space: Shape) -> None:
        item = as_item(self.grouping, update)
        operands = [self._name(body, i, level, space) for i in self.grouping.operands(item)]
        results = body.state_all(update.exprs, operands, item.type.dtype)
        for target, result in zip(update.targets, results, strict=True):
            body.stores.append((self.values.variable(target, space), result))
        self.words.append(f"update of {update.targets[0]}")

    def _reduction(self, body: _BodyBuilder, group: ReductionGroup, level: int) -> Reduction:
        item = self.items[group.item]
        inner = _BodyBuilder()
        inner.names[item.id] = _ACC
        if group.of is None:
            expr = var("b")
            self.words.append("bias gradient")
        else:
            expr = self._name(body, group.of, MAIN, self.kernel.shape)
            self.words.append(describe(item, []))
        if self.grouping.stored[item.id]:
            inner.stores.append((self.values.shown(item.id, group.shape), _ACC))
        self._members(inner, group.members, level, group.shape)
        for update in group.updates:
            self._update(inner, update, level, group.shape)
        return Reduction(item.operator, "all" if group.shape == () else "leading", expr, item.compute, inner.build())


_ROOT_ATTRS = frozenset({"transpose_a", "transpose_b", "distribution", "stream"})


def const_is_exact(expr: Expr) -> bool:
    """Whether a constant is the same number in float32, so that no dtype changes it."""
    assert isinstance(expr.value, float)
    return abs(expr.value) < 2**24 and expr.value == int(expr.value)


@memo
def _renamed(expr: Expr, names: tuple[tuple[Expr, Expr], ...]) -> Expr:
    return substitute(expr, dict(names))


def renamed(expr: Expr, names: dict[Expr, Expr]) -> Expr:
    """`expr` with its variables replaced; layers repeat themselves, so most answers are known already."""
    return _renamed(expr, tuple(names.items()))


@memo
def split_shared(exprs: tuple[Expr, ...]) -> tuple[tuple[Expr, ...], tuple[Expr, ...]]:
    """Terms used more than once, in order, as (s0, s1, ...), and the expressions written with them.

    Predicates stay where they are: alone they would be bool. So do bare variables and constants.
    """
    uses: dict[Expr, int] = {}
    order: dict[Expr, None] = {}
    for expr in exprs:
        uses[expr] = uses.get(expr, 0) + 1
        for term in walk(expr):
            if term not in order:
                order[term] = None
                for arg in term.args:
                    uses[arg] = uses.get(arg, 0) + 1
    shared: list[Expr] = []
    names: dict[Expr, Expr] = {}
    for term in order:
        if term.args and uses[term] > 1 and term.op not in PREDICATES:
            shared.append(substitute(term, names))
            names[term] = _SHARED[len(shared) - 1]
    return tuple(shared), tuple(substitute(expr, names) for expr in exprs)


