"""Items given values: who owns bytes, who lies in whose, and what each is called."""

from __future__ import annotations

from ..kernels import Value
from ..plan import ROWS_FEED
from ..types import Shape, TensorType
from ..views import elements, reshape_strides, row_major
from .fusible import Item
from .grouping import Grouping
from .groups import VIEWS, Copy

_LEAF_KIND = {"input": "input", "rows": "input", "variable": "variable", "constant": "constant", "iota": "constant"}


class Values:
    """The values of one program, made as they are asked for."""

    def __init__(self, grouping: Grouping) -> None:
        self.grouping = grouping
        self._values: list[Value | None] = []
        self._of: dict[int, int] = {}
        self._variables: dict[str, int] = {}
        self._views: dict[tuple[int, Shape, int, tuple[int, ...]], int] = {}
        self._sources: dict[int, list[int]] = {}
        self._unsourced: list[tuple[Item, int]] = []
        self._names: dict[str, int] = {}

    def of(self, id: int) -> int:
        """The value of an item, in the shape it is declared with."""
        known = self._of.get(id)
        return known if known is not None else self._make(self.grouping.items[id])

    def variable(self, name: str, shape: Shape | None = None) -> int:
        """A variable that an update writes, in the shape of the space it is written from."""
        whole = self._whole_variable(name)
        type = self.grouping.variables[name].type
        if shape is None or shape == type.shape:
            return whole
        return self._view(whole, type.with_shape(shape), 0, row_major(shape), "", ())

    def _whole_variable(self, name: str) -> int:
        known = self._variables.get(name)
        if known is None:
            variable = self.grouping.variables[name]
            known = self._append("variable", name, variable.type, variable.layer)
            self._variables[name] = known
        return known

    def shown(self, id: int, shape: Shape) -> int:
        """The value of an item as a tensor of another shape (axes of length 1 dropped)."""
        value = self.of(id)
        item = self.grouping.items[id]
        if item.shape == shape:
            return value
        layout = self.grouping.layout(id)
        strides = reshape_strides(item.shape, layout.strides, shape)
        assert strides is not None, (item, shape)
        view = self._view(value, item.type.with_shape(shape), layout.offset, strides, item.origin, ())
        home = self.grouping.home[id]
        if home is not None and self.grouping.level[id] >= 0:
            self._add_source(value, view)
        else:
            self._add_source(view, value)
        return view

    def copied(self, copy: Copy) -> int:
        """The place a copy kernel writes."""
        target, source = self.grouping.items[copy.target], self.grouping.items[copy.source]
        whole = self.of(target.id)
        place = self._view(whole, source.type, copy.offset, copy.strides, target.origin, ())
        self._add_source(whole, place)
        return place

    def feeds(self) -> tuple[tuple[str, int], ...]:
        """Name and value of everything that is fed, in the order in which the graph names it: the spec's."""
        feeds = []
        for _, id in sorted(self._of.items()):
            value = self._values[id]
            if value is not None and value.kind == "input" and value.root == id:
                feeds.append((value.name, id))
        return tuple(feeds)

    def finish(self) -> tuple[Value, ...]:
        """All values, with their sources filled in."""
        while self._unsourced:
            self._find_sources(*self._unsourced.pop())
        result = []
        for id, value in enumerate(self._values):
            assert value is not None
            sources = self._sources.get(id)
            if sources is not None:
                value = Value(
                    value.name, value.kind, value.type, value.layer, value.root, value.offset, value.strides,
                    tuple(dict.fromkeys(sources)), value.constant,
                )  # fmt: skip
            result.append(value)
        return tuple(result)

    # --- making -------------------------------------------------------------------------------------------------
    def _make(self, item: Item) -> int:
        if item.kind == "leaf":
            return self._leaf(item)
        layout = self.grouping.layout(item.id)
        if layout.root == item.id:
            made = self._of[item.id] = self._append("temporary", self._name(item), item.type, item.origin)
        else:
            root = self.of(layout.root)
            if item.id in self._of:
                return self._of[item.id]
            made = self._of[item.id] = len(self._values)
            name = self._name(item)
            self._values.append(
                Value(name, self._kind(root), item.type, item.origin, root, layout.offset, layout.strides)
            )
        if item.kind == "concat" or (item.kind in VIEWS and self.grouping.home[item.id] is None):
            self._unsourced.append((item, made))
        return made

    def _find_sources(self, item: Item, made: int) -> None:
        copied = {k.copy.source for k in self.grouping.copies.get(item.id, ()) if k.copy is not None}
        for operand in item.inputs:
            if operand not in copied:
                self._add_source(made, self.of(operand))

    def _leaf(self, item: Item) -> int:
        kind = _LEAF_KIND[item.attrs["op"]]
        if kind == "variable":
            made = self.variable(item.attrs["name"])
        elif kind == "input":
            made = self._append("input", item.attrs.get("name", ROWS_FEED), item.type, "")
        else:
            constant = item.attrs.get("value")
            if constant is None:
                constant = tuple(float(k) for k in range(elements(item.shape)))
            made = self._append("constant", f"constant.{len(self._values)}", item.type, item.origin, constant)
        self._of[item.id] = made
        return made

    def _append(
        self, kind: str, name: str, type: TensorType, layer: str, constant: tuple[float, ...] = ()
    ) -> int:
        id = len(self._values)
        self._values.append(Value(name, kind, type, layer, id, 0, row_major(type.shape), (), constant))
        return id

    def _view(
        self, whole: int, type: TensorType, offset: int, strides: tuple[int, ...], layer: str, sources: tuple[int, ...]
    ) -> int:
        base = self._values[whole]
        assert base is not None
        key = (base.root, type.shape, offset, strides)
        known = self._views.get(key)
        if known is None:
            known = self._views[key] = len(self._values)
            self._values.append(Value(base.name, base.kind, type, layer, base.root, offset, strides, sources))
        return known

    def _add_source(self, value: int, source: int) -> None:
        self._sources.setdefault(value, []).append(source)

    def _kind(self, root: int) -> str:
        value = self._values[root]
        assert value is not None
        return value.kind

    def _name(self, item: Item) -> str:
        """`hidden.value`, `hidden.gradient`; the second of a kind is `hidden.value.2`."""
        base = f"{item.origin or 'program'}.{'value' if item.forward else 'gradient'}"
        number = self._names[base] = self._names.get(base, 0) + 1
        return base if number == 1 else f"{base}.{number}"
