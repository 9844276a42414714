"""Growing a graph node by node: types are inferred through the op registry, and the same node is never made twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .expr import Expr
from .expr import var as expr_var
from .graph import Attrs, Graph, Node, Update, Variable
from .types import FLOAT_DTYPES, Shape, TensorType


class Builder:
    """Grows one graph. Node ids are ints; a node asked for twice is made once.

    `origin` is the layer that further nodes are put down to; set it before expanding a layer.
    """

    def __init__(self, program: str, variables: Mapping[str, Variable]) -> None:
        from .ops import OPS  # needs NumPy, which reading and checking a spec do without

        self._ops = OPS
        self.program = program
        self.variables = variables
        self.origin = ""
        self.nodes: list[Node] = []
        self.results: list[tuple[str, int]] = []
        self.updates: list[Update] = []
        self._made: dict[tuple[str, tuple[int, ...], Attrs], int] = {}

    @classmethod
    def extending(cls, graph: Graph, variables: Mapping[str, Variable]) -> Builder:
        """A builder that goes on where `graph` ends, with its nodes, results and updates."""
        builder = cls(graph.program, variables)
        builder.nodes, builder.results, builder.updates = list(graph.nodes), list(graph.results), list(graph.updates)
        builder._made = {(n.op, n.inputs, n.attrs): i for i, n in enumerate(graph.nodes)}
        return builder

    def build(self) -> Graph:
        return Graph(self.program, tuple(self.nodes), tuple(self.results), tuple(self.updates))

    def type(self, node: int) -> TensorType:
        return self.nodes[node].type

    def add(self, op: str, inputs: Iterable[int] = (), **attrs: object) -> int:
        """Append `op(inputs)`; its type comes from the registry's shape rule."""
        return self._append(op, tuple(inputs), tuple(sorted(attrs.items())))

    def copy(self, node: Node, inputs: tuple[int, ...]) -> int:
        """Append a node of another graph over `inputs`, whose types are those of its own operands."""
        key = (node.op, inputs, node.attrs)
        found = self._made.get(key)
        if found is None:
            self._made[key] = found = len(self.nodes)
            same = inputs == node.inputs and self.origin == node.origin
            self.nodes.append(node if same else Node(node.op, inputs, node.attrs, node.type, self.origin))
        return found

    def _append(self, op: str, ids: tuple[int, ...], attrs: Attrs) -> int:
        key = (op, ids, attrs)
        found = self._made.get(key)
        if found is None:
            nodes = self.nodes
            inferred = self._ops[op].infer(tuple([nodes[i].type for i in ids]), dict(attrs))
            self._made[key] = found = len(nodes)
            nodes.append(Node(op, ids, attrs, inferred, self.origin))
        return found

    # --- leaves -------------------------------------------------------------------------------------------------
    def input(self, name: str, type: TensorType) -> int:
        """A fed tensor: an input's name, or `target.NAME`, or `sample_weight.NAME`."""
        return self.add("input", name=name, type=type)

    def variable(self, name: str) -> int:
        """The value of a variable at the start of the step."""
        return self.add("variable", name=name, type=self.variables[name].type)

    def rows(self) -> int:
        """How many samples this step has: float64[], at most the batch size (a last batch may be ragged)."""
        return self.add("rows")

    def constant(self, value: float, dtype: str = "float32") -> int:
        return self.add("constant", value=(float(value),), shape=(), dtype=dtype)

    def table(self, values: tuple[float, ...], dtype: str = "float32") -> int:
        """A constant vector, such as class weights."""
        return self.add("constant", value=values, shape=(len(values),), dtype=dtype)

    def iota(self, size: int) -> int:
        """0, 1, ..., size-1 as float32[size]; broadcasts along the last axis."""
        return self.add("iota", size=size)

    def random(self, distribution: str, shape: Shape, stream: int, step: int) -> int:
        """float32 "uniform" in [0, 1) or standard "normal": Philox4x32-10 of seed, stream, step and element index."""
        return self.add("random", (step,), distribution=distribution, shape=shape, stream=stream)

    # --- elementwise, reductions, products ----------------------------------------------------------------------
    def map(
        self,
        expr: Expr,
        *inputs: int,
        dtype: str | None = None,
        compute: str | None = None,
        shape: Shape | None = None,
        from_output: Expr | None = None,
    ) -> int:
        """`expr` over operands `x0, x1, ...`, which broadcast by NumPy's rules, and to `shape` where it is given.

        Operands are converted to `compute` (default: the result's dtype, or the first float operand's for a bool
        result) before the formula is evaluated; the result is stored as `dtype` (default: first float operand's).
        `from_output` is the derivative of a map of one operand written with the map's own value `y`.
        """
        nodes = self.nodes
        if dtype is None or (compute is None and dtype == "bool"):
            found = next((t for i in inputs if (t := nodes[i].type.dtype) in FLOAT_DTYPES), "float32")
            dtype, compute = dtype or found, compute or found
        attrs: Attrs = (("compute", compute or dtype), ("dtype", dtype), ("expr", expr))
        if from_output is not None:
            attrs += (("from_output", from_output),)
        if shape is not None and all(nodes[i].type.shape != shape for i in inputs):
            attrs += (("shape", shape),)
        return self._append("map", inputs, attrs)

    def existing_map(self, expr: Expr, like: Node) -> int | None:
        """The node that is `expr` over the operands of the map `like` and else its equal, if it has been made."""
        if expr.op == "var" and expr.value == "x0" and self.nodes[like.inputs[0]].type == like.type:
            return like.inputs[0]
        attrs = tuple([("expr", expr) if name == "expr" else (name, value) for name, value in like.attrs])
        return self._made.get(("map", like.inputs, attrs))

    def identity(self, node: int, dtype: str) -> int:
        """`node` converted to `dtype`; itself if it has it already."""
        return node if self.type(node).dtype == dtype else self.map(expr_var("x0"), node, dtype=dtype, compute=dtype)

    def broadcast(self, node: int, shape: Shape, dtype: str | None = None) -> int:
        """`node` repeated to `shape` and converted to `dtype` (default: its own); itself if nothing is to be done."""
        type = self.nodes[node].type
        dtype = dtype or type.dtype
        node = self.identity(node, dtype)  # before it is repeated: few elements to convert
        return node if type.shape == shape else self.map(expr_var("x0"), node, shape=shape, dtype=dtype)

    def reduce(self, operator: str, node: int, axes: tuple[int, ...], dtype: str | None = None) -> int:
        """"sum", "max", "min" or "argmax" over `axes`, which stay as 1; sums accumulate in and give `dtype`."""
        return self.add("reduce", (node,), operator=operator, axes=axes, dtype=dtype)

    def matmul(self, a: int, b: int, transpose_a: bool = False, transpose_b: bool = False) -> int:
        """Product of two matrices; the batch may be the rows of `a` or the summed index."""
        return self.add("matmul", (a, b), transpose_a=transpose_a, transpose_b=transpose_b)

    # --- moving data --------------------------------------------------------------------------------------------
    def reshape(self, node: int, shape: Shape) -> int:
        return node if self.type(node).shape == shape else self.add("reshape", (node,), shape=shape)

    def concat(self, nodes: Iterable[int], axis: int) -> int:
        return self.add("concat", nodes, axis=axis)

    def slice(self, node: int, axis: int, start: int, stop: int) -> int:
        return self.add("slice", (node,), axis=axis, start=start, stop=stop)

    def gather(self, table: int, indices: int) -> int:
        """Rows of `table[n, d]` at integer `indices`: shape indices.shape + (d,)."""
        return self.add("gather", (table, indices))

    # --- results ------------------------------------------------------------------------------------------------
    def result(self, name: str, node: int) -> None:
        self.results.append((name, node))

    def update(self, targets: tuple[str, ...], operands: tuple[int, ...], exprs: tuple[Expr, ...]) -> None:
        self.updates.append(Update(targets, operands, exprs, self.origin))
