"""A body as C: what it computes once per call, once per row, and for each vector of elements.

A row is the last axis of the step's space. Sums and the like of a row cut the work on it into passes: what needs the
result comes a pass later. A value that a later pass needs again is kept in a row of scratch memory, or, where a row
fits into one vector, simply in its register.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ..expr import PREDICATES, Expr, variables
from ..plan import Body, Reduction, Statement
from ..types import ITEM_SIZE
from ..verify_steps import REDUCERS, ROW_KINDS
from .expressions import ELEMENT, SUFFIX, ExpressionPrinter, Typed, converted, lane_suffix, literal, splat
from .places import Level, Place, vector_type

# (number of the reduction, its value in its dtype, how often that changes, lanes that count) -> lines of C
Accumulate = Callable[[int, Typed, Level, str], list[str]]


@dataclass(frozen=True, slots=True)
class Known:
    """A name of a body: how often it changes, the first pass that can read it, its dtype."""

    level: Level
    ready: int
    dtype: str


@dataclass(slots=True)
class RowScratch:
    """Rows of a thread's scratch memory that one function uses: name -> offset in bytes."""

    length: int
    offsets: dict[str, int] = field(default_factory=dict)
    size_bytes: int = 0

    def add(self, name: str, dtype: str) -> None:
        if name not in self.offsets:
            self.offsets[name] = self.size_bytes
            self.size_bytes += -(-self.length * ITEM_SIZE[dtype] // 64) * 64


class BodyPrinter:
    """Prints one body. `row_length` is known only where the body reduces rows; `lanes` are those of a vector."""

    def __init__(
        self,
        body: Body,
        places: Mapping[int, Place],
        lanes: int,
        row_length: int = 0,
        acc: tuple[Place | None, Known] | None = None,
        reductions: Sequence[Reduction] = (),
        accumulate: Accumulate | None = None,
    ) -> None:
        self.body, self.places, self.lanes, self.row_length = body, places, lanes, row_length
        self.reductions, self._accumulate = reductions, accumulate
        self._operands: dict[str, Place] = {name: places[id] for name, id in body.operands}
        self.known = {name: Known(place.level, 0, place.dtype) for name, place in self._operands.items()}
        self._texts: dict[str, Typed] = {}
        if acc is not None:
            place, self.known["acc"] = acc
            if place is not None:
                self._operands["acc"] = place
            else:
                self._texts["acc"] = Typed("acc", acc[1].dtype)
        self._row_inputs: dict[str, Known] = {}
        for statement in body.statements:
            self._analyse(statement)
        varying = [k.ready for k in (*self.known.values(), *self._row_inputs.values()) if k.level == Level.ELEMENT]
        stored = [self._of(expr, "").ready for id, expr in body.stores if places[id].level == Level.ELEMENT]
        self.passes = 1 + max([0, *varying, *stored])
        self.last_ready = max([0, *(known.ready for known in self.known.values())])
        self.is_single = 0 < row_length <= lanes
        self.scratch = RowScratch(row_length)
        self._in_scope: set[str] = set()
        self._lines: list[str] = []
        self._printer = ExpressionPrinter(self._define)
        if self.passes > 1 and not self.is_single:
            self._find_saved()

    # --- what depends on what ---------------------------------------------------------------------------------------
    def _of(self, expr: Expr, dtype: str) -> Known:
        found = [self.known[name] for name in variables(expr)]
        kind = "bool" if expr.op in PREDICATES else dtype
        return Known(max([Level.CALL, *(k.level for k in found)]), max([0, *(k.ready for k in found)]), kind)

    def _analyse(self, statement: Statement) -> None:
        value = self._of(statement.expr, statement.dtype)
        if statement.kind == "map":
            self.known[statement.name] = value
            return
        self._row_inputs[statement.name] = value
        later = value.ready + 1 if value.level == Level.ELEMENT else value.ready
        self.known[statement.name] = Known(Level.ROW, later, statement.dtype)

    def _used_in(self, number: int) -> list[str]:
        """Names that the elements of a pass read."""
        exprs = [s.expr for s in self.body.statements if self._runs_in(s, number)]
        if number == self.passes - 1:
            exprs += [expr for id, expr in self.body.stores if self.places[id].level == Level.ELEMENT]
        exprs += [r.expr for r in self._reduced_in(number)]
        return list(dict.fromkeys(name for expr in exprs for name in variables(expr)))

    def _runs_in(self, statement: Statement, number: int) -> bool:
        value = self.known[statement.name] if statement.kind == "map" else self._row_inputs[statement.name]
        return value.level == Level.ELEMENT and value.ready == number

    def _reduced_in(self, number: int) -> list[Reduction]:
        return [r for r in self.reductions if self._reduced(r) == (Level.ELEMENT, number)]

    def _reduced(self, reduction: Reduction) -> tuple[Level, int]:
        """When a reduction takes its value in; operand b of a product is no value of the body."""
        name = str(reduction.expr.value)
        known = self.known.get(name)
        return (known.level, known.ready) if known is not None else (Level.CALL, -1)

    def _find_saved(self) -> None:
        for number in range(1, self.passes):
            for name in self._used_in(number):
                known = self.known[name]
                if known.level == Level.ELEMENT and name not in self._operands and known.ready < number:
                    self.scratch.add(name, known.dtype)
        for statement in self.body.statements:
            if statement.kind == "argmax" and self._row_inputs[statement.name].level == Level.ELEMENT:
                self.scratch.add(statement.name, _in_lanes(statement.dtype))

    # --- printing ---------------------------------------------------------------------------------------------------
    def _define(self, name: str, dtype: str, text: str) -> None:
        self._lines.append(f"const {vector_type(dtype)} {name} = {text};")

    def _taken(self) -> list[str]:
        lines, self._lines = self._lines, []
        return lines

    def _value(self, expr: Expr, dtype: str) -> Typed:
        return self._printer.value(expr, dtype, self._texts)

    def _load(self, name: str, n: str) -> None:
        value = self._operands[name].load(n)
        self._define(name, value.dtype, value.text)
        self._texts[name] = Typed(name, value.dtype)

    def _state(self, statement: Statement) -> None:
        value = self._value(statement.expr, statement.dtype)
        self._define(statement.name, value.dtype, value.text)
        self._texts[statement.name] = Typed(statement.name, value.dtype)

    def call_lines(self) -> list[str]:
        """What is the same for all elements: computed before the loops."""
        for name, place in self._operands.items():
            if place.level == Level.CALL:
                self._load(name, "1")
        for statement in self.body.statements:
            if statement.kind == "map" and self.known[statement.name].level == Level.CALL:
                self._state(statement)
        return self._taken()

    def call_end_lines(self) -> list[str]:
        """Stores and reductions of what is the same for all elements."""
        self._finish(Level.CALL)
        return self._taken()

    def row_lines(self, number: int) -> list[str]:
        """What a row computes before the elements of a pass."""
        self._in_scope = self._in_scope if self.is_single else set()
        if number == 0:
            self._in_scope = set()
            for name, place in self._operands.items():
                if place.level == Level.ROW:
                    self._load(name, "1")
        self._rows_ready(number)
        for statement in self._row_statements(number):
            if statement.kind != "argmax" and not self.is_single:
                kind = lane_suffix(statement.dtype)
                start = f"all_{kind}({identity(statement.kind, statement.dtype)})"
                self._lines.append(f"{vector_type(statement.dtype)} {statement.name}_lanes = {start};")
        return self._taken()

    def _rows_ready(self, number: int) -> None:
        """What is computed once for each row before the elements of a pass."""
        for statement in self.body.statements:
            known = self.known[statement.name]
            if known.level != Level.ROW or known.ready != number:
                continue
            if statement.kind == "map":
                self._state(statement)
            elif self._row_inputs[statement.name].level != Level.ELEMENT:
                self._repeat(statement)

    def _repeat(self, statement: Statement) -> None:
        """A row of equal numbers: its sum is one of them times its length, its maximum the number itself."""
        value = converted(self._value(statement.expr, statement.dtype), statement.dtype)
        text = value.text
        if statement.kind == "sum":
            text = _whole(f"{value.inner} * {splat(self.row_length, statement.dtype).text}", statement.dtype)
        elif statement.kind == "argmax":
            text = splat(0, statement.dtype).text
        self._define(statement.name, statement.dtype, text)
        self._texts[statement.name] = Typed(statement.name, statement.dtype)

    def _row_statements(self, number: int) -> list[Statement]:
        return [s for s in self.body.statements if s.kind != "map" and self._runs_in(s, number)]

    def element_lines(self, number: int, n: str) -> list[str]:
        """The work of a pass on the `n` elements from `j` on."""
        scope = self._in_scope if self.is_single else set()
        for name in self._used_in(number):
            known = self.known[name]
            if known.level == Level.ELEMENT and name not in scope and name in self._operands:
                self._load(name, n)
                scope.add(name)
            elif known.level == Level.ELEMENT and known.ready < number and not self.is_single:
                self._define(name, known.dtype, f"load_{SUFFIX[known.dtype]}({self._row(name, known.dtype)}, {n})")
        for statement in self.body.statements:
            if self._runs_in(statement, number):
                self._element(statement, number, n)
        for reduction in self._reduced_in(number):
            self._reduce(reduction, n)
        if number == self.passes - 1:
            self._store(Level.ELEMENT, n)
        return self._taken()

    def _element(self, statement: Statement, number: int, n: str) -> None:
        if statement.kind == "map":
            self._state(statement)
            if statement.name in self.scratch.offsets:
                self._save(statement.name, statement.name, self.known[statement.name].dtype, n)
            return
        value = converted(self._value(statement.expr, statement.dtype), statement.dtype)
        name, dtype = statement.name, statement.dtype
        if self.is_single:
            self._define(name, dtype, self._of_lanes(statement.kind, value, n))
            self._texts[name] = Typed(name, dtype)
        elif statement.kind == "argmax":
            self._save(name, value.text, _in_lanes(dtype), n)
        else:
            kept = masked(value, statement.kind, n)
            self._lines.append(f"{name}_lanes = {combined(statement.kind, f'{name}_lanes', kept, dtype)};")

    def _of_lanes(self, kind: str, value: Typed, n: str) -> str:
        suffix = lane_suffix(value.dtype)
        if kind == "argmax":
            return f"all_{suffix}(({ELEMENT[value.dtype]})argmax_lanes_{suffix}({value.text}, {n}))"
        return _whole(f"all_{suffix}({kind}_lanes_{suffix}({masked(value, kind, n)}))", value.dtype)

    def after_lines(self, number: int) -> list[str]:
        """The results of a row's reductions, once all its elements have been seen."""
        for statement in self._row_statements(number):
            name, suffix = statement.name, lane_suffix(statement.dtype)
            if self.is_single:
                continue
            if statement.kind == "argmax":
                place = self._scratch_row(name, _in_lanes(statement.dtype))
                row = f"({ELEMENT[statement.dtype]})argmax_{suffix}({place}, {self.row_length})"
            else:
                row = f"{statement.kind}_lanes_{suffix}({name}_lanes)"
            self._define(name, statement.dtype, _whole(f"all_{suffix}({row})", statement.dtype))
            self._texts[name] = Typed(name, statement.dtype)
        return self._taken()

    def row_end_lines(self) -> list[str]:
        """Stores and reductions of the values of a whole row."""
        self._finish(Level.ROW)
        return self._taken()

    def _finish(self, level: Level) -> None:
        for reduction in self.reductions:
            if self._reduced(reduction)[0] == level and self._reduced(reduction)[1] >= 0:
                self._reduce(reduction, "1")
        self._store(level, "1")

    def _reduce(self, reduction: Reduction, n: str) -> None:
        assert self._accumulate is not None
        value = converted(self._texts[str(reduction.expr.value)], reduction.dtype)
        level = self._reduced(reduction)[0]
        self._lines += self._accumulate(self.reductions.index(reduction), value, level, n)

    def _store(self, level: Level, n: str) -> None:
        for id, expr in self.body.stores:
            place = self.places[id]
            if place.level == level:
                value = self._value(expr, place.dtype)
                self._lines.append(place.store(converted(value, place.dtype).text, n))

    def _save(self, name: str, text: str, dtype: str, n: str) -> None:
        self._lines.append(f"store_{SUFFIX[dtype]}({self._row(name, dtype)}, {text}, {n});")

    def _scratch_row(self, name: str, dtype: str) -> str:
        return f"({ELEMENT[dtype]} *)(worker.scratch + {self.scratch.offsets[name]})"

    def _row(self, name: str, dtype: str) -> str:
        return f"{self._scratch_row(name, dtype)} + j"


# --- what reductions are made of ------------------------------------------------------------------------------------
_IDENTITY: Final = {"sum": 0.0, "max": float("-inf"), "min": float("inf")}
assert _IDENTITY.keys() == REDUCERS, "a reduction has no C"
assert REDUCERS | {"argmax"} == ROW_KINDS, "a reduction of rows has no C"
_EXTREMES: Final = {
    "int32": ("(-2147483647 - 1)", "2147483647"),
    "int64": ("(-9223372036854775807LL - 1)", "9223372036854775807LL"),
    "uint8": ("0", "255"),
}


def _in_lanes(dtype: str) -> str:
    """The dtype of the lanes that hold a dtype."""
    return "int32" if lane_suffix(dtype) == "i32" else dtype


def _whole(text: str, dtype: str) -> str:
    """A sum of uint8 has come about in 32 bits, but wraps at 8."""
    return f"to_u8_from_i32({text})" if dtype == "uint8" else text


def identity(operator: str, dtype: str) -> str:
    """The number that changes nothing when it is added or compared, as C text."""
    if operator == "sum" or dtype in ("float32", "float64"):
        return literal(_IDENTITY[operator], dtype)
    return _EXTREMES[dtype][operator == "min"]


def masked(value: Typed, operator: str, n: str) -> str:
    """The value, its lanes beyond `n` replaced by what changes nothing."""
    if n == "LANES":
        return value.text
    kind = lane_suffix(value.dtype)
    return f"select_{kind}(lanes_below({n}), {value.text}, all_{kind}({identity(operator, value.dtype)}))"


def combined(operator: str, a: str, b: str, dtype: str) -> str:
    """Two vectors added or compared."""
    if operator == "sum":
        return f"{a} + {b}"
    return f"{'maximum' if operator == 'max' else 'minimum'}_{lane_suffix(dtype)}({a}, {b})"
