"""Plans written by hand: buffers one after another in an arena, and steps over them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from nnc.compiler.expr import Expr, var
from nnc.compiler.graph import Variable
from nnc.compiler.options import Choice
from nnc.compiler.plan import ROWS_FEED, Body, Buffer, Plan, Program, Reduction, Signature, Statement, Step
from nnc.compiler.types import BATCH, ITEM_SIZE, Dim, TensorType
from nnc.compiler.views import row_major
from nnc.runtime.protocol import Array, Runtime
from nnc.runtime.reference import ReferenceRuntime

GUARD_BYTES = 4096      # behind the last buffer
NAN_BYTE = 0xFF         # a float of such bytes is NaN
FIXED = ("variable", "constant")


class PlanMaker:
    """Collects buffers and steps; `session` runs the program `train_step` of them on `runtime`."""

    runtime: ClassVar[Runtime] = ReferenceRuntime()

    def __init__(self, batch_size: int = 4, seed: int = 0) -> None:
        self.batch_size, self.seed = batch_size, seed
        self.buffers: list[Buffer] = []
        self.variables: list[tuple[Variable, int]] = []
        self.feeds: list[tuple[str, int]] = []
        self.fetches: list[tuple[str, int]] = []
        self.steps: list[Step] = []
        self.size = 0

    def place(self, kind: str, *shape: Dim, dtype: str = "float32", value: tuple[float, ...] = ()) -> int:
        type = TensorType(dtype, shape)
        self.buffers.append(Buffer(f"b{len(self.buffers)}", kind, type, row_major(shape), self.size, "", value))
        self.size += -(-prod(type.concrete(self.batch_size)) * ITEM_SIZE[dtype] // 64) * 64
        return len(self.buffers) - 1

    def view(self, of: int, *shape: Dim, strides: tuple[int, ...], start: int = 0) -> int:
        """Another buffer over the bytes of `of`, `start` elements on."""
        base = self.buffers[of]
        offset = base.offset + start * ITEM_SIZE[base.type.dtype]
        type = TensorType(base.type.dtype, shape)
        self.buffers.append(Buffer(f"b{len(self.buffers)}", base.kind, type, strides, offset, ""))
        return len(self.buffers) - 1

    def feed(self, name: str, *shape: Dim, dtype: str = "float32") -> int:
        buffer = self.place("input", BATCH, *shape, dtype=dtype)
        self.feeds.append((name, buffer))
        return buffer

    def rows(self) -> int:
        buffer = self.place("input", dtype="float64")
        self.feeds.append((ROWS_FEED, buffer))
        return buffer

    def variable(self, name: str, *shape: Dim, dtype: str = "float32", initializer: str = "zeros") -> int:
        buffer = self.place("variable", *shape, dtype=dtype)
        variable = Variable(name, self.buffers[buffer].type, "weight", Choice(initializer))
        self.variables.append((variable, buffer))
        return buffer

    def result(self, name: str, *shape: Dim, dtype: str = "float32") -> int:
        buffer = self.place("temporary", *shape, dtype=dtype)
        self.fetches.append((name, buffer))
        return buffer

    def step(
        self,
        kernel: str,
        space: tuple[Dim, ...],
        body: Body,
        operands: tuple[int, ...] = (),
        reductions: tuple[Reduction, ...] = (),
        dtype: str = "float32",
        **attrs: object,
    ) -> None:
        pairs = tuple(sorted(attrs.items()))
        self.steps.append(Step(kernel, "layer", TensorType(dtype, space), operands, pairs, body, reductions))

    def plan(self) -> Plan:
        """The steps as `train_step`, which need feed and fetch nothing, beside a `predict` of one step."""
        program = Program("train_step", tuple(self.feeds), tuple(self.fetches), tuple(self.steps), self.size)
        given, gone = self.place("input", BATCH, 1), self.place("temporary", BATCH, 1)
        copy = Step("map", "layer", TensorType("float32", (BATCH, 1)), (), (), body({"x": given}, (), {gone: var("x")}))
        predict = Program("predict", (("given", given),), (("prediction", gone),), (copy,), 0)
        return Plan(
            "hand_made", self.seed, self.batch_size, self.size + GUARD_BYTES, tuple(self.variables),
            tuple(self.buffers), (predict, program),
            tuple(Signature(name, self.buffers[id].type) for name, id in self.feeds if name != ROWS_FEED), (), (), (),
        )  # fmt: skip

    def session(self, **feeds: Array) -> Any:
        """A session of `PlanMaker.runtime`, its program bound to `feeds`, NaN in all that is yet to be computed."""
        session = self.runtime.prepare(self.plan())
        block = arena_bytes(session)
        block[~_bytes_of(session.plan, [id for id, b in enumerate(self.buffers) if b.kind in FIXED], 1)] = NAN_BYTE
        session.bind("train_step", feeds)
        return session


def run(session: Any, *rows: int) -> dict[str, Array]:
    """Copies of all results of one step on the samples `rows`. Asserts that no byte beside its results changes."""
    plan = session.plan
    program = plan.program("train_step")
    bodies = [b for step in program.steps for b in (step.body, *(r.body for r in step.reductions))]
    written = [id for _, id in program.feeds] + [id for b in bodies for id, _ in b.stores]
    untouched = ~_bytes_of(plan, written, len(rows))
    before = arena_bytes(session)[untouched]
    session.run("train_step", np.array(rows, np.int64))
    np.testing.assert_array_equal(arena_bytes(session)[untouched], before, err_msg="bytes of no result")
    return {name: session.fetch("train_step", name).copy() for name, _ in program.fetches}


def arena_bytes(session: Any) -> npt.NDArray[np.uint8]:
    """The bytes that a session works in."""
    block: npt.NDArray[np.uint8] = session._arena._bytes
    return block


def _bytes_of(plan: Plan, ids: Sequence[int], rows: int) -> npt.NDArray[np.bool_]:
    """Which bytes of the arena hold the first `rows` rows of the buffers `ids`."""
    held = np.zeros(plan.arena_bytes, bool)
    for id in ids:
        buffer = plan.buffers[id]
        item = ITEM_SIZE[buffer.type.dtype]
        strides = (*(stride * item for stride in buffer.strides), 1)
        np.ndarray((*buffer.type.concrete(rows), item), bool, held.data, buffer.offset, strides)[...] = True
    return held


def numbers(*shape: int, seed: int = 0) -> Array:
    """Normal float32 numbers, always the same."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def body(operands: dict[str, int], statements: tuple[Statement, ...], stores: dict[int, Expr]) -> Body:
    return Body(tuple(operands.items()), statements, tuple(stores.items()))
