"""A body whose rows are short: a row in each lane, so that a row's sum is a sum of vectors.

Within one vector, a row of ten classes would leave six lanes empty and need a tree of shuffles for each sum. Here LANES
rows are turned so that vector j holds column j of all of them, and turned back where they are stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..expr import Expr
from ..plan import Body, Reduction, Statement
from .bodies import Accumulate, BodyPrinter, combined, identity
from .expressions import Typed, converted, lane_suffix, literal
from .nest import Nest
from .places import Level, Place, vector_type
from .source import Source
from .target import Target


def fits_across(
    body: Body, nest: Nest, places: Mapping[int, Place], reductions: Sequence[Reduction], target: Target
) -> bool:
    """Whether every row is short enough to lie across vectors, and whatever varies within one is float32 in rows."""
    row = nest.lengths[-1] if nest.lengths else 0
    longest = target.lanes if target.across is None else target.across
    if len(nest.lengths) != 2 or not isinstance(row, int) or not 2 <= row <= longest:
        return False
    if any(reduction.axes != "all" for reduction in reductions):
        return False
    loaded = {id for _, id in body.operands if places[id].level == Level.ELEMENT}
    stored = {id for id, _ in body.stores if places[id].level == Level.ELEMENT}
    kinds = all(places[id].dtype == "float32" and places[id].stride == 1 for id in loaded | stored)
    known = BodyPrinter(body, places, target.lanes, row).known
    varying = {name for name, value in known.items() if value.level == Level.ELEMENT and value.dtype == "float32"}
    columns = varying & {s.name for s in body.statements}
    return kinds and all(
        places[id].level == Level.ROW or (nest.strides[id][0] and str(expr.value) in columns)
        for id, expr in body.stores
    )


class AcrossPrinter(BodyPrinter):
    """Prints a body for LANES rows from `i0` on, of which `n` are there."""

    def __init__(
        self,
        body: Body,
        places: Mapping[int, Place],
        lanes: int,
        nest: Nest,
        reductions: Sequence[Reduction],
        accumulate: Accumulate,
    ) -> None:
        row = nest.lengths[-1]
        assert isinstance(row, int)
        super().__init__(body, places, lanes, row, None, reductions, accumulate)
        self._nest = nest

    def print(self, source: Source) -> None:
        """The lines for one group of rows."""
        self._load_all()
        source.all(self._taken())
        for number in range(self.passes):
            self._rows_ready(number)
            source.all([*self._taken(), *self._declarations(number)])
            lines = self._column_lines(number)
            if lines:
                with source.block(f"for (int j = 0; j < {self.row_length}; j++)"):
                    source.all(lines)
        for number in range(self.passes, self.last_ready + 1):
            self._rows_ready(number)
        self._end()
        source.all(self._taken())

    def _load_all(self) -> None:
        for name, id in self.body.operands:
            place, stride = self.places[id], self._nest.strides[id][0]
            if place.level == Level.CALL:
                continue
            if place.level == Level.ROW:
                along = Place(place.pointer, place.dtype, Level.ELEMENT, place.offset, stride)
                value = along.load("n")
                self._define(name, value.dtype, value.text)
                self._texts[name] = Typed(name, value.dtype)
            elif stride:
                self._lines.append(f"f32v {name}[{self.row_length}];")
                self._lines.append(
                    f"columns_f32({place.pointer} + i0 * {stride}, {stride}, n, {self.row_length}, {name});"
                )
                self._texts[name] = Typed(f"{name}[j]", "float32")
            else:
                self._texts[name] = Typed(f"all_f32({place.pointer}[j])", "float32")

    def _declarations(self, number: int) -> list[str]:
        lines = []
        for statement in self.body.statements:
            if not self._runs_in(statement, number):
                continue
            name, dtype = statement.name, statement.dtype
            if statement.kind == "map":
                lines.append(f"{vector_type(self.known[name].dtype)} {name}[{self.row_length}];")
                continue
            suffix = lane_suffix(dtype)
            if statement.kind == "argmax":
                lines.append(f"{vector_type(dtype)} {name}_best = all_{suffix}({identity('max', dtype)});")
            start = literal(0, dtype) if statement.kind == "argmax" else identity(statement.kind, dtype)
            lines.append(f"{vector_type(dtype)} {name} = all_{suffix}({start});")
        return lines

    def _column_lines(self, number: int) -> list[str]:
        for statement in self.body.statements:
            if self._runs_in(statement, number):
                self._column(statement)
        for reduction in self._reduced_in(number):
            self._take_in(reduction)
        return self._taken()

    def _column(self, statement: Statement) -> None:
        name, dtype = statement.name, statement.dtype
        value = self._value(statement.expr, dtype)
        if statement.kind == "map":
            self._lines.append(f"{name}[j] = {value.text};")
            self._texts[name] = Typed(f"{name}[j]", value.dtype)
            return
        taken, suffix = converted(value, dtype).text, lane_suffix(dtype)
        if statement.kind == "argmax":
            self._lines.append(f"take_larger_{suffix}(&{name}_best, &{name}, {taken}, j);")
        else:
            self._lines.append(f"{name} = {combined(statement.kind, name, taken, dtype)};")
        self._texts[name] = Typed(name, dtype)

    def _end(self) -> None:
        for reduction in self.reductions:
            if self._reduced(reduction)[0] == Level.ROW:
                self._take_in(reduction)
        for id, expr in self.body.stores:
            place, stride = self.places[id], self._nest.strides[id][0]
            if place.level == Level.ROW:
                along = Place(place.pointer, place.dtype, Level.ELEMENT, place.offset, stride)
                self._lines.append(along.store(self._stored(expr, place.dtype), "n"))
            else:
                to = f"{place.pointer} + i0 * {stride}"
                self._lines.append(f"rows_f32({to}, {stride}, n, {self.row_length}, {expr.value});")

    def _stored(self, expr: Expr, dtype: str) -> str:
        return converted(self._value(expr, dtype), dtype).text

    def _take_in(self, reduction: Reduction) -> None:
        assert self._accumulate is not None
        value = converted(self._texts[str(reduction.expr.value)], reduction.dtype)
        self._lines += self._accumulate(self.reductions.index(reduction), value, Level.ELEMENT, "n")
